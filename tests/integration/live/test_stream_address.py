"""The stream address of a camera: who gets it, who may use it, and where it never appears."""

import asyncio
import logging
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from homeassistant.components.http.ban import KEY_FAILED_LOGIN_ATTEMPTS
from homeassistant.components.persistent_notification import _async_get_or_create_notifications
from homeassistant.core import Context
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.network import NoURLAvailableError
from homeassistant.util.yaml import parse_yaml
import pytest
from yarl import URL

from custom_components.bticino_classe import async_remove_config_entry_device, services
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from custom_components.bticino_classe.live import stream_address, whep
from custom_components.bticino_classe.live.stream_address import WHEP_PATH
from tests.integration.conftest import get_entry, reload_entry, wait_until
from tests.integration.live.browser_client import STREET, YARD
from tests.integration.live.conftest import quiet
from tests.integration.live.whep_client import (
    BASE_URL,
    Whep,
    expect_problem,
    relay_offer,
    stream_path,
    stream_settings,
    talk_offer,
)

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

ACTIONS = ["stream_address", "renew_stream_address", "remove_stream_address"]
WRONG = {
    "empty": "",
    "word": "wrong",
    "umlaut": "ü",
    "zeros": "0" * 64,
    "null": "\x00",
    "format": "%s%d",
    "long": "a" * 4000,
}


@pytest.fixture(name="http")
async def _http(
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - the camera works
    hass_client_no_auth: ClientSessionGenerator,
    monkeypatch: pytest.MonkeyPatch,
) -> TestClient[Any, Any]:
    """A client that is not signed in."""
    monkeypatch.setattr(whep, "QUIET_SECONDS", quiet(0.01))
    client: TestClient[Any, Any] = await hass_client_no_auth()
    return client


def files_with(text: str, folder: str) -> list[str]:
    """Return the names of the files that contain a text."""
    files = [each for each in Path(folder).rglob("*") if each.is_file()]
    return [each.name for each in files if text.encode() in each.read_bytes()]


def secret_of(path: str) -> str:
    """Return the secret of a stream address."""
    return URL(path).query["auth"]


async def test_settings(hass: HomeAssistant, http: TestClient[Any, Any]) -> None:
    """The address, and lines for programs, are the same each time."""
    settings = await stream_settings(hass)
    assert settings == await stream_settings(hass)
    address = settings["address"]
    pattern = rf"{re.escape(BASE_URL)}{WHEP_PATH}/{STREET}\?auth=[0-9a-f]{{64}}"
    assert re.fullmatch(pattern, address)
    stream = {"posto_esterno_strada": f"webrtc:{address}"}
    assert parse_yaml(settings["go2rtc"]) == {"streams": stream}
    assert parse_yaml(settings["frigate"]) == {"go2rtc": {"streams": stream}}
    source = address.replace("http://", "whep://")
    assert parse_yaml(settings["mediamtx"]) == {
        "paths": {"posto_esterno_strada": {"source": source, "sourceOnDemand": True}}
    }
    path = URL(address).path_qs
    assert (await http.get(path)).status == 204


def test_address_behind_tls() -> None:
    """MediaMTX has another scheme for it."""
    found = stream_address.stream_settings("https://home.example", STREET, "0" * 64)
    assert found["address"] == f"https://home.example{WHEP_PATH}/{STREET}?auth={'0' * 64}"
    assert "source: wheps://home.example/" in str(found["mediamtx"])


