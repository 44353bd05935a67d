"""Rings go on if their answer was not sent."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    call_action,
    get_entry,
    skip_backoff,
    state_of,
    wait_frames,
    wait_until,
)
from tests.integration.live.browser_client import STREET, BrowserClient, BrowserView, offer
from tests.integration.live.conftest import (
    CALL_EVENT,
    IN_CALL,
    RINGING,
    call_events,
    let_grace_period_pass,
    ring_and_wait,
    set_timeouts,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import EventRecorder
    from tests.simulator import Simulator
    from tests.simulator.calls import Call


async def begin_answer(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> tuple[Call, BrowserView]:
    """Open the camera while it rings and the signaling socket cannot be opened."""
    set_timeouts(get_entry(hass), terminated=0.05)
    socket = get_entry(hass).runtime_data.live.channel.socket
    call = await ring_and_wait(hass, simulator)
    simulator.sockets.handshake_status = 503
    view = await browser.open_view(offer())
    await wait_until(lambda: socket.counters["connections_ended"])
    return call, view


@pytest.mark.parametrize("how", ["close", "disconnect", "hang_up", "turn_off"])
async def test_viewer_leaves_before_the_answer_is_sent(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    how: str,
) -> None:
    """It is still ringing, here and everywhere, and can be answered."""
    call, view = await begin_answer(hass, browser, simulator)
    match how:
        case "close":
            await view.close()
        case "disconnect":
            await browser.disconnect()
            await wait_until(lambda: not get_entry(hass).runtime_data.live.viewers)
        case "hang_up":
            await call_action(hass, DOMAIN, "hang_up", STREET)
        case _:
            await call_action(hass, "camera", "turn_off", STREET)
    await let_grace_period_pass(hass)
    assert (state_of(hass, RINGING), state_of(hass, IN_CALL)) == ("on", "off")
    assert call_events(events) == []
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert call_events(events) == ["ended"]
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (0, 0)


async def test_ring_is_answered_after_a_viewer_has_left(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The next viewer answers the same ring."""
    skip_backoff(get_entry(hass).runtime_data.live.channel)
    call, view = await begin_answer(hass, browser, simulator)
    await view.close()
    simulator.sockets.handshake_status = None
    await browser.watch(offer(version=2))
    assert call.answered
    await hass.async_block_till_done()
    assert call_events(events) == ["answered"]


async def test_connection_cannot_be_opened(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The viewer gets the reason, and the ring goes on."""
    set_timeouts(get_entry(hass), connected=0.05)
    _, view = await begin_answer(hass, browser, simulator)
    await view.wait_for("error")
    assert view.error_code == "cannot_connect"
    assert state_of(hass, RINGING) == "on"
    assert call_events(events) == []


async def test_phone_answers_while_the_viewer_waits(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """This is known once the viewer has left."""
    call, view = await begin_answer(hass, browser, simulator)
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    simulator.answer_elsewhere(call)
    await wait_frames(hass, frames + 2)
    await view.close()
    await hass.async_block_till_done()
    assert state_of(hass, RINGING) == "off"
    assert call_events(events) == ["answered"]
    state = hass.states.get(CALL_EVENT)
    assert state is not None
    assert state.attributes["answered_by"] == "elsewhere"


async def test_unload_before_the_answer_is_sent(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """No end is reported: the ring goes on for every phone."""
    _, view = await begin_answer(hass, browser, simulator)
    assert await hass.config_entries.async_unload(get_entry(hass).entry_id)
    await view.wait_for("error")
    assert view.error_code == "call_hung_up"
    assert call_events(events) == []
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (0, 0)
