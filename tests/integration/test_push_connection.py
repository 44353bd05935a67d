"""The push connection: reachability, gaps, outages, refused tokens."""

import asyncio
from datetime import timedelta
import logging
from typing import TYPE_CHECKING

from homeassistant.config_entries import SOURCE_REAUTH
import pytest

from custom_components.bticino_classe.client import SocketState
from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL
from custom_components.bticino_classe.history.records import session_hash
from custom_components.bticino_classe.polling import STATUS_INTERVAL
from tests.integration.conftest import (
    EventRecorder,
    advance,
    call_entity,
    get_entry,
    poll,
    reload_entry,
    skip_backoff,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.simulator import Failure, pushes
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, PUSH as PUSH_PATH, TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant, State

    from tests.simulator import Simulator

STREET = "Posto esterno strada"
COUNT_CALLS = "SELECT count(*) FROM calls WHERE session = ?"
RINGING = "binary_sensor.posto_esterno_strada_bell"
PUSH = "binary_sensor.classe_300x_bell_connection"
OUTCOME = "sensor.classe_300x_last_call"
MISSED = "sensor.classe_300x_missed_calls"
PLACES = ("posto_esterno_strada", "classe_300x")
DOORBELL, CALL = "event.posto_esterno_strada_doorbell", "event.posto_esterno_strada_call"


@pytest.fixture(autouse=True)
def _enabled(all_entities: None) -> None:
    """Enable also what is disabled by default."""


async def disconnect(hass: HomeAssistant, simulator: Simulator) -> None:
    """Close the push connection, and refuse new ones."""
    skip_backoff(get_entry(hass).runtime_data.push)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: state_of(hass, PUSH) == "off")


async def connect(hass: HomeAssistant, simulator: Simulator) -> None:
    """Accept connections again, and wait until missed events are caught up."""
    simulator.sockets.handshake_status = None
    await wait_until(lambda: state_of(hass, PUSH) == "on")
    await wait_online(get_entry(hass))


