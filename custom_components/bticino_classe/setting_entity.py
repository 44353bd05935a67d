"""Base of the entities of an intercom's own settings."""

from functools import partial
from typing import TYPE_CHECKING, override

from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .client import SettingMode
from .entity import BticinoEntity, EntityAdder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module, Setting, SettingKind
    from .runtime import BticinoConfigEntry, RuntimeData


@callback
def async_add_for_settings(
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    kind: SettingKind,
    build: Callable[[RuntimeData, Module, Setting], Entity | None],
) -> None:
    """Add an entity for each intercom once it reports the setting; `build` may return None."""
    runtime, adder = entry.runtime_data, EntityAdder(entry, async_add_entities)
    known: set[str] = set()

    @callback
    def add_new() -> None:
        bridges = {bridge.id: bridge for bridge in runtime.coordinator.data.bridges}
        known.intersection_update(bridges)
        new: dict[str, Entity] = {}
        for bridge in (bridges[key] for key in bridges.keys() - known):
            setting = runtime.settings.find(bridge.id, kind)
            if setting is not None and (entity := build(runtime, bridge, setting)) is not None:
                new[bridge.id] = entity
        known.update(new)
        adder.async_add(new.values())

    add_new()
    entry.async_on_unload(runtime.coordinator.async_add_listener(add_new))
    entry.async_on_unload(runtime.settings.async_listen(lambda _: add_new()))


class BticinoSettingEntity(BticinoEntity):
    """An entity of one setting; unavailable while the intercom does not report it."""

    _attr_entity_category = EntityCategory.CONFIG
    _kind: SettingKind

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._sources = (runtime.settings.async_listen,)

    @property
    def setting(self) -> Setting | None:
        """The setting as it was last read."""
        return self._runtime.settings.find(self.module.id, self._kind)

    @property
    def current_mode(self) -> SettingMode | None:
        """The mode at this moment."""
        return self._runtime.settings.mode(self.module.id, self._kind)

    @property
    def until(self) -> datetime | None:
        """The end of a timed mode."""
        setting = self.setting
        if setting is None or self.current_mode is not SettingMode.TIMED:
            return None
        return None if setting.ends_at is None else dt_util.utc_from_timestamp(setting.ends_at)

    @property
    @override
    def available(self) -> bool:
        return super().available and self.setting is not None

    async def async_change(
        self, *, mode: SettingMode | None = None, duration: int | None = None
    ) -> None:
        """Change the setting, once; `duration` in seconds."""
        change = partial(
            self._runtime.settings.async_change, self._kind, mode=mode, duration=duration
        )
        with self.command_errors():
            await self._runtime.commands.async_change_setting(self.module, change)


class BticinoModeEntity(BticinoSettingEntity):
    """An entity that shows the mode of a setting, and when a timed mode ends."""

    @property
    @override
    def extra_state_attributes(self) -> dict[str, datetime | None]:
        return {"until": self.until}
