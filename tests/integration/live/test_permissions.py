"""Who may watch, talk and answer: Home Assistant's player command checks no permission."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.components.camera import WebRTCAnswer
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.helpers.translation import async_get_translations
import pytest
from webrtc_models import RTCIceCandidateInit

from custom_components.bticino_classe.live import departures
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import state_of, wait_until
from tests.integration.live.browser_client import (
    STREET,
    BrowserClient,
    BrowserView,
    offer,
    open_session,
)
from tests.integration.live.conftest import (
    CANDIDATE,
    IN_CALL,
    RINGING,
    ring_and_wait,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

LAMP: dict[str, Any] = {"entity_ids": {"light.luce_scale": True}}
OTHER_CAMERA: dict[str, Any] = {"entity_ids": {"camera.posto_esterno_cortile": True}}
READ_ALL: dict[str, Any] = {"all": {"read": True}}
READ_STREET: dict[str, Any] = {"entity_ids": {STREET: {"read": True}}}
CONTROL_STREET: dict[str, Any] = {"entity_ids": {STREET: True}}
CONTROL_ONLY: dict[str, Any] = {"entity_ids": {STREET: {"control": True}}}

type Guest = Callable[[dict[str, Any]], Awaitable[BrowserClient]]


@pytest.fixture(name="ack_mode")
def _ack_mode() -> str:
    """How the cloud acknowledges messages makes no difference here."""
    return "echo"


@pytest.fixture(name="guest")
def _guest(
    browser: BrowserClient,  # noqa: ARG001 - the camera works
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
) -> Guest:
    """The browser of a user with some permissions."""

    async def connect(entities: dict[str, Any]) -> BrowserClient:
        hass_read_only_user.groups = []
        hass_read_only_user.mock_policy({"entities": entities})
        return BrowserClient(await hass_ws_client(hass, hass_read_only_access_token), STREET)

    return connect


async def expect_refused(view: BrowserView, key: str) -> None:
    """Wait for the error, which is a sentence."""
    await view.wait_for("error")
    (error,) = view.received("error")
    assert error["code"] == key
    assert error["message"].endswith(".")
    assert view.received("answer") == []


@pytest.mark.parametrize("entities", [{}, LAMP, OTHER_CAMERA, CONTROL_ONLY], ids=str)
@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize("sdp", ["chromium_watch", "safari_talk_shaped"])
async def test_watching_requires_read_access(
    hass: HomeAssistant,
    guest: Guest,
    simulator: Simulator,
    *,
    entities: dict[str, Any],
    rings: bool,
    sdp: str,
) -> None:
    """Nothing is sent to the intercom; a ring goes on."""
    if rings:
        await ring_and_wait(hass, simulator)
    client = await guest(entities)
    await expect_refused(await client.open_view(offer(sdp)), "call_watch_not_allowed")
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)
    assert state_of(hass, RINGING) == ("on" if rings else "off")


@pytest.mark.parametrize("entities", [READ_ALL, READ_STREET], ids=str)
@pytest.mark.parametrize("sdp", ["chromium_watch", "firefox_watch_shaped", "desktop_shaped"])
async def test_read_access_is_enough_to_watch(
    guest: Guest, simulator: Simulator, entities: dict[str, Any], sdp: str
) -> None:
    """With the viewer's candidates."""
    view = await (await guest(entities)).watch(offer(sdp))
    await view.send_candidate(CANDIDATE)
    await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)


@pytest.mark.parametrize(
    "sdp",
    [
        offer("chromium_talk"),
        offer("firefox_talk_shaped"),
        offer("safari_talk_shaped"),
        offer("chromium_talk").replace("a=sendrecv", "a=sendonly"),
        offer("chromium_talk").replace("a=sendrecv\r\n", ""),
    ],
    ids=["chromium", "firefox", "safari", "send only", "default direction"],
)
@pytest.mark.parametrize("entities", [READ_ALL, CONTROL_STREET], ids=str)
async def test_talking_requires_control(
    guest: Guest, simulator: Simulator, sdp: str, entities: dict[str, Any]
) -> None:
    """Whether an offer sends sound decides, also if only by default."""
    client = await guest(entities)
    if entities is CONTROL_STREET:
        await client.watch(sdp)
        return
    await expect_refused(await client.open_view(sdp), "call_talk_not_allowed")
    assert simulator.rtc.offers == 0


