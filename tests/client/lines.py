"""A cloud whose socket follows a script per connection."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from types import TracebackType

type Script = Callable[[Line], Awaitable[None]]


@dataclass(slots=True)
class Line:
    """A connection as the cloud sees it."""

    socket: web.WebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)
    pings: int = 0
    pongs: int = 0

    async def receive(self) -> dict[str, Any]:
        """Return the next frame; ends the script when the client disconnects."""
        while True:
            message = await self.socket.receive()
            if message.type is WSMsgType.TEXT:
                self.frames.append(message.json())
                return self.frames[-1]
            if message.type is WSMsgType.PING:
                self.pings += 1
                await self.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.pongs += 1
            else:
                raise ConnectionResetError

    async def send(self, frame: object) -> None:
        """Send one frame."""
        await self.socket.send_json(frame)

    def cut(self) -> None:
        """End the connection without a close frame."""
        request = self.socket._req
        if request is not None and request.transport is not None:
            request.transport.abort()


async def obey(line: Line) -> None:
    """Confirm every subscription and send nothing else."""
    while True:
        await line.receive()
        await line.send({"status": "ok"})


def answering(*replies: object) -> Script:
    """Reply so to the first subscriptions (None: not at all, "close": disconnect), then obey."""

    async def script(line: Line) -> None:
        for reply in replies:
            await line.receive()
            if reply == "close":
                return
            if reply is not None:
                await line.send(reply)
        await obey(line)

    return script


def refused(code: int) -> dict[str, Any]:
    """Return the reply that refuses a subscription."""
    return {"error": {"code": code, "message": "no"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused handshake."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


class Cloud:
    """Runs one script per connection, the last one for all further connections."""

    def __init__(self, *scripts: Script | Refusal) -> None:
        self._scripts = list(scripts)
        self._runner: web.AppRunner | None = None
        self.lines: list[Line] = []
        self.handshakes = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/ws/", self._accept)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}/ws/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            for line in self.lines:
                line.cut()
            await self._runner.cleanup()

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        script = self._scripts[min(self.handshakes, len(self._scripts) - 1)]
        self.handshakes += 1
        if isinstance(script, Refusal):
            return web.Response(status=script.status, headers=script.headers)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        line = Line(socket)
        self.lines.append(line)
        with suppress(ConnectionResetError):  # the client went
            await script(line)
        await socket.close()
        return socket
