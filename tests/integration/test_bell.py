"""Somebody rings: once, at the right panel, with whatever the model sends."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_mock_service,
)

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
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.client.calls import CallChange
    from tests.simulator import Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
DOORBELL, CALL = "event.posto_esterno_strada_doorbell", "event.posto_esterno_strada_call"
RINGING = "binary_sensor.posto_esterno_strada_ringing"
BRIDGE_DOORBELL = "event.classe_300x_doorbell"
PUSH = "binary_sensor.classe_300x_push_connection"


async def test_ring_is_one_event_at_its_panel(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Offer and status, each for three phones: one ring, one call, and nothing is asked."""
    simulator.ring(YARD, receivers=3)
    await heard(hass, 7)
    assert bell.told() == [
        ("event.posto_esterno_cortile_doorbell", "ring"),
        ("event.posto_esterno_cortile_call", "incoming"),
    ]
    assert state_of(hass, "binary_sensor.posto_esterno_cortile_ringing") == "on"
    assert state_of(hass, "binary_sensor.classe_300x_ringing") == "on"
    assert state_of(hass, RINGING) == "off"
    assert simulator.journal.count(HOMESTATUS) == simulator.journal.count(GETEVENTS) == 0


@pytest.mark.parametrize("status_first", [False, True])
@pytest.mark.usefixtures("bell")
async def test_life_of_a_call(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator, status_first: bool
) -> None:
    """Incoming, answered by somebody else, ended; the ring is over with the answer."""
    call = simulator.ring(STREET, status_first=status_first)
    await heard(hass, 3)
    assert state_of(hass, RINGING) == "on"
    simulator.answer_elsewhere(call)
    await heard(hass, 5)
    assert state_of(hass, RINGING) == "off"
    simulator.hang_up(call)
    await heard(hass, 6)
    assert [kind for _, kind in bell.told()] == ["ring", "incoming", "answered", "ended"]
    last = hass.states.get(CALL)
    assert last is not None
    assert last.attributes["answered_by"] == "elsewhere"
    assert last.attributes["panel"] == STREET
    assert last.attributes["duration"] == 0
    assert state_of(hass, "sensor.classe_300x_outcome_of_the_last_call") == "answered"


