"""Copies what can still be read of a damaged history. It blocks: the database's thread runs it."""

from collections import deque
from contextlib import closing, suppress
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from .database import DamagedError
from .reading import COLUMNS, as_image, as_record, check, is_text, is_time
from .records import DAY, GONE, KINDS, MEGABYTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..client import StillImage
    from .records import CallRecord
    from .writing import Writer

MAX_ERRORS: Final = 20_000  # of a table: some seventy for each page of calls
MAX_PICTURES: Final = 20 * MEGABYTE  # bytes: the set-up waits for them
MAX_PIECES: Final = 16_384  # of a table, read one after the other
PIECE: Final = 64  # numbers of rows, at least
UNKNOWN_MAX: Final = 131_072  # number of a row, if no index can be read
TIMES: Final = ("tracking_since", "deleted_until", "list_deleted_until")
# An error of SQLite may quote the file, which may be no text, or claim a huge size.
_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, MemoryError, DamagedError)
# These say nothing about the file: it can be read later.
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


def restore(writer: Writer, damaged: Path, now: float) -> int:
    """Copy calls, deletions and the newest pictures to a new history; return the number of calls.

    A page that cannot be read costs what is on it. What was deleted stays deleted, and what was
    never written so is left out. sqlite3.OperationalError: it cannot be read or written now.
    """
    with closing(_open(damaged)) as db:
        for name, time in _times(db):
            writer.note_time(name, min(time, now))
        for deletion in _deletions(db):
            writer.note_deletion(*deletion)
        ids = {}
        for number, call in _calls(db):
            if call.time < now + DAY:  # the clock may have been put back since
                writer.put(call)
                for kind in KINDS:
                    if getattr(call, kind) == GONE:
                        writer.give_up(call.id, kind)
                ids[number] = call.id
        room = MAX_PICTURES
        for number, kind, image in _pictures(db, sorted(ids, reverse=True)):
            room -= len(image.content)
            if room < 0:
                break
            writer.keep(ids[number], kind, image)
    return len(writer.changed.ids)


def _times(db: sqlite3.Connection) -> list[tuple[str, float]]:
    try:
        found = db.execute("SELECT name, value FROM meta").fetchall()
    except _ERRORS as err:
        _raise_if_passing(err)
        return []
    return [(name, time) for name, time in found if name in TIMES and is_time(time)]


def _deletions(db: sqlite3.Connection) -> Iterator[tuple[str, float, float]]:
    columns = "session, time, deleted_at"
    for _, session, time, deleted_at in _rows(db, "deletions", columns, "deletions_by_age"):
        if is_text(session) and is_time(time) and is_time(deleted_at):
            yield session, time, deleted_at


def _calls(db: sqlite3.Connection) -> Iterator[tuple[int, CallRecord]]:
    """Yield the calls with their numbers."""
    for number, *row in _rows(db, "calls", COLUMNS, "calls_by_time"):
        with suppress(DamagedError):
            yield number, as_record(tuple(row))


def _pictures(
    db: sqlite3.Connection, numbers: Iterable[int]
) -> Iterator[tuple[int, str, StillImage]]:
    """Yield the pictures of some calls, in their order."""
    sql = "SELECT kind, content, content_type FROM pictures WHERE call = ?"
    for number in numbers:
        try:
            for kind, *picture in db.execute(sql, (number,)):
                if kind in KINDS and (image := as_image(*picture)) is not None:
                    yield number, kind, image
        except _ERRORS as err:
            _raise_if_passing(err)


def _rows(
    db: sqlite3.Connection, table: str, columns: str, index: str
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table that can be read, each after its number.

    Pieces that cannot be read are divided when all others were read.
    """
    sql = f"SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid"  # noqa: S608 - constants
    highest = _highest(db, table, index)
    size = max(PIECE, highest // MAX_PIECES + 1)
    pieces = deque((first, first + size - 1) for first in range(0, highest + 1, size))
    errors = 0
    while pieces and errors < MAX_ERRORS:
        low, high = pieces.popleft()
        # To find the end of a range, SQLite reads the row after it.
        condition = "BETWEEN ? AND ? ORDER BY rowid" if low < high else "IN (?, ?)"
        try:
            for row in db.execute(f"{sql} {condition}", (low, high)):
                check(row[0] >= low)  # else a page is there twice
                low = row[0] + 1
                yield row
        except _ERRORS as err:
            _raise_if_passing(err)
            errors += 1
            middle = (low + high) // 2
            if low < high:
                pieces += [(low, middle), (middle + 1, high)]


def _highest(db: sqlite3.Connection, table: str, index: str) -> int:
    """Return the highest number of a row, as far as it is known."""
    numbers = []
    for source in ("NOT INDEXED", f"INDEXED BY {index}"):
        sql = f"SELECT coalesce(max(rowid), 0) FROM {table} {source}"  # noqa: S608 - constants
        try:
            numbers += db.execute(sql).fetchone()
        except _ERRORS as err:
            _raise_if_passing(err)
    return max(numbers, default=UNKNOWN_MAX)


def _raise_if_passing(err: BaseException) -> None:
    """Raise an error that says nothing about the file."""
    code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _PASSING:
        raise err


def _open(damaged: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{damaged.as_uri()}?mode=rw", uri=True, autocommit=True, timeout=0)
    # A backup may be copying the file and its log.
    has_log = damaged.with_name(f"{damaged.name}-wal").exists()
    db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)
    return db
