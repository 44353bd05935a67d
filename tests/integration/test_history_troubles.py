"""What the history outlasts: wrong clocks, full disks, damaged files, lists that do not come."""

from datetime import timedelta
import errno
import json
import os
from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.image import async_get_image
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.history.catch_up import RETRY_SECONDS
from custom_components.bticino_classe.history.downloads import async_placeholder
from custom_components.bticino_classe.history.history import TIDY_INTERVAL
from custom_components.bticino_classe.history.records import DAY, KeptPicture
from tests.integration.conftest import (
    Happenings,
    act,
    heard,
    online,
    restart,
    settle,
    state_of,
    the_entry,
    until,
)
from tests.integration.test_history import (
    MISSED,
    OUTCOME,
    PUSH,
    STREET,
    YARD,
    called,
    files,
    folder,
    hass_storage,
    history_of,
    index,
    new_calls,
    start_again,
    with_options,
)
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

__all__ = ["hass_storage"]

HOUR = TIDY_INTERVAL + timedelta(seconds=1)


def a_secret(hass: HomeAssistant) -> Path:
    """Return a file of Home Assistant's that is none of ours."""
    path = Path(hass.config.path("secrets.yaml"))
    path.write_text("password: x")
    return path


def left(folder: str, name: str) -> list[str]:
    """Return the files whose name begins so."""
    return [path.name for path in Path(folder).iterdir() if path.name.startswith(name)]


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass, and what is due happen."""
    freezer.tick(seconds)
    async_fire_time_changed(hass)
    await settle(hass)


async def test_clock_of_the_cloud_that_jumps(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """A wrong Date header, a year ahead, makes no call too old."""
    await called(hass, simulator, STREET, "miss")
    the_entry(hass).runtime_data.account.clock._offset = 365 * DAY
    await pass_time(hass, freezer, HOUR.total_seconds())
    await called(hass, simulator, YARD, "miss")
    assert len(new_calls(hass)) == 2
    assert len(files(hass)) == 4


@pytest.mark.usefixtures("bell")
async def test_no_history_in_an_outage(hass: HomeAssistant, simulator: Simulator) -> None:
    """What is to be deleted is, although nothing else can be started."""
    await called(hass, simulator, STREET, "miss")
    simulator.take_down()
    entry = the_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    await hass.config_entries.options.async_configure(
        form["flow_id"], {"pulse_time": 5, "history": {"keep": False}}
    )
    await settle(hass)
    assert not folder(hass).exists()
    assert not index(hass).exists()


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("how", ["removed", "not kept"])
async def test_copy_of_a_damaged_index(hass: HomeAssistant, simulator: Simulator, how: str) -> None:
    """Core puts one aside, which tells of calls too."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    index(hass).write_text("{")
    name, storage = index(hass).name, hass.config.path(".storage")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    assert any(name in each for each in left(storage, f"{name}.corrupt."))
    if how == "removed":
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        await with_options(hass, keep=False)
    assert left(storage, name) == []


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    "content", ["[]", "null", '"x"', '{"a": 1}', '{"version": "x", "data": {}, "key": "y"}']
)
async def test_index_that_is_something_else(
    hass: HomeAssistant, simulator: Simulator, content: str
) -> None:
    """It costs neither bell nor doors, and the pictures tell of the calls."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    index(hass).write_text(content)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    assert state_of(hass, "lock.cancello") == "locked"
    assert [call.outcome for call in new_calls(hass)] == ["missed"]


async def test_list_that_does_not_come(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """It is asked for again, with what was known when the line came back."""
    simulator.fail(GETEVENTS, Failure(status=503), times=1)
    simulator.miss(simulator.ring(STREET, offer=False, status=False))
    await start_again(hass)
    assert (simulator.journal.count(GETEVENTS), new_calls(hass)) == (1, [])
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert simulator.journal.count(GETEVENTS) == 2
    assert [call.outcome for call in new_calls(hass)] == ["missed"]
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert simulator.journal.count(GETEVENTS) == 2


@pytest.mark.usefixtures("bell")
async def test_ring_before_the_list(hass: HomeAssistant, simulator: Simulator) -> None:
    """The gap is between what was known and the list, whoever rings meanwhile."""
    simulator.miss(simulator.ring(STREET, late=300, offer=False, pictures=False))
    await heard(hass, 3)
    await settle(hass)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(simulator.ring(YARD, late=200))
    for _ in range(60):
        simulator.unplug_bridge()
        simulator.plug_bridge()
    simulator.fail(GETEVENTS, Failure(delay=0.4), times=1)
    simulator.sockets.handshake_status = None
    await until(lambda: simulator.journal.count(GETEVENTS))
    simulator.ring(STREET)
    await until(lambda: len(new_calls(hass)) == 2)
    await settle(hass)
    assert [call.outcome for call in new_calls(hass)] == ["missed", "missed", "ringing"]


@pytest.mark.usefixtures("bell")
async def test_deleted_calls_that_the_list_tells_otherwise(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Its clock is some seconds later, and its word comes after a restart."""
    call = await called(hass, simulator, STREET, late=30)
    history_of(hass).async_delete_all()
    await settle(hass)
    call.event["time"] = int(call.at + 3)
    call.event["subevents"][0]["time"] = int(call.at + 3)  # type: ignore[index]
    await start_again(hass)
    simulator.miss(call)
    await heard(hass, 2)
    await settle(hass)
    assert history_of(hass).calls == ()
    assert state_of(hass, MISSED) == "0"


