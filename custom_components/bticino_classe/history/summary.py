"""What entities and rings need of the history at once, in memory."""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from ..client import SESSION_REUSE_SECONDS
from .reading import by_ids, check, is_count, is_text, is_time, select
from .records import DAY, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    import sqlite3

    from .records import CallRecord
    from .writing import Changed

type NewestKey = tuple[str, str | None]  # a module, and a kind of picture that the call must have

MAX_RECENT: Final = 500  # calls
NEWEST: Final = 2  # the last call of a module and the one before
_UNSEEN: Final = "SELECT bridge_id, sum(unseen) FROM totals"


@dataclass(kw_only=True)
class Summary:
    """The last calls of each module, the unseen missed calls, and the calls of the last day.

    It is read when the database is opened; each commit then reads what it changed. Calls that are
    not stored yet are added to a copy.
    """

    newest: dict[NewestKey, tuple[CallRecord, ...]] = field(default_factory=dict)
    unseen: Counter[str] = field(default_factory=Counter)  # by intercom
    recent: dict[str, CallRecord] = field(default_factory=dict)  # by id
    deletions: list[tuple[str, float]] = field(default_factory=list)  # session and time
    deleted_until: float = 0.0
    tracking_since: float = 0.0

    @classmethod
    def read(cls, db: sqlite3.Connection, now: float) -> Summary:
        """Return what is stored."""
        meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
        check("tracking_since" in meta and all(map(is_time, meta.values())))
        last_day = "WHERE time > ? ORDER BY time DESC LIMIT ?"
        recent = select(db, last_day, now - DAY, MAX_RECENT)
        sql = f"SELECT session, time FROM deletions {last_day}"  # noqa: S608 - constants
        deletions = db.execute(sql, (now - DAY, MAX_RECENT)).fetchall()
        check(all(is_text(session) and is_time(time) for session, time in deletions))
        _check_totals(db)
        unseen = dict(db.execute(f"{_UNSEEN} GROUP BY bridge_id").fetchall())
        modules = {*chain.from_iterable(db.execute("SELECT bridge_id, panel_id FROM totals"))}
        return cls(
            newest=_newest_of(db, modules - {""}),
            unseen=Counter(unseen),
            recent={record.id: record for record in recent},
            deletions=deletions,
            deleted_until=meta.get("deleted_until", 0.0),
            tracking_since=meta["tracking_since"],
        )

    def read_changed(self, db: sqlite3.Connection, now: float, changed: Changed) -> Summary:
        """Return what is stored now, if this was stored before some calls changed."""
        others = {id_: record for id_, record in self.recent.items() if id_ not in changed.ids}
        records = sorted([*others.values(), *by_ids(db, changed.ids)], key=_from_newest)
        counts = {
            module_id: db.execute(f"{_UNSEEN} WHERE bridge_id = ?", (module_id,)).fetchone()[1] or 0
            for module_id in changed.modules
        }
        return replace(
            self,
            newest=self.newest | _newest_of(db, changed.modules),
            unseen=Counter({**self.unseen, **counts}),
            recent={
                record.id: record for record in records[:MAX_RECENT] if record.time > now - DAY
            },
        )

    def copy(self) -> Summary:
        """Return a summary that can be changed."""
        return replace(
            self, newest={**self.newest}, unseen=Counter(self.unseen), recent={**self.recent}
        )

    def find(
        self, session: str, time: float, within: float = SESSION_REUSE_SECONDS
    ) -> CallRecord | None:
        """Return the call of the last day with a session that began at about that time."""
        return find_call(self.recent.values(), session, time, within)

    def is_deleted(self, session: str, time: float) -> bool:
        """Whether such a call was deleted."""
        return time <= self.deleted_until or self.is_session_deleted(session, time)

    def is_session_deleted(
        self, session: str, time: float, within: float = SESSION_REUSE_SECONDS
    ) -> bool:
        """Whether the call of a session that began at about that time was deleted."""
        return any(
            session == deleted and abs(at - time) <= within for deleted, at in self.deletions
        )

    def modules_unlike(self, other: Summary) -> set[str]:
        """Return the ids of the panels and intercoms whose calls differ from another summary."""
        newest = _different(self.newest, other.newest)
        records = _different(self.recent, other.recent)
        stored = (summary.recent.get(id_) for id_ in records for summary in (self, other))
        return {
            *(module_id for module_id, _ in newest),
            *_different(self.unseen, other.unseen),
            *chain.from_iterable(record.modules for record in stored if record is not None),
        }

    def put(self, record: CallRecord) -> None:
        """Add a call, or replace it, before it is stored."""
        known = self.recent.get(record.id)
        self.recent[record.id] = record
        was_unseen = known is not None and known.is_unseen_miss
        self.unseen[record.bridge_id] += int(record.is_unseen_miss) - int(was_unseen)
        for module_id in record.modules:
            for kind in (None, *record.pictures):
                key = (module_id, kind)
                others = [each for each in self.newest.get(key, ()) if each.id != record.id]
                newest = sorted((record, *others), key=_from_newest)
                self.newest[key] = tuple(newest[:NEWEST])


def _different[Key](one: Mapping[Key, object], other: Mapping[Key, object]) -> list[Key]:
    pairs = ((key, one.get(key), other.get(key)) for key in one.keys() | other.keys())
    # Most are the same object; a count of zero is the same as none.
    return [key for key, a, b in pairs if a is not b and (a or None) != (b or None)]


def find_call(
    calls: Iterable[CallRecord], session: str, time: float, within: float = SESSION_REUSE_SECONDS
) -> CallRecord | None:
    """Return the call with a session that began closest to a time, within some seconds."""
    same = (call for call in calls if call.session == session)
    near = (call for call in same if abs(call.time - time) <= within)
    return min(near, key=lambda call: abs(call.time - time), default=None)


def _newest_of(
    db: sqlite3.Connection, modules: Iterable[str]
) -> dict[NewestKey, tuple[CallRecord, ...]]:
    keys = [(module_id, kind) for module_id in modules for kind in (None, *KINDS)]
    return {key: found for key in keys if (found := _newest(db, *key))}


def _check_totals(db: sqlite3.Connection) -> None:
    """Raise DamagedError if the totals are impossible; to count all calls would take too long."""
    found = db.execute("SELECT * FROM totals").fetchall()
    for *place, calls, unseen, picture_bytes in found:
        check(all(map(is_text, place)) and all(map(is_count, (calls, unseen, picture_bytes))))
        check(unseen <= calls)
    (has_calls,) = db.execute("SELECT EXISTS (SELECT 1 FROM calls)").fetchone()
    check(bool(found) == has_calls)


def _from_newest(record: CallRecord) -> float:
    return -record.time


def _newest(db: sqlite3.Connection, module_id: str, kind: str | None) -> tuple[CallRecord, ...]:
    picture = "" if kind is None else f" AND {kind} > 0"
    order = "ORDER BY time DESC LIMIT ?"
    found = (
        record
        for column in ("bridge_id", "panel_id")
        for record in select(db, f"WHERE {column} = ?{picture} {order}", module_id, NEWEST)
    )
    return tuple(sorted(found, key=_from_newest)[:NEWEST])
