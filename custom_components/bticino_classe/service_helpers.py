"""Accounts, modules and homes of an action, and what its caller may read."""

from functools import partial
from typing import TYPE_CHECKING

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.service import async_get_config_entry, async_get_device_and_config_entry

from .const import CONF_STREAM_SECRETS, DOMAIN
from .entity import unique_id
from .history.http import PictureSource
from .live.whep import WhepCamera
from .permissions import Caller
from .runtime import (
    BticinoConfigEntry,
    async_loaded_entries,
    async_loaded_entry,
    async_runtime,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.core import HomeAssistant, ServiceCall

    from .client import Home, Module
    from .history.records import CallRecord


@callback
def async_find_module(hass: HomeAssistant, device_id: str) -> tuple[BticinoConfigEntry, Module]:
    """Return the account and the module of a device."""
    device, entry = async_get_device_and_config_entry(
        hass, DOMAIN, device_id, include_child_devices=False
    )
    modules = entry.runtime_data.coordinator.data.modules
    for domain, module_id in device.identifiers:
        if domain == DOMAIN and module_id in modules:
            return entry, modules[module_id]
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key="device_gone")


@callback
def async_find_accounts(hass: HomeAssistant, entry_id: str | None) -> list[BticinoConfigEntry]:
    """Return the account of an entry, or all loaded accounts; ServiceValidationError: none."""
    if entry_id is not None:
        return [async_get_config_entry(hass, DOMAIN, entry_id)]
    entries = async_loaded_entries(hass)
    if not entries:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_account")
    return entries


@callback
def async_picture_source(hass: HomeAssistant, entry_id: str) -> PictureSource | None:
    """Return the pictures of a loaded account, and how to check permissions for them."""
    if (entry := async_loaded_entry(hass, entry_id)) is None:
        return None
    return PictureSource(
        history=entry.runtime_data.history,
        downloads=entry.runtime_data.downloads,
        entity_of=partial(_entity_of, hass, entry),
        is_loaded=lambda: entry.state is ConfigEntryState.LOADED,
    )


@callback
def async_whep_camera(hass: HomeAssistant, entity_id: str) -> WhepCamera | None:
    """Return a camera by its entity id; None if there is none that is enabled."""
    registered = er.async_get(hass).async_get(entity_id)
    is_disabled = registered is not None and registered.disabled
    return None if is_disabled else async_any_whep_camera(hass, entity_id)


@callback
def async_any_whep_camera(hass: HomeAssistant, entity_id: str) -> WhepCamera | None:
    """Return a camera by its entity id, also if it is disabled; None if there is none."""
    registered = er.async_get(hass).async_get(entity_id)
    if registered is None or registered.domain != Platform.CAMERA:
        return None
    entry = hass.config_entries.async_get_entry(registered.config_entry_id or "")
    if entry is None or entry.domain != DOMAIN:
        return None
    ids = {unique_id(entry, module_id, "camera"): module_id for module_id in _cameras(entry)}
    module_id = ids.get(registered.unique_id, "")
    runtime = async_runtime(entry)
    if runtime is not None and not module_id:
        return None  # the indoor unit is nothing to watch
    return WhepCamera(
        entry=entry,
        entity_id=entity_id,
        module_id=module_id,
        live=None if runtime is None else runtime.live,
        module=None if runtime is None else runtime.coordinator.data.modules.get(module_id),
    )


def _cameras(entry: BticinoConfigEntry) -> set[str]:
    """Return the ids of the modules that have a stream address or may be a camera."""
    runtime = async_runtime(entry)
    modules = () if runtime is None else runtime.coordinator.data.modules
    return {*modules, *entry.data.get(CONF_STREAM_SECRETS, {})}


def _entity_of(hass: HomeAssistant, entry: BticinoConfigEntry, call: CallRecord) -> str | None:
    location = entry.runtime_data.history.layout.location_of(call)
    return async_entity_at(hass, entry, location)


@callback
def async_entity_at(hass: HomeAssistant, entry: BticinoConfigEntry, location: str) -> str | None:
    """Return the entity whose permissions apply to a location: its camera, else its doorbell."""
    registry = er.async_get(hass)
    keys = ((Platform.CAMERA, "camera"), (Platform.EVENT, "doorbell"))
    found = (
        registry.async_get_entity_id(platform, DOMAIN, unique_id(entry, location, key))
        for platform, key in keys
    )
    return next(filter(None, found), None)


async def async_may_read_all(hass: HomeAssistant, call: ServiceCall) -> bool:
    """Whether the caller may read every entity; an automation may."""
    return (await Caller.async_of(hass, call.context)).may(POLICY_READ, None)


async def async_check_may_reset(
    hass: HomeAssistant, entry: BticinoConfigEntry, bridge_ids: Iterable[str], call: ServiceCall
) -> None:
    """Raise Unauthorized unless the caller may press the reset buttons of these intercoms."""
    caller, registry = await Caller.async_of(hass, call.context), er.async_get(hass)
    for bridge_id in bridge_ids:
        button = unique_id(entry, bridge_id, "reset_missed_calls")
        entity_id = registry.async_get_entity_id(Platform.BUTTON, DOMAIN, button)
        if not caller.may(POLICY_CONTROL, entity_id):
            raise Unauthorized(context=call.context, entity_id=entity_id, permission=POLICY_CONTROL)


async def async_readable_homes(
    hass: HomeAssistant, entry: BticinoConfigEntry, call: ServiceCall
) -> dict[str, Home]:
    """Return the homes whose calendar the caller may read; automations may read all."""
    caller, registry = await Caller.async_of(hass, call.context), er.async_get(hass)

    def may_read(home_id: str) -> bool:
        calendar = unique_id(entry, home_id, "calls")
        entity_id = registry.async_get_entity_id(Platform.CALENDAR, DOMAIN, calendar)
        return caller.may(POLICY_READ, entity_id)

    homes = entry.runtime_data.coordinator.data.homes
    return {home_id: home for home_id, home in homes.items() if may_read(home_id)}
