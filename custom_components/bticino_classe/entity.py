"""Base of all entities of a module: device, availability, updates, commands."""

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
import math
from typing import TYPE_CHECKING, Final, override

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .calls.events import OFFERING_TYPES
from .client import (
    ApiError,
    BticinoError,
    CallEventType,
    Module,
    ModuleKind,
    ModuleState,
    RateLimitError,
    UnreachableError,
)
from .const import CONF_DOOR_CODES, CONF_GATES, CONF_LIGHTS_AS_DOORS, DOMAIN
from .coordinator import BticinoCoordinator
from .errors import command_reason

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.helpers.entity import Entity, EntityDescription
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import CallChange
    from .listeners import ModuleListener
    from .runtime import BticinoConfigEntry, RuntimeData

RELAYS: Final = (ModuleKind.LIGHT, ModuleKind.RELAY)  # which may be wired to a door

# The translation keys of what an intercom shows of calls if it has several panels.
OF_UNKNOWN_PANEL: Final = {
    "call": "call_unknown_panel",
    "doorbell": "doorbell_unknown_panel",
    "in_call": "in_call_unknown_panel",
    "last_call": "last_call_unknown_panel",
    "last_call_close_up": "last_call_close_up_unknown_panel",
    "ringing": "ringing_unknown_panel",
}

type Source = Callable[[ModuleListener], CALLBACK_TYPE]


def is_door(entry: ConfigEntry, module: Module) -> bool:
    """Whether a module opens something: a door, or a relay that the options call one.

    A module that has a code stays a door, whatever kind the cloud reports.
    """
    return module.kind is ModuleKind.DOOR or (
        module.kind in RELAYS and module.id in declared_doors(entry)
    )


def declared_doors(entry: ConfigEntry) -> frozenset[str]:
    """Return the ids of the relays that the options call doors."""
    keys = (CONF_LIGHTS_AS_DOORS, CONF_GATES, CONF_DOOR_CODES)
    return frozenset(module_id for key in keys for module_id in entry.options.get(key, ()))


def unique_id(entry: ConfigEntry, module_id: str, key: str) -> str:
    """Return the unique id of an entity of a module or a home; two accounts may share a house."""
    return f"{entry.unique_id}-{module_id}-{key}"


class EntityAdder:
    """Adds entities to a platform, except those that are there already.

    A module may change its kind, or be gone for a while without its device. Nothing is added while
    the account is being unloaded: it would stay, and keep the next set-up from adding its own.
    """

    def __init__(
        self, entry: ConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
    ) -> None:
        self._entry = entry
        self._async_add_entities = async_add_entities
        self._present: set[str | None] = set()

    @callback
    def async_add(self, entities: Iterable[Entity]) -> None:
        """Add the entities that are not there."""
        if self._entry.state is ConfigEntryState.UNLOAD_IN_PROGRESS:
            return
        new = [entity for entity in entities if entity.unique_id not in self._present]
        for entity in new:
            self._present.add(entity.unique_id)
            entity.async_on_remove(partial(self._present.discard, entity.unique_id))
        if new:
            self._async_add_entities(new)


@callback
def async_add_for_modules(
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    build: Callable[[RuntimeData, Module], list[Entity]],
) -> None:
    """Add the entities of every module that is there, and of those that appear later."""
    runtime, adder = entry.runtime_data, EntityAdder(entry, async_add_entities)
    known: set[tuple[str, ModuleKind, int]] = set()

    @callback
    def add_new() -> None:
        house = runtime.coordinator.data
        # What an intercom has depends on the number of its panels, too.
        now = {(m.id, m.kind, len(house.panels_of(m.id))): m for m in house.modules.values()}
        new = [module for key, module in now.items() if key not in known]
        known.clear()
        known.update(now)
        adder.async_add(entity for module in new for entity in build(runtime, module))

    add_new()
    entry.async_on_unload(runtime.coordinator.async_add_listener(add_new))


