"""Queries on the history: by index, bounded. They block: the worker runs them."""

from dataclasses import dataclass
from itertools import chain
import json
from typing import TYPE_CHECKING, Any, Final

from ..client import SESSION_REUSE_SECONDS, ModuleKind, StillImage
from .records import DAY, KINDS, CallRecord, Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    import sqlite3

    from ..house import House
    from .records import ListedCall

type NewestKey = tuple[str, str | None]  # a module, and a kind of picture if it must have one

PAGE: Final = 200  # records that are read in one go
RECENT: Final = 500  # calls of the last day at most
NEWEST: Final = 2  # of each module: the last call and the one before
COLUMNS: Final = (
    "id, session, bridge_id, panel_id, home_id, home_name, location_id, location_name, time,"
    " outcome, answered_at, ended_at, answered_by, ended_by, snapshot, vignette, seen"
)
SELECT: Final = f"SELECT {COLUMNS} FROM calls"  # noqa: S608 - constants
IN_LIST: Final = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is kept in memory: of some modules or of all, and of the last day."""

    is_whole: bool
    newest: Mapping[NewestKey, tuple[CallRecord, ...]]
    unseen: Mapping[str, int]
    recent: Mapping[str, CallRecord]
    deletions: tuple[tuple[str, float], ...]  # of the last day: session and time
    deleted_until: float
    tracking_since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Calls that began from `since` until before `until`, at one module or at all.

    `homes` are the only ones, or the ones left out if `is_without`.
    """

    since: float
    until: float
    homes: tuple[str, ...] = ()
    is_without: bool = False
    module_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where calls are shown: in the house as it is now, or under the names of their day."""

    house: House
    excluded_homes: tuple[str, ...] = ()

    def location_of(self, record: CallRecord) -> str:
        """Return the module at which a call is shown, which may be gone from the house."""
        found = self.house.location_of(record.panel_id, record.bridge_id)
        if found in self.house.modules:
            return found
        return record.location.module_id or record.module_id

    def shows(self, record: CallRecord) -> bool:
        """Whether a call belongs to a home that is shown."""
        return record.location.home_id not in self.excluded_homes

    def condition(self, location_id: str) -> tuple[str, tuple[str, ...]]:
        """Return what selects the calls that `location_of` puts at a module."""
        here = self.house.modules.get(location_id)
        if here is not None and here.kind is ModuleKind.PANEL:
            return "panel_id = ?", (location_id,)
        if here is not None:
            not_at_panel = f"(panel_id IS NULL OR NOT panel_id {IN_LIST})"
            return f"bridge_id = ? AND {not_at_panel}", (location_id, self._panels)
        gone = f"coalesce(location_id, panel_id, bridge_id) = ? AND NOT bridge_id {IN_LIST}"
        return gone, (location_id, json.dumps([*self.house.modules]))

    @property
    def _panels(self) -> str:
        modules = self.house.modules.values()
        return json.dumps([each.id for each in modules if each.kind is ModuleKind.PANEL])


def as_record(row: tuple[Any, ...]) -> CallRecord:
    """Return the record of a row of COLUMNS."""
    call_id, session, bridge_id, panel_id, home_id, home_name, location_id, name, *rest = row
    time, outcome, answered_at, ended_at, answered_by, ended_by, *pictures, seen = rest
    snapshot, vignette = pictures
    location = Location(module_id=location_id, name=name, home_id=home_id, home_name=home_name)
    return CallRecord(
        id=call_id,
        session=session,
        bridge_id=bridge_id,
        panel_id=panel_id,
        location=location,
        time=time,
        outcome=outcome,
        answered_at=answered_at,
        ended_at=ended_at,
        answered_by=answered_by,
        ended_by=ended_by,
        snapshot=snapshot,
        vignette=vignette,
        seen=bool(seen),
    )


def select(db: sqlite3.Connection, rest: str, *values: object) -> list[CallRecord]:
    """Return the calls that a condition and an order select."""
    return [as_record(row) for row in db.execute(f"{SELECT} {rest}", values)]


def snapshot(db: sqlite3.Connection, modules: Iterable[str] | None, now: float) -> Snapshot:
    """Return what is kept in memory of some modules, or of all."""
    ids = _modules(db) if modules is None else modules
    meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    since = now - DAY
    recent = select(db, "WHERE time > ? ORDER BY time DESC LIMIT ?", since, RECENT)
    deletions = db.execute(
        "SELECT session, time FROM deletions WHERE time > ? ORDER BY time DESC LIMIT ?",
        (since, RECENT),
    )
    return Snapshot(
        is_whole=modules is None,
        newest={(at, kind): _newest(db, at, kind) for at in ids for kind in (None, *KINDS)},
        unseen={at: _unseen(db, at) for at in ids},
        recent={record.id: record for record in recent},
        deletions=tuple(deletions.fetchall()),
        deleted_until=meta.get("deleted_until", 0.0),
        tracking_since=meta["tracking_since"],
    )


def _modules(db: sqlite3.Connection) -> set[str]:
    pairs = db.execute("SELECT DISTINCT bridge_id, panel_id FROM calls")
    return {module_id for module_id in chain.from_iterable(pairs) if module_id is not None}


def _newest(db: sqlite3.Connection, module_id: str, kind: str | None) -> tuple[CallRecord, ...]:
    # The conditions are those of the indexes.
    pictured = "" if kind is None else f" AND {kind} > 0 AND (snapshot > 0 OR vignette > 0)"
    found = (
        record
        for column in ("bridge_id", "panel_id")
        for record in select(
            db, f"WHERE {column} = ?{pictured} ORDER BY time DESC LIMIT ?", module_id, NEWEST
        )
    )
    return tuple(sorted(found, key=lambda record: -record.time)[:NEWEST])


def _unseen(db: sqlite3.Connection, bridge_id: str) -> int:
    sql = "SELECT count(*) FROM calls WHERE bridge_id = ? AND outcome = 'missed' AND seen = 0"
    count: int = db.execute(sql, (bridge_id,)).fetchone()[0]
    return count


def by_ids(db: sqlite3.Connection, ids: Iterable[str]) -> list[CallRecord]:
    """Return the calls that there are of some ids."""
    return select(db, f"WHERE id {IN_LIST}", json.dumps([*ids]))


def of_session(
    db: sqlite3.Connection, session: str, time: float, within: float | None
) -> CallRecord | None:
    """Return the call of a session that began closest to a time, within so many seconds."""
    dated = "(?3 IS NULL OR abs(time - ?2) <= ?3)"
    sql = f"WHERE session = ?1 AND {dated} ORDER BY abs(time - ?2) LIMIT 1"
    return next(iter(select(db, sql, session, time, within)), None)


def of_listed(db: sqlite3.Connection, listed: ListedCall) -> CallRecord | None:
    """Return the stored call of one in the cloud's list."""
    record, within = listed.record, SESSION_REUSE_SECONDS if listed.is_dated else None
    return of_session(db, record.session, record.time, within)


