"""The address that go2rtc gets: where it leads, who has it, and how long it is valid."""

import logging
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import entity_registry as er
import pytest
from yarl import URL

from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from custom_components.bticino_classe.errors import translated_error
from custom_components.bticino_classe.live import go2rtc as go2rtc_module
from custom_components.bticino_classe.live.stream_address import SIGNALING_PATH, WHEP_PATH
from tests.integration.conftest import (
    get_entry,
    is_watched,
    reload_entry,
    wait_idle,
    wait_until,
)
from tests.integration.issues import issues_of
from tests.integration.live.browser_client import STREET, YARD, BrowserClient, offer
from tests.integration.live.go2rtc_server import (
    Go2rtcServer,
    camera_entity,
    choose_cameras,
    is_relayed,
    source_of,
)
from tests.integration.live.test_go2rtc_option import raise_no_url
from tests.integration.live.test_relayed_camera import PAUSE_SECONDS
from tests.integration.live.test_relays import Clock
from tests.integration.live.test_stream_address import files_with
from tests.integration.live.whep_client import (
    Whep,
    expect_problem,
    relay_offer,
    stream_path,
    talk_offer,
)

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

type Client = TestClient[Any, Any]


def address_of(hass: HomeAssistant, camera: str = STREET) -> URL:
    """Return the address of a camera that go2rtc serves."""
    scheme, _, address = source_of(hass, camera).partition(":")
    assert scheme == "webrtc"
    return URL(address)


def path_of(hass: HomeAssistant, camera: str = STREET) -> str:
    """Return the path and secret of the address by WHEP, which has the same secret."""
    return address_of(hass, camera).path_qs.replace(SIGNALING_PATH, WHEP_PATH)


@pytest.mark.usefixtures("relayed")
@pytest.mark.parametrize(
    ("bound", "go2rtc_url", "host"),
    [
        (None, "http://localhost:11984/", "127.0.0.1"),
        (["0.0.0.0", "::"], "http://127.0.0.1:1984", "127.0.0.1"),  # noqa: S104
        (["::"], "http://[::1]:1984", "::1"),
        (["::1", "127.0.0.1"], "http://127.0.0.2:1984", "127.0.0.1"),
        (["192.0.2.7"], "http://localhost:1984", "192.0.2.7"),
        (["192.0.2.7", "127.0.0.1"], "http://localhost:1984", "127.0.0.1"),
        (["2001:db8::7"], "http://localhost:1984", "2001:db8::7"),
        (["home.example"], "http://localhost:1984", "home.example"),
        (None, "http://192.0.2.9:1984/", "home.example"),
        (None, "http://go2rtc.example/", "home.example"),
    ],
)
async def test_where_it_leads(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    bound: list[str] | None,
    go2rtc_url: str,
    host: str,
) -> None:
    """To where Home Assistant listens on this machine; from another, to its usual address."""
    await hass.config.async_update(internal_url="http://home.example:8765")
    monkeypatch.setattr(hass.http, "server_host", bound)
    monkeypatch.setattr(hass.data["go2rtc"], "url", go2rtc_url)
    port = 8765 if go2rtc_url.startswith(("http://192", "http://go2rtc")) else hass.http.server_port
    address = address_of(hass)
    assert (address.scheme, address.host, address.port) == ("ws", host, port)
    assert address.path == f"{SIGNALING_PATH}/{STREET}"
    assert len(address.query["auth"]) == 64


