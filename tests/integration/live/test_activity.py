"""Activity lists a ring and a visit in few lines."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from tests.integration.conftest import call_action, call_entity, state_of, wait_idle, wait_until
from tests.integration.live.browser_client import STREET, BrowserClient, offer
from tests.integration.live.conftest import let_grace_period_pass

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        RecorderInstanceContextManager,
        WebSocketGenerator,
    )

    from tests.simulator import Simulator

MOST_OF_A_MISSED_RING, MOST_OF_A_VISIT = 5, 8
PULSE = timedelta(minutes=1)  # longer than a door is shown as unlocked
# The panel that rings and the door, as in entity ids, of each house.
PLACES = {
    "classe_100x": ("cancello", "lock.porta"),
    "classe_300x": ("posto_esterno_strada", "lock.cancello"),
    "three_panels": ("posto_esterno_cancello", "lock.cancello"),
    "classe_300eos": ("entrance_panel_1", "lock.door_1"),
    "easykit": ("entrance_panel_1", "lock.door_1"),
    "easykit_three_panels": ("easykit", "lock.door_1"),
    "ip_units": ("ingresso", "lock.porta"),
    "bcepa": ("ingresso", None),
}
ANSWERABLE = ("classe_100x", "classe_300x", "three_panels")


@pytest.fixture(name="opened_by", params=["lock.open", "lock.unlock"])
def _opened_by(request: pytest.FixtureRequest) -> tuple[str, str]:
    domain, _, service = request.param.partition(".")
    return domain, service


@pytest.fixture
async def mock_recorder_before_hass(
    async_test_recorder: RecorderInstanceContextManager,
) -> None:
    """Set up the recorder before Home Assistant."""


@pytest.fixture(autouse=True)
def _enabled() -> None:
    """Only what is enabled by default."""


@pytest.fixture(autouse=True)
async def _logbook(
    recorder_mock: object,  # noqa: ARG001 - the recorder
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - set up before
) -> None:
    """Activity, without the frontend's files, which are not installed."""
    hass.config.components.add("frontend")
    assert await async_setup_component(hass, "logbook", {})
    await hass.async_block_till_done()


@pytest.fixture(name="begin", autouse=True)
def _begin(_logbook: None) -> datetime:
    """When the account was set up."""
    return dt_util.utcnow()


async def activity(
    hass: HomeAssistant, ws_client: WebSocketGenerator, begin: datetime
) -> list[str]:
    """Return the lines of the Activity page, of all entities: which, and its state or event."""
    await wait_idle(hass)
    await get_instance(hass).async_block_till_done()
    socket = await ws_client()
    request = {"type": "logbook/get_events", "start_time": begin.isoformat()}
    await socket.send_json_auto_id(request)
    lines: list[dict[str, Any]] = (await socket.receive_json())["result"]
    return [
        f"{line['entity_id']}: {line.get('attributes', {}).get('event_type', line['state'])}"
        for line in lines
    ]


def bell_of(house: str) -> str:
    """Return the bell that rings in a house."""
    return call_entity("binary_sensor", PLACES[house][0], "bell")


async def open_door(hass: HomeAssistant, lock: str, action: tuple[str, str]) -> None:
    """Open a door, and wait until it is shown as locked again."""
    await call_action(hass, *action, lock)
    async_fire_time_changed(hass, dt_util.utcnow() + PULSE)
    await wait_until(lambda: state_of(hass, lock) == "locked")


@pytest.mark.parametrize("house_name", PLACES)
async def test_missed_ring(
    hass: HomeAssistant,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    begin: datetime,
    house_name: str,
) -> None:
    """The doorbell, the bell and how the call ended."""
    bell = bell_of(house_name)
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, bell) == "on")
    simulator.miss(call)
    await wait_until(lambda: state_of(hass, bell) == "off")
    lines = await activity(hass, hass_ws_client, begin)
    assert sorted(line.partition(": ")[2] for line in lines) == ["missed", "off", "on", "ring"]
    assert len(lines) <= MOST_OF_A_MISSED_RING, lines


@pytest.mark.parametrize("ack_mode", ["echo"], indirect=True)
@pytest.mark.parametrize("house_name", ANSWERABLE)
async def test_visit_that_is_answered_here(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    begin: datetime,
    house_name: str,
    opened_by: tuple[str, str],
) -> None:
    """Ring, answer, talk, door, end."""
    location, lock = PLACES[house_name]
    browser.camera = f"camera.{location}"
    assert lock is not None
    simulator.ring(simulator.house.panels()[0].name)
    await wait_until(lambda: state_of(hass, bell_of(house_name)) == "on")
    listening = await browser.watch(offer())
    await listening.close()
    talking = await browser.watch(offer("chromium_talk"))
    await open_door(hass, lock, opened_by)
    await talking.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await let_grace_period_pass(hass)
    call = hass.states.get(f"event.{location}_call")
    assert call is not None
    assert call.attributes["event_type"] == "ended"
    lines = await activity(hass, hass_ws_client, begin)
    assert f"event.{location}_call: answered" in lines
    assert f"{lock}: unlocked" in lines
    assert len(lines) <= MOST_OF_A_VISIT, lines


@pytest.mark.parametrize("house_name", [house for house, (_, lock) in PLACES.items() if lock])
async def test_visit_that_is_answered_elsewhere(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    begin: datetime,
    house_name: str,
    opened_by: tuple[str, str],
) -> None:
    """Ring, answer at the indoor unit, door opened from here, end."""
    bell, (_, lock) = bell_of(house_name), PLACES[house_name]
    assert lock is not None
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, bell) == "on")
    simulator.answer_elsewhere(call)
    await wait_until(lambda: state_of(hass, bell) == "off")
    await open_door(hass, lock, opened_by)
    simulator.hang_up(call)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1))  # if no end is pushed
    lines = await activity(hass, hass_ws_client, begin)
    assert len(lines) <= MOST_OF_A_VISIT, lines


@pytest.mark.parametrize("ack_mode", ["echo"], indirect=True)
async def test_view(
    hass: HomeAssistant, browser: BrowserClient, hass_ws_client: WebSocketGenerator, begin: datetime
) -> None:
    """Looking without a ring is no line."""
    view = await browser.watch(offer())
    await view.close()
    await let_grace_period_pass(hass)
    assert await activity(hass, hass_ws_client, begin) == []
    assert state_of(hass, STREET) == "idle"
