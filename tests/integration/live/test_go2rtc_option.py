"""The option for go2rtc: where it can work, and what happens where it cannot."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_SYSTEM, ConfigEntryState
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.network import NoURLAvailableError
from homeassistant.setup import async_set_domains_to_be_loaded, async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.bticino_classe.const import CONF_GO2RTC_CAMERAS, DOMAIN
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from custom_components.bticino_classe.errors import translated_error
from custom_components.bticino_classe.live import go2rtc as live_go2rtc
from tests.integration.conftest import (
    LOOP_TURNS,
    get_entry,
    reload_entry,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.issues import TRANSLATIONS, issues_of, texts_of
from tests.integration.live.browser_client import STREET, BrowserClient, offer, panel_id
from tests.integration.live.go2rtc_server import (
    Go2rtcServer,
    choose_cameras,
    is_relayed,
    set_up_go2rtc,
)
from tests.integration.live.test_relayed_camera import PAUSE_SECONDS
from tests.integration.live.test_relays import Clock
from tests.integration.test_options import submit_options

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

ISSUE = "go2rtc_unavailable"


async def offered(hass: HomeAssistant) -> tuple[dict[str, str], str]:
    """Return the cameras that can be chosen by module, and the text of the form."""
    form = await hass.config_entries.options.async_init(get_entry(hass).entry_id)
    schema, placeholders = form["data_schema"], form["description_placeholders"]
    assert schema is not None
    assert placeholders is not None
    field = schema.schema.get(CONF_GO2RTC_CAMERAS)
    choices = [] if field is None else field.config["options"]
    hass.config_entries.options.async_abort(form["flow_id"])
    return {each["value"]: each["label"] for each in choices}, placeholders["go2rtc"]


def go2rtc_entry(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the entry of Home Assistant's go2rtc."""
    (found,) = hass.config_entries.async_entries("go2rtc")
    return found


async def expect_native(hass: HomeAssistant, browser: BrowserClient, camera: str = STREET) -> None:
    """Expect the camera that Home Assistant's player shows directly, which works."""
    assert not is_relayed(hass, camera)
    result = (await browser.request({"type": "camera/capabilities", "entity_id": camera}))["result"]
    assert result["frontend_stream_types"] == ["web_rtc"]
    view = await browser.watch(offer())
    await view.close()


@pytest.mark.parametrize("language", TRANSLATIONS, ids=lambda path: path.stem)
def test_reason_is_shown_with_the_streams(language: Path) -> None:
    """Not above all options, for owners who have never heard of go2rtc."""
    texts = json.loads(language.read_text(encoding="utf-8"))
    step = texts["options"]["step"]["init"]
    assert "description" not in step
    assert step["sections"]["streams"]["description"].endswith(" {go2rtc}")


@pytest.mark.parametrize(
    ("house_name", "names"),
    [
        ("classe_300x", ["Posto esterno strada", "Posto esterno cortile"]),
        ("cctv", ["Cancello", "Giardino", "CCTV camera 1"]),
        ("bcepa", ["Ingresso"]),
    ],
)
@pytest.mark.usefixtures("online_entry")
async def test_cameras_to_choose(
    hass: HomeAssistant, go2rtc: Go2rtcServer, names: list[str]
) -> None:
    """By the names of their devices; an intercom only if it has no panel. None at first."""
    await set_up_go2rtc(hass, go2rtc)
    choices, text = await offered(hass)
    assert sorted(choices.values()) == sorted(names)
    assert text == ""
    assert not any(is_relayed(hass, each) for each in hass.states.async_entity_ids("camera"))
    await choose_cameras(hass, *choices)
    cameras = {each: is_relayed(hass, each) for each in hass.states.async_entity_ids("camera")}
    assert [each for each, relayed in cameras.items() if not relayed] == [
        each for each in cameras if each.endswith("call_home")
    ]
    assert sum(cameras.values()) == len(names)
    assert (await offered(hass))[0] == choices


async def test_call_home_is_never_relayed(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    go2rtc: Go2rtcServer,
    simulator: Simulator,
) -> None:
    """It is at the same module as the camera of an intercom without a panel."""
    simulator.use_house("bcepa")
    await reload_entry(hass, online_entry)
    registry = er.async_get(hass)
    bridge = simulator.house.bridges()[0].id
    unique_id = f"{online_entry.unique_id}-{bridge}-call_home"
    call_home = registry.async_get_entity_id("camera", DOMAIN, unique_id)
    assert call_home is not None
    registry.async_update_entity(call_home, disabled_by=None)
    await set_up_go2rtc(hass, go2rtc)
    await choose_cameras(hass, bridge)
    assert is_relayed(hass, "camera.ingresso")
    assert not is_relayed(hass, call_home)
    assert hass.states.get(call_home)


def raise_no_url(*_: object, **_options: object) -> str:
    """As in a Home Assistant without an address."""
    raise NoURLAvailableError


