"""Doors as locks; they are momentary and lock again by themselves."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.lock import LockEntity, LockEntityFeature
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .const import CONF_PULSE_TIME, DEFAULT_PULSE_TIME
from .entity import BticinoEntity, async_add_for_modules, is_door

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0  # `Commands` orders them, with a deadline


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a lock for every door."""

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        return [BticinoLock(runtime, module, "lock")] if is_door(entry, module) else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoLock(BticinoEntity, LockEntity):
    """A door, shown as unlocked for the pulse time after the cloud accepted the command."""

    _attr_name = None
    _attr_supported_features = LockEntityFeature.OPEN
    _attr_is_locked = True
    _end_of_pulse: CALLBACK_TYPE | None = None
    _is_added = False

    @override
    async def async_open(self, **kwargs: Any) -> None:
        await self.async_unlock(**kwargs)

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        with self.command_errors():
            await self._runtime.commands.async_open(self.module)
        # Not shown as unlocking before: a failed opening would look like a door that locks.
        self._begin_pulse()

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """Do nothing: the door locks by itself."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._is_added = True

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._is_added = False
        # On 2026.10 a renamed entity is added again: without its timer it would stay unlocked.
        self._stop_pulse_timer()
        self._attr_is_locked = True
        await super().async_will_remove_from_hass()

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep a running pulse when renamed (Home Assistant 2026.11)."""

    def _begin_pulse(self) -> None:
        self._stop_pulse_timer()
        if not self._is_added:
            return  # the entry was reloaded during the command
        self._attr_is_locked = False
        seconds = self.coordinator.config_entry.options.get(CONF_PULSE_TIME, DEFAULT_PULSE_TIME)
        self._end_of_pulse = async_call_later(self.hass, seconds, self._async_end_pulse)
        self.async_write_ha_state()

    @callback
    def _async_end_pulse(self, _now: datetime) -> None:
        self._end_of_pulse = None
        self._attr_is_locked = True
        self.async_set_context(Context())  # not the act of the person who opened
        self.async_write_ha_state()

    def _stop_pulse_timer(self) -> None:
        if self._end_of_pulse is not None:
            self._end_of_pulse()
            self._end_of_pulse = None
