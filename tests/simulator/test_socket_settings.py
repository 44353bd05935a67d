import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import SocketSettings
from tests.simulator.actions import SOCKETS
from tests.simulator.paths import PUSH, SIGNALING
from tests.simulator.socket_client import OK, open_socket

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

SOON = 0.03  # seconds
CLOSE, CLOSED = aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED
CUT = (CLOSED, None)


def code(answer: Any) -> Any:
    """Return the error code of a response."""
    return answer["error"]["code"]


async def test_push_reaches_subscribed_push_connections(client: HttpClient, sim: Simulator) -> None:
    """All of them get any push, text or binary, and no other connection does."""
    async with (
        open_socket(client) as one,
        open_socket(client) as two,
        open_socket(client, subscribed=False) as late,
        open_socket(client, SIGNALING) as calls,
    ):
        sim.push({"push_type": "BNC1-new_user"}, home="h")
        for socket in (one, two):
            frame = await socket.frame()
            assert frame.pop("_id")
            assert frame == {"push_type": "BNC1-new_user", "extra_params": {"home_id": "h"}}
        sim.push_raw("{")
        sim.push_raw(b"\x00")
        assert (await one.ws.receive()).data == "{"
        assert (await one.ws.receive()) == aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, b"\x00", "")
        assert await calls.subscribe() == OK
        assert await late.subscribe() == OK
    pushed = [entry.body for entry in sim.journal if entry.method == "PUSH"]
    assert pushed[0] == {"kind": "new_user", "session": None, "connections": 2}
    assert len(pushed) == 3


async def test_connection_without_subscription(client: HttpClient, sim: Simulator) -> None:
    """It gets no push."""
    sim.sockets.pushes_stop_with_token = False
    async with open_socket(client, subscribed=False) as socket:
        await sim.journal.wait_for(PUSH)
        sim.ring()
        assert await socket.subscribe() == OK


async def test_pushes_can_be_left_out_of_journal(client: HttpClient, sim: Simulator) -> None:
    """Benchmarks turn them off."""
    async with open_socket(client) as socket:
        before = len(sim.journal)
        sim.journal_pushes = False
        sim.ring()
        await socket.frames(2)
        assert len(sim.journal) == before


async def test_connection_counters(client: HttpClient, sim: Simulator) -> None:
    """A connection counts subscriptions, pings and frames."""
    async with open_socket(client) as socket:
        await socket.subscribe()
        await socket.ws.ping()
        sim.ring()
        await socket.frames(2)
        (connection,) = sim.connections
        assert (connection.path, connection.subscribed, connection.subscriptions) == (PUSH, True, 2)
        assert (connection.pings, connection.frames_sent) == (1, 4)


async def test_filter_suppresses_calls(client: HttpClient, sim: Simulator) -> None:
    """A connection with a filter gets all pushes except calls."""
    async with open_socket(client, subscribed=False) as socket:
        await socket.subscribe(filter="silent")
        sim.miss(sim.ring())
        sim.unplug_bridge()
        assert (await socket.frame())["push_type"] == "BNC3-disconnection"


async def test_server_pings(client: HttpClient, sim: Simulator) -> None:
    """The cloud's pings can be turned on and off for open connections."""
    async with open_socket(client, autoping=False) as socket:
        sim.sockets.server_ping_every = 0.01
        for _ in range(2):
            message = await socket.ws.receive()
            assert message.type is aiohttp.WSMsgType.PING
        sim.sockets.server_ping_every = None
        await socket.ws.pong()
        await socket.send_subscription()
        while (message := await socket.ws.receive()).type is aiohttp.WSMsgType.PING:
            pass
        assert json.loads(message.data) == OK
        (connection,) = sim.connections
        assert connection.pongs == 1


async def test_drop_clients_that_ping(client: HttpClient, sim: Simulator) -> None:
    """A ping ends the connection, with or without a close frame."""
    sim.sockets.drop_clients_that_ping = True
    for close_code, ending in ((None, CUT), (1008, (CLOSE, 1008))):
        sim.sockets.close_code = close_code
        async with open_socket(client, autoclose=False) as socket:
            await socket.ws.ping()
            assert await socket.last_message() == ending


