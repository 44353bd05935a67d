"""The history of calls: each call once, from pushes and from the list, with its pictures."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
import math
from typing import TYPE_CHECKING, Final

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..client import CallState
from ..const import (
    CONF_BEGIN_ANEW,
    CONF_HISTORY,
    CONF_KEEP,
    DOMAIN,
    LOGGER,
)
from ..listeners import Listeners
from . import reading
from .database import remove_files
from .formatting import async_location
from .reading import Layout
from .records import (
    DAY,
    CallRecord,
    Limits,
    from_call,
    from_event,
    merged,
    session_hash,
)
from .store import FROZEN, ISSUES, CallStore, history_path, issue_id
from .writing import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable
    from datetime import datetime
    import sqlite3

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event as HassEvent, HomeAssistant

    from ..client import CallChange, Event, StillImage
    from ..house import House
    from .reading import Span
    from .records import ListedCall, Location

TIDY_INTERVAL: Final = timedelta(hours=1)
AT_ONCE: Final = 50  # events that are read before others get their turn
LONGEST_BACKUP_SECONDS: Final = 6 * 3600.0  # after which its end is assumed to be lost
_CANCEL_THAW: Final[HassKey[CALLBACK_TYPE]] = HassKey(f"{DOMAIN}_cancel_thaw")
# The histories that are open, by account: for backups, and for whoever removes an account.
HISTORIES: Final[HassKey[dict[str, CallHistory]]] = HassKey(f"{DOMAIN}_histories")


class CallHistory:
    """The calls of an account: a database, and a summary of it in memory.

    `clock` is the cloud's time, `house` the house as it is now. What changes is shown at once and
    stored soon after; methods that can be awaited return when it is stored.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        *,
        clock: Callable[[], float],
        house: Callable[[], House],
        excluded_homes: Collection[str],
    ) -> None:
        options = entry.options.get(CONF_HISTORY, {})
        self.is_kept: bool = options.get(CONF_KEEP, True)
        self._hass = hass
        self._entry = entry
        self._clock = clock
        self._house = house
        self._excluded_homes = tuple(excluded_homes)
        self._listeners = Listeners[()]()
        self._store = CallStore(
            hass,
            entry,
            limits=Limits.chosen(options) if self.is_kept else None,
            now=self._now,
            on_change=self._listeners.async_notify,
        )
        self._summary = self._store.summary
        self._loaded_ids: frozenset[str] = frozenset()

    async def async_remove_unwanted(self) -> None:
        """Delete what was kept, if nothing is to be, even if the set-up fails later."""
        if not self.is_kept:
            await async_remove_files(self._hass, self._entry.entry_id)

    async def async_load(self) -> None:
        """Read what was kept; what happened before the first start counts as seen."""
        self._hass.data.setdefault(HISTORIES, {})[self._entry.entry_id] = self
        stop = self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, self._on_stop)
        self._entry.async_on_unload(stop)
        self._entry.async_on_unload(self.async_close)
        self._summary.tracking_since = math.floor(self._now())
        await self._store.async_load(deleted_until=self._begin_anew())
        self._loaded_ids = frozenset(call.id for call in self._summary.recent)

    def _begin_anew(self) -> float | None:
        """Return until when nothing is taken over: what was while nothing was to be kept."""
        was_off = self._entry.data.get(CONF_BEGIN_ANEW, False)
        if was_off is self.is_kept:
            data = {**self._entry.data, CONF_BEGIN_ANEW: not self.is_kept}
            self._hass.config_entries.async_update_entry(self._entry, data=data)
        return math.floor(self._now()) - 1.0 if was_off or not self.is_kept else None

    async def async_close(self) -> None:
        """Store what is still to be stored, and nothing after that: a reload reads it again."""
        await self._store.async_close()

    async def async_switch_off(self) -> None:
        """Delete everything now; what happens from now on is kept in memory.

        HomeAssistantError: some of it could not be deleted.
        """
        await self._store.async_remove()

    async def async_freeze(self, *, frozen: bool) -> None:
        """Leave the file as it is while a backup copies it, or end that."""
        await self._store.async_freeze(frozen=frozen)

    @callback
    def async_listen(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call a listener on every change; returns what ends that."""
        return self._listeners.async_add(listener)

    @callback
    def async_start(self) -> None:
        """Tidy every hour, until the entry is unloaded."""
        self._entry.async_on_unload(
            async_track_time_interval(
                self._hass, self._on_hour, TIDY_INTERVAL, cancel_on_shutdown=True
            )
        )

    @callback
    def _on_hour(self, _now: datetime) -> None:
        self.async_tidy()

    @property
    def layout(self) -> Layout:
        """Where calls are shown at this moment."""
        return Layout(house=self._house(), excluded_homes=self._excluded_homes)

    def recent(self, call_id: str) -> CallRecord | None:
        """Return a call of the last day by its id."""
        return self._summary.get(call_id)

    def find(self, session_id: str, began_at: float) -> CallRecord | None:
        """Return the call of the last day that has a session and began at about that time."""
        return self._summary.find(session_hash(session_id), began_at)

    def past_outcome(self, session_id: str, began_at: float) -> CallState | None:
        """Return the outcome of a call that cannot ring any more; None if there is none.

        A call that the cloud has just listed may be one whose ring is still to be pushed.
        """
        call = self.find(session_id, began_at)
        if call is None:
            return None
        is_past = call.id in self._loaded_ids or call.ended_at is not None
        is_decided = call.outcome in {CallState.MISSED, CallState.ANSWERED}
        return CallState(call.outcome) if is_past or is_decided else None

    def last(self, module_id: str, kind: str | None = None) -> CallRecord | None:
        """Return the newest call of a panel or an intercom, if asked for with such a picture."""
        return next(iter(self._summary.newest(module_id, kind)), None)

    def last_two(self, module_id: str) -> tuple[CallRecord, ...]:
        """Return the newest call of a panel or an intercom, and the one before."""
        return self._summary.newest(module_id)

    def missed(self, bridge_id: str) -> int:
        """Count the missed calls of an intercom that nobody has looked at."""
        return min(self._summary.unseen(bridge_id), self._store.limits.calls)

    @callback
    def async_add(self, change: CallChange) -> None:
        """Record what happened to a call."""
        call = change.call
        news = from_call(call, self._location(call.panel_id, call.bridge_id))
        known = self._summary.find(news.session, news.time)
        if known is None and self._is_forgotten(news):
            return
        # A call of the list that is just being stored keeps its id: events name it from now on.
        known = known or self._store.find_listed(news)
        is_seen = news.time < self._summary.tracking_since
        self._put(replace(news, seen=is_seen) if known is None else merged(known, news))

    @callback
    def async_answered_elsewhere(self, session_id: str) -> None:
        """Record that somebody answered a call that rang before Home Assistant was started."""
        now = self._clock()
        call = self.find(session_id, now)
        if call is not None and call.outcome == CallState.ENDED and call.ended_at is None:
            answered = CallState.ANSWERED.value
            self._put(replace(call, outcome=answered, answered_at=now, answered_by="elsewhere"))

    async def async_add_events(self, events: Iterable[Event]) -> None:
        """Record the calls among the cloud's events, in whatever order they come."""
        listed = await self._async_listed(sorted(events, key=lambda event: event.time))
        await self._store.async_put_listed(listed)

    async def async_mark_seen(self, *bridge_ids: str) -> None:
        """Store that somebody has looked at the missed calls of some intercoms."""
        await self._store.async_commit(lambda writer: writer.mark_seen(bridge_ids))

    async def async_keep(self, call_id: str, kind: str, image: StillImage) -> None:
        """Store a picture of a call, unless the call is deleted meanwhile."""
        with suppress(HomeAssistantError):
            await self._store.async_commit(lambda writer: writer.keep(call_id, kind, image))

    async def async_give_up(self, call_id: str, kind: str) -> None:
        """Store that no such picture of a call will come."""
        with suppress(HomeAssistantError):
            await self._store.async_commit(lambda writer: writer.give_up(call_id, kind))

    async def async_delete(self, ids: Collection[str]) -> None:
        """Delete calls and their pictures for good, although the cloud goes on listing them."""
        await self._store.async_commit(lambda writer: writer.delete(ids))

    async def async_delete_all(self) -> None:
        """Delete every call there is, also those in damaged files that were put aside."""
        known = self._summary.modules
        await self._store.async_commit(lambda writer: writer.delete_all(known))
        await self._store.async_remove_damaged()

    @callback
    def async_tidy(self) -> None:
        """Delete what is older, or more, than is to be kept; store what could not be stored."""
        self._hass.async_create_task(self._tidy(), "bticino_classe tidy", eager_start=False)

    async def _tidy(self) -> None:
        with suppress(HomeAssistantError):
            await self._store.async_commit(Writer.erase)

    async def async_settle(self) -> None:
        """Wait until everything is stored that can be."""
        await self._store.async_settle()

    async def async_read[Result](self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return the answer to a query; HomeAssistantError: the disk gives none."""
        return await self._store.async_read(query)

    async def async_call(self, call_id: str) -> CallRecord | None:
        """Return a call by its id; None if there is none that can be read."""
        if (recent := self.recent(call_id)) is not None:
            return recent
        with suppress(HomeAssistantError):
            return next(iter(await self.async_calls([call_id])), None)
        return None

    async def async_calls(self, ids: Iterable[str]) -> list[CallRecord]:
        """Return the calls that there are of some ids."""
        wanted = tuple(ids)
        await self.async_settle()
        return await self.async_read(partial(reading.by_ids, ids=wanted))

    async def async_picture(self, call_id: str, kind: str) -> StillImage | None:
        """Return a picture of a call; None if there is none that can be read."""
        with suppress(HomeAssistantError):
            return await self.async_read(partial(reading.picture, call_id=call_id, kind=kind))
        return None

    async def async_content_type(self, call_id: str, kind: str) -> str | None:
        """Return the type of a picture of a call; None if there is none."""
        return await self.async_read(partial(reading.content_type, call_id=call_id, kind=kind))

    async def async_pages(self, span: Span) -> AsyncIterator[list[CallRecord]]:
        """Yield the calls of a span in pages, oldest first."""
        await self.async_settle()
        after = (-math.inf, 0)
        while True:
            query = partial(reading.page, span=span, after=after)
            calls, after = await self.async_read(query)
            if not calls:
                return
            yield calls

    async def async_recorded(self, events: Iterable[Event]) -> list[tuple[Event, CallRecord]]:
        """Return the calls of events in the cloud's list, as far as they are stored."""
        known = [(event, listed) for event in events if (listed := self._read_event(event))]

        def find(db: sqlite3.Connection) -> list[tuple[Event, CallRecord]]:
            found = ((event, reading.of_listed(db, listed)) for event, listed in known)
            return [(event, record) for event, record in found if record is not None]

        with suppress(HomeAssistantError):
            return await self.async_read(find)
        return []

    async def _async_listed(self, events: Iterable[Event]) -> list[ListedCall]:
        """Return the calls among events; the panel is not in the list, but may be the only one."""
        found = []
        for number, event in enumerate(events, 1):
            if (listed := self._read_event(event)) is not None:
                found.append(listed)
            if not number % AT_ONCE:
                await asyncio.sleep(0)
        return found

    def _read_event(self, event: Event) -> ListedCall | None:
        if (listed := from_event(event, self._clock())) is None:
            return None
        record, panels = listed.record, self._house().panels_of(listed.record.bridge_id)
        panel_id = panels[0] if len(panels) == 1 else None
        location = self._location(panel_id, record.bridge_id)
        seen = record.time < self._summary.tracking_since
        record = replace(record, panel_id=panel_id, location=location, seen=seen)
        return replace(listed, record=record)

    def _put(self, record: CallRecord) -> None:
        if record != self.recent(record.id):
            self._store.put(record)

    def _is_forgotten(self, news: CallRecord) -> bool:
        """Whether a call was deleted, or is older than is to be kept."""
        is_old = news.time < self._now() - self._store.limits.days * DAY
        return is_old or self._summary.is_deleted(news.session, news.time)

    def _now(self) -> float:
        """The time by which calls grow old: a cloud whose clock is wrong must not age them."""
        return min(self._clock(), dt_util.utcnow().timestamp())

    def _location(self, panel_id: str | None, bridge_id: str) -> Location:
        return async_location(self._hass, self._entry.entry_id, self._house(), panel_id, bridge_id)

    async def _on_stop(self, _event: HassEvent) -> None:
        await self.async_close()


async def async_remove_files(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the file of a history; log what could not be deleted."""
    try:
        await hass.async_add_executor_job(remove_files, history_path(hass, entry_id))
    except OSError as err:
        LOGGER.warning("Some of the history of calls could not be deleted: %s", err.strerror)


async def async_remove_history(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all that is kept of an account's calls, once nothing is written any more."""
    if history := hass.data.get(HISTORIES, {}).pop(entry_id, None):
        await history.async_close()
    await async_remove_files(hass, entry_id)
    for key in ISSUES:
        ir.async_delete_issue(hass, DOMAIN, issue_id(entry_id, key))


async def async_freeze_histories(hass: HomeAssistant, *, frozen: bool) -> None:
    """Leave the files of all histories as they are while a backup copies them, or end that.

    What is stored meanwhile goes into the logs beside them, which may be copied at any moment.
    """
    _plan_thaw(hass, frozen=frozen)
    hass.data[FROZEN] = frozen
    for history in tuple(hass.data.get(HISTORIES, {}).values()):
        await history.async_freeze(frozen=frozen)


def _plan_thaw(hass: HomeAssistant, *, frozen: bool) -> None:
    """Plan the end of a backup whose end is not reported: deleted calls have to be overwritten."""

    async def thaw(_now: datetime) -> None:
        LOGGER.warning("A backup has not ended for hours; the history of calls is changed again")
        await async_freeze_histories(hass, frozen=False)

    if cancel := hass.data.pop(_CANCEL_THAW, None):
        cancel()
    if frozen:
        job = HassJob(thaw, cancel_on_shutdown=True)
        hass.data[_CANCEL_THAW] = async_call_later(hass, LONGEST_BACKUP_SECONDS, job)
