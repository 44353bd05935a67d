"""The homes and modules of an account: listed by the cloud, added by its states, or stored."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .client import (
    ApiError,
    AuthError,
    NoAnswerError,
    UnexpectedAnswerError,
    limited_homes,
    with_reported_modules,
)
from .const import LOGGER
from .house import is_of_home, merged_homes, misplaced_modules, modules_of, without_module
from .stored_house import StoredHomes, StoredHouse
from .surplus import SurplusModules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Set as AbstractSet
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .client import Account, Home, ModuleState

TOPOLOGY_INTERVAL: Final = timedelta(minutes=59)  # less than an hour: two safety intervals


class KnownHomes:
    """Keeps the homes with their modules over incomplete answers and restarts.

    `is_confirmed`: the cloud has listed them since the start. `is_intercom_listed`: its latest list
    contains an intercom. `is_unanswered` says whether a module's states are still to be reported.
    """

    is_confirmed = False
    is_intercom_listed = True
    _is_cut = False

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        account: Account,
        *,
        is_unanswered: Callable[[str], bool],
    ) -> None:
        self._entry = entry
        self._account = account
        self._is_unanswered = is_unanswered
        self._stored = StoredHouse.of(hass, entry.entry_id)
        self._surplus = SurplusModules(hass, entry)
        self._listed_homes: frozenset[str] = frozenset()
        self._listed_ids: AbstractSet[str] = frozenset()
        self._status_ids: dict[str, frozenset[str]] = {}
        self._gone_before: AbstractSet[str] = frozenset()  # in an earlier run
        self._misplaced: AbstractSet[str] = frozenset()
        self._valid_until: datetime | None = None
        self.homes: dict[str, Home] = {}

    async def async_load(self) -> bool:
        """Use what is stored; returns whether there is anything."""
        stored = await self._stored.async_load()
        if stored is None:
            return False
        self.homes = dict(stored.homes)
        self._listed_homes = frozenset(stored.homes)
        self._listed_ids = modules_of(stored.homes).keys() - stored.gone
        self._gone_before = stored.gone
        return True

    @callback
    def async_save(self) -> None:
        """Store them in the background, if they have changed."""
        gone = frozenset(filter(self.is_gone, modules_of(self.homes)))
        self._stored.async_save(self._entry, StoredHomes(homes=dict(self.homes), gone=gone))

    def is_listed(self, module_id: str) -> bool:
        """Whether the cloud's latest list of modules or of states contains a module."""
        status_ids = self._status_ids.values()
        return module_id in self._listed_ids or any(module_id in ids for ids in status_ids)

    def is_gone(self, module_id: str) -> bool:
        """Whether the cloud's answers since the start are certain not to contain a module."""
        is_certain = self.is_confirmed and not self._is_cut and not self._is_unanswered(module_id)
        return is_certain and not self.is_listed(module_id)

    def is_reported(self, module_id: str, home_ids: Collection[str]) -> bool:
        """Whether the latest states of one of these homes contain a module."""
        return any(module_id in self._status_ids.get(home_id, ()) for home_id in home_ids)

    @callback
    def async_expire(self) -> None:
        """Let the next refresh request the list of modules again."""
        self._valid_until = None

    async def async_refresh(self, *, is_required: bool) -> None:
        """Request the list of modules when it is due.

        If that fails, the known one is kept, unless an answer `is_required`.
        """
        if self._valid_until is not None and dt_util.utcnow() < self._valid_until:
            return
        try:
            await self._fetch()
        except AuthError:
            raise
        except (ApiError, NoAnswerError) as err:
            if is_required:
                raise
            LOGGER.debug("The list of modules could not be refreshed: %s", err)

    async def async_follow_moves(self, reported: Mapping[str, Collection[str]]) -> None:
        """Request the list again, once, when another home reports a module than its own.

        `reported` are the ids of the modules that each home reports.
        """
        if misplaced_modules(self.homes, reported) - self._misplaced:
            self.async_expire()
            await self.async_refresh(is_required=False)
        self._misplaced = misplaced_modules(self.homes, reported)

    @callback
    def async_forget_home(self, home_id: str) -> None:
        """Forget a home that does not exist any more; one that is listed is kept."""
        if home_id not in self._listed_homes:
            del self.homes[home_id]
            self._status_ids.pop(home_id, None)

    @callback
    def async_add_reported(self, reported: Mapping[str, Mapping[str, ModuleState]]) -> None:
        """Add the modules that only the states contain, and drop those that are gone."""
        modules = modules_of(self.homes)
        for home_id, states in reported.items():
            own = {key: s for key, s in states.items() if is_of_home(modules.get(key), home_id)}
            self.homes[home_id] = with_reported_modules(self.homes[home_id], own)
            self._status_ids[home_id] = frozenset(states)
        self._gone_before = {key for key in self._gone_before if not self.is_listed(key)}
        for module_id in filter(self.is_gone, self._gone_before):
            self.async_drop_module(module_id)

    @callback
    def async_drop_module(self, module_id: str) -> None:
        """Forget a module until the cloud lists it again."""
        for home in self.homes.values():
            if module_id in home.modules:
                self.homes[home.id] = without_module(home, module_id)

    @callback
    def async_limit_modules(self, before: Mapping[str, Home]) -> None:
        """Leave out what is more than an account can have; remove it when it is gone again.

        `before` are the homes of the last poll, whose modules stay.
        """
        surplus = self._surplus.ids
        if self.is_confirmed and not self._is_cut:
            gone = surplus.difference(self._listed_ids, *self._status_ids.values())
            self._surplus.async_remove_devices(gone)
            for module_id in gone:
                self.async_drop_module(module_id)
            surplus -= gone
        self.homes, is_cut = limited_homes(self.homes, before)
        if is_cut or self._is_cut:
            new = modules_of(self.homes).keys() - modules_of(before).keys()
            self._surplus.async_raise_issue(surplus | new)
        elif self.is_confirmed:
            self._surplus.async_delete_issue()

    async def _fetch(self) -> None:
        topology = await self._account.topology()
        self.is_intercom_listed = any(home.bridges for home in topology.homes.values())
        homes = merged_homes(self.homes, topology.homes)
        if not any(homes[home_id].bridges for home_id in topology.homes):
            # The account had an intercom when it was set up: this answer is incomplete.
            raise UnexpectedAnswerError
        self.homes = homes
        self.is_confirmed = True
        self._listed_homes = frozenset(topology.homes)
        self._listed_ids = frozenset(modules_of(topology.homes))
        self._is_cut = topology.is_cut
        self._valid_until = dt_util.utcnow() + TOPOLOGY_INTERVAL
