"""The house in Home Assistant: polled, corrected by pushes, kept over short outages."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .account_watch import MissingIntercom
from .client import (
    Account,
    BticinoError,
    ForbiddenError,
    Home,
    InvalidCredentialsError,
    ModuleKind,
    ModuleState,
    NotFoundError,
    RateLimitError,
    ReachabilityPush,
    SocketState,
    UnreachableError,
)
from .const import CONF_EXCLUDED_HOMES, DOMAIN, LOGGER
from .errors import reason
from .house import House, is_of_home, modules_of
from .known_homes import KnownHomes
from .polling import STATUS_INTERVAL, HomePoller, LastAnswer, interval_after, interval_of_start

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .client import CallPush, Push, PushChannel

SAFETY_INTERVAL: Final = timedelta(minutes=30)  # while the push connection is up
MAX_REQUESTED_MODULES: Final = 200  # others appear with the next regular list
OLD_PUSH_SECONDS: Final = 90.0  # after which a call does not prove a connection any more


class BticinoCoordinator(DataUpdateCoordinator[House]):
    """Owns the house: the only writer of `data`; every change reaches the listeners."""

    config_entry: ConfigEntry
    failed_polls = 0
    _incomplete_polls = 0  # that left something unanswered since the start
    _was_online = False
    _outage_logged = False

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
        self.known_homes = KnownHomes(hass, entry, account, is_unanswered=self._is_unanswered)
        self._last_answer = LastAnswer(hass)
        self._poller = HomePoller(hass, account)
        self._missing_intercom = MissingIntercom(hass, entry)
        self._push = push
        self._pending_updates: dict[str, dict[str, Any]] = {}
        self._requested_modules: set[str] = set()

    async def async_load(self) -> None:
        """Use the stored house; if there is none, wait for the cloud's first answer."""
        if await self.known_homes.async_load():
            self.data = House.of(self._homes_in_use(), {})
        else:
            await self.async_config_entry_first_refresh()

    @callback
    def async_start(self) -> None:
        """Follow the push connection until the entry is unloaded; poll if only stored is known."""
        self.config_entry.async_on_unload(self._push.listen_pushes(self._on_push))
        self.config_entry.async_on_unload(self._push.listen_states(self._on_push_state))
        if not self.known_homes.is_confirmed:
            self.config_entry.async_create_background_task(
                self.hass, self.async_refresh(), "bticino_classe first poll"
            )

    @property
    def excluded_homes(self) -> Collection[str]:
        """The ids of the homes that the options leave out."""
        excluded: Collection[str] = self.config_entry.options.get(CONF_EXCLUDED_HOMES, [])
        return excluded

    def is_excluded(self, module_id: str) -> bool:
        """Whether a module is only known as a part of homes that are not in use."""
        listed = any(module_id in home.modules for home in self.known_homes.homes.values())
        return listed and module_id not in self.data.modules

    @property
    def answered_homes(self) -> Collection[str]:
        """The ids of the homes for which the cloud has answered since the start."""
        return self._poller.answered

    def has_answered(self, module_id: str) -> bool:
        """Whether the cloud has answered for the home of a module since the start."""
        module = self.data.modules.get(module_id)
        answered = self._poller.answered
        return module is not None and (
            module.home_id in answered or self.known_homes.is_reported(module_id, answered)
        )

    def _is_unanswered(self, module_id: str) -> bool:
        """Whether the cloud has not answered for a module's home, which may not be in use."""
        is_known = module_id in self.data.modules or self.is_excluded(module_id)
        return is_known and not self.has_answered(module_id)

    def panels_of(self, bridge_id: str) -> tuple[str, ...]:
        """Return the ids of the panels behind an intercom."""
        return self.data.panels_of(bridge_id)

    @callback
    def async_remove_module(self, module_id: str) -> None:
        """Remove a module whose device was deleted; it returns if the cloud lists it again."""
        self.known_homes.async_drop_module(module_id)
        self._set_house(self.data.without_module(module_id))
        self.known_homes.async_save()

    @callback
    def async_set_light(self, module_id: str, *, on: bool) -> None:
        """Show a light as it was just switched, until the next poll reports it."""
        self._update_states([module_id], on=on)
        self.async_adapt_interval()

    @callback
    def async_set_local_address(self, module_id: str, address: str) -> None:
        """Show the address that a module has just got, until the next poll reports it."""
        if module_id in self.data.modules:
            self._update_states([module_id], local_address=address)

    @callback
    def async_set_reachable(self, module_id: str, *, reachable: bool | None) -> None:
        """Show that a module went online or offline; poll if it is not known which (None)."""
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
            self.known_homes.async_expire()
            self.async_refresh_soon()

    @callback
    def async_refresh_soon(self) -> None:
        """Poll once, debounced, in the background."""
        self.config_entry.async_create_background_task(
            self.hass, self.async_request_refresh(), "bticino_classe refresh"
        )

    @callback
    def async_note_answer(self) -> None:
        """Note that the cloud has just shown that it works; what failed before is tried again."""
        self._last_answer.note()
        self._push.retry_soon()
        if self.failed_polls or self._poller.failing or not self._is_complete:
            self._incomplete_polls = 0
            self.async_refresh_soon()

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
        shorter after a start, until the cloud has answered for every home, or if there were too
        many homes for our own rate limiter.
        """
        if self._poller.retry_after is not None:
            wanted = timedelta(seconds=interval_after(self._poller.retry_after))
            return min(wanted, STATUS_INTERVAL)
        if not self._is_complete:
            return interval_of_start(self._incomplete_polls)
        is_pushed = self._push.is_online and not (self.failed_polls or self._poller.failing)
        is_lit = any(update.get("on") for update in self._pending_updates.values())
        return SAFETY_INTERVAL if is_pushed and not is_lit else STATUS_INTERVAL

    @property
    def _is_complete(self) -> bool:
        """Whether the cloud has listed the modules and answered for every home since the start."""
        return (
            self.known_homes.is_confirmed
            and {h.id for h in self._homes_in_use()} <= self._poller.answered
        )

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
            self._last_answer.note()
        elif self._was_online:
            self.async_note_answer()
        self.async_adapt_interval()
        if was_online is not self._was_online:
            self.async_update_listeners()
        if state is SocketState.AUTH_FAILED:
            self.config_entry.async_start_reauth(self.hass)

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
        self._last_answer.note()
        if self.failed_polls:
            self._push.retry_soon()  # its connection may have failed for the same reason
        self.failed_polls = 0
        self._incomplete_polls = 0 if self._is_complete else self._incomplete_polls + 1
        self.update_interval = self._wanted_interval
        return house

    @override
    def _async_refresh_finished(self) -> None:
        if self.last_update_success:
            self.known_homes.async_save()

    def _tolerate_failure(self, err: BticinoError) -> House:
        """Return the last values during a short outage, and log the outage once.

        A poll that our own rate limiter refused changes nothing.
        """
        known: House | None = self.data
        is_refused_here = isinstance(err, RateLimitError) and err.is_local
        if not is_refused_here or not self._poller.answered:
            self._count_failure(err)
        if known is not None:
            is_outage = not is_refused_here and self._last_answer.is_long_ago
            if self.last_update_success and self._poller.answered and not is_outage:
                return known
            # Logged above; the base class would log it a second time.
            self.last_update_success = False
        wait = err.retry_after if isinstance(err, RateLimitError) else None
        retry_after = None if wait is None else interval_after(wait)
        raise UpdateFailed(
            translation_domain=DOMAIN, translation_key=reason(err), retry_after=retry_after
        ) from err

    def _count_failure(self, err: BticinoError) -> None:
        if self.failed_polls == 0:
            if self._push.is_online:  # polls are rare then, because pushes come instead
                self._last_answer.note()
            known: House | None = self.data
            if known is not None:
                self._log_outage(err)
        self.failed_polls += 1
        self._incomplete_polls += 1
        self.update_interval = self._wanted_interval

    def _log_outage(self, err: BticinoError) -> None:
        """Log an outage once, unless the push connection has already logged it."""
        if not self._push.is_outage_logged:
            self._outage_logged = True
            LOGGER.warning("The cloud of %s does not answer properly: %s", self.name, err)

    async def _fetch(self) -> House:
        known: House | None = self.data
        before = dict(self.known_homes.homes)
        await self.known_homes.async_refresh(is_required=known is None)
        # What is pushed or switched from here on is newer than the states that are requested now.
        self._pending_updates.clear()
        reported = await self._fetch_states()
        self.known_homes.async_add_reported(reported)
        self.known_homes.async_limit_modules(before)
        house = self._house_of(reported)
        self._note_intercoms(house, reported)
        if known is not None and house.modules.keys() - known.modules.keys():
            self.known_homes.async_expire()  # request the name of the new module with the next poll
        return house

    async def _fetch_states(self) -> dict[str, Mapping[str, ModuleState]]:
        """Return the states by home, without the homes that do not exist any more."""
        try:
            reported = await self._poller.fetch(
                self._homes_in_use(), is_pushed=self._push.is_online
            )
        except ForbiddenError, NotFoundError:
            self._missing_intercom.async_note_answer(
                has_intercom=self.known_homes.is_intercom_listed
            )
            raise
        await self.known_homes.async_follow_moves(self._answered(reported))
        for home_id in self._poller.refused:
            self.known_homes.async_forget_home(home_id)
        return {key: found for key, found in reported.items() if key in self.known_homes.homes}

    def _answered[Found](self, reported: Mapping[str, Found]) -> dict[str, Found]:
        """Return what homes reported that the cloud did not refuse."""
        return {key: found for key, found in reported.items() if key not in self._poller.refused}

    def _note_intercoms(
        self, house: House, reported: Mapping[str, Mapping[str, ModuleState]]
    ) -> None:
        """Note whether the cloud lists an intercom, or reports the state of one."""
        known = {bridge.id for bridge in house.bridges}
        is_reported = any(not known.isdisjoint(s) for s in self._answered(reported).values())
        self._missing_intercom.async_note_answer(
            has_intercom=self.known_homes.is_intercom_listed or is_reported
        )

    def _house_of(self, reported: Mapping[str, Mapping[str, ModuleState]]) -> House:
        """Return the homes with their reported states, and with what changed during the request."""
        known: House | None = self.data
        states = dict(known.states) if known is not None else {}
        modules = modules_of(self.known_homes.homes)
        for is_own in (False, True):  # the module's own home is authoritative
            for home_id, found in reported.items():
                states |= {
                    key: state
                    for key, state in found.items()
                    if is_of_home(modules.get(key), home_id) is is_own
                }
        for module_id, changes in self._pending_updates.items():
            if module_id in states:
                states[module_id] = replace(states[module_id], **changes)
        needed = modules.keys() | {module.intercom_id for module in modules.values()}
        kept = {key: state for key, state in states.items() if key in needed}
        return House.of(self._homes_in_use(), kept)

    def _homes_in_use(self) -> list[Home]:
        """Return the homes with an intercom, and those shown already, without the excluded ones."""
        known: House | None = self.data
        shown = known.homes if known is not None else {}
        return [
            home
            for home in self.known_homes.homes.values()
            if (home.bridges or home.id in shown) and home.id not in self.excluded_homes
        ]
