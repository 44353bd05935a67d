"""Calls over a reload and a restart: a ring goes on, and no past call rings again."""

from itertools import product
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler
from homeassistant.const import EVENT_STATE_CHANGED
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.bticino_classe.calls.events import HANDED_OVER
from custom_components.bticino_classe.client.calls import CallState
from tests.integration.conftest import (
    advance,
    get_entry,
    reload_entry,
    restart_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import calls_of
from tests.integration.live.browser_client import STREET as CAMERA, BrowserClient, offer
from tests.simulator import Failure, pushes
from tests.simulator.houses import SEASIDE
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import Event, HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator
    from tests.simulator.calls import Call

STREET = "Posto esterno strada"
DOORBELL, CALL = "event.posto_esterno_strada_doorbell", "event.posto_esterno_strada_call"
RINGING, IN_CALL = (f"binary_sensor.posto_esterno_strada_{key}" for key in ("bell", "line"))
OUTCOME = "sensor.classe_300x_last_call"
MISSED = "sensor.classe_300x_missed_calls"


@pytest.fixture(autouse=True)
def _enabled(all_entities: None) -> None:
    """Enable also what is disabled by default."""


class Fired:
    """What the event entities fire; a state that is restored by a reload counts once."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._changes: list[Event[Any]] = async_capture_events(hass, EVENT_STATE_CHANGED)

    def kinds(self, entity_id: str) -> list[str]:
        """Return the types of the events of an entity, in order."""
        states = [change.data["new_state"] for change in self._changes]
        fired = {
            state.state: state.attributes["event_type"]
            for state in states
            if state is not None
            and state.entity_id == entity_id
            and state.attributes.get("event_type")
        }
        return list(fired.values())


@pytest.fixture(name="fired")
def _fired(hass: HomeAssistant, online_entry: ConfigEntry[Any]) -> Fired:  # noqa: ARG001 - whose events are recorded
    return Fired(hass)


async def save_option(hass: HomeAssistant) -> None:
    """Save an option, which reloads the account."""
    hass.config_entries.async_update_entry(get_entry(hass), options={"pulse_time": 7})
    await wait_idle(hass)
    await reload_and_connect(hass)


async def reload_and_connect(hass: HomeAssistant) -> None:
    """Reload the account, and wait until it is connected again."""
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))


async def restart(hass: HomeAssistant) -> None:
    """Restart the account, and wait until it is connected again."""
    await restart_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))


async def ring(hass: HomeAssistant, simulator: Simulator, **options: Any) -> Call:
    """Ring at the street, and wait until Home Assistant shows it."""
    call = simulator.ring(STREET, **options)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await wait_frames(hass, 3)
    return call


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("reload", [save_option, reload_and_connect])
async def test_reload_keeps_a_ring(
    hass: HomeAssistant, fired: Fired, simulator: Simulator, times: int, reload: Any
) -> None:
    """It goes on ringing, and its end is the end of the same call."""
    call = await ring(hass, simulator)
    known = len(await calls_of(hass))
    for _ in range(times):
        await reload(hass)
    assert state_of(hass, RINGING) == "on"
    simulator.miss(call)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert fired.kinds(DOORBELL) == ["ring"]
    assert fired.kinds(CALL) == ["missed"]
    assert [each.outcome for each in (await calls_of(hass))[known - 1 :]] == ["missed"]
    assert state_of(hass, MISSED) == "1"


async def test_ring_can_be_answered_after_a_reload(
    hass: HomeAssistant,
    fired: Fired,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The ring is answered, the panel is not dialled."""
    await ring(hass, simulator)
    await reload_and_connect(hass)
    browser = await BrowserClient.connect(hass_ws_client, CAMERA)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 1)
    await wait_until(lambda: state_of(hass, IN_CALL) == "on")
    assert state_of(hass, RINGING) == "off"
    await view.close()
    assert fired.kinds(CALL)[:2] == ["answered"]
    (record,) = (await calls_of(hass))[-1:]
    assert (record.outcome, record.answered_by) == ("answered", "here")


async def test_conversation_of_a_phone_goes_on_after_a_reload(
    hass: HomeAssistant, fired: Fired, simulator: Simulator
) -> None:
    """*Line* stays busy until it ends."""
    call = await ring(hass, simulator)
    simulator.answer_elsewhere(call)
    await wait_until(lambda: state_of(hass, IN_CALL) == "on")
    await reload_and_connect(hass)
    assert state_of(hass, IN_CALL) == "on"
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, IN_CALL) == "off")
    assert fired.kinds(CALL) == ["answered", "ended"]


