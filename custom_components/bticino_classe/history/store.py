"""What the history stores: pending changes, commits, and what happens if the disk fails."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.hass_dict import HassKey

from ..client import SESSION_REUSE_SECONDS
from ..const import DOMAIN, LOGGER
from .database import DamagedError, Database, NewerVersionError, UnusableError
from .records import MEMORY_LIMITS
from .summary import Summary
from .writing import Batch, Writer, apply, void

if TYPE_CHECKING:
    from collections.abc import Callable
    import sqlite3

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .reading import Snapshot
    from .records import CallRecord, Limits, ListedCall
    from .writing import Committed

MOST_PENDING: Final = 1000  # calls, or listed calls, that wait for a disk that can be written
MOST_ATTEMPTS: Final = 3  # with the file, with a new one, in memory
NOT_STORED: Final = "history_not_stored"
DAMAGED: Final = "history_damaged"
NEWER: Final = "history_newer"
ISSUES: Final = (NOT_STORED, DAMAGED, NEWER)
FROZEN: Final[HassKey[bool]] = HassKey(f"{DOMAIN}_frozen")  # while a backup is written


class CallStore:
    """Stores calls in the background, in the order in which they changed.

    `now` is the time by which calls grow old; `on_change` is called when `summary` has changed.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        *,
        limits: Limits | None,
        now: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        """Without `limits`, calls are kept in memory only."""
        self.limits = limits or MEMORY_LIMITS
        self.summary = Summary()
        self._hass = hass
        self._entry = entry
        self._now = now
        self._on_change = on_change
        self._database = self._open(is_stored=limits is not None)
        self._lock = asyncio.Lock()
        self._pending: dict[str, CallRecord] = {}
        self._listed: dict[str, ListedCall] = {}
        self._task: asyncio.Task[None] | None = None
        self._deleted_until: float | None = None
        self._is_begun = False
        self._is_replaced = False
        self._is_failing = False

    async def async_load(self, *, deleted_until: float | None) -> None:
        """Read the stored calls; those until a time count as deleted."""
        self._deleted_until = deleted_until
        # A backup may have begun or ended during the set-up.
        await self.async_freeze(frozen=self._hass.data.get(FROZEN, False))
        with suppress(HomeAssistantError):
            await self.async_commit(void)

    async def async_close(self) -> None:
        """Store what is still pending, and nothing after that."""
        if self._database.is_closed:
            return
        if self._pending or self._listed:
            with suppress(HomeAssistantError):
                await self.async_commit(void)
        async with self._lock:
            await self._database.close()

    async def async_remove(self) -> None:
        """Delete the file; what happens from now on is kept in memory."""
        async with self._lock:
            self._is_begun = False  # also if only a part could be deleted
            try:
                await self._database.remove()
            except UnusableError as err:
                raise self._failure(err) from err

    async def async_freeze(self, *, frozen: bool) -> None:
        """Leave the file as it is while a backup copies it; the log is copied after it."""
        async with self._lock:
            with suppress(UnusableError):
                await (self._database.freeze() if frozen else self._database.thaw())

    def put(self, record: CallRecord) -> None:
        """Show a call at once, and store it soon."""
        self.summary.put(record)
        self._pending[record.id] = record
        _limit(self._pending)
        self._schedule()  # before listeners ask for what is stored
        self._on_change()

    async def async_put_listed(self, calls: list[ListedCall]) -> None:
        """Store calls of the cloud's list, now or when the disk can be written."""
        self._listed |= {each.record.id: each for each in calls}
        _limit(self._listed)
        with suppress(HomeAssistantError):
            await self.async_commit(void)

    def find_listed(self, news: CallRecord) -> CallRecord | None:
        """Return a call among those of the cloud's list that are not stored yet."""
        records = (listed.record for listed in self._listed.values() if listed.is_dated)
        same = (record for record in records if record.session == news.session)
        near = (each for each in same if abs(each.time - news.time) <= SESSION_REUSE_SECONDS)
        return next(near, None)

    async def async_remove_damaged(self) -> None:
        """Delete the damaged files that were put aside; HomeAssistantError: some are left."""
        try:
            await self._database.remove_damaged()
        except UnusableError as err:
            raise self._failure(err) from err

    async def async_commit[Result](self, work: Callable[[Writer], Result]) -> Result:
        """Store what is pending and do some work in one transaction, then show it.

        HomeAssistantError: nothing was stored; what is pending stays so. A caller that is cancelled
        does not cancel it: what is stored has to be shown.
        """
        task = self._hass.async_create_task(self._commit(work), "bticino_classe commit")
        task.add_done_callback(_retrieve_exception)
        await asyncio.wait([task])
        return task.result()

    async def _commit[Result](self, work: Callable[[Writer], Result]) -> Result:
        async with self._lock:
            try:
                batch, committed = await self._async_apply(work)
                self._on_committed(batch, committed.snapshot)
                if committed.erases:
                    await self._database.erase()
            except UnusableError as err:
                raise self._failure(err) from err
        self._on_success()
        return committed.result

    async def async_read[Result](self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return the answer to a query; HomeAssistantError: the disk gives none."""
        database = self._database
        try:
            return await database.read(query)
        except UnusableError as err:
            raise self._failure(err) from err
        except (DamagedError, NewerVersionError) as err:
            await self._async_replace_once(database, err)
        await self.async_commit(void)
        try:
            return await self._database.read(query)
        except (UnusableError, DamagedError, NewerVersionError) as err:
            raise self._failure(err) from err

    async def async_settle(self) -> None:
        """Wait until everything is stored that can be."""
        if self._task is not None:
            await self._task

    def _schedule(self) -> None:
        """Store what has changed in this moment in one go."""
        if self._task is None or self._task.done():
            self._task = self._hass.async_create_task(
                self._flush(), "bticino_classe history", eager_start=False
            )

    async def _flush(self) -> None:
        with suppress(HomeAssistantError):
            await self.async_commit(void)
            while self._pending:
                await self.async_commit(void)

    async def _async_apply[Result](
        self, work: Callable[[Writer], Result]
    ) -> tuple[Batch, Committed[Result]]:
        """Run a transaction; if the file cannot be used, on a new one or in memory."""
        for _ in range(MOST_ATTEMPTS):
            batch = Batch(
                calls=tuple(self._pending.values()),
                listed=tuple(self._listed.values()),
                begins=not self._is_begun,
                deleted_until=self._deleted_until,
            )
            run = partial(apply, batch=batch, work=work, limits=self.limits, now=self._now())
            try:
                return batch, await self._database.run(run)
            except (DamagedError, NewerVersionError) as err:
                await self._async_replace(err)
        reason = "damaged"
        raise UnusableError(reason)

    async def _async_replace_once(
        self, database: Database, err: DamagedError | NewerVersionError
    ) -> None:
        """Replace a database that a query cannot use, unless that was done meanwhile."""
        async with self._lock:
            if database is not self._database:
                return
            try:
                await self._async_replace(err)
            except UnusableError as failure:
                raise self._failure(failure) from failure

    async def _async_replace(self, err: DamagedError | NewerVersionError) -> None:
        """Continue with a new file, or in memory; the calls of the last day are stored again."""
        is_useless = self._is_replaced and not self._is_begun  # a new file, damaged at once
        is_stored = isinstance(err, DamagedError) and not is_useless
        if is_stored:
            LOGGER.warning("The history of calls is damaged (%s) and starts again", err)
            await self._database.put_aside()
            self._raise_issue(DAMAGED)
        elif isinstance(err, NewerVersionError):
            LOGGER.warning("The history of calls is of a newer version; it is left untouched")
            self._raise_issue(NEWER)
        if not is_stored:
            self.limits = MEMORY_LIMITS
        replaced, self._database = self._database, self._open(is_stored=is_stored)
        await replaced.close()
        self._is_begun, self._is_replaced = False, True
        self._pending = {record.id: record for record in self.summary.recent} | self._pending

    def _open(self, *, is_stored: bool) -> Database:
        path = history_path(self._hass, self._entry.entry_id) if is_stored else None
        return Database(path, is_frozen=self._hass.data.get(FROZEN, False))

    def _on_committed(self, batch: Batch, stored: Snapshot) -> None:
        self._is_begun = True
        for call in batch.calls:
            if self._pending.get(call.id) is call:
                del self._pending[call.id]
        for listed in batch.listed:
            self._listed.pop(listed.record.id, None)
        if self.summary.refresh(stored, self._pending.values()):
            self._on_change()

    def _failure(self, err: Exception) -> HomeAssistantError:
        """Return the error for a person; log it once, and raise an issue."""
        if not self._is_failing and not self._database.is_closed:
            LOGGER.warning("The history of calls cannot be stored: %s", err)
            self._raise_issue(NOT_STORED)
            self._is_failing = True
        return HomeAssistantError(translation_domain=DOMAIN, translation_key=NOT_STORED)

    def _on_success(self) -> None:
        if self._is_failing:
            LOGGER.info("The history of calls can be stored again")
            ir.async_delete_issue(self._hass, DOMAIN, issue_id(self._entry.entry_id, NOT_STORED))
        self._is_failing = False

    def _raise_issue(self, key: str) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id(self._entry.entry_id, key),
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"title": self._entry.title},
        )


def issue_id(entry_id: str, key: str) -> str:
    """Return the id of an account's repair issue."""
    return f"{key}_{entry_id}"


def history_path(hass: HomeAssistant, entry_id: str) -> Path:
    """Return the file of an account's history."""
    return Path(hass.config.path(STORAGE_DIR, DOMAIN, f"{entry_id}.db"))


def _limit(waiting: dict[str, Any]) -> None:
    """Drop the oldest of what waits to be stored, if it is too much."""
    while len(waiting) > MOST_PENDING:
        del waiting[next(iter(waiting))]


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Mark the exception as retrieved; the caller may have been cancelled."""
    if not task.cancelled():
        task.exception()
