"""Actions besides those of the entities."""

import asyncio
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final
import uuid

from homeassistant.const import (
    ATTR_CODE,
    ATTR_CONFIG_ENTRY_ID,
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    SERVICE_OPEN,
    Platform,
)
from homeassistant.core import Context, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.helpers.service import (
    async_register_admin_service,
    async_register_platform_entity_service,
)
import voluptuous as vol

from .client import CallPush, CallStep, ModuleKind
from .const import CONF_SIMULATED_RINGS, DOMAIN
from .errors import refused
from .history.export import exported, open_span, span_of
from .history.formatting import async_call_formatter
from .live.stream_address import stream_settings
from .permissions import Caller
from .recording.recorder import DEFAULT_MINUTES, MAX_MINUTES
from .service_helpers import (
    async_any_whep_camera,
    async_check_may_reset,
    async_find_accounts,
    async_find_module,
    async_may_read_all,
    async_readable_homes,
    async_whep_camera,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
    from homeassistant.util.json import JsonValueType

    from .client import Module
    from .runtime import BticinoConfigEntry, RuntimeData

RESET_MISSED_CALLS: Final = "reset_missed_calls"
SIMULATE_RING: Final = "simulate_ring"
EXPORT_CALLS: Final = "export_calls"
OPEN_DOOR: Final = "open_door"
DELETE_CALLS: Final = "delete_calls"
STREAM_ADDRESS: Final = "stream_address"
RENEW_STREAM_ADDRESS: Final = "renew_stream_address"
REMOVE_STREAM_ADDRESS: Final = "remove_stream_address"
RECORD_PROTOCOL: Final = "record_protocol"
CAMERA_ACTIONS: Final = ("hang_up", "decline_ring", "next_panel")
ATTR_OUTCOME: Final = "outcome"
ATTR_SECONDS: Final = "seconds"
ATTR_START: Final = "start"
ATTR_END: Final = "end"
ATTR_CALL_ID: Final = "call_id"
ATTR_ALL: Final = "all"
ATTR_MINUTES: Final = "minutes"
ATTR_USER_ID: Final = "user_id"

_OUTCOMES: Final = {
    "answered": CallStep.ACCEPTED,
    "missed": CallStep.MISSED,
    "ended": CallStep.TERMINATED,
}
_OPEN_SCHEMA: Final = vol.Schema(
    {
        vol.Required(ATTR_ENTITY_ID): cv.entity_domain(Platform.LOCK),
        vol.Required(ATTR_USER_ID): cv.string,
        vol.Optional(ATTR_CODE): cv.string,
    }
)
_STREAM_SCHEMA: Final = vol.Schema(
    {vol.Required(ATTR_ENTITY_ID): cv.entity_domain(Platform.CAMERA)}
)
_RESET_SCHEMA: Final = vol.Schema({vol.Optional(ATTR_DEVICE_ID): cv.string})
_RING_SCHEMA: Final = vol.Schema(
    {
        vol.Required(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_OUTCOME, default="missed"): vol.In(_OUTCOMES),
        vol.Optional(ATTR_SECONDS, default=10): vol.All(vol.Coerce(float), vol.Range(1, 40)),
    }
)
_SELECTION: Final = {
    vol.Optional(ATTR_DEVICE_ID): cv.string,
    vol.Optional(ATTR_START): cv.datetime,
    vol.Optional(ATTR_END): cv.datetime,
}
_EXPORT_SCHEMA: Final = vol.Schema({vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string, **_SELECTION})
_DELETE_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        **_SELECTION,
        vol.Optional(ATTR_CALL_ID): vol.All(cv.ensure_list, [cv.string]),
        vol.Optional(ATTR_ALL, default=False): cv.boolean,
    }
)

