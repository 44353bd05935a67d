"""A client of the endpoint for go2rtc's signaling: one WebSocket, as go2rtc uses it."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType

from custom_components.bticino_classe.live.stream_address import SIGNALING_PATH, WHEP_PATH
from tests.conftest import HANG_TIMEOUT
from tests.integration.live.whep_client import relay_offer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientWebSocketResponse

    from tests.integration.live.whep_client import Whep

OFFER: Final = "webrtc/offer"
ANSWER: Final = "webrtc/answer"
CANDIDATE: Final = "webrtc/candidate"
ERROR: Final = "error"


def signaling_path(client: Whep) -> str:
    """Return the address for signaling of a client of the other endpoint."""
    return client.path.replace(WHEP_PATH, SIGNALING_PATH)


def two_way_offer() -> str:
    """Return go2rtc's captured offer with a section that sends sound."""
    return relay_offer("two_way")


class SignalingSocket:
    """An open WebSocket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, kind: str, value: object) -> None:
        """Send a frame."""
        await self._socket.send_json({"type": kind, "value": value})

    async def send_raw(self, data: str | bytes) -> None:
        """Send a frame with any content."""
        if isinstance(data, str):
            await self._socket.send_str(data)
        else:
            await self._socket.send_bytes(data)

    async def receive(self) -> tuple[str, str] | None:
        """Return type and value of the next frame; None: the socket was closed."""
        async with asyncio.timeout(HANG_TIMEOUT):
            message = await self._socket.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        found: dict[str, Any] = message.json()
        assert set(found) == {"type", "value"}
        return found["type"], found["value"]

    async def receive_answer(self) -> str:
        """Return the answer, which has to be the first frame: go2rtc expects nothing before it."""
        frame = await self.receive()
        assert frame is not None
        kind, value = frame
        assert kind == ANSWER, value
        return value

    async def expect_error(self) -> str:
        """Return the text of an error, after which the socket is closed."""
        frame = await self.receive()
        assert frame is not None
        kind, value = frame
        assert kind == ERROR
        assert value.endswith(".")
        assert await self.receive() is None
        return value

    async def close(self) -> None:
        """Close the socket."""
        await self._socket.close()


@asynccontextmanager
async def signaling(client: Whep, path: str = "") -> AsyncIterator[SignalingSocket]:
    """Open a WebSocket."""
    async with client.http.ws_connect(path or signaling_path(client)) as socket:
        yield SignalingSocket(socket)


async def watch(client: Whep, sdp: str | None = None) -> str:
    """Begin a view and close the socket, as a connected go2rtc does; returns the answer."""
    async with signaling(client) as socket:
        await socket.send(OFFER, sdp or two_way_offer())
        return await socket.receive_answer()
