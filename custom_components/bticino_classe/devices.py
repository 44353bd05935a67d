"""The devices of the house in Home Assistant's registries."""

from typing import TYPE_CHECKING, Final

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo

from .client import Home, Module, ModuleKind
from .const import DOMAIN, MANUFACTURER
from .entity import is_door, unique_id
from .naming import MODELS, DeviceNames

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .house import House
    from .runtime import BticinoConfigEntry

_HAVE_DEVICES: Final = (ModuleKind.BRIDGE, ModuleKind.PANEL, ModuleKind.DOOR, ModuleKind.LIGHT)


@callback
def async_sync_devices(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Register the devices of the house now, and again when something about them changes."""
    coordinator = entry.runtime_data.coordinator
    registered: dict[str, tuple[Module, str | None]] = {}

    @callback
    def register() -> None:
        house = coordinator.data
        now = {m.id: (m, house.state(m.id).firmware) for m in house.modules.values()}
        if now != registered:
            _register_devices(hass, entry, house)
            registered.clear()
            registered.update(now)

    register()
    entry.async_on_unload(coordinator.async_add_listener(register))


@callback
def async_cleanup_registry(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Remove the devices of excluded homes, and entities that others have replaced."""
    coordinator = entry.runtime_data.coordinator
    for home in coordinator.all_homes.values():
        if home.id in coordinator.excluded_homes:
            _remove_devices(hass, entry, home)
        for module in home.modules.values():
            if module.kind is ModuleKind.LIGHT:
                _remove_replaced(hass, entry, module)
            is_bridge = module.kind is ModuleKind.BRIDGE
            if is_bridge and coordinator.data.panels_of(module.id):
                _remove_entity(hass, entry, module, Platform.CAMERA, "camera")


def _remove_devices(hass: HomeAssistant, entry: BticinoConfigEntry, home: Home) -> None:
    registry = dr.async_get(hass)
    for module_id in home.modules:
        device = registry.async_get_device_by_identifier((DOMAIN, module_id), entry.entry_id)
        if device is not None:
            registry.async_remove_device(device.id)


def _remove_replaced(hass: HomeAssistant, entry: BticinoConfigEntry, module: Module) -> None:
    doors = ((Platform.LOCK, "lock"), (Platform.BUTTON, "open"))
    for platform, key in ((Platform.LIGHT, "light"),) if is_door(entry, module) else doors:
        _remove_entity(hass, entry, module, platform, key)


def _remove_entity(
    hass: HomeAssistant, entry: BticinoConfigEntry, module: Module, platform: Platform, key: str
) -> None:
    registry = er.async_get(hass)
    wanted = unique_id(entry, module.id, key)
    if entity_id := registry.async_get_entity_id(platform, DOMAIN, wanted):
        registry.async_remove(entity_id)


def _register_devices(hass: HomeAssistant, entry: BticinoConfigEntry, house: House) -> None:
    """Register a device for every module; bridges first, as the others link to them."""
    registry = dr.async_get(hass)
    modules = [m for m in house.modules.values() if m.kind in _HAVE_DEVICES]
    names = DeviceNames(hass, entry, house).choose(modules)
    device_ids: dict[str, str] = {}
    for module in sorted(modules, key=lambda m: m.kind is not ModuleKind.BRIDGE):
        info = _device_info(house, module, names[module.id])
        if module.bridge_id in device_ids:
            info["via_device_id"] = device_ids[module.bridge_id]
        device = registry.async_get_or_create(config_entry_id=entry.entry_id, **info)
        device_ids[module.id] = device.id


def _device_info(house: House, module: Module, name: str) -> DeviceInfo:
    info = DeviceInfo(
        identifiers={(DOMAIN, module.id)},
        name=name,
        manufacturer=MANUFACTURER,
        model=MODELS.get(module.type),
        model_id=module.type or None,
    )
    if firmware := house.state(module.id).firmware:
        info["sw_version"] = firmware
    return info
