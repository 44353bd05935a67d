"""Calls as pure data: what pushes mean together, in any order, with any of them lost."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
import time
from typing import TYPE_CHECKING, Final

from .push import CallPush, CallStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from .models import Picture, RingOffer

MAX_CALLS: Final = 64
PANEL_WAIT_SECONDS: Final = 0.7  # a ring waits so long for the push that names its panel
MAX_RING_SECONDS: Final = 45.0  # after which a call without an end push has ended
MAX_TALK_SECONDS: Final = 600.0
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
    or "elsewhere" (a phone, the intercom); `ended_by` is None if no end was reported.
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

    @property
    def duration(self) -> float | None:
        """The seconds from answer to end; None unless both are known."""
        if self.ended_at is None or self.answered_at is None:
            return None
        return self.ended_at - self.answered_at

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
    ANNOUNCED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrackedCall:
    """A call, and when it changes without a push: by the clock, None for never."""

    call: Call
    phase: _Phase
    deadline: float | None


class CallTracker:
    """Tracks the calls of an account and returns each change once.

    `panels_of` returns the panels of an intercom, `offers_follow` whether an intercom sends the
    offers that name the panel. `clock` is the cloud's time.
    """

    def __init__(
        self,
        *,
        panels_of: Callable[[str], tuple[str, ...]],
        offers_follow: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._panels_of = panels_of
        self._offers_follow = offers_follow
        self._clock = clock
        self._tracked: OrderedDict[str, _TrackedCall] = OrderedDict()
        # The last step of sessions without a ring yet: pushes may overtake each other.
        self._early_steps: OrderedDict[str, CallStep] = OrderedDict()

    @property
    def ringing(self) -> tuple[Call, ...]:
        """The calls that ring now."""
        return tuple(
            tracked.call
            for tracked in self._tracked.values()
            if tracked.phase is _Phase.ANNOUNCED and tracked.call.state is CallState.RINGING
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
        """When to call `advance`, by the clock; None if nothing is due."""
        deadlines = (tracked.deadline for tracked in self._tracked.values())
        return min((each for each in deadlines if each is not None), default=None)

    def apply(self, push: CallPush) -> tuple[CallChange, ...]:
        """Return the changes that a push makes."""
        tracked = self._tracked.get(push.session_id)
        if push.step in {CallStep.OFFERED, CallStep.INCOMING}:
            if tracked is None or self._is_reusable(tracked.call):
                return self._begin(push)
            return self._update(tracked, push)
        if tracked is None:
            return self._apply_early(push)
        return self._apply_step(tracked, push.step)

    def mark_answered_here(self, session_id: str) -> tuple[CallChange, ...]:
        """Return the changes of a call that is answered in Home Assistant."""
        tracked = self._tracked.get(session_id)
        return () if tracked is None else self._answer(tracked.call, "here")

    def mark_ended_here(
        self, session_id: str, *, at: float | None = None
    ) -> tuple[CallChange, ...]:
        """Return the changes of a call that is ended in Home Assistant, now or at a past time."""
        tracked = self._tracked.get(session_id)
        if tracked is None:
            return ()
        return self._end(tracked.call, at=self._clock() if at is None else at, by="here")

    def advance(self) -> tuple[CallChange, ...]:
        """Return the changes whose deadline has passed: rings without a panel, missing ends."""
        now = self._clock()
        changes: list[CallChange] = []
        for tracked in tuple(self._tracked.values()):
            if tracked.deadline is None or tracked.deadline > now:
                continue
            if tracked.phase is _Phase.WAITING_FOR_PANEL:
                changes += self._announce(tracked.call, MAX_RING_SECONDS)
            else:
                changes += self._end(tracked.call, at=None, by=None)
        return tuple(changes)

    def _begin(self, push: CallPush) -> tuple[CallChange, ...]:
        begun = self._begin_ring(push)
        early = self._early_steps.pop(push.session_id, None)
        if early is None:
            return begun
        return (*begun, *self._apply_step(self._tracked[push.session_id], early))

    def _begin_ring(self, push: CallPush) -> tuple[CallChange, ...]:
        now, call = self._clock(), self._new_call(push)
        if push.time is not None and now > push.time + push.expiry:
            # The visitor has left: the call must not ring now.
            late = replace(call, state=CallState.ENDED, ended_at=push.time + push.expiry)
            return self._change(CallEventType.LATE, late)
        if call.panel_id is None and self._is_panel_expected(push.bridge_id):
            self._track(call, _Phase.WAITING_FOR_PANEL, now + PANEL_WAIT_SECONDS)
            return ()
        return self._announce(call, max(push.expiry, MAX_RING_SECONDS))

    def _update(self, tracked: _TrackedCall, push: CallPush) -> tuple[CallChange, ...]:
        """Add what a further push says of a call."""
        call, is_waiting = tracked.call, tracked.phase is _Phase.WAITING_FOR_PANEL
        # A panel that is named after the ring was announced must not move the ring.
        may_set_panel = is_waiting or call.state is CallState.MISSED
        updated = replace(
            call,
            panel_id=(call.panel_id or push.panel_id) if may_set_panel else call.panel_id,
            snapshot=push.snapshot or call.snapshot,
            vignette=push.vignette or call.vignette,
            offer=call.offer or push.offer,
        )
        if is_waiting and updated.panel_id:
            return self._announce(updated, MAX_RING_SECONDS)
        self._track(updated, tracked.phase, tracked.deadline)
        if is_waiting or updated == call:
            return ()
        return (CallChange(type=CallEventType.UPDATED, call=updated),)

    def _announce(self, call: Call, seconds: float) -> tuple[CallChange, ...]:
        """Let a call ring for so many seconds."""
        return self._change(CallEventType.RING, call, deadline=self._clock() + seconds)

    def _apply_early(self, push: CallPush) -> tuple[CallChange, ...]:
        """Apply a step of a session whose ring was not pushed, or not yet."""
        if push.step is CallStep.MISSED:
            # Its ring was lost, and it must not ring now.
            call = self._new_call(push)
            missed = replace(call, state=CallState.MISSED, ended_at=call.began_at)
            return self._change(CallEventType.MISSED, missed)
        self._early_steps[push.session_id] = push.step
        if len(self._early_steps) > MAX_CALLS:
            self._early_steps.popitem(last=False)
        return ()

    def _apply_step(self, tracked: _TrackedCall, step: CallStep) -> tuple[CallChange, ...]:
        """Announce a call that still waits, then apply the step."""
        announced: tuple[CallChange, ...] = ()
        if tracked.phase is _Phase.WAITING_FOR_PANEL:
            announced = self._announce(tracked.call, MAX_RING_SECONDS)
        if step in {CallStep.ACCEPTED, CallStep.RESCINDED}:
            return (*announced, *self._answer(tracked.call, "elsewhere"))
        if step is CallStep.MISSED:
            return (*announced, *self._miss(tracked.call))
        return (*announced, *self._end(tracked.call, at=self._clock(), by="elsewhere"))

    def _answer(self, call: Call, by: str) -> tuple[CallChange, ...]:
        if call.state is not CallState.RINGING:
            return ()
        now = self._clock()
        answered = replace(call, state=CallState.ANSWERED, answered_by=by, answered_at=now)
        return self._change(CallEventType.ANSWERED, answered, deadline=now + MAX_TALK_SECONDS)

    def _end(self, call: Call, *, at: float | None, by: str | None) -> tuple[CallChange, ...]:
        """End a call; `at` is None if no end was reported."""
        if call.is_over:
            return ()
        ended = replace(call, state=CallState.ENDED, ended_at=at, ended_by=by)
        return self._change(CallEventType.ENDED, ended)

    def _miss(self, call: Call) -> tuple[CallChange, ...]:
        """Mark a call as missed, also one that has ended unanswered."""
        if call.state is CallState.MISSED or call.answered_at is not None:
            return ()
        missed = replace(call, state=CallState.MISSED, ended_at=call.ended_at or self._clock())
        return self._change(CallEventType.MISSED, missed)

    def _new_call(self, push: CallPush) -> Call:
        now, panels = self._clock(), self._panels_of(push.bridge_id)
        return Call(
            session_id=push.session_id,
            bridge_id=push.bridge_id,
            # A time in the future is wrong.
            began_at=now if push.time is None else min(push.time, now),
            panel_id=push.panel_id or (panels[0] if len(panels) == 1 else None),
            snapshot=push.snapshot,
            vignette=push.vignette,
            offer=push.offer,
        )

    def _is_panel_expected(self, bridge_id: str) -> bool:
        """Whether a push that names the panel should follow."""
        return bool(self._panels_of(bridge_id)) and self._offers_follow(bridge_id)

    def _is_reusable(self, call: Call) -> bool:
        """Whether a ring with the session id of this call is a new call."""
        return call.is_over and self._clock() - call.began_at > SESSION_REUSE_SECONDS

    def _change(
        self, event_type: CallEventType, call: Call, *, deadline: float | None = None
    ) -> tuple[CallChange, ...]:
        self._track(call, _Phase.ANNOUNCED, deadline)
        return (CallChange(type=event_type, call=call),)

    def _track(self, call: Call, phase: _Phase, deadline: float | None) -> None:
        self._tracked[call.session_id] = _TrackedCall(call=call, phase=phase, deadline=deadline)
        if len(self._tracked) > MAX_CALLS:
            self._tracked.popitem(last=False)
