"""What all entities of a module share: its device, its availability, honest commands."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .client import (
    Account,
    BticinoError,
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
from .errors import reason

if TYPE_CHECKING:
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

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
    known: set[str] = set()

    @callback
    def add_new() -> None:
        modules = coordinator.data.modules
        new = [module for key, module in modules.items() if key not in known]
        known.clear()
        known.update(modules)
        if entities := [entity for module in new for entity in build(coordinator, module)]:
            async_add_entities(entities)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))


class BticinoEntity(CoordinatorEntity[BticinoCoordinator]):
    """An entity of one module."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: BticinoCoordinator, module: Module, key: str) -> None:
        super().__init__(coordinator)
        self._module = module
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
        return super().available and self.coordinator.data.reachable(self.module.id)

    async def async_command(self, command: Command) -> None:
        """Send one command, once; what keeps it from being carried out is told to the person."""
        house = self.coordinator.data
        if not house.reachable(self.module.id):
            raise self._action_error("unreachable")
        try:
            await command(self.coordinator.account, house.homes[self.module.home_id], self.module)
        except BticinoError as err:
            await self._after_failure(err)
            raise self._action_error(_action_key(err), err) from err

    async def _after_failure(self, err: BticinoError) -> None:
        """Have a person sign in where only that helps, and look at a house that went away."""
        if isinstance(err, InvalidCredentialsError):
            self.coordinator.config_entry.async_start_reauth(self.hass)
        if isinstance(err, UnreachableError):
            await self.coordinator.async_request_refresh()

    def _action_error(self, key: str, err: BticinoError | None = None) -> HomeAssistantError:
        placeholders = {"name": self._device_name()}
        if key == "too_many_requests_wait" and isinstance(err, RateLimitError):
            placeholders["seconds"] = str(round(err.retry_after or 0))
        return HomeAssistantError(
            translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
        )

    def _device_name(self) -> str:
        device = self.device_entry
        return (device.name_by_user or device.name if device else None) or self.module.id


def _action_key(err: BticinoError) -> str:
    key = reason(err)
    if key == "cannot_connect":
        return "not_sent"
    if isinstance(err, RateLimitError) and err.retry_after:
        return "too_many_requests_wait"
    return key
