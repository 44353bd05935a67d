"""Viewers who have just left: the player's talk button closes the view and opens it again."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ..client import Module

RECONNECT_GRACE_SECONDS: Final = 3.0  # a viewer who presses talk leaves the call and returns


@dataclass(slots=True, kw_only=True, eq=False)
class _Departure:
    """A camera whose viewer has left; `call_id` is the session id of the call that was answered.

    `cancel_timer` is None once the time to return has passed.
    """

    camera: Module
    call_id: str | None
    cancel_timer: CALLBACK_TYPE | None = None


class Departures:
    """The cameras whose viewers have left and may return, or are returning.

    `is_awaited` says whether a viewer of a camera is being connected. `on_gone` gets the camera
    of a viewer who does not return, and the answered call; None if there is none.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        is_awaited: Callable[[Module], bool],
        on_gone: Callable[[Module, str | None], None],
    ) -> None:
        self._hass = hass
        self._is_awaited = is_awaited
        self._on_gone = on_gone
        self._departures: dict[str, _Departure] = {}

    def has(self, module_id: str) -> bool:
        """Whether the viewer of a camera, or of any camera of an intercom, may return."""
        cameras = (departure.camera for departure in self._departures.values())
        return any(module_id in {camera.id, camera.bridge_id} for camera in cameras)

    def has_call(self, camera: Module) -> bool:
        """Whether the viewer of a camera who may return has answered a call."""
        departure = self._departures.get(camera.id)
        return departure is not None and departure.call_id is not None

    @callback
    def async_add(self, camera: Module, call_id: str | None) -> None:
        """Register that the viewer of a camera has left."""
        self.async_remove(camera)
        departure = _Departure(camera=camera, call_id=call_id)
        job = HassJob(partial(self._on_timer, departure), cancel_on_shutdown=True)
        departure.cancel_timer = async_call_later(self._hass, RECONNECT_GRACE_SECONDS, job)
        self._departures[camera.id] = departure

    @callback
    def async_take_call(self, camera: Module) -> str | None:
        """Return the answered call that the last viewer of the camera has left, if any, once."""
        departure = self._departures.get(camera.id)
        if departure is None:
            return None
        call_id, departure.call_id = departure.call_id, None
        return call_id

    @callback
    def async_remove(self, camera: Module) -> None:
        """Register that a viewer of the camera is connected again."""
        departure = self._departures.pop(camera.id, None)
        if departure is not None and departure.cancel_timer is not None:
            departure.cancel_timer()

    @callback
    def async_check(self, camera: Module) -> None:
        """End a departure whose time has passed, unless a viewer is being connected."""
        departure = self._departures.get(camera.id)
        if departure is None or departure.cancel_timer is not None or self._is_awaited(camera):
            return
        self._end(departure)

    @callback
    def async_end(self, camera: Module) -> bool:
        """End the departures of a camera, or all of an intercom; returns whether there were any."""
        cameras = [departure.camera for departure in self._departures.values()]
        found = [each for each in cameras if camera.id in {each.id, each.bridge_id}]
        for each in found:
            self._end(self._departures[each.id])
        return bool(found)

    @callback
    def async_close(self) -> None:
        """End all departures."""
        for departure in tuple(self._departures.values()):
            self._end(departure)

    @callback
    def _on_timer(self, departure: _Departure, _now: datetime) -> None:
        departure.cancel_timer = None
        self.async_check(departure.camera)

    def _end(self, departure: _Departure) -> None:
        self.async_remove(departure.camera)
        self._on_gone(departure.camera, departure.call_id)
