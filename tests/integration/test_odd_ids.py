"""A panel whose id could be a path, or is longer than a file name, works like any other."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.camera import async_get_image
from homeassistant.components.media_source import async_browse_media
from homeassistant.setup import async_setup_component
import pytest

from tests.integration.conftest import (
    call_action,
    sign_in,
    state_of,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

STREET, CANCELLO = "Posto esterno strada", "Cancello"
RINGING = "binary_sensor.posto_esterno_strada_bell"
ODD_IDS = ["..", ".hidden", "../../x", "a/b", "x" * 300]


@pytest.fixture(name="odd", params=ODD_IDS)
async def _odd(
    request: pytest.FixtureRequest,
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
) -> ConfigEntry[Any]:
    """An account with a panel and a door with such an id."""
    modules = simulator.house.homes[0].modules
    for module in [m for m in modules.values() if m.name in {STREET, CANCELLO}]:
        del modules[module.id]
        module.id = request.param + ("-door" if module.name == CANCELLO else "")
        modules[module.id] = module
    simulator.sockets.handshake_status = None
    entry = await sign_in(hass, credentials)
    await wait_online(entry)
    return entry


@pytest.mark.usefixtures("odd")
async def test_odd_id(hass: HomeAssistant, simulator: Simulator) -> None:
    """It rings and has its picture, and the door opens."""
    call = simulator.ring(STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await wait_idle(hass)
    image = await async_get_image(hass, "camera.posto_esterno_strada")
    assert image.content == jpeg(call.picture_id("snapshot"))
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1


@pytest.mark.parametrize("home_id", [*ODD_IDS, "%2e%2e", "2026-11", "a/2026-11", "a b", "è"])
async def test_odd_id_of_a_home(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], home_id: str
) -> None:
    """It is a folder among others, its door opens and its calls are in the calendar."""
    assert await async_setup_component(hass, "media_source", {})
    simulator.use_house("two_homes")
    simulator.house.homes[0].id = home_id
    simulator.sockets.handshake_status = None
    await wait_online(await sign_in(hass, credentials))
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert state_of(hass, "calendar.casa_calls") in {"on", "off"}
    root = await async_browse_media(hass, "media-source://bticino_classe")
    (folder,) = [each for each in root.children or () if each.title == "Casa"]
    home = await async_browse_media(hass, folder.media_content_id)
    (call,) = home.children or ()  # the levels in between have one folder each
    assert call.title.endswith("Missed")