_RECORD_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_MINUTES, default=DEFAULT_MINUTES): vol.All(
            vol.Coerce(float), vol.Range(1, MAX_MINUTES)
        ),
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, whether an account is loaded or not."""
    hass.services.async_register(
        DOMAIN, RESET_MISSED_CALLS, partial(_reset_missed_calls, hass), _RESET_SCHEMA
    )
    async_register_admin_service(
        hass, DOMAIN, SIMULATE_RING, partial(_simulate_ring, hass), _RING_SCHEMA
    )
    for action in CAMERA_ACTIONS:
        async_register_platform_entity_service(
            hass,
            DOMAIN,
            action,
            entity_domain=Platform.CAMERA,
            func=f"async_{action}",
            schema=None,
        )
    hass.services.async_register(DOMAIN, OPEN_DOOR, partial(_open_door, hass), _OPEN_SCHEMA)
    async_register_admin_service(
        hass, DOMAIN, DELETE_CALLS, partial(_delete_calls, hass), _DELETE_SCHEMA
    )
    async_register_admin_service(
        *(hass, DOMAIN, REMOVE_STREAM_ADDRESS, partial(_remove_stream_address, hass)),
        _STREAM_SCHEMA,
    )
    _setup_actions_with_response(hass)


def _setup_actions_with_response(hass: HomeAssistant) -> None:
    # Not for administrators only: a user may export the calls that the calendar shows.
    hass.services.async_register(
        DOMAIN,
        EXPORT_CALLS,
        partial(_export_calls, hass),
        _EXPORT_SCHEMA,
        SupportsResponse.ONLY,
    )
    # Home Assistant's helper for administrators would wait for it as for a short task.
    hass.services.async_register(
        DOMAIN,
        RECORD_PROTOCOL,
        partial(_record_protocol, hass),
        _RECORD_SCHEMA,
        SupportsResponse.OPTIONAL,
    )
    for action in (STREAM_ADDRESS, RENEW_STREAM_ADDRESS):
        async_register_admin_service(
            *(hass, DOMAIN, action, partial(_stream_address, hass), _STREAM_SCHEMA),
            supports_response=SupportsResponse.ONLY,
        )


async def _open_door(hass: HomeAssistant, call: ServiceCall) -> None:
    """Open a door with the permissions of a user, who pressed a button of a notification.

    Unauthorized: the user may not open it, or another user has called the action.
    """
    user_id = call.data[ATTR_USER_ID]
    if call.context.user_id not in {None, user_id}:
        raise Unauthorized(context=call.context)
    context = Context(user_id=user_id, parent_id=call.context.id)
    await Caller.async_of(hass, context)
    data = {key: value for key, value in call.data.items() if key != ATTR_USER_ID}
    await hass.services.async_call(
        Platform.LOCK, SERVICE_OPEN, data, blocking=True, context=context
    )


async def _reset_missed_calls(hass: HomeAssistant, call: ServiceCall) -> None:
    """Reset the missed calls of one intercom, or of all intercoms."""
    if device_id := call.data.get(ATTR_DEVICE_ID):
        entry, module = async_find_module(hass, device_id)
        bridges = {entry: [module.intercom_id]}
    else:
        bridges = {
            entry: [bridge.id for bridge in entry.runtime_data.coordinator.data.bridges]
            for entry in async_find_accounts(hass, None)
        }
    for entry, ids in bridges.items():
        await async_check_may_reset(hass, entry, ids, call)
    for entry, ids in bridges.items():
        await entry.runtime_data.history.async_mark_seen(*ids)


async def _export_calls(hass: HomeAssistant, call: ServiceCall) -> ServiceResponse:
    """Return the calls of a time span, oldest first, account by account."""
    entries, module_id = _async_find_place(hass, call)
    kept = [entry for entry in entries if entry.runtime_data.history.is_kept]
    if entries and not kept:
        raise refused("no_history")
    since, until = _check_span(span_of(call.data.get(ATTR_START), call.data.get(ATTR_END)))
    found: list[JsonValueType] = []
    for entry in kept:
        homes = await async_readable_homes(hass, entry, call)
        # Users who may read everything also get the calls of former homes.
        only = None if await async_may_read_all(hass, call) else homes
        formatter = async_call_formatter(hass, entry.entry_id)
        history = entry.runtime_data.history
        async for page in history.async_pages(since, until, homes=only, module_id=module_id):
            found += [exported(entry.entry_id, each, formatter, homes) for each in page]
    return {"calls": found}


@callback
def _async_find_place(
    hass: HomeAssistant, call: ServiceCall
) -> tuple[list[BticinoConfigEntry], str | None]:
    """Return the accounts, and the panel or intercom if a device was selected."""
    entries = async_find_accounts(hass, call.data.get(ATTR_CONFIG_ENTRY_ID))
    if ATTR_DEVICE_ID not in call.data:
        return entries, None
    owner, module = async_find_module(hass, call.data[ATTR_DEVICE_ID])
    module_id = module.id if module.kind is ModuleKind.PANEL else module.intercom_id
    return [entry for entry in entries if entry.entry_id == owner.entry_id], module_id


def _check_span(span: tuple[float, float]) -> tuple[float, float]:
    since, until = span
    if since >= until:
        raise refused("end_before_start")
    return span


async def _delete_calls(hass: HomeAssistant, call: ServiceCall) -> None:
    """Delete single calls, all of which must exist, those of a span or a device, or every call."""
    ids, is_all = call.data.get(ATTR_CALL_ID), call.data[ATTR_ALL]
    is_selection = any(str(key) in call.data for key in _SELECTION)
    if [ids is not None, is_all, is_selection].count(True) != 1 or ids == []:
        raise refused("calls_or_all")
    entries, module_id = _async_find_place(hass, call)
    span = _check_span(open_span(call.data.get(ATTR_START), call.data.get(ATTR_END)))
    if ids:
        await _delete(entries, ids)
        return
    for history in (entry.runtime_data.history for entry in entries):
        await (history.async_delete_all() if is_all else history.async_delete_of(span, module_id))


async def _delete(entries: Collection[BticinoConfigEntry], ids: Collection[str]) -> None:
    histories = [entry.runtime_data.history for entry in entries]
    found = [{call.id for call in await history.async_calls(ids)} for history in histories]
    if set(ids).difference(*found):
        raise refused("call_unknown")
    for history, there in zip(histories, found, strict=True):
        if there:
            await history.async_delete(there)


async def _stream_address(hass: HomeAssistant, call: ServiceCall) -> ServiceResponse:
    """Return the stream address of a camera, which is created the first time."""
    camera = async_whep_camera(hass, call.data[ATTR_ENTITY_ID])
    if camera is None or not camera.module_id:
        raise refused("no_such_camera")
    try:
        base_url = get_url(hass, allow_cloud=False)
    except NoURLAvailableError as err:
        raise refused("no_url") from err
    secret = camera.secret
    if secret is None or call.service == RENEW_STREAM_ADDRESS:
        secret = camera.async_renew_secret(hass)
    return stream_settings(base_url, camera.entity_id, secret)


@callback
def _remove_stream_address(hass: HomeAssistant, call: ServiceCall) -> None:
    """Switch the stream address of a camera off."""
    camera = async_any_whep_camera(hass, call.data[ATTR_ENTITY_ID])
    if camera is None:
        raise refused("no_such_camera")
    camera.async_remove_secret(hass)


async def _record_protocol(hass: HomeAssistant, call: ServiceCall) -> ServiceResponse:
    """Record the cloud's messages, and return the files and what was redacted in them."""
    (await Caller.async_of(hass, call.context)).check_admin()
    entries = async_find_accounts(hass, call.data.get(ATTR_CONFIG_ENTRY_ID))
    minutes = call.data[ATTR_MINUTES]
    results = await asyncio.gather(
        *(entry.runtime_data.recorder.async_record(minutes) for entry in entries)
    )
    found: list[JsonValueType] = [
        {"config_entry_id": entry.entry_id, **asdict(result)}
        for entry, result in zip(entries, results, strict=True)
    ]
    return {"recordings": found}