async def test_reload_in_a_conversation_is_its_end(
    hass: HomeAssistant, fired: Fired, simulator: Simulator, hass_ws_client: WebSocketGenerator
) -> None:
    """The viewer's connection cannot be kept; the end is reported once the entities are back."""
    await ring(hass, simulator)
    browser = await BrowserClient.connect(hass_ws_client, CAMERA)
    await browser.watch(offer())
    await wait_until(lambda: state_of(hass, IN_CALL) == "on")
    await reload_and_connect(hass)
    assert fired.kinds(CALL) == ["answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"
    (record,) = (await calls_of(hass))[-1:]
    assert (record.outcome, record.ended_by) == ("answered", "here")
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)


async def test_ring_ends_in_time_after_a_reload(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, fired: Fired, simulator: Simulator
) -> None:
    """A reload does not prolong it."""
    simulator.end_silently(await ring(hass, simulator))
    await advance(hass, freezer, 30)
    await reload_and_connect(hass)
    assert state_of(hass, RINGING) == "on"
    await advance(hass, freezer, 14)
    assert state_of(hass, RINGING) == "on"
    await advance(hass, freezer, 2)
    assert state_of(hass, RINGING) == "off"
    assert fired.kinds(CALL) == ["ended"]


@pytest.mark.parametrize("seconds", [10, 50, 700])
async def test_ring_before_failing_set_ups(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    fired: Fired,
    simulator: Simulator,
    seconds: float,
) -> None:
    """The cloud is down for the reload: the ring goes on after it, or has ended."""
    call = await ring(hass, simulator)
    simulator.end_silently(call)
    for path in (HOMESDATA, HOMESTATUS, GETEVENTS):
        simulator.fail(path, Failure(status=503, html=True), times=1)
    await reload_entry(hass, get_entry(hass))
    await advance(hass, freezer, seconds)
    await reload_and_connect(hass)
    is_over = seconds > 45
    assert state_of(hass, RINGING) == ("off" if is_over else "on")
    assert fired.kinds(DOORBELL) == ["ring"]
    assert fired.kinds(CALL) == ["ended"][:is_over]


async def test_changes_while_the_entities_are_unloaded(
    hass: HomeAssistant, fired: Fired, simulator: Simulator
) -> None:
    """A ring is reported once they are back; one that is over by then is only recorded."""
    calls = get_entry(hass).runtime_data.calls
    calls.async_pause()
    gone, here = simulator.ring(STREET), simulator.ring(STREET)
    simulator.miss(gone)
    await wait_frames(hass, 6)
    assert fired.kinds(DOORBELL) == []
    await reload_and_connect(hass)
    assert fired.kinds(DOORBELL) == ["ring"]
    assert state_of(hass, RINGING) == "on"
    simulator.miss(here)
    await wait_until(lambda: state_of(hass, MISSED) == "2")


