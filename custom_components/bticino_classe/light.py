"""Staircase lights: relays that the panel's timer switches off."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.light import ColorMode, LightEntity
from homeassistant.core import CALLBACK_TYPE, Context, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.restore_state import RestoreEntity

from .assumed_lights import AssumedLights, AssumedState
from .client import Module, ModuleKind
from .const import CONF_LIGHT_TIMER, DEFAULT_LIGHT_TIMER
from .entity import BticinoEntity, async_add_for_modules, is_door

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0  # `Commands` orders them, with a deadline


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a light for every staircase light that the options do not call a door."""

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        is_light = module.kind is ModuleKind.LIGHT and not is_door(entry, module)
        return [BticinoLight(runtime, module, "light")] if is_light else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoLight(BticinoEntity, LightEntity, RestoreEntity):
    """A staircase light, on or off; assumed from the commands if the cloud does not report it."""

    _attr_name = None
    _attr_translation_key = "staircase"
    _attr_color_mode = ColorMode.ONOFF
    _attr_supported_color_modes = {ColorMode.ONOFF}  # noqa: RUF012 - Home Assistant's own form
    _off_timer: CALLBACK_TYPE | None = None

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._lights = AssumedLights.of(runtime.coordinator.hass, self._entry.entry_id)
        self._sources = (self._lights.async_listen,)

    @property
    @override
    def assumed_state(self) -> bool:
        return self.module_state.on is None

    @property
    @override
    def is_on(self) -> bool | None:
        if not self.assumed_state:
            return self.module_state.on
        assumed = self._lights.find(self._module.id)
        return None if assumed is None else assumed.on

    @property
    @override
    def extra_restore_state_data(self) -> AssumedState | None:
        return self._lights.find(self._module.id)

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self._switch(on=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self._switch(on=False)

    async def _switch(self, *, on: bool) -> None:
        with self.command_errors():
            await self._runtime.commands.async_switch_light(self.module, on=on)
        seconds = self._entry.options.get(CONF_LIGHT_TIMER, DEFAULT_LIGHT_TIMER)
        self._lights.async_switch(self._module.id, on=on, seconds=seconds)
        if not self.assumed_state:
            self.coordinator.async_set_light(self.module.id, on=on)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        is_new = self._lights.find(self._module.id) is None
        stored = await self.async_get_last_extra_data() if is_new else None
        restored = AssumedState.restored(stored.as_dict()) if stored is not None else None
        if restored is not None:
            self._lights.async_set(self._module.id, restored)
        self._start_off_timer()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._stop_off_timer()
        await super().async_will_remove_from_hass()

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep listeners and timer when renamed (Home Assistant 2026.11)."""

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        assumed, reported = self._lights.find(self._module.id), self.module_state.on
        if assumed is not None and reported is not None and reported is not assumed.on:
            self._lights.async_switch(self._module.id, on=reported, seconds=0)
        super()._handle_coordinator_update()

    @callback
    @override
    def _on_source(self, changed: Collection[str] | None) -> None:
        self._start_off_timer()
        super()._on_source(changed)

    def _start_off_timer(self) -> None:
        """Show the light as off once its own timer has ended."""
        self._stop_off_timer()
        assumed = self._lights.find(self._module.id)
        seconds = None if assumed is None else assumed.seconds_left
        if seconds is not None and seconds > 0:
            self._off_timer = async_call_later(self.hass, seconds, self._async_end_timer)
        elif seconds is not None:
            self._lights.async_switch(self._module.id, on=False, seconds=0)

    @callback
    def _async_end_timer(self, _now: datetime) -> None:
        self._off_timer = None
        self.async_set_context(Context())  # not the act of the person who switched it on
        self._lights.async_switch(self._module.id, on=False, seconds=0)

    def _stop_off_timer(self) -> None:
        if self._off_timer is not None:
            self._off_timer()
            self._off_timer = None
