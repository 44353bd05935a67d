"""The blueprint that opens a door by itself."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.core import State
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_mock_service,
    mock_restore_cache,
)

from tests.integration.blueprints.conftest import (
    AUTOMATION,
    LOOP_TURNS,
    ROME,
    STREET,
    STREET_DOORBELL,
    YARD,
    Automate,
    Phone,
    in_each_language,
    opened_doors,
    texts_of,
)
from tests.integration.conftest import (
    call_action,
    device_id_of,
    reload_entry,
    state_of,
    wait_online,
    wait_until,
)
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

RINGING = {
    STREET: "binary_sensor.posto_esterno_strada_bell",
    YARD: "binary_sensor.posto_esterno_cortile_bell",
}
MONDAY_MORNING = datetime(2026, 11, 23, 9, 0, tzinfo=ROME)


@pytest.fixture(name="monday")
def _monday(freezer: FrozenDateTimeFactory) -> FrozenDateTimeFactory:
    """A clock that is set to nine on a Monday morning in Rome."""
    freezer.move_to(MONDAY_MORNING)
    return freezer


@pytest.fixture(name="opening_automation")
async def _opening_automation(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,  # noqa: ARG001 - set before the account is set up
    automate: Automate,
    anna: Phone,
) -> Automate:
    """Creates the automation: weekdays from eight to noon, two openings, two minutes apart."""
    hass.states.async_set("input_boolean.parcels", "on")
    assert await async_setup_component(hass, "counter", {"counter": {"openings": {}}})

    async def make(**changed: Any) -> None:
        defaults = {
            "doorbells": [STREET_DOORBELL],
            "door": "lock.portone",
            "begin": "08:00:00",
            "end": "12:00:00",
            "counter": "counter.openings",
            "limit": 2,
            "pause": 2,
            "phones": [anna.device_id],
            "conditions": [
                {"condition": "state", "entity_id": "input_boolean.parcels", "state": "on"}
            ],
        }
        await automate("open_by_itself", **(defaults | changed))

    return make


async def move_clock(
    hass: HomeAssistant,
    clock: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    moment: datetime,
) -> None:
    """Set the clock and reconnect: a time jump on an open connection looks like a dead one."""
    clock.move_to(moment)
    await reload_entry(hass, online_entry)
    await wait_online(online_entry)


async def ring_and_hang_up(hass: HomeAssistant, simulator: Simulator, panel: str = STREET) -> None:
    """Ring for three seconds, hang up, and wait for everything that follows."""
    call = await ring(hass, simulator, panel)
    await let_pass(hass, 3)
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, RINGING[panel]) == "off")
    await hass.async_block_till_done()


async def ring(hass: HomeAssistant, simulator: Simulator, panel: str = STREET) -> Any:
    """Ring until the automation waits; returns the call."""
    call = simulator.ring(panel)
    await wait_until(lambda: state_of(hass, RINGING[panel]) == "on")
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    return call


async def let_pass(hass: HomeAssistant, seconds: float) -> None:
    """Let the timers of the next seconds expire; the clock itself stands still."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


