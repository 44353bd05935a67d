"""See and talk: Home Assistant's player on one side, the cloud and the intercom on the other."""

from typing import TYPE_CHECKING

from homeassistant.setup import async_setup_component
import pytest

from tests.integration.conftest import state_of, the_entry, until
from tests.integration.player import COURT, STREET, Page, offer, open_session, panel_id

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
    )

    from tests.simulator import Simulator

IN_CALL = "binary_sensor.posto_esterno_strada_in_call"
USEFUL = "candidate:1 1 udp 2122260223 192.0.2.9 50000 typ host generation 0"


async def test_view_from_offer_to_end(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """Pictures come, the state says so, and the intercom is told once that it is over."""
    assert state_of(hass, STREET) == "idle"
    view = await page.watch(offer())
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "streaming"
    assert state_of(hass, COURT) == "idle"
    assert state_of(hass, IN_CALL) == "on"
    assert state_of(hass, "binary_sensor.classe_300x_in_call") == "on"
    assert state_of(hass, "binary_sensor.posto_esterno_cortile_in_call") == "off"
    assert open_session(simulator).panel_id == panel_id(simulator, "Posto esterno strada")
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await hass.async_block_till_done()
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 1)
    assert state_of(hass, STREET) == "idle"
    assert state_of(hass, IN_CALL) == "off"


async def test_addresses_go_both_ways(page: Page, simulator: Simulator) -> None:
    """Those that the intercom can reach; and its own come after its answer."""
    simulator.rtc.settings.candidates_before_answer = True
    view = await page.view(offer())
    await view.candidate(USEFUL, "1", 1)
    await view.candidate(USEFUL.replace("udp", "tcp"))
    await view.candidate(USEFUL.replace("192.0.2.9", "127.0.0.1"))
    await view.candidate("")
    await view.wait_for("candidate")
    kinds = [message["type"] for message in view.messages]
    assert kinds.index("answer") < kinds.index("candidate")
    assert set(view.received("candidate")[0]["candidate"]) >= {
        "candidate",
        "sdpMid",
        "sdpMLineIndex",
    }
    await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)
    await view.candidate(USEFUL)
    await simulator.rtc.wait_for(lambda: len(open_session(simulator).candidates) == 2)
    assert open_session(simulator).candidates == [
        {"candidate": USEFUL, "sdp_mid": "1", "sdp_m_line_index": 1},
        {"candidate": USEFUL, "sdp_mid": "0", "sdp_m_line_index": 0},
    ]


@pytest.mark.parametrize(
    "browser",
    [
        "chromium_watch",
        "chromium_talk",
        "chromium_data_gathered",
        "firefox_watch_shaped",
        "firefox_talk_shaped",
        "safari_watch_shaped",
        "safari_talk_shaped",
        "desktop_shaped",
    ],
)
async def test_every_browser_gets_a_view(page: Page, simulator: Simulator, browser: str) -> None:
    """What reaches the intercom is small enough for it, and asks for sound both ways."""
    view = await page.view(offer(browser))
    answer = await view.wait_for("answer")
    session = open_session(simulator)
    assert session.sdp_size <= 8000
    assert "a=sendrecv" in session.sdp
    assert answer["answer"].count("\r\nm=") == offer(browser).count("\r\nm=")


async def test_client_configuration_has_the_relays(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """Home Assistant cannot wait for them: they are asked for before somebody wants to watch."""
    await async_setup_component(hass, "web_rtc", {})
    result = await page.request({"type": "camera/webrtc/get_client_config", "entity_id": STREET})
    servers = result["result"]["configuration"]["iceServers"]
    assert servers[0]["urls"][0].startswith("turn:")
    assert servers[0]["credential"]
    assert simulator.journal.count("/api/getcredentials") == 0, "not for each view"


async def test_player_is_offered_this_camera(page: Page) -> None:
    """Native, so that neither another stream nor a card to install is needed."""
    result = await page.request({"type": "camera/capabilities", "entity_id": STREET})
    assert result["result"]["frontend_stream_types"] == ["web_rtc"]


async def test_still_picture_never_dials(
    hass: HomeAssistant,
    page: Page,
    simulator: Simulator,
    hass_client: ClientSessionGenerator,
) -> None:
    """A drawn one first; that of the last ring once somebody has rung."""
    browser = await hass_client()
    state = hass.states.get(STREET)
    assert state is not None
    link = state.attributes["entity_picture"]
    response = await browser.get(link)
    placeholder = await response.read()
    assert (response.status, response.content_type) == (200, "image/jpeg")
    assert placeholder[:3] == b"\xff\xd8\xff"
    simulator.ring("Posto esterno strada")
    street = panel_id(simulator, "Posto esterno strada")
    await until(lambda: the_entry(hass).runtime_data.history.last(street, "snapshot"))
    response = await browser.get(link)
    assert await response.read() not in (placeholder, b"")
    state = hass.states.get(COURT)
    assert state is not None
    response = await browser.get(state.attributes["entity_picture"])
    assert await response.read() == placeholder
    assert simulator.rtc.offers == 0
    assert page.camera == STREET
