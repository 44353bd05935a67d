"""The bell in Home Assistant: calls as they go, what became of them, who missed which."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_interval

from ..client import (
    BticinoError,
    Call,
    CallChange,
    CallPush,
    CallStep,
    CallTracker,
    PushChannel,
    ReachabilityPush,
    SocketState,
)
from ..const import LOGGER
from ..history.history import CallHistory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..client import Event, Home, Push
    from ..coordinator import BticinoConfigEntry, BticinoCoordinator

type CallListener = Callable[[CallChange], None]

# Intercoms of these types push the offer that names the panel; others only that somebody rings.
OFFERING_TYPES: Final = frozenset({"BNC1", "BNC3"})

TIDY_INTERVAL: Final = timedelta(hours=1)
LIST_AGAIN_AFTER: Final = 300.0  # seconds
EVENTS: Final = 100  # asked for after a start or a gap
EVENTS_AFTER_LONG: Final = 500  # where the first do not reach back to what is known


class CallEvents:
    """Receives what the cloud pushes, tells listeners what happened, keeps the coordinator true."""

    def __init__(
        self, hass: HomeAssistant, entry: BticinoConfigEntry, coordinator: BticinoCoordinator
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._listeners: list[CallListener] = []
        self._cancel_timer: CALLBACK_TYPE | None = None
        self._cancel_list: CALLBACK_TYPE | None = None
        self._was_online = False
        account = coordinator.account
        self.book = CallTracker(
            panels_of=self._panels_of,
            offers_follow=self._offers_follow,
            clock=account.transport.cloud_time,
        )
        self.channel = PushChannel(
            account.auth, on_push=self._on_push, on_state=self._on_socket_state
        )
        self.history = CallHistory(
            hass, entry, clock=account.transport.cloud_time, panels_of=self._panels_of
        )

    @property
    def online(self) -> bool:
        """Whether the cloud can tell of a ring at this moment."""
        return self.channel.socket.state is SocketState.ONLINE

    @callback
    def async_start(self) -> None:
        """Connect in the background; all ends with the entry."""
        self._entry.async_create_background_task(
            self._hass, self.channel.socket.run(), "bticino_classe push socket"
        )
        self._entry.async_on_unload(self._stop_timer)
        self._entry.async_on_unload(self._stop_list)
        self._entry.async_on_unload(self.history.async_close)
        self._entry.async_on_unload(
            async_track_time_interval(
                self._hass, self._on_hour, TIDY_INTERVAL, cancel_on_shutdown=True
            )
        )
        self._entry.async_on_unload(self.channel.socket.stop)

    @callback
    def async_listen(self, listener: CallListener) -> CALLBACK_TYPE:
        """Tell a listener of every change of a call; returns what ends that."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    @callback
    def async_mark_seen(self, bridge_id: str) -> None:
        """Note that somebody has looked at the missed calls of an intercom."""
        self.history.async_mark_seen(bridge_id)
        self._coordinator.async_update_listeners()

    @callback
    def async_take(self, push: CallPush) -> None:
        """Let a push of a call have its effect."""
        changes = self.book.take(push)
        if push.step is CallStep.ACCEPTED and not self.book.is_known(push.session_id):
            self.history.async_answered_elsewhere(push.session_id)
        self._tell(changes)

    @callback
    def async_answered_here(self, session_id: str) -> None:
        """Note that somebody answers in Home Assistant."""
        self._tell(self.book.answered_here(session_id))

    @callback
    def async_ended_here(self, session_id: str, *, at: float | None = None) -> None:
        """Note that a call that was answered or declined in Home Assistant is over (since `at`)."""
        self._tell(self.book.ended_here(session_id, at=at))

    @callback
    def place(self, call: Call) -> str:
        """Return the module at which a call is shown: its panel, or else its intercom."""
        return self._coordinator.data.place(call.panel_id, call.bridge_id)

    @callback
    def is_at(self, call: Call, module_id: str) -> bool:
        """Whether a call is shown at a module: its panel, or its intercom."""
        return module_id in {self.place(call), call.bridge_id}

    @callback
    def _on_push(self, push: Push) -> None:
        coordinator = self._coordinator
        if isinstance(push, ReachabilityPush):
            if not coordinator.is_left_out(push.module_id):
                coordinator.async_note_reachable(push.module_id, reachable=push.reachable)
        elif not coordinator.is_left_out(push.bridge_id):
            coordinator.async_expect_modules(push.bridge_id, push.panel_id)
            if not coordinator.intercom.async_looks_after(push):
                self.async_take(push)

    @callback
    def _on_socket_state(self, state: SocketState) -> None:
        if state is SocketState.STOPPED:
            return  # the entry is being unloaded
        self._stop_list()
        self._coordinator.async_adapt_interval()
        if state is SocketState.AUTH_FAILED:
            self._entry.async_start_reauth(self._hass)
        if state is SocketState.ONLINE:
            # What is known now, before the first push: a gap is between this and the list.
            known = {
                home.id: self._last_time(home) for home in self._coordinator.data.homes.values()
            }
            self._start_catch_up(known, again=self._was_online)
            self._was_online = True

    async def _catch_up(self, known: Mapping[str, float | None], *, again: bool) -> None:
        """Learn what happened while nothing could be pushed; no ring is made of it.

        `known` is when the last call of each home was that is known. A list that cannot be had is
        asked for again while pushes come.
        """
        if again:
            await self._coordinator.async_request_refresh()
        missing = {}
        for home_id, last in known.items():
            try:
                events = await self._events_since(home_id, last)
            except BticinoError as err:
                LOGGER.debug("The latest events could not be asked for: %s", err)
                missing[home_id] = last
            else:
                self.history.async_add_events(events)
                self._coordinator.pictures.async_catch_up(events)
        self._coordinator.async_update_listeners()
        if missing:
            self._plan_list(missing)

    def _plan_list(self, missing: Mapping[str, float | None]) -> None:
        """Ask for the lists of some homes again in a while, unless the line is lost until then."""

        @callback
        def ask(_now: datetime) -> None:
            self._cancel_list = None
            self._start_catch_up(missing, again=False)

        self._stop_list()
        job = HassJob(ask, cancel_on_shutdown=True)
        self._cancel_list = async_call_later(self._hass, LIST_AGAIN_AFTER, job)

    @callback
    def _stop_list(self) -> None:
        if self._cancel_list is not None:
            self._cancel_list()
            self._cancel_list = None

    def _start_catch_up(self, known: Mapping[str, float | None], *, again: bool) -> None:
        self._entry.async_create_background_task(
            self._hass, self._catch_up(known, again=again), "bticino_classe catch up"
        )

    async def _events_since(self, home_id: str, last: float | None) -> tuple[Event, ...]:
        """Return the newest events of a home, more of them if they do not reach back far enough."""
        account = self._coordinator.account
        events = await account.events(home_id, size=EVENTS)
        if last is None or len(events) < EVENTS or last >= min(event.time for event in events):
            return events
        return await account.events(home_id, size=EVENTS_AFTER_LONG)

    def _last_time(self, home: Home) -> float | None:
        """Return when the last call of a home was, as far as it is known."""
        calls = [call for bridge in home.bridges if (call := self.history.last(bridge.id))]
        return max((call.time for call in calls), default=None)

    def _tell(self, changes: tuple[CallChange, ...]) -> None:
        for change in changes:
            for listener in (self.history.async_add, *self._listeners):
                self._tell_one(listener, change)
        self._set_timer()

    def _tell_one(self, listener: CallListener, change: CallChange) -> None:
        try:
            listener(change)
        except Exception:  # noqa: BLE001 - one listener's fault must not cost the others the ring
            LOGGER.exception("A call could not be shown")

    def _set_timer(self) -> None:
        self._stop_timer()
        if (due := self.book.next_due) is not None:
            wait = max(0.0, due - self._coordinator.account.transport.cloud_time())
            self._cancel_timer = async_call_later(self._hass, wait, self._on_timer)

    @callback
    def _on_hour(self, _now: datetime) -> None:
        self.history.async_tidy()

    @callback
    def _on_timer(self, _now: datetime) -> None:
        self._cancel_timer = None
        self._tell(self.book.tick())

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    def _panels_of(self, bridge_id: str) -> tuple[str, ...]:
        return self._coordinator.data.panels_of(bridge_id)

    def _offers_follow(self, bridge_id: str) -> bool:
        bridge = self._coordinator.data.modules.get(bridge_id)
        return bridge is not None and bridge.type in OFFERING_TYPES
