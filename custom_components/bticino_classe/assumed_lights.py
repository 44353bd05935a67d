"""Lights whose state the cloud does not report: shown as they were last switched."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.restore_state import ExtraStoredData
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .listeners import ModuleListener, ModuleListeners

if TYPE_CHECKING:
    from collections.abc import Mapping

# By entry, for longer than its reloads.
ASSUMED_LIGHTS: Final[HassKey[dict[str, AssumedLights]]] = HassKey(f"{DOMAIN}_assumed_lights")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedState(ExtraStoredData):
    """How a light was last switched; `off_at`, in seconds since 1970, is the end of its timer."""

    on: bool
    off_at: float | None = None

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> AssumedState | None:
        """Return the state that was stored before a restart; None if it is not one of ours."""
        on, off_at = data.get("on"), data.get("off_at")
        is_time = off_at is None or isinstance(off_at, int | float)
        return cls(on=on, off_at=off_at) if isinstance(on, bool) and is_time else None

    @override
    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def seconds_left(self) -> float | None:
        """How long the light stays on; None: until it is switched off."""
        return None if self.off_at is None else self.off_at - dt_util.utcnow().timestamp()


class AssumedLights:
    """The assumed states of an account's lights; they outlive a reload."""

    def __init__(self) -> None:
        self._states: dict[str, AssumedState] = {}
        self._listeners = ModuleListeners()

    @classmethod
    def of(cls, hass: HomeAssistant, entry_id: str) -> AssumedLights:
        """Return the lights of an account."""
        return hass.data.setdefault(ASSUMED_LIGHTS, {}).setdefault(entry_id, cls())

    def find(self, light_id: str) -> AssumedState | None:
        """Return the assumed state of a light; None if it was not switched yet."""
        return self._states.get(light_id)

    @callback
    def async_switch(self, light_id: str, *, on: bool, seconds: float) -> None:
        """Note that a light is on or off now; it goes off after these seconds, 0: never."""
        is_timed = on and seconds > 0
        off_at = dt_util.utcnow().timestamp() + seconds if is_timed else None
        self.async_set(light_id, AssumedState(on=on, off_at=off_at))

    @callback
    def async_set(self, light_id: str, state: AssumedState) -> None:
        """Set the assumed state of a light."""
        self._states[light_id] = state
        self._listeners.async_notify({light_id})

    @callback
    def async_listen(self, listener: ModuleListener) -> CALLBACK_TYPE:
        """Call a listener when a light was switched; returns a function that removes it."""
        return self._listeners.async_add(listener)
