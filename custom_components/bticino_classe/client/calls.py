"""Calls as pure data: what pushes mean together, in any order, with any of them lost."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
import math
from typing import TYPE_CHECKING, Final

from .clock import CloudClock
from .push import CallPush, CallStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .models import Picture, RingOffer

MAX_CALLS: Final = 64
PANEL_WAIT_SECONDS: Final = 0.7  # that a ring waits for the push that names its panel
STATUS_WAIT_SECONDS: Final = 1.5  # that an offer, which may be old, waits for its status
BACKLOG_SECONDS: Final = 10.0  # after a subscription, in which old pushes may come
LATE_SECONDS: Final = 60.0  # after its expiry, a push is too late to ring
MAX_RING_SECONDS: Final = 45.0  # after which a call without an end push has ended
MAX_TALK_SECONDS: Final = 600.0
STREAM: Final = "stream"  # `answered_by` of a program that only shows the picture
SESSION_REUSE_SECONDS: Final = 3600.0  # after which a session id that returns is a new call


class CallState(StrEnum):
    """The state of a call."""

    RINGING = "ringing"
    ANSWERED = "answered"
    MISSED = "missed"
    ENDED = "ended"


class CallEventType(StrEnum):
    """What happened to a call.

    UPDATED: its panel, pictures or offer became known. LATE: it was reported too late to ring.
    """

    RING = "ring"
    ANSWERED = "answered"
    MISSED = "missed"
    ENDED = "ended"
    UPDATED = "updated"
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One ring and its outcome; times are in seconds since 1970.

    `panel_id` is None if the cloud does not name the panel. `answered_by` and `ended_by` are "here"
    or "elsewhere" (a phone, the intercom); `ended_by` is None if no end was reported. `answered_by`
    is "stream" if only another program has answered, in which nobody talks: the call rings on and
    is missed. `simulated` calls did not come from an intercom.
    """

    session_id: str
    bridge_id: str
    began_at: float
    state: CallState = CallState.RINGING
    panel_id: str | None = None
    answered_at: float | None = None
    answered_by: str | None = None
    ended_at: float | None = None
    ended_by: str | None = None
    snapshot: Picture | None = None
    vignette: Picture | None = None
    offer: RingOffer | None = None
    simulated: bool = False

    @property
    def duration(self) -> float | None:
        """The seconds from answer to end; None unless both are known."""
        if self.ended_at is None or self.answered_at is None:
            return None
        return self.ended_at - self.answered_at

    @property
    def is_streamed(self) -> bool:
        """Whether the call rings, although it is answered for the cloud."""
        return self.state is CallState.RINGING and self.answered_by == STREAM

    @property
    def is_over(self) -> bool:
        """Whether the call neither rings nor is answered."""
        return self.state not in {CallState.RINGING, CallState.ANSWERED}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChange:
    """A change of a call, and the call after it."""

    type: CallEventType
    call: Call


