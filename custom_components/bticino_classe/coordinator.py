"""What Home Assistant knows of the house, and how it stays true."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .client import (
    Account,
    BticinoError,
    ForbiddenError,
    Home,
    InvalidCredentialsError,
    InvalidRequestError,
    Module,
    ModuleState,
    NotFoundError,
    RateLimitError,
    UnexpectedAnswerError,
)
from .client.decode import completed
from .const import CONF_LEFT_OUT_HOMES, DOMAIN, LOGGER
from .errors import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from homeassistant.core import HomeAssistant

type BticinoConfigEntry = ConfigEntry[BticinoCoordinator]

STATUS_INTERVAL: Final = timedelta(minutes=5)
TOPOLOGY_INTERVAL: Final = timedelta(hours=1)
TOLERATED_FAILURES: Final = 3  # polls that may fail before the last values are no longer shown


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The homes that are set up, all their modules by id, and what each last reported."""

    homes: Mapping[str, Home]
    modules: Mapping[str, Module]
    states: Mapping[str, ModuleState]

    @classmethod
    def of(cls, homes: Iterable[Home], states: Mapping[str, ModuleState]) -> House:
        """Build a house from its homes."""
        by_id = {home.id: home for home in homes}
        modules = {m.id: m for home in by_id.values() for m in home.modules.values()}
        return cls(homes=by_id, modules=modules, states=states)

    def state(self, module_id: str) -> ModuleState:
        """Return what a module last reported; one that never did counts as reachable."""
        return self.states.get(module_id) or ModuleState(id=module_id)

    def reachable(self, module_id: str) -> bool:
        """Whether commands can get to a module: it and its bridge are connected."""
        module = self.modules.get(module_id)
        bridge_id = module.bridge_id if module else None
        return self.state(module_id).reachable and (
            bridge_id is None or self.state(bridge_id).reachable
        )


class BticinoCoordinator(DataUpdateCoordinator[House]):
    """Polls the cloud as a safety net, outlasts its short outages, forgets nothing by itself."""

    config_entry: BticinoConfigEntry

    def __init__(self, hass: HomeAssistant, entry: BticinoConfigEntry, account: Account) -> None:
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=STATUS_INTERVAL,
            always_update=False,
        )
        self.account = account
        self.all_homes: dict[str, Home] = {}
        self.unknown_types: Mapping[str, int] = {}
        self.failed_polls = 0
        self._listed: frozenset[str] = frozenset()
        self._topology_until: datetime | None = None

    def is_listed(self, module_id: str) -> bool:
        """Whether the cloud's newest list of modules has this one."""
        return module_id in self._listed

    def async_forget(self, module_id: str) -> None:
        """Drop a module whose device was deleted; it returns if the cloud lists it again."""
        for home in self.all_homes.values():
            if module_id in home.modules:
                self.all_homes[home.id] = _without(home, module_id)
        homes = [_without(home, module_id) for home in self.data.homes.values()]
        self.data = House.of(homes, self.data.states)
        self.async_update_listeners()

    def async_note_light(self, module_id: str, *, on: bool) -> None:
        """Show a light as it was just switched, until the next poll says how it is."""
        state = replace(self.data.state(module_id), on=on)
        self.data = replace(self.data, states={**self.data.states, module_id: state})
        self.async_update_listeners()

    @override
    async def _async_update_data(self) -> House:
        try:
            house = await self._fetch()
        except InvalidCredentialsError as err:
            raise ConfigEntryAuthFailed(
                translation_domain=DOMAIN, translation_key=reason(err)
            ) from err
        except BticinoError as err:
            return self._outlast(err)
        if self.failed_polls and self.last_update_success:
            LOGGER.info("The cloud of %s answers again", self.name)
        self.failed_polls = 0
        return house

    def _outlast(self, err: BticinoError) -> House:
        """Return the last values while the outage is short, and say once that there is one."""
        self.failed_polls += 1
        known: House | None = self.data
        if known is not None:
            if self.failed_polls == 1:
                LOGGER.warning("The cloud of %s gives no usable answer: %s", self.name, err)
            if self.failed_polls <= TOLERATED_FAILURES:
                return known
            # Said above already; the base class would say it a second time.
            self.last_update_success = False
        retry_after = err.retry_after if isinstance(err, RateLimitError) else None
        raise UpdateFailed(
            translation_domain=DOMAIN, translation_key=reason(err), retry_after=retry_after
        ) from err

    async def _fetch(self) -> House:
        if self._topology_until is None or dt_util.utcnow() >= self._topology_until:
            await self._fetch_topology()
        known: House | None = self.data
        states = dict(known.states) if known is not None else {}
        homes = []
        for home in self._wanted_homes():
            found = await self._states(home)
            self.all_homes[home.id] = completed(home, found)
            homes.append(self.all_homes[home.id])
            states |= found
        house = House.of(homes, states)
        if known is not None and house.modules.keys() - known.modules.keys():
            self._topology_until = None  # a new module: its name is asked for with the next poll
        return house

    async def _fetch_topology(self) -> None:
        topology = await self.account.topology()
        if not topology.homes:
            raise UnexpectedAnswerError
        for home in topology.homes.values():
            self.all_homes[home.id] = _merged(self.all_homes.get(home.id), home)
        self._listed = frozenset(
            module_id for home in topology.homes.values() for module_id in home.modules
        )
        self.unknown_types = topology.unknown_types
        self._topology_until = dt_util.utcnow() + TOPOLOGY_INTERVAL

    def _wanted_homes(self) -> list[Home]:
        left_out = self.config_entry.options.get(CONF_LEFT_OUT_HOMES, [])
        homes = self.all_homes.values()
        return [home for home in homes if home.bridges and home.id not in left_out]

    async def _states(self, home: Home) -> Mapping[str, ModuleState]:
        """Return a home's states; one home that is refused does not take the others with it."""
        try:
            return await self.account.states(home.id)
        except ForbiddenError, NotFoundError, InvalidRequestError:
            if len(self._wanted_homes()) == 1:
                raise
            return {m: ModuleState(id=m, reachable=False) for m in home.modules}


def _merged(known: Home | None, home: Home) -> Home:
    """Return the newer home; what it no longer tells of its modules is kept, little may be half."""
    if known is None:
        return home
    told = {m.id: m for m in home.modules.values() if m.type or m.id not in known.modules}
    return replace(home, modules={**known.modules, **told})


def _without(home: Home, module_id: str) -> Home:
    modules = {key: module for key, module in home.modules.items() if key != module_id}
    return replace(home, modules=modules)
