"""The history of calls: each call once, from pushes and from the list, with its pictures."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
import math
from typing import TYPE_CHECKING, Final, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval

from ..client import SESSION_REUSE_SECONDS, STREAM, CallState
from ..const import (
    CONF_DELETED_UNTIL,
    CONF_HISTORY,
    CONF_HISTORY_OFF,
    CONF_HOMES_LEFT_OUT,
    CONF_HOMES_SINCE,
    CONF_KEEP,
)
from . import reading
from .formatting import async_location
from .picture_files import PictureFiles
from .reading import Layout
from .records import DAY, Limits, from_call, from_event, merged, session_hash
from .store import CallStore, async_remove_files
from .summary import NEWEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
    from datetime import datetime
    import sqlite3

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..client import Call, CallChange, Event, StillImage
    from ..house import House
    from .reading import Stored
    from .records import CallRecord, ListedCall, Location

CLEANUP_INTERVAL: Final = timedelta(hours=1)
OLD_RING_SECONDS: Final = 180.0  # after which a call that began does not ring any more
EVENT_BATCH: Final = 50  # events that are processed before the event loop continues


class CallHistory(CallStore):
    """The calls of an account. Methods that can be awaited return when the change is stored."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        *,
        clock: Callable[[], float],
        house: Callable[[], House],
        excluded_homes: Collection[str],
    ) -> None:
        """`clock` is the cloud's time, `house` returns the house as it is now."""
        options = entry.options.get(CONF_HISTORY, {})
        self.is_kept: bool = options.get(CONF_KEEP, True)
        limits = Limits.from_options(options) if self.is_kept else None
        super().__init__(hass, entry, clock, limits)
        self.picture_files = PictureFiles(hass, entry.entry_id)
        self._house = house
        self._excluded_homes = tuple(excluded_homes)
        self._homes_since: Mapping[str, float] = {}
        self._loaded_ids: frozenset[str] = frozenset()

    async def async_remove_unwanted(self) -> None:
        """Delete the files if the history is switched off, even if the set-up fails later."""
        if not self.is_kept:
            await async_remove_files(self._hass, self._entry.entry_id)

    async def async_load(self, ringing: Iterable[Call] = ()) -> None:
        """Read what is stored; end the calls that rang, without those that are still ringing.

        Calls from before the first start count as seen, calls from while the history was switched
        off as deleted.
        """
        was_off = self._entry.data.get(CONF_HISTORY_OFF, False)
        if was_off is self.is_kept:
            data = {**self._entry.data, CONF_HISTORY_OFF: not self.is_kept}
            self._hass.config_entries.async_update_entry(self._entry, data=data)
        self._note_included_homes()
        is_continued = self.is_kept and not was_off
        await self.picture_files.async_clear()
        if not is_continued:
            self._note_deletion(self._now())
        await self._async_open(
            ringing=tuple(session_hash(call.session_id) for call in ringing),
        )
        self._loaded_ids = frozenset(self._summary.recent)

    def _note_deletion(self, now: float) -> None:
        """Store outside the file that all calls up to now are deleted: a file can be damaged."""
        # The cloud's list has whole seconds.
        data = {**self._entry.data, CONF_DELETED_UNTIL: math.floor(now) - 1.0}
        self._hass.config_entries.async_update_entry(self._entry, data=data)

    def _note_included_homes(self) -> None:
        """Store when homes that were excluded are included again: their history continues then."""
        data, excluded = self._entry.data, self._excluded_homes
        since: dict[str, float] = data.get(CONF_HOMES_SINCE, {})
        included = {home for home in data.get(CONF_HOMES_LEFT_OUT, ()) if home not in excluded}
        since = {home: at for home, at in since.items() if home not in excluded}
        since |= dict.fromkeys(included, math.floor(self._now()))
        changed = {CONF_HOMES_LEFT_OUT: [*excluded], CONF_HOMES_SINCE: since}
        self._homes_since = since
        if changed != {key: data.get(key, type(value)()) for key, value in changed.items()}:
            self._hass.config_entries.async_update_entry(self._entry, data={**data, **changed})

    @callback
    def async_start(self) -> None:
        """Clean up every hour, until the entry is unloaded."""
        self._entry.async_on_unload(self.picture_files.async_clear)
        self._entry.async_on_unload(
            async_track_time_interval(
                self._hass, self._on_hour, CLEANUP_INTERVAL, cancel_on_shutdown=True
            )
        )

    @callback
    def _on_hour(self, _now: datetime) -> None:
        self._hass.async_create_task(
            self.async_clean_up(), "bticino_classe clean up", eager_start=False
        )

    async def async_clean_up(self) -> None:
        """Apply the limits, erase deleted content, and store what could not be stored before."""
        oldest = self._now() - self._limits.days * DAY
        with suppress(HomeAssistantError):
            await self._async_commit(erase_damaged_before=oldest)

    @property
    def layout(self) -> Layout:
        """Where calls are shown at this moment."""
        return Layout(house=self._house(), excluded_homes=self._excluded_homes)

    def recent(self, call_id: str) -> CallRecord | None:
        """Return a call of the last day by its id."""
        return self._summary.recent.get(call_id)

    def find(self, session_id: str, began_at: float) -> CallRecord | None:
        """Return the call of the last day with this session that began at about that time."""
        return self._summary.find(session_hash(session_id), began_at)

    def past_outcome(self, session_id: str, began_at: float | None) -> CallState | None:
        """Return the outcome of a call that must not ring any more; None if there is none.

        It began at about a time, or on the last day if that is None. A call that the cloud has just
        listed may be one whose ring is still to be pushed.
        """
        session, within = session_hash(session_id), SESSION_REUSE_SECONDS
        if began_at is None:
            began_at, within = self._clock(), float(DAY)
        if self._summary.is_session_deleted(session, began_at, within):
            return CallState.ENDED
        call = self._summary.find(session, began_at, within)
        if call is None:
            return None
        is_old = call.time < self._now() - OLD_RING_SECONDS  # by the cloud's and our clock
        is_past = is_old or call.id in self._loaded_ids or call.ended_at is not None
        is_decided = call.outcome in {CallState.MISSED, CallState.ANSWERED}
        return CallState(call.outcome) if is_past or is_decided else None

    def last(self, module_id: str, kind: str | None = None) -> CallRecord | None:
        """Return the newest call of a panel or an intercom, or the newest with such a picture."""
        return next(iter(self._newest_of(module_id, kind)), None)

    def last_two(self, module_id: str) -> tuple[CallRecord, ...]:
        """Return the newest call of a panel or an intercom, and the one before."""
        return self._newest_of(module_id)

    def _newest_of(self, module_id: str, kind: str | None = None) -> tuple[CallRecord, ...]:
        newest, sources = self._summary.newest, self._house().call_sources(module_id)
        found = {call.id: call for each in sources for call in newest.get((each, kind), ())}
        return tuple(sorted(found.values(), key=lambda call: -call.time)[:NEWEST])

    @override
    def _notify(self, changed: Collection[str]) -> None:
        """Call the listeners, also with the panels at which calls of intercoms are shown."""
        house = self._house()
        super()._notify({*changed, *(house.location_of(None, each) for each in changed)})

    def missed(self, bridge_id: str) -> int:
        """Count the unseen missed calls of an intercom."""
        return min(self._summary.unseen[bridge_id], self._limits.calls)

    @callback
    def async_add(self, change: CallChange) -> None:
        """Record a change of a call."""
        call = change.call
        news = from_call(call, self._location(call.panel_id, call.bridge_id))
        known = self._summary.find(news.session, news.time)
        if known is not None:
            self._put(merged(known, news))
        elif not self._is_unwanted(news):
            news = replace(news, seen=news.time < self._summary.tracking_since)
            listed = self._find_listed(news)
            # A listed call that is just being stored keeps its id: events contain it from now on.
            self._put(replace(merged(news, listed), id=listed.id) if listed else news)

    @callback
    def async_answered_elsewhere(self, session_id: str) -> None:
        """Record that a call that rang before Home Assistant was started was answered."""
        now = self._clock()
        call = self.find(session_id, now)
        if call is None or call.answered_by == STREAM:
            return
        if call.outcome == CallState.ENDED and call.ended_at is None:
            answered = CallState.ANSWERED.value
            self._put(replace(call, outcome=answered, answered_at=now, answered_by="elsewhere"))

    async def async_add_events(self, events: Iterable[Event]) -> None:
        """Record the calls among the cloud's events, which come in any order."""
        found = await self._async_parse(sorted(events, key=lambda event: event.time))
        await self._async_put_listed([listed for _, listed in found])

    async def async_recorded(self, events: Iterable[Event]) -> list[tuple[Event, CallRecord]]:
        """Return the stored calls of events in the cloud's list."""
        listed_calls = await self._async_parse(events)

        def query(db: sqlite3.Connection) -> list[tuple[Event, CallRecord]]:
            found = ((event, reading.same_call(db, listed)) for event, listed in listed_calls)
            return [(event, record) for event, record in found if record is not None]

        with suppress(HomeAssistantError):
            return await self.async_read(query)
        return []

    async def async_mark_seen(self, *bridge_ids: str) -> None:
        """Mark the missed calls of some intercoms as seen."""
        await self._async_commit(lambda writer: writer.mark_seen(bridge_ids))

    async def async_keep(self, call_id: str, kind: str, image: StillImage) -> None:
        """Store a picture of a call, unless the call was deleted."""
        await self._async_try_commit(lambda writer: writer.keep(call_id, kind, image))

    async def async_give_up(self, call_id: str, kind: str) -> None:
        """Store that a picture of a call will not come."""
        await self._async_try_commit(lambda writer: writer.give_up(call_id, kind))

    async def async_delete(self, ids: Collection[str]) -> None:
        """Delete calls and their pictures for good, although the cloud still lists them."""
        await self._async_commit(lambda writer: writer.delete(ids), erase_damaged_before=math.inf)
        await self.picture_files.async_clear()

    async def async_delete_of(self, span: tuple[float, float], module_id: str | None) -> None:
        """Delete the calls that began within a span, at a panel or an intercom if one is given."""
        condition = self.layout.of_device(module_id)
        await self._async_commit(
            lambda writer: writer.delete_of(span, condition), erase_damaged_before=math.inf
        )
        await self.picture_files.async_clear()

    async def async_delete_all(self) -> None:
        """Delete every call."""
        now = self._now()
        await self._async_commit(lambda writer: writer.delete_all(), erase_damaged_before=math.inf)
        self._note_deletion(now)
        await self.picture_files.async_clear()

    async def async_call(self, call_id: str) -> CallRecord | None:
        """Return a call by its id; None if it is not shown or cannot be read."""
        call = self.recent(call_id)
        if call is None:
            with suppress(HomeAssistantError):
                call = next(iter(await self.async_calls([call_id])), None)
        return call if call is not None and self.layout.shows(call) else None

    async def async_calls(self, ids: Iterable[str]) -> list[CallRecord]:
        """Return the calls with these ids, as far as they exist."""
        return await self.async_read(partial(reading.by_ids, ids=tuple(ids)))

    async def async_picture(self, call_id: str, kind: str) -> StillImage | None:
        """Return a picture of a call; None if there is none or it cannot be read."""
        with suppress(HomeAssistantError):
            return await self.async_read(partial(reading.picture, call_id=call_id, kind=kind))
        return None

    async def async_count(self) -> Stored:
        """Count what is stored; HomeAssistantError: it cannot be read."""
        return await self.async_read(reading.count)

    async def async_pages(
        self,
        since: float,
        until: float,
        *,
        homes: Collection[str] | None = None,
        module_id: str | None = None,
    ) -> AsyncIterator[list[CallRecord]]:
        """Yield the calls that began from `since` until before `until`, oldest first.

        `homes` None means all, also former homes; excluded homes are always left out.
        """
        condition = self.layout.in_homes(homes, module_id)
        after = (since, -1)
        while True:
            query = partial(reading.page, condition=condition, until=until, after=after)
            calls, after = await self.async_read(query)
            if not calls:
                return
            yield calls

    async def _async_parse(self, events: Iterable[Event]) -> list[tuple[Event, ListedCall]]:
        """Return the calls among events."""
        found = []
        for number, event in enumerate(events, 1):
            if (listed := self._parse(event)) is not None:
                found.append((event, listed))
            if not number % EVENT_BATCH:
                await asyncio.sleep(0)
        return found

    def _parse(self, event: Event) -> ListedCall | None:
        """Return the call of an event; the list does not name the panel, but there may be one."""
        if (listed := from_event(event, self._clock())) is None:
            return None
        panels = self._house().panels_of(listed.bridge_id)
        panel_id = panels[0] if len(panels) == 1 else None
        location = self._location(panel_id, listed.bridge_id)
        if self._is_before_inclusion(location, listed.time):
            return None
        seen = listed.time < self._summary.tracking_since
        return replace(listed, panel_id=panel_id, location=location, seen=seen)

    def _is_before_inclusion(self, location: Location, time: float) -> bool:
        """Whether a call is from before its home was included again."""
        return time < self._homes_since.get(location.home_id or "", 0.0)

    def _is_unwanted(self, news: CallRecord) -> bool:
        """Whether a call was deleted, or is too old."""
        is_old = news.time < self._now() - self._limits.days * DAY
        is_old = is_old or self._is_before_inclusion(news.location, news.time)
        return is_old or self._summary.is_deleted(news.session, news.time)

    def _location(self, panel_id: str | None, bridge_id: str) -> Location:
        return async_location(self._hass, self._entry.entry_id, self._house(), panel_id, bridge_id)
