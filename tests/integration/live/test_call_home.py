"""Call home: a call to the indoor unit, which rings only for somebody who wants to talk."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.camera import async_get_image
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.errors import async_load_error_translations
from custom_components.bticino_classe.live.stream_address import WHEP_PATH
from tests.integration.conftest import (
    call_action,
    expect_refused,
    get_entry,
    is_watched,
    reload_entry,
    state_of,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.live.browser_client import STREET, BrowserClient, offer, open_session
from tests.integration.live.conftest import let_grace_period_pass, ring_and_wait, set_timeouts
from tests.integration.live.whep_client import (
    Whep,
    expect_problem,
    relay_offer,
    stream_settings,
    talk_offer,
)
from tests.simulator import HOUSES
from tests.simulator.paths import SIGNALING

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

    from tests.integration.conftest import EventRecorder
    from tests.simulator import Simulator
    from tests.simulator.house import House

CALL_HOME = "camera.classe_300x_call_home"
BRIDGE_RINGING = "binary_sensor.classe_300x_bell_panel_unknown"
IN_CALL = "binary_sensor.classe_300x_line_panel_unknown"
TALK = "chromium_talk"


@pytest.fixture(name="ack_mode")
def _ack_mode() -> str:
    """How the cloud acknowledges messages makes no difference here."""
    return "echo"


@pytest.fixture(autouse=True)
def _enabled() -> None:
    """What is enabled by default; `online_entry` enables the rest."""


@pytest.fixture(name="online_entry")
async def _online_entry(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    entity_registry: er.EntityRegistry,
    simulator: Simulator,
) -> ConfigEntry[Any]:
    """An account whose owner has enabled all entities; the camera to call home was disabled."""
    entities = er.async_entries_for_config_entry(entity_registry, online_entry.entry_id)
    (found,) = [each for each in entities if each.unique_id.endswith("-call_home")]
    assert found.disabled
    assert hass.states.get(found.entity_id) is None
    for each in entities:
        entity_registry.async_update_entity(each.entity_id, disabled_by=None)
    await reload_entry(hass, online_entry)
    await wait_online(online_entry)
    simulator.journal.clear()
    return online_entry


@pytest.fixture(name="home")
async def _home(hass: HomeAssistant, browser: BrowserClient) -> BrowserClient:
    """A browser that shows the camera to call home."""
    cameras = hass.states.async_entity_ids("camera")
    (browser.camera,) = [entity_id for entity_id in cameras if entity_id.endswith("_call_home")]
    return browser


def dialled(simulator: Simulator) -> list[tuple[str, str | None]]:
    """Return the intercom and the module of each offer."""
    bodies: list[Any] = [entry.body or {} for entry in simulator.journal.of(SIGNALING)]
    sent = [frame for frame in bodies if frame.get("action") == "rtc"]
    offers = [frame for frame in sent if frame["data"]["type"] == "offer"]
    return [
        (frame["device_id"], frame["data"]["session_description"].get("module_id"))
        for frame in offers
    ]


async def test_call(
    hass: HomeAssistant, home: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The indoor unit is called by its own id; leaving ends the call, which is no ring."""
    bridge = simulator.house.bridges()[0].id
    assert state_of(hass, CALL_HOME) == "idle"
    view = await home.watch(offer(TALK))
    assert dialled(simulator) == [(bridge, bridge)]
    assert open_session(simulator).panel_id is None
    await hass.async_block_till_done()
    assert (is_watched(hass, CALL_HOME), is_watched(hass, STREET)) == (True, False)
    assert (state_of(hass, IN_CALL), state_of(hass, BRIDGE_RINGING)) == ("on", "off")
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await let_grace_period_pass(hass)
    assert (state_of(hass, CALL_HOME), state_of(hass, IN_CALL)) == ("idle", "off")
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 1)
    assert events.recorded() == []


