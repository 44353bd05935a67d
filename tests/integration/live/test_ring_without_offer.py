"""Rings that cannot be answered from here: the viewer is connected when the ringing has ended."""

from typing import TYPE_CHECKING, Any

from homeassistant.const import ATTR_ENTITY_ID
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.errors import async_load_error_translations
from custom_components.bticino_classe.live import manager
from tests.integration.conftest import (
    advance,
    call_entity,
    device_id_of,
    get_entry,
    is_watched,
    state_of,
    wait_idle,
    wait_until,
)
from tests.integration.live.browser_client import YARD, BrowserClient, offer, open_session
from tests.integration.live.conftest import CANDIDATE, set_timeouts

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.integration.live.browser_client import BrowserView
    from tests.simulator import Simulator
    from tests.simulator.calls import Call

NOT_ANSWERABLE = "call_ring_not_answerable"
EASYKIT = "camera.entrance_panel_1"
# The camera that is opened, and the module where it rings.
HOUSES = {
    "easykit": (EASYKIT, "entrance_panel_1"),
    "classe_300eos": (EASYKIT, "entrance_panel_1"),
    "easykit_three_panels": ("camera.entrance_panel_2", "easykit"),
    "classe_300x": (YARD, "classe_300x"),  # its offer was lost
}

every_house = pytest.mark.parametrize("house_name", HOUSES)
easykit = pytest.mark.parametrize("house_name", ["easykit"])


@pytest.fixture(name="ringing")
async def _ringing(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, house_name: str
) -> Call:
    """A ring without an offer, at an intercom that is busy meanwhile."""
    set_timeouts(get_entry(hass), busy=0)  # time may be frozen
    simulator.rtc.settings.busy_while_ringing = True
    browser.camera, location = HOUSES[house_name]
    call = simulator.ring(offer=False)
    await wait_until(lambda: state_of(hass, call_entity("binary_sensor", location, "bell")) == "on")
    return call


@pytest.fixture(name="view")
async def _view(
    ringing: Call,  # noqa: ARG001 - during which it is opened
    browser: BrowserClient,
    simulator: Simulator,
) -> BrowserView:
    """A view that waits for the end of the ring."""
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert view.error_code == NOT_ANSWERABLE
    assert simulator.rtc.offers == 2
    return view


async def settle(hass: HomeAssistant) -> None:
    """Wait until no viewer is being connected."""
    live = get_entry(hass).runtime_data.live
    await wait_until(lambda: not live.viewers)
    await wait_until(lambda: not live.channel.in_use)
    await wait_idle(hass)


@every_house
async def test_viewer_is_connected_after_the_ring(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    ringing: Call,
    view: BrowserView,
) -> None:
    """With one new offer, and the candidates from before it; closing the view frees the line."""
    await view.send_candidate(CANDIDATE, "1", 1)
    assert state_of(hass, browser.camera) == "idle"
    simulator.miss(ringing)
    await view.wait_for("answer")
    assert simulator.rtc.offers == 3
    session = open_session(simulator)
    await simulator.rtc.wait_for(lambda: session.candidates)
    await hass.async_block_till_done()
    assert is_watched(hass, browser.camera)
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (3, 1)
    assert [message["type"] for message in view.messages if message["type"] != "candidate"] == [
        "session",
        "error",
        "answer",
    ]


@easykit
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Somebody is ringing", "cannot be answered from Home Assistant", "the app"]),
        ("it", ["Qualcuno sta suonando", "non si può rispondere da Home Assistant", "l'app"]),
    ],
)
async def test_viewer_gets_the_reason_in_the_configured_language(
    hass: HomeAssistant, ringing: Call, browser: BrowserClient, *, language: str, words: list[str]
) -> None:
    """At once, while it is ringing."""
    hass.config.language = language
    await async_load_error_translations(hass)
    view = await browser.open_view(offer())
    error = await view.wait_for("error")
    assert [word for word in words if word not in error["message"]] == []
    assert not ringing.answered


