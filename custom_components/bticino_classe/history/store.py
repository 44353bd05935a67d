"""How the history is stored: pending changes, commits, and failures of the disk."""

import asyncio
from contextlib import contextmanager, suppress
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_DELETED_UNTIL, DOMAIN, LOGGER
from ..issues import HISTORY_DAMAGED, HISTORY_NEWER, HISTORY_NOT_STORED, AccountIssues
from ..listeners import ModuleListeners
from .database import (
    DamagedError,
    Database,
    FileError,
    NewerVersionError,
    UnusableError,
    has_damaged_copies,
    remove_files,
)
from .picture_files import picture_folder, remove_folder
from .records import MEMORY_LIMITS
from .salvage import restore
from .summary import Summary, find_call
from .writing import Writer, no_op

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterator
    from datetime import datetime
    import sqlite3

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from ..listeners import ModuleListener
    from .records import CallRecord, Limits, ListedCall

MAX_PENDING: Final = 1000  # calls, and listed calls, that wait until the disk can be written
MAX_ATTEMPTS: Final = 3  # with the file, with a new one, in memory
MAX_BACKUP_SECONDS: Final = 6 * 3600.0  # then its end is assumed to be lost
NOT_STORED: Final = "history_not_stored"  # the exception
FROZEN: Final[HassKey[bool]] = HassKey(f"{DOMAIN}_frozen")  # while a backup is written
CANCEL_UNFREEZE: Final[HassKey[CALLBACK_TYPE]] = HassKey(f"{DOMAIN}_cancel_unfreeze")
STORES: Final[HassKey[dict[str, CallStore]]] = HassKey(f"{DOMAIN}_stores")  # open, by entry id


