"""A history whose file is damaged anywhere: what can be read is kept, and nothing else fails."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
import sqlite3
import time
from typing import TYPE_CHECKING

from homeassistant.util import dt as dt_util
import pytest

from custom_components.bticino_classe.client import StillImage
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history.database import Database
from custom_components.bticino_classe.history.records import KINDS, CallRecord, Limits
from custom_components.bticino_classe.history.salvage import restore
from custom_components.bticino_classe.history.store import async_freeze_histories
from custom_components.bticino_classe.history.writing import Writer
from tests.integration.conftest import get_entry, reload_entry, state_of, wait_online
from tests.integration.history.stored import calls_of, database, files, fill, history_of
from tests.integration.history.test_history import MISSED, STREET, YARD, called
from tests.integration.issues import issues_of
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

HOUR = 3600.0
COUNT = 400  # calls
PAGE = 4096  # bytes
CALENDAR = "calendar.casa_calls"


def record(number: int, now: float) -> CallRecord:
    """Return a call of an earlier hour."""
    at = now - number * HOUR
    return CallRecord(
        id=f"{number:016x}",
        session=f"{number:016x}",
        bridge_id="00:03:50:ab:cd:ef",
        panel_id="abcdef-0101-aa11bb22cc33",
        time=at,
        outcome="missed",
        ended_at=at + 30,
        seen=number % 2 == 0,
    )


async def fill_file(path: Path, now: float) -> None:
    """Write a file with calls, pictures of some, and deletions of others."""
    store = Database(path)

    def fill_it(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=Limits(days=4000, calls=10_000, megabytes=50), now=now)
        writer.begin(deleted_until=None)
        for number in range(COUNT + 20):
            writer.insert(record(number, now))
        for number in range(0, COUNT, 20):
            picture = StillImage(content=jpeg("STREET"), content_type="image/jpeg")
            writer.keep(f"{number:016x}", KINDS[0], picture)
        writer.delete(f"{number:016x}" for number in range(COUNT, COUNT + 20))

    await store.run(fill_it)
    await store.close()


async def salvaged(damaged: Path, into: Path, now: float) -> tuple[int, int, int]:
    """Return the numbers of calls, pictures and deletions that can still be read."""
    store = Database(into)

    def restore_and_count(db: sqlite3.Connection) -> tuple[int, int, int]:
        limits = Limits(days=4000, calls=10_000, megabytes=50)
        kept = restore(Writer(db, limits=limits, now=now), damaged, now)
        sql = """
            SELECT (SELECT total(calls) FROM totals), (SELECT count(*) FROM pictures),
            (SELECT count(*) FROM deletions)
        """
        calls, pictures, deletions = db.execute(sql).fetchone()
        assert calls == kept
        return kept, pictures, deletions

    found = await store.run(restore_and_count)
    await store.close()
    return found


async def test_each_page(tmp_path: Path) -> None:
    """A page costs what is on it; without those of the schema, nothing can be found."""
    now, new = time.time(), Database(tmp_path / "empty.db")
    await new.run(lambda _: None)
    await new.close()
    pages_of_empty = (tmp_path / "empty.db").stat().st_size // PAGE
    await fill_file(tmp_path / "good.db", now)
    good = (tmp_path / "good.db").read_bytes()
    lost = []
    for number in range(1, len(good) // PAGE + 1):
        damaged = tmp_path / f"{number}.db"
        damaged.write_bytes(good[: (number - 1) * PAGE] + b"\xa5" * PAGE + good[number * PAGE :])
        found = await salvaged(damaged, tmp_path / f"{number}.new.db", now)
        if number > pages_of_empty:  # else a schema, or the root of a table
            lost.append((COUNT - found[0], COUNT // 20 - found[1], 20 - found[2]))
    assert max(lost) < (50, 20, 1)
    # Each call is on one page; a picture is lost with it, or with one of its own pages.
    assert len(lost) > 20
    assert sum(calls for calls, *_ in lost) == COUNT
    assert sum(pictures for _, pictures, _ in lost) > COUNT // 20


async def test_undamaged_file(tmp_path: Path) -> None:
    """Everything is copied."""
    now = time.time()
    await fill_file(tmp_path / "good.db", now)
    assert await salvaged(tmp_path / "good.db", tmp_path / "new.db", now) == (COUNT, 20, 20)


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


def issues(hass: HomeAssistant) -> set[str]:
    """Return which repair issues the history has raised."""
    return {key for key in issues_of(hass, get_entry(hass)) if key.startswith("history_")}


TIMES = ("time", "answered_at", "ended_at")


def of_call(column: str, value: str) -> str:
    """Return SQL that changes one call."""
    return f"UPDATE calls SET {column} = {value} WHERE number = 3"  # noqa: S608 - constants


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
    "UPDATE totals SET unseen = -3",
    "UPDATE totals SET unseen = 'x'",
    "UPDATE totals SET calls = 1000000000",
    "UPDATE totals SET picture_bytes = 1000000000000",
    "UPDATE pictures SET content_type = 'text/html'",
    "UPDATE pictures SET content = 'x'",
    "UPDATE pictures SET content = x'00'",
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
