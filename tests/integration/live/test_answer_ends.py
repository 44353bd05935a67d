"""What is shown, and stored, when an answered call ends without its viewer."""

from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.calls.answers import RECONNECT_GRACE_SECONDS
from tests.integration.conftest import (
    get_entry,
    reload_entry,
    state_of,
    wait_until,
)
from tests.integration.live.browser_client import STREET, BrowserClient, offer
from tests.integration.live.conftest import IN_CALL, call_events, ring_and_wait

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import EventRecorder
    from tests.simulator import Simulator

BRIDGE_RINGING = "binary_sensor.classe_300x_ringing"


async def let_grace_period_pass(hass: HomeAssistant) -> None:
    """Let the time pass in which a viewer may return."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=RECONNECT_GRACE_SECONDS + 1))
    await hass.async_block_till_done()


async def test_call_of_an_unknown_panel_ends_at_the_panel_that_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The call itself is shown at the intercom."""
    simulator.ring("Classe 300X")
    await wait_until(lambda: state_of(hass, BRIDGE_RINGING) == "on")
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert simulator.rtc.answers == 1
    assert state_of(hass, IN_CALL) == "on"
    await view.close()
    await hass.async_block_till_done()
    assert state_of(hass, IN_CALL) == "on"
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "off"


async def test_camera_of_an_unreachable_intercom_ends_with_the_call(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """During the call it stays available, so that the call can be ended."""
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    assert state_of(hass, STREET) == "streaming"
    await view.close()
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "idle"
    await let_grace_period_pass(hass)
    assert state_of(hass, STREET) == "unavailable"


@pytest.mark.usefixtures("online_entry")
async def test_camera_of_an_unreachable_intercom_follows_the_ring(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """It can be opened while the panel is ringing, and no longer."""
    simulator.unplug_bridge()
    await wait_until(lambda: state_of(hass, STREET) == "unavailable")
    call = await ring_and_wait(hass, simulator)
    assert state_of(hass, STREET) == "idle"
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, STREET) == "unavailable")


async def test_reload_while_the_viewer_may_return(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The call has its one end, when the viewer left."""
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await view.close()
    await hass.async_block_till_done()
    assert call_events(events) == ["incoming", "answered"]
    entry = get_entry(hass)
    await reload_entry(hass, entry)
    call = entry.runtime_data.history.last(simulator.house.bridges()[0].id)
    assert (call.outcome, call.answered_by, call.ended_by) == ("answered", "here", "here")
    assert call.ended_at is not None