@easykit
async def test_end_of_the_ring_is_not_reported(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    ringing: Call,
    view: BrowserView,
) -> None:
    """The viewer waits as long as it is shown as ringing."""
    simulator.end_silently(ringing)
    await advance(hass, freezer, 46)
    await view.wait_for("answer")
    assert simulator.rtc.offers == 3


@every_house
async def test_ring_is_answered_elsewhere(
    hass: HomeAssistant, simulator: Simulator, ringing: Call, view: BrowserView
) -> None:
    """The line is in use, so it is not dialled; not when that call ends, either."""
    simulator.answer_elsewhere(ringing)
    error = await view.wait_for("error", 2)
    assert error["code"] == "call_answered_elsewhere"
    simulator.end_silently(ringing)
    await settle(hass)
    assert simulator.rtc.offers == 2


@easykit
async def test_ring_is_answered_elsewhere_while_the_panel_is_dialled(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, ringing: Call
) -> None:
    """One message says so."""
    simulator.rtc.hold_acks()
    view = await browser.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    simulator.answer_elsewhere(ringing)
    counters = get_entry(hass).runtime_data.push.socket.counters
    await wait_until(lambda: counters["frames"] > frames)
    simulator.rtc.release_acks()
    await view.wait_for("error")
    await settle(hass)
    assert [error["code"] for error in view.received("error")] == ["call_answered_elsewhere"]
    assert simulator.rtc.offers == 2


@easykit
@pytest.mark.parametrize("how", ["close", "disconnect"])
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_viewer_leaves_while_it_rings(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    ringing: Call,
    view: BrowserView,
    *,
    how: str,
) -> None:
    """As Home Assistant's player does, once it shows the message: nothing is dialled for nobody."""
    await (view.close() if how == "close" else browser.disconnect())
    await settle(hass)
    simulator.miss(ringing)
    await wait_until(lambda: state_of(hass, "binary_sensor.entrance_panel_1_bell") == "off")
    await settle(hass)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (2, 0)


@easykit
async def test_viewer_leaves_during_the_new_offer(
    simulator: Simulator, ringing: Call, view: BrowserView
) -> None:
    """Its session is terminated as soon as the acknowledgement names it."""
    simulator.rtc.hold_acks()
    simulator.miss(ringing)
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers == 3)
    await view.close()
    simulator.rtc.release_acks()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    assert simulator.rtc.open == []
    assert view.received("answer") == []


@easykit
async def test_intercom_stays_busy(
    hass: HomeAssistant, simulator: Simulator, ringing: Call, view: BrowserView
) -> None:
    """There is one new offer, not two."""
    simulator.rtc.settings.slots = 0
    simulator.miss(ringing)
    error = await view.wait_for("error", 2)
    assert error["code"] == "call_busy"
    await settle(hass)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (3, 0)


@easykit
async def test_call_is_hung_up_while_it_rings(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    ringing: Call,
    view: BrowserView,
) -> None:
    """The action ends the waiting, too."""
    await hass.services.async_call(
        DOMAIN, "hang_up", {ATTR_ENTITY_ID: browser.camera}, blocking=True
    )
    error = await view.wait_for("error", 2)
    assert error["code"] == "call_hung_up"
    simulator.miss(ringing)
    await settle(hass)
    assert simulator.rtc.offers == 2


@easykit
async def test_account_is_unloaded_while_it_rings(
    hass: HomeAssistant, simulator: Simulator, ringing: Call, view: BrowserView
) -> None:
    """Nothing of the view is left."""
    channel = get_entry(hass).runtime_data.live.channel
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    error = await view.wait_for("error", 2)
    assert error["code"] == "call_hung_up"
    assert channel.is_idle
    simulator.miss(ringing)
    assert simulator.rtc.offers == 2


