"""Copies what can still be read of a damaged history. It blocks: the database's thread runs it."""

from contextlib import closing, suppress
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from .database import DamagedError
from .reading import COLUMNS, as_image, as_record, check, is_text, is_time
from .records import DAY, KINDS, MEGABYTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..client import StillImage
    from .records import CallRecord
    from .writing import Writer

MAX_ERRORS: Final = 3000  # of a table: some seventy for each page of calls
MAX_ROW: Final = 2**40  # no table has a higher number
MAX_PICTURES: Final = 20 * MEGABYTE  # bytes: the set-up waits for them
TIMES: Final = ("tracking_since", "deleted_until", "list_deleted_until")
# An error of SQLite may quote the file, which may be no text.
_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, DamagedError)


def restore(writer: Writer, damaged: Path, now: float) -> int:
    """Copy calls, deletions and the newest pictures to a new history; return the number of calls.

    A page that cannot be read costs what is on it. What was deleted stays deleted, and what was
    never written so is left out.
    """
    for name, time in _times(damaged):
        writer.note_time(name, min(time, now))
    for deletion in _deletions(damaged):
        writer.note_deletion(*deletion)
    ids = {}
    for number, call in _calls(damaged):
        if call.time < now + DAY:  # the clock may have been put back since
            writer.put(call)
            ids[number] = call.id
    room = MAX_PICTURES
    for number, kind, image in _pictures(damaged, sorted(ids, reverse=True)):
        room -= len(image.content)
        if room < 0:
            break
        writer.keep(ids[number], kind, image)
    return len(writer.changed.ids)


def _times(damaged: Path) -> list[tuple[str, float]]:
    with suppress(*_ERRORS), closing(_open(damaged)) as db:
        found = db.execute("SELECT name, value FROM meta").fetchall()
        return [(name, time) for name, time in found if name in TIMES and is_time(time)]
    return []


def _deletions(damaged: Path) -> Iterator[tuple[str, float, float]]:
    for _, session, time, deleted_at in _rows(damaged, "deletions", "session, time, deleted_at"):
        if is_text(session) and is_time(time) and is_time(deleted_at):
            yield session, time, deleted_at


def _calls(damaged: Path) -> Iterator[tuple[int, CallRecord]]:
    """Yield the calls with their numbers."""
    for number, *row in _rows(damaged, "calls", COLUMNS):
        with suppress(DamagedError):
            yield number, as_record(tuple(row))


def _pictures(damaged: Path, numbers: Iterable[int]) -> Iterator[tuple[int, str, StillImage]]:
    """Yield the pictures of some calls, in their order."""
    sql = "SELECT kind, content, content_type FROM pictures WHERE call = ?"
    with suppress(sqlite3.Error), closing(_open(damaged)) as db:
        for number in numbers:
            with suppress(*_ERRORS):
                for kind, *picture in db.execute(sql, (number,)):
                    check(kind in KINDS)
                    yield number, kind, as_image(*picture)


def _rows(damaged: Path, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table that can be read, in the order of their numbers, after those."""
    sql = f"SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid"  # noqa: S608 - constants
    errors, ranges = 0, [(0, MAX_ROW)]
    with suppress(sqlite3.Error), closing(_open(damaged)) as db:
        while ranges and errors < MAX_ERRORS:
            low, high = ranges.pop()
            # To find the end of a range, SQLite reads the row after it.
            condition = "BETWEEN ? AND ? ORDER BY rowid" if low < high else "IN (?, ?)"
            try:
                for row in db.execute(f"{sql} {condition}", (low, high)):
                    check(row[0] >= low)  # else a page is there twice
                    low = row[0] + 1
                    yield row
            except _ERRORS:
                errors += 1
                middle = (low + high) // 2
                if low < high:
                    ranges += [(middle + 1, high), (low, middle)]


def _open(damaged: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{damaged.as_uri()}?mode=rw", uri=True, autocommit=True)
