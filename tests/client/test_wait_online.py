"""Waiting until the push channel is online."""

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.websocket.backoff import Backoff
from custom_components.bticino_classe.client.websocket.connection import SocketState
from custom_components.bticino_classe.client.websocket.push_channel import PushChannel
from tests.client.lines import Cloud, Refusal, Script, answering, obey, refused
from tests.client.running import until
from tests.conftest import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.auth import AuthHandler

OVERLOAD = 11


@asynccontextmanager
async def channel_to(
    auth: AuthHandler, *scripts: Script | Refusal
) -> AsyncIterator[tuple[PushChannel, Cloud]]:
    """Run a channel whose failed attempts are followed by a long delay."""
    backoff = Backoff(first=HANG_TIMEOUT, longest=HANG_TIMEOUT, draw=lambda: 1.0)
    async with Cloud(*scripts) as cloud:
        channel = PushChannel(auth, backoff=backoff)
        channel.socket._url = cloud.url
        task = asyncio.create_task(channel.socket.run())
        try:
            yield channel, cloud
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_wait_during_the_first_attempt(auth: AuthHandler) -> None:
    """One connection, one subscription; nothing is waited for once it is online."""
    async with channel_to(auth, obey) as (channel, cloud):
        await channel.wait_online()
        assert channel.is_online
        await channel.wait_online()
        assert [len(line.frames) for line in cloud.lines] == [1]


@pytest.mark.parametrize("first", [answering(refused(OVERLOAD)), Refusal(status=503)])
async def test_wait_after_a_failed_attempt(auth: AuthHandler, first: Script | Refusal) -> None:
    """The next attempt is made at once, not after the delay."""
    async with channel_to(auth, first, obey) as (channel, cloud):
        await until(lambda: channel.socket.state is SocketState.WAITING)
        await channel.wait_online()
        assert channel.is_online
        assert cloud.handshakes == 2


async def test_wait_ends_with_the_channel(auth: AuthHandler) -> None:
    """Nothing comes any more; the listener of the state is gone."""
    async with channel_to(auth, Refusal(status=503)) as (channel, _):
        await until(lambda: channel.socket.state is SocketState.WAITING)
        waiting = asyncio.create_task(channel.wait_online())
        await asyncio.sleep(0)
    await waiting
    assert not channel.is_online
    assert channel._state_listeners._listeners == []