async def test_missed_call_is_counted_until_somebody_looks(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """The button says that it was seen; the number survives a restart."""
    for _ in range(2):
        simulator.miss(simulator.ring(STREET))
    await heard(hass, 7)
    assert [kind for _, kind in bell.told()] == ["ring", "incoming", "missed"] * 2
    missed = "sensor.classe_300x_missed_calls"
    assert state_of(hass, missed) == "2"
    assert state_of(hass, "sensor.classe_300x_outcome_of_the_last_call") == "missed"
    assert state_of(hass, "sensor.classe_300x_last_call").startswith("20")

    await restart(hass, the_entry(hass))
    await online(the_entry(hass))
    assert state_of(hass, missed) == "2"
    await act(hass, "button", "press", "button.classe_300x_reset_missed_calls")
    assert state_of(hass, missed) == "0"
    await restart(hass, the_entry(hass))
    await online(the_entry(hass))
    assert state_of(hass, missed) == "0"


@pytest.mark.parametrize(
    ("house_name", "panel", "doorbell"),
    [
        ("easykit", None, "event.entrance_panel_1_doorbell"),
        ("classe_300eos", None, "event.entrance_panel_1_doorbell"),
        ("voice_only", None, None),
        ("easykit_three_panels", None, "event.easykit_doorbell"),
    ],
)
async def test_every_model_rings(
    hass: HomeAssistant,
    bell: Happenings,
    simulator: Simulator,
    panel: str | None,
    doorbell: str | None,
) -> None:
    """Models that send only a status, or only an offer; several panels of which none is named."""
    simulator.ring(panel)
    await heard(hass, 2)
    assert len(bell.rings()) == 1
    assert doorbell in (None, bell.rings()[0])


async def test_ring_of_a_module_that_is_new(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """A panel that was built in a minute ago rings at the intercom, until it is known."""
    panel = simulator.add_module(kind="BNEU", name="Nuovo")
    simulator.ring(panel.id)
    await heard(hass, 3)
    assert bell.rings() == [BRIDGE_DOORBELL]


async def test_ring_of_long_ago_is_history(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """A push that comes after its time rings no bell."""
    simulator.ring(STREET, late=120, offer=False)
    await heard(hass, 2)
    assert bell.told() == []


async def test_core_s_doorbell_trigger_runs_an_automation(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """What a person builds in the UI, with the very first ring."""
    calls = async_mock_service(hass, "test", "rang")
    automation = {
        "alias": "Somebody rings",
        "triggers": {"trigger": "doorbell.rang", "target": {"entity_id": DOORBELL}},
        "actions": {"action": "test.rang", "data": {"who": "{{ trigger.entity_id }}"}},
    }
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    await hass.async_block_till_done()
    simulator.ring(STREET)
    await heard(hass, 3)
    assert [call.data["who"] for call in calls] == [DOORBELL]
    simulator.ring(YARD)
    await heard(hass, 5)
    assert len(calls) == 1
    assert len(bell.rings()) == 2


async def test_gap_invents_no_ring_and_loses_no_missed_call(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """The line is cut, somebody rings and goes, the line comes back: history, no bell."""
    assert state_of(hass, PUSH) == "on"
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(simulator.ring(STREET))
    before = simulator.journal.count(HOMESTATUS)
    simulator.sockets.handshake_status = None
    await until(lambda: state_of(hass, PUSH) == "on")
    await online(the_entry(hass))
    assert bell.told() == []
    assert state_of(hass, "sensor.classe_300x_missed_calls") == "1"
    assert simulator.journal.count(HOMESTATUS) > before

    simulator.ring(STREET)
    await until(bell.rings)
    assert bell.rings() == [DOORBELL]


async def test_intercom_that_goes_and_comes_is_seen_at_once(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """No poll is needed for that."""
    simulator.unplug_bridge()
    await until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    assert state_of(hass, "binary_sensor.classe_300x_cloud_connection") == "off"
    assert simulator.journal.count(HOMESTATUS) == 0
    simulator.plug_bridge()
    await until(lambda: state_of(hass, "lock.cancello") == "locked")
    simulator.set_reachable("Box", False)
    await until(lambda: state_of(hass, "lock.box") == "unavailable")
    assert state_of(hass, "lock.cancello") == "locked"
    assert simulator.journal.count(HOMESTATUS) == 1, "what is behind it is looked at"
    assert bell.told() == []


@pytest.mark.usefixtures("hass")
async def test_what_a_push_does_not_say_is_asked(bell: Happenings, simulator: Simulator) -> None:
    """A module that came or went, of which only that is known."""
    simulator.push(
        {
            "type": "Websocket",
            "push_type": "BNC3-reachable_module_event",
            "extra_params": {"device_id": "00:03:50:30:00:0a"},
        }
    )
    await until(lambda: simulator.journal.count(HOMESTATUS) == 1)
    assert bell.told() == []


@pytest.mark.usefixtures("bell")
async def test_events_that_cannot_be_had_are_no_outage(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The history misses something; nothing else does."""
    simulator.fail(GETEVENTS, Failure(status=503, html=True))
    simulator.drop_connections()
    await until(lambda: simulator.journal.count(GETEVENTS) == 1)
    await online(the_entry(hass))
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.usefixtures("bell")
async def test_changed_password_is_noticed_by_the_socket(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """It gives up, and the dialogue opens, without a poll or a press."""
    simulator.change_password("another")
    simulator.drop_connections()
    await until(hass.config_entries.flow.async_progress)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert state_of(hass, PUSH) == "off"


async def test_ring_while_a_command_hangs_comes_at_once(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """A slow answer on the one side delays nothing on the other."""
    simulator.fail(SETSTATE, Failure(delay=0.3))
    action = hass.async_create_task(act(hass, "lock", "open", "lock.box"))
    await until(lambda: simulator.journal.commands)
    simulator.ring(STREET)
    await until(bell.rings)
    assert not action.done()
    await action


async def test_two_visitors_at_once(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Each panel has its own call, and ends on its own."""
    first = simulator.ring(STREET)
    simulator.ring(YARD)
    await heard(hass, 5)
    simulator.hang_up(first)
    await heard(hass, 6)
    assert len(bell.rings()) == 2
    assert state_of(hass, RINGING) == "off"
    assert state_of(hass, "binary_sensor.posto_esterno_cortile_ringing") == "on"


async def test_removed_account_leaves_no_history(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator, hass_storage: dict[str, Any]
) -> None:
    """Who rang when goes with the account."""
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 4)
    entry = the_entry(hass)
    await asyncio.sleep(0)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert f"bticino_classe.{entry.entry_id}" not in hass_storage
    assert bell.rings() == [DOORBELL]


async def test_ring_whose_offer_is_lost_rings_at_the_intercom(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """After a blink of waiting for the push that names the panel."""
    simulator.ring(STREET, offer=False)
    await heard(hass, 2)
    assert bell.rings() == []
    await until(bell.rings)
    assert bell.rings() == [BRIDGE_DOORBELL]
    assert state_of(hass, "binary_sensor.classe_300x_ringing") == "on"
    assert state_of(hass, RINGING) == "off"


async def test_ring_whose_end_is_lost_is_over_by_itself(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, bell: Happenings, simulator: Simulator
) -> None:
    """The bell does not ring for ever."""
    simulator.end_silently(simulator.ring(STREET))
    await heard(hass, 3)
    assert state_of(hass, RINGING) == "on"
    freezer.tick(46)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert state_of(hass, RINGING) == "off"
    assert bell.told()[-1] == (CALL, "ended")


async def test_listener_that_fails_costs_nobody_the_ring(
    hass: HomeAssistant,
    bell: Happenings,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said in the log, and the others are told."""

    def fail(change: CallChange) -> None:
        raise ValueError(change.type)

    the_entry(hass).runtime_data.calls._listeners.insert(0, fail)
    simulator.ring(STREET)
    await heard(hass, 3)
    assert bell.rings() == [DOORBELL]
    assert "A change of a call could not be handled" in caplog.text


async def test_idle_hour_with_the_socket_up(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, bell: Happenings, simulator: Simulator
) -> None:
    """Two looks at the state and one at the list of modules, instead of thirteen."""
    assert bell.told() == []
    for _ in range(60):
        freezer.tick(60)
        async_fire_time_changed(hass)
        await settle(hass)
    assert simulator.journal.count(HOMESTATUS) <= 2
    assert simulator.journal.count(HOMESDATA) <= 1
    assert simulator.journal.count(GETEVENTS) == 0