async def test_simulated_ring_opens_nothing(
    hass: HomeAssistant,
    opening_automation: Automate,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """It is not counted either."""
    hass.config_entries.async_update_entry(online_entry, options={"simulated_rings": True})
    await reload_entry(hass, online_entry)
    await wait_online(online_entry)
    await opening_automation()
    await hass.services.async_call(
        "bticino_classe",
        "simulate_ring",
        {"device_id": device_id_of(hass, STREET), "seconds": 40},
        blocking=True,
    )
    await wait_until(lambda: state_of(hass, RINGING[STREET]) == "on")
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    await let_pass(hass, 3)
    assert opened_doors(simulator) == []
    assert state_of(hass, "counter.openings") == "0"


async def test_opens_and_notifies(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator, anna: Phone
) -> None:
    """One ring, one command, at the chosen panel only."""
    await opening_automation()
    await ring_and_hang_up(hass, simulator, YARD)
    assert opened_doors(simulator) == []
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == ["Portone"]
    (sent,) = anna.sent
    assert sent["title"] == "Opened by itself"
    assert sent["message"] == f"Somebody rang at {STREET}. Open command sent to Portone."
    assert state_of(hass, "counter.openings") == "1"


async def test_limit_and_pause_are_kept(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    opening_automation: Automate,
    simulator: Simulator,
) -> None:
    """Twice in a window, with a pause in between; the next day has its own limit."""
    await opening_automation()
    seen = []
    for minutes in (0, 1, 2, 30, 60, 24 * 60):
        await move_clock(hass, monday, online_entry, MONDAY_MORNING + timedelta(minutes=minutes))
        await ring_and_hang_up(hass, simulator)
        seen.append(len(opened_doors(simulator)))
    assert seen == [1, 1, 2, 2, 2, 3]
    assert state_of(hass, "counter.openings") == "1"


@pytest.mark.parametrize(
    ("moment", "changed", "opens"),
    [
        ("2026-11-23 07:59:59", {}, 0),
        ("2026-11-23 08:00:00", {}, 1),
        ("2026-11-23 11:59:59", {}, 1),
        ("2026-11-23 12:00:00", {}, 0),
        ("2026-11-22 09:00:00", {}, 0),
        ("2026-11-22 09:00:00", {"weekdays": ["sun"]}, 1),
        ("2026-11-23 23:00:00", {"begin": "22:00:00", "end": "06:00:00"}, 1),
        ("2026-11-24 05:59:59", {"begin": "22:00:00", "end": "06:00:00", "weekdays": ["mon"]}, 1),
        ("2026-11-23 05:59:59", {"begin": "22:00:00", "end": "06:00:00", "weekdays": ["mon"]}, 0),
        ("2026-11-23 12:00:00", {"begin": "22:00:00", "end": "06:00:00"}, 0),
        ("2026-11-23 09:00:00", {"begin": "09:00:00", "end": "09:00:00"}, 0),
    ],
)
async def test_time_window(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    opening_automation: Automate,
    simulator: Simulator,
    *,
    moment: str,
    changed: dict[str, Any],
    opens: int,
) -> None:
    """From its first second until before its end, on the day on which it begins."""
    await opening_automation(**changed)
    await move_clock(
        hass, monday, online_entry, datetime.fromisoformat(moment).replace(tzinfo=ROME)
    )
    await ring_and_hang_up(hass, simulator)
    assert len(opened_doors(simulator)) == opens


async def test_window_over_midnight(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    opening_automation: Automate,
    simulator: Simulator,
) -> None:
    """The limit does not start again at midnight."""
    await opening_automation(begin="22:00:00", end="06:00:00")
    for hour in (23, 24, 25):
        await move_clock(hass, monday, online_entry, MONDAY_MORNING + timedelta(hours=hour - 9))
        await ring_and_hang_up(hass, simulator)
    assert len(opened_doors(simulator)) == 2


async def test_custom_conditions(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator
) -> None:
    """A ring that fails them does not count towards the limit."""
    await opening_automation()
    hass.states.async_set("input_boolean.parcels", "off")
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == []
    hass.states.async_set("input_boolean.parcels", "on")
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == ["Portone"]


async def test_unavailable_door(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator, anna: Phone
) -> None:
    """No command is sent, and no phone shows that it opened."""
    await opening_automation()
    simulator.set_reachable("Portone", False)
    await wait_until(lambda: state_of(hass, "lock.portone") == "unavailable")
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == []
    assert anna.sent == []
    assert state_of(hass, "counter.openings") == "0"


async def test_failed_opening_is_reported_and_counted(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator, anna: Phone
) -> None:
    """The door may have opened."""
    await opening_automation()
    simulator.fail(SETSTATE, Failure(drop=True, executed=True))
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == ["Portone"]
    (sent,) = anna.sent
    assert sent["title"] == "Not opened by itself"
    assert "may not have opened" in sent["message"]
    assert state_of(hass, "counter.openings") == "1"


@in_each_language
@pytest.mark.parametrize("fails", [False, True])
async def test_languages(
    hass: HomeAssistant,
    opening_automation: Automate,
    simulator: Simulator,
    anna: Phone,
    language: str,
    *,
    fails: bool,
) -> None:
    """Title, message and channel are in the chosen language."""
    await opening_automation(language=language)
    if fails:
        simulator.fail(SETSTATE, Failure(drop=True, executed=True))
    await ring_and_hang_up(hass, simulator)
    (sent,) = anna.sent
    text = texts_of("open_by_itself", language, panel=STREET, door="Portone")
    expected = ("failed_title", "failed") if fails else ("title", "message")
    assert (sent["title"], sent["message"]) == tuple(text[key] for key in expected)
    assert sent["data"]["channel"] == text["channel"]


async def test_counter_that_does_not_count(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator
) -> None:
    """Without a working limit nothing opens, as with a maximum of zero."""
    await opening_automation()
    hass.services.async_remove("counter", "increment")
    async_mock_service(hass, "counter", "increment")
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == []


async def test_manual_run_opens_nothing(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator
) -> None:
    """A manual run skips the conditions."""
    await opening_automation()
    await call_action(hass, "automation", "trigger", AUTOMATION)
    await let_pass(hass, 3)
    assert opened_doors(simulator) == []


@pytest.mark.parametrize("begun", [0, 1])
@pytest.mark.parametrize("runs", [1, 3])
async def test_manual_run_does_not_use_up_the_window(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    opening_automation: Automate,
    simulator: Simulator,
    *,
    begun: int,
    runs: int,
) -> None:
    """Yesterday's openings do not count, today's do; the pause is that after an opening."""
    await opening_automation()
    for minutes in (0, 10):
        await move_clock(hass, monday, online_entry, MONDAY_MORNING + timedelta(minutes=minutes))
        await ring_and_hang_up(hass, simulator)
    tuesday = MONDAY_MORNING + timedelta(days=1)
    for number in range(begun):
        await move_clock(hass, monday, online_entry, tuesday - timedelta(minutes=10 - number))
        await ring_and_hang_up(hass, simulator)
    assert len(opened_doors(simulator)) == 2 + begun
    for number in range(runs):
        monday.move_to(tuesday + timedelta(seconds=number))
        await call_action(hass, "automation", "trigger", AUTOMATION)
        await let_pass(hass, 3)
    for minutes in (1, 11, 21):
        await move_clock(hass, monday, online_entry, tuesday + timedelta(minutes=minutes))
        await ring_and_hang_up(hass, simulator)
    assert len(opened_doors(simulator)) == 2 + 2
    assert state_of(hass, "counter.openings") == "2"


async def test_manual_run_does_not_shorten_the_pause(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator
) -> None:
    """The door opens twice with a pause in between, whatever is run by hand."""
    await opening_automation()
    await ring_and_hang_up(hass, simulator)
    await call_action(hass, "automation", "trigger", AUTOMATION)
    await let_pass(hass, 3)
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == ["Portone"]
    assert state_of(hass, "counter.openings") == "1"


async def test_opens_two_seconds_after_the_ring(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator
) -> None:
    """Not at once."""
    await opening_automation()
    await ring(hass, simulator)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=1))
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    assert opened_doors(simulator) == []
    await let_pass(hass, 3)
    assert opened_doors(simulator) == ["Portone"]


