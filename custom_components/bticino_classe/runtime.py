"""The parts of a loaded account, built in the order of their dependencies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import callback

from .account_watch import AccountWatch
from .calls.events import CallEvents
from .client import PushChannel
from .commands import Commands
from .const import DOMAIN
from .coordinator import BticinoCoordinator
from .history.catch_up import CatchUp
from .history.downloads import PictureDownloads
from .history.history import CallHistory
from .live.manager import LiveViewManager
from .recording.recorder import ProtocolRecorder
from .settings import IntercomSettings

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .client import Account

type BticinoConfigEntry = ConfigEntry[RuntimeData]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeData:
    """The parts of an account; each knows only those above it."""

    account: Account
    push: PushChannel
    watch: AccountWatch
    coordinator: BticinoCoordinator
    commands: Commands
    history: CallHistory
    calls: CallEvents
    downloads: PictureDownloads
    live: LiveViewManager
    settings: IntercomSettings
    recorder: ProtocolRecorder

    @classmethod
    def build(cls, hass: HomeAssistant, entry: ConfigEntry, account: Account) -> RuntimeData:
        """Build the parts; nothing is requested before they are started."""
        push = PushChannel(account.auth, wall_clock=account.clock.now)
        coordinator = BticinoCoordinator(hass, entry, account, push)
        history = CallHistory(
            hass,
            entry,
            clock=account.clock.now,
            house=lambda: coordinator.data,
            excluded_homes=coordinator.excluded_homes,
        )
        calls = CallEvents(hass, entry, coordinator, push, history)
        downloads = PictureDownloads(hass, entry, coordinator, history)
        # The history comes first: entities read from it what they show of a call.
        entry.async_on_unload(calls.async_listen(history.async_add))
        entry.async_on_unload(calls.async_listen(downloads.async_on_change))
        return cls(
            account=account,
            push=push,
            watch=AccountWatch(hass, entry, account.auth, push),
            coordinator=coordinator,
            commands=Commands(hass, coordinator, push),
            history=history,
            calls=calls,
            downloads=downloads,
            live=LiveViewManager(hass, entry, coordinator, calls),
            settings=IntercomSettings(hass, entry, coordinator),
            recorder=ProtocolRecorder(hass, entry, coordinator, push),
        )

    @callback
    def async_start(self, hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
        """Connect in the background; everything ends with the entry."""
        self.coordinator.async_start()
        self.history.async_start()
        self.calls.async_start()
        CatchUp(
            self.coordinator,
            self.push,
            self.history,
            self.downloads,
            on_events=self.calls.async_catch_up,
        ).async_start()
        self.live.async_start()
        self.settings.async_start()
        self.recorder.async_start()
        entry.async_create_background_task(
            hass, self.push.socket.run(), "bticino_classe push socket"
        )
        entry.async_on_unload(self.push.socket.stop)


@callback
def async_runtime(entry: BticinoConfigEntry) -> RuntimeData | None:
    """Return the parts of an account; None while it is not loaded."""
    return entry.runtime_data if entry.state is ConfigEntryState.LOADED else None


@callback
def async_loaded_entries(hass: HomeAssistant) -> list[BticinoConfigEntry]:
    """Return the accounts that are loaded."""
    return hass.config_entries.async_loaded_entries(DOMAIN)


@callback
def async_loaded_entry(hass: HomeAssistant, entry_id: str) -> BticinoConfigEntry | None:
    """Return a loaded account by the id of its entry."""
    return next((e for e in async_loaded_entries(hass) if e.entry_id == entry_id), None)
