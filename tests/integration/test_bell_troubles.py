"""What the cloud, the clock and the line can do to a ring, and what the person sees of it."""

from datetime import timedelta
import logging
from typing import TYPE_CHECKING

import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL
from tests.integration.conftest import (
    Happenings,
    act,
    heard,
    online,
    poll,
    restart,
    settle,
    state_of,
    the_entry,
    until,
)
from tests.simulator import Failure, pushes
from tests.simulator.houses import SEASIDE
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

STREET = "Posto esterno strada"
RINGING = "binary_sensor.posto_esterno_strada_ringing"
PUSH = "binary_sensor.classe_300x_push_connection"
BRIDGE_DOORBELL = "event.classe_300x_doorbell"
LAST, OUTCOME = "sensor.classe_300x_last_call", "sensor.classe_300x_outcome_of_the_last_call"
MISSED = "sensor.classe_300x_missed_calls"


async def reconnect(hass: HomeAssistant, simulator: Simulator) -> None:
    """Cut the line, and wait until it is back and caught up."""
    simulator.drop_connections()
    await until(lambda: state_of(hass, PUSH) == "off")
    await until(lambda: state_of(hass, PUSH) == "on")
    await online(the_entry(hass))


@pytest.mark.parametrize("silent", [False, True])
async def test_panel_of_unknown_kind_rings_at_the_intercom(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator, silent: bool
) -> None:
    """A model newer than this code, or one of which nothing but the id is known."""
    panel = simulator.add_module(kind="BNEU", name="Neu", module_id="abcdef-0999-aa11bb22cc99")
    if silent:
        panel.listed, panel.silent = False, True
    else:
        panel.type, panel.variant = "BNEZ", None
    await restart(hass, the_entry(hass))
    await online(the_entry(hass))
    frames = the_entry(hass).runtime_data.push.socket.counters["frames"]
    simulator.ring(panel.id)
    await heard(hass, frames + 2)
    assert bell.rings() == [BRIDGE_DOORBELL]


