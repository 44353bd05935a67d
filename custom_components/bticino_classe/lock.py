"""Doors as locks; they are momentary and lock again by themselves."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.lock import LockEntity, LockEntityFeature
from homeassistant.const import ATTR_CODE
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .commands import door_code
from .const import CODE_FORMAT
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
    """A door, open when the cloud has accepted the command, then unlocked for the pulse time.

    HomeKit and Alexa do not know *open*: to them a lock that stays open is unknown or jammed.
    """

    _attr_name = None
    _attr_supported_features = LockEntityFeature.OPEN
    _attr_is_locked = True
    _end_of_pulse: CALLBACK_TYPE | None = None

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        if door_code(self._entry, module.id) is not None:
            self._attr_code_format = CODE_FORMAT

    @property
    @override
    def assumed_state(self) -> bool:
        return self.module_state.locked is None

    @override
    async def async_open(self, **kwargs: Any) -> None:
        await self.async_unlock(**kwargs)

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        # Not shown as unlocking: a failed opening would look like a door that locks.
        with self.command_errors():
            await self._runtime.commands.async_open(
                self.module, code=kwargs.get(ATTR_CODE), context=self._context
            )

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """Do nothing: the door locks by itself."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._runtime.commands.pulses.async_listen(self._on_pulse))
        self._show_pulse()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._stop_pulse_timer()
        await super().async_will_remove_from_hass()

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep listener and timer when renamed (Home Assistant 2026.11)."""

    @callback
    def _on_pulse(self, door_id: str, context: Context | None) -> None:
        if door_id != self._module.id:
            return
        self.async_set_context(context or Context())
        self._attr_is_open = True
        self.async_write_ha_state()
        self._attr_is_open = False
        self._show_pulse()
        self.async_write_ha_state()

    def _show_pulse(self) -> None:
        """Show the door as unlocked until the end of its pulse, if it has one."""
        self._stop_pulse_timer()
        seconds = self._runtime.commands.pulses.seconds_left(self._module.id)
        self._attr_is_locked = not seconds
        if seconds:
            self._end_of_pulse = async_call_later(self.hass, seconds, self._async_end_pulse)

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
