"""go2rtc's HTTP API, as far as Home Assistant's own integration uses it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web
from PIL import Image

from dev.local_requests import local_requests
from tests.go2rtc.streams import Dialer, Stream, StreamError, retry_delay
from tests.go2rtc.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# The one that Home Assistant recommends, so that it has nothing to say about it. What the stand-in
# does is what 1.9.14 does.
VERSION: Final = "1.9.15"
SCHEMES: Final = ("exec", "ffmpeg", "http", "https", "httpx", "rtsp", "rtsps", "rtspx", "webrtc")
NOT_FOUND: Final = "stream not found"
PICTURE_TIMEOUT: Final = 30.0  # seconds
SHUTDOWN_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Preload:
    """A consumer that keeps the source of a stream connected."""

    stream: Stream
    query: str = "video&audio"


class Go2rtc:
    """The server; its sources are WHEP views, its consumers browsers."""

    host: str
    port: int
    dialer: Dialer

    def __init__(self, retry_delay: Callable[[int], float] = retry_delay) -> None:
        self.streams: dict[str, Stream] = {}
        self._retry_delay = retry_delay
        self._preloads: dict[str, Preload] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._replaced: list[Stream] = []
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Start listening; port 0 picks a free port. OSError: the port is in use."""
        runner = web.AppRunner(self._app(host), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self.host, self.port = runner, host, runner.addresses[0][1]
        self.dialer = Dialer(self._retry_delay)

    async def stop(self) -> None:
        """Stop listening, and close all connections without a word."""
        if self._runner is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in (*self.streams.values(), *self._replaced):
            await stream.close()
        await self._runner.cleanup()
        await self.dialer.session.close()
        self._runner = None
        self.streams.clear()
        self._preloads.clear()

    @property
    def url(self) -> str:
        """The address for Home Assistant's configuration."""
        return f"http://{self.host}:{self.port}/"

    def _app(self, host: str) -> web.Application:
        app = web.Application(middlewares=[local_requests(host)])
        app.router.add_get("/api", self._info)
        app.router.add_get("/api/schemes", self._schemes)
        app.router.add_get("/api/streams", self._get_streams)
        app.router.add_put("/api/streams", self._put_stream)
        app.router.add_delete("/api/streams", self._delete_stream)
        app.router.add_get("/api/preload", self._get_preloads)
        app.router.add_put("/api/preload", self._put_preload)
        app.router.add_delete("/api/preload", self._delete_preload)
        app.router.add_get("/api/frame.jpeg", self._picture)
        app.router.add_get("/api/ws", self._socket)
        return app

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"version": VERSION})

    async def _schemes(self, _: web.Request) -> web.Response:
        return web.json_response(SCHEMES)

    async def _get_streams(self, _: web.Request) -> web.Response:
        return web.json_response({name: each.as_json() for name, each in self.streams.items()})

    async def _put_stream(self, request: web.Request) -> web.Response:
        """Add a stream; one with the same name goes on for its consumers alone."""
        urls = request.query.getall("src")
        name = request.query.get("name", urls[0])
        if name in self.streams:
            self._replaced.append(self.streams[name])
        self.streams[name] = Stream(urls, self.dialer)
        return web.Response()

    async def _delete_stream(self, request: web.Request) -> web.Response:
        if (stream := self.streams.pop(request.query["src"], None)) is not None:
            self._replaced.append(stream)
        return web.Response()

    async def _get_preloads(self, _: web.Request) -> web.Response:
        return web.json_response({n: {"query": each.query} for n, each in self._preloads.items()})

    async def _put_preload(self, request: web.Request) -> web.Response:
        name = request.query["src"]
        if (stream := self.streams.get(name)) is None:
            return web.Response(status=404, text=NOT_FOUND)
        preload = Preload(stream=stream)
        try:
            await stream.add(preload)
        except StreamError as err:
            return web.Response(status=500, text=str(err))
        self._preloads[name] = preload
        return web.Response()

    async def _delete_preload(self, request: web.Request) -> web.Response:
        name = request.query["src"]
        if (preload := self._preloads.pop(name, None)) is None:
            return web.Response(status=404, text="streams: preload not found")
        await preload.stream.remove(preload)
        return web.Response()

    async def _picture(self, request: web.Request) -> web.Response:
        if (stream := self.streams.get(request.query["src"])) is None:
            return web.Response(status=404, text=NOT_FOUND)
        try:
            async with asyncio.timeout(PICTURE_TIMEOUT):
                frame = await stream.picture()
        except StreamError, TimeoutError:
            return web.Response()  # go2rtc only logs the error
        jpeg = BytesIO()
        Image.fromarray(frame.to_ndarray(format="rgb24")).save(jpeg, "JPEG")
        return web.Response(body=jpeg.getvalue(), content_type="image/jpeg")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        signaling = Signaling(self, socket, request.query.get("src", ""))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._create_task(signaling.handle(json.loads(message.data)))
        return socket

    def _create_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Signaling:
    """One socket: an offer in one of two forms, candidates, and the answer in the same form.

    Its end does not end the view.
    """

    def __init__(self, server: Go2rtc, socket: web.WebSocketResponse, name: str) -> None:
        self._server = server
        self._socket = socket
        self._name = name
        self._viewer: Viewer | None = None

    async def handle(self, message: dict[str, Any]) -> None:
        """Handle a message of the browser; errors are sent back."""
        kind, value = message["type"], message.get("value")
        match kind:
            case "webrtc/candidate":
                if self._viewer is not None:
                    await self._viewer.add_candidate(str(value or ""))
            case "webrtc" | "webrtc/offer":
                sdp = value["sdp"] if isinstance(value, dict) else str(value)
                try:
                    await self._view(kind, sdp)
                except StreamError as err:
                    await self._send("error", f"{kind}: {err}")

    async def _view(self, kind: str, offer: str) -> None:
        """Answer the offer; returns when the view has ended."""
        if (stream := self._server.streams.get(self._name)) is None:
            raise StreamError(NOT_FOUND)
        self._viewer = viewer = Viewer(stream)
        try:
            answer, candidates = await viewer.answer(offer)
            if kind == "webrtc":
                await self._send(kind, {"type": "answer", "sdp": answer})
            else:
                await self._send("webrtc/answer", answer)
            for candidate in candidates:
                await self._send("webrtc/candidate", candidate)
            await viewer.run()
        finally:
            await viewer.close()

    async def _send(self, kind: str, value: object) -> None:
        with suppress(ConnectionError):
            await self._socket.send_json({"type": kind, "value": value})
