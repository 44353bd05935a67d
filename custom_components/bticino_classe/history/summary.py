"""The part of the history that entities and rings need without waiting, in memory."""

from typing import TYPE_CHECKING

from ..client import SESSION_REUSE_SECONDS
from .reading import NEWEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .reading import NewestKey, Snapshot
    from .records import CallRecord


class Summary:
    """The last calls of each module, the unseen missed ones, and all calls of the last day.

    What is stored comes with each snapshot; calls that are not yet stored are put on top.
    """

    def __init__(self) -> None:
        self._stored_newest: dict[NewestKey, tuple[CallRecord, ...]] = {}
        self._stored_unseen: dict[str, int] = {}
        self._newest: dict[NewestKey, tuple[CallRecord, ...]] = {}
        self._unseen: dict[str, int] = {}
        self._recent: dict[str, CallRecord] = {}
        self._deletions: tuple[tuple[str, float], ...] = ()
        self.deleted_until = 0.0
        self.tracking_since = 0.0

    @property
    def modules(self) -> set[str]:
        """The panels and intercoms that have calls."""
        return {module_id for module_id, _ in self._newest}

    @property
    def recent(self) -> tuple[CallRecord, ...]:
        """The calls of the last day."""
        return tuple(self._recent.values())

    def get(self, call_id: str) -> CallRecord | None:
        """Return a call of the last day by its id."""
        return self._recent.get(call_id)

    def find(self, session: str, time: float) -> CallRecord | None:
        """Return the call of the last day that has this session and began within an hour of it."""
        calls = (c for c in self._recent.values() if c.session == session)
        near = (call for call in calls if abs(call.time - time) <= SESSION_REUSE_SECONDS)
        return min(near, key=lambda call: abs(call.time - time), default=None)

    def is_deleted(self, session: str, time: float) -> bool:
        """Whether such a call was deleted."""
        return time <= self.deleted_until or any(
            session == deleted and abs(at - time) <= SESSION_REUSE_SECONDS
            for deleted, at in self._deletions
        )

    def newest(self, module_id: str, kind: str | None = None) -> tuple[CallRecord, ...]:
        """Return the last two calls of a panel or an intercom, with a kind of picture if given."""
        return self._newest.get((module_id, kind), ())

    def unseen(self, bridge_id: str) -> int:
        """Return the number of missed calls of an intercom that are not marked as seen."""
        return self._unseen.get(bridge_id, 0)

    def refresh(self, stored: Snapshot, pending: Iterable[CallRecord]) -> bool:
        """Show what is stored now, and what is not yet; returns whether anything has changed."""
        before = (self._newest, self._unseen, self._recent)
        if stored.is_whole:
            self._stored_newest, self._stored_unseen = {}, {}
        self._stored_newest |= stored.newest
        self._stored_unseen |= stored.unseen
        self._newest = dict(self._stored_newest)
        self._unseen = dict(self._stored_unseen)
        self._recent = dict(stored.recent)
        self._deletions = stored.deletions
        self.deleted_until, self.tracking_since = stored.deleted_until, stored.tracking_since
        for record in pending:
            self.put(record)
        return before != (self._newest, self._unseen, self._recent)

    def put(self, record: CallRecord) -> None:
        """Show a call before it is stored."""
        known = self._recent.get(record.id)
        self._recent[record.id] = record
        was_unseen = known is not None and known.is_unseen_miss
        more = int(record.is_unseen_miss) - int(was_unseen)
        self._unseen[record.bridge_id] = self.unseen(record.bridge_id) + more
        for module_id in record.modules:
            for kind in (None, *record.pictures):
                key = (module_id, kind)
                others = [each for each in self.newest(*key) if each.id != record.id]
                newest = sorted((record, *others), key=lambda each: -each.time)
                self._newest[key] = tuple(newest[:NEWEST])
