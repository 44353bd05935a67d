"""What is set at the intercoms themselves: asked for seldom, in the background."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .client import (
    BticinoError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    SettingMode,
    UnreachableError,
)
from .const import LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .client import Home, Module, Setting, SettingKind, Settings
    from .coordinator import BticinoConfigEntry, BticinoCoordinator

INTERVAL: Final = timedelta(hours=1)
LOOK_AGAIN_AFTER: Final = timedelta(minutes=5)  # after a failure
AFTER_THE_END: Final = 1.0  # seconds after something that was set for a time


class IntercomSettings:
    """Keeps what was last read; a failure to read changes nothing.

    A home whose intercoms are of models that the cloud refuses to tell of is asked once, and again
    when an intercom is added or Home Assistant starts.
    """

    def __init__(
        self, hass: HomeAssistant, entry: BticinoConfigEntry, coordinator: BticinoCoordinator
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._known: dict[str, Settings] = {}
        self._refused: set[str] = set()
        self._seen: dict[str, int | None] = {}
        self._one_look = asyncio.Lock()
        self._cancel_timer: CALLBACK_TYPE | None = None
        self._is_stopped = False

    @callback
    def async_start(self) -> None:
        """Look now, and again and again until the entry ends."""
        self._seen = self._reported()
        self._entry.async_on_unload(self._stop)
        self._entry.async_on_unload(self._coordinator.async_add_listener(self._on_news))
        self.async_look_soon()

    def find(self, bridge_id: str, kind: SettingKind) -> Setting | None:
        """Return how something is set; None: the intercom does not tell, or has no such thing."""
        return self._known.get(bridge_id, {}).get(kind)

    def mode(self, bridge_id: str, kind: SettingKind) -> SettingMode | None:
        """Return what it is set to at this moment: a time may have run out."""
        setting = self.find(bridge_id, kind)
        return None if setting is None else setting.mode_at(self._now())

    @property
    def known(self) -> Mapping[str, Settings]:
        """All settings that were told, by intercom."""
        return self._known

    @callback
    def async_look_soon(self, _now: datetime | None = None) -> None:
        """Ask for all settings, in the background; no more once the entry has ended."""
        if self._is_stopped:
            return
        self._entry.async_create_background_task(
            self._hass, self._async_look(), "bticino_classe settings"
        )

    async def async_change(
        self,
        home: Home,
        bridge: Module,
        kind: SettingKind,
        *,
        mode: SettingMode | None = None,
        duration: int | None = None,
    ) -> None:
        """Change a setting, once; afterwards it is read, whatever the answer."""
        try:
            account = self._coordinator.account
            changed = await account.change_setting(home, bridge, kind, mode=mode, duration=duration)
            self._known[bridge.id] = {**self._known.get(bridge.id, {}), kind: changed}
        finally:
            self.async_look_soon()

    async def _async_look(self) -> None:
        # One after the other: an older answer must not come after a newer one.
        async with self._one_look:
            self._stop_timer()
            homes = self._coordinator.data.homes.values()
            read = [await self._read(home) for home in homes if home.id not in self._refused]
            self._plan_next(is_well=all(read))
        self._coordinator.async_update_listeners()

    async def _read(self, home: Home) -> bool:
        """Read the settings of a home; returns False if that is worth another try soon."""
        try:
            found = await self._coordinator.account.settings(home)
        except (ForbiddenError, NotFoundError, InvalidRequestError) as err:
            LOGGER.debug("The intercoms' settings are not told: %s", err)
            if not any(bridge.id in self._known for bridge in home.bridges):
                self._refused.add(home.id)
        except UnreachableError as err:
            LOGGER.debug("The intercoms' settings are not told for now: %s", err)
        except BticinoError as err:
            LOGGER.debug("The intercoms' settings could not be read: %s", err)
            return False
        else:
            self._known |= found
        return True

    @callback
    def _stop(self) -> None:
        """A change that is under way outlives the entry for a moment."""
        self._is_stopped = True
        self._stop_timer()

    def _plan_next(self, *, is_well: bool) -> None:
        """Look again in an hour, or when something that was set for a time is over."""
        wait = (INTERVAL if is_well else LOOK_AGAIN_AFTER).total_seconds()
        now = self._now()
        for settings in self._known.values():
            for setting in settings.values():
                if setting.mode_at(now) is SettingMode.TIMED and setting.ends_at is not None:
                    wait = min(wait, setting.ends_at - now + AFTER_THE_END)
        job = HassJob(self.async_look_soon, cancel_on_shutdown=True)
        self._cancel_timer = async_call_later(self._hass, wait, job)

    @callback
    def _on_news(self) -> None:
        """Look when an intercom says that its settings changed, or a new one is there."""
        reported = self._reported()
        if reported != self._seen:
            if reported.keys() - self._seen.keys():
                self._refused.clear()
            self._seen = reported
            self.async_look_soon()

    def _reported(self) -> dict[str, int | None]:
        """Return when each intercom last reported a change of its settings, by its account."""
        house = self._coordinator.data
        return {bridge.id: house.state(bridge.id).configs_changed for bridge in house.bridges}

    def _now(self) -> float:
        return self._coordinator.account.transport.cloud_time()

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