async def make_impossible(
    hass: HomeAssistant, go2rtc: Go2rtcServer, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    """Set up Home Assistant so that go2rtc cannot serve cameras."""
    if obstacle == "go2rtc_missing":
        return
    if obstacle == "go2rtc_without_webrtc":
        go2rtc.schemes.remove("webrtc")
    await set_up_go2rtc(hass, go2rtc)
    if obstacle == "go2rtc_needs_http":
        monkeypatch.setattr(hass.http, "ssl_certificate", "/ssl/fullchain.pem")
    if obstacle == "go2rtc_needs_address":
        hass.data["go2rtc"].url = "http://frigate.example:1984/"
        monkeypatch.setattr(live_go2rtc, "get_url", raise_no_url)


OBSTACLES = [
    "go2rtc_missing",
    "go2rtc_without_webrtc",
    "go2rtc_needs_http",
    "go2rtc_needs_address",
]


@pytest.mark.parametrize("obstacle", OBSTACLES)
@pytest.mark.parametrize("language", ["en", "it"])
async def test_not_possible(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    go2rtc: Go2rtcServer,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
    obstacle: str,
    language: str,
) -> None:
    """The form offers nothing and says why; a choice is kept, and its camera shown directly."""
    await hass.config.async_update(language=language)
    street = panel_id(simulator, "Posto esterno strada")
    await make_impossible(hass, go2rtc, monkeypatch, obstacle)
    await reload_entry(hass, online_entry)
    assert issues_of(hass, online_entry) == {}
    choices, text = await offered(hass)
    assert choices == {}
    assert text == translated_error(hass, obstacle)
    assert text.endswith(".")

    options = {**online_entry.options, CONF_GO2RTC_CAMERAS: [street]}  # chosen earlier
    hass.config_entries.async_update_entry(online_entry, options=options)
    await reload_entry(hass, online_entry)
    issue = issues_of(hass, online_entry)[ISSUE]
    assert all("{" not in each for each in texts_of(issue))
    assert any(text in each for each in texts_of(issue))
    await expect_native(hass, await BrowserClient.connect(hass_ws_client, STREET))

    assert await submit_options(hass, online_entry, pulse_time=9) == {}
    assert online_entry.options[CONF_GO2RTC_CAMERAS] == [street]
    assert ISSUE in issues_of(hass, online_entry)
    hass.config_entries.async_update_entry(online_entry, options={})
    await reload_entry(hass, online_entry)
    assert issues_of(hass, online_entry) == {}


async def test_go2rtc_comes_and_goes(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """The camera is the direct one meanwhile, and an issue says so; no session is left."""
    entry = get_entry(hass)
    assert is_relayed(hass)
    await relayed.watch(offer())
    for number in (2, 4):
        await hass.config_entries.async_unload(go2rtc_entry(hass).entry_id)
        await wait_idle(hass)
        assert ISSUE in issues_of(hass, entry)
        assert simulator.rtc.open == []
        await wait_online(entry)
        await expect_native(hass, relayed)
        await hass.config_entries.async_setup(go2rtc_entry(hass).entry_id)
        await wait_idle(hass)
        assert issues_of(hass, entry) == {}
        assert is_relayed(hass)
        Clock(hass).ahead = number * PAUSE_SECONDS
        await relayed.watch(offer(version=number + 1))
    assert entry.state is ConfigEntryState.LOADED


async def test_go2rtc_reloads(hass: HomeAssistant, relayed: BrowserClient) -> None:
    """Whatever is quicker, its set-up or that of the account."""
    for number in range(3):
        await hass.config_entries.async_reload(go2rtc_entry(hass).entry_id)
        await wait_idle(hass)
        assert is_relayed(hass)
        assert issues_of(hass, get_entry(hass)) == {}
        await relayed.watch(offer(version=number))


async def test_server_that_was_restarted(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """It has forgotten the streams."""
    await relayed.watch(offer())
    await go2rtc.restart()
    await simulator.rtc.wait_for(lambda: simulator.rtc.open)
    await relayed.watch(offer(version=2))
    assert (simulator.rtc.offers, simulator.rtc.peak) == (2, 1)
    assert is_relayed(hass)


@pytest.mark.parametrize("domains", [(DOMAIN, "go2rtc"), ("go2rtc", DOMAIN)])
async def test_start_with_a_slow_go2rtc(
    hass: HomeAssistant,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
    credentials: dict[str, str],
    domains: tuple[str, str],
) -> None:
    """The account is set up after it, so its camera is the right one at once."""
    options = {CONF_GO2RTC_CAMERAS: [panel_id(simulator, "Posto esterno strada")]}
    entry = MockConfigEntry(domain=DOMAIN, data=credentials, options=options, unique_id="user")
    entry.add_to_hass(hass)
    MockConfigEntry(domain="go2rtc", source=SOURCE_SYSTEM).add_to_hass(hass)
    raised = async_capture_events(hass, ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED)
    go2rtc.hold = asyncio.Event()
    async_set_domains_to_be_loaded(hass, set(domains))
    config = {"go2rtc": {"url": go2rtc.url}}
    setup = asyncio.gather(*(async_setup_component(hass, domain, config) for domain in domains))
    await wait_until(lambda: go2rtc.requests["GET /api"])
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    assert entry.state is ConfigEntryState.NOT_LOADED
    go2rtc.hold.set()
    assert await setup == [True, True]
    await wait_idle(hass)
    assert is_relayed(hass)
    assert [each.data["issue_id"] for each in raised if "go2rtc" in each.data["issue_id"]] == []


async def test_diagnostics(hass: HomeAssistant, relayed: BrowserClient) -> None:
    """They say which cameras, and no address."""
    await relayed.watch(offer())
    report = await async_get_config_entry_diagnostics(hass, get_entry(hass))
    (camera,) = report["entry"]["options"][CONF_GO2RTC_CAMERAS]
    assert report["house"]["home-1"]["modules"][camera]["kind"] == "panel"
    assert "auth" not in json.dumps(report["entry"]["options"])
    assert "whep" not in json.dumps(report)
    (module_id,) = get_entry(hass).options[CONF_GO2RTC_CAMERAS]
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    report = await async_get_config_entry_diagnostics(hass, get_entry(hass))
    assert report["entry"]["options"][CONF_GO2RTC_CAMERAS] == ["camera-1"]
    assert module_id not in json.dumps(report)
