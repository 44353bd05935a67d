"""The calls of a home as events of a calendar."""

import asyncio
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
    from collections.abc import Collection
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Home
    from .history.formatting import CallFormatter
    from .history.records import CallRecord
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0

KEY: Final = "calls"
MIN_SECONDS: Final = 1.0  # that an event lasts
MAX_SECONDS: Final = 86_400.0  # that a call lasts: earlier calls are not searched
UNKNOWN_END_SECONDS: Final = 30.0  # after the last known step of a call without a known end
EVENT_BATCH: Final = 20  # events that are built before the event loop continues


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a calendar for every home, also for those that appear later, if calls are kept."""
    runtime = entry.runtime_data
    coordinator = runtime.coordinator
    _remove_obsolete(hass, entry)
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
    """Shows the calls of a home; it is read-only."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_translation_key = KEY

    def __init__(self, runtime: RuntimeData, home: Home) -> None:
        self._runtime = runtime
        self._home_id = home.id
        self._attr_unique_id = unique_id(runtime.coordinator.config_entry, home.id, KEY)
        self._attr_translation_placeholders = {"home": home.name or MANUFACTURER}

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        history = self._runtime.history
        self.async_on_remove(history.async_listen(self._on_history))

    @callback
    def _on_history(self, _changed: Collection[str] | None) -> None:
        self.async_write_ha_state()

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the listener when renamed (Home Assistant 2026.11)."""

    @property
    @override
    def event(self) -> None:
        """None, so that the state is off: the panels' entities show the call in progress."""
        return None

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        start, end = start_date.timestamp(), end_date.timestamp()
        in_progress, formatter = {call.id for call in self._in_progress()}, self._formatter()
        pages = self._runtime.history.async_pages(start - MAX_SECONDS, end, homes=(self._home_id,))
        found: list[CalendarEvent] = []
        async for calls in pages:
            for number, call in enumerate(calls, 1):
                times = _until_now(call) if call.id in in_progress else _times(call)
                if times[1] > start:
                    found.append(_event(call, formatter, times))
                if not number % EVENT_BATCH:
                    await asyncio.sleep(0)
        return found

    def _formatter(self) -> CallFormatter:
        entry_id = self._runtime.coordinator.config_entry.entry_id
        return async_call_formatter(self.hass, entry_id)

    def _in_progress(self) -> list[CallRecord]:
        """Return the calls of the account that have not ended."""
        history, in_progress = self._runtime.history, self._runtime.calls.in_progress
        found = (history.find(call.session_id, call.began_at) for call in in_progress)
        return [call for call in found if call is not None]


def _times(call: CallRecord) -> tuple[float, float]:
    """Return the start and end of a call that has ended, in seconds since 1970."""
    if call.ended_at is None:
        return call.time, max(call.time, call.answered_at or 0.0) + UNKNOWN_END_SECONDS
    return call.time, max(call.ended_at, call.time + MIN_SECONDS)


def _until_now(call: CallRecord) -> tuple[float, float]:
    """Return the times of a call in progress; the cloud's clock may be ahead of ours."""
    now = dt_util.utcnow().timestamp()
    return min(call.time, now), now + UNKNOWN_END_SECONDS


def _event(call: CallRecord, formatter: CallFormatter, times: tuple[float, float]) -> CalendarEvent:
    start, end = (dt_util.as_local(dt_util.utc_from_timestamp(time)) for time in times)
    return CalendarEvent(
        start=start,
        # Core compares local times, and shows no events at all if one ends before it starts
        # because the clocks were put back during the call.
        end=max(start, end, key=lambda moment: moment.replace(tzinfo=None)),
        summary=formatter.title(call),
        description=formatter.description(call),
        uid=call.id,
    )


def _remove_obsolete(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Remove the calendars of excluded homes, or all calendars if no calls are kept."""
    runtime, registry = entry.runtime_data, er.async_get(hass)
    coordinator = runtime.coordinator
    for home_id in coordinator.known_homes.homes:
        if home_id in coordinator.excluded_homes or not runtime.history.is_kept:
            calendar = unique_id(entry, home_id, KEY)
            if entity_id := registry.async_get_entity_id(Platform.CALENDAR, DOMAIN, calendar):
                registry.async_remove(entity_id)
