"""What never calls the intercom at a camera that go2rtc serves: stills, preloading, HLS."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.camera import async_get_stream_source
from homeassistant.components.camera.const import DATA_CAMERA_PREFS
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.errors import translated_error
from scripts.lib.project_checks import LANGUAGES
from tests.integration.conftest import get_entry, reload_entry, state_of, wait_idle
from tests.integration.issues import issues_of, texts_of
from tests.integration.live.browser_client import STREET, BrowserClient, offer, panel_id
from tests.integration.live.go2rtc_server import (
    Go2rtcServer,
    camera_entity,
    choose_cameras,
    is_relayed,
    set_up_go2rtc,
)

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.test_utils import TestClient
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

ISSUE = "preload_refused"
PREFS = {"type": "camera/update_prefs", "entity_id": STREET}


@pytest.fixture(autouse=True)
async def _components(hass: HomeAssistant) -> None:
    """What else in Home Assistant asks cameras for streams; not possible once there is a client."""
    for domain in ("stream", "media_source"):
        assert await async_setup_component(hass, domain, {})


def is_preloaded(go2rtc: Go2rtcServer) -> bool:
    """Whether go2rtc was ever told to preload a stream."""
    return bool(go2rtc.requests["PUT /api/preload"])


async def expect_refused_preload(
    hass: HomeAssistant, browser: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """Expect that the preference is off again, that an issue says so, and that nothing dialled."""
    command = {"type": "camera/get_prefs", "entity_id": STREET}
    assert (await browser.request(command))["result"]["preload_stream"] is False
    texts = texts_of(issues_of(hass, get_entry(hass))[ISSUE])
    assert sum("Posto esterno strada" in text for text in texts) == len(LANGUAGES)
    assert not is_preloaded(go2rtc)
    assert simulator.rtc.offers == 0
    assert is_relayed(hass)


async def test_preload_that_is_switched_on(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """It is refused each time; the issue goes when the account is loaded again."""
    for _ in range(2):
        result = await relayed.request({**PREFS, "preload_stream": True})
        assert result["success"]
        await expect_refused_preload(hass, relayed, go2rtc, simulator)
        await reload_entry(hass, get_entry(hass))
        assert issues_of(hass, get_entry(hass)) == {}


async def test_preload_while_somebody_watches(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """The viewer stays, and is not asked again."""
    view = await relayed.watch(offer())
    await relayed.request({**PREFS, "preload_stream": True})
    assert ISSUE in issues_of(hass, get_entry(hass))
    assert not is_preloaded(go2rtc)
    assert view.received("error") == []
    assert len(go2rtc.stream.consumers) == 1
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 0)
    await view.close()


async def test_other_preferences(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer
) -> None:
    """They are taken."""
    assert (await relayed.request({**PREFS, "orientation": 3}))["result"]["orientation"] == 3
    assert (await relayed.request({**PREFS, "preload_stream": False}))["success"]
    assert issues_of(hass, get_entry(hass)) == {}
    assert not is_preloaded(go2rtc)


@pytest.mark.usefixtures("loopback")
async def test_preload_from_before_the_option(
    hass: HomeAssistant,
    go2rtc: Go2rtcServer,
    hass_ws_client: WebSocketGenerator,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It was without effect at the direct camera."""
    browser = await BrowserClient.connect(hass_ws_client, STREET)
    await set_up_go2rtc(hass, go2rtc)
    result = await browser.request({**PREFS, "preload_stream": True})
    assert result["result"]["preload_stream"]
    assert issues_of(hass, get_entry(hass)) == {}
    await choose_cameras(hass, panel_id(simulator, "Posto esterno strada"))
    await expect_refused_preload(hass, browser, go2rtc, simulator)
    assert "ERROR" not in caplog.text


async def test_preload_at_the_start_of_home_assistant(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """Home Assistant itself would preload HLS then."""
    await hass.data[DATA_CAMERA_PREFS].async_update(STREET, preload_stream=True)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await wait_idle(hass)
    await expect_refused_preload(hass, relayed, go2rtc, simulator)


async def test_stills(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    loopback: TestClient[Any, Any],
    simulator: Simulator,
    *,
    tmp_path: Path,
) -> None:
    """They are the picture of the last call, or a placeholder."""
    assert relayed.camera == STREET
    before = go2rtc.requests.copy()
    token = camera_entity(hass).access_tokens[-1]
    still = await loopback.get(f"/api/camera_proxy/{STREET}?token={token}")
    assert (still.status, still.content_type) == (200, "image/jpeg")
    async with loopback.get(f"/api/camera_proxy_stream/{STREET}?token={token}") as stream:
        assert b"image/jpeg" in await stream.content.readuntil(b"\r\n\r\n")
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    file = tmp_path / "still.jpg"
    await call(hass, "snapshot", filename=str(file))
    assert file.read_bytes() == await still.read()
    assert go2rtc.requests == before
    assert (simulator.rtc.offers, list(simulator.journal)) == (0, [])


async def test_other_integrations_get_no_address(
    hass: HomeAssistant, relayed: BrowserClient, simulator: Simulator
) -> None:
    """It has a secret, which HomeKit would log; only go2rtc knows what to do with it."""
    assert await async_get_stream_source(hass, STREET) is None
    await relayed.watch(offer())
    assert await async_get_stream_source(hass, STREET) is None
    browse = {"type": "media_source/browse_media", "media_content_id": "media-source://camera"}
    result = (await relayed.request(browse))["result"]
    assert result["children"] == []
    assert result["not_shown"] == len(hass.states.async_entity_ids("camera"))
    assert len(simulator.rtc.open) == 1


async def test_no_hls(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """Nor recordings: there is a clear reason, and nothing is dialled."""
    text = translated_error(hass, "stream_not_supported")
    result = await relayed.request({"type": "camera/stream", "entity_id": STREET})
    assert result["error"] == {"code": "start_stream_failed", "message": text}
    for action, data in (
        ("play_stream", {"media_player": "media_player.tv"}),
        ("record", {"filename": "/media/x.mp4"}),
    ):
        with pytest.raises(HomeAssistantError) as caught:
            await call(hass, action, **data)
        assert caught.value.translation_key == "stream_not_supported"
        assert str(caught.value) == text
    media = {
        "type": "media_source/resolve_media",
        "media_content_id": f"media-source://camera/{STREET}",
    }
    assert not (await relayed.request(media))["success"]
    assert (simulator.rtc.offers, go2rtc.streams) == (0, {})
    assert state_of(hass, STREET) == "idle"


async def call(hass: HomeAssistant, action: str, **data: str) -> None:
    """Call an action of the camera."""
    await hass.services.async_call("camera", action, {"entity_id": STREET, **data}, blocking=True)
