"""The house in Home Assistant: polled, corrected by pushes, kept over short outages."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .account_watch import MissingIntercom
from .client import (
    Account,
    ApiError,
    AuthError,
    BticinoError,
    ForbiddenError,
    Home,
    InvalidCredentialsError,
    ModuleKind,
    ModuleState,
    NoAnswerError,
    NotFoundError,
    RateLimitError,
    ReachabilityPush,
    SocketState,
    UnexpectedAnswerError,
    UnreachableError,
    limited_homes,
    with_reported_modules,
)
from .const import CONF_EXCLUDED_HOMES, DOMAIN, LOGGER
from .errors import reason
from .house import House, merged_homes, modules_of, without_module
from .polling import HomePoller, LastAnswer
from .surplus import SurplusModules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .client import CallPush, Module, Push, PushChannel

STATUS_INTERVAL: Final = timedelta(minutes=5)  # while nothing is pushed
SAFETY_INTERVAL: Final = timedelta(minutes=30)  # while the push connection is up
TOPOLOGY_INTERVAL: Final = timedelta(minutes=59)  # less than an hour: two safety intervals
MAX_REQUESTED_MODULES: Final = 200  # others appear with the next regular list
OLD_PUSH_SECONDS: Final = 90.0  # after which a call does not prove a connection any more


class BticinoCoordinator(DataUpdateCoordinator[House]):
    """Owns the house: the only writer of `data`; every change reaches the listeners."""

    config_entry: ConfigEntry

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, account: Account, push: PushChannel
    ) -> None:
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=STATUS_INTERVAL,
        )
        self.account = account
        self.all_homes: dict[str, Home] = {}
        self.failed_polls = 0
        self._last_answer = LastAnswer(hass)
        self._poller = HomePoller(hass, account)
        self._surplus = SurplusModules(hass, entry)
        self._missing_intercom = MissingIntercom(hass, entry)
        self._is_intercom_listed = True
        self._was_online = False
        self._push = push
        self._outage_logged = False
        self._topology_ids: frozenset[str] = frozenset()
        self._is_topology_cut = False
        self._listed_homes: frozenset[str] = frozenset()
        self._topology_until: datetime | None = None
        self._status_ids: dict[str, frozenset[str]] = {}
        self._pending_updates: dict[str, dict[str, Any]] = {}
        self._requested_modules: set[str] = set()
        self._misplaced_modules: set[str] = set()

    @callback
    def async_start(self) -> None:
        """Follow the push connection until the entry is unloaded."""
        self.config_entry.async_on_unload(self._push.listen_pushes(self._on_push))
        self.config_entry.async_on_unload(self._push.listen_states(self._on_push_state))

    @property
    def excluded_homes(self) -> Collection[str]:
        """The ids of the homes that the options leave out."""
        excluded: Collection[str] = self.config_entry.options.get(CONF_EXCLUDED_HOMES, [])
        return excluded

    def is_excluded(self, module_id: str) -> bool:
        """Whether a module is only known as a part of homes that are not in use."""
        listed = any(module_id in home.modules for home in self.all_homes.values())
        return listed and module_id not in self.data.modules

    def is_listed(self, module_id: str) -> bool:
        """Whether the cloud's latest list of modules or of states contains a module."""
        status_ids = self._status_ids.values()
        return module_id in self._topology_ids or any(module_id in ids for ids in status_ids)

    def panels_of(self, bridge_id: str) -> tuple[str, ...]:
        """Return the ids of the panels behind an intercom."""
        return self.data.panels_of(bridge_id)

    @callback
    def async_remove_module(self, module_id: str) -> None:
        """Remove a module whose device was deleted; it returns if the cloud lists it again."""
        self._drop_module(module_id)
        self._set_house(self.data.without_module(module_id))

    @callback
    def async_set_light(self, module_id: str, *, on: bool) -> None:
        """Show a light as it was just switched, until the next poll reports it."""
        self._update_states([module_id], on=on)
        self.async_adapt_interval()

    @callback
    def async_set_reachable(self, module_id: str, *, reachable: bool | None) -> None:
        """Show a module that came or went; poll if the cloud does not say which (None)."""
        module = self.data.modules.get(module_id)
        if module is None:
            self.async_expect_modules(module_id)
            return
        if reachable is None:
            if module.kind is not ModuleKind.UNKNOWN:  # a MyHome gateway has dozens of those
                self.async_refresh_soon()
            return
        self._update_states([module_id], reachable=reachable)
        if reachable and module.kind is ModuleKind.BRIDGE:
            self.async_refresh_soon()  # the modules behind it may be listed as unreachable

    @callback
    def async_expect_modules(self, *module_ids: str | None) -> None:
        """Request the list of modules, once for each module that is not in it yet."""
        unknown = {m for m in module_ids if m is not None and m not in self.data.modules}
        has_room = len(self._requested_modules) < MAX_REQUESTED_MODULES
        if unknown - self._requested_modules and has_room:
            self._requested_modules |= unknown
            self._topology_until = None
            self.async_refresh_soon()

    @callback
    def async_refresh_soon(self) -> None:
        """Poll once, debounced, in the background."""
        self.config_entry.async_create_background_task(
            self.hass, self.async_request_refresh(), "bticino_classe refresh"
        )

    @callback
    def async_note_answer(self) -> None:
        """Note that the cloud has just shown that it works; an outage cannot have begun before."""
        self._last_answer.note()

    @callback
    def async_handle_error(self, err: BticinoError) -> None:
        """Start re-authentication or poll, where a failed command or call calls for it."""
        if isinstance(err, InvalidCredentialsError):
            self.config_entry.async_start_reauth(self.hass)
        if isinstance(err, UnreachableError):
            self.async_refresh_soon()

    @callback
    def async_adapt_interval(self) -> None:
        """Apply the polling interval that fits the current state, from now on."""
        before, self.update_interval = self.update_interval, self._wanted_interval
        # Without listeners, nothing is polled: the entry may be unloaded.
        if before != self.update_interval and self._listeners:
            self._schedule_refresh()

    @property
    def _wanted_interval(self) -> timedelta:
        """Long while changes are pushed, short otherwise.

        Short, too, after a light was switched on: its timer switches it off without a push. Even
        shorter after a start, if there were too many homes for our own rate limiter.
        """
        if self._poller.retry_after is not None:
            return min(timedelta(seconds=ceil(self._poller.retry_after)), STATUS_INTERVAL)
        is_pushed = self._push.is_online and not (self.failed_polls or self._poller.failing)
        is_lit = any(update.get("on") for update in self._pending_updates.values())
        return SAFETY_INTERVAL if is_pushed and not is_lit else STATUS_INTERVAL

    @callback
    def _on_push(self, push: Push) -> None:
        if isinstance(push, ReachabilityPush):
            if not self.is_excluded(push.module_id):
                self.async_set_reachable(push.module_id, reachable=push.reachable)
        elif not self.is_excluded(push.bridge_id):
            self.async_expect_modules(push.bridge_id, push.panel_id)
            self._mark_connected(push)

    def _mark_connected(self, push: CallPush) -> None:
        """Show an intercom and what is behind it as reachable: its call proves that it is there."""
        bridge = self.data.modules.get(push.bridge_id)
        is_old = push.time is not None and self.account.clock.age(push.time) > OLD_PUSH_SECONDS
        if is_old or bridge is None or self.data.reachable(bridge.id):
            return
        behind = (m.id for m in self.data.modules.values() if m.bridge_id == bridge.id)
        self._update_states((bridge.id, *behind), reachable=True)
        self.async_refresh_soon()

    @callback
    def _on_push_state(self, state: SocketState) -> None:
        if state is SocketState.STOPPED:
            return  # the entry is being unloaded
        was_online, self._was_online = self._was_online, self._push.is_online
        if was_online:  # until now, the push connection showed that the cloud works
            self.async_note_answer()
        self.async_adapt_interval()
        if was_online is not self._was_online:
            self.async_update_listeners()
        if state is SocketState.AUTH_FAILED:
            self.config_entry.async_start_reauth(self.hass)

    def _drop_module(self, module_id: str) -> None:
        for home in self.all_homes.values():
            if module_id in home.modules:
                self.all_homes[home.id] = without_module(home, module_id)

    def _set_house(self, house: House) -> None:
        self.data = house
        self.async_update_listeners()

    def _update_states(self, module_ids: Iterable[str], **changes: Any) -> None:
        """Change the states of modules, until a poll that begins later reports them."""
        house = self.data
        for module_id in module_ids:
            self._pending_updates[module_id] = self._pending_updates.get(module_id, {}) | changes
            house = house.with_state(module_id, **changes)
        self._set_house(house)

    @override
    async def _async_update_data(self) -> House:
        try:
            house = await self._fetch()
        except InvalidCredentialsError as err:
            raise ConfigEntryAuthFailed(
                translation_domain=DOMAIN, translation_key=reason(err)
            ) from err
        except BticinoError as err:
            return self._tolerate_failure(err)
        if self._outage_logged:
            LOGGER.info("The cloud of %s is available again", self.name)
        self._outage_logged = False
        self.last_update_success = True  # the base class would log the recovery a second time
        self.failed_polls = 0
        self.async_note_answer()
        self.update_interval = self._wanted_interval
        return house

    def _tolerate_failure(self, err: BticinoError) -> House:
        """Return the last values during a short outage, and log the outage once.

        A poll that our own rate limiter refused changes nothing.
        """
        known: House | None = self.data
        is_refused_here = isinstance(err, RateLimitError) and err.is_local
        if not is_refused_here:
            self._count_failure(err)
        if known is not None:
            is_outage = not is_refused_here and self._last_answer.is_long_ago
            if self.last_update_success and not is_outage:
                return known
            # Logged above; the base class would log it a second time.
            self.last_update_success = False
        retry_after = err.retry_after if isinstance(err, RateLimitError) else None
        raise UpdateFailed(
            translation_domain=DOMAIN, translation_key=reason(err), retry_after=retry_after
        ) from err

    def _count_failure(self, err: BticinoError) -> None:
        if self.failed_polls == 0:
            if self._push.is_online:  # polls are rare then, because pushes come instead
                self.async_note_answer()
            known: House | None = self.data
            if known is not None:
                self._log_outage(err)
        self.failed_polls += 1
        self.update_interval = self._wanted_interval

    def _log_outage(self, err: BticinoError) -> None:
        """Log an outage once, unless the push connection has already logged it."""
        if not self._push.is_outage_logged:
            self._outage_logged = True
            LOGGER.warning("The cloud of %s does not answer properly: %s", self.name, err)

    async def _fetch(self) -> House:
        before = dict(self.all_homes)
        await self._refresh_topology()
        # What is pushed or switched from here on is newer than the states that are requested now.
        self._pending_updates.clear()
        try:
            reported = await self._poller.fetch(
                self._homes_in_use(), is_pushed=self._push.is_online
            )
        except ForbiddenError, NotFoundError:
            self._missing_intercom.async_note_answer(has_intercom=self._is_intercom_listed)
            raise
        await self._follow_moves(reported)
        for home_id in self._poller.refused - self._listed_homes:  # it no longer exists
            del self.all_homes[home_id], reported[home_id]
            self._status_ids.pop(home_id, None)
        modules = modules_of(self.all_homes)
        for home_id, states in reported.items():
            # Read only now: a module may have been removed during the request.
            own = {key: s for key, s in states.items() if _is_of_home(modules.get(key), home_id)}
            self.all_homes[home_id] = with_reported_modules(self.all_homes[home_id], own)
            self._status_ids[home_id] = frozenset(states)
        self._limit_modules(before)
        house = self._house_of(reported)
        self._note_intercoms(house, reported)
        known: House | None = self.data
        if known is not None and house.modules.keys() - known.modules.keys():
            self._topology_until = None  # request the name of the new module with the next poll
        return house

    def _note_intercoms(
        self, house: House, reported: Mapping[str, Mapping[str, ModuleState]]
    ) -> None:
        """Note whether the cloud lists an intercom, or reports the state of one."""
        known = {bridge.id for bridge in house.bridges}
        answered = [ids for home_id, ids in reported.items() if home_id not in self._poller.refused]
        is_reported = any(not known.isdisjoint(ids) for ids in answered)
        self._missing_intercom.async_note_answer(
            has_intercom=self._is_intercom_listed or is_reported
        )

    def _limit_modules(self, before: Mapping[str, Home]) -> None:
        """Leave out what is more than an account can have; remove it when it is gone again."""
        surplus = self._surplus.ids
        if not self._is_topology_cut:
            gone = surplus.difference(self._topology_ids, *self._status_ids.values())
            self._surplus.async_remove_devices(gone)
            for module_id in gone:
                self._drop_module(module_id)
            surplus -= gone
        self.all_homes, is_cut = limited_homes(self.all_homes, before)
        if is_cut or self._is_topology_cut:
            new = modules_of(self.all_homes).keys() - modules_of(before).keys()
            self._surplus.async_raise_issue(surplus | new)
        else:
            self._surplus.async_delete_issue()

    def _house_of(self, reported: Mapping[str, Mapping[str, ModuleState]]) -> House:
        """Return the homes with their reported states, and with what changed during the request."""
        known: House | None = self.data
        states = dict(known.states) if known is not None else {}
        modules = modules_of(self.all_homes)
        for is_own in (False, True):  # the module's own home knows best
            for home_id, found in reported.items():
                states |= {
                    key: state
                    for key, state in found.items()
                    if _is_of_home(modules.get(key), home_id) is is_own
                }
        for module_id, changes in self._pending_updates.items():
            if module_id in states:
                states[module_id] = replace(states[module_id], **changes)
        needed = modules.keys() | {module.intercom_id for module in modules.values()}
        kept = {key: state for key, state in states.items() if key in needed}
        return House.of(self._homes_in_use(), kept)

    async def _follow_moves(self, reported: Mapping[str, Mapping[str, ModuleState]]) -> None:
        """Request the list of modules again, once, when another home reports a module."""
        if self._misplaced(reported) - self._misplaced_modules:
            self._topology_until = None
            await self._refresh_topology()
        self._misplaced_modules = self._misplaced(reported)

    def _misplaced(self, reported: Mapping[str, Mapping[str, ModuleState]]) -> set[str]:
        """Return the modules that only another home reports than the one that they are in."""
        modules = modules_of(self.all_homes)
        answered = {
            key: states for key, states in reported.items() if key not in self._poller.refused
        }
        return {
            module.id
            for home_id, states in answered.items()
            for module in (modules[key] for key in states if key in modules)
            if module.home_id != home_id and module.id not in answered.get(module.home_id, ())
        }

    async def _refresh_topology(self) -> None:
        """Request the list of modules when it is due; keep the known one if that fails."""
        if self._topology_until is not None and dt_util.utcnow() < self._topology_until:
            return
        known: House | None = self.data
        try:
            await self._fetch_topology()
        except AuthError:
            raise
        except (ApiError, NoAnswerError) as err:
            if known is None:
                raise
            LOGGER.debug("The list of modules could not be refreshed: %s", err)

    async def _fetch_topology(self) -> None:
        topology = await self.account.topology()
        self._is_intercom_listed = any(home.bridges for home in topology.homes.values())
        homes = merged_homes(self.all_homes, topology.homes)
        if not any(homes[home_id].bridges for home_id in topology.homes):
            # The account had an intercom when it was set up: this answer is incomplete.
            raise UnexpectedAnswerError
        self.all_homes = homes
        self._listed_homes = frozenset(topology.homes)
        self._topology_ids = frozenset(modules_of(topology.homes))
        self._is_topology_cut = topology.is_cut
        self._topology_until = dt_util.utcnow() + TOPOLOGY_INTERVAL

    def _homes_in_use(self) -> list[Home]:
        """Return the homes with an intercom, and those shown already, without the excluded ones."""
        known: House | None = self.data
        shown = known.homes if known is not None else {}
        return [
            home
            for home in self.all_homes.values()
            if (home.bridges or home.id in shown) and home.id not in self.excluded_homes
        ]


def _is_of_home(module: Module | None, home_id: str) -> bool:
    return module is None or module.home_id == home_id
