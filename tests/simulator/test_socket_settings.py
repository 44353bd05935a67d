import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import SocketSettings
from tests.simulator.actions import SOCKETS
from tests.simulator.listener import OK, listen
from tests.simulator.paths import PUSH, SIGNALING

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

SOON = 0.03  # seconds
CLOSE, CLOSED = aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED
CUT = (CLOSED, None)


def code(answer: Any) -> Any:
    """Return the error code of an answer."""
    return answer["error"]["code"]


async def test_all_subscribed_push_lines_and_no_others(visitor: Visitor, sim: Simulator) -> None:
    """A push goes to each connection that has subscribed for pushes, whatever it is made of."""
    async with (
        listen(visitor) as one,
        listen(visitor) as two,
        listen(visitor, subscribed=False) as late,
        listen(visitor, SIGNALING) as calls,
    ):
        sim.push({"push_type": "BNC1-new_user"}, home="h")
        for listener in (one, two):
            frame = await listener.frame()
            assert frame.pop("_id")
            assert frame == {"push_type": "BNC1-new_user", "extra_params": {"home_id": "h"}}
        sim.push_raw("{")
        sim.push_raw(b"\x00")
        assert (await one.socket.receive()).data == "{"
        assert (await one.socket.receive()) == aiohttp.WSMessage(
            aiohttp.WSMsgType.BINARY, b"\x00", ""
        )
        assert await calls.subscribe() == OK
        assert await late.subscribe() == OK
    pushed = [entry.body for entry in sim.journal if entry.method == "PUSH"]
    assert pushed[0] == {"kind": "new_user", "session": None, "connections": 2}
    assert len(pushed) == 3


async def test_line_without_subscription(visitor: Visitor, sim: Simulator) -> None:
    """Who has not subscribed gets nothing, whatever the token would have allowed."""
    sim.sockets.pushes_stop_with_token = False
    async with listen(visitor, subscribed=False) as listener:
        await sim.journal.wait_for(PUSH)
        sim.ring()
        assert await listener.subscribe() == OK


async def test_pushes_can_be_left_out_of_the_journal(visitor: Visitor, sim: Simulator) -> None:
    """A benchmark need not keep them."""
    async with listen(visitor) as listener:
        before = len(sim.journal)
        sim.journal_pushes = False
        sim.ring()
        await listener.frames(2)
        assert len(sim.journal) == before


async def test_lines_can_be_looked_at(visitor: Visitor, sim: Simulator) -> None:
    """Each connection tells what came and went on it."""
    async with listen(visitor) as listener:
        await listener.subscribe()
        await listener.socket.ping()
        sim.ring()
        await listener.frames(2)
        (connection,) = sim.connections
        assert (connection.path, connection.subscribed, connection.subscriptions) == (PUSH, True, 2)
        assert (connection.pings, connection.frames_sent) == (1, 4)


async def test_filter_hides_the_calls(visitor: Visitor, sim: Simulator) -> None:
    """A connection that filters hears all but calls."""
    async with listen(visitor, subscribed=False) as listener:
        await listener.subscribe(filter="silent")
        sim.miss(sim.ring())
        sim.unplug_bridge()
        assert (await listener.frame())["push_type"] == "BNC3-disconnection"


async def test_server_pings(visitor: Visitor, sim: Simulator) -> None:
    """The cloud pings as soon as it is told to, also on connections that are open, and can stop."""
    async with listen(visitor, autoping=False) as listener:
        sim.sockets.server_ping_every = 0.01
        for _ in range(2):
            message = await listener.socket.receive()
            assert message.type is aiohttp.WSMsgType.PING
        sim.sockets.server_ping_every = None
        await listener.socket.pong()
        await listener.ask()
        while (message := await listener.socket.receive()).type is aiohttp.WSMsgType.PING:
            pass
        assert json.loads(message.data) == OK
        (connection,) = sim.connections
        assert connection.pongs == 1