@pytest.mark.usefixtures("online_entry")
async def test_home_assistant_without_an_address(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The action says so, and no secret is made."""

    def fail(*_: object, **_options: object) -> str:
        raise NoURLAvailableError

    monkeypatch.setattr(services, "get_url", fail)
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            DOMAIN, ACTIONS[0], {"entity_id": STREET}, blocking=True, return_response=True
        )
    assert caught.value.translation_key == "no_url"
    assert "stream_secrets" not in get_entry(hass).data


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("camera", ["camera.none", "camera.demo"])
async def test_camera_of_another_integration(hass: HomeAssistant, camera: str) -> None:
    """It has no stream address."""
    er.async_get(hass).async_get_or_create("camera", "demo", "1", suggested_object_id="demo")
    with pytest.raises(ServiceValidationError) as caught:
        await stream_settings(hass, camera)
    assert caught.value.translation_key == "no_such_camera"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("action", ACTIONS)
async def test_only_administrators_see_it(
    hass: HomeAssistant, hass_read_only_user: MockUser, action: str
) -> None:
    """Not a user who may control every entity."""
    hass_read_only_user.mock_policy({"entities": True})
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            *(DOMAIN, action, {"entity_id": STREET}),
            blocking=True,
            return_response=action != "remove_stream_address",
            context=Context(user_id=hass_read_only_user.id),
        )
    assert "stream_secrets" not in get_entry(hass).data


@pytest.mark.parametrize("secret", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("exists", [True, False])
async def test_wrong_secret(
    hass: HomeAssistant,
    http: TestClient[Any, Any],
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    secret: str,
    exists: bool,
) -> None:
    """It is off until somebody asks for it; a wrong one is no failed login, and not logged."""
    if exists:
        await stream_path(hass)
    caplog.clear()
    for params in ({"auth": secret}, {"auth": [secret, secret]}, {}):
        address = URL(f"{WHEP_PATH}/{STREET}").with_query(params)
        headers = {"Content-Type": "application/sdp"}
        response = await http.post(address, data=relay_offer(), headers=headers)
        await expect_problem(response, 401)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        await expect_problem(await http.get(address), 401)
    assert simulator.rtc.offers == 0
    assert dict(http.app[KEY_FAILED_LOGIN_ATTEMPTS]) == {}
    assert _async_get_or_create_notifications(hass) == {}
    assert not secret or f"auth={secret}" not in caplog.text
    assert "WARNING" not in caplog.text


async def test_secret_is_of_one_camera(
    hass: HomeAssistant, http: TestClient[Any, Any], simulator: Simulator
) -> None:
    """It opens no other, may not talk, and is no token of Home Assistant."""
    street, yard = await stream_path(hass), await stream_path(hass, YARD)
    assert secret_of(street) != secret_of(yard)
    other = Whep(http=http, path=f"{WHEP_PATH}/{YARD}?auth={secret_of(street)}")
    await expect_problem(await other.post(), 401)
    relay = Whep(http=http, path=street)
    await expect_problem(await relay.post(talk_offer()), 403)
    bearer = {"Authorization": f"Bearer {secret_of(street)}"}
    pictures = f"/api/bticino_classe/picture/{get_entry(hass).entry_id}/x/snapshot.jpg"
    for path in (pictures, f"/api/camera_proxy/{STREET}"):
        refused = await http.get(f"{path}?auth={secret_of(street)}", headers=bearer)
        assert refused.status in {401, 403}
    assert simulator.rtc.offers == 0


async def test_renewed_address(
    hass: HomeAssistant, http: TestClient[Any, Any], simulator: Simulator
) -> None:
    """The former one is invalid, and its views end; those of other cameras do not."""
    simulator.rtc.settings.view_seconds = 10_000
    former = await stream_path(hass)
    yard = await stream_path(hass, YARD)
    location = await Whep(http=http, path=former).watch()
    renewed = await stream_path(hass, renew=True)
    assert secret_of(renewed) != secret_of(former)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_problem(await http.get(location), 404)
    await expect_problem(await Whep(http=http, path=former).post(), 401)
    for path in (renewed, yard):
        assert (await http.get(path)).status == 204


async def remove(hass: HomeAssistant, camera: str = STREET) -> None:
    """Remove the stream address of a camera."""
    data = {"entity_id": camera}
    await hass.services.async_call(DOMAIN, "remove_stream_address", data, blocking=True)


@pytest.mark.parametrize("state", ["loaded", "watching", "connecting", "not_loaded", "disabled"])
async def test_removed_address(
    hass: HomeAssistant, http: TestClient[Any, Any], simulator: Simulator, state: str
) -> None:
    """It is off until somebody asks for a new one, and its views end; others stay."""
    simulator.rtc.settings.silent_answers = state == "connecting"
    registry, entry_id = er.async_get(hass), get_entry(hass).entry_id
    path, yard = await stream_path(hass), await stream_path(hass, YARD)
    posting = None
    if state in {"watching", "connecting"}:
        posting = asyncio.create_task(Whep(http=http, path=path).post())
        await simulator.rtc.wait_for(lambda: simulator.rtc.open)
    if state == "watching" and posting is not None:
        await posting
    elif state == "not_loaded":
        await hass.config_entries.async_unload(entry_id)
    elif state == "disabled":
        registry.async_update_entity(STREET, disabled_by=er.RegistryEntryDisabler.USER)
    await remove(hass)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    if posting is not None:
        assert (await posting).status == (201 if state == "watching" else 503)
    if state == "disabled":
        registry.async_update_entity(STREET, disabled_by=None)
        await reload_entry(hass, get_entry(hass))
    await expect_problem(await Whep(http=http, path=path).post(), 401)
    assert (await http.get(yard)).status == 204
    if state == "not_loaded":
        await hass.config_entries.async_setup(entry_id)
    new = await stream_path(hass)
    assert secret_of(new) != secret_of(path)
    assert [(await http.get(each)).status for each in (path, new)] == [401, 204]


@pytest.mark.usefixtures("online_entry")
async def test_removal_without_an_address(hass: HomeAssistant) -> None:
    """There is nothing to do, unless it is no camera with one."""
    await remove(hass)
    assert "stream_secrets" not in get_entry(hass).data
    with pytest.raises(ServiceValidationError) as caught:
        await remove(hass, "camera.none")
    assert caught.value.translation_key == "no_such_camera"


async def test_address_of_a_deleted_panel(
    hass: HomeAssistant, http: TestClient[Any, Any], simulator: Simulator
) -> None:
    """It goes with the device: the panel has none if it comes back."""
    path, yard = await stream_path(hass), await stream_path(hass, YARD)
    entry = get_entry(hass)
    panel = simulator.house.find("Posto esterno strada")
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, panel.id), entry.entry_id)
    assert device is not None
    for home in simulator.house.homes:
        home.modules.pop(panel.id, None)
    await reload_entry(hass, entry)
    await wait_until(lambda: entry.runtime_data.coordinator.known_homes.is_gone(panel.id))
    assert await async_remove_config_entry_device(hass, entry, device)
    assert list(entry.data["stream_secrets"]) == [simulator.house.find("Posto esterno cortile").id]
    await expect_problem(await http.get(path), 401)
    assert (await http.get(yard)).status == 204


async def test_address_of_an_account_that_is_not_loaded(
    hass: HomeAssistant, http: TestClient[Any, Any]
) -> None:
    """It is shown and renewed; a camera that has none gets none."""
    path = await stream_path(hass)
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    assert await stream_path(hass) == path
    renewed = await stream_path(hass, renew=True)
    for address, status in ((path, 401), (renewed, 204)):
        assert (await http.get(address)).status == status
        assert "Link" not in (await http.options(address)).headers
    with pytest.raises(ServiceValidationError) as caught:
        await stream_settings(hass, YARD)
    assert caught.value.translation_key == "no_such_camera"


async def test_address_outlives_reloads_and_sign_ins(
    hass: HomeAssistant, http: TestClient[Any, Any]
) -> None:
    """It is stored in the entry's data, which new tokens do not replace."""
    path = await stream_path(hass)
    entry = get_entry(hass)
    await reload_entry(hass, entry)
    await entry.runtime_data.account.auth.authenticate()
    await hass.async_block_till_done()
    assert (await http.get(path)).status == 204
    assert await stream_path(hass) == path


async def test_renamed_and_disabled_camera(hass: HomeAssistant, http: TestClient[Any, Any]) -> None:
    """The address follows the camera's name, with the same secret."""
    former = await stream_path(hass)
    registry = er.async_get(hass)
    registry.async_update_entity(STREET, new_entity_id="camera.gate")
    await hass.async_block_till_done()
    await expect_problem(await http.get(former), 401)
    path = await stream_path(hass, "camera.gate")
    assert secret_of(path) == secret_of(former)
    assert (await http.get(path)).status == 204
    registry.async_update_entity("camera.gate", disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    await expect_problem(await http.get(path), 401)


async def test_secret_appears_nowhere(
    hass: HomeAssistant,
    http: TestClient[Any, Any],
    caplog: pytest.LogCaptureFixture,
    hass_config_dir: str,
) -> None:
    """Not in a log, even of all requests, in states, diagnostics, or in a file but the entry's."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp.access").setLevel(logging.INFO)
    path = await stream_path(hass)
    relay = Whep(http=http, path=path)
    await relay.http.delete(await relay.watch())
    await relay.post("nonsense")
    await relay.http.get(f"{path}&more=1")
    await hass.async_block_till_done()
    secret = secret_of(path)
    own = [each for each in caplog.records if not each.name.startswith(("homeassistant.core",))]
    assert "aiohttp.access" in {each.name for each in own}
    assert "auth=**REDACTED**" in caplog.text
    assert [each.name for each in own if secret in each.getMessage()] == []
    assert secret not in str([state.as_dict() for state in hass.states.async_all()])
    assert secret not in str(await async_get_config_entry_diagnostics(hass, get_entry(hass)))
    assert files_with(secret, hass_config_dir) == []
