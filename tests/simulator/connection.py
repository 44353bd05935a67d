"""The open connections of the two sockets."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

if TYPE_CHECKING:
    from aiohttp import web

    from tests.simulator.socket_settings import SocketSettings

#: Seconds between two looks at a half-open connection whose client wants to go.
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Something to send, ready for the wire."""

    payload: bytes
    kind: WSMsgType = WSMsgType.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The cloud closes the connection; without a code it is cut."""

    code: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One client on one socket; what is pushed goes to those who have subscribed.

    `opened_at` is by the cloud's clock; the other times are those of the event loop.
    """

    number: int
    path: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    settings: SocketSettings
    opened_at: float
    subscribed: bool = False
    #: Subscriptions that were answered `ok`.
    subscriptions: int = 0
    #: The client's pings.
    pings: int = 0
    #: The client's answers to the cloud's pings.
    pongs: int = 0
    frames_sent: int = 0
    #: It asked to be spared the calls.
    filtered: bool = False
    #: This one connection is dead, whatever the settings say of all.
    half_open: bool = False
    ending: bool = False
    token: str = field(default="", repr=False)
    pinged_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    heard_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _outbox: asyncio.Queue[Frame | Ending] = field(default_factory=asyncio.Queue, repr=False)

    @property
    def dead(self) -> bool:
        """Tell whether nothing passes, though it looks open."""
        return self.half_open or self.settings.half_open

    def send(self, frame: Frame) -> None:
        """Send a frame after those before it; a slow client holds up nobody else."""
        self._outbox.put_nowait(frame)

    def close(self, code: int | None) -> None:
        """Close the connection once everything before is sent; without a code it is cut."""
        self._outbox.put_nowait(Ending(code=code))

    def drop(self) -> None:
        """End the connection without a word, as an outage does."""
        if self.transport is not None:
            self.transport.abort()

    def pinged(self) -> None:
        """Note a ping of the client's."""
        self.pings += 1
        self.heard_at = asyncio.get_running_loop().time()

    async def write(self) -> None:
        """Send what is queued, until the connection ends."""
        with suppress(ConnectionError):
            while isinstance(item := await self._outbox.get(), Frame):
                await self.socket.send_frame(item.payload, item.kind)
                self.frames_sent += 1
            self.ending = True
            if item.code is None:
                self.drop()
            else:
                await self.socket.close(code=item.code)

    async def mind(self) -> None:
        """Ping the client as often as is set, and drop one that should have pinged."""
        loop = asyncio.get_running_loop()
        while True:
            settings = self.settings
            ping = _due(self.pinged_at, None if self.dead else settings.server_ping_every)
            silence = None if self.dead else settings.drop_clients_that_do_not_ping_within
            drop = _due(self.heard_at, silence)
            now = loop.time()
            if drop <= now:
                self.close(settings.close_code)
                return
            if ping <= now:
                self.pinged_at = now
                await self.socket.ping()
                continue
            first = min(ping, drop)
            await settings.changed(None if first == _NEVER else first - now)

    async def gone(self) -> None:
        """Wait until the client has let go of the connection."""
        while self.transport is not None and not self.transport.is_closing():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_SECONDS)


_NEVER = float("inf")


def _due(since: float, every: float | None) -> float:
    return _NEVER if every is None else since + every