async def test_other_programs_cannot_call(
    hass: HomeAssistant, home: BrowserClient, hass_client: ClientSessionGenerator
) -> None:
    """A program would ring at the indoor unit, so the camera has no stream address."""
    with pytest.raises(ServiceValidationError) as caught:
        await stream_settings(hass, home.camera)
    assert caught.value.translation_key == "no_such_camera"
    whep = Whep(http=await hass_client(), path=f"{WHEP_PATH}/{home.camera}")
    for sdp in (relay_offer(), talk_offer()):
        await expect_problem(await whep.post(sdp), 404)


@pytest.mark.parametrize("house_name", ["classe_100x", "classe_300eos", "easykit", "bcepa"])
async def test_every_family(home: BrowserClient, simulator: Simulator) -> None:
    """Also an intercom without panels, whose own camera calls the default panel."""
    bridge = simulator.house.bridges()[0].id
    await home.watch(offer(TALK))
    assert dialled(simulator) == [(bridge, bridge)]


def capital_ids(now: float) -> House:
    """Build a 100X whose ids are in capital letters."""
    house = HOUSES["classe_100x"](now)
    for module in house.modules():
        module.id = module.id.upper()
        module.bridge = module.bridge and module.bridge.upper()
    house.homes[0].modules = {module.id: module for module in house.modules()}
    return house


@pytest.mark.parametrize("house_name", [capital_ids])
async def test_id_in_capital_letters(home: BrowserClient, simulator: Simulator) -> None:
    """The cloud gets its own spelling back."""
    bridge = simulator.house.bridges()[0].id
    assert bridge.isupper()
    await home.watch(offer(TALK))
    assert dialled(simulator) == [(bridge, bridge)]


@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", 'Press "Start talking" to call the indoor unit.'),
        ("it", 'Premi "Inizia a parlare" per chiamare il posto interno.'),
    ],
)
async def test_opening_it_calls_nobody(
    hass: HomeAssistant,
    home: BrowserClient,
    simulator: Simulator,
    *,
    rings: bool,
    language: str,
    message: str,
) -> None:
    """Without a microphone: a dashboard that shows it live, or a curious tap."""
    hass.config.language = language
    await async_load_error_translations(hass)
    if rings:
        simulator.ring("Classe 300X")
        await wait_until(lambda: state_of(hass, BRIDGE_RINGING) == "on")
    view = await home.open_view(offer())
    error = await view.wait_for("error")
    assert (error["code"], error["message"]) == ("call_home_needs_microphone", message)
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)
    assert get_entry(hass).runtime_data.live.viewers == 0
    talking = await home.open_view(offer(TALK))  # as the player does on "Start talking"
    await talking.wait_for("error" if rings else "answer")


@pytest.mark.usefixtures("home")
async def test_nothing_else_calls_it(hass: HomeAssistant, simulator: Simulator) -> None:
    """Its picture is a drawing, and the actions of a camera dial nobody."""
    assert (await async_get_image(hass, CALL_HOME)).content
    for service in ("turn_on", "turn_off"):
        await call_action(hass, "camera", service, CALL_HOME)
    assert await expect_refused(hass, DOMAIN, "hang_up", CALL_HOME) == "no_call"
    assert await expect_refused(hass, DOMAIN, "next_panel", CALL_HOME) == "no_call"
    await wait_idle(hass)
    assert dialled(simulator) == []


@pytest.mark.parametrize(
    ("entities", "sdp", "key"),
    [
        ({}, TALK, "call_watch_not_allowed"),
        ({}, "chromium_watch", "call_watch_not_allowed"),
        ({"entity_ids": {STREET: True}}, TALK, "call_watch_not_allowed"),
        ({"all": {"read": True}}, TALK, "call_talk_not_allowed"),
        ({"entity_ids": {CALL_HOME: {"control": True}}}, TALK, "call_watch_not_allowed"),
        ({"entity_ids": {CALL_HOME: True}}, TALK, None),
    ],
    ids=str,
)
async def test_rights(
    hass: HomeAssistant,
    home: BrowserClient,  # noqa: ARG001 - the camera works
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    *,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
    entities: dict[str, Any],
    sdp: str,
    key: str | None,
) -> None:
    """Calling requires the right to control this camera."""
    hass_read_only_user.groups = []
    hass_read_only_user.mock_policy({"entities": entities})
    guest = BrowserClient(await hass_ws_client(hass, hass_read_only_access_token), CALL_HOME)
    view = await guest.open_view(offer(sdp))
    await view.wait_for("answer" if key is None else "error")
    if key is not None:
        assert view.error_code == key
    assert simulator.rtc.offers == (1 if key is None else 0)


