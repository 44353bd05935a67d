"""What became of the calls: each once, from pushes and from the cloud's list, with its pictures."""

from dataclasses import replace
from functools import partial
import math
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import callback

from .archive import Archive, Index, MemoryArchive
from .client.calls import NEW_AFTER, CallState
from .client.pictures import StillImage
from .const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_HISTORY,
    CONF_KEEP,
    CONF_MEGABYTES,
    DEFAULT_CALLS,
    DEFAULT_DAYS,
    DEFAULT_MEGABYTES,
    LOGGER,
)
from .ledger import Ledger
from .past_calls import (
    DAY,
    GONE,
    KeptPicture,
    Limits,
    PastCall,
    call_id,
    from_call,
    from_event,
    merged,
    over,
    sensible,
    too_large,
    too_many,
)
from .picture_files import Named, content_type, file_name
from .recovery import reconciled

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable, Mapping

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

    from .client import Event
    from .client.calls import CallChange
    from .coordinator import BticinoConfigEntry

# What is at hand where nothing is to be stored.
_IN_MEMORY: Final = Limits(days=1, calls=100, megabytes=8)
_DELETIONS_REMEMBERED: Final = 90 * DAY  # seconds: the cloud's list may reach back that far


class CallHistory:
    """The calls of an account, in memory and in its archive.

    Times are those of `clock`; `panels_of` names the panels behind an intercom.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BticinoConfigEntry,
        *,
        clock: Callable[[], float],
        panels_of: Callable[[str], tuple[str, ...]],
    ) -> None:
        options = entry.options.get(CONF_HISTORY, {})
        self.is_kept: bool = options.get(CONF_KEEP, True)
        self._hass = hass
        self._entry_id = entry.entry_id
        self._clock = clock
        self._panels_of = panels_of
        self._archive = Archive(hass, entry.entry_id) if self.is_kept else MemoryArchive()
        self._limits = _limits(options) if self.is_kept else _IN_MEMORY
        self._ledger = Ledger()
        self._deleted: dict[str, float] = {}
        self._deleted_until = 0.0
        self._begun_at = 0.0
        self._listeners: list[Callable[[], None]] = []
        self._saving: asyncio.Task[None] | None = None
        self._is_dirty = False
        self._is_closed = False
        self._removed: list[str] = []

    async def async_load(self, intercom_of: Callable[[str], str]) -> None:
        """Take over what was kept, or remove it; what happened before the first start is seen."""
        if not self.is_kept:
            await Archive(self._hass, self._entry_id).async_remove()
        found = await self._archive.async_load()
        recovered = await self._hass.async_add_executor_job(reconciled, found, intercom_of)
        if recovered.report:
            LOGGER.warning("The history of calls was damaged: %s", recovered.report)
        index = found.index
        # The cloud's times are whole seconds.
        self._begun_at = math.floor(self._clock()) if index.begun_at is None else index.begun_at
        self._deleted, self._deleted_until = dict(index.deleted), index.deleted_until
        self._ledger = await self._hass.async_add_executor_job(Ledger, map(over, recovered.calls))
        await self._archive.async_remove_pictures(recovered.leftovers)
        if index.begun_at is None or recovered.calls != list(index.calls):
            self._changed()
        self.async_tidy()

    async def async_save(self) -> None:
        """Wait until all is written."""
        if self._saving is not None:
            await self._saving

    async def async_close(self) -> None:
        """Write what is still to be written, and nothing after that: a reload reads it again."""
        self._is_closed = True
        self._archive.close()
        await self.async_save()

    @callback
    def async_listen(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Tell a listener of every change; returns what ends that."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    @property
    def calls(self) -> tuple[PastCall, ...]:
        """All calls, oldest first: what is sought among them is sought off the event loop."""
        return self._ledger.calls

    def call(self, known_as: str) -> PastCall | None:
        """Return a call by its id."""
        return self._ledger.get(known_as)

    def known_as(self, session_id: str, began_at: float) -> str:
        """Return a call's id; one whose session comes again after an hour is another call."""
        found = call_id(session_id)
        while (time := self._time_of(found)) is not None and abs(time - began_at) > NEW_AFTER:
            found = call_id(found)
        return found

    def last(self, module_id: str, kind: str | None = None) -> PastCall | None:
        """Return the newest call of a panel or an intercom, if asked for with such a picture."""
        return self._ledger.newest(module_id, kind)

    def missed(self, bridge_id: str) -> int:
        """Count the calls of an intercom that were missed since somebody looked."""
        return self._ledger.number_of_unseen(bridge_id)

    @callback
    def async_look(self, bridge_id: str) -> None:
        """Note that somebody has looked at an intercom's missed calls."""
        for call in self._ledger.unseen(bridge_id):
            self._ledger.put(replace(call, seen=True))
        self._changed()

    @callback
    def async_add(self, change: CallChange) -> None:
        """Take note of what happened to a call."""
        call = change.call
        self._note(from_call(call, self.known_as(call.session_id, call.began_at)))

    @callback
    def async_add_events(self, events: Iterable[Event]) -> None:
        """Take note of the calls among the cloud's events, in whatever order they come."""
        for event in sorted(events, key=lambda event: event.time):
            if (found := from_event(event)) is not None:
                session_id, call = found
                call = sensible(call, self._clock())
                self._note_event(replace(call, id=self.known_as(session_id, call.time)))

    def is_before(self, events: Collection[Event]) -> bool:
        """Whether all calls were before all events, so that some may have been between."""
        newest = next(reversed(self.calls), None)
        return newest is not None and newest.time < min(event.time for event in events)

    def wants(self, known_as: str, kind: str) -> bool:
        """Whether a picture of a call is still to be had."""
        call = self.call(known_as)
        return call is not None and getattr(call, kind) is None

    async def async_keep(self, known_as: str, kind: str, image: StillImage) -> None:
        """Keep a picture of a call, unless the call is deleted meanwhile."""
        call = self.call(known_as)
        if call is None:
            return
        place = call.panel_id or call.bridge_id
        name = Named(module_id=place, time=call.time, call_id=call.id, kind=kind)
        kept = KeptPicture(file=file_name(name, image.content_type), size=len(image.content))
        if not await self._archive.async_write_picture(kept.file, image.content):
            return
        call = self.call(known_as)
        if call is None:
            await self._archive.async_remove_pictures([kept.file])
        else:
            self._ledger.put(call.pictured(kind, kept))
            self._changed()
            self.async_tidy()

    @callback
    def async_give_up(self, known_as: str, kind: str) -> None:
        """Note that no such picture of a call will come."""
        call = self.call(known_as)
        if call is not None and self.wants(known_as, kind):
            self._ledger.put(call.pictured(kind, GONE))
            self._changed()

    async def async_picture(self, call: PastCall, kind: str) -> StillImage | None:
        """Return a picture of a call; None if there is none."""
        picture = call.kept(kind)
        content = await self._archive.async_read_picture(picture.file) if picture else None
        if picture is None or content is None:
            return None
        return StillImage(content=content, content_type=content_type(picture.file))

    @callback
    def async_delete(self, calls: Iterable[PastCall]) -> None:
        """Forget calls and their pictures for good, although the cloud will tell of them again."""
        gone, now = tuple(calls), self._clock()
        recent = {k: at for k, at in self._deleted.items() if now - at < _DELETIONS_REMEMBERED}
        known = recent | {call.id: call.time for call in gone}
        self._deleted = {key: at for key, at in known.items() if at > self._deleted_until}
        self._drop(gone)

    @callback
    def async_delete_all(self) -> None:
        """Forget every call there is; those of this very second one by one, to miss no new one."""
        self._deleted_until = math.floor(self._clock()) - 1.0
        self.async_delete(self.calls)

    @callback
    def async_tidy(self) -> None:
        """Forget what is older, or more, than is to be kept."""
        self._drop(too_many(self.calls, self._limits, self._clock()))
        stripped = too_large(self.calls, self._limits, self._ledger.size)
        for call in stripped:
            self._ledger.put(call.without_pictures())
        self._remove_pictures(stripped)

    def _note(self, news: PastCall) -> None:
        known = self.call(news.id)
        if known is None and self._is_forgotten(news):
            return
        new = replace(news, seen=news.time < self._begun_at) if known is None else news
        call = new if known is None else merged(known, new)
        if call != known:
            self._ledger.put(call)
            self._changed()
            self.async_tidy()

    def _note_event(self, news: PastCall) -> None:
        """Take note of a call in the cloud's list, where no outcome is not yet an end.

        Who rang is not in the list: it is known where only one can.
        """
        known, panels = self.call(news.id), self._panels_of(news.bridge_id)
        if len(panels) == 1:
            news = replace(news, panel_id=panels[0])
        if known is not None and news.outcome == CallState.ENDED:
            news = replace(news, outcome=known.outcome)
        self._note(news)

    def _is_forgotten(self, call: PastCall) -> bool:
        """Whether a call was deleted, or is older than is to be kept."""
        is_deleted = call.id in self._deleted or call.time <= self._deleted_until
        return is_deleted or call.time < self._clock() - self._limits.days * DAY

    def _time_of(self, known_as: str) -> float | None:
        call = self.call(known_as)
        return self._deleted.get(known_as) if call is None else call.time

    def _drop(self, calls: Collection[PastCall]) -> None:
        self._ledger.remove(calls)
        self._remove_pictures(calls)

    def _remove_pictures(self, calls: Collection[PastCall]) -> None:
        if calls:
            self._removed += [file for call in calls for file in call.files]
            self._changed()

    def _changed(self) -> None:
        """Write, in one go with what else changes in this moment, and tell."""
        if self._is_closed:
            return
        self._is_dirty = True
        if self._saving is None or self._saving.done():
            self._saving = self._hass.async_create_task(
                self._save_while_dirty(), "bticino_classe history", eager_start=False
            )
        for listener in tuple(self._listeners):
            self._tell(listener)

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:  # noqa: BLE001 - one listener's fault must not cost the others the call
            LOGGER.exception("A change of the history could not be shown")

    async def _save_while_dirty(self) -> None:
        """Write the index before files go: a kill between leaves files, which are found again."""
        while self._is_dirty:
            self._is_dirty = False
            removed, self._removed = self._removed, []
            await self._archive.async_save(self._index())
            await self._archive.async_remove_pictures(removed)

    def _index(self) -> Index:
        return Index(
            calls=self.calls,
            begun_at=self._begun_at,
            deleted=self._deleted,
            deleted_until=self._deleted_until,
        )


def _limits(options: Mapping[str, Any]) -> Limits:
    return Limits(
        days=int(options.get(CONF_DAYS, DEFAULT_DAYS)),
        calls=int(options.get(CONF_CALLS, DEFAULT_CALLS)),
        megabytes=int(options.get(CONF_MEGABYTES, DEFAULT_MEGABYTES)),
    )
