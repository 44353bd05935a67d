"""One client's connection to one of the two WebSockets."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

if TYPE_CHECKING:
    from aiohttp import web

    from tests.simulator.socket_settings import SocketSettings

#: Seconds between checks whether the client of a half-open connection has closed it.
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """An encoded frame to send."""

    payload: bytes
    kind: WSMsgType = WSMsgType.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest:
    """A request to close the connection; without a code it is dropped."""

    code: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One connection; `opened_at` is by the cloud's clock, other times by the event loop's."""

    number: int
    path: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    settings: SocketSettings
    opened_at: float
    subscribed: bool = False
    #: Number of accepted subscriptions.
    subscriptions: int = 0
    #: Pings from the client.
    pings: int = 0
    #: Pongs from the client.
    pongs: int = 0
    frames_sent: int = 0
    #: The subscription filters out calls.
    filtered: bool = False
    #: Only this connection is half open; the settings can make all of them so.
    half_open: bool = False
    closing: bool = False
    token: str = field(default="", repr=False)
    last_server_ping: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    last_client_ping: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _outbox: asyncio.Queue[Frame | CloseRequest] = field(default_factory=asyncio.Queue, repr=False)

    @property
    def stalled(self) -> bool:
        """Return whether the connection is half open: nothing is sent or handled."""
        return self.half_open or self.settings.half_open

    def send(self, frame: Frame) -> None:
        """Queue a frame; never blocks."""
        self._outbox.put_nowait(frame)

    def close(self, code: int | None) -> None:
        """Close the connection after all queued frames; without a code it is dropped."""
        self._outbox.put_nowait(CloseRequest(code=code))

    def drop(self) -> None:
        """Abort the TCP connection without a close frame."""
        if self.transport is not None:
            self.transport.abort()

    def pinged(self) -> None:
        """Record a ping from the client."""
        self.pings += 1
        self.last_client_ping = asyncio.get_running_loop().time()

    async def write(self) -> None:
        """Send queued frames until the connection is closed."""
        with suppress(ConnectionError):
            while isinstance(item := await self._outbox.get(), Frame):
                await self.socket.send_frame(item.payload, item.kind)
                self.frames_sent += 1
            self.closing = True
            if item.code is None:
                self.drop()
            else:
                await self.socket.close(code=item.code)

    async def monitor(self) -> None:
        """Send the configured pings, and close the connection if the client's are missing."""
        loop = asyncio.get_running_loop()
        while True:
            settings = self.settings
            ping = _due(self.last_server_ping, None if self.stalled else settings.server_ping_every)
            silence = None if self.stalled else settings.drop_clients_that_do_not_ping_within
            drop = _due(self.last_client_ping, silence)
            now = loop.time()
            if drop <= now:
                self.close(settings.close_code)
                return
            if ping <= now:
                self.last_server_ping = now
                await self.socket.ping()
                continue
            first = min(ping, drop)
            await settings.changed(None if first == _NEVER else first - now)

    async def wait_closed(self) -> None:
        """Wait until the client has closed the connection."""
        while self.transport is not None and not self.transport.is_closing():  # noqa: ASYNC110 - the transport has no event for it
            await asyncio.sleep(POLL_SECONDS)


_NEVER = float("inf")


def _due(since: float, every: float | None) -> float:
    return _NEVER if every is None else since + every
