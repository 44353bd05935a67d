"""A minimal WebSocket client for the simulator's own tests."""

from contextlib import asynccontextmanager
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.simulator.paths import PUSH, SIGNALING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.http_client import HttpClient

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


class SocketClient:
    """One WebSocket connection, from the client's side."""

    def __init__(self, client: HttpClient, ws: aiohttp.ClientWebSocketResponse, path: str) -> None:
        self._client = client
        self._path = path
        self.ws = ws

    async def subscribe(self, **fields: Any) -> Any:
        """Subscribe with the client's current token and return the response."""
        await self.send_subscription(**fields)
        return await self.frame()

    async def send_subscription(self, **fields: Any) -> None:
        """Send a subscription without waiting for the response."""
        token = {"access_token": self._client.access}
        await self.ws.send_json(FRAMES[self._path] | token | fields)

    async def frame(self) -> Any:
        """Return the next frame as JSON."""
        message = await self.ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def frames(self, count: int) -> list[Any]:
        """Return the next `count` frames."""
        return [await self.frame() for _ in range(count)]

    async def nothing_pending(self, marker: str = "marker") -> bool:
        """Return whether no frame arrives before a marker that is pushed now."""
        self._client.sim.push_raw(marker)
        return bool((await self.ws.receive()).data == marker)

    async def last_message(self) -> tuple[aiohttp.WSMsgType, Any]:
        """Return the type and data of the message that ends the connection."""
        message = await self.ws.receive()
        return message.type, message.data


@asynccontextmanager
async def open_socket(
    client: HttpClient, path: str = PUSH, *, subscribed: bool = True, **options: Any
) -> AsyncIterator[SocketClient]:
    """Open a WebSocket and subscribe; leaving does not wait for the close frame."""
    timeout = aiohttp.ClientWSTimeout(ws_close=0.05)
    async with client.session.ws_connect(client.sim.url + path, timeout=timeout, **options) as ws:
        socket = SocketClient(client, ws, path)
        if subscribed:
            assert await socket.subscribe() == OK
        yield socket
