"""Turning cameras on and off, also together with everything else in an area."""

from typing import TYPE_CHECKING, Any

from homeassistant.helpers import area_registry as ar, device_registry as dr, floor_registry as fr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from tests.integration.conftest import call_action, get_entry, is_watched, state_of, wait_until
from tests.integration.live.browser_client import STREET, YARD, BrowserClient, offer
from tests.integration.live.conftest import IN_CALL, RINGING, ring_and_wait

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

SERVICES = ["homeassistant.turn_off", "homeassistant.turn_on", "homeassistant.toggle"]


@pytest.fixture(name="targets")
async def _targets(hass: HomeAssistant, browser: BrowserClient) -> dict[str, dict[str, Any]]:  # noqa: ARG001 - whose account has the devices
    """What reaches all devices of the account."""
    floor = fr.async_get(hass).async_create("Ground floor")
    area = ar.async_get(hass).async_create("Entrance", floor_id=floor.floor_id)
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, get_entry(hass).entry_id)
    for device in devices:
        registry.async_update_device(device.id, area_id=area.id)
    assert await async_setup_component(hass, "homeassistant", {})
    return {
        "area": {"area_id": area.id},
        "floor": {"floor_id": floor.floor_id},
        "devices": {"device_id": [device.id for device in devices]},
        "cameras": {"entity_id": [STREET, YARD]},
    }


async def run_script(hass: HomeAssistant, service: str, target: dict[str, Any]) -> bool:
    """Run a script with this action; return whether its next step was run too."""
    events = async_capture_events(hass, "armed")
    sequence = [{"action": service, "target": target}, {"event": "armed"}]
    assert await async_setup_component(
        hass, "script", {"script": {"leave": {"sequence": sequence}}}
    )
    await hass.services.async_call("script", "leave", blocking=True)
    await hass.async_block_till_done()
    return len(events) == 1


@pytest.mark.parametrize("target", ["area", "floor", "devices", "cameras"])
@pytest.mark.parametrize("service", SERVICES)
async def test_script_continues(
    hass: HomeAssistant,
    simulator: Simulator,
    targets: dict[str, dict[str, Any]],
    *,
    service: str,
    target: str,
) -> None:
    """The cameras raise nothing and dial nothing."""
    assert await run_script(hass, service, targets[target])
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)
    assert state_of(hass, STREET) == "idle"


@pytest.mark.parametrize("service", SERVICES)
async def test_script_continues_while_the_intercom_is_offline(
    hass: HomeAssistant, simulator: Simulator, targets: dict[str, dict[str, Any]], service: str
) -> None:
    """Unavailable entities are left out."""
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, STREET) == "unavailable")
    assert await run_script(hass, service, targets["area"])


@pytest.mark.parametrize("service", SERVICES)
async def test_ring_is_not_affected(
    hass: HomeAssistant, simulator: Simulator, targets: dict[str, dict[str, Any]], service: str
) -> None:
    """It is neither answered nor declined."""
    await ring_and_wait(hass, simulator)
    assert await run_script(hass, service, targets["area"])
    assert state_of(hass, RINGING) == "on"
    assert (simulator.rtc.offers, simulator.rtc.answers, simulator.rtc.terminates) == (0, 0, 0)


@pytest.mark.parametrize("is_ring", [False, True])
@pytest.mark.parametrize(
    ("service", "target"),
    [
        ("camera.turn_off", "cameras"),
        ("homeassistant.turn_off", "cameras"),
        ("homeassistant.turn_off", "area"),
    ],
)
async def test_turn_off_hangs_up(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    targets: dict[str, dict[str, Any]],
    *,
    service: str,
    target: str,
    is_ring: bool,
) -> None:
    """The intercom gets one terminate, and the viewer the reason."""
    if is_ring:
        await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    assert await run_script(hass, service, targets[target])
    await view.wait_for("error")
    assert view.error_code == "call_hung_up"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    assert (state_of(hass, STREET), state_of(hass, IN_CALL)) == ("idle", "off")


async def test_turn_off_of_another_camera(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The view goes on."""
    await browser.watch(offer())
    await call_action(hass, "camera", "turn_off", YARD)
    await hass.async_block_till_done()
    assert is_watched(hass, STREET)
    assert simulator.rtc.terminates == 0


@pytest.mark.parametrize("is_watched", [False, True])
async def test_turn_on_does_nothing(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, *, is_watched: bool
) -> None:
    """It neither dials the panel nor ends a view."""
    if is_watched:
        await browser.watch(offer())
        await hass.async_block_till_done()
    before = (state_of(hass, STREET), simulator.rtc.frames.copy())
    await call_action(hass, "camera", "turn_on", STREET)
    await hass.async_block_till_done()
    assert (state_of(hass, STREET), simulator.rtc.frames) == before