async def test_failed_unload_goes_on(
    hass: HomeAssistant, fired: Fired, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entities stay, and get what has happened meanwhile."""

    async def fail(*_args: object) -> bool:
        simulator.ring(STREET)
        await wait_frames(hass, 3)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(hass.config_entries, "async_unload_platforms", fail)
        await hass.config_entries.async_unload(get_entry(hass).entry_id)
    assert fired.kinds(DOORBELL) == ["ring"]
    get_entry(hass)._async_set_state(hass, get_entry(hass).state.LOADED, None)


async def test_disabled_account_drops_its_calls(
    hass: HomeAssistant, fired: Fired, simulator: Simulator
) -> None:
    """After it is enabled again, nothing rings."""
    await ring(hass, simulator)
    entry = get_entry(hass)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert not hass.data.get(HANDED_OVER)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await wait_online(entry)
    assert (state_of(hass, RINGING), state_of(hass, OUTCOME)) == ("off", "ended")
    assert fired.kinds(DOORBELL) == ["ring"]


@pytest.mark.usefixtures("fired")
async def test_removed_account_drops_its_calls(hass: HomeAssistant, simulator: Simulator) -> None:
    """Nothing of it stays in memory."""
    await ring(hass, simulator)
    await hass.config_entries.async_remove(get_entry(hass).entry_id)
    assert hass.data[HANDED_OVER] == {}


@pytest.mark.parametrize("house_name", ["two_homes"])
@pytest.mark.usefixtures("fired")
async def test_ring_in_a_home_that_is_left_out_ends(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The option is saved while it rings there."""
    (seaside,) = [home for home in simulator.house.homes if home.id == SEASIDE]
    simulator.ring(seaside.bridges()[0].id)
    calls = get_entry(hass).runtime_data.calls
    await wait_until(lambda: calls.ringing)
    hass.config_entries.async_update_entry(get_entry(hass), options={"excluded_homes": [SEASIDE]})
    await reload_and_connect(hass)
    assert get_entry(hass).runtime_data.calls.in_progress == ()


@pytest.mark.parametrize("case", product(CallState, ["offer", "status", "missed"]))
@pytest.mark.parametrize("again", [reload_and_connect, restart])
async def test_push_that_is_sent_again_rings_nobody(
    hass: HomeAssistant,
    fired: Fired,
    simulator: Simulator,
    case: tuple[CallState, str],
    again: Callable[[HomeAssistant], Any],
) -> None:
    """After a reload, or after a restart, of a call that rang, was answered, missed or ended."""
    outcome, step = case
    call = await ring(hass, simulator)
    end = {
        CallState.ANSWERED: simulator.answer_elsewhere,
        CallState.MISSED: simulator.miss,
        CallState.ENDED: simulator.hang_up,
    }
    if outcome in end:
        end[outcome](call)
        await wait_until(lambda: state_of(hass, RINGING) == "off")
    before = fired.kinds(CALL)
    await again(hass)
    ringing = state_of(hass, RINGING)
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    if step == "offer":
        simulator.push(pushes.offer(call, 99))
    else:
        kind = "incoming_call" if step == "status" else "missed_call"
        simulator.push(pushes.status(call, kind, at=call.at, subevent_id="again"))
    await wait_frames(hass, frames + 1)
    assert state_of(hass, RINGING) in {ringing, "off"}
    assert fired.kinds(DOORBELL) == ["ring"]
    is_news = step == "missed" and outcome in {CallState.RINGING, CallState.ENDED}
    # A missed call that is only known from the history is shown where its push says.
    fired_after = [*fired.kinds(CALL), *fired.kinds("event.classe_300x_call_panel_unknown")]
    assert fired_after == [*before, *["missed"] * is_news]


@pytest.mark.usefixtures("fired")
async def test_push_of_a_deleted_call_rings_nobody(
    hass: HomeAssistant, fired: Fired, simulator: Simulator
) -> None:
    """The call was deleted from the history before the restart."""
    call = await ring(hass, simulator)
    simulator.miss(call)
    await wait_until(lambda: state_of(hass, MISSED) == "1")
    data = {"call_id": [(await calls_of(hass))[-1].id]}
    await hass.services.async_call("bticino_classe", "delete_calls", data, blocking=True)
    await restart(hass)
    simulator.push(pushes.offer(call, 99))
    simulator.push(pushes.status(call, "incoming_call", at=call.at, subevent_id="again"))
    await wait_frames(hass, 3)
    assert fired.kinds(DOORBELL) == ["ring"]
    assert state_of(hass, RINGING) == "off"


@pytest.mark.parametrize("history", [{}, {"keep": False}, {"calls": 10}], ids=str)
@pytest.mark.parametrize("outcome", ["answer_elsewhere", "miss", "hang_up"])
async def test_replay_after_many_other_calls_rings_nobody(
    hass: HomeAssistant,
    fired: Fired,
    simulator: Simulator,
    outcome: str,
    history: dict[str, object],
) -> None:
    """Of the same frames, when more calls came since than the tracker or the history remembers."""
    hass.config_entries.async_update_entry(get_entry(hass), options={"history": history})
    await wait_idle(hass)
    await reload_and_connect(hass)
    call = await ring(hass, simulator)
    getattr(simulator, outcome)(call)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    counters = get_entry(hass).runtime_data.push.socket.counters
    for _ in range(300):
        simulator.miss(simulator.ring("Posto esterno cortile", pictures=False))
    await wait_until(lambda: state_of(hass, "binary_sensor.posto_esterno_cortile_bell") == "off")
    await wait_until(lambda: counters["frames"] >= 900)
    await wait_idle(hass)
    frames = counters["frames"]
    simulator.push(pushes.offer(call, 99))
    simulator.push(pushes.status(call, "incoming_call", at=call.at, subevent_id="again"))
    await wait_frames(hass, frames + 2)
    assert fired.kinds(DOORBELL) == ["ring"]
    assert state_of(hass, RINGING) == "off"
