"""Whether it rings or somebody talks, and whether the lines to intercom and cloud stand."""

from typing import TYPE_CHECKING, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory

from .client import Module, ModuleKind
from .entity import BticinoCallEntity, BticinoEntity, BticinoOwnEntity, async_add_for_modules

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
    """Add who rings and talks, and how every intercom is connected."""

    def build(coordinator: BticinoCoordinator, module: Module) -> list[Entity]:
        if module.kind is ModuleKind.PANEL:
            return [
                BticinoRinging(coordinator, module, "ringing"),
                BticinoInCall(coordinator, module, "in_call"),
            ]
        if module.kind is not ModuleKind.BRIDGE:
            return []
        return [
            BticinoRinging(coordinator, module, "ringing"),
            BticinoInCall(coordinator, module, "in_call"),
            BticinoConnection(coordinator, module, "connection"),
            BticinoPushConnection(coordinator, module, "push_connection"),
        ]

    async_add_for_modules(entry, async_add_entities, build)


class BticinoRinging(BticinoCallEntity, BinarySensorEntity):
    """On while somebody waits at the panel; of an intercom, at any of its panels."""

    _attr_translation_key = "ringing"

    @property
    @override
    def is_on(self) -> bool:
        bell = self.coordinator.bell
        return any(bell.is_at(call, self.module.id) for call in bell.book.ringing)


class BticinoInCall(BticinoCallEntity, BinarySensorEntity):
    """On while somebody watches or talks here, or has answered elsewhere."""

    _attr_translation_key = "in_call"

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.intercom.in_call(self.module.id)


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


class BticinoPushConnection(BticinoOwnEntity, BinarySensorEntity):
    """Home Assistant's own line to the cloud, over which rings come; without it none does."""

    _attr_device_class = BinarySensorDeviceClass.CONNECTIVITY
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "push_connection"

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.bell.online