@pytest.mark.parametrize("end", ["hung up", "answered elsewhere", "off", "unavailable", "unknown"])
async def test_ring_that_is_over_opens_nothing(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator, anna: Phone, end: str
) -> None:
    """It may be the late report of an older ring; it does not count towards the limit."""
    await opening_automation()
    call = await ring(hass, simulator)
    if end == "hung up":
        simulator.hang_up(call)
    elif end == "answered elsewhere":
        simulator.answer_elsewhere(call)
    else:
        hass.states.async_set(RINGING[STREET], end)
    await wait_until(lambda: state_of(hass, RINGING[STREET]) != "on")
    await let_pass(hass, 3)
    assert opened_doors(simulator) == []
    assert anna.sent == []
    assert state_of(hass, "counter.openings") == "0"


async def test_renamed_sensor_is_found(
    hass: HomeAssistant, opening_automation: Automate, simulator: Simulator
) -> None:
    """*Bell* belongs to the device of the doorbell."""
    er.async_get(hass).async_update_entity(
        RINGING[STREET], new_entity_id="binary_sensor.bell", name="Campanello"
    )
    await hass.async_block_till_done()
    await opening_automation()
    simulator.ring(STREET)
    await wait_until(lambda: state_of(hass, "binary_sensor.bell") == "on")
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    await let_pass(hass, 3)
    assert opened_doors(simulator) == ["Portone"]


async def test_door_with_a_code(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    opening_automation: Automate,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """It is not opened by itself, and not attempted."""
    door = simulator.house.find("Portone").id
    hass.config_entries.async_update_entry(online_entry, options={"door_codes": {door: "1234"}})
    await reload_entry(hass, online_entry)
    await wait_online(online_entry)
    await opening_automation()
    await ring_and_hang_up(hass, simulator)
    assert opened_doors(simulator) == []
    assert anna.sent == []
    assert state_of(hass, "counter.openings") == "0"


@pytest.fixture(name="count")
def _count(hass: HomeAssistant, request: pytest.FixtureRequest) -> str:
    """The restored state: a number of openings, the last one half an hour ago."""
    last = (MONDAY_MORNING - timedelta(minutes=30)).isoformat()
    automation = State(AUTOMATION, "on", {"last_triggered": last})
    count: str = request.param
    mock_restore_cache(hass, [State("counter.openings", count), automation])
    return count


@pytest.mark.parametrize("count", ["1", "2"], indirect=True)
async def test_limit_survives_a_restart(
    hass: HomeAssistant, count: str, opening_automation: Automate, simulator: Simulator
) -> None:
    """The counter and the automation's last run are restored."""
    await opening_automation()
    assert state_of(hass, "counter.openings") == count
    await ring_and_hang_up(hass, simulator)
    assert len(opened_doors(simulator)) == 2 - int(count)
    assert state_of(hass, "counter.openings") == "2"
