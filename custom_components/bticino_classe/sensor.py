"""What an intercom tells of itself: its Wi-Fi, when it started, where it is in the network."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import SIGNAL_STRENGTH_DECIBELS_MILLIWATT, EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .client import Module, ModuleKind, ModuleState
from .entity import BticinoEntity, async_add_for_modules

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from decimal import Decimal

    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
    from homeassistant.helpers.typing import StateType

    from .coordinator import BticinoConfigEntry, BticinoCoordinator

PARALLEL_UPDATES = 0

# The cloud counts the uptime, so the moment it implies wanders from poll to poll.
BOOT_TOLERANCE: Final = timedelta(minutes=5)

type Value = StateType | date | datetime | Decimal


@dataclass(frozen=True, kw_only=True)
class BticinoSensorDescription(SensorEntityDescription):
    """A sensor and how its value is read, given the value it had before."""

    read: Callable[[ModuleState, Value], Value]


def last_boot(state: ModuleState, before: Value) -> Value:
    """Return when the intercom started; the value before stands while the new one is close."""
    if state.uptime is None:
        return before
    boot = dt_util.utcnow() - timedelta(seconds=state.uptime)
    if isinstance(before, datetime) and abs(boot - before) <= BOOT_TOLERANCE:
        return before
    return boot.replace(microsecond=0)


SENSORS: Final = (
    BticinoSensorDescription(
        key="wifi_strength",
        translation_key="wifi_strength",
        device_class=SensorDeviceClass.SIGNAL_STRENGTH,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
        entity_category=EntityCategory.DIAGNOSTIC,
        read=lambda state, _: state.wifi_strength,
    ),
    BticinoSensorDescription(
        key="last_boot",
        translation_key="last_boot",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        read=last_boot,
    ),
    BticinoSensorDescription(
        key="local_address",
        translation_key="local_address",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        read=lambda state, _: state.local_address,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of every intercom."""

    def build(coordinator: BticinoCoordinator, module: Module) -> list[Entity]:
        if module.kind is not ModuleKind.BRIDGE:
            return []
        return [BticinoSensor(coordinator, module, description) for description in SENSORS]

    async_add_for_modules(entry, async_add_entities, build)


class BticinoSensor(BticinoEntity, RestoreSensor):
    """A value that the intercom reports."""

    entity_description: BticinoSensorDescription
    _seen: ModuleState | None = None

    def __init__(
        self,
        coordinator: BticinoCoordinator,
        module: Module,
        description: BticinoSensorDescription,
    ) -> None:
        super().__init__(coordinator, module, description.key)
        self.entity_description = description

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        last = await self.async_get_last_sensor_data()
        self._read(last.native_value if last else None)

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Stay as it is when renamed (Home Assistant 2026.11)."""

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        # An uptime that was read before has aged: only a new report may move the start.
        if self.state_of_module is not self._seen:
            self._read(self._attr_native_value)
        super()._handle_coordinator_update()

    def _read(self, before: Value) -> None:
        self._seen = self.state_of_module
        self._attr_native_value = self.entity_description.read(self.state_of_module, before)
