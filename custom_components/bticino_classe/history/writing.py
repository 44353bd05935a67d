"""Changes of the history, each part of one transaction. They block: the worker runs them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..client import SESSION_REUSE_SECONDS, CallState
from .reading import COLUMNS, PAGE, by_ids, of_session, select, snapshot
from .records import DAY, GONE, KINDS, CallRecord, Limits, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    import sqlite3

    from ..client import StillImage
    from .reading import Snapshot
    from .records import ListedCall

DROPPED_AT_ONCE: Final = 200  # a part of all calls: half a percent
MEGABYTE: Final = 1_000_000  # bytes
REMEMBERED_DAYS: Final = 90  # for a deletion at least: the cloud's list may reach back that far
# The parts of these texts are constants (S608).
_VALUES: Final = ", ".join("?" * len(COLUMNS.split(",")))
_INSERT: Final = f"INSERT INTO calls ({COLUMNS}) VALUES ({_VALUES})"  # noqa: S608
_UPDATE: Final = f"UPDATE calls SET ({COLUMNS}) = ({_VALUES}) WHERE id = ?"  # noqa: S608
_MARK_SEEN: Final = (
    "UPDATE calls SET seen = 1 WHERE bridge_id = ? AND outcome = 'missed' AND seen = 0"
)
_PICTURED: Final = "WHERE snapshot > 0 OR vignette > 0"
_SIZE: Final = f"SELECT total(snapshot) + total(vignette) FROM calls {_PICTURED}"  # noqa: S608
_IS_DELETED: Final = (
    "SELECT 1 FROM deletions WHERE session = ?1 AND (?3 IS NULL OR abs(time - ?2) <= ?3) LIMIT 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What has to be stored; `begins` is whether this is the first of a start."""

    calls: tuple[CallRecord, ...] = ()
    listed: tuple[ListedCall, ...] = ()
    begins: bool = False
    deleted_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed[Result]:
    """The result of a transaction, and the summary after it."""

    result: Result
    snapshot: Snapshot
    erases: bool


def apply[Result](
    db: sqlite3.Connection,
    batch: Batch,
    work: Callable[[Writer], Result],
    *,
    limits: Limits,
    now: float,
) -> Committed[Result]:
    """Store a batch, then do some work, then keep to the limits."""
    writer = Writer(db, limits=limits, now=now)
    if batch.begins:
        writer.begin(deleted_until=batch.deleted_until)
    for call in batch.calls:
        writer.put(call)
    for listed in batch.listed:
        writer.put_listed(listed)
    result = work(writer)
    writer.tidy()
    touched = None if batch.begins else writer.touched
    return Committed(result=result, snapshot=snapshot(db, touched, now), erases=writer.erases)


