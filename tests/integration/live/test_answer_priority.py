"""Answering a ring comes before watching: a view does not keep others from the bell."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.live import manager
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import (
    get_entry,
    reload_entry,
    state_of,
    wait_online,
    wait_until,
)
from tests.integration.live.browser_client import (
    STREET,
    YARD,
    BrowserClient,
    BrowserView,
    offer,
    open_session,
    panel_id,
)
from tests.integration.live.conftest import (
    IN_CALL,
    RINGING,
    ring_and_send_answer,
    ring_and_wait,
    set_timeouts,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

EASYKIT_CAMERA = "camera.entrance_panel_1"
EASYKIT_RINGING = "binary_sensor.entrance_panel_1_bell"


@pytest.fixture(name="tablet")
async def _tablet(browser: BrowserClient, hass_ws_client: WebSocketGenerator) -> BrowserClient:
    """A second browser, which shows the street's camera too."""
    return await BrowserClient.connect(hass_ws_client, browser.camera)


async def expect_ended_for_ring(view: BrowserView) -> None:
    """Wait until a view has ended because somebody answers."""
    await view.wait_for("error")
    assert [each["code"] for each in view.received("error")] == ["call_ring_answered"]


@pytest.mark.parametrize("watched", [STREET, YARD])
async def test_view_ends_for_the_answer(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    *,
    watched: str,
) -> None:
    """At any panel of the intercom."""
    tablet.camera = watched
    watching = await tablet.watch(offer())
    call = await ring_and_wait(hass, simulator)
    await browser.watch(offer(version=2))
    await expect_ended_for_ring(watching)
    assert call.answered
    assert (simulator.rtc.offers, simulator.rtc.terminates, simulator.rtc.peak) == (1, 1, 1)
    await hass.async_block_till_done()
    assert (state_of(hass, RINGING), state_of(hass, IN_CALL)) == ("off", "on")


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "The view has ended because somebody is answering the doorbell."),
        ("it", "La visualizzazione è terminata perché qualcuno sta rispondendo al campanello."),
    ],
)
async def test_reason_is_translated(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    *,
    language: str,
    message: str,
) -> None:
    """The player shows the text as it is."""
    hass.config.language = language
    await reload_entry(hass, get_entry(hass))
    await wait_online(get_entry(hass))
    watching = await tablet.watch(offer())
    await ring_and_wait(hass, simulator)
    await browser.watch(offer(version=2))
    error = await watching.wait_for("error")
    assert error["message"] == message


@pytest.mark.parametrize("is_closed", [False, True])
async def test_answer_waits_until_the_line_is_free(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    *,
    is_closed: bool,
) -> None:
    """The intercom keeps the line for a moment after a view, and an answer cannot be repeated."""
    set_timeouts(get_entry(hass), busy=0.5)
    simulator.rtc.settings.slot_release_delay = 0.1
    watching = await tablet.watch(offer())
    call = await ring_and_wait(hass, simulator)
    if is_closed:
        await watching.close()
    await browser.watch(offer(version=2))
    assert call.answered
    assert (simulator.rtc.answers, simulator.rtc.peak) == (1, 1)


