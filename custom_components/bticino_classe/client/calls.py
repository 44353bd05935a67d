"""Calls as they go: what pushes mean together, in any order and whichever of them is lost."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum
import time
from typing import TYPE_CHECKING, Final

from .push import CallPush, CallStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from .models import Picture, RingOffer

REMEMBERED_CALLS: Final = 64
OFFER_FOLLOWS_WITHIN: Final = 0.7  # seconds that a ring waits for the push that names its panel
LONGEST_RING: Final = 45.0  # seconds a call rings when no end of it comes
LONGEST_TALK: Final = 600.0  # seconds
NEW_AFTER: Final = 3600.0  # seconds after which a session id that comes again is another call


class CallState(StrEnum):
    """Where a call is."""

    RINGING = "ringing"
    ANSWERED = "answered"
    MISSED = "missed"
    ENDED = "ended"


class CallEventType(StrEnum):
    """What a change of a call is to the people of the house; PAST is one that nobody heard."""

    RING = "ring"
    ANSWERED = "answered"
    MISSED = "missed"
    ENDED = "ended"
    ENRICHED = "enriched"
    PAST = "past"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One ring of the bell and what became of it; times are in seconds since 1970.

    `panel_id` is None where the cloud does not say who rang. `answered_by` is "here" or
    "elsewhere": a phone, the indoor unit. So is `ended_by`, None where nobody was told to end it.
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
        """How long was talked, in seconds; None while that is not known."""
        if self.ended_at is None or self.answered_at is None:
            return None
        return self.ended_at - self.answered_at


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChange:
    """One thing that happened to a call, and the call after it."""

    happening: CallEventType
    call: Call


class CallTracker:
    """Keeps the calls of an account and says what each push changes, each thing once.

    `panels_of` names the panels behind an intercom, `offers_follow` tells whether an intercom of
    that id sends the offers that name the panel. `clock` is the cloud's time.
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
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._due: dict[str, float] = {}
        self._held: set[str] = set()
        self._early: OrderedDict[str, CallStep] = OrderedDict()

    @property
    def ringing(self) -> tuple[Call, ...]:
        """The calls that ring right now."""
        calls = self._calls.values()
        return tuple(c for c in calls if c.state is CallState.RINGING and not self._is_held(c))

    @property
    def answered(self) -> tuple[Call, ...]:
        """The calls in which somebody talks, here or elsewhere."""
        return tuple(c for c in self._calls.values() if c.state is CallState.ANSWERED)

    def is_known(self, session_id: str) -> bool:
        """Whether a call of this session was heard of."""
        return session_id in self._calls

    @property
    def next_due(self) -> float | None:
        """When `tick` has something to do next, by the clock; None if nothing is under way."""
        return min(self._due.values(), default=None)

    def take(self, push: CallPush) -> tuple[CallChange, ...]:
        """Return what a push changes."""
        call = self._calls.get(push.session_id)
        if push.step in {CallStep.OFFERED, CallStep.INCOMING}:
            if call is None or self._is_long_over(call):
                return self._begin_and_go_on(push)
            return self._enrich(call, push)
        if call is None:
            return self._take_early(push)
        return (*self._announce(call), *self._go_on(self._calls[call.session_id], push.step))

    def answered_here(self, session_id: str) -> tuple[CallChange, ...]:
        """Note that somebody answers in Home Assistant."""
        call = self._calls.get(session_id)
        return () if call is None else self._answer(call, "here")

    def ended_here(self, session_id: str, *, at: float | None = None) -> tuple[CallChange, ...]:
        """Note that somebody hangs up in Home Assistant, or did so at a time of the cloud's."""
        call = self._calls.get(session_id)
        if call is None:
            return ()
        return self._end(call, at=self._clock() if at is None else at, by="here")

    def tick(self) -> tuple[CallChange, ...]:
        """Return what time alone has changed: rings held back, ends that never came."""
        now = self._clock()
        changes: list[CallChange] = []
        for session_id in [key for key, due in self._due.items() if due <= now]:
            call = self._calls[session_id]
            changes += self._announce(call) if self._is_held(call) else self._end(call, at=None)
        return tuple(changes)

    def _take_early(self, push: CallPush) -> tuple[CallChange, ...]:
        """Remember what overtook the beginning of its call, or came without one."""
        if push.step is CallStep.MISSED:
            return self._note_missed(push)
        self._early[push.session_id] = push.step
        if len(self._early) > REMEMBERED_CALLS:
            self._early.popitem(last=False)
        return ()

    def _begin_and_go_on(self, push: CallPush) -> tuple[CallChange, ...]:
        begun = self._begin(push)
        step = self._early.pop(push.session_id, None)
        if step is None:
            return begun
        call = self._calls[push.session_id]
        return (*begun, *self._announce(call), *self._go_on(call, step))

    def _begin(self, push: CallPush) -> tuple[CallChange, ...]:
        now, call = self._clock(), self._new_call(push)
        if push.time is not None and now > push.time + push.expiry:
            # Too old to be a visitor who still waits: no ring, only a call that was.
            past = replace(call, state=CallState.ENDED, ended_at=push.time + push.expiry)
            return self._changed(CallEventType.PAST, past)
        self._keep(call, due=now + max(push.expiry, LONGEST_RING))
        if call.panel_id is None and self._will_be_named(push.bridge_id):
            self._held.add(call.session_id)
            self._due[call.session_id] = now + OFFER_FOLLOWS_WITHIN
            return ()
        return (CallChange(happening=CallEventType.RING, call=call),)

    def _enrich(self, call: Call, push: CallPush) -> tuple[CallChange, ...]:
        # Where it rang, it goes on: a panel that is named too late changes nothing meanwhile.
        may_be_named = self._is_held(call) or call.state is CallState.MISSED
        richer = replace(
            call,
            panel_id=(call.panel_id or push.panel_id) if may_be_named else call.panel_id,
            snapshot=push.snapshot or call.snapshot,
            vignette=push.vignette or call.vignette,
            offer=call.offer or push.offer,
        )
        self._calls[call.session_id] = richer
        if self._is_held(call):
            return self._announce(richer) if richer.panel_id else ()
        if richer == call:
            return ()
        return (CallChange(happening=CallEventType.ENRICHED, call=richer),)

    def _announce(self, call: Call) -> tuple[CallChange, ...]:
        """Let a ring go that was held back until its panel is known."""
        if not self._is_held(call):
            return ()
        self._held.discard(call.session_id)
        self._due[call.session_id] = self._clock() + LONGEST_RING
        return (CallChange(happening=CallEventType.RING, call=call),)

    def _go_on(self, call: Call, step: CallStep) -> tuple[CallChange, ...]:
        if step in {CallStep.ACCEPTED, CallStep.RESCINDED}:
            return self._answer(call, "elsewhere")
        if step is CallStep.MISSED:
            return self._miss(call)
        return self._end(call, at=self._clock(), by="elsewhere")

    def _answer(self, call: Call, by: str) -> tuple[CallChange, ...]:
        if call.state is not CallState.RINGING:
            return ()
        now = self._clock()
        call = replace(call, state=CallState.ANSWERED, answered_by=by, answered_at=now)
        return self._changed(CallEventType.ANSWERED, call, due=now + LONGEST_TALK)

    def _end(
        self, call: Call, *, at: float | None, by: str | None = None
    ) -> tuple[CallChange, ...]:
        """End a call; when is not known (`at` is None) where only the patience has ended."""
        if call.state not in {CallState.RINGING, CallState.ANSWERED}:
            return ()
        call = replace(call, state=CallState.ENDED, ended_at=at, ended_by=by)
        return self._changed(CallEventType.ENDED, call)

    def _miss(self, call: Call) -> tuple[CallChange, ...]:
        """A call that ended unanswered is missed too, once the cloud has said so."""
        if call.state is CallState.MISSED or call.answered_at is not None:
            return ()
        call = replace(call, state=CallState.MISSED, ended_at=call.ended_at or self._clock())
        return self._changed(CallEventType.MISSED, call)

    def _note_missed(self, push: CallPush) -> tuple[CallChange, ...]:
        """A call whose ring never came was missed all the same; it is not made to ring now."""
        call = self._new_call(push)
        missed = replace(call, state=CallState.MISSED, ended_at=call.began_at)
        return self._changed(CallEventType.MISSED, missed)

    def _new_call(self, push: CallPush) -> Call:
        now, panels = self._clock(), self._panels_of(push.bridge_id)
        return Call(
            session_id=push.session_id,
            bridge_id=push.bridge_id,
            # A time that is still to come is none.
            began_at=now if push.time is None else min(push.time, now),
            panel_id=push.panel_id or (panels[0] if len(panels) == 1 else None),
            snapshot=push.snapshot,
            vignette=push.vignette,
            offer=push.offer,
        )

    def _will_be_named(self, bridge_id: str) -> bool:
        """Whether a push that names the panel is still to come."""
        return bool(self._panels_of(bridge_id)) and self._offers_follow(bridge_id)

    def _changed(
        self, happening: CallEventType, call: Call, *, due: float | None = None
    ) -> tuple[CallChange, ...]:
        self._keep(call, due=due)
        return (CallChange(happening=happening, call=call),)

    def _keep(self, call: Call, *, due: float | None = None) -> None:
        self._calls[call.session_id] = call
        self._due.pop(call.session_id, None)
        if due is not None:
            self._due[call.session_id] = due
        if len(self._calls) > REMEMBERED_CALLS:
            oldest, _ = self._calls.popitem(last=False)
            self._due.pop(oldest, None)
            self._held.discard(oldest)

    def _is_long_over(self, call: Call) -> bool:
        over = call.state not in {CallState.RINGING, CallState.ANSWERED}
        return over and self._clock() - call.began_at > NEW_AFTER

    def _is_held(self, call: Call) -> bool:
        return call.session_id in self._held