async def test_clients_that_ping_are_dropped(visitor: Visitor, sim: Simulator) -> None:
    """A ping costs the connection, with or without a word."""
    sim.sockets.drop_clients_that_ping = True
    for close_code, ending in ((None, CUT), (1008, (CLOSE, 1008))):
        sim.sockets.close_code = close_code
        async with listen(visitor, autoclose=False) as listener:
            await listener.socket.ping()
            assert await listener.ending() == ending


async def test_clients_that_do_not_ping_are_dropped(visitor: Visitor, sim: Simulator) -> None:
    """A connection without pings ends in time, and a ping buys it more."""
    sim.sockets.drop_clients_that_do_not_ping_within = 60
    async with listen(visitor) as quiet:
        (connection,) = sim.connections
        connection.heard_at -= 100
        async with listen(visitor, autoping=False) as lively:
            newest = max(sim.connections, key=lambda each: each.number)
            newest.heard_at -= 55
            await lively.socket.ping()
            assert (await lively.socket.receive()).type is aiohttp.WSMsgType.PONG
            sim.sockets.drop_clients_that_do_not_ping_within = 50
            assert await quiet.ending() == CUT
            assert await lively.subscribe() == OK


@pytest.mark.parametrize("one", [True, False])
async def test_half_open(visitor: Visitor, sim: Simulator, one: bool) -> None:
    """Nothing passes and nothing closes: no answer, no push, no pong, no reply to a close."""
    async with listen(visitor, autoping=False, autoclose=False) as listener:
        if one:
            sim.stall_connections()
        else:
            sim.sockets.half_open = True
        sim.sockets.server_ping_every = 0.01
        sim.ring()
        await listener.ask()
        await listener.socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listener.socket.receive(), SOON)
        assert len(sim.connections) == 1
        await sim.journal.wait_for(PUSH, count=5)
        assert sim.journal[-1].fault == "the connection is half open"
        assert sim.journal[-1].status is None
    if one:
        async with listen(visitor):
            pass


async def test_half_open_line_does_not_answer_a_close(visitor: Visitor, sim: Simulator) -> None:
    """The client has to give up by itself."""
    async with listen(visitor) as listener:
        sim.stall_connections()
        await listener.socket.close()
        assert listener.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_line_comes_back_to_life(visitor: Visitor, sim: Simulator) -> None:
    """What was pushed meanwhile is lost, what comes after is not."""
    async with listen(visitor) as listener:
        sim.sockets.half_open = True
        sim.ring()
        sim.sockets.half_open = False
        assert await listener.nothing_before()


@pytest.mark.parametrize(("close_code", "ending"), [(None, CUT), (1011, (CLOSE, 1011))])
async def test_accept_then_close(
    visitor: Visitor, sim: Simulator, close_code: int | None, ending: Any
) -> None:
    """A connection can end right after the handshake or right after its `ok`."""
    sim.sockets.close_code = close_code
    sim.sockets.accept_then_close = "handshake"
    async with listen(visitor, subscribed=False, autoclose=False) as listener:
        assert await listener.ending() == ending
    sim.sockets.accept_then_close = "subscribed"
    async with listen(visitor, autoclose=False) as listener:
        assert await listener.ending() == ending


async def test_subscriptions_refused(visitor: Visitor, sim: Simulator) -> None:
    """All are refused, or the first few; the connection stays open and hears nothing."""
    sim.sockets.refuse_subscriptions = 11
    async with listen(visitor, subscribed=False) as listener:
        assert [code(await listener.subscribe()) for _ in range(2)] == [11, 11]
        sim.sockets.refuse_subscriptions, sim.sockets.refuse_first = 3, 1
        sim.ring()
        assert code(await listener.subscribe()) == 3
        assert sim.journal[-1].bad_token
        assert await listener.subscribe() == OK
    assert sim.sockets.refuse_first == 0


async def test_resubscriptions_refused(visitor: Visitor, sim: Simulator) -> None:
    """Only the second subscription of a connection is refused."""
    sim.sockets.refuse_resubscriptions = 13
    async with listen(visitor) as listener:
        assert code(await listener.subscribe()) == 13
    async with listen(visitor):
        pass


