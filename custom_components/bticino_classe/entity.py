"""What all entities of a module share: its device, its availability, honest commands."""

from collections.abc import Awaitable, Callable
import math
from typing import TYPE_CHECKING, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .client import (
    Account,
    BticinoError,
    CallEventType,
    Home,
    InvalidCredentialsError,
    Module,
    ModuleKind,
    ModuleState,
    RateLimitError,
    UnreachableError,
)
from .const import CONF_LIGHTS_AS_DOORS, DOMAIN
from .coordinator import BticinoConfigEntry, BticinoCoordinator
from .errors import command_reason

if TYPE_CHECKING:
    from homeassistant.helpers.entity import Entity, EntityDescription
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import CallChange

type Command = Callable[[Account, Home, Module], Awaitable[None]]


def is_door(entry: BticinoConfigEntry, module: Module) -> bool:
    """Whether a module opens something: a door, or a light relay that the options call one."""
    lights_as_doors = entry.options.get(CONF_LIGHTS_AS_DOORS, [])
    return module.kind is ModuleKind.DOOR or (
        module.kind is ModuleKind.LIGHT and module.id in lights_as_doors
    )


def unique_id(entry: BticinoConfigEntry, module: Module, key: str) -> str:
    """Return the unique id of a module's entity; two accounts may well share a house."""
    return f"{entry.unique_id}-{module.id}-{key}"


def home_unique_id(entry: BticinoConfigEntry, home_id: str, key: str) -> str:
    """Return the unique id of the entity of a whole home."""
    return f"{entry.unique_id}-{home_id}-{key}"


async def async_open(account: Account, home: Home, door: Module) -> None:
    """Send the command that opens a door, whichever kind of relay it hangs on."""
    if door.kind is ModuleKind.LIGHT:
        await account.switch_light(home, door, on=True)
    else:
        await account.unlock(home, door)


@callback
def async_add_for_modules(
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    build: Callable[[BticinoCoordinator, Module], list[Entity]],
) -> None:
    """Add the entities of every module that is there, and of those that appear later."""
    coordinator = entry.runtime_data
    known: set[tuple[str, ModuleKind]] = set()

    @callback
    def add_new() -> None:
        now = {(m.id, m.kind): m for m in coordinator.data.modules.values()}
        new = [module for key, module in now.items() if key not in known]
        known.clear()
        known.update(now)
        if entities := [entity for module in new for entity in build(coordinator, module)]:
            async_add_entities(entities)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


class BticinoEntity(CoordinatorEntity[BticinoCoordinator]):
    """An entity of one module."""

    _attr_has_entity_name = True

    def __init__(
        self, coordinator: BticinoCoordinator, module: Module, what: EntityDescription | str
    ) -> None:
        """`what` is the entity's description, or its key where there is none."""
        super().__init__(coordinator)
        self._module = module
        if isinstance(what, str):
            key = what
        else:
            key, self.entity_description = what.key, what
        self._attr_unique_id = unique_id(coordinator.config_entry, module, key)
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, module.id)})

    @property
    def module(self) -> Module:
        """The module as the cloud last described it."""
        return self.coordinator.data.modules.get(self._module.id, self._module)

    @property
    def state_of_module(self) -> ModuleState:
        """What the module last reported."""
        return self.coordinator.data.state(self.module.id)

    @property
    @override
    def available(self) -> bool:
        module_id, coordinator = self._module.id, self.coordinator
        return (
            super().available
            and coordinator.is_known(module_id)
            and coordinator.data.reachable(module_id)
        )

    async def async_command(self, command: Command) -> None:
        """Send one command, once; what keeps it from being carried out is told to the person."""
        async with self.coordinator.command_lock:
            house, module = self.coordinator.data, self.module
            home = house.homes.get(module.home_id)
            if home is None or not house.reachable(module.id):
                raise self._action_error("command_unreachable")
            try:
                await command(self.coordinator.account, home, module)
            except BticinoError as err:
                self._after_failure(err)
                raise self._action_error(command_reason(err), err) from err

    @callback
    def _after_failure(self, err: BticinoError) -> None:
        """Have a person sign in where only that helps, and look at a house that went away."""
        if isinstance(err, InvalidCredentialsError):
            self.coordinator.config_entry.async_start_reauth(self.hass)
        if isinstance(err, UnreachableError):
            self.coordinator.async_look_soon()

    def _action_error(self, key: str, err: BticinoError | None = None) -> HomeAssistantError:
        placeholders = {"name": self._device_name()}
        if isinstance(err, RateLimitError) and err.retry_after:
            placeholders["seconds"] = str(math.ceil(err.retry_after))
        return HomeAssistantError(
            translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
        )

    def _device_name(self) -> str:
        device = self.device_entry
        return (device.name_by_user or device.name if device else None) or self.module.id


class BticinoOwnEntity(BticinoEntity):
    """An entity of what is known here, and is true while cloud and intercom are away."""

    @property
    @override
    def available(self) -> bool:
        return True


class BticinoCallEntity(BticinoOwnEntity):
    """An entity that follows the calls of its panel, or of all panels of its intercom.

    An event that comes back from being unavailable would look like one that happens.
    """

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.bell.async_listen(self._on_change))

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on listening when renamed (Home Assistant 2026.11)."""

    @callback
    def _on_change(self, change: CallChange) -> None:
        call, is_news = change.call, change.happening is not CallEventType.ENRICHED
        if is_news and self.coordinator.bell.is_at(call, self.module.id):
            self.async_write_ha_state()
