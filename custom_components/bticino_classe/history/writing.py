"""Changes of the history within a transaction. They block: the database's thread runs them."""

from dataclasses import dataclass, field, replace
import json
from typing import TYPE_CHECKING, Final

from ..client import SESSION_REUSE_SECONDS
from .reading import COLUMNS, HAS_PICTURE, IN_LIST, as_row, by_ids, check, same_call
from .records import DAY, GONE, KINDS, MEGABYTE, Limits, ListedCall, merged

if TYPE_CHECKING:
    from collections.abc import Iterable
    import sqlite3

    from ..client import StillImage
    from .reading import Condition
    from .records import CallRecord

EXCESS_DIVISOR: Final = 200  # above the limit, half a percent of the calls is deleted at once
REMEMBERED_DAYS: Final = 90  # for a deletion at least: the cloud's list may go back that far
# These texts are made of constants (S608).
_NAMES: Final = COLUMNS.split(", ")
_VALUES: Final = ", ".join("?" * len(_NAMES))
_INSERT: Final = f"INSERT INTO calls ({COLUMNS}) VALUES ({_VALUES})"  # noqa: S608
_SET_SIZE: Final = {kind: f"UPDATE calls SET {kind} = ? WHERE id = ?" for kind in KINDS}  # noqa: S608
_MARK_SEEN: Final = (
    "UPDATE calls SET seen = 1 WHERE bridge_id = ? AND outcome = 'missed' AND seen = 0"
)
_DELETE_EXCESS: Final = (
    "DELETE FROM calls WHERE time < ? OR number IN (SELECT number FROM calls ORDER BY time LIMIT ?)"
)
_SET_TIME: Final = (
    "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)"
)
_IS_UNWANTED: Final = (
    "SELECT ?2 < ?4"
    " OR EXISTS (SELECT 1 FROM deletions WHERE session = ?1 AND time BETWEEN ?2 - ?3 AND ?2 + ?3)"
    " OR EXISTS (SELECT 1 FROM meta WHERE name = 'deleted_until' AND value >= ?2)"
    " OR ?6 AND EXISTS (SELECT 1 FROM meta WHERE name = 'list_deleted_until' AND value > ?2)"
    " OR (SELECT total(calls) >= ?5 FROM totals) AND (SELECT min(time) > ?2 FROM calls)"
)
_END_RINGING: Final = (
    f"UPDATE calls SET outcome = 'ended' WHERE outcome = 'ringing' AND NOT session {IN_LIST}"  # noqa: S608
)
_OLDEST_PICTURES: Final = (
    f"SELECT number, picture_bytes FROM calls WHERE {HAS_PICTURE} ORDER BY time, number"  # noqa: S608
)


@dataclass(slots=True, kw_only=True)
class Changed:
    """What a transaction changed: single calls, and the modules that they belong to.

    `is_more` means that other calls changed as well, or were deleted.
    """

    ids: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    is_more: bool = False

    def add(self, records: Iterable[CallRecord]) -> None:
        """Add calls that were inserted or changed."""
        for record in records:
            self.ids.add(record.id)
            self.modules |= record.modules


