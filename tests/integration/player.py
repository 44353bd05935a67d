"""The WebSocket side of Home Assistant's WebRTC player: one page in one browser."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_homeassistant_custom_component.typing import (
        MockHAClientWebSocket,
        WebSocketGenerator,
    )

    from tests.simulator import Simulator

STREET, COURT = "camera.posto_esterno_strada", "camera.posto_esterno_cortile"
OFFERS = Path(__file__).parents[1] / "client" / "webrtc" / "offers"


def offer(name: str = "chromium_watch", *, version: int = 1) -> str:
    """Return a captured offer of a browser; each version is that of another peer connection."""
    captured = (OFFERS / f"{name}.sdp").read_bytes().decode()
    lines = captured.split("\r\n")
    origin = lines[1].split(" ")
    origin[1] = str(int(origin[1]) + version)
    return "\r\n".join([lines[0], " ".join(origin), *lines[2:]])


class View:
    """One view of one camera, with the messages that Home Assistant sent about it."""

    def __init__(self, page: Page, number: int) -> None:
        self._page = page
        self.number = number
        self.messages: list[dict[str, Any]] = []

    def received(self, kind: str) -> list[Any]:
        """Return the messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def session_id(self) -> str:
        """The session id from Home Assistant."""
        found: str = self.received("session")[0]["session_id"]
        return found

    @property
    def error(self) -> str:
        """The error code."""
        found: str = self.received("error")[0]["code"]
        return found

    async def wait_for(self, kind: str, count: int = 1) -> Any:
        """Wait for `count` messages of a type, and return the last of them."""
        while len(self.received(kind)) < count:
            await self._page.read()
        return self.received(kind)[count - 1]

    async def close(self) -> None:
        """End the view and wait for Home Assistant's acknowledgement."""
        await self._page.request({"type": "unsubscribe_events", "subscription": self.number})

    async def candidate(self, candidate: str, mid: str = "0", index: int = 0) -> None:
        """Send an ICE candidate of the browser."""
        init = {"candidate": candidate, "sdpMid": mid, "sdpMLineIndex": index}
        await self._page.request(
            {
                "type": "camera/webrtc/candidate",
                "entity_id": self._page.camera,
                "session_id": self.session_id,
                "candidate": init,
            }
        )


class Page:
    """A browser's connection to Home Assistant, with any number of views."""

    def __init__(self, socket: MockHAClientWebSocket, camera: str) -> None:
        self._socket = socket
        self._views: dict[int, View] = {}
        self._results: dict[int, dict[str, Any]] = {}
        self.camera = camera

    @classmethod
    async def open(cls, generator: WebSocketGenerator, camera: str) -> Page:
        """Open the connection."""
        return cls(await generator(), camera)

    async def view(self, sdp: str) -> View:
        """Send an offer and wait for its session id."""
        command = {"type": "camera/webrtc/offer", "entity_id": self.camera, "offer": sdp}
        number = await self._send(command)
        view = self._views[number] = View(self, number)
        await view.wait_for("session")
        return view

    async def watch(self, sdp: str) -> View:
        """Send an offer and wait for the answer."""
        view = await self.view(sdp)
        await view.wait_for("answer")
        return view

    async def request(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command and return its result."""
        number = await self._send(command)
        while number not in self._results:
            await self.read()
        return self._results.pop(number)

    async def leave(self) -> None:
        """Close the connection without ending the views."""
        await self._socket.close()

    async def read(self) -> None:
        """Read the next message."""
        async with asyncio.timeout(5):
            message = await self._socket.receive_json()
        if message["type"] == "event":
            self._views[message["id"]].messages.append(message["event"])
        else:
            self._results[message["id"]] = message

    async def _send(self, command: dict[str, Any]) -> int:
        await self._socket.send_json_auto_id(command)
        number: int = command["id"]
        return number


def open_session(simulator: Simulator) -> Any:
    """Return the only open session of the intercom."""
    (session,) = simulator.rtc.open
    return session


def panel_id(simulator: Simulator, name: str) -> str:
    """Return the id of a panel by its name."""
    return simulator.house.find(name).id
