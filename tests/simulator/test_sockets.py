import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import Failure
from tests.simulator.listener import FRAMES
from tests.simulator.paths import PUSH, SIGNALING

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

BOTH = pytest.mark.parametrize("path", [PUSH, SIGNALING])


async def say(visitor: Visitor, path: str, **fields: Any) -> Any:
    """Send one subscribe frame on a new socket and return the answer."""
    frame = FRAMES[path] | {"access_token": visitor.access} | fields
    wire = {key: value for key, value in frame.items() if value is not None}
    async with visitor.session.ws_connect(visitor.sim.url + path) as socket:
        await socket.send_json(wire)
        return await socket.receive_json()


@BOTH
async def test_subscribed_line_stays_open(visitor: Visitor, sim: Simulator, path: str) -> None:
    """A socket takes its subscription, another one, and pings."""
    url = sim.push_url if path == PUSH else sim.signaling_url
    frame = FRAMES[path] | {"access_token": visitor.access}
    async with visitor.session.ws_connect(url, autoping=False) as socket:
        for _ in range(2):
            await socket.send_json(frame)
            assert await socket.receive_json() == {"status": "ok"}
        await socket.ping(b"there?")
        assert await socket.receive() == aiohttp.WSMessage(aiohttp.WSMsgType.PONG, b"there?", "")
        assert [(each.path, each.subscribed) for each in sim.connections] == [(path, True)]
    assert sim.violations == []
    assert [entry.method for entry in sim.journal] == ["GET", "FRAME", "FRAME"]
    assert sim.journal[0].status == 101
    assert visitor.access not in str(list(sim.journal))


@BOTH
async def test_bad_token(visitor: Visitor, sim: Simulator, path: str) -> None:
    """A token that is no good is code 2."""
    sim.expire_access_tokens()
    assert (await say(visitor, path))["error"]["code"] == 2
    assert sim.journal[-1].bad_token


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        {"action": "rtc"},
        {"app_type": "app_thermostat"},
        {"version": None},
        {"access_token": None},
        {"access_token": 4},
        {"token": "x"},
    ],
)
async def test_other_frames(
    visitor: Visitor, sim: Simulator, path: str, change: dict[str, Any]
) -> None:
    """A frame that is not exactly the subscription is refused and noted."""
    assert (await say(visitor, path, **change))["error"]["code"] == 21
    assert len(sim.violations) == 1


async def test_silent_filter_is_noted(visitor: Visitor, sim: Simulator) -> None:
    """The filter is taken, but it would hide the calls."""
    assert await say(visitor, PUSH, filter="silent") == {"status": "ok"}
    assert sim.violations == [f"{PUSH}: filter hides the calls"]


async def test_nonsense(visitor: Visitor, sim: Simulator) -> None:
    """What is no JSON is refused."""
    async with visitor.session.ws_connect(sim.push_url) as socket:
        await socket.send_bytes(b"ignored")
        await socket.send_str("{")
        assert (await socket.receive_json())["error"]["code"] == 21


async def test_outage_and_stop_cut_the_line(visitor: Visitor, sim: Simulator) -> None:
    """Lines end by themselves, with an outage and with the simulator."""
    for cut in (sim.drop_connections, sim.take_down):
        async with visitor.session.ws_connect(sim.push_url) as socket:
            cut()
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await visitor.session.ws_connect(sim.push_url)
    sim.bring_up()
    async with visitor.session.ws_connect(sim.push_url) as socket, asyncio.timeout(1):
        await sim.stop()
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
    assert sim.connections == set()


async def test_handshake_can_fail(visitor: Visitor, sim: Simulator) -> None:
    """Failures reach the sockets' handshake as well."""
    sim.fail(PUSH, Failure(status=503))
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await visitor.session.ws_connect(sim.push_url)
    assert caught.value.status == 503