@pytest.mark.parametrize(
    ("house_name", "panel"),
    [("classe_300x", "posto_esterno_strada"), ("easykit", "entrance_panel_1")],
)
async def test_answering_requires_control(
    hass: HomeAssistant, guest: Guest, simulator: Simulator, panel: str
) -> None:
    """Also if the ring can only be answered by a call to its panel (easykit)."""
    ringing = f"binary_sensor.{panel}_bell"
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, ringing) == "on")
    client = await guest(READ_ALL)
    client.camera = f"camera.{panel}"
    await expect_refused(await client.open_view(offer()), "call_answer_not_allowed")
    assert not call.answered
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)
    assert state_of(hass, ringing) == "on"
    client = await guest({"entity_ids": {f"camera.{panel}": True}})
    client.camera = f"camera.{panel}"
    await client.watch(offer(version=2))
    await wait_until(lambda: state_of(hass, ringing) == "off")


async def test_refused_answer_ends_no_view(
    hass: HomeAssistant, browser: BrowserClient, guest: Guest, simulator: Simulator
) -> None:
    """Only a viewer who may answer takes the line from a view."""
    view = await browser.watch(offer())
    await ring_and_wait(hass, simulator)
    refused = await (await guest(READ_ALL)).open_view(offer(version=2))
    for _ in range(50):
        await asyncio.sleep(0)
    assert view.received("error") == []
    await view.close()
    await expect_refused(refused, "call_answer_not_allowed")


async def test_answered_call_is_not_taken_over(
    hass: HomeAssistant,
    browser: BrowserClient,
    guest: Guest,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A viewer who presses talk leaves the call for a moment."""
    monkeypatch.setattr(departures, "RECONNECT_GRACE_SECONDS", HANG_TIMEOUT)
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await view.close()
    taken = await (await guest(READ_ALL)).open_view(offer(version=2))
    await expect_refused(taken, "call_busy")
    await browser.watch(offer("chromium_talk", version=3))
    await hass.async_block_till_done()
    assert state_of(hass, IN_CALL) == "on"


async def test_session_belongs_to_its_user(
    hass: HomeAssistant, browser: BrowserClient, guest: Guest, simulator: Simulator
) -> None:
    """Candidates of another user are dropped, and a copied origin ends nobody's session."""
    view = await browser.watch(offer())
    client = await guest(CONTROL_STREET)
    await client.request(
        {
            "type": "camera/webrtc/candidate",
            "entity_id": STREET,
            "session_id": view.session_id,
            "candidate": {"candidate": CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0},
        }
    )
    await hass.async_block_till_done()
    assert open_session(simulator).candidates == []
    await client.open_view(offer().replace("a=group", "a=copied\r\na=group"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert view.received("error") == []
    assert len(simulator.rtc.open) == 1
    await view.send_candidate(CANDIDATE)
    await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)


@pytest.mark.parametrize(
    ("entities", "has_servers"), [(LAMP, False), (READ_STREET, True), (READ_ALL, True)], ids=str
)
async def test_turn_credentials_require_read_access(
    guest: Guest, *, entities: dict[str, Any], has_servers: bool
) -> None:
    """Users who may not watch need no TURN servers."""
    client = await guest(entities)
    result = await client.request({"type": "camera/webrtc/get_client_config", "entity_id": STREET})
    servers = result["result"]["configuration"].get("iceServers", [])
    assert any("credential" in server for server in servers) == has_servers


@pytest.mark.parametrize("language", ["en", "it"])
async def test_refusals_are_translated(hass: HomeAssistant, language: str) -> None:
    """Every reason has a sentence in every language."""
    texts = await async_get_translations(hass, language, "exceptions", {"bticino_classe"})
    for key in ("watch", "talk", "answer"):
        assert texts[f"component.bticino_classe.exceptions.call_{key}_not_allowed.message"]


@pytest.mark.usefixtures("browser")
async def test_home_assistant_itself_may_watch(hass: HomeAssistant, simulator: Simulator) -> None:
    """A caller without a user, in the same process, needs no permission."""
    camera: Any = hass.data[DATA_INSTANCES]["camera"].get_entity(STREET)
    messages: list[Any] = []
    await camera.async_handle_async_webrtc_offer(offer(), "internal", messages.append)
    await wait_until(lambda: any(isinstance(each, WebRTCAnswer) for each in messages))
    await camera.async_on_webrtc_candidate(
        "internal", RTCIceCandidateInit(CANDIDATE, sdp_mid="0", sdp_m_line_index=0)
    )
    await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)
    camera.close_webrtc_session("internal")
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
