"""Where a call of a panel that is not listed is shown: at the only known panel, if there is one."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from homeassistant.components.camera import async_get_image as async_get_camera_image
from homeassistant.components.image import async_get_image
import pytest

from custom_components.bticino_classe.history.media_tree import (
    ALWAYS,
    async_calls,
    async_latest,
    async_locations,
    async_periods,
)
from custom_components.bticino_classe.history.records import picture_path
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import (
    device_id_of,
    get_entry,
    poll,
    sign_in,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
)
from tests.integration.history.stored import calls_of, history_of
from tests.integration.history.test_calendar import shown
from tests.integration.history.test_call_actions import delete, export
from tests.integration.test_panels import with_panels
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Call, Simulator

type MissAtUnlisted = Callable[[int], Awaitable[Call]]

INTERCOM, PANEL, UNLISTED = "Classe 300X", "Ingresso 0", "Nuovo"
IMAGE, CAMERA = "image.ingresso_0_last_call", "camera.ingresso_0"
MISSED = "sensor.classe_300x_missed_calls"
with_one_or_two = pytest.mark.parametrize(
    ("count", "location"), [(1, PANEL), (2, INTERCOM)], ids=["one panel", "two panels"]
)


@pytest.fixture(name="miss_at_unlisted")
def _miss_at_unlisted(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> MissAtUnlisted:
    """Set up an intercom with some panels, and miss a ring at a panel that is not listed."""

    async def miss(count: int) -> Call:
        await set_up(hass, simulator, credentials, count)
        panel = simulator.add_module(kind="BNEU", name=UNLISTED)
        panel.listed, panel.silent = False, True
        call = simulator.ring(panel.id)
        simulator.miss(call)
        await wait_frames(hass, 4)
        await wait_idle(hass)
        return call

    return miss


async def set_up(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], count: int
) -> None:
    """Set up an intercom with some panels, and without earlier calls."""
    simulator.sockets.handshake_status = None
    simulator.use_house(with_panels("classe_300x", count))
    await wait_online(await sign_in(hass, credentials))
    await history_of(hass).async_delete([known.id for known in await calls_of(hass)])
    await wait_idle(hass)


async def locations(hass: HomeAssistant) -> list[str | None]:
    """Return the modules at which the media browser shows the only stored call."""
    history, (call,) = history_of(hass), await calls_of(hass)
    folders = await async_locations(history)
    modules = get_entry(hass).runtime_data.coordinator.data.modules
    for module_id in modules:
        expected = [call] if module_id in folders else []
        assert await async_latest(history, [module_id], 9) == expected
        assert await async_calls(history, module_id, ALWAYS) == expected
        assert [each.newest for each in await async_periods(history, module_id)] == expected
    return [modules[key].name for key in folders]


@with_one_or_two
async def test_media_browser(
    hass: HomeAssistant, miss_at_unlisted: MissAtUnlisted, *, count: int, location: str
) -> None:
    """The call is listed once."""
    await miss_at_unlisted(count)
    assert await locations(hass) == [location]


@with_one_or_two
async def test_pictures(
    hass: HomeAssistant, miss_at_unlisted: MissAtUnlisted, *, count: int, location: str
) -> None:
    """The image and the camera of the panel show it as soon as it is stored."""
    call = await miss_at_unlisted(count)
    picture, is_shown = jpeg(call.picture_id("snapshot")), location == PANEL
    assert (state_of(hass, IMAGE) != "unknown") is is_shown
    assert ((await async_get_image(hass, IMAGE)).content == picture) is is_shown
    assert ((await async_get_camera_image(hass, CAMERA)).content == picture) is is_shown
    assert state_of(hass, MISSED) == "1"


@with_one_or_two
async def test_permission(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    miss_at_unlisted: MissAtUnlisted,
    hass_client: ClientSessionGenerator,
    hass_admin_user: MockUser,
    count: int,
    location: str,
) -> None:
    """A user who may see the camera of the panel gets the picture."""
    await miss_at_unlisted(count)
    (call,) = await calls_of(hass)
    browser = await hass_client()
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": {CAMERA: True}}})
    answer = await browser.get(picture_path(get_entry(hass).entry_id, call.id, "snapshot"))
    assert answer.status == (HTTPStatus.OK if location == PANEL else HTTPStatus.UNAUTHORIZED)


@with_one_or_two
async def test_calendar(
    miss_at_unlisted: MissAtUnlisted,
    hass_client: ClientSessionGenerator,
    *,
    count: int,
    location: str,
) -> None:
    """The title names the location."""
    await miss_at_unlisted(count)
    (event,) = await shown(hass_client)
    assert event["summary"] == f"Missed · {location}"


@pytest.mark.parametrize("selected", [PANEL, INTERCOM])
@with_one_or_two
async def test_actions_for_a_device(
    hass: HomeAssistant,
    miss_at_unlisted: MissAtUnlisted,
    *,
    count: int,
    location: str,
    selected: str,
) -> None:
    """The calls of a panel are those that are shown at it; those of an intercom are all."""
    await miss_at_unlisted(count)
    device_id = device_id_of(hass, selected)
    is_selected = selected in {location, INTERCOM}
    (call,) = await calls_of(hass)
    assert [each["id"] for each in await export(hass, device_id=device_id)] == [
        call.id
    ] * is_selected
    await delete(hass, device_id=device_id)
    assert await calls_of(hass) == [call] * (not is_selected)


async def test_unlisted_panel_appears(
    hass: HomeAssistant,
    simulator: Simulator,
    miss_at_unlisted: MissAtUnlisted,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Its calls move to it, with their pictures."""
    call = await miss_at_unlisted(1)
    simulator.house.find(UNLISTED).listed = True
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await poll(hass, freezer)
    assert await locations(hass) == [UNLISTED]
    image = await async_get_image(hass, "image.nuovo_last_call")
    assert image.content == jpeg(call.picture_id("snapshot"))
    assert (await async_get_image(hass, IMAGE)).content != image.content


async def test_call_of_an_unknown_panel(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """It is shown at the intercom, at its only panel, and at the intercom again with two."""
    await set_up(hass, simulator, credentials, 0)
    simulator.miss(simulator.ring(simulator.house.bridges()[0].id))
    await wait_frames(hass, 2)
    seen: list[Any] = [await locations(hass)]
    for number in (1, 2):
        simulator.add_module(kind="BNEU", name=f"Ingresso {number}")
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        await poll(hass, freezer)
        seen.append(await locations(hass))
    assert seen == [[INTERCOM], ["Ingresso 1"], [INTERCOM]]
