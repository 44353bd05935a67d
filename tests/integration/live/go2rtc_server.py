"""A stand-in for a go2rtc server: its HTTP API as far as Home Assistant's integration uses it.

It pulls a stream once for any number of consumers, by its signaling with its captured offer. No
media.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import ClientError, ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.setup import async_setup_component

from tests.integration.conftest import get_entry, wait_idle
from tests.integration.live.browser_client import STREET
from tests.integration.live.whep_client import relay_offer
from tests.integration.test_options import submit_options

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from homeassistant.components.camera import Camera
    from homeassistant.core import HomeAssistant

    from tests.go2rtc.server import Go2rtc


@dataclass(slots=True)
class Stream:
    """A stream; `can_talk`: the source takes the sound of its consumers."""

    sources: list[str]
    consumers: set[web.WebSocketResponse] = field(default_factory=set)
    can_talk: bool = False

    @property
    def urls(self) -> list[str]:
        """What the API shows of the sources: of a connected one, its own address."""
        connected = [self.address] if self.consumers else self.sources[:1]
        return [*connected, *self.sources[1:]]

    @property
    def address(self) -> str:
        """The address of the first source."""
        return self.sources[0].removeprefix("webrtc:")


class Go2rtcServer:
    """A server; `schemes` is what it can pull, `requests` counts what was requested.

    `is_sending` says whether the source of a stream still sends.
    """

    def __init__(self, is_sending: Callable[[], object]) -> None:
        self._is_sending = is_sending
        self.schemes = ["webrtc", "rtsp", "ffmpeg"]
        self.streams: dict[str, Stream] = {}
        self.preloads: set[str] = set()
        self.requests: Counter[str] = Counter()
        self.hold: asyncio.Event | None = None  # set it to respond
        self.refuses_streams = False
        self._sockets: list[web.WebSocketResponse] = []
        app = web.Application(middlewares=[self._count])
        app.add_routes(
            [
                web.get("/api", self._info),
                web.get("/api/schemes", self._schemes),
                web.get("/api/streams", self._list),
                web.put("/api/streams", self._add),
                web.get("/api/preload", self._list_preloads),
                web.put("/api/preload", self._enable_preload),
                web.delete("/api/preload", self._disable_preload),
                web.get("/api/ws", self._consume),
            ]
        )
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server(access_log=None)  # which would contain the secrets
        self.session = ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.restart()
        await self.session.close()
        await self._server.close()

    @property
    def url(self) -> str:
        """The address of the server."""
        return str(self._server.make_url("/"))

    @property
    def stream(self) -> Stream:
        """The only stream."""
        (found,) = self.streams.values()
        return found

    async def restart(self) -> None:
        """Forget the streams, as a server does that is restarted."""
        for socket in self._sockets:
            await socket.close()
        self.streams.clear()

    async def pull(self, stream: Stream) -> str | None:
        """Begin a view, as for a first consumer or to reconnect; returns the error."""
        try:
            async with self.session.ws_connect(stream.address) as socket:
                await socket.send_json({"type": "webrtc/offer", "value": relay_offer("two_way")})
                answer = await socket.receive_json()
        except ClientError as err:
            return f"webrtc: {err}"
        if answer["type"] != "webrtc/answer":
            return f"wrong answer: {answer['value']}"
        stream.can_talk = "a=recvonly" in answer["value"]
        return None

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> Any:
        self.requests[f"{request.method} {request.path}"] += 1
        if self.hold is not None:
            await self.hold.wait()
        return await handler(request)

    async def _info(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": "1.9.14"})

    async def _schemes(self, _request: web.Request) -> web.Response:
        return web.json_response(self.schemes)

    async def _list(self, _request: web.Request) -> web.Response:
        found = {
            name: {"producers": [{"url": url} for url in stream.urls]}
            for name, stream in self.streams.items()
        }
        return web.json_response(found)

    async def _add(self, request: web.Request) -> web.Response:
        if self.refuses_streams:
            return web.Response(status=400, text="wrong source")
        self.streams[request.query["name"]] = Stream(request.query.getall("src"))
        return web.Response()

    async def _list_preloads(self, _request: web.Request) -> web.Response:
        return web.json_response({name: {"query": "video"} for name in self.preloads})

    async def _enable_preload(self, request: web.Request) -> web.Response:
        name = request.query["src"]
        self.preloads.add(name)
        await self.pull(self.streams[name])
        return web.Response()

    async def _disable_preload(self, request: web.Request) -> web.Response:
        self.preloads.discard(request.query["src"])
        return web.Response()

    async def _consume(self, request: web.Request) -> web.WebSocketResponse:
        """Serve a consumer; the session of the last one is dropped without a word."""
        socket, stream = web.WebSocketResponse(), self.streams[request.query["src"]]
        await socket.prepare(request)
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.json()["type"] == "webrtc":
                await socket.send_json(await self._answer(socket, stream))
        stream.consumers.discard(socket)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, stream: Stream) -> dict[str, Any]:
        is_running = stream.consumers and self._is_sending()
        error = None if is_running else await self.pull(stream)
        if error is not None:
            return {"type": "error", "value": error}
        stream.consumers.add(socket)
        return {"type": "webrtc", "value": {"type": "answer", "sdp": "v=0\r\n"}}


async def set_up_go2rtc(hass: HomeAssistant, server: Go2rtcServer | Go2rtc) -> None:
    """Set up Home Assistant's go2rtc with a server."""
    assert await async_setup_component(hass, "go2rtc", {"go2rtc": {"url": server.url}})
    await hass.async_block_till_done()


async def choose_cameras(hass: HomeAssistant, *modules: str) -> None:
    """Choose the cameras that go2rtc serves in the options."""
    assert await submit_options(hass, get_entry(hass), go2rtc_cameras=list(modules)) == {}
    await wait_idle(hass)


def camera_entity(hass: HomeAssistant, entity_id: str = STREET) -> Camera:
    """Return a camera."""
    found = hass.data[DATA_COMPONENT].get_entity(entity_id)
    assert found is not None
    return found


def is_relayed(hass: HomeAssistant, entity_id: str = STREET) -> bool:
    """Whether go2rtc serves a camera."""
    provider = camera_entity(hass, entity_id).webrtc_provider
    return provider is not None and provider.domain == "go2rtc"


def source_of(hass: HomeAssistant, entity_id: str = STREET) -> str:
    """Return the source of a camera that go2rtc serves."""
    go2rtc = get_entry(hass).runtime_data.live.go2rtc
    unique_id = (camera_entity(hass, entity_id).unique_id or "").removesuffix("-camera")
    (module_id,) = [each for each in go2rtc.chosen if unique_id.endswith(each)]
    found: str | None = go2rtc.async_source(entity_id, module_id)
    assert found is not None
    return found
