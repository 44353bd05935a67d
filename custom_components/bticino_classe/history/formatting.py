"""Calls as text: in Home Assistant's language, with the names of the devices."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_cached_translations

from ..client import CallState
from ..const import DOMAIN
from .records import UNKNOWN_LOCATION, Location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from homeassistant.core import HomeAssistant

    from ..house import House
    from .records import CallRecord

_MINUTE: Final = 60  # seconds
_SEPARATOR: Final = "\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}"
_WITHOUT_YEAR: Final = timedelta(days=300)  # no doubt about the year of a short date
# The sensor and the calendar use the same text for an outcome.
_OUTCOME: Final = f"component.{DOMAIN}.entity.sensor.last_call.state"
_TEXT: Final = f"component.{DOMAIN}.common"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFormatter:
    """Formats calls with the current texts, and the current names of the devices by module."""

    texts: Mapping[str, str]
    names: Mapping[str, str]

    def panel(self, call: CallRecord) -> str | None:
        """Return the name of the panel that rang: the current name, else the stored one."""
        stored = call.location.name if call.location.module_id == call.panel_id else None
        return None if call.panel_id is None else self.names.get(call.panel_id) or stored

    def title(self, call: CallRecord) -> str:
        """Return the outcome of a call and its location."""
        outcome, location = self.outcome(call), self.location(call)
        return f"{outcome} · {location}" if location else outcome

    def location(self, call: CallRecord) -> str | None:
        """Return the name of the panel that rang, or of where a call of an unknown one is shown."""
        shown = self.names.get(call.location.module_id or "")
        return self.panel(call) or shown or self.names.get(call.bridge_id) or call.location.name

    def outcome(self, call: CallRecord) -> str:
        """Return the outcome of a call."""
        return self.texts.get(f"{_OUTCOME}.{call.outcome}", call.outcome)

    @property
    def close_up(self) -> str:
        """Return the title of a close-up."""
        return self._text("close_up")

    @property
    def latest(self) -> str:
        """Return the title of the newest calls."""
        return self._text("latest")

    def month(self, day: date) -> str:
        """Return the month of a day in words."""
        return self._text(f"month_{day.month}", year=day.year)

    def day(self, day: date, today: date) -> str:
        """Return a day in words, with its weekday."""
        weekday = self._text(f"weekday_{day.isoweekday()}")
        return self._text("weekday_date", weekday=weekday, date=self._date(day, today))

    def dated(self, text: str, time: datetime, now: datetime) -> str:
        """Return a text with its time; on earlier days the day comes first, and the time last.

        Frontends cut off titles at a space; a phone shows some 20 characters.
        """
        day, today = time.date(), now.date()
        if day == today:
            return f"{time:%H:%M}{_SEPARATOR}{text}"
        return f"{self._short_date(day, today)}{_SEPARATOR}{text} · {time:%H:%M}"

    def _short_date(self, day: date, today: date) -> str:
        age = today - day
        if age == timedelta(days=1):
            return self._text("yesterday")
        if age < _WITHOUT_YEAR:
            return self._text("date_short", day=day.day, month=day.month)
        return self._date(day, today)

    def _date(self, day: date, today: date) -> str:
        text = self._text(f"date_{day.month}", day=day.day)
        return text if day.year == today.year else self._text("date_year", date=text, year=day.year)

    def description(self, call: CallRecord) -> str | None:
        """Return who answered, who ended the call and how long it lasted, as far as known."""
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

    def _text(self, key: str, **values: int | str) -> str:
        return self.texts.get(f"{_TEXT}.{key}", "").format(**values)


@callback
def async_call_formatter(hass: HomeAssistant, entry_id: str) -> CallFormatter:
    """Collect texts and names; both may change at any time."""
    texts: dict[str, str] = {}
    for category in ("entity", "common"):
        texts |= async_get_cached_translations(hass, hass.config.language, category, DOMAIN)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry_id)
    named = ((device.name_by_user or device.name, device.identifiers) for device in devices)
    names = {key: name for name, ids in named for domain, key in ids if name and domain == DOMAIN}
    return CallFormatter(texts=texts, names=names)


@callback
def async_location(
    hass: HomeAssistant, entry_id: str, house: House, panel_id: str | None, bridge_id: str
) -> Location:
    """Return where a call is shown, with the current names of the device and the home."""
    module = house.modules.get(house.location_of(panel_id, bridge_id))
    if module is None:
        return UNKNOWN_LOCATION
    registry = dr.async_get(hass)
    device = registry.async_get_device_by_identifier((DOMAIN, module.id), entry_id)
    name = (device.name_by_user or device.name) if device else None
    home = house.homes.get(module.home_id)
    return Location(
        module_id=module.id,
        name=name or module.name,
        home_id=module.home_id,
        home_name=home.name if home else None,
    )
