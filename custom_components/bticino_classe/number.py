"""The duration of a timed "do not disturb"."""

from typing import TYPE_CHECKING, override

from homeassistant.components.number import NumberDeviceClass, NumberEntity, NumberMode
from homeassistant.const import UnitOfTime

from .client import SettingKind
from .setting_entity import BticinoSettingEntity, async_add_for_settings

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module, Setting
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0  # `Commands` orders them, with a deadline


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the duration for every intercom that reports one."""

    def build(runtime: RuntimeData, bridge: Module, setting: Setting) -> Entity | None:
        if setting.duration is None:
            return None
        return BticinoDuration(runtime, bridge, "do_not_disturb_duration")

    async_add_for_settings(entry, async_add_entities, SettingKind.DO_NOT_DISTURB, build)


class BticinoDuration(BticinoSettingEntity, NumberEntity):
    """A duration in minutes; a change restarts a running time."""

    _attr_translation_key = "do_not_disturb_duration"
    _attr_device_class = NumberDeviceClass.DURATION
    _attr_native_unit_of_measurement = UnitOfTime.MINUTES
    _attr_native_min_value = 1
    _attr_native_max_value = 24 * 60
    _attr_native_step = 1
    _attr_mode = NumberMode.BOX
    _kind = SettingKind.DO_NOT_DISTURB

    @property
    @override
    def native_value(self) -> float | None:
        duration = self.setting.duration if self.setting is not None else None
        return None if duration is None else duration // 60

    @override
    async def async_set_native_value(self, value: float) -> None:
        await self.async_change(duration=int(value) * 60)
