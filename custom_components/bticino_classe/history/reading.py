"""Queries on the history: indexed and bounded. They block: the database's thread runs them."""

from dataclasses import dataclass, fields
from itertools import chain
import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from ..client import LATEST_TIME, CallState, ModuleKind, StillImage, image_type
from .database import DamagedError
from .records import KINDS, CallRecord, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    import sqlite3

    from ..house import House

type Condition = tuple[str, tuple[str, ...]]  # in SQL, and its values

PAGE_SIZE: Final = 200  # records that are read in one query
FIELDS: Final = tuple(field.name for field in fields(CallRecord) if field.name != "location")
COLUMNS: Final = ", ".join(("location_id", "location_name", "home_id", "home_name", *FIELDS))
IN_LIST: Final = "IN (SELECT value FROM json_each(?))"
HAS_PICTURE: Final = "picture_bytes > 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where calls are shown: in the house as it is now, or under their stored names."""

    house: House
    excluded_homes: tuple[str, ...] = ()

    def location_of(self, record: CallRecord) -> str:
        """Return the module at which a call is shown; it may no longer be in the house."""
        found = self.house.location_of(record.panel_id, record.bridge_id)
        if found in self.house.modules:
            return found
        return record.location.module_id or record.module_id

    def shows(self, record: CallRecord) -> bool:
        """Whether the home of a call is shown."""
        return record.location.home_id not in self.excluded_homes

    def conditions(self, location_id: str) -> Iterator[Condition]:
        """Yield the conditions of the shown calls at a location: indexed, and without overlap."""
        shown, excluded = f"NOT coalesce(home_id, '') {IN_LIST}", json.dumps(self.excluded_homes)
        for condition, values in self._at(location_id):
            yield f"{condition} AND {shown}", (*values, excluded)

    def of_device(self, module_id: str | None) -> Condition:
        """Return the condition of the calls of a panel, or of an intercom with all its panels.

        None: of all calls.
        """
        if module_id is None:
            return "TRUE", ()
        module = self.house.modules.get(module_id)
        if module is None or module.kind is not ModuleKind.PANEL:
            return "bridge_id = ?", (module_id,)
        return _joined("OR", *self._at(module_id))

    def in_homes(self, homes: Collection[str] | None, module_id: str | None) -> Condition:
        """Return the condition of the calls of a device in some homes; None: of all."""
        excluded = f"NOT coalesce(home_id, '') {IN_LIST}", (json.dumps(self.excluded_homes),)
        listed = ("TRUE", ()) if homes is None else (f"home_id {IN_LIST}", (json.dumps([*homes]),))
        return _joined("AND", self.of_device(module_id), excluded, listed)

    def _at(self, location_id: str) -> Iterator[Condition]:
        modules = self.house.modules
        here = modules.get(location_id)
        if here is None:
            gone = f"coalesce(location_id, panel_id, bridge_id) = ? AND NOT bridge_id {IN_LIST}"
            yield gone, (location_id, json.dumps([*modules]))
            return
        if here.kind is ModuleKind.PANEL:
            yield "panel_id = ?", (location_id,)
        if self.house.location_of(None, here.intercom_id) == location_id:
            panels = json.dumps([m.id for m in modules.values() if m.kind is ModuleKind.PANEL])
            unknown = f"bridge_id = ? AND (panel_id IS NULL OR NOT panel_id {IN_LIST})"
            yield unknown, (here.intercom_id, panels)


