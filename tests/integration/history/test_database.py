"""The file of the history: failing disks, deletion, damage, newer versions, backups."""

import asyncio
from contextlib import closing
import errno
from pathlib import Path
import shutil
import sqlite3
import tarfile
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.backup import DATA_MANAGER
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.const import CONF_HISTORY, DOMAIN
from custom_components.bticino_classe.history.database import VERSION
from custom_components.bticino_classe.history.history import CLEANUP_INTERVAL
from custom_components.bticino_classe.history.records import DAY, KINDS
from tests.integration.conftest import (
    EventRecorder,
    advance,
    call_action,
    expect_refused,
    get_entry,
    reload_entry,
    state_of,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import (
    calls_of,
    database,
    edit,
    files,
    history_of,
    new_calls,
    pictures_of,
)
from tests.integration.history.test_history import (
    MISSED,
    STREET,
    YARD,
    called,
    restart_and_catch_up,
)
from tests.integration.issues import issues_of
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

RESET = "button.classe_300x_reset_missed_calls"
HOUR_SECONDS = CLEANUP_INTERVAL.total_seconds() + 1
NOT_STORED = "The history of calls cannot be stored"


def issues(hass: HomeAssistant) -> set[str]:
    """Return which repair issues the history has raised."""
    return {key for key in issues_of(hass, get_entry(hass)) if key.startswith("history_")}


async def refuse_writes(hass: HomeAssistant, how: str) -> None:
    """Let SQLite refuse what it refuses on such a disk."""
    pragma = {"read-only": "query_only = ON", "full": "max_page_count = 1"}[how]
    await history_of(hass).async_read(lambda db: db.execute(f"PRAGMA {pragma}").fetchall())


async def allow_writes(hass: HomeAssistant) -> None:
    """Undo `refuse_writes`."""
    history = history_of(hass)
    await history.async_read(lambda db: db.execute("PRAGMA query_only = OFF").fetchall())
    await history.async_read(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())


@pytest.mark.parametrize("how", ["read-only", "full"])
async def test_disk_that_cannot_be_written(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    events: EventRecorder,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    how: str,
) -> None:
    """Doorbells ring, sensors count; calls are stored within an hour after the disk recovers."""
    await called(hass, simulator, STREET, "miss")
    stored = await calls_of(hass)
    await refuse_writes(hass, how)
    for panel in [STREET, YARD] * 20:
        await called(hass, simulator, panel, "miss", pictures=False)
    assert len(events.rings()) == 41
    assert state_of(hass, MISSED) == "41"
    assert len(await calls_of(hass)) < len(stored) + 40
    assert caplog.text.count(NOT_STORED) == 1
    assert issues(hass) == {"history_not_stored"}
    await allow_writes(hass)
    await advance(hass, freezer, HOUR_SECONDS)
    assert len(await calls_of(hass)) == len(stored) + 40
    assert issues(hass) == set()
    await restart_and_catch_up(hass)
    assert state_of(hass, MISSED) == "41"


@pytest.mark.usefixtures("online_entry")
async def test_actions_fail_if_nothing_can_be_stored(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Deletions and the reset raise a translated error and change nothing."""
    call = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    await refuse_writes(hass, "read-only")
    assert await expect_refused(hass, "button", "press", RESET) == "history_not_stored"
    for service, data in (
        ("reset_missed_calls", {}),
        ("delete_calls", {"call_id": known.id}),
        ("delete_calls", {"all": True}),
    ):
        with pytest.raises(HomeAssistantError) as caught:
            await hass.services.async_call(DOMAIN, service, data, blocking=True)
        assert caught.value.translation_key == "history_not_stored"
    assert state_of(hass, MISSED) == "1"
    assert await new_calls(hass) == [known]
    image = await get_entry(hass).runtime_data.downloads.async_of(call.panel_id)
    assert image.content == jpeg(call.picture_id("snapshot"))
    await allow_writes(hass)
    await call_action(hass, "button", "press", RESET)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("online_entry")
async def test_history_that_cannot_be_switched_off(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form shows an error, and the calls are kept."""
    await called(hass, simulator, STREET, "miss")
    entry = get_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    configure = hass.config_entries.options.async_configure
    chosen = {"pulse_time": 5, CONF_HISTORY: {"keep": False}}

    def fail(_path: Path, **_how: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        await configure(form["flow_id"], chosen)
        result = await configure(form["flow_id"], {})
    assert (result["step_id"], result["errors"]) == ("init", {"base": "history_not_deleted"})
    assert len(await new_calls(hass)) == 1
    await configure(form["flow_id"], chosen)
    result = await configure(form["flow_id"], {})
    assert result["type"] == "create_entry"
    assert files(hass) == []
    await wait_idle(hass)


@pytest.mark.usefixtures("online_entry")
async def test_deleted_content_is_in_no_file(hass: HomeAssistant, simulator: Simulator) -> None:
    """Neither in the database nor in its log once the action returns; the file shrinks.

    Only the session hash of the deleted call is kept, so that the cloud's list does not restore it.
    """
    simulator.pictures.size = 300_000
    call = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    traces = (jpeg(call.picture_id("snapshot"))[:40], known.id.encode())
    size = database(hass).stat().st_size
    assert all(any(trace in content for content in contents(hass)) for trace in traces)
    await hass.services.async_call(DOMAIN, "delete_calls", {"call_id": known.id}, blocking=True)
    assert not any(trace in content for content in contents(hass) for trace in traces)
    assert database(hass).stat().st_size < max(size, 500_000)


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_nothing_is_left_after_the_retention_period(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """Neither pictures nor session hashes, nor the copy of a damaged file."""
    call = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    traces = (jpeg(call.picture_id("snapshot"))[:40], known.id.encode(), known.session.encode())
    copy = database(hass).with_name(f"{database(hass).name}.damaged-20260101-000000")
    copy.write_bytes(b"".join(traces))
    await advance(hass, freezer, HOUR_SECONDS)
    assert copy.exists()
    assert all(any(trace in content for content in contents(hass)) for trace in traces)
    freezer.tick(91 * DAY)
    await advance(hass, freezer, HOUR_SECONDS)
    assert await calls_of(hass) == []
    assert not any(trace in content for content in contents(hass) for trace in traces)
    assert not copy.exists()


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("everything", [True, False])
async def test_deletion_includes_copies_of_damaged_files(
    hass: HomeAssistant, simulator: Simulator, *, everything: bool
) -> None:
    """A damaged file may contain the deleted call."""
    await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    copy = database(hass).with_name(f"{database(hass).name}.damaged-20260101-000000")
    copy.touch()
    data = {"all": True} if everything else {"call_id": known.id}
    await hass.services.async_call(DOMAIN, "delete_calls", data, blocking=True)
    assert not copy.exists()


def contents(hass: HomeAssistant) -> list[bytes]:
    """Return the contents of all files of the history."""
    return [path.read_bytes() for path in database(hass).parent.iterdir()]


def truncate(path: Path) -> None:
    """Remove the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def overwrite(path: Path, at: float, count: int) -> None:
    """Write other bytes over a part of a file."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * at)
    content[start : start + count] = b"\xa5" * len(content[start : start + count])
    path.write_bytes(bytes(content))


def replace_with_foreign(path: Path) -> None:
    """Put another program's database in place of the history."""
    path.unlink()
    edit(path, "CREATE TABLE calls (something TEXT)")


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"{" * 5000),
        lambda path: overwrite(path, 0, 100),
        lambda path: overwrite(path, 0, 1_000_000),
        lambda path: overwrite(path, 0.1, 8192),
        lambda path: overwrite(path, 0.4, 8192),
        lambda path: overwrite(path, 0.6, 30_000),
        truncate,
        replace_with_foreign,
    ],
    ids=["text", "header", "all", "tenth", "middle", "end", "cut", "foreign"],
)
async def test_damaged_file(
    hass: HomeAssistant, simulator: Simulator, damage: Callable[[Path], None]
) -> None:
    """It is renamed when the damage is found; doorbells ring, and calls are stored."""
    for panel in (STREET, YARD) * 4:
        await called(hass, simulator, panel, "miss", pictures=panel == STREET)
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    damage(database(hass))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    await called(hass, simulator, YARD, "miss")
    assert [call.outcome for call in await calls_of(hass)][-1] == "missed"
    assert len(await calls_of(hass)) == 10
    renamed = [name for name in files(hass) if ".damaged-" in name]
    assert issues(hass) == ({"history_damaged"} if renamed else set())
    folder = database(hass).parent
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
    known = await calls_of(hass)
    await restart_and_catch_up(hass)
    assert await calls_of(hass) == known
    await hass.config_entries.async_remove(entry.entry_id)
    assert files(hass) == []


@pytest.mark.parametrize("while_in_use", [False, True])
@pytest.mark.usefixtures("online_entry")
async def test_damaged_after_deletion(
    hass: HomeAssistant, simulator: Simulator, while_in_use: bool
) -> None:
    """What was deleted with all calls stays deleted, although the cloud still lists it."""
    await called(hass, simulator, STREET, "miss", late=60)
    await hass.services.async_call(DOMAIN, "delete_calls", {"all": True}, blocking=True)
    entry = get_entry(hass)
    if while_in_use:
        await history_of(hass).async_freeze(frozen=False)  # writes the log into the file
        overwrite(database(hass), 0, 1_000_000)
        await history_of(hass).async_read(lambda db: db.execute("PRAGMA shrink_memory").fetchall())
    await hass.config_entries.async_unload(entry.entry_id)
    if not while_in_use:
        overwrite(database(hass), 0, 1_000_000)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert await calls_of(hass) == []
    assert issues(hass) == {"history_damaged"}
    await called(hass, simulator, YARD, "miss")
    await restart_and_catch_up(hass)
    assert len(await calls_of(hass)) == 1


@pytest.mark.usefixtures("online_entry")
async def test_damaged_while_in_use(hass: HomeAssistant, simulator: Simulator) -> None:
    """The calls of the last day are stored again from memory."""
    await called(hass, simulator, STREET, "miss")
    known = await calls_of(hass)
    await history_of(hass).async_freeze(frozen=False)  # writes the log into the file
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    overwrite(database(hass), 0, 1_000_000)
    await history_of(hass).async_read(lambda db: db.execute("PRAGMA shrink_memory").fetchall())
    await called(hass, simulator, YARD, "miss")
    assert {call.id for call in known} < {call.id for call in await calls_of(hass)}
    assert issues(hass) == {"history_damaged"}
    assert state_of(hass, MISSED) == "2"


@pytest.mark.usefixtures("online_entry")
async def test_damage_found_by_queries(hass: HomeAssistant, simulator: Simulator) -> None:
    """Parallel queries rename the file only once; the calls of the last day are restored."""
    simulator.pictures.size = 100_000
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
    known = await calls_of(hass)
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    overwrite(database(hass), 0.5, 200_000)
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    history = history_of(hass)
    queries = [history.async_picture(call.id, kind) for call in known for kind in KINDS]
    found = await asyncio.gather(*queries)
    assert None in found
    assert len([name for name in files(hass) if name.endswith(".db")]) == 1
    assert {call.id for call in known} == {call.id for call in await calls_of(hass)}
    await called(hass, simulator, STREET, "miss")
    assert issues(hass) <= {"history_damaged"}
    assert state_of(hass, MISSED) == "4"


@pytest.mark.usefixtures("online_entry")
async def test_newer_version(hass: HomeAssistant, simulator: Simulator) -> None:
    """The file is not changed; doorbells ring, and calls are kept in memory."""
    await called(hass, simulator, STREET, "miss")
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    edit(database(hass), f"PRAGMA user_version = {VERSION + 1}")
    content = database(hass).read_bytes()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    call = await called(hass, simulator, YARD, "miss")
    assert issues(hass) == {"history_newer"}
    assert (await calls_of(hass))[-1].panel_id == call.panel_id
    assert len(await pictures_of(hass)) >= 2
    await restart_and_catch_up(hass)
    assert database(hass).read_bytes() == content
    assert files(hass) == [database(hass).name]


@pytest.mark.usefixtures("online_entry")
async def test_file_in_place_of_the_folder(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """The history is opened once the folder can be created."""
    entry, folder = get_entry(hass), database(hass).parent
    await hass.config_entries.async_unload(entry.entry_id)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    await called(hass, simulator, STREET, "miss")
    assert state_of(hass, MISSED) == "1"
    assert issues(hass) == {"history_not_stored"}
    folder.unlink()
    await advance(hass, freezer, HOUR_SECONDS)
    assert (await calls_of(hass))[-1].outcome == "missed"
    assert issues(hass) == set()


@pytest.mark.usefixtures("online_entry")
async def test_session_id_that_is_reused_often(hass: HomeAssistant, simulator: Simulator) -> None:
    """Two hours later it is another call, also after a restart."""
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    for number in range(7):
        at = time.time() - (7 - number) * 7200
        for step in (CallStep.OFFERED, CallStep.MISSED):
            push = CallPush(
                step=step, session_id="1", bridge_id=bridge.id, panel_id=panel.id, time=at
            )
            get_entry(hass).runtime_data.calls.async_handle_push(push)
        await wait_idle(hass)
        if number == 3:
            await restart_and_catch_up(hass)
    calls = [call for call in await calls_of(hass) if call.panel_id == panel.id]
    assert [call.outcome for call in calls] == ["missed"] * 7
    assert len({call.id for call in calls}) == 7


async def backed_up(hass: HomeAssistant) -> Path:
    """Create a backup with Home Assistant, and return its file."""
    manager = hass.data[DATA_MANAGER]
    backup = await manager.async_create_backup(
        agent_ids=["backup.local"],
        include_addons=None,
        include_all_addons=False,
        include_database=False,
        include_folders=None,
        include_homeassistant=True,
        name="test",
        password=None,
    )
    assert backup.backup_job_id
    folder = Path(hass.config.path("backups"))
    (path,) = await hass.async_add_executor_job(lambda: [*folder.glob("*.tar")])
    return path


def restored(backup: Path, into: Path, name: str) -> Path:
    """Unpack the history of a backup, and return its database."""
    with tarfile.open(backup) as outer:
        outer.extractall(into, filter="data")
    with tarfile.open(into / "homeassistant.tar.gz") as inner:
        inner.extractall(into, filter="data")
    return into / "data" / ".storage" / DOMAIN / name


@pytest.mark.usefixtures("online_entry")
async def test_backup(
    hass: HomeAssistant, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that is created during a ring is consistent and has all earlier calls."""
    assert await async_setup_component(hass, "backup", {})
    await wait_idle(hass)
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
    before = await calls_of(hass)
    await history_of(hass).async_delete([before[1].id])
    history = history_of(hass)
    freeze = history.async_freeze

    async def freeze_and_ring(*, frozen: bool) -> None:
        await freeze(frozen=frozen)
        if frozen:
            simulator.miss(simulator.ring(YARD))
            await wait_until(lambda: state_of(hass, MISSED) == "3")
            await history.async_delete([before[2].id])

    monkeypatch.setattr(history, "async_freeze", freeze_and_ring)
    backup = await backed_up(hass)
    copy = await hass.async_add_executor_job(restored, backup, tmp_path, database(hass).name)
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids = {call_id for (call_id,) in db.execute("SELECT id FROM calls")}
        count = db.execute("SELECT count(*) FROM pictures").fetchone()[0]
    assert before[3].id in ids
    assert before[1].id not in ids
    assert count >= 2
    assert before[2].id not in {call.id for call in await calls_of(hass)}
    wal = database(hass).with_name(f"{database(hass).name}-wal")
    assert wal.stat().st_size == 0


@pytest.mark.usefixtures("online_entry")
async def test_file_is_unchanged_during_a_backup(hass: HomeAssistant, simulator: Simulator) -> None:
    """Also if the account is reloaded during the backup."""
    await called(hass, simulator, STREET, "miss")
    platform: Any = await hass.async_add_import_executor_job(
        __import__, "custom_components.bticino_classe.backup", {}, {}, ["backup"]
    )
    await platform.async_pre_backup(hass)
    content = database(hass).read_bytes()
    await called(hass, simulator, YARD, "miss")
    entry: ConfigEntry[Any] = get_entry(hass)
    await reload_entry(hass, entry)
    await wait_online(entry)
    await called(hass, simulator, YARD, "miss")
    await history_of(hass).async_delete_all()
    assert database(hass).read_bytes() == content
    await platform.async_post_backup(hass)
    assert database(hass).read_bytes() != content
    assert await calls_of(hass) == []
