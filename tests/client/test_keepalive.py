"""Clouds that drop clients which ping, and clouds that drop clients which do not."""

import asyncio
from contextlib import suppress
import socket as sockets
import sys
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.http import connect_websocket
from custom_components.bticino_classe.client.websocket.backoff import Backoff
from custom_components.bticino_classe.client.websocket.connection import SocketState
from custom_components.bticino_classe.client.websocket.keepalive import KeepalivePolicy, keep_alive
from custom_components.bticino_classe.client.websocket.push_channel import PushChannel
from tests.client.lines import obey
from tests.client.running import running, until
from tests.conftest import advance_loop

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

PINGS = 20.0  # seconds
SILENCE = 5 * PINGS


@pytest.mark.skipif(sys.platform != "linux", reason="the options are those of Linux")
async def test_dead_connection_is_noticed_within_a_minute(
    auth: AuthHandler, endpoints: Endpoints
) -> None:
    """By unanswered probes, and by data that is not acknowledged, on both sockets."""
    for url in (endpoints.push, endpoints.signaling):
        async with await connect_websocket(auth.session, url) as socket:
            keep_alive(socket, KeepalivePolicy().keepalive_after)
            tcp = socket.get_extra_info("socket")
            idle, interval, probes, unacknowledged = (
                tcp.getsockopt(sockets.IPPROTO_TCP, option)
                for option in (
                    sockets.TCP_KEEPIDLE,
                    sockets.TCP_KEEPINTVL,
                    sockets.TCP_KEEPCNT,
                    sockets.TCP_USER_TIMEOUT,
                )
            )
            assert tcp.getsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE)
        assert idle + interval * probes <= 60
        assert idle + 2 * interval <= unacknowledged / 1000 <= 60


async def test_socket_is_opened_with_these_options(auth: AuthHandler) -> None:
    """As soon as it is connected."""
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.socket._socket is not None
        tcp = client.socket._socket.get_extra_info("socket")
        assert tcp.getsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE)


async def test_missing_options_are_no_error(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other platforms lack some of them."""
    monkeypatch.delattr(sockets, "TCP_USER_TIMEOUT", raising=False)
    monkeypatch.delattr(sockets, "TCP_KEEPIDLE", raising=False)
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)


@pytest.mark.parametrize(("ping_every", "drops"), [(None, False), (PINGS, True)])
async def test_cloud_that_drops_clients_that_ping(
    auth: AuthHandler,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    ping_every: float | None,
    drops: bool,
) -> None:
    """The default policy keeps its connection; the other reconnects and still receives the ring."""
    simulator.sockets.drop_clients_that_ping = True
    assert await lost_connections(auth, simulator, monkeypatch, ping_every) == drops


@pytest.mark.parametrize(("ping_every", "drops"), [(None, True), (PINGS, False)])
async def test_cloud_that_drops_clients_that_do_not_ping(
    auth: AuthHandler,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    ping_every: float | None,
    drops: bool,
) -> None:
    """The other way round."""
    simulator.sockets.drop_clients_that_do_not_ping_within = SILENCE
    assert await lost_connections(auth, simulator, monkeypatch, ping_every) == drops


async def lost_connections(
    auth: AuthHandler,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    ping_every: float | None,
) -> int:
    """Return how many connections a channel loses in two minutes; then it must receive a ring."""
    received = asyncio.Event()
    channel = PushChannel(
        auth,
        keepalive=KeepalivePolicy(ping_every=ping_every),
        backoff=Backoff(first=0.01, longest=0.01),
    )
    channel.listen_pushes(lambda _: received.set())
    task = asyncio.create_task(channel.socket.run())
    await until(lambda: channel.is_online)
    (connection,) = simulator.connections
    for pings in range(1, 7):
        advance_loop(monkeypatch, PINGS + 1)
        if ping_every is not None:
            await until(lambda: connection.pings == pings)  # noqa: B023 - called at once
        await channel.socket.resubscribe()  # the answer comes after a pong or a drop
        if connection not in simulator.connections:
            break
    simulator.ring()
    await until(received.is_set)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return channel.socket.counters["connections_ended"]