@pytest.mark.parametrize(
    ("caller", "bell"),
    [
        ("Posto esterno strada", "binary_sensor.posto_esterno_strada_bell"),
        ("Classe 300X", BRIDGE_RINGING),
    ],
)
async def test_ring_is_not_answered(
    hass: HomeAssistant, home: BrowserClient, simulator: Simulator, caller: str, bell: str
) -> None:
    """Neither that of a panel nor one of an unknown panel; it goes on ringing."""
    call = simulator.ring(caller)
    await wait_until(lambda: state_of(hass, bell) == "on")
    view = await home.open_view(offer(TALK))
    await view.wait_for("error")
    assert view.error_code == "call_busy"
    assert await expect_refused(hass, DOMAIN, "decline_ring", CALL_HOME) == "nobody_rings"
    assert (simulator.rtc.answers, call.answered) == (0, False)
    assert state_of(hass, bell) == "on"


@pytest.mark.parametrize("house_name", ["easykit"])
async def test_no_call_by_itself_after_a_ring(
    hass: HomeAssistant, home: BrowserClient, simulator: Simulator
) -> None:
    """A view is connected when the ringing has ended; a call would ring in the house."""
    simulator.rtc.settings.busy_while_ringing = True
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, "binary_sensor.entrance_panel_1_bell") == "on")
    view = await home.open_view(offer(TALK))
    await view.wait_for("error")
    assert view.error_code == "call_busy"
    simulator.miss(call)
    await wait_until(lambda: state_of(hass, "binary_sensor.entrance_panel_1_bell") == "off")
    live = get_entry(hass).runtime_data.live
    await wait_until(lambda: not live.channel.in_use)
    assert (len(view.received("error")), simulator.rtc.offers) == (1, 2)


async def test_nobody_picks_up(
    hass: HomeAssistant, home: BrowserClient, simulator: Simulator
) -> None:
    """The call is terminated, so that it does not go on ringing."""
    simulator.rtc.settings.silent_answers = True
    set_timeouts(get_entry(hass), answered=0.05)
    view = await home.open_view(offer(TALK))
    await view.wait_for("error")
    assert view.error_code == "call_no_answer"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1


@pytest.mark.parametrize("how", ["hang_up", "turn_off", "disconnect", "unload"])
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_every_end_frees_the_line(
    hass: HomeAssistant, home: BrowserClient, simulator: Simulator, how: str
) -> None:
    """With one terminate; what is done to a panel's camera does not end it."""
    await home.watch(offer(TALK))
    assert await expect_refused(hass, DOMAIN, "hang_up", STREET) == "no_call"
    await call_action(hass, "camera", "turn_off", STREET)
    assert simulator.rtc.open
    if how == "disconnect":
        await home.disconnect()
    elif how == "unload":
        await hass.config_entries.async_unload(get_entry(hass).entry_id)
    else:
        await call_action(hass, DOMAIN if how == "hang_up" else "camera", how, CALL_HOME)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1


async def test_answered_call_is_not_continued(
    hass: HomeAssistant, home: BrowserClient, simulator: Simulator
) -> None:
    """The viewer who has just left an answered call does not return to it by calling home."""
    await ring_and_wait(hass, simulator)
    home.camera = STREET
    await (await home.watch(offer())).close()
    home.camera = CALL_HOME
    view = await home.watch(offer(TALK))
    bridge = simulator.house.bridges()[0].id
    assert dialled(simulator) == [(bridge, bridge)]
    await let_grace_period_pass(hass)
    assert state_of(hass, "binary_sensor.posto_esterno_strada_line") == "off"
    assert state_of(hass, IN_CALL) == "on"
    await view.close()