async def test_old_call_that_was_deleted(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """What counts is when it was deleted; after a while that is forgotten too."""
    await with_options(hass, keep=True, days=200, calls=100, megabytes=10)
    simulator.miss(simulator.ring(STREET, late=120 * DAY, offer=False, status=False))
    await start_again(hass)
    history = history_of(hass)
    history.async_delete(history.calls[:1])
    history.async_delete(history.calls[:1])
    await settle(hass)
    await start_again(hass)
    assert history_of(hass).calls == ()
    freezer.tick(201 * DAY)
    history_of(hass).async_tidy()
    assert history_of(hass)._deletions.by_id == {}


@pytest.mark.usefixtures("bell")
async def test_nothing_to_delete(hass: HomeAssistant, simulator: Simulator) -> None:
    """It is remembered all the same."""
    history_of(hass).async_delete_all()
    await settle(hass)
    history_of(hass).async_delete_all()
    await start_again(hass)
    assert history_of(hass).calls == ()
    assert simulator.journal.count(GETEVENTS) == 1


async def test_full_disk(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What could not be written is within the hour; no picture goes that is still listed."""
    await called(hass, simulator, STREET, "miss")
    before = index(hass).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        patched.setattr("atomicwrites._proper_fsync", full)
        await called(hass, simulator, YARD, "miss")
        history_of(hass).async_delete(new_calls(hass)[:1])
        await settle(hass)
        assert index(hass).read_bytes() == before
        assert len(files(hass)) == 2
    await pass_time(hass, freezer, HOUR.total_seconds())
    assert index(hass).read_bytes() != before
    assert files(hass) == []
    known = new_calls(hass)
    await start_again(hass)
    assert [call.id for call in new_calls(hass)] == [call.id for call in known]


@pytest.mark.usefixtures("bell")
async def test_limit_does_not_flap(hass: HomeAssistant, simulator: Simulator) -> None:
    """Calls above the limit are not counted for a moment with every look at the list."""
    for _ in range(11):
        await called(hass, simulator, STREET, "miss", pictures=False)
    await with_options(hass, keep=True, days=90, calls=10, megabytes=10)
    assert state_of(hass, MISSED) == "10"
    changes = async_capture_events(hass, "state_changed")
    simulator.drop_connections()
    await until(lambda: simulator.journal.count(GETEVENTS) == 2)
    await settle(hass)
    await called(hass, simulator, STREET, "miss", pictures=False)
    told = [e.data["new_state"].state for e in changes if e.data["entity_id"] == MISSED]
    assert set(told) <= {"10", "9"}
    assert len(told) <= 2


@pytest.mark.usefixtures("bell")
async def test_file_that_cannot_be_removed(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not keep the others."""
    await called(hass, simulator, STREET, "miss")
    await called(hass, simulator, YARD, "miss")
    stuck, unlink = files(hass)[0], Path.unlink

    def stubborn(path: Path, **how: Any) -> None:
        if path == stuck:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", stubborn)
    history_of(hass).async_delete_all()
    await settle(hass)
    assert files(hass) == [stuck]
    await called(hass, simulator, YARD, "miss")
    await hass.config_entries.async_remove(the_entry(hass).entry_id)
    assert [path for path in stuck.parents[1].rglob("*") if path.is_file()] == [stuck]


@pytest.mark.usefixtures("bell")
async def test_folder_that_is_a_link(
    hass: HomeAssistant, simulator: Simulator, tmp_path: Path
) -> None:
    """Pictures that were moved to another disk are removed there."""
    entry = the_entry(hass)
    await called(hass, simulator, STREET, "miss")
    await hass.config_entries.async_unload(entry.entry_id)
    elsewhere = tmp_path / "elsewhere"
    folder(hass).rename(elsewhere)
    folder(hass).symlink_to(elsewhere)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    assert len(new_calls(hass)[0].files) == 2
    link = folder(hass)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not link.is_symlink()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.usefixtures("bell")
async def test_times_in_milliseconds_are_one_call(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """However often the list is read, hours apart."""
    call = simulator.ring(STREET, offer=False, status=False)
    call.event["time"] = int(call.at * 1000)
    call.event["subevents"][0]["time"] = int(call.at * 1000)  # type: ignore[index]
    for _ in range(3):
        await start_again(hass)
        freezer.tick(2 * 3600)
    assert len(new_calls(hass)) == 1
    assert len(files(hass)) == 2


@pytest.mark.usefixtures("bell")
async def test_answered_after_a_restart_in_the_ring(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Nobody rings here any more, and the history tells what became of it."""
    call = await called(hass, simulator, STREET)
    await start_again(hass)
    assert state_of(hass, OUTCOME) == "ended"
    simulator.answer_elsewhere(call)
    await heard(hass, 3)
    assert state_of(hass, OUTCOME) == "answered"
    (known,) = new_calls(hass)
    assert known.answered_by == "elsewhere"


async def test_session_again_after_the_first_was_forgotten(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """The second call stays one."""
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    for pause in (0, 2 * 3600):
        freezer.tick(pause)
        for step in (CallStep.OFFERED, CallStep.MISSED):
            push = CallPush(step=step, session_id="1", bridge_id=bridge.id, panel_id=panel.id)
            the_entry(hass).runtime_data.calls.async_handle_push(push)
    history = history_of(hass)
    first, second = new_calls(hass)
    assert history.known_as("1", first.time) == first.id
    history._ledger.remove([first])
    assert history.known_as("1", second.time + 1) == second.id
    assert history.known_as("1", second.time + 7200) != second.id


@pytest.mark.usefixtures("bell")
async def test_word_of_another_version(hass: HomeAssistant, simulator: Simulator) -> None:
    """An outcome that is not known here is none, and the sensor is there."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    index(hass).write_text(index(hass).read_text().replace('"missed"', '"transferred"'))
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    assert state_of(hass, OUTCOME) == "unknown"


@pytest.mark.usefixtures("bell")
async def test_kept_again_after_it_was_not(hass: HomeAssistant, simulator: Simulator) -> None:
    """Nothing comes back that was while nothing was to be kept; nothing old is told meanwhile."""
    await called(hass, simulator, STREET, "miss", late=40)
    await with_options(hass, keep=False)
    await called(hass, simulator, STREET, "miss", late=20)
    assert state_of(hass, MISSED) == "1"
    changes = async_capture_events(hass, "state_changed")
    await start_again(hass)
    assert state_of(hass, OUTCOME) == "unknown"
    assert {e.data["new_state"].state for e in changes if e.data["entity_id"] == OUTCOME} <= {
        "unavailable",
        "unknown",
    }
    await with_options(hass, keep=True)
    await start_again(hass)
    assert history_of(hass).calls == ()
    await called(hass, simulator, STREET, "miss")
    await start_again(hass)
    assert [call.outcome for call in history_of(hass).calls] == ["missed"]


@pytest.mark.usefixtures("bell")
async def test_removed_although_it_could_not_be_unloaded(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history writes no more."""
    entry = the_entry(hass)
    gone, runtime = (folder(hass), index(hass)), entry.runtime_data

    async def fail(*_: object) -> bool:
        return False

    monkeypatch.setattr(hass.config_entries, "async_unload_platforms", fail)
    await hass.config_entries.async_remove(entry.entry_id)
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    push = CallPush(step=CallStep.OFFERED, session_id="1", bridge_id=bridge.id, panel_id=panel.id)
    runtime.calls.async_handle_push(push)
    await settle(hass)
    assert not any(path.exists() for path in gone)
    runtime.calls._stop_timer()
    runtime.push.socket.stop()


@pytest.mark.usefixtures("bell")
async def test_many_events_at_once(hass: HomeAssistant, simulator: Simulator) -> None:
    """Between a thousand calls that are known: told once, and quickly."""
    for late in range(400, 0, -1):
        simulator.ring(STREET, offer=False, status=False, late=late * 60, pictures=False)
    told: list[float] = []
    await start_again(hass)
    history_of(hass).async_listen(lambda: told.append(time.monotonic()))
    assert len(history_of(hass).calls) >= 100
    history_of(hass).async_delete_all()
    assert len(told) == 1


@pytest.mark.usefixtures("bell")
async def test_panel_that_comes_back_has_its_picture(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """As all else of it: deleted by hand, listed again."""
    image = "image.posto_esterno_cortile_last_call"
    entry: ConfigEntry[Any] = the_entry(hass)
    coordinator = entry.runtime_data.coordinator
    panel = simulator.house.find(YARD)
    del simulator.house.homes[0].modules[panel.id]
    coordinator.async_remove_module(panel.id)
    await settle(hass)
    simulator.house.homes[0].modules[panel.id] = panel
    coordinator._topology_until = None
    await act(hass, "button", "press", "button.classe_300x_reset_missed_calls")
    await coordinator.async_refresh()
    await settle(hass)
    camera, shown = hass.states.get("camera.posto_esterno_cortile"), hass.states.get(image)
    assert camera is not None
    assert shown is not None
    await restart(hass, entry)


@pytest.mark.usefixtures("bell")
async def test_file_that_vanishes_meanwhile(hass: HomeAssistant, simulator: Simulator) -> None:
    """Something drawn is shown, and the camera shows what else there is."""
    call = await called(hass, simulator, STREET, "miss")
    for path in files(hass):
        path.unlink()
    drawn = await async_placeholder(hass)
    image = await async_get_image(hass, "image.posto_esterno_strada_last_call")
    assert image.content == drawn.content
    assert await the_entry(hass).runtime_data.downloads.async_of(call.panel_id) is None


@pytest.mark.usefixtures("bell")
async def test_index_that_leads_elsewhere(hass: HomeAssistant, simulator: Simulator) -> None:
    """Whoever writes into it gets no other file shown, and none removed."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    secret = a_secret(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    stored = json.loads(index(hass).read_text())
    stored["data"]["calls"][-1]["snapshot"] = {"file": "../../../secrets.yaml", "size": 11}
    index(hass).write_text(json.dumps(stored))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    (call,) = new_calls(hass)
    assert "../../../secrets.yaml" not in call.files
    leading = call.pictured("snapshot", KeptPicture(file="../../../secrets.yaml", size=11))
    history = history_of(hass)
    assert await history.async_picture(leading, "snapshot") is None
    history._ledger.put(leading)
    history.async_delete_all()
    await settle(hass)
    assert left(hass.config.config_dir, secret.name) == [secret.name]


@pytest.mark.usefixtures("bell")
async def test_deleted_from_memory(hass: HomeAssistant, simulator: Simulator) -> None:
    """Where nothing is kept there is something to delete too."""
    await with_options(hass, keep=False)
    call = await called(hass, simulator, STREET, "miss")
    pictures = the_entry(hass).runtime_data.downloads
    (known,) = history_of(hass).calls
    assert await pictures.async_of(call.panel_id) is not None
    history_of(hass).async_delete_all()
    await settle(hass)
    assert await pictures.async_of(call.panel_id) is None
    assert await history_of(hass).async_picture(known, "snapshot") is None


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    ("span", "found"),
    [
        ({"start": "0001-01-01 00:00:00"}, 2),
        ({"start": "0001-01-01 00:00:00", "end": "9999-12-31 23:59:59"}, 2),
        ({"start": "9999-12-31 23:59:59"}, None),
        ({"end": "0001-01-01 00:00:00"}, 0),
    ],
)
async def test_span_at_the_ends_of_the_calendar(
    hass: HomeAssistant, simulator: Simulator, span: dict[str, str], found: int | None
) -> None:
    """All calls, or a word about the span, and no fault of ours."""
    await called(hass, simulator, STREET, "miss")

    async def export() -> int:
        answer: Any = await hass.services.async_call(
            "bticino_classe", "export_calls", span, blocking=True, return_response=True
        )
        return len(answer["calls"])

    if found is not None:
        assert await export() == found
    else:
        with pytest.raises(ServiceValidationError):
            await export()
