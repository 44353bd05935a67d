"""Professional studio: the intercom opens the door on every ring."""

from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.switch import SwitchEntity

from .client import SettingKind, SettingMode
from .setting_entity import BticinoModeEntity, async_add_for_settings

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module, Setting
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0  # `Commands` orders them, with a deadline

# The only duration ever observed; it also limits how long the door opens by itself.
DURATION_SECONDS: Final = 24 * 3600


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a switch for every intercom that reports the setting."""

    def build(runtime: RuntimeData, bridge: Module, _: Setting) -> Entity:
        return BticinoProfessionalStudio(runtime, bridge, "professional_studio")

    async_add_for_settings(entry, async_add_entities, SettingKind.PROFESSIONAL_STUDIO, build)


class BticinoProfessionalStudio(BticinoModeEntity, SwitchEntity):
    """On in every mode except off."""

    _attr_translation_key = "professional_studio"
    _kind = SettingKind.PROFESSIONAL_STUDIO

    @property
    @override
    def is_on(self) -> bool | None:
        """None in an unknown mode."""
        if self.current_mode in {None, SettingMode.UNKNOWN}:
            return None
        return self.current_mode is not SettingMode.OFF

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_change(mode=SettingMode.TIMED, duration=DURATION_SECONDS)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_change(mode=SettingMode.OFF)
