"""Accounts, modules and homes of an action, and what its caller may read."""

from functools import partial
from typing import TYPE_CHECKING

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.service import async_get_config_entry, async_get_device_and_config_entry

from .const import DOMAIN
from .entity import unique_id
from .history.http import PictureSource
from .runtime import BticinoConfigEntry, async_loaded_entries, async_loaded_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.auth.models import User
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


def _entity_of(hass: HomeAssistant, entry: BticinoConfigEntry, call: CallRecord) -> str | None:
    """Return the camera where a call is shown, or the doorbell if there is no camera."""
    registry, location = er.async_get(hass), entry.runtime_data.history.layout.location_of(call)
    keys = ((Platform.CAMERA, "camera"), (Platform.EVENT, "doorbell"))
    found = (
        registry.async_get_entity_id(platform, DOMAIN, unique_id(entry, location, key))
        for platform, key in keys
    )
    return next(filter(None, found), None)


async def async_may_read_all(hass: HomeAssistant, call: ServiceCall) -> bool:
    """Whether the caller may read every entity; an automation may."""
    user = await _async_user(hass, call)
    return user is None or user.permissions.access_all_entities(POLICY_READ)


async def async_check_may_reset(
    hass: HomeAssistant, entry: BticinoConfigEntry, bridge_ids: Iterable[str], call: ServiceCall
) -> None:
    """Raise Unauthorized unless the caller may press the reset buttons of these intercoms."""
    if (user := await _async_user(hass, call)) is None:
        return
    registry = er.async_get(hass)
    for bridge_id in bridge_ids:
        button = unique_id(entry, bridge_id, "reset_missed_calls")
        entity_id = registry.async_get_entity_id(Platform.BUTTON, DOMAIN, button)
        if not user.permissions.check_entity(entity_id or "", POLICY_CONTROL):
            raise Unauthorized(context=call.context, entity_id=entity_id, permission=POLICY_CONTROL)


async def async_readable_homes(
    hass: HomeAssistant, entry: BticinoConfigEntry, call: ServiceCall
) -> dict[str, Home]:
    """Return the homes whose calendar the caller may read; automations may read all."""
    homes, user = entry.runtime_data.coordinator.data.homes, await _async_user(hass, call)
    if user is None:
        return dict(homes)
    return {home_id: home for home_id, home in homes.items() if _may_read(hass, entry, user, home)}


async def _async_user(hass: HomeAssistant, call: ServiceCall) -> User | None:
    """Return the user who calls an action; None: an automation."""
    if call.context.user_id is None:
        return None
    user = await hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    return user


def _may_read(hass: HomeAssistant, entry: BticinoConfigEntry, user: User, home: Home) -> bool:
    calendar = unique_id(entry, home.id, "calls")
    entity_id = er.async_get(hass).async_get_entity_id(Platform.CALENDAR, DOMAIN, calendar)
    if entity_id is None:
        return user.permissions.access_all_entities(POLICY_READ)
    return user.permissions.check_entity(entity_id, POLICY_READ)
