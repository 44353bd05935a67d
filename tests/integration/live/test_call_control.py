"""Hang up, decline a ring, switch to the next panel."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from custom_components.bticino_classe.live import manager
from tests.integration.conftest import (
    EventRecorder,
    call_action,
    expect_refused,
    get_entry,
    is_watched,
    poll,
    skip_backoff,
    state_of,
    wait_frames,
    wait_until,
)
from tests.integration.live.browser_client import (
    STREET,
    YARD,
    BrowserClient,
    offer,
    open_session,
    panel_id,
)
from tests.integration.live.conftest import (
    RINGING,
    call_events,
    ring_and_wait,
    set_timeouts,
)
from tests.integration.test_devices import respell

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

NEXT_PANEL = "button.classe_300x_next_panel"


async def test_hang_up(hass: HomeAssistant, browser: BrowserClient, simulator: Simulator) -> None:
    """From an automation or another room; refused without a call."""
    assert await expect_refused(hass, DOMAIN, "hang_up", STREET) == "no_call"
    view = await browser.watch(offer())
    assert await expect_refused(hass, DOMAIN, "hang_up", YARD) == "no_call"
    await call_action(hass, DOMAIN, "hang_up", STREET)
    await view.wait_for("error")
    assert view.error_code == "call_hung_up"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1


async def test_hang_up_during_an_outage(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The camera stays available while there is a viewer."""
    await browser.watch(offer())
    get_entry(hass).runtime_data.coordinator.async_set_update_error(TimeoutError())
    await hass.async_block_till_done()
    assert state_of(hass, YARD) == "unavailable"
    assert is_watched(hass, STREET)
    await call_action(hass, DOMAIN, "hang_up", STREET)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "unavailable"


@pytest.mark.usefixtures("browser")
async def test_decline_a_ring(
    hass: HomeAssistant, simulator: Simulator, events: EventRecorder
) -> None:
    """It ends for everybody, unanswered."""
    assert await expect_refused(hass, DOMAIN, "decline_ring", STREET) == "nobody_rings"
    await ring_and_wait(hass, simulator)
    assert await expect_refused(hass, DOMAIN, "decline_ring", YARD) == "nobody_rings"
    await call_action(hass, DOMAIN, "decline_ring", STREET)
    assert state_of(hass, RINGING) == "off"
    await wait_frames(hass, 4)
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (0, 1)
    assert call_events(events) == ["ended"]


@pytest.mark.usefixtures("browser")
async def test_decline_a_ring_of_an_id_in_capital_letters(
    hass: HomeAssistant,
    simulator: Simulator,
    events: EventRecorder,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The intercom is addressed as the cloud writes its id."""
    respell(simulator, str.upper)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await ring_and_wait(hass, simulator)
    await call_action(hass, DOMAIN, "decline_ring", STREET)
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (0, 1)
    assert call_events(events) == ["ended"]


async def test_second_viewer_after_the_ids_are_respelled(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is still the same line: the intercom is not dialled a second time."""
    await browser.watch(offer())
    respell(simulator, str.upper)
    coordinator = get_entry(hass).runtime_data.coordinator
    coordinator.async_expect_modules("unknown")
    await wait_until(lambda: all(m.cloud_id for m in coordinator.data.modules.values()))
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.01)
    second = await browser.open_view(offer(version=2))
    await second.wait_for("error")
    assert second.error_code == "call_busy"
    assert simulator.rtc.offers == 1


@pytest.mark.usefixtures("browser")
async def test_ring_is_declined_once(hass: HomeAssistant, simulator: Simulator) -> None:
    """A second attempt during the first is refused."""
    await ring_and_wait(hass, simulator)
    simulator.rtc.hold_acks()
    first = asyncio.create_task(call_action(hass, DOMAIN, "decline_ring", STREET))
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    assert await expect_refused(hass, DOMAIN, "decline_ring", STREET) == "nobody_rings"
    simulator.rtc.release_acks()
    await first
    assert simulator.rtc.terminates == 1


@pytest.mark.parametrize("is_sent", [False, True])
async def test_decline_a_ring_that_is_being_answered(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    is_sent: bool,
) -> None:
    """The viewer's session ends, and the intercom gets one terminate."""
    await ring_and_wait(hass, simulator)
    channel = get_entry(hass).runtime_data.live.channel
    if is_sent:
        simulator.rtc.hold_acks()
    else:
        skip_backoff(channel)
        simulator.sockets.handshake_status = 503
    view = await browser.open_view(offer())
    if is_sent:
        await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    else:
        await wait_until(lambda: channel.socket.counters["connections_ended"])
        simulator.sockets.handshake_status = None
    await call_action(hass, DOMAIN, "decline_ring", STREET)
    simulator.rtc.release_acks()
    await view.wait_for("error")
    assert view.error_code == "call_hung_up"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await hass.async_block_till_done()
    assert call_events(events) == ["ended"]
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (int(is_sent), 1)


@pytest.mark.usefixtures("browser")
async def test_failed_decline(hass: HomeAssistant, simulator: Simulator) -> None:
    """An error is raised, and the ring continues."""
    await ring_and_wait(hass, simulator)
    set_timeouts(get_entry(hass), connected=0.05)
    simulator.sockets.handshake_status = 503
    assert await expect_refused(hass, DOMAIN, "decline_ring", STREET) == "cannot_connect"
    assert state_of(hass, RINGING) == "on"


@pytest.mark.parametrize("house_name", ["easykit"])
async def test_ring_that_cannot_be_declined(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Without an offer from the cloud there is nothing to decline."""
    simulator.ring()
    await wait_until(events.rings)
    camera = "camera.entrance_panel_1"
    assert await expect_refused(hass, DOMAIN, "decline_ring", camera) == "cannot_decline"


async def test_next_panel(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The button is always available; without a view, it names the reason, as the action does."""
    assert state_of(hass, NEXT_PANEL) == "unknown"
    assert await expect_refused(hass, "button", "press", NEXT_PANEL) == "no_call"
    assert await expect_refused(hass, DOMAIN, "next_panel", STREET) == "no_call"
    await browser.watch(offer())
    await hass.async_block_till_done()
    await call_action(hass, "button", "press", NEXT_PANEL)
    yard = panel_id(simulator, "Posto esterno cortile")
    assert open_session(simulator).panel_id == yard
    await call_action(hass, DOMAIN, "next_panel", STREET)
    assert open_session(simulator).next_modules == 2
