"""A history whose file is damaged anywhere: what can be read is kept, and nothing else fails."""

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
import errno
from pathlib import Path
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from homeassistant.util import dt as dt_util
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history import database as database_module
from custom_components.bticino_classe.history.records import KINDS
from custom_components.bticino_classe.history.store import async_freeze_histories
from tests.calls import PAGE, record
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import get_entry, reload_entry, state_of, wait_online, wait_until
from tests.integration.history.stored import (
    calls_of,
    database,
    files,
    fill,
    history_of,
)
from tests.integration.history.test_database import issues
from tests.integration.history.test_history import MISSED, STREET, YARD, called
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

CALENDAR = "calendar.casa_calls"


def change(path: Path, sql: str) -> None:
    """Change a file in a way that SQLite does not allow, as a damaged disk would."""
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        schema = db.execute("SELECT name, sql FROM sqlite_schema WHERE sql LIKE '%STRICT%'")
        schema_by_name = dict(schema.fetchall())

    def write_schema(**changes: str) -> None:
        with closing(sqlite3.connect(path, autocommit=True)) as db:
            db.execute("PRAGMA writable_schema = ON")
            for name, text in changes.items():
                db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (text, name))

    write_schema(
        **{
            name: text.replace("REAL", "ANY")
            .replace("TEXT", "ANY")
            .replace("BLOB", "ANY")
            .replace("INTEGER NOT", "ANY NOT")
            for name, text in schema_by_name.items()
        }
    )
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        db.execute(sql)
    write_schema(**schema_by_name)


async def use_everything(hass: HomeAssistant, client: ClientSessionGenerator) -> None:
    """Do everything that reads the history; all of it has to work."""
    end = dt_util.now() + timedelta(days=1)
    span = {"start": end - timedelta(days=30), "end": end}
    await hass.services.async_call(
        DOMAIN, "export_calls", {"start": span["start"]}, blocking=True, return_response=True
    )
    params = {name: at.isoformat() for name, at in span.items()}
    answer = await (await client()).get(f"/api/calendars/{CALENDAR}", params=params)
    assert answer.status == 200
    assert await answer.json()
    history = history_of(hass)
    for call in await calls_of(hass):
        for kind in call.pictures:
            await history.async_picture(call.id, kind)
    await history.async_count()
    await history.async_mark_seen(*(call.bridge_id for call in await calls_of(hass)))
    await history.async_clean_up()


TIMES = ("time", "answered_at", "ended_at")


def of_call(column: str, value: str) -> str:
    """Return SQL that changes one call."""
    return f"UPDATE calls SET {column} = {value} WHERE number = 3"  # noqa: S608 - constants


def of_totals(column: str, value: str) -> str:
    """Return SQL that changes the totals of each panel."""
    return f"UPDATE totals SET {column} = {value}"  # noqa: S608 - constants


IMPOSSIBLE = [
    *(of_call(name, "5") for name in ("id", "session", "bridge_id", "panel_id", "location_name")),
    *(of_call(name, "x'00ff'") for name in ("id", "panel_id", "outcome")),
    *(of_call(name, "'x'") for name in (*TIMES, "outcome")),
    *(of_call(name, "1e300") for name in TIMES),
    of_call("snapshot", "-5"),
    of_call("seen", "7"),
    "UPDATE meta SET value = 1e300",
    "UPDATE meta SET value = 'x'",
    "UPDATE deletions SET time = 'x'",
    "UPDATE deletions SET session = 5",
    *(of_totals(name, "'x'") for name in ("calls", "unseen", "picture_bytes")),
    *(of_totals(name, "-3") for name in ("calls", "unseen", "picture_bytes")),
    *(of_totals(name, "5") for name in ("bridge_id", "home_id")),
    "UPDATE totals SET unseen = calls + 1",
    "UPDATE totals SET calls = 1000000000",
    "UPDATE totals SET picture_bytes = 1000000000000",
    "DELETE FROM totals",
]


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("sql", IMPOSSIBLE)
async def test_impossible_values(
    hass: HomeAssistant, simulator: Simulator, hass_client: ClientSessionGenerator, sql: str
) -> None:
    """SQLite reads them without an error; other calls are kept, and all views work."""
    for panel in (STREET, YARD, STREET, YARD):
        await called(hass, simulator, panel, "miss", pictures=panel == STREET)
    deleted, *known = await calls_of(hass)
    await history_of(hass).async_delete([deleted.id])
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    change(database(hass), sql)
    simulator.fail(GETEVENTS, Failure(status=503), times=20)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    await called(hass, simulator, YARD, "miss")
    await use_everything(hass, hass_client)
    kept = {call.id for call in await calls_of(hass)}
    assert len(kept & {call.id for call in known}) >= len(known) - 1
    assert deleted.id not in kept
    assert len(kept) <= len(known) + 1
    assert issues(hass) == {"history_damaged"}
    assert float(state_of(hass, MISSED) or 0) == 0
    await reload_entry(hass, entry)
    assert kept == {call.id for call in await calls_of(hass)}
    assert len([name for name in files(hass) if ".damaged-" in name]) == 1


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "value", ["content = 'x'", "content = x'00'", "content_type = 'text/html'"]
)
async def test_damaged_picture(
    hass: HomeAssistant, simulator: Simulator, hass_client: ClientSessionGenerator, value: str
) -> None:
    """It is not shown; that is no reason to give up others."""
    await called(hass, simulator, STREET, "miss")
    call = (await calls_of(hass))[-1]
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    change(database(hass), f"UPDATE pictures SET {value} WHERE rowid = 1")  # noqa: S608 - constants
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    await use_everything(hass, hass_client)
    found = [await history_of(hass).async_picture(call.id, kind) for kind in KINDS]
    assert [image is None for image in found] in ([True, False], [False, True])
    assert issues(hass) == set()


