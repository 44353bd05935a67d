"""The devices of the house in Home Assistant's registries."""

from typing import TYPE_CHECKING, Final

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo

from .client import Module, ModuleKind, is_mac
from .commands import door_code
from .const import DOMAIN, MANUFACTURER
from .entity import is_door, unique_id
from .naming import DeviceNames, model_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.core import HomeAssistant

    from .house import House
    from .runtime import BticinoConfigEntry

_HAVE_DEVICES: Final = frozenset(ModuleKind) - {ModuleKind.RELAY, ModuleKind.UNKNOWN}

_OF_DOORS: Final = {(Platform.LOCK, "lock"), (Platform.BUTTON, "open")}
_OF_LIGHTS: Final = {(Platform.LIGHT, "light")}
_CAMERA: Final = (Platform.CAMERA, "camera")
_OF_CALLS: Final = {
    *((Platform.BINARY_SENSOR, "ringing"), (Platform.BINARY_SENSOR, "in_call")),
    *((Platform.EVENT, "doorbell"), (Platform.EVENT, "call")),
}
_NEXT_PANEL: Final = (Platform.BUTTON, "next_panel")
_REPLACED: Final = {(Platform.SENSOR, "last_call")}  # by the panels' entities


@callback
def async_sync_devices(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Register the devices of the house now, and again when something about them changes."""
    coordinator = entry.runtime_data.coordinator
    registered: dict[str, tuple[Module, str | None]] = {}
    was_confirmed = False
    first = coordinator.data

    @callback
    def register() -> None:
        nonlocal registered, was_confirmed, first
        house, is_confirmed = coordinator.data, coordinator.known_homes.is_confirmed
        now = {m.id: (m, house.state(m.id).firmware) for m in house.modules.values()}
        if (now, is_confirmed) != (registered, was_confirmed):
            if is_confirmed:  # what is stored is no reason to remove anything
                _cleanup_registry(hass, entry)
            _register_devices(hass, entry, house)
            registered, was_confirmed = now, is_confirmed
            if _has_new_names(first, house):
                first = house
                hass.config_entries.async_schedule_reload(entry.entry_id)

    register()
    entry.async_on_unload(coordinator.async_add_listener(register))


@callback
def _cleanup_registry(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Remove the devices of excluded homes, and the entities of what modules no longer are."""
    coordinator = entry.runtime_data.coordinator
    for home in coordinator.known_homes.homes.values():
        if home.id in coordinator.excluded_homes:
            _remove_devices(hass, entry, home.modules)
    _remove_devices(hass, entry, _unused_relays(entry, coordinator.data))
    registry, house = er.async_get(hass), coordinator.data
    for known in er.async_entries_for_config_entry(registry, entry.entry_id):
        module_id, _, key = known.unique_id.removeprefix(unique_id(entry, "", "")[:-1]).rpartition(
            "-"
        )
        module = house.modules.get(module_id)
        if module is not None and not _fits(entry, house, module, known.domain, key):
            registry.async_remove(known.entity_id)


def _unused_relays(entry: BticinoConfigEntry, house: House) -> list[str]:
    """Return the ids of the relays that the options do not call doors."""
    relays = [m for m in house.modules.values() if m.kind is ModuleKind.RELAY]
    return [relay.id for relay in relays if not is_door(entry, relay)]


def _remove_devices(
    hass: HomeAssistant, entry: BticinoConfigEntry, module_ids: Iterable[str]
) -> None:
    registry = dr.async_get(hass)
    for module_id in module_ids:
        device = registry.async_get_device_by_identifier((DOMAIN, module_id), entry.entry_id)
        if device is not None:
            registry.async_remove_device(device.id)


def _fits(entry: BticinoConfigEntry, house: House, module: Module, domain: str, key: str) -> bool:
    """Whether a module of this kind has such an entity; one of unknown kind keeps all."""
    entity = (domain, key)
    if is_door(entry, module):
        asks_no_code = domain == Platform.BUTTON and door_code(entry, module.id) is not None
        return not asks_no_code and entity in _OF_DOORS
    if module.kind is ModuleKind.LIGHT:
        return entity in _OF_LIGHTS
    if module.kind is ModuleKind.PANEL:
        return entity in _OF_CALLS | {_CAMERA} or domain == Platform.IMAGE
    if module.kind is ModuleKind.CAMERA:
        return entity == _CAMERA
    if module.kind is ModuleKind.BRIDGE:
        unused = {_CAMERA} if house.panels_of(module.id) else set()
        if not house.shows_calls(module):
            unused |= _OF_CALLS | {_NEXT_PANEL}
        return entity not in unused | _OF_DOORS | _OF_LIGHTS | _REPLACED
    return True


def _has_new_names(before: House, house: House) -> bool:
    """Whether what an intercom without panels shows of calls is now that of unknown panels."""
    return any(
        not before.panels_of(bridge.id) and len(house.panels_of(bridge.id)) > 1
        for bridge in before.bridges
    )


def _register_devices(hass: HomeAssistant, entry: BticinoConfigEntry, house: House) -> None:
    """Register a device for every module; bridges first, as the others link to them."""
    registry = dr.async_get(hass)
    modules = [m for m in house.modules.values() if m.kind in _HAVE_DEVICES or is_door(entry, m)]
    names = DeviceNames(hass, entry, house).choose(modules)
    device_ids: dict[str, str] = {}
    for module in sorted(modules, key=lambda m: m.kind is not ModuleKind.BRIDGE):
        info = _device_info(hass, house, module, names[module.id])
        if module.bridge_id in device_ids:
            info["via_device_id"] = device_ids[module.bridge_id]
        device = registry.async_get_or_create(config_entry_id=entry.entry_id, **info)
        device_ids[module.id] = device.id


def _device_info(hass: HomeAssistant, house: House, module: Module, name: str) -> DeviceInfo:
    info = DeviceInfo(
        identifiers={(DOMAIN, module.id)},
        name=name,
        manufacturer=MANUFACTURER,
        model=model_name(hass, module.type),
        model_id=module.type or None,
    )
    if module.kind is ModuleKind.BRIDGE and is_mac(module.id):
        info["connections"] = {(dr.CONNECTION_NETWORK_MAC, module.id)}
    if firmware := house.state(module.id).firmware:
        info["sw_version"] = firmware
    return info