class _Phase(Enum):
    """Whether the listeners know of a call; if they do, `Call.state` says the rest."""

    WAITING_FOR_PANEL = auto()
    WAITING_FOR_STATUS = auto()
    ANNOUNCED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedCall:
    """A call as the tracker knows it, with its times by the monotonic clock.

    `begun_at` is when its first push came, `epoch` the time since 1970 at the clock's zero.
    `expiry` is how long it rings. `deadline` is when it changes without a push; None for never.
    """

    call: Call
    phase: _Phase
    begun_at: float
    epoch: float
    expiry: float = MAX_RING_SECONDS
    deadline: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the listeners do not know of the call yet."""
        return self.phase is not _Phase.ANNOUNCED


_RINGS: Final = frozenset({CallStep.OFFERED, CallStep.INCOMING})


class CallTracker:
    """Tracks the calls of an account and returns each change once.

    `panels_of` returns the panels of an intercom, `offers_follow` whether an intercom sends the
    offers that name the panel. `past_outcome` returns how an earlier call of a session ended that
    began at about a time, or at any time if that is None; None if there is none. `tracked` is what
    an earlier tracker knew.
    """

    def __init__(
        self,
        *,
        panels_of: Callable[[str], tuple[str, ...]],
        offers_follow: Callable[[str], bool],
        past_outcome: Callable[[str, float | None], CallState | None] = lambda _id, _time: None,
        clock: CloudClock | None = None,
        tracked: Iterable[TrackedCall] = (),
    ) -> None:
        self._panels_of = panels_of
        self._offers_follow = offers_follow
        self._past_outcome = past_outcome
        self._clock = clock or CloudClock()
        self._tracked = OrderedDict((each.call.session_id, each) for each in tracked)
        # The last step of sessions without a ring yet, and when it came: pushes may overtake.
        self._early_steps: OrderedDict[str, tuple[CallPush, float]] = OrderedDict()
        self._backlog_until = -math.inf

    @property
    def tracked(self) -> tuple[TrackedCall, ...]:
        """What another tracker needs to continue."""
        return tuple(self._tracked.values())

    @property
    def ringing(self) -> tuple[Call, ...]:
        """The calls that ring now."""
        return tuple(
            tracked.call
            for tracked in self._tracked.values()
            if not tracked.is_waiting and tracked.call.state is CallState.RINGING
        )

    @property
    def answered(self) -> tuple[Call, ...]:
        """The calls that are answered now, here or elsewhere."""
        calls = (tracked.call for tracked in self._tracked.values())
        return tuple(call for call in calls if call.state is CallState.ANSWERED)

    def has_session(self, session_id: str) -> bool:
        """Whether there is a call with this session id."""
        return session_id in self._tracked

    @property
    def next_deadline(self) -> float | None:
        """When to call `advance`, by the monotonic clock; None if nothing is due."""
        deadlines = (tracked.deadline for tracked in self._tracked.values())
        return min((each for each in deadlines if each is not None), default=None)

    def expect_backlog(self) -> None:
        """Expect old pushes for some seconds: an offer has no time and waits for its status."""
        self._backlog_until = self._clock.monotonic() + BACKLOG_SECONDS

    def apply(self, push: CallPush) -> tuple[CallChange, ...]:
        """Return the changes that a push makes."""
        tracked = self._tracked.get(push.session_id)
        if tracked is None or self._is_another_call(tracked, push):
            self._tracked.pop(push.session_id, None)
            return self._begin(push) if push.step in _RINGS else self._apply_early(push)
        if push.step in _RINGS:
            return self._update(tracked, push)
        if tracked.call.is_streamed and push.step is not CallStep.MISSED:
            return ()  # it is about the answer for the picture
        return self._apply_step(tracked, push)

    def mark_answered_here(self, session_id: str) -> tuple[CallChange, ...]:
        """Return the changes of a call that is answered in Home Assistant."""
        tracked = self._tracked.get(session_id)
        return () if tracked is None else self._answer(tracked, "here")

    def mark_streamed(self, session_id: str) -> tuple[CallChange, ...]:
        """Return the changes of a ring that another program shows; it goes on for the others."""
        tracked = self._tracked.get(session_id)
        if tracked is None or tracked.call.state is not CallState.RINGING:
            return ()
        streamed = replace(tracked, call=replace(tracked.call, answered_by=STREAM))
        self._track(streamed)
        return (CallChange(type=CallEventType.UPDATED, call=streamed.call),)

    def mark_ended(
        self, session_id: str, *, by: str | None, at: float | None = None
    ) -> tuple[CallChange, ...]:
        """Return the changes of a call that has ended, now or at a time of the monotonic clock."""
        tracked = self._tracked.get(session_id)
        if tracked is None:
            return ()
        ended_at = tracked.epoch + (self._clock.monotonic() if at is None else at)
        return self._end(tracked, at=ended_at, by=by)

    def advance(self) -> tuple[CallChange, ...]:
        """Return the changes whose deadline has passed: rings that wait, missing ends."""
        now = self._clock.monotonic()
        changes: list[CallChange] = []
        for tracked in tuple(self._tracked.values()):
            if tracked.deadline is None or tracked.deadline > now:
                continue
            if tracked.is_waiting:
                changes += self._end_waiting(tracked)
            else:
                changes += self._end(tracked, at=None, by=None)
        return tuple(changes)

    def _begin(self, push: CallPush) -> tuple[CallChange, ...]:
        tracked = self._new_call(push)
        if self._may_be_old(push):
            if self._past_outcome(push.session_id, None) is not None:
                return ()  # nothing is known of its time
        elif self._past_outcome(push.session_id, tracked.call.began_at) is not None:
            past = replace(tracked.call, state=CallState.ENDED)
            return (CallChange(type=CallEventType.LATE, call=past),)
        early = self._pop_early(push.session_id)
        for each in (push, early):
            if each is not None and self._is_late(each):
                return self._drop_late(tracked, each)
        begun = self._begin_ring(tracked, push)
        if early is None:
            return begun
        return (*begun, *self._apply_step(self._tracked[push.session_id], early))

    def _begin_ring(self, tracked: TrackedCall, push: CallPush) -> tuple[CallChange, ...]:
        if push.step is CallStep.OFFERED and self._may_be_old(push):
            self._wait(tracked, _Phase.WAITING_FOR_STATUS, STATUS_WAIT_SECONDS)
            return ()
        return self._announce_or_wait(tracked)

    def _announce_or_wait(self, tracked: TrackedCall) -> tuple[CallChange, ...]:
        """Let a call ring, or wait for the push that names its panel."""
        if tracked.call.panel_id is None and self._is_panel_expected(tracked.call.bridge_id):
            self._wait(tracked, _Phase.WAITING_FOR_PANEL, PANEL_WAIT_SECONDS)
            return ()
        return self._announce(tracked)

    def _wait(self, tracked: TrackedCall, phase: _Phase, seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        self._track(replace(tracked, phase=phase, deadline=deadline))

    def _end_waiting(self, tracked: TrackedCall) -> tuple[CallChange, ...]:
        """Let a call ring whose further pushes did not come, unless it has ended meanwhile."""
        call, early = tracked.call, self._pop_early(tracked.call.session_id)
        is_unsure = tracked.phase is _Phase.WAITING_FOR_STATUS
        if is_unsure and self._past_outcome(call.session_id, None) is not None:
            del self._tracked[call.session_id]  # the cloud's list came meanwhile
            return ()
        if early is not None:
            return self._drop_late(tracked, early)
        if self._clock.monotonic() >= tracked.begun_at + tracked.expiry:
            return self._change(CallEventType.LATE, tracked, replace(call, state=CallState.ENDED))
        return self._announce(tracked)

    def _update(self, tracked: TrackedCall, push: CallPush) -> tuple[CallChange, ...]:
        """Add what a further push says of a call."""
        if self._is_late(push) and tracked.call.state is CallState.RINGING:
            return self._drop_late(tracked, push)
        updated = self._updated(tracked, push)
        if tracked.phase is _Phase.WAITING_FOR_STATUS and push.time is not None:
            return self._announce_dated(updated)
        if tracked.phase is _Phase.WAITING_FOR_PANEL and updated.call.panel_id:
            return self._announce(updated)
        self._track(updated)
        if tracked.is_waiting or updated.call == tracked.call:
            return ()
        return (CallChange(type=CallEventType.UPDATED, call=updated.call),)

    def _updated(self, tracked: TrackedCall, push: CallPush) -> TrackedCall:
        call, expiry = tracked.call, max(tracked.expiry, push.expiry)
        # A panel that is named after the ring was announced must not move the ring.
        may_set_panel = tracked.is_waiting or call.state is CallState.MISSED
        updated = replace(
            call,
            panel_id=self._first_panel(call, push) if may_set_panel else call.panel_id,
            snapshot=push.snapshot or call.snapshot,
            vignette=push.vignette or call.vignette,
            offer=call.offer or push.offer,
        )
        is_ringing = not tracked.is_waiting and call.state is CallState.RINGING
        deadline = tracked.begun_at + expiry if is_ringing else tracked.deadline
        return replace(tracked, call=updated, expiry=expiry, deadline=deadline)

    def _announce(self, tracked: TrackedCall) -> tuple[CallChange, ...]:
        """Let a call ring; for as long as if its first push had been enough."""
        deadline = tracked.begun_at + tracked.expiry
        return self._change(CallEventType.RING, tracked, tracked.call, deadline=deadline)

    def _announce_dated(self, tracked: TrackedCall) -> tuple[CallChange, ...]:
        """Let a call ring whose status has come, and apply the step that came before it."""
        begun = self._announce_or_wait(tracked)
        early = self._pop_early(tracked.call.session_id)
        if early is None:
            return begun
        return (*begun, *self._apply_step(self._tracked[tracked.call.session_id], early))

    def _apply_early(self, push: CallPush) -> tuple[CallChange, ...]:
        """Apply a step of a session whose ring was not pushed, or not yet."""
        if push.step is CallStep.MISSED:
            return self._miss_early(push)
        self._keep_early(push)
        return ()

    def _miss_early(self, push: CallPush) -> tuple[CallChange, ...]:
        """Mark a call as missed whose ring was lost: it must not ring now."""
        tracked = self._new_call(push)
        outcome = self._past_outcome(push.session_id, tracked.call.began_at)
        if outcome in {CallState.MISSED, CallState.ANSWERED}:
            return ()
        missed = replace(tracked.call, state=CallState.MISSED, ended_at=tracked.call.began_at)
        return self._change(CallEventType.MISSED, tracked, missed)

    def _keep_early(self, push: CallPush) -> None:
        self._early_steps[push.session_id] = (push, self._clock.monotonic())
        if len(self._early_steps) > MAX_CALLS:
            self._early_steps.popitem(last=False)

    def _pop_early(self, session_id: str) -> CallPush | None:
        push, at = self._early_steps.pop(session_id, (None, 0.0))
        is_current = self._clock.monotonic() - at <= SESSION_REUSE_SECONDS
        return push if is_current else None

    def _apply_step(self, tracked: TrackedCall, push: CallPush) -> tuple[CallChange, ...]:
        """Announce a call that still waits, then apply the step."""
        is_late, is_unsure = self._is_late(push), tracked.phase is _Phase.WAITING_FOR_STATUS
        if push.step is CallStep.MISSED and (is_late or is_unsure):
            return self._miss(tracked)  # nobody was there any more when the ring was pushed
        if is_late:
            is_ringing = tracked.call.state is CallState.RINGING
            return self._drop_late(tracked, push) if is_ringing else ()
        if is_unsure and push.time is None:
            self._keep_early(push)  # the status will say whether it has rung
            return ()
        announced = self._announce(self._updated(tracked, push)) if tracked.is_waiting else ()
        tracked = self._tracked[tracked.call.session_id]
        if push.step in {CallStep.ACCEPTED, CallStep.RESCINDED}:
            return (*announced, *self._answer(tracked, "elsewhere"))
        if push.step is CallStep.MISSED:
            return (*announced, *self._miss(tracked))
        return (*announced, *self._end(tracked, at=self._time_of(tracked), by="elsewhere"))

    def _answer(self, tracked: TrackedCall, by: str) -> tuple[CallChange, ...]:
        call = tracked.call
        if call.state is not CallState.RINGING:
            return ()
        at = self._time_of(tracked)
        answered = replace(call, state=CallState.ANSWERED, answered_by=by, answered_at=at)
        deadline = self._clock.monotonic() + MAX_TALK_SECONDS
        return self._change(CallEventType.ANSWERED, tracked, answered, deadline=deadline)

    def _end(
        self, tracked: TrackedCall, *, at: float | None, by: str | None
    ) -> tuple[CallChange, ...]:
        """End a call; `at` is None if no end was reported."""
        if tracked.call.is_over:
            return ()
        if tracked.call.is_streamed and by is None:
            return self._miss(tracked)  # the cloud does not report that
        ended = replace(tracked.call, state=CallState.ENDED, ended_at=at, ended_by=by)
        return self._change(CallEventType.ENDED, tracked, ended)

    def _miss(self, tracked: TrackedCall) -> tuple[CallChange, ...]:
        """Mark a call as missed, also one that has ended unanswered."""
        call = tracked.call
        if call.state is CallState.MISSED or call.answered_at is not None:
            return ()
        ended_at = call.ended_at or self._time_of(tracked)
        missed = replace(call, state=CallState.MISSED, ended_at=ended_at)
        return self._change(CallEventType.MISSED, tracked, missed)

    def _drop_late(self, tracked: TrackedCall, push: CallPush) -> tuple[CallChange, ...]:
        """End a call of which a push says that it is too late to ring: the visitor has left."""
        if not tracked.is_waiting and self.has_session(push.session_id):
            return self._end(tracked, at=None, by=None)
        began_at = tracked.call.began_at if push.time is None else push.time
        ended_at = None if push.time is None else push.time + push.expiry
        late = replace(tracked.call, state=CallState.ENDED, began_at=began_at, ended_at=ended_at)
        return self._change(CallEventType.LATE, tracked, late)

    def _new_call(self, push: CallPush) -> TrackedCall:
        now, panels = self._clock.monotonic(), self._panels_of(push.bridge_id)
        began_at = self._began_at(push)
        call = Call(
            session_id=push.session_id,
            bridge_id=push.bridge_id,
            began_at=began_at,
            panel_id=self._named_panel(push) or (panels[0] if len(panels) == 1 else None),
            snapshot=push.snapshot,
            vignette=push.vignette,
            offer=push.offer,
            simulated=push.simulated,
        )
        return TrackedCall(
            call=call,
            phase=_Phase.WAITING_FOR_STATUS,
            begun_at=now,
            epoch=max(self._clock.now(), began_at) - now,
            expiry=max(MAX_RING_SECONDS, push.expiry),
        )

    def _named_panel(self, push: CallPush) -> str | None:
        """Return the panel that a push names; an offer may name one that is not listed yet."""
        is_panel = push.panel_id in self._panels_of(push.bridge_id)
        return push.panel_id if is_panel or push.step is CallStep.OFFERED else None

    def _first_panel(self, call: Call, push: CallPush) -> str | None:
        """Return the panel that was named first, but a listed one before any other."""
        panels = self._panels_of(call.bridge_id)
        named = (call.panel_id, self._named_panel(push))
        return next((each for each in named if each in panels), named[0] or named[1])

    def _began_at(self, push: CallPush) -> float:
        """Return when the call of a push began; a time in the future is wrong."""
        if push.time is None or self._clock.is_future(push.time):
            return self._clock.now()
        return push.time

    def _time_of(self, tracked: TrackedCall) -> float:
        """Return the present time of a call, in seconds since 1970."""
        return self._clock.monotonic() + tracked.epoch

    def _is_late(self, push: CallPush) -> bool:
        """Whether a push has a time that is too long ago for a ring."""
        return push.time is not None and (self._clock.age(push.time) > push.expiry + LATE_SECONDS)

    def _may_be_old(self, push: CallPush) -> bool:
        """Whether a push has no time, and came when a backlog is expected."""
        is_backlog = self._clock.monotonic() < self._backlog_until
        return is_backlog and push.time is None

    def _is_panel_expected(self, bridge_id: str) -> bool:
        """Whether a push that names the panel should follow."""
        return bool(self._panels_of(bridge_id)) and self._offers_follow(bridge_id)

    def _is_another_call(self, tracked: TrackedCall, push: CallPush) -> bool:
        """Whether a push with the session id of a call is about a later one."""
        if not tracked.call.is_over or self._may_be_old(push):
            return False
        age = self._clock.monotonic() - tracked.begun_at
        if push.time is not None:
            age = max(age, self._began_at(push) - tracked.call.began_at)
        return age > SESSION_REUSE_SECONDS

    def _change(
        self,
        event_type: CallEventType,
        tracked: TrackedCall,
        call: Call,
        *,
        deadline: float | None = None,
    ) -> tuple[CallChange, ...]:
        self._track(replace(tracked, call=call, phase=_Phase.ANNOUNCED, deadline=deadline))
        return (CallChange(type=event_type, call=call),)

    def _track(self, tracked: TrackedCall) -> None:
        self._tracked[tracked.call.session_id] = tracked
        if len(self._tracked) > MAX_CALLS:
            self._tracked.popitem(last=False)
