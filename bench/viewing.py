"""Somebody who opens the camera: Home Assistant's player, without a browser."""

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from homeassistant.components.camera import Camera
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.components.camera.webrtc import WebRTCAnswer, WebRTCCandidate, WebRTCError
from homeassistant.helpers import entity_registry as er
from webrtc_models import RTCIceCandidateInit

from custom_components.bticino_classe.client.webrtc.session import SessionState

from .cloud import ROOT
from .home import entry_of
from .settling import look_again

if TYPE_CHECKING:
    from homeassistant.components.camera.webrtc import WebRTCMessage
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.client.webrtc.signaling import SignalingChannel
    from custom_components.bticino_classe.live.manager import LiveViewManager

OFFERS: Final = ROOT / "tests" / "client" / "webrtc" / "offers"
PATIENCE: Final = 60.0  # seconds
_ORIGINS: Final = count(1)


def browsers() -> list[str]:
    """Return the names of the captured browsers."""
    names = sorted(path.stem for path in OFFERS.glob("*.sdp"))
    return [name for name in names if not name.startswith("device_")]


def offer_of(browser: str) -> str:
    """Return a browser's captured offer, as if each came from another connection."""
    lines = (OFFERS / f"{browser}.sdp").read_bytes().decode().split("\r\n")
    words = lines[1].split(" ")
    words[1] = str(next(_ORIGINS))
    return "\r\n".join([lines[0], " ".join(words), *lines[2:]])


def camera_of(hass: HomeAssistant) -> Camera:
    """Return the camera of the first panel."""
    entry = entry_of(hass)
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    names = sorted(entity.entity_id for entity in found if entity.domain == "camera")
    camera = hass.data[DATA_COMPONENT].get_entity(names[0])
    assert isinstance(camera, Camera), names
    return camera


class View:
    """One view of a camera; use it as a context, which ends as a closed browser does."""

    def __init__(self, hass: HomeAssistant, sdp: str) -> None:
        self.camera = camera_of(hass)
        self.id = f"view-{next(_ORIGINS)}"
        self.messages: list[WebRTCMessage] = []
        self._sdp = sdp
        self._intercom: LiveViewManager = entry_of(hass).runtime_data.live
        self._offering: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        work = self.camera.async_handle_async_webrtc_offer(self._sdp, self.id, self.take)
        # As Home Assistant's websocket does: nobody can leave before the offer is there.
        self._offering = asyncio.create_task(work, eager_start=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.camera.close_webrtc_session(self.id)
        assert self._offering is not None
        await self._offering

    def take(self, message: WebRTCMessage) -> None:
        """Take what Home Assistant says to the player."""
        self.messages.append(message)

    @property
    def answer(self) -> str | None:
        """The intercom's answer, once it is there; a view that fails ends the bench."""
        errors = [message for message in self.messages if isinstance(message, WebRTCError)]
        assert not errors, errors
        answers = [each.answer for each in self.messages if isinstance(each, WebRTCAnswer)]
        return answers[0] if answers else None

    async def answered(self) -> str:
        """Wait for the answer."""
        async with asyncio.timeout(PATIENCE):
            await look_again(lambda: self.answer is not None)
        assert self.answer is not None
        return self.answer

    async def candidate(self, number: int) -> RTCIceCandidateInit:
        """Wait for the intercom's address of that number."""
        await look_again(lambda: len(self._candidates) > number)
        found = self._candidates[number].candidate
        assert isinstance(found, RTCIceCandidateInit)
        return found

    async def reached(self, state: SessionState) -> None:
        """Wait until the view is that far, or further if the machine is slow."""
        wanted = [*SessionState][[*SessionState].index(state) :]
        async with asyncio.timeout(PATIENCE):
            await look_again(lambda: self.answer is not None or self._state in wanted)

    @property
    def _candidates(self) -> list[WebRTCCandidate]:
        return [each for each in self.messages if isinstance(each, WebRTCCandidate)]

    @property
    def _state(self) -> SessionState | None:
        viewing = self._intercom._viewers.get(self.id)
        return None if viewing is None else viewing.call.state


async def quiet(channel: SignalingChannel) -> None:
    """Wait until all that was said at the end of calls has been acknowledged."""
    async with asyncio.timeout(PATIENCE):
        await look_again(lambda: not channel.in_use)
