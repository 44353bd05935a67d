"""The devices of the house in Home Assistant's registries."""

from typing import TYPE_CHECKING, Final

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo

from .client import Home, Module, ModuleKind
from .commands import door_code
from .const import DOMAIN, MANUFACTURER
from .entity import is_door, unique_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from .house import House
    from .runtime import BticinoConfigEntry

MODELS: Final = {
    "BNC1": "Classe 100X",
    "BNC3": "Classe 300X",
    "BNCX": "Classe 300EOS",
    "BDIY": "EasyKit",
    "BNHY": "Hybrid",
    "BFII": "IP indoor unit",
    "BFIO": "IP outdoor unit",
    "BNDL": "Door lock",
    "BNSL": "Staircase light",
    "BNEU": "Entrance panel",
    "BCEPL": "Connected entrance panel",
}
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
            if door_code(entry, module.id) is not None:
                _remove_entity(hass, entry, module, Platform.BUTTON, "open")
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
    known = _known_devices(registry, entry, house)
    numbers = _numbers(house, known)
    device_ids: dict[str, str] = {}
    for module in sorted(house.modules.values(), key=lambda m: m.kind is not ModuleKind.BRIDGE):
        if module.kind in _HAVE_DEVICES:
            info = _device_info(house, module)
            info.update(_naming(module, known.get(module.id), numbers.get(module.id, 0)))
            if module.bridge_id in device_ids:
                info["via_device_id"] = device_ids[module.bridge_id]
            device = registry.async_get_or_create(config_entry_id=entry.entry_id, **info)
            device_ids[module.id] = device.id


def _known_devices(
    registry: dr.DeviceRegistry, entry: BticinoConfigEntry, house: House
) -> dict[str, str | None]:
    """Return the names of the existing devices, by module."""
    found = {
        module_id: registry.async_get_device_by_identifier((DOMAIN, module_id), entry.entry_id)
        for module_id in house.modules
    }
    return {module_id: device.name for module_id, device in found.items() if device is not None}


def _device_info(house: House, module: Module) -> DeviceInfo:
    info = DeviceInfo(
        identifiers={(DOMAIN, module.id)},
        manufacturer=MANUFACTURER,
        model=MODELS.get(module.type),
        model_id=module.type or None,
    )
    if firmware := house.state(module.id).firmware:
        info["sw_version"] = firmware
    return info


def _naming(module: Module, known_name: str | None, number: int) -> DeviceInfo:
    """Name a device; a number that was given once is kept, as people know the door by it."""
    if name := module.name or known_name:
        return DeviceInfo(name=name)
    if module.kind is ModuleKind.BRIDGE:
        return DeviceInfo(name=MODELS.get(module.type, module.type) or MANUFACTURER)
    return DeviceInfo(
        translation_key=module.kind.value, translation_placeholders={"number": str(number)}
    )


def _numbers(house: House, known: Mapping[str, str | None]) -> dict[str, int]:
    """Number the modules without a name, by kind and home; existing devices come first."""
    numbers: dict[str, int] = {}
    counts: dict[tuple[str, ModuleKind], int] = {}
    for module in sorted(house.modules.values(), key=lambda m: (m.id not in known, m.id)):
        if not module.name:
            group = (module.home_id, module.kind)
            counts[group] = numbers[module.id] = counts.get(group, 0) + 1
    return numbers