@callback
def _simulate_ring(hass: HomeAssistant, call: ServiceCall) -> None:
    """Simulate a ring, to try out automations; nothing is sent to the cloud."""
    entry, module = async_find_module(hass, call.data[ATTR_DEVICE_ID])
    if not entry.options.get(CONF_SIMULATED_RINGS, False):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="simulated_rings_not_allowed"
        )
    outcome = _OUTCOMES[call.data[ATTR_OUTCOME]]
    ring = _ring(entry.runtime_data, module, outcome, call.data[ATTR_SECONDS])
    entry.async_create_background_task(hass, ring, "bticino_classe simulated ring")


async def _ring(runtime: RuntimeData, module: Module, outcome: CallStep, seconds: float) -> None:
    """Ring for some seconds, then end the call with the outcome."""
    session_id = f"simulated-{uuid.uuid4().hex}"
    panel_id = module.id if module.kind is ModuleKind.PANEL else None
    for step, pause in ((CallStep.OFFERED, seconds), (outcome, 0.0)):
        runtime.calls.async_handle_push(
            CallPush(
                step=step,
                session_id=session_id,
                bridge_id=module.intercom_id,
                home_id=module.home_id,
                panel_id=panel_id,
                time=runtime.account.clock.now(),
                simulated=True,
            )
        )
        await asyncio.sleep(pause)
