"""The calls of a home as events of a calendar."""

from bisect import bisect_left
from functools import partial
from typing import TYPE_CHECKING, Final, override

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .const import DOMAIN, MANUFACTURER
from .entity import unique_id
from .history.formatting import async_call_formatter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Home
    from .history.formatting import CallFormatter
    from .history.records import CallRecord
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0

KEY: Final = "calls"
SHORTEST: Final = 1.0  # seconds: no calendar can show less
# Seconds after the last that is known of a call whose end is not, or is still to come.
UNTOLD: Final = 30.0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a calendar for every home, and for those that appear later, if calls are kept."""
    runtime = entry.runtime_data
    coordinator = runtime.coordinator
    _remove_unwanted(hass, entry)
    if not runtime.history.is_kept:
        return
    known: set[str] = set()

    @callback
    def add_new() -> None:
        new = [home for home in coordinator.data.homes.values() if home.id not in known]
        known.update(home.id for home in new)
        if new:
            async_add_entities(BticinoCalendar(runtime, home) for home in new)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


class BticinoCalendar(CalendarEntity):
    """Shows the calls of a home; there is nothing to write into it."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_translation_key = KEY

    def __init__(self, runtime: RuntimeData, home: Home) -> None:
        self._runtime = runtime
        self._coordinator = runtime.coordinator
        self._home_id = home.id
        self._attr_unique_id = unique_id(runtime.coordinator.config_entry, home.id, KEY)
        self._attr_translation_placeholders = {"home": home.name or MANUFACTURER}

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        history = self._runtime.history
        self.async_on_remove(history.async_listen(self.async_write_ha_state))

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on listening when renamed (Home Assistant 2026.11)."""

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """The call that goes on now."""
        if not (going_on := self._going_on()):
            return None
        words = async_call_formatter(self._coordinator)
        calls = [call for call in going_on if words.home_id(call) == self._home_id]
        newest = max(calls, key=lambda call: call.time, default=None)
        return None if newest is None else _event(newest, words, _until_now(newest))

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        return await hass.async_add_executor_job(
            partial(
                _events,
                self._runtime.history.calls,
                async_call_formatter(self._coordinator),
                home_id=self._home_id,
                span=(start_date.timestamp(), end_date.timestamp()),
                going_on={call.id for call in self._going_on()},
            )
        )

    def _going_on(self) -> list[CallRecord]:
        """Return the calls of the account that are not over."""
        history, in_progress = self._runtime.history, self._runtime.calls.in_progress
        ids = (history.known_as(c.session_id, c.began_at) for c in in_progress)
        return [call for known_as in ids if (call := history.call(known_as)) is not None]


def _events(
    calls: tuple[CallRecord, ...],
    words: CallFormatter,
    *,
    home_id: str,
    span: tuple[float, float],
    going_on: Collection[str],
) -> list[CalendarEvent]:
    """Return the events of a home's calls, given oldest first, that have a part in a span."""
    start, end = span
    begun: Iterable[CallRecord] = calls[: bisect_left(calls, end, key=lambda call: call.time)]
    found = []
    for call in (call for call in begun if words.home_id(call) == home_id):
        times = _until_now(call) if call.id in going_on else _times(call)
        if times[1] > start:
            found.append(_event(call, words, times))
    return found


def _times(call: CallRecord) -> tuple[float, float]:
    """Return when a call began and ended, in seconds since 1970."""
    if call.ended_at is None:
        return call.time, max(call.time, call.answered_at or 0.0) + UNTOLD
    return call.time, max(call.ended_at, call.time + SHORTEST)


def _until_now(call: CallRecord) -> tuple[float, float]:
    """Return the times of a call that goes on, although the cloud's clock may be ahead of ours."""
    now = dt_util.utcnow().timestamp()
    return min(call.time, now), now + UNTOLD


def _event(call: CallRecord, words: CallFormatter, times: tuple[float, float]) -> CalendarEvent:
    start, end = (dt_util.as_local(dt_util.utc_from_timestamp(time)) for time in times)
    return CalendarEvent(
        start=start,
        # Core goes by the clock on the wall, and shows no event at all if one ends before it began
        # because the clocks were put back meanwhile.
        end=max(start, end, key=lambda moment: moment.replace(tzinfo=None)),
        summary=words.title(call),
        description=words.story(call),
        uid=call.id,
    )


def _remove_unwanted(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Remove the calendars of homes that are left out; all of them where no call is kept."""
    runtime, registry = entry.runtime_data, er.async_get(hass)
    coordinator = runtime.coordinator
    for home_id in coordinator.all_homes:
        if home_id in coordinator.excluded_homes or not runtime.history.is_kept:
            wanted = unique_id(entry, home_id, KEY)
            if entity_id := registry.async_get_entity_id(Platform.CALENDAR, DOMAIN, wanted):
                registry.async_remove(entity_id)