class Writer:
    """Changes the history within a transaction."""

    def __init__(self, db: sqlite3.Connection, *, limits: Limits, now: float) -> None:
        self._db = db
        self._limits = limits
        self._now = now
        self.changed = Changed()

    def begin(self, *, deleted_until: float | None, ringing: Iterable[str] = ()) -> None:
        """Store when tracking began; end the calls that rang before, unless they still do."""
        sql = "INSERT OR IGNORE INTO meta VALUES ('tracking_since', ?)"
        self._db.execute(sql, (float(int(self._now)),))
        self.note_deleted_until(deleted_until)
        self._db.execute(_END_RINGING, (json.dumps([*ringing]),))
        self.changed.is_more = True

    def put(self, news: CallRecord) -> None:
        """Add a call, or merge it with what is stored of it."""
        known = next(iter(by_ids(self._db, [news.id])), None) or same_call(self._db, news)
        if known is None:
            if not self._is_unwanted(news):
                self.insert(news)
        elif (record := merged(known, news)) != known:
            self._update(known, record)
            self.changed.add([known, record])

    def note_time(self, name: str, value: float) -> None:
        """Store a time, unless a later one is stored under this name."""
        self._db.execute(_SET_TIME, (name, value))

    def note_deleted_until(self, time: float | None) -> None:
        """Store until when all calls are deleted, as far as that is known outside the file."""
        if time is not None:
            # The clock may have been wrong when it was stored.
            self.note_time("deleted_until", min(time, self._now))

    def note_deletion(self, session: str, time: float, deleted_at: float) -> None:
        """Store that a call was deleted."""
        sql = "INSERT INTO deletions VALUES (?, ?, ?)"
        self._db.execute(sql, (session, time, deleted_at))

    def insert(self, call: CallRecord) -> None:
        """Add an unknown call; its pictures are added by `keep`."""
        self._db.execute(_INSERT, as_row(replace(call, snapshot=None, vignette=None)))
        self.changed.add([call])

    def keep(self, call_id: str, kind: str, image: StillImage) -> None:
        """Store a picture of a call, unless the call was deleted."""
        self._db.execute(
            "INSERT OR REPLACE INTO pictures SELECT number, ?, ?, ? FROM calls WHERE id = ?",
            (kind, image.content_type, image.content, call_id),
        )
        self._db.execute(_SET_SIZE[kind], (len(image.content), call_id))
        self.changed.add(by_ids(self._db, [call_id]))

    def give_up(self, call_id: str, kind: str) -> None:
        """Store that a missing picture of a call will not come."""
        self._db.execute(f"{_SET_SIZE[kind]} AND {kind} IS NULL", (GONE, call_id))
        self.changed.add(by_ids(self._db, [call_id]))

    def mark_seen(self, bridge_ids: Iterable[str]) -> None:
        """Mark the missed calls of some intercoms as seen."""
        self._db.executemany(_MARK_SEEN, [(bridge_id,) for bridge_id in bridge_ids])
        self.changed.is_more = True

    def delete(self, ids: Iterable[str]) -> None:
        """Delete calls and their pictures, and remember that."""
        listed = json.dumps([*ids])
        self._remember_deletions(f"id {IN_LIST}", listed)
        self._db.execute(f"DELETE FROM calls WHERE id {IN_LIST}", (listed,))  # noqa: S608 - constant
        self.changed.is_more = True

    def delete_of(self, span: tuple[float, float], condition: Condition) -> None:
        """Delete the calls from the start until before the end of a span, and remember that."""
        sql = f"SELECT id FROM calls WHERE time >= ? AND time < ? AND {condition[0]}"  # noqa: S608 - constants
        found = self._db.execute(sql, (*span, *condition[1])).fetchall()
        self.delete(call_id for (call_id,) in found)

    def delete_all(self) -> None:
        """Delete every call up to now, also those that only the cloud lists.

        Clocks differ, but a call that is pushed a moment later must be a new one: of the last
        hours, only the known calls are deleted for pushes. The list has whole seconds.
        """
        until = max(0.0, self._now - SESSION_REUSE_SECONDS)
        self._remember_deletions("time > ?", until - SESSION_REUSE_SECONDS)
        self.note_time("deleted_until", until)
        self.note_time("list_deleted_until", float(int(self._now)))
        self._db.execute("DELETE FROM pictures")
        self._db.execute("DELETE FROM calls")
        self.changed.is_more = True

    def apply_limits(self) -> None:
        """Delete what exceeds the limits, and deletions that are no longer needed."""
        limits, oldest = self._limits, self._now - self._limits.days * DAY
        (count,) = self._db.execute("SELECT CAST(total(calls) AS INTEGER) FROM totals").fetchone()
        # Deleting one call with each new one would write twice as much.
        excess = (
            count - limits.calls + limits.calls // EXCESS_DIVISOR if count > limits.calls else 0
        )
        if excess:
            check(self._db.execute("SELECT count(*) FROM calls").fetchone() == (count,))
        if self._db.execute(_DELETE_EXCESS, (oldest, excess)).rowcount:
            self.changed.is_more = True
        self._limit_pictures()
        remembered_since = min(oldest, self._now - REMEMBERED_DAYS * DAY)
        self._db.execute("DELETE FROM deletions WHERE deleted_at < ?", (remembered_since,))

    def _update(self, known: CallRecord, record: CallRecord) -> None:
        """Write the columns that differ: SQLite writes the indexes of all that it is given."""
        pairs = zip(_NAMES, as_row(known), as_row(record), strict=True)
        changes = {name: after for name, before, after in pairs if after != before}
        names = ", ".join(f"{name} = ?" for name in changes)
        self._db.execute(f"UPDATE calls SET {names} WHERE id = ?", (*changes.values(), known.id))  # noqa: S608 - constants

    def _limit_pictures(self) -> None:
        """Delete the oldest pictures if all together are too large; the calls stay."""
        limit = self._limits.megabytes * MEGABYTE
        sql = "SELECT total(picture_bytes) - ? FROM totals"
        (excess,) = self._db.execute(sql, (limit,)).fetchone()
        if excess > MEGABYTE:  # more than a picture
            check(self._picture_bytes() == limit + excess)
        if excess > 0:
            numbers = self._oldest_pictures(excess)
            self._db.executemany("DELETE FROM pictures WHERE call = ?", numbers)
            gone = "snapshot = min(snapshot, 0), vignette = min(vignette, 0)"  # NULL stays NULL
            self._db.executemany(f"UPDATE calls SET {gone} WHERE number = ?", numbers)  # noqa: S608 - constant
            self.changed.is_more = True

    def _picture_bytes(self) -> float:
        """Return the size of all pictures, which reads all calls that have some."""
        sql = f"SELECT total(picture_bytes) FROM calls WHERE {HAS_PICTURE}"  # noqa: S608 - constants
        (found,) = self._db.execute(sql).fetchone()
        return float(found)

    def _oldest_pictures(self, size: float) -> list[tuple[int]]:
        """Return the numbers of the oldest calls whose pictures have at least a size together."""
        found = []
        for number, picture_bytes in self._db.execute(_OLDEST_PICTURES):
            found.append((number,))
            size -= picture_bytes
            if size <= 0:
                break
        return found

    def _remember_deletions(self, condition: str, value: object) -> None:
        sql = f"INSERT INTO deletions SELECT session, time, ? FROM calls WHERE {condition}"  # noqa: S608 - constants
        self._db.execute(sql, (self._now, value))

    def _is_unwanted(self, news: CallRecord) -> bool:
        """Whether a call was deleted, is too old, or is older than all calls of a full history."""
        oldest = self._now - self._limits.days * DAY
        is_listed = isinstance(news, ListedCall)
        known = (news.session, news.time, news.match_seconds)
        values = (*known, oldest, self._limits.calls, is_listed)
        (is_unwanted,) = self._db.execute(_IS_UNWANTED, values).fetchone()
        return bool(is_unwanted)


def no_op(_: Writer) -> None:
    """Change nothing besides what is pending."""