def _joined(operator: str, *conditions: Condition) -> Condition:
    texts, values = zip(*conditions, strict=True)
    return f"({f' {operator} '.join(texts)})", (*chain.from_iterable(values),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How much is stored."""

    calls: int
    pictures: int
    picture_bytes: int


def count(db: sqlite3.Connection) -> Stored:
    """Count everything that is stored."""
    (calls,) = db.execute("SELECT CAST(total(calls) AS INTEGER) FROM totals").fetchone()
    sql = "SELECT count(*), coalesce(sum(length(content)), 0) FROM pictures"
    pictures, picture_bytes = db.execute(sql).fetchone()
    return Stored(calls=calls, pictures=pictures, picture_bytes=picture_bytes)


def check(is_possible: object) -> None:
    """Raise DamagedError for what is never written: SQLite does not notice damaged values."""
    if not is_possible:
        reason = "impossible values"
        raise DamagedError(reason)


def is_text(value: object) -> bool:
    """Whether a stored value can be a text."""
    return isinstance(value, str)


def is_time(value: object) -> bool:
    """Whether a stored value can be a time in seconds since 1970."""
    return isinstance(value, float) and 0 <= value <= LATEST_TIME


def is_count(value: object) -> bool:
    """Whether a stored value can be a number of calls or bytes."""
    return isinstance(value, int) and value >= 0


_REQUIRED: Final[dict[str, Callable[[object], bool]]] = {
    "id": is_text,
    "session": is_text,
    "bridge_id": is_text,
    "time": is_time,
    "outcome": frozenset(CallState).__contains__,
    "seen": (0, 1).__contains__,
}
_OPTIONAL: Final = {
    "answered_at": is_time,
    "ended_at": is_time,
    "snapshot": is_count,
    "vignette": is_count,
}
_CHECKS: Final = [
    (_REQUIRED.get(name), _OPTIONAL.get(name, is_text)) for name in COLUMNS.split(", ")
]


def as_record(row: tuple[Any, ...]) -> CallRecord:
    """Return the record of a row of COLUMNS; DamagedError: no call has such values."""
    for (required, optional), value in zip(_CHECKS, row, strict=True):
        check(required(value) if required else value is None or optional(value))
    module_id, name, home_id, home_name, *values = row
    location = Location(module_id=module_id, name=name, home_id=home_id, home_name=home_name)
    return CallRecord(location=location, **dict(zip(FIELDS, values, strict=True)))


def as_image(content: Any, content_type: Any) -> StillImage | None:
    """Return the picture of a row; None if it is damaged."""
    if not isinstance(content, bytes) or image_type(content) != content_type:
        return None
    return StillImage(content=content, content_type=content_type)


def as_row(record: CallRecord) -> tuple[object, ...]:
    """Return the values of COLUMNS of a record."""
    place = record.location
    values = (getattr(record, name) for name in FIELDS)
    return (place.module_id, place.name, place.home_id, place.home_name, *values)


def select(db: sqlite3.Connection, rest: str, *values: object) -> list[CallRecord]:
    """Return the calls that a condition and an order select."""
    sql = f"SELECT {COLUMNS} FROM calls {rest}"  # noqa: S608 - constants
    return [as_record(row) for row in db.execute(sql, values)]


def by_ids(db: sqlite3.Connection, ids: Iterable[str]) -> list[CallRecord]:
    """Return the calls with these ids, as far as they exist."""
    return select(db, f"WHERE id {IN_LIST}", json.dumps([*ids]))


def same_call(db: sqlite3.Connection, report: CallRecord) -> CallRecord | None:
    """Return the stored call that a report is about: same session, closest start."""
    sql = "WHERE session = ?1 AND time BETWEEN ?2 - ?3 AND ?2 + ?3 ORDER BY abs(time - ?2) LIMIT 1"
    found = select(db, sql, report.session, report.time, report.match_seconds)
    return found[0] if found else None


def picture(db: sqlite3.Connection, call_id: str, kind: str) -> StillImage | None:
    """Return a picture of a call."""
    sql = (
        "SELECT content, content_type FROM pictures"
        " WHERE call = (SELECT number FROM calls WHERE id = ?) AND kind = ?"
    )
    row = db.execute(sql, (call_id, kind)).fetchone()
    return None if row is None else as_image(*row)


def page(
    db: sqlite3.Connection, condition: Condition, until: float, after: tuple[float, int]
) -> tuple[list[CallRecord], tuple[float, int]]:
    """Return the next calls after a position, oldest first, and the position of the last one.

    A position is a time and a row number.
    """
    sql = (
        f"SELECT {COLUMNS}, number FROM calls"  # noqa: S608 - constants
        f" WHERE (time, number) > (?, ?) AND time < ? AND {condition[0]}"
        f" ORDER BY time, number LIMIT {PAGE_SIZE}"
    )
    rows = db.execute(sql, (*after, until, *condition[1])).fetchall()
    calls = [as_record(row[:-1]) for row in rows]
    return calls, (calls[-1].time, rows[-1][-1]) if rows else after


def newest_by_location(
    db: sqlite3.Connection, layout: Layout, *, has_picture: bool
) -> dict[str, CallRecord]:
    """Return the newest call at each location, or the newest with a picture."""
    kinds = KINDS if has_picture else (None,)
    places = db.execute("SELECT bridge_id, panel_id, home_id FROM totals").fetchall()
    found = (call for place in places for kind in kinds for call in _newest_of(db, place, kind))
    calls = sorted(found, key=attrgetter("time"))
    return {layout.location_of(call): call for call in calls if layout.shows(call)}


def _newest_of(
    db: sqlite3.Connection, place: tuple[str, str, str], kind: str | None
) -> list[CallRecord]:
    """Return the newest call of a row of totals, if it has one with such a picture."""
    bridge_id, panel_id, home_id = place
    picture = "" if kind is None else f" AND {kind} > 0"
    at = (
        "bridge_id = ?1 AND panel_id IS NULL"
        if panel_id == ""
        else "panel_id = ?2 AND bridge_id = ?1"
    )
    rest = f"WHERE {at} AND coalesce(home_id, '') = ?3{picture} ORDER BY time DESC LIMIT 1"
    return select(db, rest, bridge_id, panel_id, home_id)


def latest(
    db: sqlite3.Connection, layout: Layout, location_ids: Iterable[str], count: int
) -> list[CallRecord]:
    """Return the newest calls at some locations, newest first."""
    rest = "ORDER BY time DESC LIMIT ?"
    found = [call for each in location_ids for call in _select_at(db, layout, each, rest, count)]
    return _newest_first(found)[:count]


def at_location(
    db: sqlite3.Connection, layout: Layout, location_id: str, span: tuple[float, float]
) -> list[CallRecord]:
    """Return the calls at a location that began from the start until before the end of a span."""
    rest = "AND time >= ? AND time < ? ORDER BY time DESC"
    return _newest_first(_select_at(db, layout, location_id, rest, *span))


def newest_at(
    db: sqlite3.Connection,
    layout: Layout,
    location_id: str,
    span: tuple[float, float],
    *,
    has_picture: bool = False,
) -> CallRecord | None:
    """Return the newest call at a location in a span, or the newest with a picture."""
    pictured = f"AND {HAS_PICTURE}" if has_picture else ""
    rest = f"{pictured} AND time >= ? AND time < ? ORDER BY time DESC LIMIT 1"
    return next(iter(_newest_first(_select_at(db, layout, location_id, rest, *span))), None)


def _select_at(
    db: sqlite3.Connection, layout: Layout, location_id: str, rest: str, *values: object
) -> list[CallRecord]:
    """Return what is selected under each condition of a location."""
    return [
        call
        for condition, own in layout.conditions(location_id)
        for call in select(db, f"WHERE {condition} {rest}", *own, *values)
    ]


def _newest_first(calls: Iterable[CallRecord]) -> list[CallRecord]:
    return sorted(calls, key=attrgetter("time"), reverse=True)
