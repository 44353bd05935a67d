"""The SQLite file of an account's history: one connection, in one worker thread of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
import sqlite3
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION: Final = 1
HEADER_BYTES: Final = 100
MAGIC: Final = b"SQLite format 3\0"
VERSION_AT: Final = slice(60, 64)  # of the file's header
VACUUM_PAGES: Final = 1000  # in one step, between which others get their turn
CHECKPOINT_PAGES: Final = 1000
DAMAGED_SUFFIX: Final = ".damaged-"
SETTINGS: Final = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
)

# A picture is in a table of its own, so that calls are read without it.
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE calls (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    bridge_id TEXT NOT NULL,
    panel_id TEXT,
    home_id TEXT,
    home_name TEXT,
    location_id TEXT,
    location_name TEXT,
    time REAL NOT NULL,
    outcome TEXT NOT NULL,
    answered_at REAL,
    ended_at REAL,
    answered_by TEXT,
    ended_by TEXT,
    snapshot INTEGER,
    vignette INTEGER,
    seen INTEGER NOT NULL
) STRICT;
CREATE INDEX calls_by_time ON calls (time);
CREATE INDEX calls_by_session ON calls (session, time);
CREATE INDEX calls_by_bridge ON calls (bridge_id, time, panel_id);
CREATE INDEX calls_by_panel ON calls (panel_id, time) WHERE panel_id IS NOT NULL;
CREATE INDEX calls_unseen ON calls (bridge_id) WHERE outcome = 'missed' AND seen = 0;
CREATE INDEX calls_pictured ON calls (bridge_id, time, panel_id, snapshot, vignette)
    WHERE snapshot > 0 OR vignette > 0;
CREATE TABLE pictures (
    call INTEGER NOT NULL REFERENCES calls (number) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (call, kind)
) STRICT;
CREATE TABLE deletions (
    session TEXT NOT NULL, time REAL NOT NULL, deleted_at REAL NOT NULL
) STRICT;
CREATE INDEX deletions_by_session ON deletions (session, time);
"""

# The file cannot be used at the moment; every other error means that it is damaged.
_UNUSABLE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)


class DamagedError(Exception):
    """The file cannot be read as a history."""


class NewerVersionError(Exception):
    """The file was written by a newer version."""


class UnusableError(Exception):
    """The file cannot be read or written now; the text is the reason without a path."""


class Database:
    """Runs functions on the connection, one after the other, each in a transaction.

    Opens the file when it is first needed; `path` None keeps everything in memory. Raises
    UnusableError, DamagedError or NewerVersionError; nothing is changed then.
    """

    def __init__(self, path: Path | None, *, is_frozen: bool = False) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bticino_classe history")
        self._is_frozen = is_frozen
        self.is_closed = False

    async def run[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return a function's result once its changes are on disk."""
        return await self._submit(lambda: self._transaction(work))

    async def read[Result](self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return the result of a query; this also works on a full disk."""
        return await self._submit(lambda: query(self._opened()))

    async def freeze(self) -> None:
        """Leave the file itself as it is until `thaw`: changes go to the write-ahead log only."""
        await self._submit(lambda: self._set_frozen(frozen=True))

    async def thaw(self) -> None:
        """Write the log into the file."""
        await self._submit(lambda: self._set_frozen(frozen=False))

    async def erase(self) -> None:
        """Overwrite what was deleted: in the file, which shrinks, and in the log."""
        while await self._submit(self._vacuum):
            pass

    async def put_aside(self) -> None:
        """Rename a damaged file; the next use begins a new one."""
        await self._submit(self._put_aside)

    async def remove_damaged(self) -> None:
        """Delete the damaged files that were put aside."""
        await self._submit(self._remove_damaged)

    async def remove(self) -> None:
        """Close and delete the file with all its parts; everything is in memory from now on."""
        await self._submit(self._remove)

    async def close(self) -> None:
        """Close the file; nothing is read or written after that."""
        if not self.is_closed:
            self.is_closed = True
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, self._disconnect)
            self._executor.shutdown()

    async def _submit[Result](self, work: Callable[[], Result]) -> Result:
        if self.is_closed:
            reason = "closed"
            raise UnusableError(reason)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _translated, work)

    def _transaction[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            _prepare(self._path)
        connection = sqlite3.connect(self._path or ":memory:", autocommit=True)
        try:
            _configure(connection)
            _migrate(connection)
            self._apply_frozen(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _set_frozen(self, *, frozen: bool) -> None:
        self._is_frozen = frozen
        if self._connection is not None:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._apply_frozen(self._connection)

    def _apply_frozen(self, connection: sqlite3.Connection) -> None:
        pages = 0 if self._is_frozen else CHECKPOINT_PAGES
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self._is_frozen)

    def _vacuum(self) -> bool:
        """Release some free pages; returns whether there are more."""
        connection = self._connection
        if connection is None or self._is_frozen:
            return False
        connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        if not left:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return bool(left)

    def _put_aside(self) -> None:
        self._disconnect()
        if self._path is not None:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            for part in parts_of(self._path):
                part.replace(part.with_name(f"{part.name}{DAMAGED_SUFFIX}{stamp}"))

    def _remove_damaged(self) -> None:
        if self._path is not None:
            for part in self._path.parent.glob(f"{self._path.name}*{DAMAGED_SUFFIX}*"):
                part.unlink(missing_ok=True)

    def _remove(self) -> None:
        self._disconnect()
        if self._path is not None:
            remove_files(self._path)
            self._path = None


def parts_of(path: Path) -> list[Path]:
    """Return the files that belong to a database."""
    names = (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal")
    return [part for name in names if (part := path.with_name(name)).exists()]


def remove_files(path: Path) -> None:
    """Delete a database and its damaged copies; OSError: some of it is left."""
    for part in sorted(path.parent.glob(f"{path.name}*")):
        part.unlink(missing_ok=True)
    if path.parent.exists() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _translated[Result](work: Callable[[], Result]) -> Result:
    """Run a function; its errors become those of this module."""
    try:
        return work()
    except sqlite3.Error as err:
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _UNUSABLE:
            raise UnusableError(err.sqlite_errorname) from None
        raise DamagedError(str(err)) from None
    except OSError as err:
        raise UnusableError(err.strerror) from None


def _prepare(path: Path) -> None:
    """Make the file private; raise NewerVersionError before it is changed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        path.touch(mode=0o600)
        return
    path.chmod(0o600)
    if header.startswith(MAGIC) and int.from_bytes(header[VERSION_AT]) > VERSION:
        raise NewerVersionError


def _configure(connection: sqlite3.Connection) -> None:
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")


def _migrate(connection: sqlite3.Connection) -> None:
    """Create what is missing, all or nothing."""
    with closing(connection.execute("PRAGMA user_version")) as found:
        (version,) = found.fetchone()
    if version > VERSION:
        raise NewerVersionError
    if version < VERSION:
        connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
