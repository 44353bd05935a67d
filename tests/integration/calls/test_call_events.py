"""A ring and its call: one event at the right panel, on every model."""

import asyncio
from typing import TYPE_CHECKING

from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    async_mock_service,
)

from tests.integration.conftest import (
    EventRecorder,
    advance,
    call_action,
    get_entry,
    reload_entry,
    state_of,
    time_of_last_call,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.simulator import Failure, pushes
from tests.simulator.houses import SEASIDE
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.client.calls import CallChange
    from tests.simulator import Simulator
    from tests.simulator.calls import Call

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
DOORBELL, CALL = "event.posto_esterno_strada_doorbell", "event.posto_esterno_strada_call"
RINGING = "binary_sensor.posto_esterno_strada_bell"
BRIDGE_DOORBELL = "event.classe_300x_doorbell_panel_unknown"
LAST = "sensor.classe_300x_last_call"
MISSED = "sensor.classe_300x_missed_calls"


@pytest.fixture(autouse=True)
def _enabled(all_entities: None) -> None:
    """Enable also what is disabled by default."""


async def test_ring_is_one_event_at_its_panel(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Offer and status come three times each, once for each phone: one ring, and no request."""
    simulator.ring(YARD, receivers=3)
    await wait_frames(hass, 7)
    assert events.recorded() == [
        ("event.posto_esterno_cortile_doorbell", "ring"),
    ]
    assert state_of(hass, "binary_sensor.posto_esterno_cortile_bell") == "on"
    assert state_of(hass, "binary_sensor.classe_300x_bell_panel_unknown") == "off"
    assert state_of(hass, RINGING) == "off"
    assert simulator.journal.count(HOMESTATUS) == simulator.journal.count(GETEVENTS) == 0


@pytest.mark.parametrize("status_first", [False, True])
async def test_call_is_answered_elsewhere_and_ends(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, status_first: bool
) -> None:
    """Ringing stops when another device answers; the call ends when it is hung up."""
    call = simulator.ring(STREET, status_first=status_first)
    await wait_frames(hass, 3)
    assert state_of(hass, RINGING) == "on"
    simulator.answer_elsewhere(call)
    await wait_frames(hass, 5)
    assert state_of(hass, RINGING) == "off"
    simulator.hang_up(call)
    await wait_frames(hass, 6)
    assert [kind for _, kind in events.recorded()] == ["ring", "answered", "ended"]
    last = hass.states.get(CALL)
    assert last is not None
    assert last.attributes["answered_by"] == "elsewhere"
    assert last.attributes["panel"] == STREET
    assert last.attributes["duration"] == 0
    assert state_of(hass, LAST) == "answered"


async def test_missed_calls_are_counted_until_reset(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The button resets the counter; both survive a restart."""
    for _ in range(2):
        simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 7)
    assert [kind for _, kind in events.recorded()] == ["ring", "missed"] * 2
    assert state_of(hass, MISSED) == "2"
    assert state_of(hass, LAST) == "missed"

    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    assert state_of(hass, MISSED) == "2"
    await call_action(hass, "button", "press", "button.classe_300x_reset_missed_calls")
    assert state_of(hass, MISSED) == "0"
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    assert state_of(hass, MISSED) == "0"


@pytest.mark.parametrize(
    ("house_name", "panel", "doorbell"),
    [
        ("easykit", None, "event.entrance_panel_1_doorbell"),
        ("classe_300eos", None, "event.entrance_panel_1_doorbell"),
        ("voice_only", None, None),
        ("easykit_three_panels", None, "event.easykit_doorbell_panel_unknown"),
    ],
)
async def test_every_model_rings(
    hass: HomeAssistant,
    events: EventRecorder,
    simulator: Simulator,
    panel: str | None,
    doorbell: str | None,
) -> None:
    """Some models push only a status or only an offer, or name none of several panels."""
    simulator.ring(panel)
    await wait_frames(hass, 2)
    await wait_until(events.rings)  # a moment later without a status, as the line is new
    assert len(events.rings()) == 1
    assert doorbell in (None, events.rings()[0])


async def test_ring_at_a_new_panel(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """A ring at a panel that is not known yet is shown at the intercom."""
    panel = simulator.add_module(kind="BNEU", name="Nuovo")
    simulator.ring(panel.id)
    await wait_frames(hass, 3)
    assert events.rings() == [BRIDGE_DOORBELL]


@pytest.mark.parametrize("silent", [False, True])
async def test_ring_at_a_panel_of_unknown_kind(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, silent: bool
) -> None:
    """A model newer than this code, or a module of which only the id is known."""
    panel = simulator.add_module(kind="BNEU", name="Neu", module_id="abcdef-0999-aa11bb22cc99")
    if silent:
        panel.listed, panel.silent = False, True
    else:
        panel.type, panel.variant = "BNEZ", None
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    simulator.ring(panel.id)
    await wait_frames(hass, frames + 2)
    assert events.rings() == [BRIDGE_DOORBELL]


async def test_late_push_does_not_ring(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """*Last call* shows the call, but no event is fired."""
    before = time_of_last_call(hass)
    simulator.ring(STREET, late=120, offer=False)
    await wait_frames(hass, 2)
    assert time_of_last_call(hass) != before
    assert events.recorded() == []


@pytest.mark.parametrize("status_first", [False, True])
async def test_backlog_rings_nobody(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, status_first: bool
) -> None:
    """Both pushes of a call come two hours late, right after the connection is online."""
    simulator.ring(STREET, late=7200, status_first=status_first)
    await wait_frames(hass, 3)
    assert events.recorded() == []
    assert state_of(hass, RINGING) == "off"
    simulator.ring(STREET)
    await wait_frames(hass, 5)
    assert events.rings() == [DOORBELL]


@pytest.mark.parametrize("house_name", ["easykit", "classe_300eos"])
@pytest.mark.parametrize("late", [0, 50])
@pytest.mark.parametrize("error", [-3600, 45, 60, 3600])
async def test_wrong_clock_does_not_mute_a_ring(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, late: float, error: float
) -> None:
    """All latest answers of the cloud agree on a wrong time."""
    clock = get_entry(hass).runtime_data.account.clock
    for _ in range(5):
        clock.set_from_answer(simulator.clock() + error)
    call = simulator.ring(late=late)
    await wait_frames(hass, 2)
    assert len(events.rings()) == 1
    simulator.miss(call)
    await wait_frames(hass, 3)
    assert [kind for _, kind in events.recorded()] == ["ring", "missed"]
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    history = get_entry(hass).runtime_data.history
    sql = "SELECT session FROM calls"
    sessions = await history.async_read(lambda db: db.execute(sql).fetchall())
    assert len(sessions) == len(set(sessions))


async def test_doorbell_trigger_runs_an_automation(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Home Assistant's own trigger fires with the very first ring, at the chosen panel only."""
    calls = async_mock_service(hass, "test", "rang")
    automation = {
        "alias": "Somebody rings",
        "triggers": {"trigger": "doorbell.rang", "target": {"entity_id": DOORBELL}},
        "actions": {"action": "test.rang", "data": {"who": "{{ trigger.entity_id }}"}},
    }
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    await hass.async_block_till_done()
    simulator.ring(STREET)
    await wait_frames(hass, 3)
    assert [call.data["who"] for call in calls] == [DOORBELL]
    simulator.ring(YARD)
    await wait_frames(hass, 5)
    assert len(calls) == 1
    assert len(events.rings()) == 2


async def test_ring_does_not_wait_for_a_slow_command(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """A command that waits for its answer does not delay pushes."""
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    action = hass.async_create_task(call_action(hass, "lock", "open", "lock.box"))
    await wait_until(lambda: simulator.journal.commands)
    simulator.ring(STREET)
    await wait_until(events.rings)
    assert not action.done()
    response.set()
    await action


async def test_two_panels_ring_at_once(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Each panel has its own call; ending one leaves the other ringing."""
    first = simulator.ring(STREET)
    simulator.ring(YARD)
    await wait_frames(hass, 5)
    simulator.hang_up(first)
    await wait_frames(hass, 6)
    assert len(events.rings()) == 2
    assert state_of(hass, RINGING) == "off"
    assert state_of(hass, "binary_sensor.posto_esterno_cortile_bell") == "on"


async def test_ring_without_its_offer_is_shown_at_the_intercom(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The push that names the panel is awaited briefly first."""
    simulator.ring(STREET, offer=False)
    await wait_frames(hass, 2)
    assert events.rings() == []
    await wait_until(events.rings)
    assert events.rings() == [BRIDGE_DOORBELL]
    assert state_of(hass, "binary_sensor.classe_300x_bell_panel_unknown") == "on"
    assert state_of(hass, RINGING) == "off"


@pytest.mark.parametrize(
    ("house_name", "panel", "location"),
    [
        ("easykit_three_panels", 1, "entrance_panel_2"),
        ("easykit", 0, "entrance_panel_1"),
        ("classe_300eos", 0, "entrance_panel_1"),
        ("classe_300x", 1, "posto_esterno_cortile"),
        ("three_panels", 2, "posto_esterno_box"),
    ],
)
async def test_status_that_names_its_panel_rings_there(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    events: EventRecorder,
    simulator: Simulator,
    *,
    panel: int,
    location: str,
) -> None:
    """At once, without its offer; once, though it comes three times; the call stays there."""
    freezer.tick(0)  # nothing that waits can be due
    panel_id = simulator.house.panels()[panel].id
    call = simulator.ring(panel_id, offer=False, names_panel=True, receivers=3)
    await wait_frames(hass, 4)
    assert state_of(hass, f"binary_sensor.{location}_bell") == "on"
    simulator.miss(call)
    await wait_frames(hass, 7)
    doorbell, event = f"event.{location}_doorbell", f"event.{location}_call"
    assert events.recorded() == [(doorbell, "ring"), (event, "missed")]
    assert state_of(hass, f"binary_sensor.{location}_bell") == "off"


def push_status(simulator: Simulator, call: Call, module_id: str) -> None:
    """Push the status of a call that names any module."""
    status = pushes.status(call, "incoming_call", at=simulator.clock(), subevent_id="1")
    extra = status["extra_params"]
    assert isinstance(extra, dict)
    simulator.push({**status, "extra_params": {**extra, "module_id": module_id}})


@pytest.mark.parametrize("house_name", ["two_homes"])
@pytest.mark.parametrize(
    "named", ["Classe 300X", "Cancello", "Luce scale", "BNTVCC", "BNXY", "unlisted", ""]
)
async def test_status_that_names_something_else(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, *, named: str
) -> None:
    """The intercom, another one's panel, a light, a camera, what nobody knows: as without it."""
    if named.startswith("BN"):
        home = simulator.house.homes[1].id
        named = simulator.add_module(home, kind=named, name=named).id
        await reload_entry(hass, get_entry(hass))
        await wait_online(get_entry(hass))
    elif named not in {"unlisted", ""}:
        named = simulator.house.find(named).id
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    push_status(simulator, simulator.ring(STREET, offer=False, status=False), named)
    await wait_frames(hass, frames + 1)
    assert events.rings() == []  # the offer is awaited
    await wait_until(events.rings)
    assert events.rings() == [BRIDGE_DOORBELL]


@pytest.mark.parametrize("house_name", ["cctv"])
@pytest.mark.parametrize("is_named", [True, False])
async def test_camera_is_no_panel(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, *, is_named: bool
) -> None:
    """There is one panel beside two CCTV cameras, so it rings, whatever the status names."""
    named = simulator.house.find("Giardino" if is_named else "Cancello").id
    push_status(simulator, simulator.ring("Cancello", offer=False, status=False), named)
    await wait_frames(hass, 2)
    assert events.rings() == ["event.cancello_doorbell"]


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_status_names_a_panel_that_is_not_listed_yet(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """It rings at the intercom; the list is requested, so that it rings at the panel next time."""
    panel = simulator.add_module(kind="BNEU", name="Nuovo")
    for count in (1, 2):
        simulator.ring(panel.id, names_panel=True)
        await wait_frames(hass, 1 + count)
        await advance(hass, freezer, 11)  # requests are debounced
    assert events.rings() == ["event.easykit_doorbell_panel_unknown", "event.nuovo_doorbell"]
    assert simulator.journal.count(HOMESDATA) == 1


@pytest.mark.parametrize("status_first", [False, True])
async def test_offer_and_status_name_different_panels(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, *, status_first: bool
) -> None:
    """The first one rings, in either order, and all that follows stays there."""
    call = simulator.ring(STREET, offer=False, status=False)
    offer = pushes.offer(call, 1)
    call.panel_id, call.names_panel = simulator.house.find(YARD).id, True
    status = pushes.status(call, "incoming_call", at=simulator.clock(), subevent_id="1")
    for frame in [status, offer] if status_first else [offer, status]:
        simulator.push(frame)
        simulator.push(frame)
    await wait_frames(hass, 5)
    simulator.miss(call)
    await wait_frames(hass, 6)
    location = "posto_esterno_cortile" if status_first else "posto_esterno_strada"
    doorbell, event = f"event.{location}_doorbell", f"event.{location}_call"
    assert events.recorded() == [(doorbell, "ring"), (event, "missed")]


async def test_late_offer_does_not_move_the_call(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """All events of a call stay at the entity where it rang."""
    call = simulator.ring(STREET, offer=False)
    await wait_until(events.rings)
    simulator.push(pushes.offer(call, 1))
    simulator.push(pushes.end(call, "terminate", 2))
    await wait_frames(hass, 4)
    assert events.recorded() == [
        (BRIDGE_DOORBELL, "ring"),
        ("event.classe_300x_call_panel_unknown", "ended"),
    ]


async def test_ringing_ends_without_an_end_push(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """Ringing ends after its time-out."""
    simulator.end_silently(simulator.ring(STREET))
    await wait_frames(hass, 3)
    assert state_of(hass, RINGING) == "on"
    await advance(hass, freezer, 46)
    assert state_of(hass, RINGING) == "off"
    assert events.recorded()[-1] == (CALL, "ended")


@pytest.mark.parametrize("house_name", ["easykit"])
async def test_unknown_duration_is_not_shown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """Some models never report the end of a call."""
    call = simulator.ring()
    await wait_frames(hass, 2)
    simulator.answer_elsewhere(call)
    await wait_frames(hass, 3)
    await advance(hass, freezer, 601)
    entity_id, kind = events.recorded()[-1]
    state = hass.states.get(entity_id)
    assert kind == "ended"
    assert state is not None
    assert "duration" not in state.attributes


async def test_timestamp_in_the_future_does_not_hide_the_next_ring(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The timestamp is in milliseconds instead of seconds."""
    extra = {"device_id": "00:03:50:30:00:0a", "session_id": "one", "timestamp": 1_789_999_990_000}
    simulator.push({"type": "Websocket", "push_type": "BNC3-incoming_call", "extra_params": extra})
    await wait_until(events.rings)
    call = get_entry(hass).runtime_data.history.last(extra["device_id"])
    assert dt_util.utc_from_timestamp(call.time).year < 2027
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 5)
    assert state_of(hass, LAST) == "missed"


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_excluded_home_is_ignored(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Its pushes fire no event, cause no request and count no missed call."""
    entry = get_entry(hass)
    hass.config_entries.async_update_entry(entry, options={"excluded_homes": [SEASIDE]})
    await reload_entry(hass, entry)
    await wait_online(entry)
    (seaside,) = [home for home in simulator.house.homes if home.id == SEASIDE]
    bridge = seaside.bridges()[0]
    simulator.journal.clear()
    simulator.miss(simulator.ring(bridge.id))
    simulator.unplug_bridge(bridge.id)
    pushes_of = entry.runtime_data.push.counters
    await wait_until(lambda: pushes_of["pushes"] >= 3)
    await wait_idle(hass)
    assert events.recorded() == []
    assert simulator.journal.count(HOMESDATA) == simulator.journal.count(HOMESTATUS) == 0
    assert entry.runtime_data.history.missed(bridge.id) == 0


async def test_unknown_module_causes_one_request(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The list of modules is requested once, however often the module rings."""
    for number in range(5):
        extra = {"device_id": "00:03:50:99:99:99", "session_id": str(number)}
        simulator.push(
            {"type": "Websocket", "push_type": "BNC3-incoming_call", "extra_params": extra}
        )
    await wait_frames(hass, 6)
    await wait_idle(hass)
    assert simulator.journal.count(HOMESDATA) == 1
    assert events.recorded() == []


async def test_failing_listener_does_not_affect_the_others(
    hass: HomeAssistant,
    events: EventRecorder,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The failure is logged, and the listeners after it still get the ring."""

    def fail(_: CallChange) -> None:
        raise ZeroDivisionError

    calls = get_entry(hass).runtime_data.calls
    received: list[CallChange] = []
    calls.async_listen(fail)
    calls.async_listen(received.append)
    simulator.ring(STREET)
    await wait_frames(hass, 3)
    assert events.rings() == [DOORBELL]
    assert received
    assert "A change could not be handled" in caplog.text
