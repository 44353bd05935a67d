"""The history with wrong clocks, failing requests, and unusual orders of events."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
)

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.history.catch_up import RETRY_SECONDS
from custom_components.bticino_classe.history.history import CLEANUP_INTERVAL
from custom_components.bticino_classe.history.records import DAY, session_hash
from tests.integration.conftest import (
    advance,
    call_action,
    get_entry,
    reload_entry,
    restart_entry,
    state_of,
    wait_frames,
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
    OUTCOME,
    PUSH,
    STREET,
    YARD,
    called,
    restart_and_catch_up,
    set_history_options,
)
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

HOUR_SECONDS = CLEANUP_INTERVAL.total_seconds() + 1


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_cloud_clock_that_jumps(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """A Date header that is a year ahead does not make calls too old."""
    await called(hass, simulator, STREET, "miss")
    get_entry(hass).runtime_data.account.clock._offset = 365 * DAY
    await advance(hass, freezer, HOUR_SECONDS)
    await called(hass, simulator, YARD, "miss")
    assert len(await new_calls(hass)) == 2
    assert len(await pictures_of(hass)) == 4


@pytest.mark.usefixtures("online_entry")
async def test_switch_off_in_an_outage(hass: HomeAssistant, simulator: Simulator) -> None:
    """The files are deleted, although the account cannot be set up."""
    await called(hass, simulator, STREET, "miss")
    simulator.take_down()
    entry = get_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    configure = hass.config_entries.options.async_configure
    await configure(form["flow_id"], {"pulse_time": 5, "history": {"keep": False}})
    await configure(form["flow_id"], {})
    await wait_idle(hass)
    assert files(hass) == []


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_failed_request_for_events(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """The request is repeated for the same gap."""
    simulator.fail(GETEVENTS, Failure(status=503), times=1)
    simulator.miss(simulator.ring(STREET, offer=False, status=False))
    await restart_and_catch_up(hass)
    assert (simulator.journal.count(GETEVENTS), await new_calls(hass)) == (1, [])
    await advance(hass, freezer, RETRY_SECONDS + 1)
    assert simulator.journal.count(GETEVENTS) == 2
    assert [call.outcome for call in await new_calls(hass)] == ["missed"]
    await advance(hass, freezer, RETRY_SECONDS + 1)
    assert simulator.journal.count(GETEVENTS) == 2


@pytest.mark.usefixtures("online_entry")
async def test_ring_during_catch_up(hass: HomeAssistant, simulator: Simulator) -> None:
    """The gap starts at the last call before the reconnect, also if somebody rings meanwhile."""
    simulator.miss(simulator.ring(STREET, late=300, offer=False, pictures=False))
    await wait_frames(hass, 3)
    await wait_idle(hass)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(simulator.ring(YARD, late=200))
    for _ in range(60):
        simulator.unplug_bridge()
        simulator.plug_bridge()
    response = asyncio.Event()
    simulator.fail(GETEVENTS, Failure(until=response), times=1)
    simulator.sockets.handshake_status = None
    await wait_until(lambda: simulator.journal.count(GETEVENTS))
    simulator.ring(STREET)
    await wait_until(lambda: len(history_of(hass)._summary.recent) == 3)
    response.set()
    await wait_idle(hass)
    assert [call.outcome for call in await new_calls(hass)] == ["missed", "missed", "ringing"]


@pytest.mark.usefixtures("online_entry")
async def test_deleted_call_with_another_time_in_the_list(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The list's time is some seconds later, and is read after a restart."""
    call = await called(hass, simulator, STREET, late=30)
    await history_of(hass).async_delete_all()
    await wait_idle(hass)
    call.event["time"] = int(call.at + 3)
    call.event["subevents"][0]["time"] = int(call.at + 3)  # type: ignore[index]
    await restart_and_catch_up(hass)
    simulator.miss(call)
    await wait_frames(hass, 2)
    await wait_idle(hass)
    assert await calls_of(hass) == []
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_deletion_of_an_old_call(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """The time of the deletion decides how long it is remembered."""
    await set_history_options(hass, keep=True, days=200, calls=100, megabytes=10)
    simulator.miss(simulator.ring(STREET, late=120 * DAY, offer=False, status=False))
    await restart_and_catch_up(hass)
    history = history_of(hass)
    oldest = (await calls_of(hass))[:2]
    await history.async_delete([call.id for call in oldest])
    await restart_and_catch_up(hass)
    assert await calls_of(hass) == []
    freezer.tick(201 * DAY)
    await history_of(hass).async_clean_up()
    await wait_idle(hass)
    count = "SELECT count(*) FROM deletions"
    assert await history_of(hass).async_read(lambda db: db.execute(count).fetchone()) == (0,)


@pytest.mark.usefixtures("online_entry")
async def test_delete_all_without_calls(hass: HomeAssistant, simulator: Simulator) -> None:
    """The deletion is remembered."""
    await history_of(hass).async_delete_all()
    await wait_idle(hass)
    await history_of(hass).async_delete_all()
    await restart_and_catch_up(hass)
    assert await calls_of(hass) == []
    assert simulator.journal.count(GETEVENTS) == 1


@pytest.mark.usefixtures("online_entry")
async def test_limit_during_catch_up(hass: HomeAssistant, simulator: Simulator) -> None:
    """Calls above the limit are not counted for a moment whenever the list is read."""
    for _ in range(11):
        await called(hass, simulator, STREET, "miss", pictures=False)
    await set_history_options(hass, keep=True, days=90, calls=10, megabytes=10)
    assert state_of(hass, MISSED) == "10"
    changes = async_capture_events(hass, "state_changed")
    simulator.drop_connections()
    await wait_until(lambda: simulator.journal.count(GETEVENTS) == 2)
    await wait_idle(hass)
    await called(hass, simulator, STREET, "miss", pictures=False)
    counted = [e.data["new_state"].state for e in changes if e.data["entity_id"] == MISSED]
    assert set(counted) <= {"10", "9"}
    assert len(counted) <= 2


@pytest.mark.usefixtures("online_entry")
async def test_times_in_milliseconds(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """It stays one call if the list is read again hours later."""
    call = simulator.ring(STREET, offer=False, status=False)
    call.event["time"] = int(call.at * 1000)
    call.event["subevents"][0]["time"] = int(call.at * 1000)  # type: ignore[index]
    for _ in range(3):
        await restart_and_catch_up(hass)
        freezer.tick(2 * 3600)
    assert len(await new_calls(hass)) == 1
    assert len(await pictures_of(hass)) == 2


@pytest.mark.usefixtures("online_entry")
async def test_answered_after_a_restart_during_the_ring(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The ring has ended here, but the history records the answer."""
    call = await called(hass, simulator, STREET)
    await restart_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    assert state_of(hass, OUTCOME) == "ended"
    simulator.answer_elsewhere(call)
    await wait_frames(hass, 3)
    assert state_of(hass, OUTCOME) == "answered"
    (known,) = await new_calls(hass)
    assert known.answered_by == "elsewhere"


@pytest.mark.parametrize("part", ["missed_call", "accepted_call"])
@pytest.mark.parametrize("seconds", [1, 7, 60])
@pytest.mark.usefixtures("online_entry")
async def test_only_the_outcome_was_listed(
    hass: HomeAssistant, simulator: Simulator, seconds: float, part: str
) -> None:
    """The start is that of the complete list, which comes later."""
    call = simulator.ring(STREET, offer=False, status=False, late=seconds)
    call.add_subevent(part, "m", call.at + seconds)
    parts = call.event["subevents"]
    assert isinstance(parts, list)
    call.event["subevents"] = [each for each in parts if each["id"] == "m"]
    await restart_and_catch_up(hass)
    (known,) = await new_calls(hass)
    assert known.time == int(call.at + seconds)
    call.event["subevents"] = parts
    await restart_and_catch_up(hass)
    (known,) = await new_calls(hass)
    assert known.time == int(call.at)


@pytest.mark.usefixtures("online_entry")
async def test_unknown_outcome(hass: HomeAssistant, simulator: Simulator) -> None:
    """The sensor is unknown for an outcome of another version."""
    await called(hass, simulator, STREET, "miss")
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    edit(database(hass), "UPDATE calls SET outcome = 'transferred' WHERE outcome = 'missed'")
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert state_of(hass, OUTCOME) == "unknown"


@pytest.mark.usefixtures("online_entry")
async def test_history_switched_on_again(hass: HomeAssistant, simulator: Simulator) -> None:
    """Calls from before are not restored, and not shown for a moment."""
    await called(hass, simulator, STREET, "miss", late=40)
    await set_history_options(hass, keep=False)
    await called(hass, simulator, STREET, "miss", late=20)
    assert state_of(hass, MISSED) == "1"
    changes = async_capture_events(hass, "state_changed")
    await restart_and_catch_up(hass)
    assert state_of(hass, OUTCOME) == "unknown"
    assert {e.data["new_state"].state for e in changes if e.data["entity_id"] == OUTCOME} <= {
        "unavailable",
        "unknown",
    }
    await set_history_options(hass, keep=True)
    await restart_and_catch_up(hass)
    assert await calls_of(hass) == []
    await called(hass, simulator, STREET, "miss")
    await restart_and_catch_up(hass)
    assert [call.outcome for call in await calls_of(hass)] == ["missed"]


@pytest.mark.usefixtures("online_entry")
async def test_removed_after_a_failed_unload(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history does not write any more."""
    entry = get_entry(hass)
    runtime = entry.runtime_data

    async def fail(*_: object) -> bool:
        return False

    monkeypatch.setattr(hass.config_entries, "async_unload_platforms", fail)
    await hass.config_entries.async_remove(entry.entry_id)
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    push = CallPush(step=CallStep.OFFERED, session_id="1", bridge_id=bridge.id, panel_id=panel.id)
    runtime.calls.async_handle_push(push)
    await wait_idle(hass)
    assert files(hass) == []
    await entry._async_process_on_unload(hass)  # as a successful unload does


@pytest.mark.parametrize("late", [2, 30, 600, 3500, 3700, 7100, 7300, 80 * DAY])
@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.usefixtures("online_entry")
async def test_delete_all_means_what_the_cloud_lists(
    hass: HomeAssistant, simulator: Simulator, late: float, is_kept: bool
) -> None:
    """Calls that Home Assistant has not heard of do not appear after it; later calls do."""
    await set_history_options(hass, keep=is_kept)
    simulator.end_silently(simulator.ring(STREET, late=late, offer=False, status=False))
    await history_of(hass).async_delete_all()
    later = simulator.ring(YARD, offer=False, status=False)
    await catch_up_again(hass)
    assert [call.session for call in await calls_of(hass)] == [session_hash(later.session_id)]
    newer = await called(hass, simulator, STREET, "miss")
    sessions = [call.session for call in await calls_of(hass)]
    assert sessions == [session_hash(each.session_id) for each in (later, newer)]
    await history_of(hass).async_delete_all()
    await catch_up_again(hass)
    assert await calls_of(hass) == []


async def catch_up_again(hass: HomeAssistant) -> None:
    """Add the calls of the cloud's list, as after an interruption."""
    entry = get_entry(hass)
    for home in entry.runtime_data.coordinator.data.homes:
        events = await entry.runtime_data.account.events(home)
        await entry.runtime_data.history.async_add_events(events)
    await wait_idle(hass)


@pytest.mark.usefixtures("online_entry")
async def test_many_events_at_once(hass: HomeAssistant, simulator: Simulator) -> None:
    """A deletion of many calls notifies listeners once."""
    for late in range(400, 0, -1):
        simulator.ring(STREET, offer=False, status=False, late=late * 60, pictures=False)
    notified: list[float] = []
    await restart_and_catch_up(hass)
    history_of(hass).async_listen(lambda _: notified.append(time.monotonic()))
    assert len(await calls_of(hass)) >= 100
    await history_of(hass).async_delete_all()
    assert len(notified) == 1


@pytest.mark.usefixtures("online_entry")
async def test_panel_that_is_listed_again(hass: HomeAssistant, simulator: Simulator) -> None:
    """A panel that was deleted by hand and is listed again has its image and camera."""
    image = "image.posto_esterno_cortile_last_call"
    entry: ConfigEntry[Any] = get_entry(hass)
    coordinator = entry.runtime_data.coordinator
    panel = simulator.house.find(YARD)
    del simulator.house.homes[0].modules[panel.id]
    coordinator.async_remove_module(panel.id)
    await wait_idle(hass)
    simulator.house.homes[0].modules[panel.id] = panel
    coordinator.known_homes.async_expire()
    await call_action(hass, "button", "press", "button.classe_300x_reset_missed_calls")
    await coordinator.async_refresh()
    await wait_idle(hass)
    camera, shown = hass.states.get("camera.posto_esterno_cortile"), hass.states.get(image)
    assert camera is not None
    assert shown is not None
    await reload_entry(hass, entry)


@pytest.mark.usefixtures("online_entry")
async def test_delete_all_in_memory(hass: HomeAssistant, simulator: Simulator) -> None:
    """Calls and pictures in memory are deleted if the history is switched off."""
    await set_history_options(hass, keep=False)
    call = await called(hass, simulator, STREET, "miss")
    pictures = get_entry(hass).runtime_data.downloads
    (known,) = await calls_of(hass)
    assert await pictures.async_of(call.panel_id) is not None
    await history_of(hass).async_delete_all()
    await wait_idle(hass)
    assert await pictures.async_of(call.panel_id) is None
    assert await history_of(hass).async_picture(known.id, "snapshot") is None


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("span", "found"),
    [
        ({"start": "0001-01-01 00:00:00"}, 2),
        ({"start": "0001-01-01 00:00:00", "end": "9999-12-31 23:59:59"}, 2),
        ({"start": "9999-12-31 23:59:59"}, None),
        ({"end": "0001-01-01 00:00:00"}, 0),
    ],
)
async def test_export_at_the_limits_of_datetime(
    hass: HomeAssistant, simulator: Simulator, span: dict[str, str], found: int | None
) -> None:
    """All calls or a translated error, but no exception."""
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
