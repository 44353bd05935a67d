"""A wait for the next connection that ends early, because the cloud has answered elsewhere."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.websocket.backoff import WAITED_SHARE, Backoff
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.lines import Refusal, Script, answering, obey, refused
from tests.client.running import running, until

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler

LONG = 3600.0  # seconds, which no test waits


def wait_long(backoff: Backoff) -> None:
    """Let the next delay be longer than any test."""
    backoff.first = backoff.longest = LONG
    backoff.waited = LONG / WAITED_SHARE


@pytest.mark.parametrize(
    "failure",
    [Refusal(status=500), Refusal(status=503), Refusal(status=429), answering(refused(11))],
    ids=["500", "503", "429", "code 11"],
)
async def test_failed_connection_is_tried_again(
    auth: AuthHandler, failure: Script | Refusal
) -> None:
    """At once."""
    async with running(auth, failure, obey) as (client, cloud):
        wait_long(client.backoff)
        await until(lambda: client.socket.state is SocketState.WAITING)
        client.socket.retry_soon()
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 2


@pytest.mark.parametrize(
    "failures",
    [
        [Refusal(status=503, headers={"Retry-After": "3600"})],
        [Refusal(status=429, headers={"Retry-After": "3600"})],
        [answering(refused(2)), answering(refused(2))],
    ],
    ids=["503", "429", "refused tokens"],
)
async def test_other_waits_go_on(auth: AuthHandler, failures: list[Script | Refusal]) -> None:
    """A pause that the cloud named, and the wait for another token."""
    async with running(auth, *failures, obey) as (client, cloud):
        await until(
            lambda: cloud.handshakes == len(failures) and client.socket.state is SocketState.WAITING
        )
        client.socket.retry_soon()
        await asyncio.sleep(0.05)
        assert cloud.handshakes == len(failures)


async def test_nothing_is_kept_for_a_later_failure(auth: AuthHandler) -> None:
    """While the connection is online, there is no wait that could end."""
    async with running(auth, obey, Refusal(status=500), obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        client.socket.retry_soon()
        wait_long(client.backoff)
        cloud.lines[-1].cut()
        await until(lambda: client.socket.state is SocketState.WAITING)
        await asyncio.sleep(0.05)
        assert cloud.handshakes == 1