async def test_drop_clients_that_do_not_ping(client: HttpClient, sim: Simulator) -> None:
    """A connection without pings ends after the time-out; a ping restarts it."""
    sim.sockets.drop_clients_that_do_not_ping_within = 60
    async with open_socket(client) as quiet:
        (connection,) = sim.connections
        connection.last_client_ping -= 100
        async with open_socket(client, autoping=False) as lively:
            newest = max(sim.connections, key=lambda each: each.number)
            newest.last_client_ping -= 55
            await lively.ws.ping()
            assert (await lively.ws.receive()).type is aiohttp.WSMsgType.PONG
            sim.sockets.drop_clients_that_do_not_ping_within = 50
            assert await quiet.last_message() == CUT
            assert await lively.subscribe() == OK


@pytest.mark.parametrize("one", [True, False])
async def test_half_open(client: HttpClient, sim: Simulator, one: bool) -> None:
    """Nothing is sent, answered or closed: no response, push, pong or close frame."""
    async with open_socket(client, autoping=False, autoclose=False) as socket:
        if one:
            sim.stall_connections()
        else:
            sim.sockets.half_open = True
        sim.sockets.server_ping_every = 0.01
        sim.ring()
        await socket.send_subscription()
        await socket.ws.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.ws.receive(), SOON)
        assert len(sim.connections) == 1
        await sim.journal.wait_for(PUSH, count=5)
        assert sim.journal[-1].fault == "the connection is half open"
        assert sim.journal[-1].status is None
    if one:
        async with open_socket(client):
            pass


async def test_half_open_connection_ignores_close(client: HttpClient, sim: Simulator) -> None:
    """The client has to give up on its own."""
    async with open_socket(client) as socket:
        sim.stall_connections()
        await socket.ws.close()
        assert socket.ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_stalled_connection_recovers(client: HttpClient, sim: Simulator) -> None:
    """Pushes sent meanwhile are lost, later ones arrive."""
    async with open_socket(client) as socket:
        sim.sockets.half_open = True
        sim.ring()
        sim.sockets.half_open = False
        assert await socket.nothing_pending()


@pytest.mark.parametrize(("close_code", "ending"), [(None, CUT), (1011, (CLOSE, 1011))])
async def test_accept_then_close(
    client: HttpClient, sim: Simulator, close_code: int | None, ending: Any
) -> None:
    """A connection can end right after the handshake or the subscription."""
    sim.sockets.close_code = close_code
    sim.sockets.accept_then_close = "handshake"
    async with open_socket(client, subscribed=False, autoclose=False) as socket:
        assert await socket.last_message() == ending
    sim.sockets.accept_then_close = "subscribed"
    async with open_socket(client, autoclose=False) as socket:
        assert await socket.last_message() == ending


async def test_subscriptions_refused(client: HttpClient, sim: Simulator) -> None:
    """All or the first few are refused; the connection stays open without pushes."""
    sim.sockets.refuse_subscriptions = 11
    async with open_socket(client, subscribed=False) as socket:
        assert [code(await socket.subscribe()) for _ in range(2)] == [11, 11]
        sim.sockets.refuse_subscriptions, sim.sockets.refuse_first = 3, 1
        sim.ring()
        assert code(await socket.subscribe()) == 3
        assert sim.journal[-1].bad_token
        assert await socket.subscribe() == OK
    assert sim.sockets.refuse_first == 0


async def test_resubscriptions_refused(client: HttpClient, sim: Simulator) -> None:
    """Only the second subscription of a connection is refused."""
    sim.sockets.refuse_resubscriptions = 13
    async with open_socket(client) as socket:
        assert code(await socket.subscribe()) == 13
    async with open_socket(client):
        pass


