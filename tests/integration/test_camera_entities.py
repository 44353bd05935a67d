"""Which cameras there are, and what they can."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeassistant.components import camera as core
from homeassistant.helpers.entity_component import DATA_INSTANCES
import pytest

from tests.integration.conftest import poll, restart, sign_in, state_of
from tests.simulator.houses import PANEL

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import entity_registry as er

    from tests.simulator import Simulator


NEW = "camera.entrance_panel_1"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """As Home Assistant 2026.11 has them."""

    two_way_audio: bool = False


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
    """Named as the panel is."""
    simulator.use_house(house)
    await sign_in(hass, credentials)
    assert sorted(hass.states.async_entity_ids("camera")) == [f"camera.{c}" for c in cameras]


async def test_intercom_without_a_known_panel_has_the_camera_itself(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    entity_registry: er.EntityRegistry,
) -> None:
    """It shows the panel of its choice; once a panel is known, that one has the camera."""
    for panel in simulator.house.panels():
        simulator.remove_module(panel.id)
    entry = await sign_in(hass, credentials)
    assert hass.states.async_entity_ids("camera") == ["camera.classe_300x"]
    simulator.add_module(kind=PANEL, name="Strada")
    await poll(hass, freezer)
    assert state_of(hass, NEW) == "idle"
    await restart(hass, entry)
    assert hass.states.async_entity_ids("camera") == [NEW]
    assert entity_registry.async_get("camera.classe_300x") is None


@pytest.mark.parametrize("known", [True, False])
async def test_talking_is_declared_where_home_assistant_knows_it(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: bool,
) -> None:
    """Home Assistant shows its talk button for it; older versions show the pictures alone."""
    if known:
        monkeypatch.setattr(core, "CameraEntityCapabilities", Capabilities, raising=False)
    await sign_in(hass, credentials)
    camera: Any = hass.data[DATA_INSTANCES]["camera"].get_entity("camera.posto_esterno_strada")
    found = getattr(camera, "_attr_camera_entity_capabilities", None)
    assert found == (Capabilities(two_way_audio=True) if known else None)
    assert simulator.rtc.offers == 0
