"""Staircase lights: relays that the panel's timer switches off."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.light import ColorMode, LightEntity

from .client import Module, ModuleKind
from .entity import BticinoEntity, async_add_for_modules, is_door

if TYPE_CHECKING:
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


class BticinoLight(BticinoEntity, LightEntity):
    """A staircase light, on or off."""

    _attr_name = None
    _attr_translation_key = "staircase"
    _attr_color_mode = ColorMode.ONOFF
    _attr_supported_color_modes = {ColorMode.ONOFF}  # noqa: RUF012 - Home Assistant's own form

    @property
    @override
    def is_on(self) -> bool | None:
        return self.module_state.on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self._switch(on=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self._switch(on=False)

    async def _switch(self, *, on: bool) -> None:
        with self.command_errors():
            await self._runtime.commands.async_switch_light(self.module, on=on)
        self.coordinator.async_set_light(self.module.id, on=on)
