"""The images of the last call of each panel."""

from typing import TYPE_CHECKING

from homeassistant.components.image import async_get_image
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.entity import unique_id
from custom_components.bticino_classe.history.downloads import async_placeholder
from tests.integration.conftest import (
    get_entry,
    reload_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
)
from tests.integration.history.stored import history_of, new_calls
from tests.integration.history.test_history import called
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
IMAGE, CLOSE_UP = (f"image.posto_esterno_strada{end}" for end in ("_last_call", "_last_close_up"))


@pytest.mark.usefixtures("online_entry")
async def test_placeholder_before_the_first_call(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """A placeholder without a time; no close-up entity; no access without the token."""
    image, placeholder = await async_get_image(hass, IMAGE), await async_placeholder(hass)
    assert (state_of(hass, IMAGE), image.content) == ("unknown", placeholder.content)
    assert hass.states.get(CLOSE_UP) is None
    state = hass.states.get(IMAGE)
    assert state is not None
    browser = await hass_client_no_auth()
    response = await browser.get(state.attributes["entity_picture"])
    assert (response.status, await response.read()) == (200, placeholder.content)
    assert (await browser.get(f"/api/image_proxy/{IMAGE}")).status == 403


@pytest.mark.usefixtures("online_entry")
async def test_last_call_and_its_close_up(hass: HomeAssistant, simulator: Simulator) -> None:
    """The state is the time of the call, and changes only at its panel."""
    first = await called(hass, simulator, STREET, "miss", late=60)
    (known,) = await new_calls(hass)
    when = dt_util.utc_from_timestamp(known.time).isoformat()
    assert state_of(hass, IMAGE) == state_of(hass, CLOSE_UP) == when
    assert (await async_get_image(hass, IMAGE)).content == jpeg(first.picture_id("snapshot"))
    assert (await async_get_image(hass, CLOSE_UP)).content == jpeg(first.picture_id("vignette"))
    assert state_of(hass, "image.posto_esterno_cortile_last_call") == "unknown"
    assert hass.states.get("image.classe_300x_last_call_panel_unknown") is None

    other = await called(hass, simulator, YARD, "miss")
    assert state_of(hass, IMAGE) == when
    yard = await async_get_image(hass, "image.posto_esterno_cortile_last_call")
    assert yard.content == jpeg(other.picture_id("snapshot"))

    # A call without a picture does not replace the last picture.
    await called(hass, simulator, STREET, "miss", pictures=False)
    assert state_of(hass, IMAGE) == when


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("entity_id", [IMAGE, CLOSE_UP, "camera.posto_esterno_strada"])
async def test_new_picture_has_a_new_address(
    hass: HomeAssistant,
    simulator: Simulator,
    hass_client_no_auth: ClientSessionGenerator,
    entity_id: str,
) -> None:
    """So that an open page shows it; the address stays as long as the picture does."""

    def address() -> str:
        state = hass.states.get(entity_id)
        assert state is not None
        return str(state.attributes["entity_picture"])

    await called(hass, simulator, STREET, "miss", late=60)
    first = address()
    await called(hass, simulator, YARD, "miss")
    await called(hass, simulator, STREET, "miss", pictures=False)
    await hass.services.async_call(DOMAIN, "reset_missed_calls", {}, blocking=True)
    assert address() == first
    call = await called(hass, simulator, STREET, "miss")
    second = address()
    assert second != first
    browser = await hass_client_no_auth()
    kind = "vignette" if entity_id == CLOSE_UP else "snapshot"
    for url in (first, second):  # a page may just be fetching the one before
        assert await (await browser.get(url)).read() == jpeg(call.picture_id(kind))
    history = history_of(hass)
    await history.async_delete([(await new_calls(hass))[-1].id])
    await wait_idle(hass)
    assert address() not in {first, second}


@pytest.mark.usefixtures("online_entry")
async def test_images_after_a_restart(hass: HomeAssistant, simulator: Simulator) -> None:
    """Both images are available at once, with the time of the call."""
    call = await called(hass, simulator, STREET, "miss")
    before = state_of(hass, IMAGE)
    await reload_entry(hass, get_entry(hass))
    assert state_of(hass, IMAGE) == state_of(hass, CLOSE_UP) == before
    assert (await async_get_image(hass, CLOSE_UP)).content == jpeg(call.picture_id("vignette"))


@pytest.mark.usefixtures("online_entry")
async def test_deleted_call_is_not_shown(hass: HomeAssistant, simulator: Simulator) -> None:
    """The image shows the call before it, or the placeholder."""
    first = await called(hass, simulator, STREET, "miss", late=60)
    await called(hass, simulator, STREET, "miss")
    history = history_of(hass)
    await history.async_delete([(await new_calls(hass))[-1].id])
    await wait_idle(hass)
    assert (await async_get_image(hass, IMAGE)).content == jpeg(first.picture_id("snapshot"))
    await history.async_delete_all()
    await wait_idle(hass)
    assert state_of(hass, IMAGE) == "unknown"
    placeholder = await async_placeholder(hass)
    assert (await async_get_image(hass, IMAGE)).content == placeholder.content
    # The close-up entity of the panel is registered, so it stays.
    await reload_entry(hass, get_entry(hass))
    assert state_of(hass, CLOSE_UP) == "unknown"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_call_of_an_unknown_panel(hass: HomeAssistant, simulator: Simulator) -> None:
    """The intercom gets an image once it has a picture."""
    image = "image.easykit_last_call_panel_unknown"
    assert hass.states.get(image) is None
    call = simulator.ring()
    await wait_frames(hass, 2)
    await wait_idle(hass)
    assert (await async_get_image(hass, image)).content == jpeg(call.picture_id("snapshot"))
    assert state_of(hass, "image.entrance_panel_1_last_call") == "unknown"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["classe_300x", "classe_100x"])
async def test_call_of_a_panel_that_is_not_listed(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The intercom, or its only known panel, gets both images and keeps them over a reload."""
    (bridge,), known = simulator.house.bridges(), simulator.house.panels()
    location = known[0] if len(known) == 1 else bridge
    panel = simulator.add_module(kind="BNEU", name="Nuovo")
    panel.listed, panel.silent = False, True
    call = simulator.ring(panel.id)
    await wait_frames(hass, 3)
    await wait_idle(hass)
    for _ in range(2):
        for key, kind in (("last_call", "snapshot"), ("last_call_close_up", "vignette")):
            image = image_of(hass, location.id, key)
            assert (await async_get_image(hass, image)).content == jpeg(call.picture_id(kind))
        await reload_entry(hass, get_entry(hass))
        await wait_online(get_entry(hass))


@pytest.mark.usefixtures("online_entry")
async def test_picture_of_a_panel_that_is_listed_later(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The panel shows its call once it is listed."""
    panel = simulator.add_module(kind="BNEU", name="Nuovo")
    call = simulator.ring(panel.id)
    await wait_frames(hass, 3)
    await wait_idle(hass)
    image = image_of(hass, panel.id, "last_call")
    assert (await async_get_image(hass, image)).content == jpeg(call.picture_id("snapshot"))


def image_of(hass: HomeAssistant, module_id: str, key: str) -> str:
    """Return the entity id of an image of a module."""
    unique = unique_id(get_entry(hass), module_id, key)
    found = er.async_get(hass).async_get_entity_id("image", DOMAIN, unique)
    assert found is not None
    return found