@pytest.mark.usefixtures("online_entry")
async def test_deleted_call_that_the_cloud_lists(hass: HomeAssistant, simulator: Simulator) -> None:
    """It stays deleted if the page of the deletions can be read."""
    for panel in (STREET, YARD):
        await called(hass, simulator, panel, "miss", late=60)
    *kept, deleted = [call.id for call in await calls_of(hass)]
    await history_of(hass).async_delete([deleted])
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    change(database(hass), "UPDATE totals SET unseen = -3")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert [call.id for call in await calls_of(hass)] == kept
    assert issues(hass) == {"history_damaged"}


@pytest.mark.usefixtures("online_entry")
async def test_schema_that_is_no_text(hass: HomeAssistant, simulator: Simulator) -> None:
    """SQLite quotes it in its error, which Python cannot decode."""
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    with closing(sqlite3.connect(database(hass), autocommit=True)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET name = CAST(x'c2' AS TEXT), sql = 'CREATE x'")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    await called(hass, simulator, YARD, "miss")
    assert [call.outcome for call in await calls_of(hass)][-1] == "missed"
    assert issues(hass) == {"history_damaged"}


async def damaged_entry(hass: HomeAssistant, simulator: Simulator) -> set[str]:
    """Unload the account, and damage its file; return its calls. One was deleted."""
    for panel in (STREET, YARD, STREET):
        await called(hass, simulator, panel, "miss", late=60)
    *kept, deleted = [call.id for call in await calls_of(hass)]
    await history_of(hass).async_delete([deleted])
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    change(database(hass), "UPDATE totals SET unseen = -3")
    return set(kept)


async def set_up(hass: HomeAssistant, kept: set[str]) -> None:
    """Set the account up; everything is kept, once, and the deleted call stays deleted."""
    entry = get_entry(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    found = [call.id for call in await calls_of(hass)]
    assert len(found) == len(kept)
    assert set(found) == kept
    assert issues(hass) == {"history_damaged"}
    assert [name for name in files(hass) if ".damaged-" not in name and "-" not in name] == [
        database(hass).name
    ]


async def start_without_storing(hass: HomeAssistant) -> None:
    """Set the account up and unload it, while nothing can be stored."""
    assert await hass.config_entries.async_setup(get_entry(hass).entry_id)
    await wait_online(get_entry(hass))
    assert "history_not_stored" in issues(hass)
    await hass.config_entries.async_unload(get_entry(hass).entry_id)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("step", [0, 1, 2, 3])
async def test_replacement_that_stops(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """If the disk fails or Home Assistant is killed at any step, the next start completes it."""
    await async_freeze_histories(hass, frozen=True)  # the log is renamed, too
    kept = await damaged_entry(hass, simulator)
    for suffix in (".new", ".new-wal"):  # of a process that was killed before
        database(hass).with_name(f"{database(hass).name}{suffix}").write_bytes(b"x" * PAGE)
    replace_file, steps = Path.replace, iter(range(step))

    def fail(path: Path, target: Path) -> None:
        if next(steps, None) is None:
            raise OSError(errno.EIO, "Input/output error")
        replace_file(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        await start_without_storing(hass)
    await set_up(hass, kept)
    await async_freeze_histories(hass, frozen=False)


def sqlite_error(name: str) -> sqlite3.OperationalError:
    """Return an error that may pass."""
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    return error


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_BUSY"])
async def test_salvage_that_fails(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A full disk, or too many open files: nothing is changed, and it is tried again."""
    kept = await damaged_entry(hass, simulator)
    before = files(hass)
    connect = sqlite3.connect

    def refuse(path: Path, **options: Any) -> sqlite3.Connection:
        if str(path).endswith(".new" if name == "SQLITE_FULL" else "?mode=rw"):
            raise sqlite_error(name)
        found: sqlite3.Connection = connect(path, **options)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", refuse)
        await start_without_storing(hass)
    assert files(hass) == before
    await set_up(hass, kept)


@pytest.mark.usefixtures("online_entry")
async def test_cancelled_query(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automation that is restarted while its query replaces the file loses nothing."""
    await called(hass, simulator, STREET, "miss")
    known, history = await calls_of(hass), history_of(hass)
    await history.async_read(lambda db: db.execute("UPDATE calls SET seen = 7").fetchall())
    begun, go_on, fill_new = threading.Event(), threading.Event(), database_module._fill_new

    def wait_and_fill(*arguments: Any) -> int:
        begun.set()
        go_on.wait(HANG_TIMEOUT)
        return fill_new(*arguments)

    monkeypatch.setattr(database_module, "_fill_new", wait_and_fill)
    simulator.fail(GETEVENTS, Failure(status=503), times=20)
    query = hass.async_create_task(history.async_calls([known[-1].id]))
    await wait_until(begun.is_set)
    query.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await called(hass, simulator, YARD, "miss")
    assert {call.id for call in known} < {call.id for call in await calls_of(hass)}
    await reload_entry(hass, get_entry(hass))
    assert len(await calls_of(hass)) == len(known) + 1
    assert query.cancelled()


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("error", [MemoryError(), UnicodeDecodeError("utf-8", b"", 0, 1, "")])
async def test_other_errors_of_sqlite(
    hass: HomeAssistant, simulator: Simulator, error: Exception
) -> None:
    """A damaged page may claim to be huge, and a damaged schema to be no text."""
    await called(hass, simulator, STREET, "miss")
    known = await calls_of(hass)
    errors = [error]

    def fail_once(_: sqlite3.Connection) -> None:
        if errors:
            raise errors.pop()

    await history_of(hass).async_read(fail_once)
    await called(hass, simulator, YARD, "miss")
    assert {call.id for call in known} < {call.id for call in await calls_of(hass)}
    assert issues(hass) == {"history_damaged"}


@pytest.mark.usefixtures("online_entry")
async def test_version_that_is_impossible(hass: HomeAssistant, simulator: Simulator) -> None:
    """It is no newer one."""
    kept = await damaged_entry(hass, simulator)
    content = bytearray(database(hass).read_bytes())
    content[database_module.USER_VERSION_BYTES] = b"\x7f\x01\x01\x01"
    database(hass).write_bytes(bytes(content))
    await set_up(hass, kept)


@pytest.mark.usefixtures("online_entry")
async def test_log_of_the_damaged_file(hass: HomeAssistant, simulator: Simulator) -> None:
    """What a backup has left in the log only is read, too; pictures are kept."""
    history = history_of(hass)
    await async_freeze_histories(hass, frozen=True)
    await called(hass, simulator, STREET, "miss")
    known = await calls_of(hass)
    assert database(hass).with_suffix(".db-wal").stat().st_size
    simulator.fail(GETEVENTS, Failure(status=503), times=20)
    await history.async_read(lambda db: db.execute("UPDATE totals SET unseen = -3").fetchall())
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    assert issues(hass) == {"history_damaged"}
    assert [(call.id, call.pictures) for call in await calls_of(hass)] == [
        (call.id, call.pictures) for call in known
    ]
    await async_freeze_histories(hass, frozen=False)


@pytest.mark.usefixtures("online_entry")
async def test_older_calls_in_a_damaged_file(hass: HomeAssistant, simulator: Simulator) -> None:
    """They are kept, but for those on the damaged page, and the cloud's newest are added."""
    entry, now = get_entry(hass), time.time()
    await hass.config_entries.async_unload(entry.entry_id)
    old = [replace(record(number, now), seen=True) for number in range(48, 348)]
    await fill(hass, *old, tracking_since=now)
    content = database(hass).read_bytes()
    page = content.index(old[100].id.encode()) // PAGE * PAGE
    database(hass).write_bytes(content[:page] + bytes(PAGE) + content[page + PAGE :])
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    await called(hass, simulator, STREET, "miss")
    await history_of(hass).async_read(lambda db: db.execute("SELECT * FROM calls").fetchall())
    kept = await calls_of(hass)
    assert len({call.id for call in kept} & {call.id for call in old}) >= len(old) - 50
    assert state_of(hass, MISSED) == "1"
    assert issues(hass) == {"history_damaged"}
