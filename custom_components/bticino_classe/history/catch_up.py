"""Adds calls that were not pushed, from the cloud's list of events."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.helpers.event import async_call_later

from ..client import BticinoError, SocketState
from ..const import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from ..client import Event, Home, PushChannel
    from ..coordinator import BticinoCoordinator
    from .downloads import PictureDownloads
    from .history import CallHistory

RETRY_SECONDS: Final = 300.0
EVENTS: Final = 100  # requested after a start or a gap
EVENTS_AFTER_LONG_GAP: Final = 500  # if the first do not go back to the last known call


class CatchUp:
    """Adds the calls of a gap to the history; they do not ring.

    A gap ends with a subscription before which pushes may have been lost.
    """

    def __init__(
        self,
        coordinator: BticinoCoordinator,
        push: PushChannel,
        history: CallHistory,
        downloads: PictureDownloads,
        on_events: Callable[[Iterable[Event]], None],
    ) -> None:
        """`on_events` gets the events of a home once their calls are in the history."""
        self._hass = coordinator.hass
        self._entry = coordinator.config_entry
        self._coordinator = coordinator
        self._push = push
        self._history = history
        self._downloads = downloads
        self._on_events = on_events
        self._was_subscribed = False
        self._cancel_retry: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        """Follow the push connection until the entry is unloaded."""
        self._entry.async_on_unload(self._push.listen_states(self._on_state))
        self._entry.async_on_unload(self._push.listen_subscriptions(self._on_subscribed))
        self._entry.async_on_unload(self._stop_retry)

    @callback
    def _on_state(self, state: SocketState) -> None:
        if state is not SocketState.ONLINE:
            self._stop_retry()

    @callback
    def _on_subscribed(self, may_have_missed: bool) -> None:
        if not may_have_missed:
            return
        self._stop_retry()
        # Read now: the first push that arrives ends the gap.
        homes = self._coordinator.data.homes.values()
        since = {home.id: self._last_time(home) for home in homes}
        self._start(since, refresh=self._was_subscribed)
        self._was_subscribed = True

    def _start(self, since: Mapping[str, float | None], *, refresh: bool) -> None:
        self._entry.async_create_background_task(
            self._hass, self._async_catch_up(since, refresh=refresh), "bticino_classe catch up"
        )

    async def _async_catch_up(self, since: Mapping[str, float | None], *, refresh: bool) -> None:
        """Request the events of each home since its last known call; retry the homes that fail.

        `refresh` polls the states first: nothing was pushed during a gap.
        """
        if refresh:
            await self._coordinator.async_request_refresh()
        failed = {}
        for home_id, last in since.items():
            try:
                events = await self._events_since(home_id, last)
            except BticinoError as err:
                LOGGER.debug("The latest events could not be requested: %s", err)
                failed[home_id] = last
            else:
                await self._history.async_add_events(events)
                self._on_events(events)
                await self._downloads.async_catch_up(events)
        if failed:
            self._plan_retry(failed)

    async def _events_since(self, home_id: str, last: float | None) -> tuple[Event, ...]:
        """Return the latest events of a home; more if they do not go back far enough."""
        account = self._coordinator.account
        events = await account.events(home_id, size=EVENTS)
        if last is None or len(events) < EVENTS or last >= min(event.time for event in events):
            return events
        return await account.events(home_id, size=EVENTS_AFTER_LONG_GAP)

    def _last_time(self, home: Home) -> float | None:
        """Return when the last known call of a home began, in seconds since 1970."""
        calls = [call for bridge in home.bridges if (call := self._history.last(bridge.id))]
        return max((call.time for call in calls), default=None)

    def _plan_retry(self, failed: Mapping[str, float | None]) -> None:
        """Request the events of some homes again later, unless the connection is lost before."""

        @callback
        def retry(_now: datetime) -> None:
            self._cancel_retry = None
            self._start(failed, refresh=False)

        self._stop_retry()
        job = HassJob(retry, cancel_on_shutdown=True)
        self._cancel_retry = async_call_later(self._hass, RETRY_SECONDS, job)

    @callback
    def _stop_retry(self) -> None:
        if self._cancel_retry is not None:
            self._cancel_retry()
            self._cancel_retry = None