@pytest.mark.usefixtures("relayed")
async def test_address_that_is_gone(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no source; at the next change of the providers, the camera is the direct one."""
    monkeypatch.setattr(hass.data["go2rtc"], "url", "http://go2rtc.example/")
    monkeypatch.setattr(go2rtc_module, "get_url", raise_no_url)
    go2rtc = get_entry(hass).runtime_data.live.go2rtc
    assert [go2rtc.async_source(STREET, module_id) for module_id in go2rtc.chosen] == [None]
    await camera_entity(hass).async_refresh_providers()
    await wait_idle(hass)
    assert not is_relayed(hass)
    assert "go2rtc_unavailable" in issues_of(hass, get_entry(hass))


async def test_not_the_stream_address(
    hass: HomeAssistant, relayed: BrowserClient, loopback: Client, simulator: Simulator
) -> None:
    """Two relays: neither replaces the other; while one watches, the line is busy."""
    own, other = Whep(http=loopback, path=await stream_path(hass)), path_of(hass)
    assert own.path != other
    await relayed.watch(offer())
    await expect_problem(await own.post(), 409)
    assert is_watched(hass, STREET)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 0)
    await stream_path(hass, renew=True)
    assert (await loopback.get(other)).status == 204
    assert len(simulator.rtc.open) == 1


async def test_secret_of_one_camera(
    hass: HomeAssistant, relayed: BrowserClient, loopback: Client, simulator: Simulator
) -> None:
    """It is for watching this camera, and for nothing else."""
    assert relayed.camera == STREET
    secret = address_of(hass).query["auth"]
    await expect_problem(await loopback.get(f"{WHEP_PATH}/{YARD}?auth={secret}"), 401)
    await expect_problem(await loopback.get(f"{WHEP_PATH}/{STREET}?auth={secret[:-1]}"), 401)
    await expect_problem(await loopback.get(f"{WHEP_PATH}/{STREET}?auth="), 401)
    talking = Whep(http=loopback, path=path_of(hass))
    await expect_problem(await talking.post(talk_offer()), 403)
    bearer = {"Authorization": f"Bearer {secret}"}
    refused = await loopback.get(f"/api/camera_proxy/{STREET}?auth={secret}", headers=bearer)
    assert refused.status in {401, 403}
    assert simulator.rtc.offers == 0


async def test_reload_while_watched(
    hass: HomeAssistant, relayed: BrowserClient, loopback: Client, simulator: Simulator
) -> None:
    """The call ends, the secret before is invalid, and the camera works again."""
    await relayed.watch(offer())
    former = path_of(hass)
    await reload_entry(hass, get_entry(hass))
    assert simulator.rtc.open == []
    assert path_of(hass) != former
    await expect_problem(await loopback.get(former), 401)
    Clock(hass).ahead = PAUSE_SECONDS
    await relayed.watch(offer(version=2))
    assert simulator.rtc.offers == 2


async def test_renamed_while_watched(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """The address follows the name; go2rtc has still one stream."""
    await relayed.watch(offer())
    registry = er.async_get(hass)
    registry.async_update_entity(STREET, new_entity_id="camera.gate")
    await wait_idle(hass)
    relayed.camera = "camera.gate"
    Clock(hass).ahead = PAUSE_SECONDS
    await relayed.watch(offer(version=2))
    assert URL(go2rtc.stream.address).path == f"{SIGNALING_PATH}/camera.gate"
    assert (simulator.rtc.peak, len(simulator.rtc.open)) == (1, 1)
    assert is_watched(hass, "camera.gate")


@pytest.mark.parametrize("end", ["remove", "disable", "unload", "option"])
async def test_nothing_is_left(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    loopback: Client,
    simulator: Simulator,
    *,
    end: str,
) -> None:
    """No call, no consumer, and no valid secret."""
    entry = get_entry(hass)
    await relayed.watch(offer())
    path = path_of(hass)
    if end == "remove":
        await hass.config_entries.async_remove(entry.entry_id)
    elif end == "disable":
        disabled_by = er.RegistryEntryDisabler.USER
        er.async_get(hass).async_update_entity(STREET, disabled_by=disabled_by)
    elif end == "unload":
        await hass.config_entries.async_unload(entry.entry_id)
    else:
        await choose_cameras(hass)
    await wait_idle(hass)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await wait_until(lambda: not go2rtc.stream.consumers)
    await expect_problem(await loopback.get(path), 401)
    posted = await loopback.post(
        path, data=relay_offer(), headers={"Content-Type": "application/sdp"}
    )
    await expect_problem(posted, 401)
    assert simulator.rtc.offers == 1


async def test_it_appears_nowhere(
    hass: HomeAssistant,
    relayed: BrowserClient,
    loopback: Client,
    caplog: pytest.LogCaptureFixture,
    hass_config_dir: str,
) -> None:
    """Not in a log, even of all requests, in states, diagnostics, objects, or in any file."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp.access").setLevel(logging.INFO)
    assert is_relayed(hass)
    await relayed.watch(offer())
    await relayed.watch(offer(version=2))
    await expect_problem(await loopback.get((address_of(hass)).path_qs), 426)
    await wait_idle(hass)
    entry = get_entry(hass)
    secret = address_of(hass).query["auth"]
    assert [each.name for each in caplog.records if secret in each.getMessage()] == []
    assert "auth=**REDACTED**" in caplog.text
    assert secret not in str([state.as_dict() for state in hass.states.async_all()])
    assert secret not in str(await async_get_config_entry_diagnostics(hass, entry))
    assert secret not in str(entry.as_dict())
    assert secret not in repr(entry.runtime_data)
    assert files_with(secret, hass_config_dir) == []


async def test_it_is_in_no_error_of_go2rtc(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its client's errors have the address of the request, of which the source is a part."""
    go2rtc.refuses_streams = True
    view = await relayed.open_view(offer())
    error = await view.wait_for("error")
    assert error["message"] == translated_error(hass, "go2rtc_failed")
    secret = address_of(hass).query["auth"]
    assert secret not in caplog.text
    assert secret not in str(view.messages)
    go2rtc.refuses_streams = False
    await relayed.watch(offer(version=2))
