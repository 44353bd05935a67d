"""What an intercom tells of itself and of its calls."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import SIGNAL_STRENGTH_DECIBELS_MILLIWATT, EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .client import Module, ModuleKind, ModuleState, Setting, SettingKind
from .entity import BticinoEntity, BticinoOwnEntity, async_add_for_modules
from .history.history import CallHistory
from .history.records import OUTCOMES
from .setting_entity import BticinoSettingEntity, async_add_for_settings

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


@dataclass(frozen=True, kw_only=True)
class BticinoCallSensorDescription(SensorEntityDescription):
    """A sensor and how its value is read off the history of an intercom's calls."""

    read: Callable[[CallHistory, str], Value]


def last_call_time(history: CallHistory, bridge_id: str) -> datetime | None:
    """Return when it last rang."""
    call = history.last(bridge_id)
    return None if call is None else dt_util.utc_from_timestamp(call.time)


def last_call_outcome(history: CallHistory, bridge_id: str) -> str | None:
    """Return what became of the last call."""
    call = history.last(bridge_id)
    return call.outcome if call is not None and call.outcome in OUTCOMES else None


CALL_SENSORS: Final = (
    BticinoCallSensorDescription(
        key="last_call",
        translation_key="last_call",
        device_class=SensorDeviceClass.TIMESTAMP,
        read=last_call_time,
    ),
    BticinoCallSensorDescription(
        key="last_call_outcome",
        translation_key="last_call_outcome",
        device_class=SensorDeviceClass.ENUM,
        options=list(OUTCOMES),
        read=last_call_outcome,
    ),
    BticinoCallSensorDescription(
        key="missed_calls",
        translation_key="missed_calls",
        state_class=SensorStateClass.TOTAL,
        read=CallHistory.missed,
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
        own = [BticinoSensor(coordinator, module, description) for description in SENSORS]
        calls = [BticinoCallSensor(coordinator, module, each) for each in CALL_SENSORS]
        return [*own, *calls]

    def build_until(coordinator: BticinoCoordinator, bridge: Module, _: Setting) -> Entity:
        return BticinoDisturbUntil(coordinator, bridge, "do_not_disturb_until")

    async_add_for_modules(entry, async_add_entities, build)
    async_add_for_settings(entry, async_add_entities, SettingKind.DO_NOT_DISTURB, build_until)


class BticinoSensor(BticinoEntity, RestoreSensor):
    """A value that the intercom reports."""

    entity_description: BticinoSensorDescription
    _seen: ModuleState | None = None

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


class BticinoCallSensor(BticinoOwnEntity, SensorEntity):
    """What is remembered of the calls."""

    entity_description: BticinoCallSensorDescription

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        history = self.coordinator.bell.history
        self.async_on_remove(history.async_listen(self.async_write_ha_state))

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on listening when renamed (Home Assistant 2026.11)."""

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.read(self.coordinator.bell.history, self.module.id)


class BticinoDisturbUntil(BticinoSettingEntity, SensorEntity):
    """Until when the intercom does not ring, while that is for a time."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_device_class = SensorDeviceClass.TIMESTAMP
    _attr_translation_key = "do_not_disturb_until"
    _kind = SettingKind.DO_NOT_DISTURB

    @property
    @override
    def native_value(self) -> datetime | None:
        return self.until