class BticinoEntity(CoordinatorEntity[BticinoCoordinator]):
    """An entity of one module; `_sources` update it besides the coordinator."""

    _attr_has_entity_name = True
    _sources: tuple[Source, ...] = ()

    def __init__(
        self, runtime: RuntimeData, module: Module, description: EntityDescription | str
    ) -> None:
        """`description` may be just the key."""
        super().__init__(runtime.coordinator)
        self._runtime = runtime
        self._module = module
        if isinstance(description, str):
            key = description
        else:
            key, self.entity_description = description.key, description
        self._attr_unique_id = unique_id(self._entry, module.id, key)
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, module.id)})

    @property
    def module(self) -> Module:
        """The module as the cloud last described it."""
        return self.coordinator.data.modules.get(self._module.id, self._module)

    @property
    def module_state(self) -> ModuleState:
        """The module's last reported state."""
        return self.coordinator.data.state(self.module.id)

    @property
    @override
    def available(self) -> bool:
        module_id, coordinator = self._module.id, self.coordinator
        return (
            super().available
            and coordinator.has_answered(module_id)
            and coordinator.known_homes.is_listed(module_id)
            and coordinator.data.reachable(module_id)
        )

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        for listen in self._sources:
            self.async_on_remove(listen(self._on_source))

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the listeners when renamed (Home Assistant 2026.11)."""

    @callback
    def _on_source(self, changed: Collection[str] | None) -> None:
        if changed is None or self._module.id in changed:
            self.async_write_ha_state()

    @override
    async def async_update(self) -> None:
        """Poll the states, and read the settings of an intercom."""
        await super().async_update()
        if self.module.kind is ModuleKind.BRIDGE:
            await self._runtime.settings.async_read()

    @contextmanager
    def command_errors(self) -> Generator[None]:
        """Raise the failure of a command as a translated HomeAssistantError."""
        try:
            yield
        except BticinoError as err:
            raise self._command_error(err) from err

    @property
    def _entry(self) -> ConfigEntry:
        return self.coordinator.config_entry

    def _command_error(self, err: BticinoError) -> HomeAssistantError:
        code = err.code if isinstance(err, ApiError) else None
        placeholders = {"name": self._device_name(), "code": "?" if code is None else str(code)}
        if isinstance(err, RateLimitError) and err.retry_after:
            placeholders["seconds"] = str(math.ceil(err.retry_after))
        is_contradicted = isinstance(err, UnreachableError) and self._is_connected(err.module_id)
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="command_not_forwarded" if is_contradicted else command_reason(err),
            translation_placeholders=placeholders,
        )

    def _is_connected(self, module_id: str | None) -> bool:
        """Whether a module is the intercom of this one, and its last status calls it connected."""
        if module_id is None or module_id != self.module.bridge_id:
            return False
        return self.coordinator.data.state(module_id).reachable

    def _device_name(self) -> str:
        device = self.device_entry
        return (device.name_by_user or device.name if device else None) or self.module.id


class BticinoLocalEntity(BticinoEntity):
    """An entity whose state is known here: available while cloud and intercom are not."""

    @property
    @override
    def available(self) -> bool:
        return True


class BticinoCallEntity(BticinoLocalEntity):
    """An entity that follows the calls of its panel, or of unknown panels of its intercom.

    Always available, unless a subclass says otherwise: an event entity that becomes available again
    would look like a new event.
    """

    def __init__(
        self, runtime: RuntimeData, module: Module, description: EntityDescription | str
    ) -> None:
        """That of an unknown panel is disabled by default if the model names its panels."""
        super().__init__(runtime, module, description)
        if self.coordinator.panels_of(module.id):
            self._attr_translation_key = OF_UNKNOWN_PANEL[str(self.translation_key)]
            if module.type in OFFERING_TYPES:
                self._attr_entity_registry_enabled_default = False

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._runtime.calls.async_listen(self._on_change))

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the listeners when renamed (Home Assistant 2026.11)."""

    @callback
    def _on_change(self, change: CallChange) -> None:
        is_new_state = change.type is not CallEventType.UPDATED
        if is_new_state and self._runtime.calls.is_at(change.call, self.module.id):
            self.async_write_ha_state()
