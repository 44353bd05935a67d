"""A browser with Home Assistant's player, as far as it talks to Home Assistant."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import HANG_TIMEOUT

if TYPE_CHECKING:
    from pytest_homeassistant_custom_component.typing import (
        MockHAClientWebSocket,
        WebSocketGenerator,
    )

    from tests.simulator import Simulator

STREET, YARD = "camera.posto_esterno_strada", "camera.posto_esterno_cortile"
OFFERS = Path(__file__).parents[2] / "client" / "webrtc" / "offers"


def offer(name: str = "chromium_watch", *, version: int = 1) -> str:
    """Return a browser's captured offer; each version comes from another peer connection."""
    captured = (OFFERS / f"{name}.sdp").read_bytes().decode()
    lines = captured.split("\r\n")
    origin = lines[1].split(" ")
    origin[1] = str(int(origin[1]) + version)
    return "\r\n".join([lines[0], " ".join(origin), *lines[2:]])


class BrowserView:
    """One view of one camera: the messages that Home Assistant has sent about it."""

    def __init__(self, browser: BrowserClient, subscription: int) -> None:
        self._browser = browser
        self._subscription = subscription
        self.messages: list[dict[str, Any]] = []

    def received(self, kind: str) -> list[Any]:
        """Return the messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def session_id(self) -> str:
        """Home Assistant's id of the view."""
        found: str = self.received("session")[0]["session_id"]
        return found

    @property
    def error_code(self) -> str:
        """The code of the first error message."""
        found: str = self.received("error")[0]["code"]
        return found

    async def wait_for(self, kind: str, count: int = 1) -> Any:
        """Wait for a number of messages of one type; returns the last of them."""
        while len(self.received(kind)) < count:
            await self._browser.receive()
        return self.received(kind)[count - 1]

    async def close(self) -> None:
        """Unsubscribe, and wait for Home Assistant's result."""
        await self._browser.request(
            {"type": "unsubscribe_events", "subscription": self._subscription}
        )

    async def send_candidate(self, candidate: str, mid: str = "0", index: int = 0) -> None:
        """Send an ICE candidate of the browser."""
        await self._browser.request(
            {
                "type": "camera/webrtc/candidate",
                "entity_id": self._browser.camera,
                "session_id": self.session_id,
                "candidate": {"candidate": candidate, "sdpMid": mid, "sdpMLineIndex": index},
            }
        )


class BrowserClient:
    """A browser's WebSocket connection to Home Assistant."""

    def __init__(self, socket: MockHAClientWebSocket, camera: str) -> None:
        self._socket = socket
        self._views: dict[int, BrowserView] = {}
        self._results: dict[int, dict[str, Any]] = {}
        self.camera = camera

    @classmethod
    async def connect(cls, ws_client: WebSocketGenerator, camera: str) -> BrowserClient:
        """Connect and sign in."""
        return cls(await ws_client(), camera)

    async def open_view(self, sdp: str) -> BrowserView:
        """Send an offer, and wait for the session."""
        command = {"type": "camera/webrtc/offer", "entity_id": self.camera, "offer": sdp}
        subscription = await self._send(command)
        view = self._views[subscription] = BrowserView(self, subscription)
        await view.wait_for("session")
        return view

    async def try_view(self, sdp: str) -> BrowserView | None:
        """Send an offer; returns None if Home Assistant refuses it."""
        command = {"type": "camera/webrtc/offer", "entity_id": self.camera, "offer": sdp}
        subscription = await self._send(command)
        view = self._views[subscription] = BrowserView(self, subscription)
        while subscription not in self._results:
            await self.receive()
        return view if self._results.pop(subscription)["success"] else None

    async def watch(self, sdp: str) -> BrowserView:
        """Send an offer, and wait for the answer."""
        view = await self.open_view(sdp)
        await view.wait_for("answer")
        return view

    async def request(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command and return its result."""
        command_id = await self._send(command)
        while command_id not in self._results:
            await self.receive()
        return self._results.pop(command_id)

    async def disconnect(self) -> None:
        """Close the connection without unsubscribing."""
        await self._socket.close()

    async def receive(self) -> None:
        """Receive the next message."""
        async with asyncio.timeout(HANG_TIMEOUT):
            message = await self._socket.receive_json()
        if message["type"] == "event":
            self._views[message["id"]].messages.append(message["event"])
        else:
            self._results[message["id"]] = message

    async def _send(self, command: dict[str, Any]) -> int:
        await self._socket.send_json_auto_id(command)
        command_id: int = command["id"]
        return command_id


def open_session(simulator: Simulator) -> Any:
    """Return the only session that is open at the intercom."""
    (session,) = simulator.rtc.open
    return session


def panel_id(simulator: Simulator, name: str) -> str:
    """Return the id of a panel by its name."""
    return simulator.house.find(name).id