async def test_ignored_subscriptions(client: HttpClient, sim: Simulator) -> None:
    """A subscription can have neither response nor effect."""
    sim.sockets.ignore_subscriptions = True
    async with open_socket(client, subscribed=False) as socket:
        await socket.send_subscription()
        await sim.journal.wait_for(PUSH, count=2)
        sim.ring()
        sim.sockets.ignore_subscriptions = False
        assert await socket.subscribe() == OK
    assert [entry.status for entry in sim.journal if entry.method == "FRAME"] == [None, 200]


async def test_handshake_refused(client: HttpClient, sim: Simulator) -> None:
    """A handshake can be refused with a status and Retry-After."""
    sim.sockets.handshake_status, sim.sockets.handshake_retry_after = 503, 30
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.session.ws_connect(sim.push_url)
    assert caught.value.status == 503
    assert caught.value.headers
    assert caught.value.headers["Retry-After"] == "30"
    sim.sockets.reset()
    async with open_socket(client):
        assert sim.sockets == SocketSettings()


async def test_handshake_delayed(client: HttpClient, sim: Simulator) -> None:
    """A handshake can be delayed, and does not delay `stop`."""
    sim.sockets.handshake_delay = 0.05
    started = time.monotonic()
    async with open_socket(client):
        assert time.monotonic() - started >= 0.05
    sim.sockets.handshake_delay = 600
    hanging = asyncio.create_task(client.session.ws_connect(sim.push_url))
    await sim.journal.wait_for(PUSH, count=3)
    await sim.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_close_connections(client: HttpClient, sim: Simulator) -> None:
    """The cloud closes with a close frame, after all queued frames."""
    async with open_socket(client, autoclose=False) as socket:
        sim.push_raw("bye")
        sim.close_connections(1012)
        assert (await socket.ws.receive()).data == "bye"
        assert await socket.last_message() == (CLOSE, 1012)


async def test_client_closes(client: HttpClient, sim: Simulator) -> None:
    """The close is answered, and the connection is removed."""
    async with open_socket(client) as socket:
        await socket.ws.close(code=1000)
        assert socket.ws.close_code == 1000
    async with open_socket(client):
        assert len(sim.connections) == 1


@pytest.mark.parametrize("end", ["expire_access_tokens", "revoke", "run out"])
async def test_pushes_stop_with_token(
    client: HttpClient, sim: Simulator, clock: Clock, end: str
) -> None:
    """A connection whose token has ended stays open but gets no pushes until it resubscribes."""
    async with open_socket(client) as socket:
        if end == "run out":
            clock.now += sim.account.token_lifetime or 0
        else:
            getattr(sim, end)()
        sim.ring()
        sim.sockets.pushes_stop_with_token = False
        assert await socket.nothing_pending()
        sim.sockets.pushes_stop_with_token = True
        await client.sign_in()
        assert await socket.subscribe() == OK
        assert await socket.nothing_pending()


async def test_newer_token_does_not_stop_pushes(client: HttpClient) -> None:
    """A refresh elsewhere has no effect; the connection can resubscribe with the new token."""
    async with open_socket(client) as socket:
        await client.renew()
        assert await socket.nothing_pending()
        assert await socket.subscribe() == OK


async def test_slow_client_delays_no_other(client: HttpClient, sim: Simulator) -> None:
    """A client that does not read delays neither other connections nor the controls."""
    async with open_socket(client, subscribed=False) as slow:
        assert await slow.subscribe() == OK
        connection = slow.ws._response.connection
        assert connection
        assert connection.transport
        connection.transport.pause_reading()
        async with open_socket(client) as quick:
            for _ in range(32):
                sim.push_raw("x" * 1_000_000)
                assert len((await quick.ws.receive()).data) == 1_000_000
            sent = {connection.number: connection.frames_sent for connection in sim.connections}
            assert len(set(sent.values())) == 2
        connection.transport.abort()


def test_operator_has_all_settings() -> None:
    """Every setting is an argument of the operator's action."""
    assert set(SOCKETS) == set(SocketSettings.names())