@easykit
async def test_ring_lasts_too_long(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    ringing: Call,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The viewer does not wait forever while visitors ring again and again."""
    monkeypatch.setattr(manager, "RING_WAIT_SECONDS", 0.05)
    view = await browser.open_view(offer())
    error = await view.wait_for("error", 2)
    assert error["code"] == NOT_ANSWERABLE
    await settle(hass)
    simulator.miss(ringing)
    await settle(hass)
    assert simulator.rtc.offers == 2


@easykit
async def test_visitor_rings_again(
    hass: HomeAssistant, simulator: Simulator, ringing: Call, view: BrowserView
) -> None:
    """The panel is dialled once, when nothing rings any more."""
    again = simulator.ring()
    calls = get_entry(hass).runtime_data.calls
    await wait_until(lambda: len(calls.ringing) == 2)
    simulator.miss(ringing)
    await wait_until(lambda: len(calls.ringing) == 1)
    assert simulator.rtc.offers == 2
    simulator.miss(again)
    await view.wait_for("answer")
    assert simulator.rtc.offers == 3


@easykit
async def test_second_viewer_during_the_ring(
    hass: HomeAssistant,
    simulator: Simulator,
    ringing: Call,
    view: BrowserView,
    *,
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gets the same reason without an offer to the intercom; the first one is not disturbed."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    tablet = await BrowserClient.connect(hass_ws_client, EASYKIT)
    second = await tablet.open_view(offer("firefox_watch_shaped"))
    await second.wait_for("error")
    assert second.error_code == NOT_ANSWERABLE
    assert simulator.rtc.offers == 2
    simulator.miss(ringing)
    await view.wait_for("answer")
    await hass.async_block_till_done()
    assert len(view.received("error")) == len(second.received("error")) == 1
    assert (simulator.rtc.offers, simulator.rtc.peak) == (3, 1)


@easykit
async def test_ring_is_pushed_after_the_view_was_opened(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The intercom was already busy with it."""
    simulator.rtc.settings.busy_while_ringing = True
    browser.camera = EASYKIT
    call = simulator.ring(status=False)
    simulator.rtc.hold_acks()
    view = await browser.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    simulator._push_incoming(call)
    await wait_until(lambda: state_of(hass, "binary_sensor.entrance_panel_1_bell") == "on")
    simulator.rtc.release_acks()
    await view.wait_for("error")
    assert view.error_code == NOT_ANSWERABLE
    simulator.miss(call)
    await view.wait_for("answer")
    assert simulator.rtc.offers == 3


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_camera_of_a_panel_that_does_not_ring(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The whole intercom is busy; opening another camera is a mere view."""
    simulator.rtc.settings.busy_while_ringing = True
    browser.camera = "camera.entrance_panel_3"
    call = simulator.ring(simulator.house.panels()[1].id, names_panel=True)
    await wait_until(lambda: state_of(hass, "binary_sensor.entrance_panel_2_bell") == "on")
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert view.error_code == NOT_ANSWERABLE
    simulator.miss(call)
    await view.wait_for("answer")
    assert open_session(simulator).panel_id == simulator.house.panels()[2].id
    assert simulator.rtc.offers == 3


async def test_busy_intercom_without_such_a_ring(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """While another panel rings whose ring can be answered, and during a simulated ring."""
    simulator.rtc.settings.slots = 0
    call = simulator.ring("Posto esterno strada")
    await wait_until(lambda: state_of(hass, "binary_sensor.posto_esterno_strada_bell") == "on")
    browser.camera = YARD
    view = await browser.open_view(offer())
    await view.wait_for("error")
    simulator.miss(call)
    entry = get_entry(hass)
    hass.config_entries.async_update_entry(
        entry, options={**entry.options, "simulated_rings": True}
    )
    await wait_idle(hass)
    data: dict[str, Any] = {"device_id": device_id_of(hass, "Posto esterno cortile")}
    await hass.services.async_call(DOMAIN, "simulate_ring", data, blocking=True)
    await wait_until(lambda: state_of(hass, "binary_sensor.posto_esterno_cortile_bell") == "on")
    again = await browser.open_view(offer(version=2))
    await again.wait_for("error")
    assert (view.error_code, again.error_code) == ("call_busy", "call_busy")
    await settle(hass)
    assert simulator.rtc.offers == 4
