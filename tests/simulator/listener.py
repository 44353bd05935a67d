"""A subscribed client for the simulator's own tests, as plain as the visitor."""

from contextlib import asynccontextmanager
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.simulator.paths import PUSH, SIGNALING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.visitor import Visitor

FRAMES: dict[str, dict[str, str]] = {
    PUSH: {
        "action": "Subscribe",
        "app_type": "app_camera",
        "platform": "Android",
        "version": "4.1.1.3",
    },
    SIGNALING: {
        "action": "subscribe",
        "app_type": "app_security",
        "version": "1.0",
        "platform": "android",
    },
}
OK = {"status": "ok"}


class Listener:
    """One socket, seen from the client."""

    def __init__(
        self, visitor: Visitor, socket: aiohttp.ClientWebSocketResponse, path: str
    ) -> None:
        self._visitor = visitor
        self._path = path
        self.socket = socket

    async def subscribe(self, **fields: Any) -> Any:
        """Subscribe with the visitor's token of this moment and return the answer."""
        await self.ask(**fields)
        return await self.frame()

    async def ask(self, **fields: Any) -> None:
        """Send a subscription and wait for nothing."""
        token = {"access_token": self._visitor.access}
        await self.socket.send_json(FRAMES[self._path] | token | fields)

    async def frame(self) -> Any:
        """Return the next frame, decoded."""
        message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def frames(self, count: int) -> list[Any]:
        """Return the next so many frames."""
        return [await self.frame() for _ in range(count)]

    async def nothing_before(self, marker: str = "marker") -> bool:
        """Tell whether a push that is sent now is the next thing to arrive."""
        self._visitor.sim.push_raw(marker)
        return bool((await self.socket.receive()).data == marker)

    async def ending(self) -> tuple[aiohttp.WSMsgType, Any]:
        """Return how the socket ends."""
        message = await self.socket.receive()
        return message.type, message.data


@asynccontextmanager
async def listen(
    visitor: Visitor, path: str = PUSH, *, subscribed: bool = True, **kind: Any
) -> AsyncIterator[Listener]:
    """Open a socket, and subscribe on it; the client's part of a close is never waited for."""
    timeout = aiohttp.ClientWSTimeout(ws_close=0.05)
    async with visitor.session.ws_connect(
        visitor.sim.url + path, timeout=timeout, **kind
    ) as socket:
        listener = Listener(visitor, socket, path)
        if subscribed:
            assert await listener.subscribe() == OK
        yield listener