class Writer:
    """Changes the history within a transaction.

    `touched` are the modules whose calls have changed; `erases` is whether the file has to be
    overwritten where something was deleted.
    """

    def __init__(self, db: sqlite3.Connection, *, limits: Limits, now: float) -> None:
        self._db = db
        self._limits = limits
        self._now = now
        self.touched: set[str] = set()
        self.erases = False

    def begin(self, *, deleted_until: float | None) -> None:
        """Note the first start; no call rings any more that did when Home Assistant stopped."""
        sql = "INSERT OR IGNORE INTO meta VALUES ('tracking_since', ?)"
        self._db.execute(sql, (float(int(self._now)),))
        if deleted_until is not None:
            self._delete_until(deleted_until)
        self._db.execute("UPDATE calls SET outcome = 'ended' WHERE outcome = 'ringing'")

    def put(self, news: CallRecord) -> None:
        """Add a call, or merge it with what is stored of it."""
        self.touched |= news.modules
        known = self._known(news, is_dated=True)
        if known is not None:
            self._update(known, merged(known, news))
        elif not self._is_forgotten(news, is_dated=True):
            self.insert(news)

    def put_listed(self, listed: ListedCall) -> None:
        """Add a call of the cloud's list, in which "no outcome" does not mean that it ended."""
        news, is_dated = listed.record, listed.is_dated
        known = self._known(news, is_dated=is_dated)
        if known is not None and news.outcome == CallState.ENDED:
            news = replace(news, outcome=known.outcome)
        if known is not None:
            self._update(known, merged(known, news))
        elif not self._is_forgotten(news, is_dated=is_dated):
            self.insert(news)

    def keep(self, call_id: str, kind: str, image: StillImage) -> bool:
        """Store a picture of a call; return False if the call was deleted."""
        if (call := self._call(call_id)) is None:
            return False
        self._db.execute(
            "INSERT OR REPLACE INTO pictures SELECT number, ?, ?, ? FROM calls WHERE id = ?",
            (kind, image.content_type, image.content, call_id),
        )
        self._update(call, call.pictured({kind: len(image.content)}))
        return True

    def give_up(self, call_id: str, kind: str) -> None:
        """Note that no such picture of a call will come."""
        call = self._call(call_id)
        if call is not None and getattr(call, kind) is None:
            self._update(call, call.pictured({kind: GONE}))

    def mark_seen(self, bridge_ids: Iterable[str]) -> None:
        """Mark the missed calls of some intercoms as seen."""
        for bridge_id in bridge_ids:
            self._db.execute(_MARK_SEEN, (bridge_id,))
            self.touched.add(bridge_id)

    def delete(self, ids: Iterable[str]) -> None:
        """Delete calls and their pictures, and remember it."""
        for call in by_ids(self._db, ids):
            self._remember(call)
            self._drop(call)
        self.erases = True

    def delete_all(self, known_modules: Collection[str]) -> None:
        """Delete every call, and remember it: those of the last hours singly, as clocks differ.

        A call that rings a moment later is a new one.
        """
        until = self._now - SESSION_REUSE_SECONDS
        for call in select(self._db, "WHERE time > ?", until - SESSION_REUSE_SECONDS):
            self._remember(call)
        self._delete_until(until)
        self._db.execute("DELETE FROM pictures")
        self._db.execute("DELETE FROM calls")
        self.touched |= {*known_modules}
        self.erases = True

    def erase(self) -> None:
        """Have the file overwritten and shrunk where something was deleted."""
        self.erases = True

    def tidy(self) -> None:
        """Delete what is above the limits, and deletions that are no longer needed."""
        self._drop_calls()
        self._strip_pictures()
        oldest = self._now - max(self._limits.days, REMEMBERED_DAYS) * DAY
        self._db.execute("DELETE FROM deletions WHERE deleted_at < ?", (oldest,))

    def _drop_calls(self) -> None:
        (count,) = self._db.execute("SELECT count(*) FROM calls").fetchone()
        limit, oldest = self._limits.calls, self._now - self._limits.days * DAY
        # Some more at once: one with each call would write twice as much.
        above = count - limit + limit // DROPPED_AT_ONCE if count > limit else 0
        sql = "WHERE time < ? OR number IN (SELECT number FROM calls ORDER BY time LIMIT ?)"
        for call in select(self._db, sql, oldest, above):
            self._drop(call)

    def _strip_pictures(self) -> None:
        """Delete the oldest pictures while all together are too large; the calls stay."""
        above = self._db.execute(_SIZE).fetchone()[0] - self._limits.megabytes * MEGABYTE
        while above > 0:
            for call in select(self._db, f"{_PICTURED} ORDER BY time LIMIT {PAGE}"):
                if above > 0:
                    above -= (call.snapshot or 0) + (call.vignette or 0)
                    self._strip(call)

    def _strip(self, call: CallRecord) -> None:
        sql = "DELETE FROM pictures WHERE call = (SELECT number FROM calls WHERE id = ?)"
        self._db.execute(sql, (call.id,))
        self._update(call, call.pictured(dict.fromkeys(call.pictures, GONE)))

    def _known(self, news: CallRecord, *, is_dated: bool) -> CallRecord | None:
        within = SESSION_REUSE_SECONDS if is_dated else None
        return self._call(news.id) or of_session(self._db, news.session, news.time, within)

    def _call(self, call_id: str) -> CallRecord | None:
        return next(iter(select(self._db, "WHERE id = ?", call_id)), None)

    def insert(self, call: CallRecord) -> None:
        """Add a call that is not known, without pictures: `keep` stores those."""
        self._db.execute(_INSERT, _values(call.pictured(dict.fromkeys(KINDS))))
        self.touched |= call.modules

    def _update(self, known: CallRecord, news: CallRecord) -> None:
        if news != known:
            self._db.execute(_UPDATE, (*_values(news), known.id))
            self.touched |= known.modules | news.modules

    def _drop(self, call: CallRecord) -> None:
        self._db.execute("DELETE FROM calls WHERE id = ?", (call.id,))
        self.touched |= call.modules

    def _remember(self, call: CallRecord) -> None:
        row = (call.session, call.time, self._now)
        self._db.execute("INSERT INTO deletions VALUES (?, ?, ?)", row)

    def _delete_until(self, until: float) -> None:
        sql = (
            "INSERT INTO meta VALUES ('deleted_until', ?)"
            " ON CONFLICT DO UPDATE SET value = max(value, excluded.value)"
        )
        self._db.execute(sql, (until,))

    def _is_forgotten(self, news: CallRecord, *, is_dated: bool) -> bool:
        """Whether a call was deleted, or is older than is to be kept."""
        within = SESSION_REUSE_SECONDS if is_dated else None
        if self._db.execute(_IS_DELETED, (news.session, news.time, within)).fetchone():
            return True
        sql = "SELECT value FROM meta WHERE name = 'deleted_until'"
        (until,) = self._db.execute(sql).fetchone() or (0.0,)
        if news.time <= until or news.time < self._now - self._limits.days * DAY:
            return True
        return self._is_full_and_older(news.time)

    def _is_full_and_older(self, time: float) -> bool:
        sql = "SELECT count(*), min(time) FROM calls"
        count, oldest = self._db.execute(sql).fetchone()
        return count >= self._limits.calls and oldest is not None and time < oldest


def _values(call: CallRecord) -> tuple[object, ...]:
    location = call.location
    return (
        *(call.id, call.session, call.bridge_id, call.panel_id),
        *(location.home_id, location.home_name, location.module_id, location.name),
        *(call.time, call.outcome, call.answered_at, call.ended_at),
        *(call.answered_by, call.ended_by, call.snapshot, call.vignette, int(call.seen)),
    )


def void(_: Writer) -> None:
    """Do no work of its own in a transaction."""