async def test_silent(visitor: Visitor, sim: Simulator) -> None:
    """A subscription may get neither answer nor effect."""
    sim.sockets.silent = True
    async with listen(visitor, subscribed=False) as listener:
        await listener.ask()
        await sim.journal.wait_for(PUSH, count=2)
        sim.ring()
        sim.sockets.silent = False
        assert await listener.subscribe() == OK
    assert [entry.status for entry in sim.journal if entry.method == "FRAME"] == [None, 200]


async def test_handshake_refused(visitor: Visitor, sim: Simulator) -> None:
    """The handshake can be refused with a status and a Retry-After."""
    sim.sockets.handshake_status, sim.sockets.handshake_retry_after = 503, 30
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await visitor.session.ws_connect(sim.push_url)
    assert caught.value.status == 503
    assert caught.value.headers
    assert caught.value.headers["Retry-After"] == "30"
    sim.sockets.reset()
    async with listen(visitor):
        assert sim.sockets == SocketSettings()


async def test_handshake_delayed(visitor: Visitor, sim: Simulator) -> None:
    """The handshake can be slow, and does not hold up the end."""
    sim.sockets.handshake_delay = 0.05
    begun = time.monotonic()
    async with listen(visitor):
        assert time.monotonic() - begun >= 0.05
    sim.sockets.handshake_delay = 600
    hanging = asyncio.create_task(visitor.session.ws_connect(sim.push_url))
    await sim.journal.wait_for(PUSH, count=3)
    await sim.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_all_lines_closed(visitor: Visitor, sim: Simulator) -> None:
    """The cloud can close in due form, after what it still had to say."""
    async with listen(visitor, autoclose=False) as listener:
        sim.push_raw("bye")
        sim.close_connections(1012)
        assert (await listener.socket.receive()).data == "bye"
        assert await listener.ending() == (CLOSE, 1012)


async def test_client_that_closes_is_gone(visitor: Visitor, sim: Simulator) -> None:
    """A close is answered, and the connection is no longer among the open ones."""
    async with listen(visitor) as listener:
        await listener.socket.close(code=1000)
        assert listener.socket.close_code == 1000
    async with listen(visitor):
        assert len(sim.connections) == 1


@pytest.mark.parametrize("end", ["expire_access_tokens", "revoke", "run out"])
async def test_pushes_stop_with_the_token(
    visitor: Visitor, sim: Simulator, clock: Clock, end: str
) -> None:
    """A connection whose token has ended stays open but gets no pushes until it resubscribes."""
    async with listen(visitor) as listener:
        if end == "run out":
            clock.now += sim.account.token_lifetime or 0
        else:
            getattr(sim, end)()
        sim.ring()
        sim.sockets.pushes_stop_with_token = False
        assert await listener.nothing_before()
        sim.sockets.pushes_stop_with_token = True
        await visitor.sign_in()
        assert await listener.subscribe() == OK
        assert await listener.nothing_before()


async def test_newer_token_does_not_end_a_line(visitor: Visitor) -> None:
    """A refresh elsewhere leaves the connection as it is; the new token is taken on it."""
    async with listen(visitor) as listener:
        await visitor.renew()
        assert await listener.nothing_before()
        assert await listener.subscribe() == OK


async def test_slow_client_holds_up_nobody(visitor: Visitor, sim: Simulator) -> None:
    """Whoever does not read delays no other connection, and no control."""
    async with listen(visitor, subscribed=False) as slow:
        assert await slow.subscribe() == OK
        connection = slow.socket._response.connection
        assert connection
        assert connection.transport
        connection.transport.pause_reading()
        async with listen(visitor) as quick:
            for _ in range(32):
                sim.push_raw("x" * 1_000_000)
                assert len((await quick.socket.receive()).data) == 1_000_000
            sent = {connection.number: connection.frames_sent for connection in sim.connections}
            assert len(set(sent.values())) == 2
        connection.transport.abort()


def test_operator_can_set_everything() -> None:
    """Every setting has its place in the operator's action."""
    assert set(SOCKETS) == set(SocketSettings.names())