async def test_answer_does_not_wait_without_an_earlier_view(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The line is free."""
    set_timeouts(get_entry(hass), busy=2 * HANG_TIMEOUT)
    call = await ring_and_wait(hass, simulator)
    await browser.watch(offer())
    assert call.answered


async def test_viewer_leaves_while_the_line_becomes_free(
    hass: HomeAssistant, browser: BrowserClient, tablet: BrowserClient, simulator: Simulator
) -> None:
    """The ring goes on."""
    set_timeouts(get_entry(hass), busy=0.5)
    watching = await tablet.watch(offer())
    await ring_and_wait(hass, simulator)
    answering = await browser.open_view(offer(version=2))
    await expect_ended_for_ring(watching)
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    await answering.close()
    await wait_until(lambda: not get_entry(hass).runtime_data.live.channel.in_use)
    assert state_of(hass, RINGING) == "on"
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (0, 1)


async def test_view_that_is_being_connected_ends_for_the_answer(
    hass: HomeAssistant, browser: BrowserClient, tablet: BrowserClient, simulator: Simulator
) -> None:
    """It is terminated as soon as its acknowledgement names its session."""
    simulator.rtc.hold_acks()
    connecting = await tablet.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    call = await ring_and_wait(hass, simulator)
    answering = await browser.open_view(offer(version=2))
    await expect_ended_for_ring(connecting)
    simulator.rtc.release_acks()
    await answering.wait_for("answer")
    assert call.answered
    assert (simulator.rtc.terminates, simulator.rtc.peak) == (1, 1)


async def test_waiting_viewer_answers_when_it_rings(
    hass: HomeAssistant, browser: BrowserClient, tablet: BrowserClient, simulator: Simulator
) -> None:
    """The camera was opened a moment before the ring, while the tablet was watching."""
    watching = await tablet.watch(offer())
    waiting = await browser.open_view(offer(version=2))
    call = await ring_and_wait(hass, simulator)
    await waiting.wait_for("answer")
    await expect_ended_for_ring(watching)
    assert call.answered


async def test_answer_comes_before_waiting_viewers(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    *,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """They want to watch another panel."""
    watching = await tablet.watch(offer())
    yard = await BrowserClient.connect(hass_ws_client, YARD)
    waiting = await yard.open_view(offer(version=2))
    call = await ring_and_wait(hass, simulator)
    await browser.watch(offer(version=3))
    assert call.answered
    await expect_ended_for_ring(watching)
    await expect_ended_for_ring(waiting)


async def test_viewer_who_watches_answers_with_the_talk_button(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The player starts the view again, which answers the ring."""
    watching = await browser.watch(offer())
    call = await ring_and_wait(hass, simulator)
    talking = await browser.open_view(offer("chromium_talk", version=2))
    await watching.close()
    await talking.wait_for("answer")
    assert call.answered


async def test_answered_call_is_not_ended_for_another_viewer(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is cut off in a call, also after the talk button, also by a second visitor."""
    await ring_and_wait(hass, simulator)
    listening = await browser.watch(offer())
    await listening.close()
    await browser.watch(offer("chromium_talk"))
    await ring_and_wait(hass, simulator)
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    second = await tablet.open_view(offer(version=9))
    await second.wait_for("error")
    assert second.error_code == "call_busy"
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (1, 1)
    assert get_entry(hass).runtime_data.live.viewers == 1


async def test_only_one_of_two_answers_the_ring(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second one gets a busy message; the first is not cut off."""
    _, first = await ring_and_send_answer(hass, browser, simulator)
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    second = await tablet.open_view(offer(version=2))
    await second.wait_for("error")
    simulator.rtc.release_acks()
    await first.wait_for("answer")
    assert second.error_code == "call_busy"


async def test_view_of_another_panel_is_no_answer(
    hass: HomeAssistant,
    browser: BrowserClient,
    tablet: BrowserClient,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Watching the yard while the street rings ends nobody's view."""
    await browser.watch(offer())
    await ring_and_wait(hass, simulator)
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    tablet.camera = YARD
    second = await tablet.open_view(offer(version=2))
    await second.wait_for("error")
    assert second.error_code == "call_busy"
    assert simulator.rtc.terminates == 0
    assert open_session(simulator).panel_id == panel_id(simulator, "Posto esterno strada")


@pytest.mark.parametrize("house_name", ["easykit"])
async def test_view_ends_for_the_answer_without_an_offer(
    hass: HomeAssistant, browser: BrowserClient, tablet: BrowserClient, simulator: Simulator
) -> None:
    """On models that send no offer, the panel is dialled to answer."""
    browser.camera = tablet.camera = EASYKIT_CAMERA
    watching = await tablet.watch(offer())
    simulator.ring()
    await wait_until(lambda: state_of(hass, EASYKIT_RINGING) == "on")
    await browser.watch(offer(version=2))
    await expect_ended_for_ring(watching)
    assert (simulator.rtc.offers, simulator.rtc.terminates, simulator.rtc.peak) == (2, 1, 1)
