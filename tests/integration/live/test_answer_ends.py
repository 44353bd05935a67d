"""What is shown, and stored, when an answered call ends without its viewer."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    call_action,
    get_entry,
    is_watched,
    reload_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_until,
)
from tests.integration.live.browser_client import STREET, BrowserClient, offer
from tests.integration.live.conftest import (
    IN_CALL,
    call_events,
    let_grace_period_pass,
    ring_and_wait,
    set_timeouts,
)
from tests.simulator import pushes

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import EventRecorder
    from tests.simulator import Simulator

BRIDGE_RINGING = "binary_sensor.classe_300x_bell_panel_unknown"


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
    assert is_watched(hass, STREET)
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
    assert call_events(events) == ["answered"]
    entry = get_entry(hass)
    await reload_entry(hass, entry)
    call = entry.runtime_data.history.last(simulator.house.bridges()[0].id)
    assert (call.outcome, call.answered_by, call.ended_by) == ("answered", "here", "here")
    assert call.ended_at is not None


async def test_viewer_returns_twice(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """Talk, mute, talk: one call with one end."""
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    for version in (2, 3):
        await view.close()
        view = await browser.watch(offer(version=version))
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "on"
    assert call_events(events) == ["answered"]
    await view.close()
    await let_grace_period_pass(hass)
    assert call_events(events) == ["answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"


async def test_browser_restarts_the_connection_of_an_answered_call(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """An ICE restart comes from the same peer connection, which never ends the first view."""
    await ring_and_wait(hass, simulator)
    await browser.watch(offer())
    restarted = offer().replace("a=ice-ufrag:", "a=ice-ufrag:x")
    view = await browser.watch(restarted)
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "on"
    assert call_events(events) == ["answered"]
    await view.close()
    await let_grace_period_pass(hass)
    assert call_events(events) == ["answered", "ended"]


async def test_hang_up_by_action(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """At once, and nothing more when the time to return has passed."""
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await call_action(hass, DOMAIN, "hang_up", STREET)
    await view.wait_for("error")
    await hass.async_block_till_done()
    assert call_events(events) == ["answered", "ended"]
    await let_grace_period_pass(hass)
    assert call_events(events) == ["answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"


async def test_end_is_reported_after_the_viewer_has_left(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The push is about the session that the viewer has terminated."""
    call = await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    simulator.push(pushes.end(call, "terminate", simulator.number()))
    await wait_frames(hass, frames + 1)
    assert state_of(hass, IN_CALL) == "on"
    await let_grace_period_pass(hass)
    assert call_events(events) == ["answered", "ended"]


@pytest.mark.parametrize("is_sending", [True, False])
async def test_reload_during_an_answered_call(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, *, is_sending: bool
) -> None:
    """The view ends, the intercom gets one terminate, and the call ends once."""
    await ring_and_wait(hass, simulator)
    if is_sending:
        set_timeouts(get_entry(hass), terminated=0.05)
        simulator.rtc.hold_acks()
        view = await browser.open_view(offer())
        await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    else:
        view = await browser.watch(offer())
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.rtc.release_acks()
    await view.wait_for("error")
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_idle(hass)
    call = entry.runtime_data.history.last(simulator.house.bridges()[0].id)
    assert call.ended_by == "here"
    assert call.answered_by == (None if is_sending else "here")


async def test_next_ring_is_answered_while_the_viewer_may_return(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The first call ends then, not after the longest time that a call may last."""
    await ring_and_wait(hass, simulator)
    first = await browser.watch(offer())
    await first.close()
    await ring_and_wait(hass, simulator)
    second = await browser.watch(offer(version=2))
    await hass.async_block_till_done()
    assert len(get_entry(hass).runtime_data.calls.in_progress) == 1
    await second.close()
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "off"
    assert call_events(events).count("ended") == 2
