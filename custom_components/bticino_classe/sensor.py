"""Sensors of an intercom: its own reports and its history of calls."""

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
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .client import Module, ModuleKind, ModuleState, Setting, SettingKind
from .entity import BticinoEntity, BticinoLocalEntity, async_add_for_modules
from .history.records import OUTCOMES
from .setting_entity import BticinoSettingEntity, async_add_for_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date
    from decimal import Decimal

    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
    from homeassistant.helpers.typing import StateType

    from .history.records import CallRecord
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0

# The cloud computes the uptime, so the boot time derived from it varies between polls.
BOOT_TOLERANCE: Final = timedelta(minutes=5)

ATTR_LIMIT: Final = "limit"
ATTR_NEXT_VIEW: Final = "next_view"
ATTR_REFUSED: Final = "refused"

type Value = StateType | date | datetime | Decimal


@dataclass(frozen=True, kw_only=True)
class BticinoSensorDescription(SensorEntityDescription):
    """A sensor whose value is read from the state, given the value before."""

    read: Callable[[ModuleState, Value], Value]


def last_boot(state: ModuleState, before: Value) -> Value:
    """Return the boot time; the value before is kept while the new one is close to it."""
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
        entity_registry_enabled_default=False,
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

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        if module.kind is not ModuleKind.BRIDGE:
            return []
        own = [BticinoSensor(runtime, module, description) for description in SENSORS]
        return [
            *own,
            BticinoLastCall(runtime, module, "last_call_outcome"),
            BticinoMissedCalls(runtime, module, "missed_calls"),
            BticinoStreamViews(runtime, module, "stream_views"),
        ]

    def build_until(runtime: RuntimeData, bridge: Module, _: Setting) -> Entity:
        return BticinoDisturbUntil(runtime, bridge, "do_not_disturb_until")

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
        """Keep the value when renamed (Home Assistant 2026.11)."""

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        # The uptime of an old report is outdated: only a new report may change the boot time.
        if self.module_state is not self._seen:
            self._read(self._attr_native_value)
        super()._handle_coordinator_update()

    def _read(self, before: Value) -> None:
        self._seen = self.module_state
        self._attr_native_value = self.entity_description.read(self.module_state, before)


class BticinoCallSensor(BticinoLocalEntity, SensorEntity):
    """A value from the history of an intercom's calls."""

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._sources = (runtime.history.async_listen,)


class BticinoLastCall(BticinoCallSensor):
    """How the last call ended that is not ringing any more, and when it began.

    Disabled by default: the entities of the panels show the same, and Activity would list it twice.
    """

    _attr_translation_key = "last_call"
    _attr_device_class = SensorDeviceClass.ENUM
    _attr_entity_registry_enabled_default = False

    @property
    @override
    def native_value(self) -> str | None:
        return None if self._call is None else self._call.outcome

    @property
    @override
    def options(self) -> list[str]:
        return list(OUTCOMES)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, datetime] | None:
        call = self._call
        return None if call is None else {"time": dt_util.utc_from_timestamp(call.time)}

    @property
    def _call(self) -> CallRecord | None:
        calls = self._runtime.history.last_two(self.module.id)
        return next((call for call in calls if call.outcome in OUTCOMES), None)


class BticinoMissedCalls(BticinoCallSensor):
    """The number of unseen missed calls."""

    _attr_translation_key = "missed_calls"
    _attr_state_class = SensorStateClass.TOTAL

    @property
    @override
    def native_value(self) -> int:
        return self._runtime.history.missed(self.module.id)


class BticinoStreamViews(BticinoLocalEntity, SensorEntity):
    """How many views other programs had at an intercom in the last hour.

    Disabled by default: few homes have such a program.
    """

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_entity_registry_enabled_default = False
    _attr_state_class = SensorStateClass.MEASUREMENT
    _attr_translation_key = "stream_views"
    _unrecorded_attributes = frozenset({ATTR_NEXT_VIEW, ATTR_REFUSED})
    _cancel_timer: CALLBACK_TYPE | None = None

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._sources = (runtime.live.async_listen,)
        self._limits = runtime.live.relays.limits

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._stop_timer)
        self._read()

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the timer when renamed (Home Assistant 2026.11)."""

    @callback
    @override
    def _on_source(self, changed: Collection[str] | None) -> None:
        if changed is None or self.module.id in changed:
            self._read()
            self.async_write_ha_state()

    @callback
    def _on_timer(self, _now: datetime) -> None:
        self._cancel_timer = None
        self._read()
        self.async_write_ha_state()

    @callback
    def _read(self) -> None:
        """Read the limits now, and again once they change without a view."""
        limits, intercom_id = self._limits, self.module.id
        wait = limits.seconds_left(intercom_id)
        next_view = (dt_util.utcnow() + timedelta(seconds=wait)).replace(microsecond=0)
        self._attr_native_value = limits.views(intercom_id)
        self._attr_extra_state_attributes = {
            ATTR_LIMIT: limits.options.views_per_hour,
            ATTR_REFUSED: limits.refused(intercom_id),
            ATTR_NEXT_VIEW: next_view if wait else None,
        }
        self._stop_timer()
        if (seconds := limits.seconds_until_change(intercom_id)) is not None:
            job = HassJob(self._on_timer, cancel_on_shutdown=True)
            self._cancel_timer = async_call_later(self.hass, seconds, job)

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None


class BticinoDisturbUntil(BticinoSettingEntity, SensorEntity):
    """The end of a timed "do not disturb", which the select has as an attribute."""

    _attr_entity_registry_enabled_default = False
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_device_class = SensorDeviceClass.TIMESTAMP
    _attr_translation_key = "do_not_disturb_until"
    _kind = SettingKind.DO_NOT_DISTURB

    @property
    @override
    def native_value(self) -> datetime | None:
        return self.until
