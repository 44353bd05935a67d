"""*Line* while the player's talk button starts the view again."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import call_action, expect_refused, get_entry, state_of, wait_until
from tests.integration.live.browser_client import STREET, BrowserClient, offer, open_session
from tests.integration.live.conftest import IN_CALL, let_grace_period_pass, ring_and_wait
from tests.simulator.paths import PUSH

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

BRIDGE_IN_CALL = "binary_sensor.classe_300x_line_panel_unknown"


async def dialled(hass: HomeAssistant, simulator: Simulator) -> None:
    """The view is opened without a ring."""


async def answered(hass: HomeAssistant, simulator: Simulator) -> None:
    """The view answers the ring of the panel."""
    await ring_and_wait(hass, simulator)


async def answered_unknown_panel(hass: HomeAssistant, simulator: Simulator) -> None:
    """The view answers a ring that is shown at the intercom."""
    simulator.ring("Classe 300X")
    await wait_until(lambda: state_of(hass, "binary_sensor.classe_300x_bell_panel_unknown") == "on")


type Beginning = Callable[[HomeAssistant, Simulator], Awaitable[None]]


def states_in_call(hass: HomeAssistant, *entity_ids: str) -> list[str]:
    """Return a list to which every new state of these sensors is added."""
    states: list[str] = []

    def record(event: Any) -> None:
        if event.data["entity_id"] in entity_ids:
            states.append(event.data["new_state"].state)

    hass.bus.async_listen("state_changed", record)
    return states


@pytest.mark.parametrize("begin", [dialled, answered, answered_unknown_panel])
@pytest.mark.parametrize("is_overlapping", [False, True])
async def test_in_call_stays_on(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    begin: Beginning,
    is_overlapping: bool,
) -> None:
    """While the view starts again, however slowly; the intercom's own line stays free."""
    await begin(hass, simulator)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert (state_of(hass, IN_CALL), state_of(hass, BRIDGE_IN_CALL)) == ("on", "off")
    states = states_in_call(hass, IN_CALL, BRIDGE_IN_CALL)
    simulator.rtc.hold_acks()
    if is_overlapping:
        again = await browser.open_view(offer("chromium_talk"))
        await view.close()
    else:
        await view.close()
        again = await browser.open_view(offer("chromium_talk"))
    await let_grace_period_pass(hass)
    simulator.rtc.release_acks()
    await again.wait_for("answer")
    await let_grace_period_pass(hass)
    assert states == []
    await again.close()
    await let_grace_period_pass(hass)
    assert states == ["off"]


@pytest.mark.parametrize(
    ("house_name", "panel"),
    [
        ("classe_100x", "cancello"),
        ("classe_300eos", "entrance_panel_1"),
        ("easykit", "entrance_panel_1"),
        ("easykit_three_panels", "entrance_panel_2"),
    ],
)
async def test_in_call_stays_on_with_every_model(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, panel: str
) -> None:
    """A view that was opened without a ring."""
    browser.camera, in_call = f"camera.{panel}", f"binary_sensor.{panel}_line"
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    states = states_in_call(hass, in_call)
    for version in (2, 3):
        await view.close()
        await hass.async_block_till_done()
        view = await browser.watch(offer("chromium_talk", version=version))
    await let_grace_period_pass(hass)
    assert (states, simulator.rtc.offers) == ([], 3)
    await view.close()
    await let_grace_period_pass(hass)
    assert states == ["off"]


async def test_in_call_stays_on_without_pushes(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """It is available while there is a viewer in Home Assistant."""
    view = await browser.watch(offer())
    simulator.sockets.handshake_status = 503
    for connection in simulator.connections:
        if connection.path == PUSH:
            connection.drop()
    await wait_until(lambda: not get_entry(hass).runtime_data.push.is_online)
    states = states_in_call(hass, IN_CALL)
    await view.close()
    await browser.watch(offer("chromium_talk"))
    await hass.async_block_till_done()
    assert (states, state_of(hass, IN_CALL)) == ([], "on")


async def test_in_call_goes_off_if_nobody_returns(
    hass: HomeAssistant, browser: BrowserClient
) -> None:
    """After three seconds; the camera is idle at once."""
    view = await browser.watch(offer())
    await view.close()
    await wait_until(lambda: state_of(hass, STREET) == "idle")
    assert state_of(hass, IN_CALL) == "on"
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "off"


async def test_in_call_goes_off_at_once_when_the_intercom_ends_the_view(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """Nobody has left who could return."""
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert state_of(hass, IN_CALL) == "on"
    simulator.end_view(open_session(simulator))
    await view.wait_for("error")
    await hass.async_block_till_done()
    assert state_of(hass, IN_CALL) == "off"


async def test_in_call_goes_off_if_the_view_cannot_start_again(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The intercom has gone offline meanwhile."""
    view = await browser.watch(offer())
    await view.close()
    simulator.rtc.settings.refuse_offers = 41
    again = await browser.open_view(offer(version=2))
    await again.wait_for("error")
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "off"


@pytest.mark.parametrize("is_ring", [False, True])
async def test_hang_up_after_the_viewer_has_left(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, *, is_ring: bool
) -> None:
    """It ends the call at once, so that *Line* is right."""
    if is_ring:
        await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await view.close()
    assert state_of(hass, IN_CALL) == "on"
    await call_action(hass, DOMAIN, "hang_up", STREET)
    assert state_of(hass, IN_CALL) == "off"
    assert await expect_refused(hass, DOMAIN, "hang_up", STREET) == "no_call"
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "off"


async def test_unload_after_the_viewer_has_left(
    hass: HomeAssistant, browser: BrowserClient
) -> None:
    """No timer outlives the account."""
    view = await browser.watch(offer())
    await view.close()
    assert await hass.config_entries.async_unload(get_entry(hass).entry_id)
