"""The SQLite file of an account's history: one connection, used in one thread."""

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
USER_VERSION_BYTES: Final = slice(60, 64)  # of the file's header
VACUUM_PAGES: Final = 1000  # in one step; reads and writes run between the steps
CHECKPOINT_PAGES: Final = 1000
MAX_VERSION: Final = 1000  # a higher one is damage
DAMAGED: Final = ".damaged-"  # in the names of renamed files, before the date
# A file that is to replace a damaged one, while it is filled and when it is complete.
NEW: Final = ".new"
COMPLETE: Final = ".complete"
LOGS: Final = ("-wal", "-shm")
SETTINGS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
)

# Pictures have their own table, so that calls are read without them. Triggers keep the totals of
# each panel, so that nothing counts all calls.
_TOTALS_OF: Final = (
    "bridge_id = {0}.bridge_id AND panel_id = coalesce({0}.panel_id, '')"
    " AND home_id = coalesce({0}.home_id, '')"
)
_ADD_NEW: Final = """
    INSERT INTO totals VALUES (
        new.bridge_id, coalesce(new.panel_id, ''), coalesce(new.home_id, ''),
        1, new.is_unseen, new.picture_bytes
    ) ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        unseen = unseen + excluded.unseen,
        picture_bytes = picture_bytes + excluded.picture_bytes;
"""
_SUBTRACT_OLD: Final = f"""
    UPDATE totals SET
        calls = calls - 1,
        unseen = unseen - old.is_unseen,
        picture_bytes = picture_bytes - old.picture_bytes
    WHERE {_TOTALS_OF.format("old")};
    DELETE FROM totals WHERE calls = 0 AND {_TOTALS_OF.format("old")};
"""  # noqa: S608 - constants
_IN_TOTALS: Final = "{0}.bridge_id, {0}.panel_id, {0}.home_id, {0}.is_unseen, {0}.picture_bytes"
_SCHEMA: Final = f"""
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
    seen INTEGER NOT NULL,
    is_unseen INTEGER NOT NULL AS (outcome = 'missed' AND seen = 0),
    picture_bytes INTEGER NOT NULL AS (coalesce(snapshot, 0) + coalesce(vignette, 0))
) STRICT;
CREATE INDEX calls_by_time ON calls (time);
CREATE INDEX calls_by_session ON calls (session, time);
CREATE INDEX calls_by_bridge ON calls (bridge_id, time, panel_id);
CREATE INDEX calls_by_panel ON calls (panel_id, time) WHERE panel_id IS NOT NULL;
CREATE INDEX calls_with_picture ON calls (time) WHERE picture_bytes > 0;
CREATE INDEX snapshots_by_bridge ON calls (bridge_id, time) WHERE snapshot > 0;
CREATE INDEX snapshots_by_panel ON calls (panel_id, time) WHERE snapshot > 0;
CREATE INDEX vignettes_by_bridge ON calls (bridge_id, time) WHERE vignette > 0;
CREATE INDEX vignettes_by_panel ON calls (panel_id, time) WHERE vignette > 0;
CREATE TABLE totals (
    bridge_id TEXT NOT NULL,
    panel_id TEXT NOT NULL,
    home_id TEXT NOT NULL,
    calls INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    picture_bytes INTEGER NOT NULL,
    PRIMARY KEY (bridge_id, panel_id, home_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER call_added AFTER INSERT ON calls BEGIN {_ADD_NEW} END;
CREATE TRIGGER call_deleted AFTER DELETE ON calls BEGIN {_SUBTRACT_OLD} END;
CREATE TRIGGER call_changed AFTER UPDATE ON calls
    WHEN ({_IN_TOTALS.format("old")}) IS NOT ({_IN_TOTALS.format("new")})
    BEGIN {_SUBTRACT_OLD} {_ADD_NEW} END;
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
CREATE INDEX deletions_by_age ON deletions (deleted_at);
"""


class FileError(Exception):
    """The file cannot be used."""


class DamagedError(FileError):
    """The file cannot be read as a history."""


class NewerVersionError(FileError):
    """The file was written by a newer version."""


class UnusableError(FileError):
    """The file cannot be read or written now; the text is the reason, without a path."""


