"""Buttons: open a door, reset the missed calls, switch to the next panel."""

from typing import TYPE_CHECKING, override

from homeassistant.components.button import ButtonEntity

from .client import ModuleKind
from .commands import door_code
from .entity import BticinoEntity, BticinoLocalEntity, async_add_for_modules, is_door
from .errors import call_errors, refused

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
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
    """Add a button for every door without a code, and those of every intercom."""

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        if module.kind is ModuleKind.BRIDGE:
            has_one_panel = len(runtime.coordinator.panels_of(module.id)) == 1
            return [
                BticinoResetButton(runtime, module, "reset_missed_calls"),
                *([] if has_one_panel else [BticinoNextPanelButton(runtime, module, "next_panel")]),
            ]
        # A button asks for no code.
        has_button = is_door(entry, module) and door_code(entry, module.id) is None
        return [BticinoButton(runtime, module, "open")] if has_button else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoButton(BticinoEntity, ButtonEntity):
    """Opens a door when pressed."""

    _attr_translation_key = "open"

    @override
    async def async_press(self) -> None:
        with self.command_errors():
            await self._runtime.commands.async_open(self.module, context=self._context)


class BticinoResetButton(BticinoLocalEntity, ButtonEntity):
    """Resets the number of missed calls."""

    _attr_translation_key = "reset_missed_calls"

    @override
    async def async_press(self) -> None:
        await self._runtime.history.async_mark_seen(self.module.id)


class BticinoNextPanelButton(BticinoEntity, ButtonEntity):
    """Switches the current view to the intercom's next panel."""

    _attr_translation_key = "next_panel"

    @override
    async def async_press(self) -> None:
        with call_errors():
            found = await self._runtime.live.async_next_panel(self.module)
        if not found:
            raise refused("no_call")
