"""Connections to the simulated cloud without a network, which lose, repeat and delay frames."""

import asyncio
from dataclasses import dataclass, field
import json
from typing import TYPE_CHECKING, Any, Self, override

import aiohttp

from tests.simulator import sockets
from tests.simulator.connection import Connection, Frame
from tests.simulator.paths import SIGNALING

if TYPE_CHECKING:
    import random

    from tests.simulator.cloud import Cloud
    from tests.simulator.connection import CloseRequest

LATENCY = 0.02


@dataclass(slots=True, kw_only=True)
class Faults:
    """How likely each fault is, for each frame or connection."""

    lost: float = 0.0
    repeated: float = 0.0
    late: float = 0.0
    cut: float = 0.0
    refused: float = 0.0


@dataclass(slots=True)
class Log:
    """What was written to and delivered from the wire, by all connections."""

    written: list[dict[str, Any]] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)


class FaultyLine(Connection):
    """One connection: the client's socket and the cloud's connection in one."""

    _numbers = iter(range(1, 1 << 62))

    def __init__(self, cloud: Cloud, rng: random.Random, faults: Faults, log: Log) -> None:
        no_socket: Any = None  # frames come and go without one
        super().__init__(
            number=next(self._numbers),
            path=SIGNALING,
            socket=no_socket,
            transport=None,
            settings=cloud.sockets,
            opened_at=cloud.clock(),
        )
        self._cloud, self._rng, self._faults, self._log = cloud, rng, faults, log
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._free_at = 0.0
        self.closed = False
        self.close_code = 1006

    async def __aenter__(self) -> Self:
        self._cloud.connections.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()

    def get_extra_info(self, _: str) -> None:
        """Return nothing: there is no TCP socket."""

    def cut(self) -> None:
        """End the connection; frames that are under way are lost."""
        if not self.closed:
            self.closed = True
            self._cloud.connections.discard(self)
            self._inbox.put_nowait(None)

    async def receive(self) -> aiohttp.WSMessage:
        """Return the next message for the client."""
        text = await self._inbox.get()
        if text is None:
            return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)
        return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None)

    async def send_str(self, text: str) -> None:
        """Send a frame of the client; frames arrive in their order."""
        if self.closed:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        self._log.written.append(json.loads(text))
        if self._happens(self._faults.cut):
            self.cut()
        elif not self._happens(self._faults.lost):
            loop = asyncio.get_running_loop()
            # Timers of the same moment fire in any order.
            self._free_at = max(self._free_at + 1e-6, loop.time() + self._delay())
            loop.call_at(self._free_at, self._arrive, text)

    @override
    def send(self, frame: Frame | CloseRequest) -> None:
        """Send a frame of the cloud."""
        if not isinstance(frame, Frame) or self._happens(self._faults.lost):
            return
        loop = asyncio.get_running_loop()
        for _ in range(2 if self._happens(self._faults.repeated) else 1):
            loop.call_later(self._delay(), self._deliver, frame.payload.decode())
        if self._happens(self._faults.cut):
            self.cut()

    def _arrive(self, text: str) -> None:
        if not self.closed:
            sockets._handle_frame(self._cloud, self, text)

    def _deliver(self, text: str) -> None:
        if not self.closed:
            self._log.delivered.append(json.loads(text))
            self._inbox.put_nowait(text)

    def _happens(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _delay(self) -> float:
        if self._happens(self._faults.late):
            return self._rng.choice((0.1, 1.0, 2.9, 9.9, 15.0, 35.0))
        return LATENCY


class FaultySession:
    """Stands for aiohttp's session: opens lines to the cloud."""

    closed = False

    def __init__(self, cloud: Cloud, rng: random.Random, faults: Faults) -> None:
        self._cloud, self._rng, self._faults = cloud, rng, faults
        self.log = Log()
        self.lines: list[FaultyLine] = []

    async def open(self) -> FaultyLine:
        """Open a connection, or fail."""
        await asyncio.sleep(LATENCY)
        if self._rng.random() < self._faults.refused:
            raise aiohttp.ClientConnectionError
        line = FaultyLine(self._cloud, self._rng, self._faults, self.log)
        self.lines = [*(each for each in self.lines if not each.closed), line]
        return line

    def cut(self) -> None:
        """Cut all connections."""
        for line in self.lines:
            line.cut()


async def connect(session: FaultySession, _: str, **__: object) -> FaultyLine:
    """Stand for the function that opens a connection with aiohttp."""
    return await session.open()
