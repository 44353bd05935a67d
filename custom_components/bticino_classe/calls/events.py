"""The life of every call: only this module begins and ends calls; listeners get the changes."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util.hass_dict import HassKey

from ..client import (
    STREAM,
    Call,
    CallChange,
    CallEventType,
    CallPush,
    CallStep,
    CallTracker,
    ModuleKind,
    TrackedCall,
)
from ..const import DOMAIN
from ..listeners import Listeners
from .answers import LocalAnswers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry

    from ..client import CallState, Event, Module, Push, PushChannel
    from ..coordinator import BticinoCoordinator

type CallListener = Callable[[CallChange], None]

# These types push an offer that names the panel; others only push the status of the call.
OFFERING_TYPES: Final = frozenset({"BNC1", "BNC3"})
MAX_CLOCK_DIFFERENCE: Final = 10.0  # seconds, between the cloud's list and a ring
_LISTED_STEPS: Final = frozenset({CallStep.ACCEPTED.value, CallStep.MISSED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """The calls of an account that is being reloaded, and the changes that were not published."""

    tracked: tuple[TrackedCall, ...] = ()
    changes: tuple[CallChange, ...] = ()


HANDED_OVER: Final[HassKey[dict[str, HandedOver]]] = HassKey(f"{DOMAIN}_calls")  # by entry id


class PastCalls(Protocol):
    """What is known of earlier calls."""

    def past_outcome(self, session_id: str, began_at: float | None) -> CallState | None:
        """Return how a call ended, as CallTracker needs it."""

    def async_answered_elsewhere(self, session_id: str) -> None:
        """Record that a call that rang before this start was answered elsewhere."""


class CallEvents:
    """Turns pushes, and the answers sent by live view, into changes of calls.

    A reload keeps the calls: from `async_pause` on, changes are published after the next set-up.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        coordinator: BticinoCoordinator,
        push: PushChannel,
        past: PastCalls,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._push = push
        self._past = past
        self._clock = coordinator.account.clock
        self._listeners = Listeners[CallChange]()
        self._cancel_timer: CALLBACK_TYPE | None = None
        self._declining: set[str] = set()
        handed_over = hass.data.get(HANDED_OVER, {}).get(entry.entry_id, HandedOver())
        self._deferred: list[CallChange] | None = [*handed_over.changes]  # None: not paused
        self._tracker = CallTracker(
            panels_of=coordinator.panels_of,
            offers_follow=self._offers_follow,
            past_outcome=past.past_outcome,
            clock=self._clock,
            tracked=handed_over.tracked,
        )
        self.answers = self._new_answers()

    @callback
    def async_start(self) -> None:
        """Follow the pushes until the entry is unloaded, and continue calls from before."""
        self._entry.async_on_unload(self._hand_over)
        self._entry.async_on_unload(self._push.listen_pushes(self._on_push))
        self._entry.async_on_unload(self._push.listen_subscriptions(self._on_subscribed))
        async_forget_calls(self._hass, self._entry.entry_id)
        self.async_resume()
        for call in self.in_progress:
            if self._coordinator.is_excluded(call.bridge_id):
                self._on_ended(call.session_id, None, None)

    @callback
    def async_pause(self) -> None:
        """Defer the changes: those who show them are about to be unloaded."""
        self._stop_timer()
        if self._deferred is None:
            self._deferred = []

    @callback
    def async_resume(self) -> None:
        """Publish the deferred changes; a ring that is over does not ring any more."""
        deferred, self._deferred = self._deferred or [], None
        changes = (*deferred, *self._tracker.advance())
        ringing = {call.session_id for call in self._tracker.ringing}
        self._publish(
            tuple(
                replace(change, type=CallEventType.LATE)
                if change.type is CallEventType.RING and change.call.session_id not in ringing
                else change
                for change in changes
            )
        )

    @callback
    def async_listen(self, listener: CallListener) -> CALLBACK_TYPE:
        """Call a listener with every change of a call; returns a function that removes it."""
        return self._listeners.async_add(listener)

    @property
    def ringing(self) -> tuple[Call, ...]:
        """The calls that are ringing."""
        return self._tracker.ringing

    @property
    def in_progress(self) -> tuple[Call, ...]:
        """The calls that are ringing or answered."""
        return (*self._tracker.ringing, *self._tracker.answered)

    def location_of(self, call: Call) -> str:
        """Return the module where a call is shown."""
        return self._coordinator.data.location_of(call.panel_id, call.bridge_id)

    def is_at(self, call: Call, module_id: str) -> bool:
        """Whether a call belongs to a module: its panel, or its intercom."""
        return module_id in {self.location_of(call), call.bridge_id}

    def is_ringing_at(self, module_id: str) -> bool:
        """Whether a ring is shown at a module: its panel, or the intercom of an unknown panel."""
        return any(self.location_of(call) == module_id for call in self._tracker.ringing)

    def is_answered_at(self, module_id: str) -> bool:
        """Whether a call is answered, here or elsewhere, at a panel or any panel of an intercom."""
        return any(self.is_at(call, module_id) for call in self._tracker.answered)

    def ringing_at(self, camera: Module) -> Call | None:
        """Return the call that can be answered at a camera; the newest, if several are ringing."""
        if camera.kind is ModuleKind.CAMERA:
            return None
        for call in reversed(self._tracker.ringing):
            if call.session_id in self._declining:
                continue
            location, bridge_id = self.location_of(call), camera.intercom_id
            is_unknown_panel = bridge_id == call.bridge_id and bridge_id in {location, camera.id}
            if location == camera.id or is_unknown_panel:
                return call
        return None

    @callback
    def async_handle_push(self, push: CallPush) -> None:
        """Apply a push, or hold it while it is not clear whether it is about our own answer."""
        if not self.answers.async_hold(push):
            self._apply(push)

    @callback
    def async_catch_up(self, events: Iterable[Event]) -> None:
        """Stop the rings that were answered or missed by the cloud's list, and not by a push."""
        ringing = {call.session_id: call for call in self._tracker.ringing}
        parts = (part for event in events for part in event.parts if part.type in _LISTED_STEPS)
        for part in parts:
            call = ringing.get(part.session_id or "")
            # An intercom may use its session ids again.
            if call is not None and part.time >= call.began_at - MAX_CLOCK_DIFFERENCE:
                step = CallStep(part.type)
                self.async_handle_push(
                    CallPush(step=step, session_id=call.session_id, bridge_id=call.bridge_id)
                )

    @contextmanager
    def declining(self, call: Call) -> Iterator[None]:
        """Decline a call: nobody can answer it meanwhile; it ends unless an error is raised."""
        session_id = call.session_id
        self._declining.add(session_id)
        self.answers.async_begin(session_id, None)
        try:
            yield
        except BaseException:
            self.answers.async_withdraw(session_id)
            raise
        finally:
            self._declining.discard(session_id)
        self.answers.async_end(session_id, by="here")

    def _new_answers(self) -> LocalAnswers:
        return LocalAnswers(
            clock=self._clock.monotonic,
            apply=self._apply,
            answered=self._on_answered,
            ended=self._on_ended,
        )

    @callback
    def _on_push(self, push: Push) -> None:
        if isinstance(push, CallPush) and not self._coordinator.is_excluded(push.bridge_id):
            self.async_handle_push(push)

    @callback
    def _on_subscribed(self, _may_have_missed: bool) -> None:
        self._tracker.expect_backlog()

    def _apply(self, push: CallPush) -> None:
        changes = self._tracker.apply(push)
        if push.step is CallStep.ACCEPTED and not self._tracker.has_session(push.session_id):
            self._past.async_answered_elsewhere(push.session_id)
        self._publish(changes)

    def _on_answered(self, session_id: str, by: str) -> None:
        tracker = self._tracker
        mark = tracker.mark_streamed if by == STREAM else tracker.mark_answered_here
        self._publish(mark(session_id))

    def _on_ended(self, session_id: str, by: str | None, at: float | None) -> None:
        self._publish(self._tracker.mark_ended(session_id, by=by, at=at))

    def _publish(self, changes: tuple[CallChange, ...]) -> None:
        if self._deferred is not None:
            self._deferred += changes
            return
        for change in changes:
            if change.call.is_over:
                self.answers.async_forget_left(change.call.session_id)
            self._listeners.async_notify(change)
        self._set_timer()

    def _set_timer(self) -> None:
        self._stop_timer()
        if (deadline := self._tracker.next_deadline) is not None:
            wait = max(0.0, deadline - self._clock.monotonic())
            self._cancel_timer = async_call_later(self._hass, wait, self._on_timer)

    @callback
    def _on_timer(self, _now: datetime) -> None:
        self._cancel_timer = None
        self._publish(self._tracker.advance())

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    @callback
    def _hand_over(self) -> None:
        """Keep the calls for the next set-up, unless the account is disabled."""
        self.async_pause()
        if self._entry.disabled_by is None:
            handed_over = HandedOver(
                tracked=self._tracker.tracked, changes=tuple(self._deferred or ())
            )
            self._hass.data.setdefault(HANDED_OVER, {})[self._entry.entry_id] = handed_over

    def _offers_follow(self, bridge_id: str) -> bool:
        bridge = self._coordinator.data.modules.get(bridge_id)
        return bridge is not None and bridge.type in OFFERING_TYPES


@callback
def async_forget_calls(hass: HomeAssistant, entry_id: str) -> None:
    """Drop the calls that were handed over."""
    hass.data.get(HANDED_OVER, {}).pop(entry_id, None)
