"""Do not disturb: the intercom does not ring."""

from typing import TYPE_CHECKING, Final, override

from homeassistant.components.select import SelectEntity

from .client import SettingKind, SettingMode
from .setting_entity import BticinoModeEntity, async_add_for_settings

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module, Setting
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0  # `Commands` orders them, with a deadline

OPTIONS: Final = {
    SettingMode.OFF: "off",
    SettingMode.TIMED: "timed",
    SettingMode.SCHEDULED: "scheduled",
    SettingMode.ALWAYS: "always",
    SettingMode.UNKNOWN: "unknown_mode",  # Home Assistant keeps "unknown" for itself
}
MODES: Final = {option: mode for mode, option in OPTIONS.items()}


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the mode for every intercom that reports the setting."""

    def build(runtime: RuntimeData, bridge: Module, _: Setting) -> Entity:
        return BticinoDoNotDisturb(runtime, bridge, "do_not_disturb")

    async_add_for_settings(entry, async_add_entities, SettingKind.DO_NOT_DISTURB, build)


class BticinoDoNotDisturb(BticinoModeEntity, SelectEntity):
    """The mode of "do not disturb"."""

    _attr_translation_key = "do_not_disturb"
    _kind = SettingKind.DO_NOT_DISTURB

    @property
    @override
    def options(self) -> list[str]:
        """The modes; a schedule only if there is one, an unknown mode only while it is active."""
        setting, modes = self.setting, [SettingMode.OFF, SettingMode.TIMED, SettingMode.ALWAYS]
        if setting is not None and setting.has_schedule:
            modes.insert(2, SettingMode.SCHEDULED)
        if self.current_mode is SettingMode.UNKNOWN:
            modes.append(SettingMode.UNKNOWN)
        return [OPTIONS[mode] for mode in modes]

    @property
    @override
    def current_option(self) -> str | None:
        return None if self.current_mode is None else OPTIONS[self.current_mode]

    @override
    async def async_select_option(self, option: str) -> None:
        await self.async_change(mode=MODES[option])
