"""The file of the history: full disks, read-only disks, damage, newer versions, backups."""

import asyncio
from contextlib import closing
from datetime import timedelta
import errno
from pathlib import Path
import shutil
import sqlite3
import tarfile
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.backup import DATA_MANAGER
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.const import CONF_HISTORY, DOMAIN
from custom_components.bticino_classe.history.database import VERSION
from custom_components.bticino_classe.history.history import TIDY_INTERVAL
from custom_components.bticino_classe.history.records import KINDS
from custom_components.bticino_classe.history.store import ISSUES
from tests.integration.conftest import (
    Happenings,
    act,
    online,
    refused,
    restart,
    settle,
    state_of,
    the_entry,
    until,
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
from tests.integration.history.test_history import MISSED, STREET, YARD, called, start_again
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
HOUR = TIDY_INTERVAL + timedelta(seconds=1)
NOT_STORED = "The history of calls cannot be stored"


def issues(hass: HomeAssistant) -> set[str]:
    """Return which repair issues the history has raised."""
    entry_id = the_entry(hass).entry_id
    registry = ir.async_get(hass)
    return {key for key in ISSUES if registry.async_get_issue(DOMAIN, f"{key}_{entry_id}")}


async def refuse_writes(hass: HomeAssistant, how: str) -> None:
    """Have SQLite refuse what it refuses on such a disk."""
    pragma = {"read-only": "query_only = ON", "full": "max_page_count = 1"}[how]
    await history_of(hass).async_read(lambda db: db.execute(f"PRAGMA {pragma}").fetchall())


async def allow_writes(hass: HomeAssistant) -> None:
    """Have the disk as it was."""
    history = history_of(hass)
    await history.async_read(lambda db: db.execute("PRAGMA query_only = OFF").fetchall())
    await history.async_read(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())


async def pass_hour(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let an hour pass."""
    freezer.tick(HOUR)
    async_fire_time_changed(hass)
    await settle(hass)


@pytest.mark.parametrize("how", ["read-only", "full"])
async def test_disk_that_cannot_be_written(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    how: str,
) -> None:
    """The bell rings, sensors count; calls are stored within the hour after it can be written."""
    await called(hass, simulator, STREET, "miss")
    stored = await calls_of(hass)
    await refuse_writes(hass, how)
    for panel in [STREET, YARD] * 20:
        await called(hass, simulator, panel, "miss", pictures=False)
    assert len(bell.rings()) == 41
    assert state_of(hass, MISSED) == "41"
    assert len(await calls_of(hass)) < len(stored) + 40
    assert caplog.text.count(NOT_STORED) == 1
    assert issues(hass) == {"history_not_stored"}
    await allow_writes(hass)
    await pass_hour(hass, freezer)
    assert len(await calls_of(hass)) == len(stored) + 40
    assert issues(hass) == set()
    await start_again(hass)
    assert state_of(hass, MISSED) == "41"


@pytest.mark.usefixtures("bell")
async def test_nothing_is_reported_as_done_that_is_not_stored(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Deletions, the reset, and switching the history off fail with a text."""
    call = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    await refuse_writes(hass, "read-only")
    assert await refused(hass, "button", "press", RESET) == "history_not_stored"
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
    image = await the_entry(hass).runtime_data.downloads.async_of(call.panel_id)
    assert image.content == jpeg(call.picture_id("snapshot"))
    await allow_writes(hass)
    await act(hass, "button", "press", RESET)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("bell")
async def test_history_that_cannot_be_switched_off(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form says so, and the calls are still there."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    chosen = {"pulse_time": 5, CONF_HISTORY: {"keep": False}}

    def fail(_path: Path, **_how: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        result = await hass.config_entries.options.async_configure(form["flow_id"], chosen)
    assert result["errors"] == {"base": "history_not_deleted"}
    assert len(await new_calls(hass)) == 1
    result = await hass.config_entries.options.async_configure(form["flow_id"], chosen)
    assert result["type"] == "create_entry"
    assert files(hass) == []
    await settle(hass)


@pytest.mark.usefixtures("bell")
async def test_deleted_content_is_in_no_file(hass: HomeAssistant, simulator: Simulator) -> None:
    """Not in the database, nor in the log beside it, once the action is done; the file shrinks."""
    simulator.pictures.size = 300_000
    call = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    traces = (jpeg(call.picture_id("snapshot"))[:40], known.id.encode())
    size = database(hass).stat().st_size
    assert all(any(trace in content for content in contents(hass)) for trace in traces)
    await hass.services.async_call(DOMAIN, "delete_calls", {"call_id": known.id}, blocking=True)
    assert not any(trace in content for content in contents(hass) for trace in traces)
    assert database(hass).stat().st_size < max(size, 500_000)


def contents(hass: HomeAssistant) -> list[bytes]:
    """Return what is in the files of the history."""
    return [path.read_bytes() for path in database(hass).parent.iterdir()]


def cut(path: Path) -> None:
    """Lose the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def overwrite(path: Path, at: float, count: int) -> None:
    """Write other bytes over a part of a file."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * at)
    content[start : start + count] = b"\xa5" * len(content[start : start + count])
    path.write_bytes(bytes(content))


def foreign(path: Path) -> None:
    """Have another program's database there."""
    path.unlink()
    edit(path, "CREATE TABLE calls (something TEXT)")


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"{" * 5000),
        lambda path: overwrite(path, 0, 100),
        lambda path: overwrite(path, 0, 1_000_000),
        lambda path: overwrite(path, 0.1, 8192),
        lambda path: overwrite(path, 0.4, 8192),
        lambda path: overwrite(path, 0.6, 30_000),
        cut,
        foreign,
    ],
    ids=["text", "header", "all", "tenth", "middle", "end", "cut", "foreign"],
)
async def test_damaged_file(
    hass: HomeAssistant, simulator: Simulator, damage: Callable[[Path], None]
) -> None:
    """It is put aside, at once or when it is noticed; the bell rings, and calls are stored."""
    for panel in (STREET, YARD) * 4:
        await called(hass, simulator, panel, "miss", pictures=panel == STREET)
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    damage(database(hass))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    await called(hass, simulator, YARD, "miss")
    assert [call.outcome for call in await calls_of(hass)][-1] == "missed"
    assert len(await calls_of(hass)) == 10
    aside = [name for name in files(hass) if ".damaged-" in name]
    assert issues(hass) == ({"history_damaged"} if aside else set())
    folder = database(hass).parent
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
    known = await calls_of(hass)
    await start_again(hass)
    assert await calls_of(hass) == known
    await hass.config_entries.async_remove(entry.entry_id)
    assert files(hass) == []


@pytest.mark.usefixtures("bell")
async def test_damaged_while_in_use(hass: HomeAssistant, simulator: Simulator) -> None:
    """The calls of the last day are stored again, from memory."""
    await called(hass, simulator, STREET, "miss")
    known = await calls_of(hass)
    await history_of(hass).async_freeze(frozen=False)  # writes all of it into the file
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    overwrite(database(hass), 0, 1_000_000)
    await history_of(hass).async_read(lambda db: db.execute("PRAGMA shrink_memory").fetchall())
    await called(hass, simulator, YARD, "miss")
    assert {call.id for call in known} < {call.id for call in await calls_of(hass)}
    assert issues(hass) == {"history_damaged"}
    assert state_of(hass, MISSED) == "2"


@pytest.mark.usefixtures("bell")
async def test_damage_that_only_a_query_meets(hass: HomeAssistant, simulator: Simulator) -> None:
    """Several at once put the file aside once; the calls of the last day are there again."""
    simulator.pictures.size = 100_000
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
    known = await calls_of(hass)
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    overwrite(database(hass), 0.5, 200_000)
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    history = history_of(hass)
    asked = [history.async_picture(call.id, kind) for call in known for kind in KINDS]
    found = await asyncio.gather(*asked)
    assert None in found
    assert len([name for name in files(hass) if name.endswith(".db")]) == 1
    assert {call.id for call in known} == {call.id for call in await calls_of(hass)}
    await called(hass, simulator, STREET, "miss")
    assert issues(hass) <= {"history_damaged"}
    assert state_of(hass, MISSED) == "4"


@pytest.mark.usefixtures("bell")
async def test_newer_version(hass: HomeAssistant, simulator: Simulator) -> None:
    """The file is left as it is; the bell rings, and calls are kept in memory."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    edit(database(hass), f"PRAGMA user_version = {VERSION + 1}")
    content = database(hass).read_bytes()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    call = await called(hass, simulator, YARD, "miss")
    assert issues(hass) == {"history_newer"}
    assert (await calls_of(hass))[-1].panel_id == call.panel_id
    assert len(await pictures_of(hass)) >= 2
    await start_again(hass)
    assert database(hass).read_bytes() == content
    assert files(hass) == [database(hass).name]


@pytest.mark.usefixtures("bell")
async def test_folder_that_is_a_file(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """What cannot be opened at the start is opened later."""
    entry, folder = the_entry(hass), database(hass).parent
    await hass.config_entries.async_unload(entry.entry_id)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    await called(hass, simulator, STREET, "miss")
    assert state_of(hass, MISSED) == "1"
    assert issues(hass) == {"history_not_stored"}
    folder.unlink()
    await pass_hour(hass, freezer)
    assert (await calls_of(hass))[-1].outcome == "missed"
    assert issues(hass) == set()


@pytest.mark.usefixtures("bell")
async def test_session_that_comes_again_and_again(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Each time after two hours it is another call, also after a restart."""
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    for number in range(7):
        at = time.time() - (7 - number) * 7200
        for step in (CallStep.OFFERED, CallStep.MISSED):
            push = CallPush(
                step=step, session_id="1", bridge_id=bridge.id, panel_id=panel.id, time=at
            )
            the_entry(hass).runtime_data.calls.async_handle_push(push)
        await settle(hass)
        if number == 3:
            await start_again(hass)
    calls = [call for call in await calls_of(hass) if call.panel_id == panel.id]
    assert [call.outcome for call in calls] == ["missed"] * 7
    assert len({call.id for call in calls}) == 7


async def backed_up(hass: HomeAssistant) -> Path:
    """Have Home Assistant make a backup, and return its file."""
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


@pytest.mark.usefixtures("bell")
async def test_backup(
    hass: HomeAssistant, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made while people ring, it has all calls from before it, and can be opened and used."""
    assert await async_setup_component(hass, "backup", {})
    await settle(hass)
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
    before = await calls_of(hass)
    await history_of(hass).async_delete([before[1].id])
    history = history_of(hass)
    freeze = history.async_freeze

    async def ring_meanwhile(*, frozen: bool) -> None:
        await freeze(frozen=frozen)
        if frozen:
            simulator.miss(simulator.ring(YARD))
            await until(lambda: state_of(hass, MISSED) == "3")
            await history.async_delete([before[2].id])

    monkeypatch.setattr(history, "async_freeze", ring_meanwhile)
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


@pytest.mark.usefixtures("bell")
async def test_file_stays_as_it_is_during_a_backup(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Also when the account is set up anew meanwhile."""
    await called(hass, simulator, STREET, "miss")
    platform: Any = await hass.async_add_import_executor_job(
        __import__, "custom_components.bticino_classe.backup", {}, {}, ["backup"]
    )
    await platform.async_pre_backup(hass)
    content = database(hass).read_bytes()
    await called(hass, simulator, YARD, "miss")
    entry: ConfigEntry[Any] = the_entry(hass)
    await restart(hass, entry)
    await online(entry)
    await called(hass, simulator, YARD, "miss")
    await history_of(hass).async_delete_all()
    assert database(hass).read_bytes() == content
    await platform.async_post_backup(hass)
    assert database(hass).read_bytes() != content
    assert await calls_of(hass) == []
