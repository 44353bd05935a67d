"""Whether the intercom is connected to the cloud."""

from typing import TYPE_CHECKING, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory

from .client import Module, ModuleKind
from .entity import BticinoEntity, async_add_for_modules

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import BticinoConfigEntry, BticinoCoordinator

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the connection of every intercom."""

    def build(coordinator: BticinoCoordinator, module: Module) -> list[Entity]:
        is_bridge = module.kind is ModuleKind.BRIDGE
        return [BticinoConnection(coordinator, module, "connection")] if is_bridge else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoConnection(BticinoEntity, BinarySensorEntity):
    """The intercom's connection to the cloud; it stays available to say that there is none."""

    _attr_device_class = BinarySensorDeviceClass.CONNECTIVITY
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "connection"

    @property
    @override
    def available(self) -> bool:
        return self.coordinator.last_update_success

    @property
    @override
    def is_on(self) -> bool:
        return self.state_of_module.reachable
