"""The accounts, modules and homes that an action is called for."""

from typing import TYPE_CHECKING

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError, UnknownUser
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.service import async_get_config_entry, async_get_device_and_config_entry

from .const import DOMAIN
from .entity import unique_id
from .runtime import BticinoConfigEntry, async_loaded_entries

if TYPE_CHECKING:
    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant, ServiceCall

    from .client import Home, Module


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
    """Return the account of that entry, or all loaded ones; ServiceValidationError if none is."""
    if entry_id is not None:
        return [async_get_config_entry(hass, DOMAIN, entry_id)]
    entries = async_loaded_entries(hass)
    if not entries:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="no_account")
    return entries


async def async_readable_homes(
    hass: HomeAssistant, entry: BticinoConfigEntry, call: ServiceCall
) -> dict[str, Home]:
    """Return the homes whose calendar the caller may read; automations may read all."""
    homes = dict(entry.runtime_data.coordinator.data.homes)
    if call.context.user_id is None:
        return homes
    user = await hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    return {home_id: home for home_id, home in homes.items() if _may_read(hass, entry, user, home)}


def _may_read(hass: HomeAssistant, entry: BticinoConfigEntry, user: User, home: Home) -> bool:
    calendar = unique_id(entry, home.id, "calls")
    entity_id = er.async_get(hass).async_get_entity_id(Platform.CALENDAR, DOMAIN, calendar)
    if entity_id is None:
        return user.permissions.access_all_entities(POLICY_READ)
    return user.permissions.check_entity(entity_id, POLICY_READ)
