"""The stand-in for go2rtc relays the stream address of a camera to any number of browsers."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
import signal
import sys
from typing import TYPE_CHECKING, override

import aiohttp
from go2rtc_client import Go2RtcRestClient
from go2rtc_client.ws import (
    Go2RtcWsClient,
    ReceiveMessages,
    WebRTCAnswer,
    WebRTCCandidate,
    WebRTCOffer,
    WsError,
)
from homeassistant.components.camera import DATA_COMPONENT, Camera, CameraEntityFeature
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.live import whep
from custom_components.bticino_classe.live.relays import RelayOptions
from tests.conftest import HANG_TIMEOUT
from tests.go2rtc.browser import Browser
from tests.go2rtc.server import VERSION, Go2rtc
from tests.integration.conftest import get_entry, wait_idle, wait_until
from tests.integration.live.browser_client import open_session
from tests.integration.live.conftest import ring_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.integration.live.whep_client import Whep
    from tests.simulator import Simulator

ROOT = Path(__file__).parents[3]
NAME = "street"


class RefusedError(Exception):
    """The stand-in has sent an error instead of an answer."""


@pytest.fixture(autouse=True)
def intercom(
    simulator: Simulator,
    quick_candidates: None,  # noqa: ARG001 - sets the same constant
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Give the intercom video and audio; there are only loopback addresses to wait for."""
    simulator.rtc.settings.peer, simulator.rtc.settings.audio_requires = "real", "sendrecv"
    monkeypatch.setattr(whep, "GATHER_SECONDS", 0.01)


@pytest.fixture(name="server")
async def _server(relay: Whep) -> AsyncIterator[Go2rtc]:
    """A go2rtc with the stream address of the street's camera, that tries again soon."""
    server = Go2rtc(retry_delay=lambda _: 0.01)
    await server.start()
    address = f"webrtc:{relay.http.make_url(relay.path)}"
    client = Go2RtcRestClient(server.dialer.session, server.url)
    await client.streams.add(NAME, [address, f"ffmpeg:{NAME}#audio=opus"])
    yield server
    await server.stop()


@asynccontextmanager
async def watching(server: Go2rtc, name: str = NAME) -> AsyncIterator[Browser]:
    """A browser that watches a stream through the library that Home Assistant uses."""
    browser = Browser()
    messages: asyncio.Queue[ReceiveMessages] = asyncio.Queue()
    socket = Go2RtcWsClient(server.dialer.session, server.url, source=name)
    socket.subscribe(messages.put_nowait)
    try:
        async with asyncio.timeout(HANG_TIMEOUT):
            await socket.send(WebRTCOffer(await browser.offer(), []))
            answer = await messages.get()
            if isinstance(answer, WsError):
                raise RefusedError(answer.error)
            assert isinstance(answer, WebRTCAnswer)
            await browser.set_answer(answer.sdp)
            candidate = await messages.get()
            assert isinstance(candidate, WebRTCCandidate)
            await browser.add_candidate(candidate.candidate)
            yield browser
    finally:
        await socket.close()
        await browser.close()


async def refusal(server: Go2rtc, name: str = NAME) -> str:
    """Return the error that a browser gets."""
    with pytest.raises(RefusedError) as caught:
        async with watching(server, name):
            pass
    return str(caught.value)


def is_left(simulator: Simulator) -> bool:
    """Whether the other side has closed the connection of the only open session."""
    return bool(open_session(simulator).peer._connection.connectionState == "closed")


async def test_several_browsers_one_call(server: Go2rtc, simulator: Simulator) -> None:
    """Each sees and hears; the source goes on while one is left, and is closed with the last."""
    async with watching(server) as first:
        await first.see()
        async with watching(server) as second, watching(server) as third:
            await second.see()
            await third.see()
            await third.hear()
        await first.see()
        assert not is_left(simulator)
    await wait_until(lambda: is_left(simulator))
    assert server.dialer.attempts == 1
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 0)
    async with watching(server) as again:
        await again.see()
    assert (server.dialer.attempts, simulator.rtc.offers) == (2, 2)


async def test_source_that_ends(hass: HomeAssistant, server: Go2rtc, simulator: Simulator) -> None:
    """It is connected again while there are browsers, which go on."""
    get_entry(hass).runtime_data.live.relays.limits.options = RelayOptions(pause_seconds=0.0)
    async with watching(server) as first, watching(server) as second:
        await first.see()
        simulator.rtc.device_error(open_session(simulator), 0)
        await simulator.rtc.wait_for(lambda: simulator.rtc.offers == 2)
        await wait_until(lambda: simulator.rtc.open)
        await first.see()
        await second.see()
        await second.hear()