class Database:
    """Runs functions on the connection, one at a time.

    Opens the file when it is first needed; `path` None keeps everything in memory. A method that
    raises a FileError has changed nothing.
    """

    def __init__(self, path: Path | None, *, is_frozen: bool = False) -> None:
        self._path = path
        self._is_frozen = is_frozen
        self._connection: sqlite3.Connection | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bticino_classe history")
        self.is_closed = False

    async def run[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a function in a transaction; returns its result once the changes are on disk."""
        return await self._submit(lambda: self._transaction(work))

    async def read[Result](self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a query; this also works on a full disk."""
        return await self._submit(lambda: query(self._open()))

    async def set_frozen(self, *, frozen: bool) -> None:
        """Write changes to the write-ahead log only, until this is called with False."""
        await self._submit(lambda: self._set_frozen(frozen=frozen))

    async def erase(self, *, damaged_before: float) -> None:
        """Overwrite deleted content in the log, shrink the file, delete older damaged copies.

        Does nothing while the file is frozen.
        """
        await self._submit(lambda: self._delete_damaged(damaged_before))
        while await self._submit(self._vacuum):
            pass

    async def replace_damaged(self, salvage: Callable[[sqlite3.Connection, Path], int]) -> int:
        """Rename the damaged file, and put a new one in its place that `salvage` has filled.

        Returns what `salvage` returns. All or nothing is done, also if the process is killed.
        """
        return await self._submit(lambda: self._replace_damaged(salvage))

    async def remove(self) -> None:
        """Close and delete the file and all that belongs to it; use memory from now on."""
        await self._submit(self._remove)

    async def close(self) -> None:
        """Close the file for good."""
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
        return await loop.run_in_executor(self._executor, _translate_errors, work)

    def _transaction[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._path is not None:
                _prepare(self._path)
            connection = sqlite3.connect(self._path or ":memory:", autocommit=True)
            try:
                _configure(connection)
                self._apply_frozen(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

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
        """Return some free pages to the disk; returns whether there are more."""
        connection = self._connection
        if connection is None or self._is_frozen:
            return False
        connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        if not left:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return bool(left)

    def _replace_damaged(self, salvage: Callable[[sqlite3.Connection, Path], int]) -> int:
        self._disconnect()
        if self._path is None:
            return 0
        _finish_replacement(self._path)
        try:
            found = _fill_new(self._path, salvage)
        except BaseException:
            _remove_new(self._path)
            raise
        _beside(self._path, NEW).replace(_beside(self._path, COMPLETE))
        _finish_replacement(self._path)
        return found

    def _delete_damaged(self, before: float) -> None:
        for file in [] if self._is_frozen else _files(self._path):
            if DAMAGED in file.name and file.stat().st_mtime < before:
                file.unlink()

    def _remove(self) -> None:
        self._disconnect()
        if self._path is not None:
            remove_files(self._path)
            self._path = None


def has_damaged_copies(path: Path) -> bool:
    """Return whether damaged files of a database were renamed and still exist."""
    return any(DAMAGED in file.name for file in _files(path))


def remove_files(path: Path) -> None:
    """Delete a database and its damaged copies; OSError: some files are left."""
    for file in _files(path):
        file.unlink(missing_ok=True)
    if path.parent.exists() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _files(path: Path | None) -> list[Path]:
    """Return the existing files of a database: main file, log, shared memory, damaged copies."""
    return [] if path is None else sorted(path.parent.glob(f"{path.name}*"))


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def _remove_new(path: Path) -> None:
    """Delete a replacement that is not complete."""
    for suffix in ("", *LOGS):
        if (file := _beside(path, f"{NEW}{suffix}")).exists():
            file.unlink()


def _fill_new(path: Path, salvage: Callable[[sqlite3.Connection, Path], int]) -> int:
    """Create a replacement, and move all of it to its main file."""
    new = _beside(path, NEW)
    new.touch(mode=0o600)
    with closing(sqlite3.connect(new, autocommit=True)) as connection:
        _configure(connection)
        connection.execute("BEGIN")
        found = salvage(connection, path)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _finish_replacement(path: Path) -> None:
    """Put a complete replacement in place of a damaged file; delete one that is not complete."""
    _remove_new(path)
    if not (complete := _beside(path, COMPLETE)).exists():
        return
    renamed = _beside(path, f"{DAMAGED}{time.strftime('%Y%m%d-%H%M%S')}")
    while renamed.exists():
        renamed = _beside(renamed, "+")
    # The logs first: they must not be taken for those of the new file.
    for suffix in (*LOGS, ""):
        if (file := _beside(path, suffix)).exists():
            file.replace(_beside(renamed, suffix))
    complete.replace(path)


def _translate_errors[Result](work: Callable[[], Result]) -> Result:
    """Run a function; errors of SQLite and the disk become those of this module."""
    try:
        return work()
    except sqlite3.Error as err:
        # Operational: full, read-only, busy and the like; SQLITE_ERROR is an unexpected schema.
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if isinstance(err, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
            raise UnusableError(err.sqlite_errorname) from None
        raise DamagedError(str(err)) from None
    # An error of SQLite whose text has parts of the file, and a page that claims to be huge.
    except (UnicodeDecodeError, MemoryError) as err:
        raise DamagedError(type(err).__name__) from None
    except OSError as err:
        raise UnusableError(err.strerror) from None


def _prepare(path: Path) -> None:
    """Make the file private; NewerVersionError: it was written by a newer version."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    _finish_replacement(path)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        path.touch(mode=0o600)
        return
    path.chmod(0o600)
    if header.startswith(MAGIC):
        _check_version(int.from_bytes(header[USER_VERSION_BYTES], signed=True))


def _check_version(version: int) -> None:
    if VERSION < version <= MAX_VERSION:
        raise NewerVersionError
    if not 0 <= version <= VERSION:
        reason = "impossible version"
        raise DamagedError(reason)


def _configure(connection: sqlite3.Connection) -> None:
    """Apply the settings; create the tables in one transaction if they are missing."""
    with closing(connection.execute("PRAGMA user_version")) as found:
        (version,) = found.fetchone()
    _check_version(version)
    if version < VERSION:  # in a file that has tables, this would write at every start
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    if version < VERSION:
        connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