def picture(db: sqlite3.Connection, call_id: str, kind: str) -> StillImage | None:
    """Return a picture of a call."""
    sql = (
        "SELECT content, content_type FROM pictures"
        " WHERE call = (SELECT number FROM calls WHERE id = ?) AND kind = ?"
    )
    row = db.execute(sql, (call_id, kind)).fetchone()
    return None if row is None else StillImage(content=row[0], content_type=row[1])


def content_type(db: sqlite3.Connection, call_id: str, kind: str) -> str | None:
    """Return the type of a picture of a call; None: there is none."""
    sql = (
        "SELECT content_type FROM pictures"
        " WHERE call = (SELECT number FROM calls WHERE id = ?) AND kind = ?"
    )
    row = db.execute(sql, (call_id, kind)).fetchone()
    return None if row is None else str(row[0])


def page(
    db: sqlite3.Connection, span: Span, after: tuple[float, int]
) -> tuple[list[CallRecord], tuple[float, int]]:
    """Return the next calls of a span, oldest first, and where the page after them begins."""
    negation = "NOT" if span.is_without else ""
    homes = f"{negation} coalesce(home_id, '') {IN_LIST.replace('?', '?1')}"
    sql = (
        f"SELECT {COLUMNS}, number FROM calls"  # noqa: S608 - constants
        f" WHERE {homes} AND time >= ?2 AND time < ?3 AND (time, number) > (?4, ?5)"
        f" AND (?6 IS NULL OR panel_id = ?6 OR bridge_id = ?6) ORDER BY time, number LIMIT {PAGE}"
    )
    values = (json.dumps(span.homes), span.since, span.until, *after, span.module_id)
    rows = db.execute(sql, values).fetchall()
    calls = [as_record(row[:-1]) for row in rows]
    return calls, (calls[-1].time, rows[-1][-1]) if rows else after


def groups(db: sqlite3.Connection, *, pictured: bool) -> list[CallRecord]:
    """Return the newest call of each intercom, home and panel, optionally with a picture."""
    only = "WHERE snapshot > 0 OR vignette > 0" if pictured else ""
    sql = f"SELECT {COLUMNS}, max(time) FROM calls {only} GROUP BY home_id, bridge_id, panel_id"  # noqa: S608 - constants
    return [as_record(row[:-1]) for row in db.execute(sql)]


def newest_at(
    db: sqlite3.Connection, layout: Layout, location_id: str, *, since: float, until: float
) -> tuple[CallRecord | None, CallRecord | None]:
    """Return a place's newest call of a span, and the newest with a picture."""
    where, values = layout.condition(location_id)
    excluded_homes = json.dumps(layout.excluded_homes)
    found = [
        select(
            db,
            f"WHERE {where} AND NOT coalesce(home_id, '') {IN_LIST}"
            f" AND time >= ? AND time < ? {pictured} ORDER BY time DESC LIMIT 1",
            *(*values, excluded_homes, since, until),
        )
        for pictured in ("", "AND (snapshot > 0 OR vignette > 0)")
    ]
    newest, with_picture = (next(iter(each), None) for each in found)
    return newest, with_picture


def at_location(
    db: sqlite3.Connection, layout: Layout, location_id: str, *, since: float, until: float
) -> list[CallRecord]:
    """Return a place's calls of a span, newest first."""
    where, values = layout.condition(location_id)
    return select(
        db,
        f"WHERE {where} AND NOT coalesce(home_id, '') {IN_LIST}"
        " AND time >= ? AND time < ? ORDER BY time DESC",
        *(*values, json.dumps(layout.excluded_homes), since, until),
    )
