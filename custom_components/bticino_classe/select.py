"""Modes of the intercom: do not disturb, Professional studio."""

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.scene import DOMAIN as SCENE_DOMAIN
from homeassistant.components.select import SelectEntity
from homeassistant.const import ATTR_DOMAIN, EVENT_CALL_SERVICE
from homeassistant.core import Event, callback

from .client import SettingKind, SettingMode
from .errors import refused
from .setting_entity import BticinoModeEntity, async_add_for_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

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

OFF: Final = OPTIONS[SettingMode.OFF]
ON: Final = "on"  # set in the app or before a restart: for a time that no option stands for
STUDIO_SECONDS: Final = {
    "1_hour": 3600,
    "4_hours": 4 * 3600,
    "8_hours": 8 * 3600,
    "1_day": 24 * 3600,
}
SAME_END: Final = timedelta(minutes=1)  # the cloud may round the end
RECENT_SCENES: Final = 100


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add both modes for every intercom that reports them."""

    def do_not_disturb(runtime: RuntimeData, bridge: Module, _: Setting) -> Entity:
        return BticinoDoNotDisturb(runtime, bridge, "do_not_disturb")

    def professional_studio(runtime: RuntimeData, bridge: Module, _: Setting) -> Entity:
        return BticinoProfessionalStudio(runtime, bridge, "professional_studio")

    add = async_add_for_settings
    add(entry, async_add_entities, SettingKind.DO_NOT_DISTURB, do_not_disturb)
    add(entry, async_add_entities, SettingKind.PROFESSIONAL_STUDIO, professional_studio)


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


class BticinoProfessionalStudio(BticinoModeEntity, SelectEntity):
    """For how long the intercom opens the door on every ring; no scene switches it on."""

    _attr_translation_key = "professional_studio"
    _attr_entity_registry_enabled_default = False
    _kind = SettingKind.PROFESSIONAL_STUDIO

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._chosen: tuple[str, datetime | None] = OFF, None
        self._scene_contexts: deque[str] = deque(maxlen=RECENT_SCENES)

    @property
    @override
    def options(self) -> list[str]:
        """Off and the durations, besides what it is now."""
        options, current = [OFF, *STUDIO_SECONDS], self.current_option
        return options if current is None or current in options else [*options, current]

    @property
    @override
    def current_option(self) -> str | None:
        if self.current_mode in {None, SettingMode.OFF, SettingMode.UNKNOWN}:
            return None if self.current_mode is None else OPTIONS[self.current_mode]
        option, chosen_end = self._chosen
        is_chosen = self.until and chosen_end and abs(self.until - chosen_end) < SAME_END
        return option if is_chosen else ON

    @override
    async def async_select_option(self, option: str) -> None:
        if option in STUDIO_SECONDS:
            if self._context is not None and self._context.id in self._scene_contexts:
                raise refused("not_by_scene")
            await self.async_change(mode=SettingMode.TIMED, duration=STUDIO_SECONDS[option])
            self._chosen = option, self.until
            self.async_write_ha_state()
        elif option != ON:
            await self.async_change(mode=MODES[option])

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(
            self.hass.bus.async_listen(EVENT_CALL_SERVICE, self._on_scene, _is_scene)
        )

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the listeners when renamed (Home Assistant 2026.11)."""

    @callback
    def _on_scene(self, event: Event[Any]) -> None:
        """Note the context of a scene: the states that it sets are actions of that context."""
        self._scene_contexts.append(event.context.id)


@callback
def _is_scene(data: Mapping[str, Any]) -> bool:
    return bool(data[ATTR_DOMAIN] == SCENE_DOMAIN)