class CallStore:
    """A database of calls, and a summary of it in memory.

    Changes are shown at once and stored soon after. Listeners are called on every change, with
    the ids of the panels and intercoms whose calls changed.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        clock: Callable[[], float],
        limits: Limits | None,
    ) -> None:
        """`clock` is the cloud's time; `limits` None means that nothing is stored on disk."""
        self._hass = hass
        self._entry = entry
        self._clock = clock
        self._limits = limits or MEMORY_LIMITS
        self._database = self._new_database(in_memory=limits is None)
        self._stored = Summary()
        self._summary = Summary()  # with the pending changes
        self._listeners = ModuleListeners()
        self._issues = AccountIssues(hass, entry)
        self._lock = asyncio.Lock()
        self._pending: dict[str, CallRecord] = {}
        self._pending_listed: dict[str, ListedCall] = {}
        self._task: asyncio.Task[None] | None = None
        self._ringing: tuple[str, ...] = ()
        self._is_first_commit = True
        self._is_replaced = False
        self._is_failing = False

    @callback
    def async_listen(self, listener: ModuleListener) -> CALLBACK_TYPE:
        """Call a listener on every change; returns a function that removes it."""
        return self._listeners.async_add(listener)

    async def async_settle(self) -> None:
        """Wait until everything is stored that can be."""
        if self._task is not None:
            await self._task

    async def async_read[Result](self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a query, after pending changes are stored; HomeAssistantError: it failed."""
        await self.async_settle()
        database = self._database
        with self._translated_errors():
            try:
                return await database.read(query)
            except (DamagedError, NewerVersionError) as err:
                await self._async_finish(self._replace(database, err), "replace the history")
        await self._async_commit()
        with self._translated_errors():
            return await self._database.read(query)

    async def async_freeze(self, *, frozen: bool) -> None:
        """Leave the file unchanged while a backup copies it, and its log after it."""
        async with self._lock:
            with suppress(UnusableError):
                await self._database.set_frozen(frozen=frozen)

    async def async_switch_off(self) -> None:
        """Delete everything now; from now on, calls are kept in memory.

        HomeAssistantError: some files could not be deleted.
        """
        async with self._lock:
            self._is_first_commit = True  # also if only some files could be deleted
            with self._translated_errors():
                await self._database.remove()

    async def async_delete_damaged(self) -> bool:
        """Delete the copies of damaged files; returns whether none is left."""
        with suppress(HomeAssistantError):
            await self._async_commit(erase_damaged_before=math.inf)
        return not await self._async_update_damaged_issue()

    async def async_close(self) -> None:
        """Store pending changes, then close the database for good."""
        if self._database.is_closed:
            return
        if self._pending or self._pending_listed:
            await self._async_try_commit()
        async with self._lock:
            await self._database.close()

    async def _async_open(self, *, ringing: tuple[str, ...]) -> None:
        """Read what is stored; `ringing` are the sessions that still ring."""
        self._hass.data.setdefault(STORES, {})[self._entry.entry_id] = self
        stop = self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, self._on_stop)
        self._entry.async_on_unload(stop)
        self._entry.async_on_unload(self.async_close)
        self._summary.tracking_since = math.floor(self._now())
        self._ringing = ringing
        # A backup may have begun or ended during the set-up.
        await self.async_freeze(frozen=self._hass.data.get(FROZEN, False))
        await self._async_try_commit()
        await self._async_update_damaged_issue()

    def _put(self, record: CallRecord) -> None:
        """Show a call at once, and store it soon."""
        if record == self._summary.recent.get(record.id):
            return
        self._summary.put(record)
        self._pending[record.id] = record
        _limit(self._pending)
        if self._task is None or self._task.done():
            # Not eager: the task stores all changes of this moment in one transaction.
            self._task = self._hass.async_create_task(
                self._flush(), "bticino_classe history", eager_start=False
            )
        self._notify(record.modules)

    def _notify(self, changed: Collection[str]) -> None:
        self._listeners.async_notify(changed)

    async def _async_put_listed(self, calls: list[ListedCall]) -> None:
        """Store calls of the cloud's list, now or when the disk can be written."""
        self._pending_listed |= {call.id: call for call in calls}
        _limit(self._pending_listed)
        await self._async_try_commit()

    def _find_listed(self, news: CallRecord) -> CallRecord | None:
        """Return the same call among those of the cloud's list that are not stored yet."""
        dated = (listed for listed in self._pending_listed.values() if listed.is_dated)
        return find_call(dated, news.session, news.time)

    async def _async_commit(
        self, work: Callable[[Writer], None] = no_op, *, erase_damaged_before: float | None = None
    ) -> None:
        """Store pending changes and do some work in one transaction; update the summary.

        With `erase_damaged_before`, deleted content and older damaged copies are erased from disk.
        HomeAssistantError: nothing was stored; pending changes stay pending. The commit continues
        if the caller is cancelled, since stored changes have to be shown.
        """
        await self._async_finish(self._commit(work, erase_damaged_before), "commit")

    async def _async_finish(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something to its end, also if the caller is cancelled."""
        task = self._hass.async_create_task(work, f"{DOMAIN} {name}")
        task.add_done_callback(_retrieve_exception)
        await asyncio.wait([task])
        task.result()

    async def _commit(
        self, work: Callable[[Writer], None], erase_damaged_before: float | None
    ) -> None:
        async with self._lock:
            with self._translated_errors():
                await self._async_transaction(work)
                if erase_damaged_before is not None:
                    await self._database.erase(damaged_before=erase_damaged_before)
                    await self._async_update_damaged_issue()
        if self._is_failing:
            LOGGER.info("The history of calls can be stored again")
            self._issues.async_delete(HISTORY_NOT_STORED)
        self._is_failing = False

    async def _async_update_damaged_issue(self) -> bool:
        """Show the issue while there are copies of damaged files; returns whether there are."""
        path = history_path(self._hass, self._entry.entry_id)
        is_there = await self._hass.async_add_executor_job(has_damaged_copies, path)
        if is_there:
            self._issues.async_raise(HISTORY_DAMAGED)
        else:
            self._issues.async_delete(HISTORY_DAMAGED)
        return is_there

    async def _async_try_commit(self, work: Callable[[Writer], None] = no_op) -> None:
        """Commit; a failure is logged and raised as an issue only."""
        with suppress(HomeAssistantError):
            await self._async_commit(work)

    async def _flush(self) -> None:
        with suppress(HomeAssistantError):
            await self._async_commit()
            while self._pending:
                await self._async_commit()

    async def _async_transaction(self, work: Callable[[Writer], None]) -> None:
        """Commit to the file; if it is damaged or newer, to a new file or to memory."""
        for _ in range(MAX_ATTEMPTS):
            try:
                await self._async_store(work)
            except (DamagedError, NewerVersionError) as err:
                await self._async_replace(err)
            else:
                return
        reason = "damaged"
        raise UnusableError(reason)

    async def _async_store(self, work: Callable[[Writer], None]) -> None:
        """Run a transaction, and show the result."""
        calls, listed = tuple(self._pending.values()), tuple(self._pending_listed.values())
        is_first, ringing = self._is_first_commit, self._ringing
        deleted_until = self._entry.data.get(CONF_DELETED_UNTIL)
        limits, now, stored = self._limits, self._now(), self._stored

        def store(db: sqlite3.Connection) -> Summary:
            writer = Writer(db, limits=limits, now=now)
            if is_first:
                writer.begin(deleted_until=deleted_until, ringing=ringing)
            for news in (*calls, *listed):
                writer.put(news)
            work(writer)
            writer.apply_limits()
            if writer.changed.is_more:
                return Summary.read(db, now)
            return stored.read_changed(db, now, writer.changed)

        self._stored = await self._database.run(store)
        self._is_first_commit = False
        for call in calls:
            if self._pending.get(call.id) is call:
                del self._pending[call.id]
        for each in listed:
            self._pending_listed.pop(each.id, None)
        self._show_stored()

    def _show_stored(self) -> None:
        """Show what is stored, and what is pending."""
        summary, before = self._stored.copy(), self._summary
        for call in self._pending.values():
            summary.put(call)
        self._summary = summary
        if changed := summary.modules_unlike(before):
            self._notify(changed)

    async def _replace(self, database: Database, err: DamagedError | NewerVersionError) -> None:
        async with self._lock:
            if database is self._database:  # not replaced by another query yet
                with self._translated_errors():
                    await self._async_replace(err)

    async def _async_replace(self, err: DamagedError | NewerVersionError) -> None:
        """Continue with a new file that has what can still be read, or in memory.

        Calls of the last day are stored again. UnusableError: nothing has changed.
        """
        is_new_file_damaged = self._is_replaced and self._is_first_commit
        if isinstance(err, NewerVersionError):
            LOGGER.warning("The history of calls was written by a newer version; it is not changed")
            self._issues.async_raise(HISTORY_NEWER)
            in_memory = True
        else:
            in_memory = is_new_file_damaged or not await self._async_replace_file(err)
        if in_memory:
            self._limits = MEMORY_LIMITS
        replaced, self._database = self._database, self._new_database(in_memory=in_memory)
        await replaced.close()
        self._is_first_commit = self._is_replaced = True
        self._pending = self._summary.recent | self._pending

    async def _async_replace_file(self, err: DamagedError) -> bool:
        """Put a new file in place of a damaged one; returns whether the new one can be used."""
        self._issues.async_raise(HISTORY_DAMAGED)
        try:
            kept = await self._database.replace_damaged(self._salvage())
        except DamagedError:
            return False
        LOGGER.warning("The history of calls was damaged (%s); %s calls are kept", err, kept)
        return True

    def _salvage(self) -> Callable[[sqlite3.Connection, Path], int]:
        """Return a function that fills a new file with what can be read of the damaged one."""
        limits, now, until = self._limits, self._now(), self._entry.data.get(CONF_DELETED_UNTIL)

        def salvage(db: sqlite3.Connection, damaged: Path) -> int:
            writer = Writer(db, limits=limits, now=now)
            writer.note_deleted_until(until)
            return restore(writer, damaged, now)

        return salvage

    def _new_database(self, *, in_memory: bool) -> Database:
        path = None if in_memory else history_path(self._hass, self._entry.entry_id)
        return Database(path, is_frozen=self._hass.data.get(FROZEN, False))

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise errors of the file as HomeAssistantError; log the first, and raise an issue."""
        try:
            yield
        except FileError as err:
            if not self._is_failing and not self._database.is_closed:
                LOGGER.warning("The history of calls cannot be stored: %s", err)
                self._issues.async_raise(HISTORY_NOT_STORED)
                self._is_failing = True
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key=NOT_STORED) from err

    def _now(self) -> float:
        """Return the time by which calls grow old: a wrong cloud clock must not age them."""
        return min(self._clock(), dt_util.utcnow().timestamp())

    async def _on_stop(self, _event: Event) -> None:
        await self.async_close()


def history_path(hass: HomeAssistant, entry_id: str) -> Path:
    """Return the file of an account's history."""
    return Path(hass.config.path(STORAGE_DIR, DOMAIN, f"{entry_id}.db"))


async def async_remove_files(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the files of a history; log if some could not be deleted."""
    await hass.async_add_executor_job(remove_folder, picture_folder(hass, entry_id))
    try:
        await hass.async_add_executor_job(remove_files, history_path(hass, entry_id))
    except OSError as err:
        LOGGER.warning("Some of the history of calls could not be deleted: %s", err.strerror)


async def async_remove_history(hass: HomeAssistant, entry_id: str) -> None:
    """Close and delete the history of a removed account."""
    if store := hass.data.get(STORES, {}).pop(entry_id, None):
        await store.async_close()
    await async_remove_files(hass, entry_id)


async def async_freeze_histories(hass: HomeAssistant, *, frozen: bool) -> None:
    """Leave the files of all histories unchanged while a backup copies them.

    Changes go to the logs beside them, which may be copied at any moment.
    """
    _plan_unfreeze(hass, frozen=frozen)
    hass.data[FROZEN] = frozen
    for store in tuple(hass.data.get(STORES, {}).values()):
        await store.async_freeze(frozen=frozen)


def _plan_unfreeze(hass: HomeAssistant, *, frozen: bool) -> None:
    """Plan the end of a backup whose end is not reported: deleted calls must be overwritten."""

    async def unfreeze(_now: datetime) -> None:
        LOGGER.warning("A backup has not ended for hours; the history of calls is changed again")
        await async_freeze_histories(hass, frozen=False)

    if cancel := hass.data.pop(CANCEL_UNFREEZE, None):
        cancel()
    if frozen:
        job = HassJob(unfreeze, cancel_on_shutdown=True)
        hass.data[CANCEL_UNFREEZE] = async_call_later(hass, MAX_BACKUP_SECONDS, job)


def _limit(pending: dict[str, Any]) -> None:
    """Remove the oldest pending changes if there are too many."""
    while len(pending) > MAX_PENDING:
        del pending[next(iter(pending))]


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Mark the exception as retrieved; the caller may have been cancelled."""
    if not task.cancelled():
        task.exception()
