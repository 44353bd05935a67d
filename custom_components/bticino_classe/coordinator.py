"""What Home Assistant knows of the house, and how it stays true."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .calls.events import CallEvents
from .client import (
    Account,
    ApiError,
    AuthError,
    BticinoError,
    ForbiddenError,
    Home,
    InvalidCredentialsError,
    InvalidRequestError,
    Module,
    ModuleKind,
    ModuleState,
    NoAnswerError,
    NotFoundError,
    RateLimitError,
    UnexpectedAnswerError,
    with_reported_modules,
)
from .const import CONF_LEFT_OUT_HOMES, DOMAIN, LOGGER
from .errors import reason
from .history.downloads import PictureDownloads
from .live.manager import LiveViewManager
from .settings import IntercomSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from homeassistant.core import HomeAssistant

type BticinoConfigEntry = ConfigEntry[BticinoCoordinator]

STATUS_INTERVAL: Final = timedelta(minutes=5)  # while nothing is pushed
SAFETY_INTERVAL: Final = timedelta(minutes=30)  # while the cloud tells of changes by itself
TOPOLOGY_INTERVAL: Final = timedelta(minutes=59)  # less than an hour: two safety intervals
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

    @property
    def bridges(self) -> tuple[Module, ...]:
        """The intercoms of all homes."""
        return tuple(bridge for home in self.homes.values() for bridge in home.bridges)

    def panels_of(self, bridge_id: str) -> tuple[str, ...]:
        """The panels behind an intercom."""
        panels = (m for m in self.modules.values() if m.kind is ModuleKind.PANEL)
        return tuple(panel.id for panel in panels if panel.bridge_id == bridge_id)

    def place(self, panel_id: str | None, bridge_id: str) -> str:
        """Return the module at which a call is shown: its panel if that is one, or its intercom."""
        panel = self.modules.get(panel_id or "")
        return bridge_id if panel is None or panel.kind is not ModuleKind.PANEL else panel.id

    def intercom_of(self, module_id: str) -> str:
        """Return the intercom that a module hangs on, or is."""
        module = self.modules.get(module_id)
        return module_id if module is None else module.intercom_id

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
        self.bell = CallEvents(hass, entry, self)
        self.intercom = LiveViewManager(hass, entry, self)
        self.pictures = PictureDownloads(hass, entry, self)
        self.settings = IntercomSettings(hass, entry, self)
        self.all_homes: dict[str, Home] = {}
        self.unknown_types: Mapping[str, int] = {}
        self.failed_polls = 0
        self._outage_logged = False
        self._topology_ids: frozenset[str] = frozenset()
        self._topology_until: datetime | None = None
        self._status_ids: frozenset[str] = frozenset()
        self._pending_updates: dict[str, dict[str, Any]] = {}
        self._expected: set[str] = set()
        self.command_lock = asyncio.Lock()  # the cloud minds two requests of one home at once

    def is_known(self, module_id: str) -> bool:
        """Whether the cloud's newest lists of modules or of states have this one."""
        return module_id in self._topology_ids or module_id in self._status_ids

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
        self._note(module_id, on=on)
        self.async_adapt_interval()

    @callback
    def async_note_reachable(self, module_id: str, *, reachable: bool | None) -> None:
        """Show at once that a module came or went; look where the cloud does not say which."""
        if reachable is None or module_id not in self.data.modules:
            self.async_look_soon()
            return
        self._note(module_id, reachable=reachable)
        self.async_update_listeners()
        if reachable and self.data.modules[module_id].kind is ModuleKind.BRIDGE:
            self.async_look_soon()  # what is behind it may have been seen as unreachable

    def _note(self, module_id: str, **news: Any) -> None:
        """Show what is known from elsewhere, until a poll that begins later says how it is."""
        self._pending_updates[module_id] = self._pending_updates.get(module_id, {}) | news
        state = replace(self.data.state(module_id), **news)
        self.data = replace(self.data, states={**self.data.states, module_id: state})

    @callback
    def async_expect_modules(self, *module_ids: str | None) -> None:
        """Ask for the homes anew, once, for a module that takes part in something unknown here."""
        unknown = {m for m in module_ids if m is not None and m not in self.data.modules}
        if unknown - self._expected:
            self._expected |= unknown
            self._topology_until = None
            self.async_look_soon()

    def is_left_out(self, module_id: str) -> bool:
        """Whether a module is known, in a home that is not shown."""
        listed = any(module_id in home.modules for home in self.all_homes.values())
        return listed and module_id not in self.data.modules

    @callback
    def async_look_soon(self) -> None:
        """Poll once, soon, in the background."""
        self.config_entry.async_create_background_task(
            self.hass, self.async_request_refresh(), "bticino_classe look"
        )

    @callback
    def async_adapt_interval(self) -> None:
        """Poll at the interval that is right now, from now on."""
        before, self.update_interval = self.update_interval, self._right_interval
        if before != self.update_interval:
            self._schedule_refresh()
        self.async_update_listeners()

    @property
    def _right_interval(self) -> timedelta:
        """Seldom while the cloud tells of changes, often while it cannot.

        Often, too, after a light was switched, whose timer puts it out without a word.
        """
        told = self.bell.online and not self.failed_polls
        lit = any(news.get("on") for news in self._pending_updates.values())
        return SAFETY_INTERVAL if told and not lit else STATUS_INTERVAL

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
            LOGGER.info("The cloud of %s answers again", self.name)
        self._outage_logged = False
        self.last_update_success = True  # the base class would say it a second time
        self.failed_polls = 0
        self.update_interval = self._right_interval
        return house

    def _tolerate_failure(self, err: BticinoError) -> House:
        """Return the last values while the outage is short, and say once that there is one."""
        self.failed_polls += 1
        self.update_interval = self._right_interval
        known: House | None = self.data
        if known is not None:
            if self.failed_polls == 1:
                self._say_outage(err)
            if self.failed_polls <= TOLERATED_FAILURES:
                return known
            # Said above already; the base class would say it a second time.
            self.last_update_success = False
        retry_after = err.retry_after if isinstance(err, RateLimitError) else None
        raise UpdateFailed(
            translation_domain=DOMAIN, translation_key=reason(err), retry_after=retry_after
        ) from err

    def _say_outage(self, err: BticinoError) -> None:
        """Say once that there is an outage, unless the push connection has said it of the same."""
        if not self.bell.channel.is_outage_logged:
            self._outage_logged = True
            LOGGER.warning("The cloud of %s gives no usable answer: %s", self.name, err)

    async def _fetch(self) -> House:
        known: House | None = self.data
        await self._renew_topology(known)
        self._pending_updates.clear()
        states = dict(known.states) if known is not None else {}
        reported = await self._all_states(known)
        for home_id, found in reported.items():
            # Read only now: a module may have been forgotten while the cloud was asked.
            self.all_homes[home_id] = with_reported_modules(self.all_homes[home_id], found)
            states |= found
        # What was switched meanwhile is newer than the answer.
        states |= {
            m: replace(states[m], **n) for m, n in self._pending_updates.items() if m in states
        }
        self._status_ids = frozenset(m for found in reported.values() for m in found)
        house = House.of((self.all_homes[home_id] for home_id in reported), states)
        if known is not None and house.modules.keys() - known.modules.keys():
            self._topology_until = None  # a new module: its name is asked for with the next poll
        return house

    async def _renew_topology(self, known: House | None) -> None:
        """Ask for the list of modules when it is due; the known one serves while none comes."""
        if self._topology_until is not None and dt_util.utcnow() < self._topology_until:
            return
        try:
            await self._fetch_topology()
        except AuthError:
            raise
        except (ApiError, NoAnswerError) as err:
            if known is None:
                raise
            LOGGER.debug("The list of modules could not be renewed: %s", err)

    async def _fetch_topology(self) -> None:
        topology = await self.account.topology()
        homes = [_merged(self.all_homes.get(home.id), home) for home in topology.homes.values()]
        if not any(home.bridges for home in homes):
            # An account had an intercom when it was set up: an answer without one is a poor one.
            raise UnexpectedAnswerError
        self.all_homes |= {home.id: home for home in homes}
        self._topology_ids = frozenset(
            module_id for home in topology.homes.values() for module_id in home.modules
        )
        self.unknown_types = topology.unknown_types
        self._topology_until = dt_util.utcnow() + TOPOLOGY_INTERVAL

    def _wanted_homes(self, known: House | None) -> list[Home]:
        """The homes with an intercom, and those that are shown already, less those left out."""
        left_out = self.config_entry.options.get(CONF_LEFT_OUT_HOMES, [])
        shown = known.homes if known is not None else {}
        return [
            home
            for home in self.all_homes.values()
            if (home.bridges or home.id in shown) and home.id not in left_out
        ]

    async def _all_states(self, known: House | None) -> dict[str, Mapping[str, ModuleState]]:
        """Return the states by home; one home that is refused does not take the others with it."""
        found: dict[str, Mapping[str, ModuleState]] = {}
        refusals: list[ApiError] = []
        for home in self._wanted_homes(known):
            try:
                found[home.id] = await self.account.states(home.id)
            except (ForbiddenError, NotFoundError, InvalidRequestError) as err:
                refusals.append(err)
                found[home.id] = {m: ModuleState(id=m, reachable=False) for m in home.modules}
        if refusals and len(refusals) == len(found):
            raise refusals[0]
        return found


def _merged(known: Home | None, home: Home) -> Home:
    """Return the newer home; what it no longer tells is kept: little may be half."""
    if known is None:
        return home
    told = {m.id: _filled(known.modules.get(m.id), m) for m in home.modules.values()}
    return replace(
        home,
        name=home.name or known.name,
        timezone=home.timezone or known.timezone,
        modules={**known.modules, **told},
    )


def _filled(known: Module | None, module: Module) -> Module:
    """Return the newer module with what only the known one tells."""
    if known is None:
        return module
    if not module.type:
        return known
    return replace(
        module, name=module.name or known.name, bridge_id=module.bridge_id or known.bridge_id
    )


def _without(home: Home, module_id: str) -> Home:
    modules = {key: module for key, module in home.modules.items() if key != module_id}
    return replace(home, modules=modules)
