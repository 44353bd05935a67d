"""A viewer of a camera: Home Assistant's player, without a browser."""

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from homeassistant.components.camera import Camera
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.components.camera.webrtc import WebRTCAnswer, WebRTCCandidate, WebRTCError
from homeassistant.helpers import entity_registry as er
from webrtc_models import RTCIceCandidateInit

from custom_components.bticino_classe.client import SessionState

from .cloud import ROOT
from .home_assistant import entry_of, runtime_of
from .waiting import wait_until

if TYPE_CHECKING:
    from homeassistant.components.camera.webrtc import WebRTCMessage
    from homeassistant.core import HomeAssistant

OFFERS: Final = ROOT / "tests" / "client" / "webrtc" / "offers"
_NUMBERS: Final = count(1)


def browsers() -> list[str]:
    """Return the names of the stored offers that are sent to an intercom."""
    names = sorted(path.stem for path in OFFERS.glob("*.sdp"))
    unsent = ("device_", "without_h264")
    return [name for name in names if not any(part in name for part in unsent)]


def offer_of(browser: str) -> str:
    """Return the stored offer of a browser, with a new session id in its o= line."""
    lines = (OFFERS / f"{browser}.sdp").read_bytes().decode().split("\r\n")
    origin = lines[1].split(" ")
    origin[1] = str(next(_NUMBERS))
    return "\r\n".join([lines[0], " ".join(origin), *lines[2:]])


def camera_of(hass: HomeAssistant) -> Camera:
    """Return the camera of the first panel."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry_of(hass).entry_id)
    ids = sorted(e.entity_id for e in entities if e.domain == "camera" and not e.disabled)
    camera = hass.data[DATA_COMPONENT].get_entity(ids[0])
    assert isinstance(camera, Camera), ids
    return camera


class Viewer:
    """A viewer, as a context: it starts with an offer and ends like a closed browser."""

    def __init__(self, hass: HomeAssistant, sdp: str) -> None:
        self._camera = camera_of(hass)
        self._id = f"viewer-{next(_NUMBERS)}"
        self._messages: list[WebRTCMessage] = []
        self._sdp = sdp
        self._live = runtime_of(hass).live
        self._offering: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        work = self._camera.async_handle_async_webrtc_offer(
            self._sdp, self._id, self._messages.append
        )
        # Eager, as in Home Assistant's WebSocket API: no viewer can leave before its offer.
        self._offering = asyncio.create_task(work, eager_start=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._camera.close_webrtc_session(self._id)
        assert self._offering is not None
        await self._offering

    async def answer(self) -> str:
        """Wait for the intercom's answer."""
        await wait_until(lambda: self._answer is not None)
        assert self._answer is not None
        return self._answer

    async def candidate(self, number: int) -> RTCIceCandidateInit:
        """Wait for one of the intercom's ICE candidates."""
        await wait_until(lambda: len(self._candidates) > number)
        candidate = self._candidates[number].candidate
        assert isinstance(candidate, RTCIceCandidateInit)
        return candidate

    async def reach(self, state: SessionState) -> None:
        """Wait until the call is in a state, or in a later one if the machine is slow."""
        states = [*SessionState][[*SessionState].index(state) :]
        await wait_until(lambda: self._answer is not None or self._state in states)

    @property
    def _answer(self) -> str | None:
        """The intercom's answer, if it has come; an error fails the bench."""
        errors = [message for message in self._messages if isinstance(message, WebRTCError)]
        assert not errors, errors
        answers = [each.answer for each in self._messages if isinstance(each, WebRTCAnswer)]
        return answers[0] if answers else None

    @property
    def _candidates(self) -> list[WebRTCCandidate]:
        return [each for each in self._messages if isinstance(each, WebRTCCandidate)]

    @property
    def _state(self) -> SessionState | None:
        session = self._live._viewers.get(self._id)
        return None if session is None else session.call.state


async def wait_terminated(hass: HomeAssistant) -> None:
    """Wait until the end of every call has been acknowledged."""
    channel = runtime_of(hass).live.channel
    await wait_until(lambda: not channel.in_use)
