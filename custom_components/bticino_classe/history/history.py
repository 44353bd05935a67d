"""What became of the calls: each once, from pushes and from the cloud's list, with its pictures."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
import math
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..client import SESSION_REUSE_SECONDS, CallState, StillImage
from ..const import (
    CONF_BEGIN_ANEW,
    CONF_HISTORY,
    CONF_KEEP,
    DOMAIN,
    LOGGER,
)
from .archive import Archive, Index, MemoryArchive
from .deletions import Deletions
from .ledger import Ledger
from .picture_files import Named, content_type, file_name
from .records import (
    CLOCKS_DIFFER,
    DAY,
    GONE,
    CallRecord,
    KeptPicture,
    Limits,
    call_id,
    from_call,
    from_event,
    merged,
    over,
    sensible,
    too_large,
    too_many,
)
from .recovery import reconciled
from .saving import Saving

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

    from ..client import CallChange, Event

# What is at hand where nothing is to be stored.
_IN_MEMORY: Final = Limits(days=1, calls=100, megabytes=8)
TIDY_INTERVAL: Final = timedelta(hours=1)
SESSIONS_ALIKE: Final = 4  # calls that are told apart although an intercom counts anew
# The histories that are open, by account: who removes an account has to wait for what they write.
HISTORIES: Final[HassKey[dict[str, CallHistory]]] = HassKey(f"{DOMAIN}_histories")


class CallHistory:
    """The calls of an account, in memory and in its archive.

    Times are those of `clock`; `panels_of` names the panels behind an intercom.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        *,
        clock: Callable[[], float],
        panels_of: Callable[[str], tuple[str, ...]],
    ) -> None:
        options = entry.options.get(CONF_HISTORY, {})
        self.is_kept: bool = options.get(CONF_KEEP, True)
        self._hass = hass
        self._entry = entry
        self._clock = clock
        self._panels_of = panels_of
        self._archive = Archive(hass, entry.entry_id) if self.is_kept else MemoryArchive()
        self._limits = Limits.chosen(options) if self.is_kept else _IN_MEMORY
        self._ledger = Ledger()
        self._deletions = Deletions(by_id={})
        self._begun_at = 0.0
        self._listeners: list[Callable[[], None]] = []
        self._saving = Saving(hass, self._archive, self._index)

    async def async_remove_unwanted(self) -> None:
        """Remove what was kept, if nothing is to be, whatever becomes of the start."""
        if not self.is_kept:
            await Archive(self._hass, self._entry.entry_id).async_remove()

    async def async_load(self, intercom_of: Callable[[str], str]) -> None:
        """Take over what was kept; what happened before the first start counts as seen."""
        self._hass.data.setdefault(HISTORIES, {})[self._entry.entry_id] = self
        found = await self._archive.async_load()
        recovered = await self._hass.async_add_executor_job(reconciled, found, intercom_of)
        if recovered.report:
            LOGGER.warning("The history of calls was damaged: %s", recovered.report)
        index = found.index
        # The cloud's times are whole seconds.
        self._begun_at = math.floor(self._now) if index.begun_at is None else index.begun_at
        self._deletions = self._begun_anew(index.deletions)
        self._ledger = await self._hass.async_add_executor_job(Ledger, map(over, recovered.calls))
        await self._archive.async_remove_pictures(recovered.leftovers)
        if index.begun_at is None or recovered.calls != list(index.calls):
            self._changed()
        self.async_tidy()

    def _begun_anew(self, deletions: Deletions) -> Deletions:
        """Take nothing over that was while nothing was to be kept, nor what was deleted then."""
        was_off = self._entry.data.get(CONF_BEGIN_ANEW, False)
        if was_off is self.is_kept:
            data = {**self._entry.data, CONF_BEGIN_ANEW: not self.is_kept}
            self._hass.config_entries.async_update_entry(self._entry, data=data)
        is_anew = was_off or not self.is_kept
        return replace(deletions, until=math.floor(self._now) - 1.0) if is_anew else deletions

    @callback
    def async_start(self) -> None:
        """Tidy every hour, until the entry is unloaded and the history is closed."""
        self._entry.async_on_unload(self.async_close)
        self._entry.async_on_unload(
            async_track_time_interval(
                self._hass, self._on_hour, TIDY_INTERVAL, cancel_on_shutdown=True
            )
        )

    @callback
    def _on_hour(self, _now: datetime) -> None:
        self.async_tidy()

    async def async_save(self) -> None:
        """Wait until all is written that can be."""
        await self._saving.async_settle()

    async def async_close(self) -> None:
        """Write what is still to be written, and nothing after that: a reload reads it again."""
        await self._saving.async_close()

    @callback
    def async_listen(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Tell a listener of every change; returns what ends that."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """All calls, oldest first: what is sought among them is sought off the event loop."""
        return self._ledger.calls

    def call(self, known_as: str) -> CallRecord | None:
        """Return a call by its id."""
        return self._ledger.get(known_as)

    def known_as(self, session_id: str, began_at: float) -> str:
        """Return a call's id; one whose session comes again after an hour is another call."""
        chain = [call_id(session_id)]
        while len(chain) < SESSIONS_ALIKE:
            chain.append(call_id(chain[-1]))
        times = {each: self._time_of(each) for each in chain}
        for each, time in times.items():
            if time is not None and abs(time - began_at) <= SESSION_REUSE_SECONDS:
                return each
        return next((each for each, time in times.items() if time is None), chain[0])

    def told_by(self, event: Event) -> CallRecord | None:
        """Return the call that one of the cloud's events tells of, by the id that it has here."""
        if (found := from_event(event)) is None:
            return None
        session_id, call = found
        told = sensible(call, self._clock())
        if call.time - told.time > CLOCKS_DIFFER:
            return told  # its time says nothing
        return replace(told, id=self.known_as(session_id, told.time))

    def last(self, module_id: str, kind: str | None = None) -> CallRecord | None:
        """Return the newest call of a panel or an intercom, if asked for with such a picture."""
        return self._ledger.newest(module_id, kind)

    def missed(self, bridge_id: str) -> int:
        """Count the calls of an intercom that were missed since somebody looked."""
        return self._ledger.number_of_unseen(bridge_id)

    @callback
    def async_mark_seen(self, bridge_id: str) -> None:
        """Note that somebody has looked at an intercom's missed calls."""
        for call in self._ledger.unseen(bridge_id):
            self._ledger.put(replace(call, seen=True))
        self._changed()

    @callback
    def async_add(self, change: CallChange) -> None:
        """Take note of what happened to a call."""
        call = change.call
        if self._note(from_call(call, self.known_as(call.session_id, call.began_at))):
            self._changed()

    @callback
    def async_answered_elsewhere(self, session_id: str) -> None:
        """Note that somebody answers a call that rang before Home Assistant was started."""
        now = self._clock()
        call = self.call(self.known_as(session_id, now))
        if call is not None and call.outcome == CallState.ENDED and call.ended_at is None:
            answered = CallState.ANSWERED.value
            self._ledger.put(
                replace(call, outcome=answered, answered_at=now, answered_by="elsewhere")
            )
            self._changed()

    @callback
    def async_add_events(self, events: Iterable[Event]) -> None:
        """Take note of the calls among the cloud's events, in whatever order they come."""
        notes = [self._note_event(event) for event in sorted(events, key=lambda e: e.time)]
        if any(notes):
            self._changed()

    def wants(self, known_as: str, kind: str) -> bool:
        """Whether a picture of a call is still to be had."""
        call = self.call(known_as)
        return call is not None and getattr(call, kind) is None

    async def async_keep(self, known_as: str, kind: str, image: StillImage) -> None:
        """Keep a picture of a call, unless the call is deleted meanwhile."""
        call = self.call(known_as)
        if call is None:
            return
        name = Named(module_id=call.module_id, time=call.time, call_id=call.id, kind=kind)
        kept = KeptPicture(file=file_name(name, image.content_type), size=len(image.content))
        if not await self._archive.async_write_picture(kept.file, image.content):
            return
        call = self.call(known_as)
        if call is None:
            await self._archive.async_remove_pictures([kept.file])
        else:
            self._ledger.put(call.pictured(kind, kept))
            self._changed()

    @callback
    def async_give_up(self, known_as: str, kind: str) -> None:
        """Note that no such picture of a call will come."""
        call = self.call(known_as)
        if call is not None and self.wants(known_as, kind):
            self._ledger.put(call.pictured(kind, GONE))
            self._changed()

    async def async_picture(self, call: CallRecord, kind: str) -> StillImage | None:
        """Return a picture of a call; None if there is none."""
        picture = call.kept(kind)
        content = await self._archive.async_read_picture(picture.file) if picture else None
        if picture is None or content is None:
            return None
        return StillImage(content=content, content_type=content_type(picture.file))

    @callback
    def async_delete(self, calls: Iterable[CallRecord]) -> None:
        """Forget calls and their pictures for good, although the cloud will tell of them again."""
        gone = tuple(calls)
        self._deletions = self._deletions.of(gone, self._now)
        self._drop(gone)

    @callback
    def async_delete_all(self) -> None:
        """Forget every call there is."""
        self._deletions = self._deletions.of_all(self.calls, self._now)
        self._drop(self.calls)

    @callback
    def async_tidy(self) -> None:
        """Forget what is older, or more, than is to be kept; write what could not be written."""
        before = self._deletions
        self._deletions = before.recent(self._now, self._limits.days)
        gone = self._tidied()
        if gone or before is not self._deletions or self._saving.is_behind:
            self._changed(gone)

    def _tidied(self) -> list[str]:
        """Forget what is too much, and return the pictures that go."""
        old = too_many(self.calls, self._limits, self._now)
        self._ledger.remove(old)
        stripped = too_large(self.calls, self._limits, self._ledger.size)
        for call in stripped:
            self._ledger.put(call.without_pictures())
        return [file for call in (*old, *stripped) for file in call.files]

    def _note(self, news: CallRecord) -> bool:
        """Take note of a call; returns whether anything is new."""
        known = self.call(news.id)
        if known is None and self._is_forgotten(news):
            return False
        new = replace(news, seen=news.time < self._begun_at) if known is None else news
        call = new if known is None else merged(known, new)
        if call == known:
            return False
        self._ledger.put(call)
        return True

    def _note_event(self, event: Event) -> bool:
        """Take note of a call in the cloud's list, where no outcome is not yet an end.

        Who rang is not in the list: it is known where only one can.
        """
        if (news := self.told_by(event)) is None:
            return False
        known, panels = self.call(news.id), self._panels_of(news.bridge_id)
        if len(panels) == 1:
            news = replace(news, panel_id=panels[0])
        if known is not None and news.outcome == CallState.ENDED:
            news = replace(news, outcome=known.outcome)
        return self._note(news)

    def _is_forgotten(self, call: CallRecord) -> bool:
        """Whether a call was deleted, or is older than is to be kept."""
        if self._deletions.cover(call.id, call.time):
            return True
        oldest, is_full = self._ledger.oldest, len(self._ledger) >= self._limits.calls
        if is_full and oldest is not None and call.time < oldest.time:
            return True
        return call.time < self._now - self._limits.days * DAY

    @property
    def _now(self) -> float:
        """The time by which calls grow old: a cloud whose clock is wrong must not make them."""
        return min(self._clock(), dt_util.utcnow().timestamp())

    def _time_of(self, known_as: str) -> float | None:
        call = self.call(known_as)
        deleted = self._deletions.by_id.get(known_as)
        if call is not None:
            return call.time
        return None if deleted is None else deleted.called_at

    def _drop(self, calls: Collection[CallRecord]) -> None:
        self._ledger.remove(calls)
        self._changed([file for call in calls for file in call.files])

    def _changed(self, removed: Iterable[str] = ()) -> None:
        """Tidy, write in one go with what else changes in this moment, and tell once."""
        self._saving.async_soon([*removed, *self._tidied()])
        for listener in tuple(self._listeners):
            self._tell(listener)

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:  # noqa: BLE001 - one listener's fault must not cost the others the call
            LOGGER.exception("A change of the history could not be shown")

    def _index(self) -> Index:
        return Index(calls=self.calls, begun_at=self._begun_at, deletions=self._deletions)


async def async_remove_history(hass: HomeAssistant, entry_id: str) -> None:
    """Remove all that is kept of an account's calls, once nothing writes any more."""
    if history := hass.data.get(HISTORIES, {}).pop(entry_id, None):
        await history.async_close()
    await Archive(hass, entry_id).async_remove()