async def test_refused(hass: HomeAssistant, server: Go2rtc, simulator: Simulator) -> None:
    """The status does not count: the body is no SDP. The address is in some messages."""
    assert await refusal(server, "yard") == "webrtc: stream not found"
    await ring_and_wait(hass, simulator)
    assert await refusal(server) == 'webrtc: streams: sdp: syntax error at pos 1: "\\""'
    client = Go2RtcRestClient(server.dialer.session, server.url)
    await client.streams.add("none", "webrtc:http://127.0.0.1:9/whep")
    reason = 'Post "http://127.0.0.1:9/whep": dial tcp 127.0.0.1:9: connect: connection refused'
    assert await refusal(server, "none") == f"webrtc: streams: {reason}"


async def test_stream_is_put_again(server: Go2rtc) -> None:
    """The URL of a connected source lacks `webrtc:`; a stream that is added again has another."""
    client = Go2RtcRestClient(server.dialer.session, server.url)

    async def url() -> str:
        (producer, _) = (await client.streams.list())[NAME].producers
        return producer.url

    before = await url()
    async with watching(server) as browser:
        await browser.see()
        assert f"webrtc:{await url()}" == before
        await client.streams.add(NAME, [before, "ffmpeg:"])
        assert await url() == before
        await browser.see()


async def test_preload_and_picture(server: Go2rtc, simulator: Simulator) -> None:
    """Both connect the source; only a preload keeps it."""
    client = Go2RtcRestClient(server.dialer.session, server.url)
    assert (await client.get_jpeg_snapshot(NAME)).startswith(b"\xff\xd8")
    await wait_until(lambda: is_left(simulator))
    await client.preload.enable(NAME)
    assert [*await client.preload.list()] == [NAME]
    async with watching(server) as browser:
        await browser.see()
    assert not is_left(simulator)
    await client.preload.disable(NAME)
    await wait_until(lambda: is_left(simulator))
    assert (server.dialer.attempts, await client.preload.list()) == (2, {})


class RelayedCamera(Camera):
    """A camera for which Home Assistant asks go2rtc."""

    _attr_name = "Relayed"
    _attr_supported_features = CameraEntityFeature.STREAM

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    @override
    async def stream_source(self) -> str:
        """Return the stream address."""
        return self._source


async def test_in_home_assistant(
    hass: HomeAssistant,
    server: Go2rtc,
    relay: Whep,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """Its own integration accepts the stand-in and passes a view on; it reports no issue."""
    camera = RelayedCamera(f"webrtc:{relay.http.make_url(relay.path)}")
    assert await async_setup_component(hass, "go2rtc", {"go2rtc": {"url": server.url}})
    await wait_idle(hass)
    await hass.data[DATA_COMPONENT].async_add_entities([camera])
    assert [issue for issue in ir.async_get(hass).issues.values() if issue.domain == "go2rtc"] == []
    browser = Browser()
    client = await hass_ws_client(hass)
    offer = {"entity_id": "camera.relayed", "offer": await browser.offer()}
    await client.send_json_auto_id({"type": "camera/webrtc/offer", **offer})
    async with asyncio.timeout(HANG_TIMEOUT):
        assert (await client.receive_json())["success"]
        events = [(await client.receive_json())["event"] for _ in range(3)]
        assert [event["type"] for event in events] == ["session", "answer", "candidate"]
        await browser.set_answer(events[1]["answer"])
        await browser.add_candidate(events[2]["candidate"]["candidate"])
        await browser.see()
        await browser.hear()
    await browser.close()
    await wait_until(lambda: is_left(simulator))
    await client.close()


@pytest.mark.usefixtures("socket_enabled")
async def test_process() -> None:
    """It prints its address, and ends with a signal."""
    command = (sys.executable, "-m", "tests.go2rtc", "--port", "0")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    async with asyncio.timeout(HANG_TIMEOUT), aiohttp.ClientSession() as session:
        url = (await process.stdout.readline()).decode().removeprefix("go2rtc: ").strip()
        assert await Go2RtcRestClient(session, url).validate_server_version() == VERSION
        process.send_signal(signal.SIGTERM)
        assert await process.communicate() == (b"", b"")
    assert process.returncode == 0
