"""What the entities of an intercom's own settings share."""

from typing import TYPE_CHECKING, override

from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .client import SettingMode
from .entity import BticinoEntity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Account, Home, Module, Setting, SettingKind
    from .coordinator import BticinoConfigEntry, BticinoCoordinator


@callback
def async_add_for_settings(
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    kind: SettingKind,
    build: Callable[[BticinoCoordinator, Module, Setting], Entity | None],
) -> None:
    """Add what is built for each intercom as soon as it tells of such a setting."""
    coordinator = entry.runtime_data
    known: set[str] = set()

    @callback
    def add_new() -> None:
        bridges = {bridge.id: bridge for bridge in coordinator.data.bridges}
        known.intersection_update(bridges)
        new: dict[str, Entity] = {}
        for bridge in (bridges[key] for key in bridges.keys() - known):
            setting = coordinator.settings.find(bridge.id, kind)
            if setting is not None and (entity := build(coordinator, bridge, setting)) is not None:
                new[bridge.id] = entity
        known.update(new)
        if new:
            async_add_entities(new.values())

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


class BticinoSettingEntity(BticinoEntity):
    """An entity of one setting; unavailable while the intercom does not tell of it."""

    _attr_entity_category = EntityCategory.CONFIG
    _kind: SettingKind

    @property
    def setting(self) -> Setting | None:
        """How it was set when it was last told."""
        return self.coordinator.settings.find(self.module.id, self._kind)

    @property
    def current_mode(self) -> SettingMode | None:
        """What it is set to at this moment."""
        return self.coordinator.settings.mode(self.module.id, self._kind)

    @property
    def until(self) -> datetime | None:
        """When what was set for a time ends."""
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

        async def command(_: Account, home: Home, bridge: Module) -> None:
            change = self.coordinator.settings.async_change
            await change(home, bridge, self._kind, mode=mode, duration=duration)

        await self.async_command(command)


class BticinoModeEntity(BticinoSettingEntity):
    """One that shows the mode, and until when it lasts."""

    @property
    @override
    def extra_state_attributes(self) -> dict[str, datetime | None]:
        return {"until": self.until}
