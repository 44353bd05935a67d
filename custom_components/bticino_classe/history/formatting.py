"""Calls in words: in the language of the house, by the names that people gave its devices."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_cached_translations

from ..client import CallState
from ..const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..coordinator import BticinoCoordinator
    from .records import CallRecord

_MINUTE: Final = 60  # seconds
# The sensor and the calendar call an outcome by the same word.
_OUTCOME: Final = f"component.{DOMAIN}.entity.sensor.last_call_outcome.state"
_TEXT: Final = f"component.{DOMAIN}.common"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFormatter:
    """What it takes to speak of an account's calls, gathered once, also for off the event loop.

    `names` are those of the devices by module, `homes` the ids of the homes by intercom.
    """

    texts: Mapping[str, str]
    names: Mapping[str, str]
    homes: Mapping[str, str]

    def home_id(self, call: CallRecord) -> str | None:
        """Return the home that a call rang in; None if it is not shown."""
        return self.homes.get(call.bridge_id)

    def panel(self, call: CallRecord) -> str | None:
        """Return the name of the panel that somebody rang at, if anybody knows it."""
        return self.names.get(call.panel_id or "")

    def title(self, call: CallRecord) -> str:
        """Return what became of a call, and where somebody rang."""
        outcome = self.outcome(call)
        place = self.panel(call) or self.names.get(call.bridge_id)
        return f"{outcome} · {place}" if place else outcome

    def outcome(self, call: CallRecord) -> str:
        """Return what became of a call."""
        return self.texts.get(f"{_OUTCOME}.{call.outcome}", call.outcome)

    @property
    def close_up(self) -> str:
        """What the second picture of a call is called."""
        return self._text("close_up")

    def story(self, call: CallRecord) -> str | None:
        """Return who answered, who ended it, and how long was talked, as far as it is known."""
        is_missed, is_known = call.outcome == CallState.MISSED, self.panel(call) is not None
        parts = (
            self._text("nobody_answered") if is_missed else None,
            call.answered_by and self._text(f"answered_{call.answered_by}"),
            call.ended_by and self._text(f"ended_{call.ended_by}"),
            None if call.duration is None else self._talked(round(call.duration)),
            None if is_known else self._text("panel_unknown"),
        )
        return " ".join(part for part in parts if part) or None

    def _talked(self, seconds: int) -> str:
        minutes, rest = divmod(seconds, _MINUTE)
        if minutes:
            return self._text("talked_minutes", minutes=minutes, seconds=rest)
        return self._text("talked_seconds", seconds=rest)

    def _text(self, key: str, **values: int) -> str:
        return self.texts.get(f"{_TEXT}.{key}", "").format(**values)


@callback
def async_call_formatter(coordinator: BticinoCoordinator) -> CallFormatter:
    """Gather the words as they are now: names and language may change at any time."""
    hass, entry = coordinator.hass, coordinator.config_entry
    texts: dict[str, str] = {}
    for category in ("entity", "common"):
        texts |= async_get_cached_translations(hass, hass.config.language, category, DOMAIN)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    named = ((device.name_by_user or device.name, device.identifiers) for device in devices)
    return CallFormatter(
        texts=texts,
        names={
            key: name for name, ids in named for domain, key in ids if name and domain == DOMAIN
        },
        homes={m.id: m.home_id for m in coordinator.data.modules.values()},
    )
