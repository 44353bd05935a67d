import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator import Failure
from tests.simulator.paths import PUSH, SIGNALING
from tests.simulator.socket_client import FRAMES

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

BOTH = pytest.mark.parametrize("path", [PUSH, SIGNALING])


async def subscribe(client: HttpClient, path: str, **fields: Any) -> Any:
    """Send one subscribe frame on a new connection and return the response."""
    frame = FRAMES[path] | {"access_token": client.access} | fields
    wire = {key: value for key, value in frame.items() if value is not None}
    async with client.session.ws_connect(client.sim.url + path) as socket:
        await socket.send_json(wire)
        return await socket.receive_json()


@BOTH
async def test_subscribed_connection_stays_open(
    client: HttpClient, sim: Simulator, path: str
) -> None:
    """A connection accepts another subscription, and pings."""
    url = sim.push_url if path == PUSH else sim.signaling_url
    frame = FRAMES[path] | {"access_token": client.access}
    async with client.session.ws_connect(url, autoping=False) as socket:
        for _ in range(2):
            await socket.send_json(frame)
            assert await socket.receive_json() == {"status": "ok"}
        await socket.ping(b"there?")
        assert await socket.receive() == aiohttp.WSMessage(aiohttp.WSMsgType.PONG, b"there?", "")
        assert [(each.path, each.subscribed) for each in sim.connections] == [(path, True)]
    assert sim.violations == []
    assert [entry.method for entry in sim.journal] == ["GET", "FRAME", "FRAME"]
    assert sim.journal[0].status == 101
    assert client.access not in str(list(sim.journal))


@BOTH
async def test_invalid_token(client: HttpClient, sim: Simulator, path: str) -> None:
    """An invalid token is code 2."""
    sim.expire_access_tokens()
    assert (await subscribe(client, path))["error"]["code"] == 2
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
async def test_invalid_frames(
    client: HttpClient, sim: Simulator, path: str, change: dict[str, Any]
) -> None:
    """A frame other than the exact subscription is refused as a violation."""
    assert (await subscribe(client, path, **change))["error"]["code"] == 21
    assert len(sim.violations) == 1


async def test_silent_filter_is_violation(client: HttpClient, sim: Simulator) -> None:
    """The filter is accepted, but it suppresses calls."""
    assert await subscribe(client, PUSH, filter="silent") == {"status": "ok"}
    assert sim.violations == [f"{PUSH}: filter suppresses calls"]


async def test_invalid_json(client: HttpClient, sim: Simulator) -> None:
    """Text that is not JSON is refused; binary frames are ignored."""
    async with client.session.ws_connect(sim.push_url) as socket:
        await socket.send_bytes(b"ignored")
        await socket.send_str("{")
        assert (await socket.receive_json())["error"]["code"] == 21


async def test_outage_and_stop_end_connections(client: HttpClient, sim: Simulator) -> None:
    """Connections are dropped by an outage and by `stop`."""
    for cut in (sim.drop_connections, sim.take_down):
        async with client.session.ws_connect(sim.push_url) as socket:
            cut()
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.session.ws_connect(sim.push_url)
    sim.bring_up()
    async with client.session.ws_connect(sim.push_url) as socket, asyncio.timeout(30):
        await sim.stop()
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
    assert sim.connections == set()


async def test_handshake_failure(client: HttpClient, sim: Simulator) -> None:
    """Injected failures also apply to handshakes."""
    sim.fail(PUSH, Failure(status=503))
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.session.ws_connect(sim.push_url)
    assert caught.value.status == 503
