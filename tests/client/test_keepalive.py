"""Clouds that drop clients which ping, and clouds that drop clients which do not."""

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.websocket.backoff import Backoff
from custom_components.bticino_classe.client.websocket.keepalive import KeepalivePolicy
from custom_components.bticino_classe.client.websocket.push_channel import PushChannel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.simulator import Simulator

PINGS = 0.2  # seconds
LONG_ENOUGH = 2.5  # seconds, for what would drop a line to have dropped it several times


@asynccontextmanager
async def listening(
    auth: AuthHandler, simulator: Simulator, ping_every: float | None
) -> AsyncIterator[PushChannel]:
    """Run a channel for a while; it must receive a ring afterwards."""
    received = asyncio.Event()
    channel = PushChannel(
        auth,
        keepalive=KeepalivePolicy(ping_every=ping_every),
        backoff=Backoff(first=0.01, longest=0.01),
    )
    channel.listen_pushes(lambda _: received.set())
    task = asyncio.create_task(channel.socket.run())
    try:
        async with asyncio.timeout(10):
            while not channel.is_online:  # noqa: ASYNC110 - there is none
                await asyncio.sleep(0.01)
            await asyncio.sleep(LONG_ENOUGH)
            while not received.is_set():
                simulator.ring()
                with suppress(TimeoutError):
                    await asyncio.wait_for(received.wait(), 0.2)
        yield channel
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(("ping_every", "drops"), [(None, False), (PINGS, True)])
async def test_cloud_that_drops_clients_that_ping(
    auth: AuthHandler, simulator: Simulator, ping_every: float | None, drops: bool
) -> None:
    """The default policy keeps its connection; the other reconnects and still receives the ring."""
    simulator.sockets.drop_clients_that_ping = True
    async with listening(auth, simulator, ping_every) as channel:
        assert (channel.socket.counters["connections_ended"] > 0) is drops


@pytest.mark.parametrize(("ping_every", "drops"), [(None, True), (PINGS, False)])
async def test_cloud_that_drops_clients_that_do_not_ping(
    auth: AuthHandler, simulator: Simulator, ping_every: float | None, drops: bool
) -> None:
    """The other way round."""
    simulator.sockets.drop_clients_that_do_not_ping_within = 5 * PINGS
    async with listening(auth, simulator, ping_every) as channel:
        assert (channel.socket.counters["connections_ended"] > 0) is drops
