"""A caller that waits for a subscription gets one at once."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.lines import Refusal, Script, answering, obey, refused
from tests.client.running import running, until

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler

HOUR = 3600.0


@pytest.mark.parametrize(
    "first",
    [
        Refusal(status=503),
        Refusal(status=502),
        answering("close"),
        answering(refused(11)),
        answering(refused(13)),
    ],
)
async def test_caller_wakes_a_waiting_socket(auth: AuthHandler, first: Script | Refusal) -> None:
    """Whatever it waits for."""
    async with running(auth, first, obey) as (client, cloud):
        client.backoff.first = client.backoff.longest = HOUR
        await until(lambda: client.socket.state is SocketState.WAITING)
        await client.socket.resubscribe()
        assert cloud.handshakes == 2


async def test_caller_during_a_failing_attempt_causes_another_one(auth: AuthHandler) -> None:
    """The attempt began before the request."""
    async with running(auth, Refusal(status=503), obey) as (client, cloud):
        client.backoff.first = client.backoff.longest = HOUR
        await asyncio.sleep(0)
        await client.socket.resubscribe()
        assert cloud.handshakes == 2


async def test_pause_named_by_the_cloud_is_kept(auth: AuthHandler) -> None:
    """A caller does not pass it."""
    busy = Refusal(status=503, headers={"Retry-After": "1000"})
    async with running(auth, busy, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.WAITING)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.socket.resubscribe()
        assert cloud.handshakes == 1
