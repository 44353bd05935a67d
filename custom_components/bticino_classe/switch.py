"""Professional studio: the intercom opens by itself to whoever rings."""

from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.switch import SwitchEntity

from .client import SettingKind, SettingMode
from .setting_entity import BticinoModeEntity, async_add_for_settings

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module, Setting
    from .coordinator import BticinoConfigEntry, BticinoCoordinator

PARALLEL_UPDATES = 1

# A day, the only length that anybody has told of; and nobody's door opens by itself for ever.
ON_FOR: Final = 24 * 3600  # seconds


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a switch for every intercom that tells of it."""

    def build(coordinator: BticinoCoordinator, bridge: Module, _: Setting) -> Entity:
        return BticinoProfessionalStudio(coordinator, bridge, "professional_studio")

    async_add_for_settings(entry, async_add_entities, SettingKind.PROFESSIONAL_STUDIO, build)


class BticinoProfessionalStudio(BticinoModeEntity, SwitchEntity):
    """On in every mode but off."""

    _attr_translation_key = "professional_studio"
    _kind = SettingKind.PROFESSIONAL_STUDIO

    @property
    @override
    def is_on(self) -> bool | None:
        """Unknown in a mode that nobody knows."""
        if self.current_mode in {None, SettingMode.UNKNOWN}:
            return None
        return self.current_mode is not SettingMode.OFF

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_change(mode=SettingMode.TIMED, duration=ON_FOR)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_change(mode=SettingMode.OFF)