async def test_doors_are_back_with_the_intercom(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """A poll while it was away has seen them unreachable, too."""
    simulator.unplug_bridge()
    await until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    await the_entry(hass).runtime_data.coordinator.async_refresh()
    simulator.plug_bridge()
    await until(lambda: state_of(hass, "lock.cancello") == "locked")
    assert bell.told() == []


async def test_late_ring_is_history(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Somebody was there: the sensor says when, the bell says nothing."""
    before = state_of(hass, LAST)
    simulator.ring(STREET, late=120, offer=False)
    await heard(hass, 2)
    assert state_of(hass, LAST) != before
    assert bell.told() == []


async def test_outcome_stays_what_it_was(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Answered, hung up, asked for anew after a gap: it was answered."""
    call = simulator.ring(STREET)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await heard(hass, 6)
    assert state_of(hass, OUTCOME) == "answered"
    await reconnect(hass, simulator)
    assert state_of(hass, OUTCOME) == "answered"
    assert bell.told()[-1][1] == "ended"


async def test_gap_while_it_rings(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """The events know of the call, but not that it still rings."""
    simulator.ring(STREET)
    await heard(hass, 3)
    await reconnect(hass, simulator)
    assert (state_of(hass, RINGING), state_of(hass, OUTCOME)) == ("on", "ringing")
    assert len(bell.rings()) == 1


@pytest.mark.usefixtures("bell")
async def test_restart_while_it_rings(hass: HomeAssistant, simulator: Simulator) -> None:
    """Nothing rings for ever, even if the cloud says nothing more of it."""
    simulator.ring(STREET)
    await heard(hass, 3)
    simulator.fail(GETEVENTS, Failure(status=503, html=True), times=5)
    await restart(hass, the_entry(hass))
    await online(the_entry(hass))
    assert (state_of(hass, RINGING), state_of(hass, OUTCOME)) == ("off", "ended")


async def test_missed_call_behind_many_other_events(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Poor Wi-Fi fills the list of events with connections that come and go."""
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(simulator.ring(STREET))
    for _ in range(15):
        simulator.unplug_bridge()
        simulator.plug_bridge()
    simulator.sockets.handshake_status = None
    await until(lambda: state_of(hass, PUSH) == "on")
    await online(the_entry(hass))
    assert state_of(hass, MISSED) == "1"
    assert bell.told() == []


async def test_time_of_the_future_does_not_hide_the_next_ring(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Milliseconds where seconds should be."""
    extra = {"device_id": "00:03:50:30:00:0a", "session_id": "one", "timestamp": 1_789_999_990_000}
    simulator.push({"type": "Websocket", "push_type": "BNC3-incoming_call", "extra_params": extra})
    await until(bell.rings)
    assert state_of(hass, LAST) < "2027"
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 5)
    assert state_of(hass, OUTCOME) == "missed"


async def test_call_stays_where_it_rang(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """An offer that comes too late does not split a call over two entities."""
    call = simulator.ring(STREET, offer=False)
    await until(bell.rings)
    simulator.push(pushes.offer(call, 1))
    simulator.push(pushes.end(call, "terminate", 2))
    await heard(hass, 4)
    assert bell.told() == [
        (BRIDGE_DOORBELL, "ring"),
        ("event.classe_300x_call", "incoming"),
        ("event.classe_300x_call", "ended"),
    ]


@pytest.mark.parametrize("house_name", ["easykit"])
async def test_duration_that_nobody_knows_is_not_told(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, bell: Happenings, simulator: Simulator
) -> None:
    """Some models never say that a call has ended."""
    call = simulator.ring()
    await heard(hass, 2)
    simulator.answer_elsewhere(call)
    await heard(hass, 3)
    freezer.tick(601)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    entity_id, kind = bell.told()[-1]
    state = hass.states.get(entity_id)
    assert kind == "ended"
    assert state is not None
    assert "duration" not in state.attributes


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_home_that_is_left_out_neither_rings_nor_costs(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Whoever leaves a home out wants to hear nothing of it."""
    entry = the_entry(hass)
    hass.config_entries.async_update_entry(entry, options={"excluded_homes": [SEASIDE]})
    await restart(hass, entry)
    await online(entry)
    (seaside,) = [home for home in simulator.house.homes if home.id == SEASIDE]
    bridge = seaside.bridges()[0]
    simulator.journal.clear()
    simulator.miss(simulator.ring(bridge.id))
    simulator.unplug_bridge(bridge.id)
    pushes_of = entry.runtime_data.push.counters
    await until(lambda: pushes_of["pushes"] >= 3)
    await settle(hass)
    assert bell.told() == []
    assert simulator.journal.count(HOMESDATA) == simulator.journal.count(HOMESTATUS) == 0
    assert entry.runtime_data.history.missed(bridge.id) == 0


async def test_strange_module_is_asked_about_once(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """However often it rings."""
    for number in range(5):
        extra = {"device_id": "00:03:50:99:99:99", "session_id": str(number)}
        simulator.push(
            {"type": "Websocket", "push_type": "BNC3-incoming_call", "extra_params": extra}
        )
    await heard(hass, 6)
    await settle(hass)
    assert simulator.journal.count(HOMESDATA) == 1
    assert bell.told() == []


async def test_cloud_that_fails_while_the_socket_stands_is_seen_soon(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, bell: Happenings, simulator: Simulator
) -> None:
    """After the first poll that fails, polls are frequent again."""
    simulator.fail("*", Failure(status=503, html=True), times=1000)
    await poll(hass, freezer, SAFETY_INTERVAL)
    for _ in range(3):
        assert state_of(hass, "lock.box") == "locked"
        await poll(hass, freezer)
    assert state_of(hass, "lock.box") == "unavailable"
    assert the_entry(hass).runtime_data.push.is_online
    assert bell.told() == []


@pytest.mark.usefixtures("bell")
async def test_light_is_looked_at_after_it_was_switched(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """Its timer puts it out without a word; seldom polls resume after that."""
    await act(hass, "light", "turn_on", "light.luce_scale")
    (light,) = simulator.lights
    simulator.lights[light] = False
    await poll(hass, freezer)
    assert state_of(hass, "light.luce_scale") == "off"
    before = simulator.journal.count(HOMESTATUS)
    await poll(hass, freezer)
    assert simulator.journal.count(HOMESTATUS) == before


async def test_outage_of_everything_is_said_once(
    hass: HomeAssistant,
    bell: Happenings,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One warning, one line when it is back, and the next ring comes."""
    caplog.clear()
    entry = the_entry(hass)
    entry.runtime_data.push.socket._backoff.draw = lambda: 0.0
    simulator.take_down(502)
    await until(lambda: "is lost" in caplog.text)
    for _ in range(5):
        await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "lock.box") == "unavailable"
    simulator.bring_up()
    await until(lambda: state_of(hass, PUSH) == "on")
    await settle(hass)
    await until(lambda: state_of(hass, "lock.box") == "locked")
    ours = [r for r in caplog.records if "bticino_classe" in r.name and r.levelno > logging.DEBUG]
    assert [(r.levelname, r.getMessage()) for r in ours] == [
        ("WARNING", "The push connection to the cloud is lost: handshake refused (502)"),
        ("INFO", "The push connection to the cloud is back"),
    ]
    simulator.ring(STREET)
    await until(bell.rings)


async def test_refused_tokens_are_tried_again_after_an_hour(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, bell: Happenings, simulator: Simulator
) -> None:
    """With a password that is right it may be the cloud's own trouble."""
    the_entry(hass).runtime_data.push.socket._backoff.draw = lambda: 0.0
    simulator.sockets.refuse_subscriptions = 3
    simulator.drop_connections()
    await until(hass.config_entries.flow.async_progress)
    simulator.sockets.refuse_subscriptions = None
    freezer.tick(timedelta(seconds=3601))
    await until(lambda: state_of(hass, PUSH) == "on")
    simulator.ring(STREET)
    await until(bell.rings)
    assert bell.rings() == ["event.posto_esterno_strada_doorbell"]
