"""What the history outlasts: wrong clocks, full disks, damaged files, lists that do not come."""

import asyncio
from datetime import timedelta
import time
from typing import TYPE_CHECKING, Any

from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.history.catch_up import RETRY_SECONDS
from custom_components.bticino_classe.history.history import TIDY_INTERVAL
from custom_components.bticino_classe.history.records import DAY
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

HOUR = TIDY_INTERVAL + timedelta(seconds=1)


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
    assert len(await new_calls(hass)) == 2
    assert len(await pictures_of(hass)) == 4


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
    assert files(hass) == []


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
    assert (simulator.journal.count(GETEVENTS), await new_calls(hass)) == (1, [])
    await pass_time(hass, freezer, RETRY_SECONDS + 1)
    assert simulator.journal.count(GETEVENTS) == 2
    assert [call.outcome for call in await new_calls(hass)] == ["missed"]
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
    response = asyncio.Event()
    simulator.fail(GETEVENTS, Failure(until=response), times=1)
    simulator.sockets.handshake_status = None
    await until(lambda: simulator.journal.count(GETEVENTS))
    simulator.ring(STREET)
    await until(lambda: len(history_of(hass)._summary.recent) == 3)
    response.set()
    await settle(hass)
    assert [call.outcome for call in await new_calls(hass)] == ["missed", "missed", "ringing"]


@pytest.mark.usefixtures("bell")
async def test_deleted_calls_that_the_list_tells_otherwise(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Its clock is some seconds later, and its word comes after a restart."""
    call = await called(hass, simulator, STREET, late=30)
    await history_of(hass).async_delete_all()
    await settle(hass)
    call.event["time"] = int(call.at + 3)
    call.event["subevents"][0]["time"] = int(call.at + 3)  # type: ignore[index]
    await start_again(hass)
    simulator.miss(call)
    await heard(hass, 2)
    await settle(hass)
    assert await calls_of(hass) == []
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
    oldest = (await calls_of(hass))[:2]
    await history.async_delete([call.id for call in oldest])
    await start_again(hass)
    assert await calls_of(hass) == []
    freezer.tick(201 * DAY)
    history_of(hass).async_tidy()
    await settle(hass)
    count = "SELECT count(*) FROM deletions"
    assert await history_of(hass).async_read(lambda db: db.execute(count).fetchone()) == (0,)


@pytest.mark.usefixtures("bell")
async def test_nothing_to_delete(hass: HomeAssistant, simulator: Simulator) -> None:
    """It is remembered all the same."""
    await history_of(hass).async_delete_all()
    await settle(hass)
    await history_of(hass).async_delete_all()
    await start_again(hass)
    assert await calls_of(hass) == []
    assert simulator.journal.count(GETEVENTS) == 1


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
    assert len(await new_calls(hass)) == 1
    assert len(await pictures_of(hass)) == 2


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
    (known,) = await new_calls(hass)
    assert known.answered_by == "elsewhere"


@pytest.mark.usefixtures("bell")
async def test_word_of_another_version(hass: HomeAssistant, simulator: Simulator) -> None:
    """An outcome that is not known here is none, and the sensor is there."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    edit(database(hass), "UPDATE calls SET outcome = 'transferred' WHERE outcome = 'missed'")
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
    assert await calls_of(hass) == []
    await called(hass, simulator, STREET, "miss")
    await start_again(hass)
    assert [call.outcome for call in await calls_of(hass)] == ["missed"]


@pytest.mark.usefixtures("bell")
async def test_removed_although_it_could_not_be_unloaded(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history writes no more."""
    entry = the_entry(hass)
    runtime = entry.runtime_data

    async def fail(*_: object) -> bool:
        return False

    monkeypatch.setattr(hass.config_entries, "async_unload_platforms", fail)
    await hass.config_entries.async_remove(entry.entry_id)
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    push = CallPush(step=CallStep.OFFERED, session_id="1", bridge_id=bridge.id, panel_id=panel.id)
    runtime.calls.async_handle_push(push)
    await settle(hass)
    assert files(hass) == []
    await entry._async_process_on_unload(hass)  # as a successful unload does


@pytest.mark.usefixtures("bell")
async def test_many_events_at_once(hass: HomeAssistant, simulator: Simulator) -> None:
    """Between a thousand calls that are known: told once, and quickly."""
    for late in range(400, 0, -1):
        simulator.ring(STREET, offer=False, status=False, late=late * 60, pictures=False)
    told: list[float] = []
    await start_again(hass)
    history_of(hass).async_listen(lambda: told.append(time.monotonic()))
    assert len(await calls_of(hass)) >= 100
    await history_of(hass).async_delete_all()
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
async def test_deleted_from_memory(hass: HomeAssistant, simulator: Simulator) -> None:
    """Where nothing is kept there is something to delete too."""
    await with_options(hass, keep=False)
    call = await called(hass, simulator, STREET, "miss")
    pictures = the_entry(hass).runtime_data.downloads
    (known,) = await calls_of(hass)
    assert await pictures.async_of(call.panel_id) is not None
    await history_of(hass).async_delete_all()
    await settle(hass)
    assert await pictures.async_of(call.panel_id) is None
    assert await history_of(hass).async_picture(known.id, "snapshot") is None


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