async def test_reachability_is_pushed(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Without a poll; one refreshes the doors when the intercom returns."""
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    assert state_of(hass, "binary_sensor.classe_300x_intercom_online") == "off"
    assert simulator.journal.count(HOMESTATUS) == 0
    simulator.plug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "locked")
    simulator.set_reachable("Box", False)
    await wait_until(lambda: state_of(hass, "lock.box") == "unavailable")
    assert state_of(hass, "lock.cancello") == "locked"
    assert simulator.journal.count(HOMESTATUS) == 1, "the doors behind it are polled"
    assert events.recorded() == []


async def test_incomplete_reachability_push_causes_a_poll(
    events: EventRecorder, simulator: Simulator
) -> None:
    """The push does not say whether the module came or went."""
    simulator.push(
        {
            "type": "Websocket",
            "push_type": "BNC3-reachable_module_event",
            "extra_params": {"device_id": "00:03:50:30:00:0a"},
        }
    )
    await wait_until(lambda: simulator.journal.count(HOMESTATUS) == 1)
    assert events.recorded() == []


async def test_doors_return_with_the_intercom(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """A poll has reported them unreachable in the meantime."""
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    simulator.plug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "locked")
    assert events.recorded() == []


async def test_missed_call_during_a_gap(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """It is counted after the reconnection; nothing rings."""
    assert state_of(hass, PUSH) == "on"
    await disconnect(hass, simulator)
    simulator.miss(simulator.ring(STREET))
    before = simulator.journal.count(HOMESTATUS)
    await connect(hass, simulator)
    assert events.recorded() == []
    assert state_of(hass, MISSED) == "1"
    assert simulator.journal.count(HOMESTATUS) > before

    simulator.ring(STREET)
    await wait_until(events.rings)
    assert events.rings() == [DOORBELL]


async def test_missed_call_behind_many_other_events(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """An unstable Wi-Fi fills the cloud's list of events with connection changes."""
    await disconnect(hass, simulator)
    simulator.miss(simulator.ring(STREET))
    for _ in range(15):
        simulator.unplug_bridge()
        simulator.plug_bridge()
    await connect(hass, simulator)
    assert state_of(hass, MISSED) == "1"
    assert events.recorded() == []


async def test_reconnection_keeps_the_outcome(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """An answered call stays answered when it is read again from the cloud's events."""
    call = simulator.ring(STREET)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await wait_frames(hass, 6)
    assert state_of(hass, OUTCOME) == "answered"
    await disconnect(hass, simulator)
    await connect(hass, simulator)
    assert state_of(hass, OUTCOME) == "answered"
    assert events.recorded()[-1][1] == "ended"


async def test_reconnection_keeps_ringing(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The cloud's events contain the call, but not that it is still ringing."""
    simulator.ring(STREET)
    await wait_frames(hass, 3)
    await disconnect(hass, simulator)
    await connect(hass, simulator)
    assert state_of(hass, RINGING) == "on"
    assert len(events.rings()) == 1


@pytest.mark.usefixtures("online_entry")
async def test_failed_catch_up_is_no_outage(hass: HomeAssistant, simulator: Simulator) -> None:
    """Entities stay available if the cloud's events are not."""
    simulator.fail(GETEVENTS, Failure(status=503, html=True))
    simulator.drop_connections()
    await wait_until(lambda: simulator.journal.count(GETEVENTS) == 1)
    await wait_online(get_entry(hass))
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.usefixtures("online_entry")
async def test_changed_password_starts_reauth(hass: HomeAssistant, simulator: Simulator) -> None:
    """The push connection gives up; it takes no poll and no command."""
    simulator.change_password("another")
    simulator.drop_connections()
    await wait_until(hass.config_entries.flow.async_progress)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert state_of(hass, PUSH) == "off"


async def test_refused_tokens_are_retried_after_a_minute(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """The cloud is at fault: nobody is asked for the password."""
    skip_backoff(get_entry(hass).runtime_data.push)
    simulator.journal.clear()
    simulator.sockets.refuse_subscriptions = 3
    simulator.drop_connections()
    await wait_until(lambda: simulator.journal.of(PUSH_PATH)[3:])  # two handshakes, two frames
    await wait_until(lambda: get_entry(hass).runtime_data.push.socket.state == "waiting")
    assert state_of(hass, PUSH) == "off"
    simulator.sockets.refuse_subscriptions = None
    freezer.tick(timedelta(seconds=61))
    await wait_until(lambda: state_of(hass, PUSH) == "on")
    assert hass.config_entries.flow.async_progress() == []
    simulator.ring(STREET)
    await wait_until(events.rings)
    assert events.rings() == [DOORBELL]


async def test_token_refused_by_a_poll_is_replaced_on_the_push_connection(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Without the new subscription, no ring would be pushed; a call in between is caught up."""
    simulator.journal.clear()
    simulator.revoke()
    simulator.miss(simulator.ring(STREET))
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    await wait_until(lambda: simulator.journal.count(PUSH_PATH) >= 1)
    await wait_until(lambda: state_of(hass, MISSED) == "1")
    assert events.recorded() == []
    simulator.ring(STREET)
    await wait_until(events.rings)


async def test_ended_token_is_no_push_connection(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """The sign-in is out of order past the end of the token: polls are frequent again."""
    coordinator = get_entry(hass).runtime_data.coordinator
    assert coordinator.update_interval == SAFETY_INTERVAL
    simulator.fail(TOKEN, Failure(status=500), times=10_000)
    for _ in range(4):
        await advance(hass, freezer, 3600)
    await wait_until(lambda: state_of(hass, PUSH) == "off")
    assert coordinator.update_interval == STATUS_INTERVAL
    assert events.recorded() == []


async def test_full_outage_is_logged_once(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    events: EventRecorder,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One warning, one message when it is over; then the next ring arrives."""
    caplog.clear()
    entry = get_entry(hass)
    skip_backoff(entry.runtime_data.push)
    simulator.take_down(502)
    await wait_until(lambda: "is lost" in caplog.text)
    freezer.tick(16 * 60)
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "lock.box") == "unavailable"
    simulator.bring_up()
    await wait_until(lambda: state_of(hass, PUSH) == "on")
    await wait_idle(hass)
    await wait_until(lambda: state_of(hass, "lock.box") == "locked")
    ours = [r for r in caplog.records if "bticino_classe" in r.name and r.levelno > logging.DEBUG]
    assert [(r.levelname, r.getMessage()) for r in ours] == [
        ("WARNING", "The push connection to the cloud is lost: handshake refused (502)"),
        ("INFO", "The push connection to the cloud is back"),
    ]
    simulator.ring(STREET)
    await wait_until(events.rings)


async def test_failed_poll_shortens_the_interval(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """Polls are rare while the push connection is up, and frequent again after a failure."""
    simulator.fail("*", Failure(status=503, html=True), times=1000)
    await poll(hass, freezer, SAFETY_INTERVAL)
    for _ in range(3):
        assert state_of(hass, "lock.box") == "locked"
        await poll(hass, freezer)
    assert state_of(hass, "lock.box") == "unavailable"
    assert get_entry(hass).runtime_data.push.is_online
    assert events.recorded() == []


async def test_requests_of_an_idle_hour(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, events: EventRecorder, simulator: Simulator
) -> None:
    """With the push connection up: two status requests and one list of modules."""
    assert events.recorded() == []
    for _ in range(60):
        await advance(hass, freezer, 60)
    assert simulator.journal.count(HOMESTATUS) <= 2
    assert simulator.journal.count(HOMESDATA) <= 1
    assert simulator.journal.count(GETEVENTS) == 0


@pytest.mark.parametrize("how", ["miss", "answer_elsewhere"])
@pytest.mark.parametrize("by", [disconnect, reload_entry])
async def test_ring_that_stopped_during_a_gap(
    hass: HomeAssistant,
    events: EventRecorder,
    simulator: Simulator,
    by: Callable[..., Awaitable[None]],
    how: str,
) -> None:
    """It stops at once when the push connection is back, also after a reload."""
    call = simulator.ring(STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    if by is disconnect:
        await disconnect(hass, simulator)
    else:
        simulator.sockets.handshake_status = 502
        await reload_entry(hass, get_entry(hass))
        skip_backoff(get_entry(hass).runtime_data.push)
    getattr(simulator, how)(call)
    await connect(hass, simulator)
    outcome = "missed" if how == "miss" else "answered"
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert state_of(hass, OUTCOME) == outcome
    assert events.recorded()[-1] == (CALL, outcome)


@pytest.mark.usefixtures("events")
async def test_listed_call_of_long_ago_stops_no_ring(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """An intercom may use its session ids again."""
    call = simulator.ring(STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await disconnect(hass, simulator)
    call.add_subevent("missed_call", "m", call.at - 7200)
    await connect(hass, simulator)
    assert state_of(hass, RINGING) == "on"


@pytest.mark.parametrize("order", ["list first", "offer first"])
@pytest.mark.parametrize("listed", ["missed_call", "accepted_call", None])
@pytest.mark.parametrize("age", [1200, 7200])
async def test_late_offer_of_a_listed_call(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    events: EventRecorder,
    simulator: Simulator,
    order: str,
    listed: str | None,
    age: float,
) -> None:
    """It comes alone, before or after the list that says when the call was: no ring, one call."""
    await disconnect(hass, simulator)
    call = simulator.ring(STREET, late=age, offer=False, status=False)
    if listed is not None:
        call.add_subevent(listed, "m", call.at + 30)
    runtime = get_entry(hass).runtime_data
    may_list = asyncio.Event()
    if order == "list first":
        may_list.set()
    simulator.fail(GETEVENTS, Failure(until=may_list))
    simulator.sockets.handshake_status = None
    await wait_until(lambda: runtime.push.is_online)
    if order == "list first":
        await wait_online(get_entry(hass))
    frames = runtime.push.socket.counters["frames"]
    simulator.push(pushes.offer(call, simulator.number()))
    await wait_until(lambda: runtime.push.socket.counters["frames"] > frames)
    may_list.set()
    await wait_idle(hass)
    await wait_until(lambda: runtime.calls._cancel_timer is None)
    assert events.recorded() == []
    assert state_of(hass, RINGING) == "off"
    session = (session_hash(call.session_id),)
    count = await runtime.history.async_read(lambda db: db.execute(COUNT_CALLS, session).fetchone())
    assert count == (1,)


@pytest.mark.parametrize("by", ["request", "new token"])
async def test_call_that_was_missed_on_the_same_connection(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, by: str
) -> None:
    """The connection was never down: the call is known after the next subscription, unrung."""
    lost = simulator.ring(STREET, offer=False, status=False)
    lost.add_subevent("missed_call", "m", lost.at + 30)
    runtime = get_entry(hass).runtime_data
    states: list[SocketState] = []
    runtime.push.listen_states(states.append)
    if by == "request":
        await runtime.push.socket.resubscribe()
    else:
        runtime.account.auth.invalidate(await runtime.account.auth.get_access_token())
        runtime.push.socket._subscribe_now.set()
    await wait_until(lambda: state_of(hass, MISSED) == "1")
    await wait_idle(hass)
    assert state_of(hass, OUTCOME) == "missed"
    assert events.recorded() == []
    assert set(states) <= {SocketState.SUBSCRIBING, SocketState.ONLINE}


@pytest.mark.parametrize("pushed", ["offer", "status", "both", "missed"])
async def test_call_proves_that_its_intercom_is_connected(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, pushed: str
) -> None:
    """The push of its return was lost: doors and camera return before the poll that follows."""
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    for module in simulator.house.homes[0].modules.values():
        module.reachable = True
    simulator.journal.clear()
    response = asyncio.Event()
    simulator.fail(HOMESTATUS, Failure(until=response))
    call = simulator.ring(
        STREET, offer=pushed in {"offer", "both"}, status=pushed in {"status", "both"}
    )
    if pushed == "missed":
        simulator.miss(call)
    await wait_until(lambda: state_of(hass, "lock.cancello") == "locked")
    await wait_until(lambda: state_of(hass, "lock.box") == "locked")
    assert state_of(hass, "camera.posto_esterno_strada") != "unavailable"
    assert state_of(hass, "binary_sensor.classe_300x_intercom_online") == "on"
    response.set()
    await wait_until(lambda: simulator.journal.count(HOMESTATUS) == 1)
    await wait_idle(hass)
    assert simulator.journal.count(HOMESTATUS) == 1
    assert state_of(hass, "lock.cancello") == "locked"
    assert len(events.rings()) <= 1


async def test_old_push_proves_no_connection(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The intercom may have gone offline since."""
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    simulator.ring(STREET, offer=False, late=7200)
    await wait_frames(hass, 3)
    await wait_idle(hass)
    assert state_of(hass, "lock.cancello") == "unavailable"
    assert simulator.journal.count(HOMESTATUS) == 0
    assert events.recorded() == []


@pytest.mark.parametrize("rings", [False, True])
async def test_states_of_calls_while_no_pushes_arrive(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, rings: bool
) -> None:
    """*Bell* and *Line* are unavailable; what has happened is still shown."""
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    if not rings:
        simulator.miss(call)
        await wait_frames(hass, 4)
    names = [
        call_entity("binary_sensor", place, key) for place in PLACES for key in ("bell", "line")
    ]
    before = [state_of(hass, name) for name in names]
    assert set(before) <= {"on", "off"}
    past = {name: state_of(hass, name) for name in (DOORBELL, CALL, OUTCOME, MISSED)}
    await disconnect(hass, simulator)
    assert {state_of(hass, name) for name in names} == {"unavailable"}
    assert {name: state_of(hass, name) for name in past} == past
    await connect(hass, simulator)
    assert [state_of(hass, name) for name in names] == before
    assert len(events.rings()) == 1


@pytest.mark.parametrize("house_name", ["two_homes"])
@pytest.mark.usefixtures("online_entry")
async def test_intercom_that_is_no_longer_listed_is_not_connected(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """The other one still is."""
    bridges = [bridge.id for home in simulator.house.homes for bridge in home.bridges()]
    assert [state.state for state in connections(hass)] == ["on"] * len(bridges)
    simulator.remove_module(bridges[0])
    for _ in range(3):
        await poll(hass, freezer, SAFETY_INTERVAL)
    expected = ["off"] + ["on"] * (len(bridges) - 1)
    assert sorted(state.state for state in connections(hass)) == expected


def connections(hass: HomeAssistant) -> list[State]:
    """Return the states of the intercoms' connections to the cloud."""
    states = hass.states.async_all("binary_sensor")
    return [each for each in states if each.entity_id.endswith("intercom_online")]
