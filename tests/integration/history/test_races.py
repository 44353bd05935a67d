"""The history during backups, reloads, catch-up, cancelled actions, and damage."""

import asyncio
from contextlib import closing, contextmanager
import errno
from pathlib import Path
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.const import CONF_HISTORY, DOMAIN
from custom_components.bticino_classe.history.records import KINDS
from custom_components.bticino_classe.history.store import MAX_BACKUP_SECONDS
from tests.integration.conftest import (
    advance,
    get_entry,
    reload_entry,
    state_of,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import calls_of, database, files, history_of, new_calls
from tests.integration.history.test_history import MISSED, STREET, YARD, called
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS, HOMESDATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("online_entry")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of a database, as another program does; SQLite waits for it."""
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def backup_platform(hass: HomeAssistant) -> Any:
    """Return the integration's backup platform."""
    return await hass.async_add_import_executor_job(
        __import__, "custom_components.bticino_classe.backup", {}, {}, ["backup"]
    )


def log_size(hass: HomeAssistant) -> int:
    """Return the size of the write-ahead log."""
    return database(hass).with_name(f"{database(hass).name}-wal").stat().st_size


async def test_backup_ends_during_a_reload(hass: HomeAssistant, simulator: Simulator) -> None:
    """Changes are written into the file again."""
    await called(hass, simulator, STREET, "miss")
    released, entry, platform = asyncio.Event(), get_entry(hass), await backup_platform(hass)
    simulator.fail(HOMESDATA, Failure(until=released))
    await platform.async_pre_backup(hass)
    reloading = asyncio.create_task(reload_entry(hass, entry))
    await simulator.journal.wait_for(HOMESDATA)
    await platform.async_post_backup(hass)
    released.set()
    await reloading
    await wait_online(entry)
    (known,) = await new_calls(hass)
    await hass.services.async_call(DOMAIN, "delete_calls", {"call_id": known.id}, blocking=True)
    assert log_size(hass) == 0


async def test_backup_begins_during_a_reload(hass: HomeAssistant, simulator: Simulator) -> None:
    """The file is not changed until the backup ends."""
    await called(hass, simulator, STREET, "miss")
    released, entry, platform = asyncio.Event(), get_entry(hass), await backup_platform(hass)
    simulator.fail(HOMESDATA, Failure(until=released))
    reloading = asyncio.create_task(reload_entry(hass, entry))
    await simulator.journal.wait_for(HOMESDATA)
    await platform.async_pre_backup(hass)
    content = database(hass).read_bytes()
    released.set()
    await reloading
    await wait_online(entry)
    (known,) = await new_calls(hass)
    await hass.services.async_call(DOMAIN, "delete_calls", {"call_id": known.id}, blocking=True)
    assert database(hass).read_bytes() == content
    await platform.async_post_backup(hass)
    assert database(hass).read_bytes() != content


async def test_ring_while_the_list_is_being_stored(
    hass: HomeAssistant,
    simulator: Simulator,
    hass_client: ClientSessionGenerator,
) -> None:
    """The picture of the event is that of the stored call, although the list was first."""
    history, client = history_of(hass), await hass_client()
    call = simulator.ring(STREET, offer=False, status=False)
    with locked(database(hass)):
        simulator.drop_connections()
        await simulator.journal.wait_for(GETEVENTS)
        await wait_until(lambda: history._pending_listed)
        simulator._push_incoming(call)
        await wait_until(
            lambda: state_of(hass, "event.classe_300x_doorbell_panel_unknown") != "unknown"
        )
    event = hass.states.get("event.classe_300x_doorbell_panel_unknown")
    assert event is not None
    await wait_idle(hass)
    (known,) = await new_calls(hass)
    assert known.id in event.attributes["picture"]
    assert known.pictures == KINDS
    response = await client.get(event.attributes["picture"])
    assert response.status == 200


@pytest.mark.parametrize("action", ["delete_calls", "reset_missed_calls"])
async def test_action_is_cancelled_while_it_stores(
    hass: HomeAssistant, simulator: Simulator, action: str
) -> None:
    """Stored changes are shown although the script was stopped."""
    await called(hass, simulator, STREET, "miss")
    assert state_of(hass, MISSED) == "1"
    data = {"all": True} if action == "delete_calls" else {}
    lock = history_of(hass)._lock
    with locked(database(hass)):
        task = asyncio.create_task(hass.services.async_call(DOMAIN, action, data, blocking=True))
        await wait_until(lock.locked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await wait_idle(hass)
    assert state_of(hass, MISSED) == "0"


async def test_delete_all_includes_damaged_files(hass: HomeAssistant, simulator: Simulator) -> None:
    """A damaged file still holds calls and pictures."""
    await called(hass, simulator, STREET, "miss")
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    database(hass).write_bytes(b"{" * 5000)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert any(".damaged-" in name for name in files(hass))
    await hass.services.async_call(DOMAIN, "delete_calls", {"all": True}, blocking=True)
    assert not any(".damaged-" in name for name in files(hass))


async def test_damaged_file_that_cannot_be_renamed(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query fails as it does on every other disk that cannot be used."""
    simulator.pictures.size = 100_000
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
    calls, entry = await calls_of(hass), get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    content = bytearray(database(hass).read_bytes())
    half = len(content) // 2
    content[half : half + 200_000] = b"\xa5" * 200_000
    database(hass).write_bytes(bytes(content))
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)

    def fail(_path: Path, _target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", fail)
    history = history_of(hass)
    found = [await history.async_picture(call.id, kind) for call in calls for kind in KINDS]
    assert None in found
    assert state_of(hass, MISSED) == "3"


class Broken(sqlite3.Connection):
    """A connection to a file in which nothing can be stored."""

    is_file = True

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Fail as SQLite does where a file system returns other bytes than were written."""
        if self.is_file and sql.startswith("BEGIN"):
            raise sqlite3.DatabaseError("database disk image is malformed")
        return super().execute(sql, *parameters)


async def test_every_new_file_is_damaged_at_once(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one is left as it is, and calls are kept in memory until the next start."""
    await called(hass, simulator, STREET, "miss")
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    connect = sqlite3.connect

    def broken(path: Path | str, **options: Any) -> sqlite3.Connection:
        db = connect(path, factory=Broken, **options)
        db.is_file = isinstance(path, Path)
        return db

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", broken)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await wait_online(entry)
        for _ in range(3):
            await called(hass, simulator, YARD, "miss")
    assert len(await new_calls(hass)) == 4
    assert files(hass) == [database(hass).name]


async def test_backup_whose_end_is_lost(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """After some hours, deleted calls are overwritten again."""
    await called(hass, simulator, STREET, "miss")
    platform = await backup_platform(hass)
    await platform.async_pre_backup(hass)
    await hass.services.async_call(DOMAIN, "delete_calls", {"all": True}, blocking=True)
    assert log_size(hass) > 0
    await advance(hass, freezer, MAX_BACKUP_SECONDS + 1)
    assert log_size(hass) == 0
    await platform.async_post_backup(hass)


async def test_damaged_copy_that_cannot_be_deleted(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form reports it, and calls are stored as before until it works."""
    await called(hass, simulator, STREET, "miss")
    copy = database(hass).with_name(f"{database(hass).name}.damaged-1")
    copy.touch()
    form = await hass.config_entries.options.async_init(get_entry(hass).entry_id)
    unlink = Path.unlink

    def fail(path: Path, **options: Any) -> None:
        if path == copy:
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", fail)
    configure = hass.config_entries.options.async_configure
    await configure(form["flow_id"], {"pulse_time": 5, CONF_HISTORY: {"keep": False}})
    result = await configure(form["flow_id"], {})
    assert result["errors"] == {"base": "history_not_deleted"}
    call = await called(hass, simulator, YARD, "miss")
    assert [each.panel_id for each in await calls_of(hass)] == [call.panel_id]
    assert state_of(hass, MISSED) == "1"
