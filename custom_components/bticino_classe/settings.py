"""The intercoms' own settings: read at long intervals, in the background."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .client import (
    BticinoError,
    CommandRefusedError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    SettingMode,
    UnreachableError,
)
from .const import LOGGER
from .listeners import ModuleListeners

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry

    from .client import Deadline, Home, Module, Setting, SettingKind, Settings
    from .coordinator import BticinoCoordinator
    from .listeners import ModuleListener

INTERVAL: Final = timedelta(hours=1)
RETRY_INTERVAL: Final = timedelta(minutes=5)
EXPIRY_MARGIN_SECONDS: Final = 1.0  # after the end of a timed mode
LAG_SECONDS: Final = 120.0  # after a change, during which the cloud may return old values
_REFUSALS: Final = (ForbiddenError, NotFoundError, InvalidRequestError)
_OF_ONE_INTERCOM: Final = (*_REFUSALS, UnreachableError, CommandRefusedError)


class IntercomSettings:
    """Owns the last known settings; a failed read changes nothing.

    An intercom whose settings the cloud refuses is requested once, and again when Home Assistant
    starts. After a change, the cloud may return the old values for a moment; they are not shown.
    """

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, coordinator: BticinoCoordinator
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._listeners = ModuleListeners()
        self._settings: dict[str, Settings] = {}
        self._sent: dict[tuple[str, SettingKind], tuple[Setting, float]] = {}
        self._refused: set[str] = set()
        self._is_lagging = False
        self._next_read: asyncio.Task[None] | None = None
        self._reported: dict[str, int | None] = {}
        self._read_lock = asyncio.Lock()
        self._cancel_timer: CALLBACK_TYPE | None = None
        self._is_stopped = False

    @callback
    def async_start(self) -> None:
        """Read the settings, once the cloud has answered, and repeatedly until the unload."""
        self._entry.async_on_unload(self._stop)
        self._entry.async_on_unload(self._coordinator.async_add_listener(self._on_house_change))
        self._on_house_change()

    @callback
    def async_listen(self, listener: ModuleListener) -> CALLBACK_TYPE:
        """Call a listener after every read; returns a function that removes it."""
        return self._listeners.async_add(listener)

    def find(self, bridge_id: str, kind: SettingKind) -> Setting | None:
        """Return a setting; None if the intercom does not report it."""
        return self._settings.get(bridge_id, {}).get(kind)

    def mode(self, bridge_id: str, kind: SettingKind) -> SettingMode | None:
        """Return the current mode of a setting; a timed mode may have expired since the read."""
        setting = self.find(bridge_id, kind)
        return None if setting is None else setting.mode_at(self._now())

    @property
    def known(self) -> Mapping[str, Settings]:
        """All known settings by intercom."""
        return self._settings

    @callback
    def async_read_soon(self, _now: datetime | None = None) -> None:
        """Read all settings in the background, unless the entry is unloaded."""
        if not self._is_stopped:
            self._queue_read()

    async def async_change(  # noqa: PLR0913 - a change has these parts
        self,
        kind: SettingKind,
        home: Home,
        bridge: Module,
        deadline: Deadline,
        write_lock: AbstractAsyncContextManager[None],
        *,
        mode: SettingMode | None = None,
        duration: int | None = None,
    ) -> None:
        """Change a setting, once, then read it back; `duration` in seconds."""
        try:
            changed = await self._coordinator.account.change_setting(
                home,
                bridge,
                kind,
                mode=mode,
                duration=duration,
                deadline=deadline,
                write_lock=write_lock,
                last_sent=self._last_sent(bridge.id, kind),
            )
            self._sent[bridge.id, kind] = (changed, self._hass.loop.time() + LAG_SECONDS)
            self._settings[bridge.id] = {**self._settings.get(bridge.id, {}), kind: changed}
        finally:
            self.async_read_soon()

    async def async_read(self) -> None:
        """Read all settings now."""
        await asyncio.wait([self._queue_read()])

    def _queue_read(self) -> asyncio.Task[None]:
        """Return the next read; one that has not begun is shared."""
        if self._next_read is None:
            self._next_read = self._entry.async_create_background_task(
                self._hass, self._async_read(), "bticino_classe settings", eager_start=False
            )
        return self._next_read

    async def _async_read(self) -> None:
        # One read at a time: an older answer must not overwrite a newer one.
        async with self._read_lock:
            self._next_read = None
            self._stop_timer()
            # Those that were never read come first: requests are limited.
            homes = sorted(self._coordinator.data.homes.values(), key=self._is_known)
            self._is_lagging = False
            read = [await self._read(home) for home in homes]
            self._plan_next(complete=all(read))
        self._listeners.async_notify(None)

    def _is_known(self, home: Home) -> bool:
        return any(bridge.id in self._settings for bridge in home.bridges)

    async def _read(self, home: Home) -> bool:
        """Read the settings of a home; returns False if it should be retried soon.

        If the cloud refuses them, each intercom is asked about alone: models differ.
        """
        bridges = [bridge for bridge in home.bridges if bridge.id not in self._refused]
        if not bridges:
            return True
        err = await self._request(home, bridges)
        if len(bridges) == 1 or not isinstance(err, _OF_ONE_INTERCOM):
            return self._conclude(bridges[0], err)
        alone = [self._conclude(bridge, await self._request(home, [bridge])) for bridge in bridges]
        return all(alone)

    async def _request(self, home: Home, bridges: Sequence[Module]) -> BticinoError | None:
        """Read the settings of some intercoms of a home; returns the error."""
        wanted = replace(home, modules={bridge.id: bridge for bridge in bridges})
        try:
            found = await self._coordinator.account.settings(wanted)
        except BticinoError as err:
            LOGGER.debug("The intercoms' settings could not be read: %s", err)
            return err
        for bridge_id, settings in found.items():
            self._settings[bridge_id] = {
                kind: self._newest(bridge_id, setting) for kind, setting in settings.items()
            }
        return None

    def _conclude(self, bridge: Module, err: BticinoError | None) -> bool:
        """Remember an intercom whose settings are refused; returns False for a failed read."""
        is_refusal = isinstance(err, _REFUSALS)
        if is_refusal and bridge.id not in self._settings:
            self._refused.add(bridge.id)
        return err is None or is_refusal or isinstance(err, UnreachableError)

    def _newest(self, bridge_id: str, found: Setting) -> Setting:
        """Return what was sent if the cloud does not show it yet, else what it shows."""
        sent = self._last_sent(bridge_id, found.kind)
        if sent is None or not found.is_replaced_by(sent):
            return found
        self._is_lagging = True
        return sent

    def _last_sent(self, bridge_id: str, kind: SettingKind) -> Setting | None:
        """Return the last change of a setting, as long as the cloud may not show it yet."""
        sent, until = self._sent.get((bridge_id, kind), (None, 0.0))
        return sent if self._hass.loop.time() < until else None

    @callback
    def _stop(self) -> None:
        """Stop reading; a change in progress outlives the entry for a moment."""
        self._is_stopped = True
        self._stop_timer()

    def _plan_next(self, *, complete: bool) -> None:
        """Read again in an hour, or when a timed mode expires."""
        if self._is_stopped:
            return
        wait = (INTERVAL if complete else RETRY_INTERVAL).total_seconds()
        if self._is_lagging:
            wait = LAG_SECONDS
        now = self._now()
        for settings in self._settings.values():
            for setting in settings.values():
                if setting.mode_at(now) is SettingMode.TIMED and setting.ends_at is not None:
                    wait = min(wait, setting.ends_at - now + EXPIRY_MARGIN_SECONDS)
        job = HassJob(self.async_read_soon, cancel_on_shutdown=True)
        self._cancel_timer = async_call_later(self._hass, wait, job)

    @callback
    def _on_house_change(self) -> None:
        """Read when an intercom reports a change of its settings, or a new intercom is there."""
        reported = self._reported_changes()
        if reported != self._reported:
            self._reported = reported
            self.async_read_soon()

    def _reported_changes(self) -> dict[str, int | None]:
        """Return when each intercom says that its settings last changed, in milliseconds.

        Without those for which the cloud has not answered since the start.
        """
        house, has_answered = self._coordinator.data, self._coordinator.has_answered
        bridges = (bridge.id for bridge in house.bridges if has_answered(bridge.id))
        return {bridge_id: house.state(bridge_id).configs_changed for bridge_id in bridges}

    def _now(self) -> float:
        return self._coordinator.account.clock.now()

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
