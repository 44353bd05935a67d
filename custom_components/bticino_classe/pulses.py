"""How long doors are shown as open after they were opened."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

# By entry, for longer than its reloads.
DOOR_PULSES: Final[HassKey[dict[str, DoorPulses]]] = HassKey(f"{DOMAIN}_pulses")


class DoorPulses:
    """The pulses of an account's doors; they outlive a reload, as the doors do not lock by it."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._ends: dict[str, float] = {}
        self._listeners = Listeners[str, Context | None]()

    @classmethod
    def of(cls, hass: HomeAssistant, entry_id: str) -> DoorPulses:
        """Return the pulses of an account."""
        return hass.data.setdefault(DOOR_PULSES, {}).setdefault(entry_id, cls(hass))

    @callback
    def async_begin(self, door_id: str, seconds: float, context: Context | None) -> None:
        """Begin the pulse of a door that was opened by an action with this context."""
        self._ends[door_id] = self._hass.loop.time() + seconds
        self._listeners.async_notify(door_id, context)

    def seconds_left(self, door_id: str) -> float:
        """Return how long the pulse of a door still lasts; 0 if there is none."""
        return max(0.0, self._ends.get(door_id, 0.0) - self._hass.loop.time())

    @callback
    def async_listen(self, listener: Callable[[str, Context | None], None]) -> CALLBACK_TYPE:
        """Call a listener when a pulse begins; returns a function that removes it."""
        return self._listeners.async_add(listener)
