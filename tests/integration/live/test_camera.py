"""Camera entities: one for each panel, WebRTC, and a still image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeassistant.components import camera as core
from homeassistant.helpers.entity_component import DATA_INSTANCES
import pytest

from tests.integration.conftest import (
    get_entry,
    poll,
    reload_entry,
    sign_in,
    state_of,
    wait_until,
)
from tests.integration.live.browser_client import (
    STREET,
    YARD,
    BrowserClient,
    panel_id,
)
from tests.simulator.houses import PANEL

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import entity_registry as er
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
    )

    from tests.simulator import Simulator

NEW = "camera.entrance_panel_1"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """As Home Assistant 2026.11 has them."""

    two_way_audio: bool = False


@pytest.fixture(autouse=True)
def _enabled() -> None:
    """Only what is enabled by default."""


@pytest.mark.parametrize(
    ("house", "cameras"),
    [
        ("classe_300x", ["posto_esterno_cortile", "posto_esterno_strada"]),
        ("classe_100x", ["cancello"]),
        ("easykit", ["entrance_panel_1"]),
    ],
)
async def test_one_camera_for_each_panel(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    house: str,
    cameras: list[str],
) -> None:
    """Named after the panel."""
    simulator.use_house(house)
    await sign_in(hass, credentials)
    assert sorted(hass.states.async_entity_ids("camera")) == [f"camera.{c}" for c in cameras]


async def test_camera_of_an_intercom_without_panels(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    entity_registry: er.EntityRegistry,
) -> None:
    """It shows the intercom's default panel; a panel that becomes known replaces it."""
    for panel in simulator.house.panels():
        simulator.remove_module(panel.id)
    entry = await sign_in(hass, credentials)
    assert hass.states.async_entity_ids("camera") == ["camera.classe_300x"]
    simulator.add_module(kind=PANEL, name="Strada")
    await poll(hass, freezer)
    assert state_of(hass, NEW) == "idle"
    await reload_entry(hass, entry)
    assert hass.states.async_entity_ids("camera") == [NEW]
    assert entity_registry.async_get("camera.classe_300x") is None


@pytest.mark.parametrize("known", [True, False])
async def test_two_way_audio_capability(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: bool,
) -> None:
    """Home Assistant shows its talk button for it; older versions show video only."""
    if known:
        monkeypatch.setattr(core, "CameraEntityCapabilities", Capabilities, raising=False)
    await sign_in(hass, credentials)
    camera: Any = hass.data[DATA_INSTANCES]["camera"].get_entity("camera.posto_esterno_strada")
    found = getattr(camera, "_attr_camera_entity_capabilities", None)
    assert found == (Capabilities(two_way_audio=True) if known else None)
    assert simulator.rtc.offers == 0


async def test_player_uses_webrtc(browser: BrowserClient) -> None:
    """Natively: no other stream or custom card is needed."""
    result = await browser.request({"type": "camera/capabilities", "entity_id": STREET})
    assert result["result"]["frontend_stream_types"] == ["web_rtc"]


@pytest.mark.usefixtures("online_entry")
async def test_still_image_does_not_call_the_intercom(
    hass: HomeAssistant,
    simulator: Simulator,
    hass_client: ClientSessionGenerator,
) -> None:
    """A placeholder first, then the picture of the last ring."""
    client = await hass_client()
    state = hass.states.get(STREET)
    assert state is not None
    link = state.attributes["entity_picture"]
    response = await client.get(link)
    placeholder = await response.read()
    assert (response.status, response.content_type) == (200, "image/jpeg")
    assert placeholder[:3] == b"\xff\xd8\xff"
    simulator.ring("Posto esterno strada")
    street = panel_id(simulator, "Posto esterno strada")
    await wait_until(lambda: get_entry(hass).runtime_data.history.last(street, "snapshot"))
    response = await client.get(link)
    assert await response.read() not in (placeholder, b"")
    state = hass.states.get(YARD)
    assert state is not None
    response = await client.get(state.attributes["entity_picture"])
    assert await response.read() == placeholder
    assert simulator.rtc.offers == 0
