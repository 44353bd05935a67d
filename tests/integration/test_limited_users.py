"""What users with few rights can do, command by command and view by view."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.const import CONF_SIMULATED_RINGS, DOMAIN
from custom_components.bticino_classe.history.records import picture_path
from tests.integration.conftest import device_id_of, state_of, wait_idle, wait_until
from tests.integration.history.stored import calls_of

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

    from custom_components.bticino_classe.history.records import CallRecord
    from tests.simulator import Simulator

STREET = "Posto esterno strada"
RINGING = "binary_sensor.posto_esterno_strada_bell"
CAMERA, CALENDAR, LOCK = "camera.posto_esterno_strada", "calendar.casa_calls", "lock.cancello"
LIGHT, RESET = "light.luce_scale", "button.classe_300x_reset_missed_calls"
SPAN = {"start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
READ_ALL: dict[str, Any] = {"all": {"read": True}}

#: What each user succeeds with; everything else is refused.
ALLOWED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"entity_ids": {LIGHT: True}}, {"light"}),
    ({"entity_ids": {CAMERA: {"read": True}}}, {"browse", "resolve", "picture"}),
    ({"entity_ids": {CAMERA: {"control": True}}}, {"hang_up", "decline_ring", "next_panel", "off"}),
    ({"entity_ids": {CALENDAR: {"read": True}}}, {"calendar", "calendar view"}),
    ({"entity_ids": {RESET: True}}, {"reset", "reset button"}),
    ({"entity_ids": {LOCK: {"read": True}}}, set()),
    (READ_ALL, {"browse", "resolve", "picture", "calendar", "calendar view"}),
]


def actions(entity_of: dict[str, str], user_id: str, owner_id: str) -> dict[str, dict[str, Any]]:
    """Return the actions of the integration and of its entities."""

    def on(entity_id: str, action: str, **data: Any) -> dict[str, Any]:
        domain, _, service = action.partition(".")
        target = {"entity_id": entity_id}
        return {"domain": domain, "service": service, "service_data": data, "target": target}

    def plain(service: str, **data: Any) -> dict[str, Any]:
        return {"domain": DOMAIN, "service": service, "service_data": data}

    return {
        "open": on(LOCK, "lock.open"),
        "unlock": on(LOCK, "lock.unlock"),
        "open button": on("button.cancello_open", "button.press"),
        "open for oneself": plain("open_door", entity_id=LOCK, user_id=user_id),
        "open for the owner": plain("open_door", entity_id=LOCK, user_id=owner_id),
        "open for nobody": plain("open_door", entity_id=LOCK, user_id=""),
        "light": on(LIGHT, "light.turn_on"),
        "setting": on("select.classe_300x_do_not_disturb", "select.select_option", option="always"),
        "hang_up": on(CAMERA, f"{DOMAIN}.hang_up"),
        "decline_ring": on(CAMERA, f"{DOMAIN}.decline_ring"),
        "next_panel": on(CAMERA, f"{DOMAIN}.next_panel"),
        "off": on(CAMERA, "camera.turn_off"),
        "reset": plain("reset_missed_calls"),
        "reset button": on(RESET, "button.press"),
        "simulate": plain("simulate_ring", device_id=entity_of["device"]),
        "delete": plain("delete_calls", all=True),
        "record": plain("record_protocol"),
    }


def commands(entry_id: str, call: CallRecord) -> dict[str, dict[str, Any]]:
    """Return the WebSocket commands that reach the integration, or what it stores."""
    media = f"media-source://{DOMAIN}/{entry_id}"
    return {
        "browse": {
            "type": "media_source/browse_media",
            "media_content_id": f"{media}/{call.panel_id}",
        },
        "resolve": {
            "type": "media_source/resolve_media",
            "media_content_id": f"{media}/{call.id}/snapshot",
        },
        "calendar": {"type": "calendar/event/subscribe", "entity_id": CALENDAR, **SPAN},
        "events": {"type": "subscribe_events", "event_type": "call_service"},
        "triggers": {"type": "subscribe_trigger", "trigger": {"trigger": "homeassistant"}},
        "diagnostics": {"type": "diagnostics/list"},
        "camera settings": {"type": "camera/update_prefs", "entity_id": CAMERA},
        "entry": {"type": "config_entries/update", "entry_id": entry_id, "title": "x"},
    }


def views(entry_id: str, call: CallRecord) -> dict[str, str]:
    """Return the addresses of what is fetched over HTTP."""
    times = "&".join(f"{key}={value}" for key, value in SPAN.items())
    return {
        "picture": picture_path(entry_id, call.id, "snapshot"),
        "calendar view": f"/api/calendars/{CALENDAR}?{times}",
        "diagnostics view": f"/api/diagnostics/config_entry/{entry_id}",
    }


@pytest.mark.parametrize(("entities", "allowed"), ALLOWED, ids=[str(each) for each, _ in ALLOWED])
async def test_commands_and_views(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    online_entry: ConfigEntry[Any],
    hass_ws_client: WebSocketGenerator,
    hass_client: ClientSessionGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
    hass_admin_user: MockUser,
    entities: dict[str, Any],
    allowed: set[str],
) -> None:
    """During a ring: only what the rights allow is done, and no door opens."""
    for component in ("calendar", "config", "diagnostics", "media_source"):
        assert await async_setup_component(hass, component, {})
    hass.config_entries.async_update_entry(online_entry, options={CONF_SIMULATED_RINGS: True})
    simulator.ring(STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await wait_idle(hass)
    (*_, call) = await calls_of(hass)
    socket = await hass_ws_client(hass, hass_read_only_access_token)
    app = await hass_client(hass_read_only_access_token)
    hass_read_only_user.groups = []
    hass_read_only_user.mock_policy({"entities": entities})

    async def send(command: dict[str, Any]) -> dict[str, Any]:
        await socket.send_json_auto_id(command)
        while (answer := await socket.receive_json())["type"] != "result":
            pass
        return dict(answer)

    succeeded: set[str] = set()
    for name, command in commands(online_entry.entry_id, call).items():
        succeeded |= {name} if (await send(command))["success"] else set()
    for name, url in views(online_entry.entry_id, call).items():
        succeeded |= {name} if (await app.get(url)).status == HTTPStatus.OK else set()
    ids = {"device": device_id_of(hass, STREET)}
    for name, action in actions(ids, hass_read_only_user.id, hass_admin_user.id).items():
        answer = await send({"type": "call_service", **action})
        # A call that there is not is no lack of rights.
        is_refused = not answer["success"] and answer["error"].get("translation_key") is None
        succeeded |= set() if is_refused else {name}
    assert succeeded == allowed
    assert simulator.openings == []
    assert (state_of(hass, RINGING) == "on") == ("decline_ring" not in allowed)
    exported = await send({"type": "call_service", "return_response": True, **export()})
    has_calls = bool(exported["result"]["response"]["calls"])
    assert has_calls == ("calendar" in allowed)


def export() -> dict[str, Any]:
    """Return the action that exports the calls."""
    return {"domain": DOMAIN, "service": "export_calls", "service_data": {}}


async def test_link_of_another_user(  # noqa: PLR0917 - fixtures
    hass: HomeAssistant,
    simulator: Simulator,
    online_entry: ConfigEntry[Any],
    hass_ws_client: WebSocketGenerator,
    hass_client_no_auth: ClientSessionGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
) -> None:
    """A link that a user has Home Assistant sign opens only what that user may see."""
    simulator.ring(STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await wait_idle(hass)
    (*_, call) = await calls_of(hass)
    path = picture_path(online_entry.entry_id, call.id, "snapshot")
    assert await async_setup_component(hass, "auth", {})
    socket = await hass_ws_client(hass, hass_read_only_access_token)
    anybody = await hass_client_no_auth()
    hass_read_only_user.groups = []
    statuses = []
    for entities in ({}, READ_ALL, {}):
        hass_read_only_user.mock_policy({"entities": entities})
        await socket.send_json_auto_id({"type": "auth/sign_path", "path": path, "expires": 60})
        signed = (await socket.receive_json())["result"]["path"]
        statuses.append((await anybody.get(signed)).status)
    assert statuses == [HTTPStatus.UNAUTHORIZED, HTTPStatus.OK, HTTPStatus.UNAUTHORIZED]
    assert (await anybody.get(path)).status == HTTPStatus.UNAUTHORIZED
    hass_read_only_user.mock_policy({"entities": READ_ALL})
    hass_read_only_user.is_active = False
    assert (await anybody.get(signed)).status == HTTPStatus.UNAUTHORIZED
