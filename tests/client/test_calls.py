"""What pushes mean together: one ring per visitor, in any order, with repeats and losses."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client.calls import (
    BACKLOG_SECONDS,
    LATE_SECONDS,
    MAX_CALLS,
    MAX_RING_SECONDS,
    MAX_TALK_SECONDS,
    PANEL_WAIT_SECONDS,
    SESSION_REUSE_SECONDS,
    STATUS_WAIT_SECONDS,
    STREAM,
    CallChange,
    CallEventType,
    CallState,
    CallTracker,
    TrackedCall,
)
from custom_components.bticino_classe.client.clock import CloudClock
from custom_components.bticino_classe.client.models import Picture
from custom_components.bticino_classe.client.push import CallPush, CallStep

BRIDGE, GATE, YARD = "bridge", "gate", "yard"
NOW = 1_790_000_000.0
AGES = {"a": 0.0, "b": 50.0, "c": 7200.0}  # seconds, of the dated pushes of a session


class House:
    """A call tracker with its clocks and the panels of its intercom.

    `cloud_error` and `machine_error` are the seconds by which the clocks are wrong; `past` has the
    outcomes of earlier calls by their session.
    """

    def __init__(self, *panels: str, offers: bool = True) -> None:
        self.now = NOW
        self.cloud_error = self.machine_error = 0.0
        self.past: dict[str, CallState] = {}
        self.clock = CloudClock(
            wall_clock=lambda: self.now + self.machine_error, monotonic=lambda: self.now - NOW
        )
        self._panels, self._offers = panels, offers
        self.tracker = self._new_tracker()

    def _new_tracker(self, tracked: tuple[TrackedCall, ...] = ()) -> CallTracker:
        return CallTracker(
            panels_of=lambda bridge: self._panels if bridge == BRIDGE else (),
            offers_follow=lambda _: self._offers,
            past_outcome=lambda session, _: self.past.get(session),
            clock=self.clock,
            tracked=tracked,
        )

    def reload(self) -> None:
        """Continue with a new tracker."""
        self.tracker = self._new_tracker(self.tracker.tracked)

    def set_clocks(self, *, cloud: float = 0.0, machine: float = 0.0) -> None:
        """Set by how many seconds the clocks are wrong; all answers of the cloud agree."""
        self.machine_error = machine
        for _ in range(5):
            self.clock.set_from_answer(self.now + cloud)

    def apply(self, *pushes: CallPush) -> list[CallEventType]:
        """Return what happened, pictures left out."""
        return types([change for push in pushes for change in self.tracker.apply(push)])

    def ringing(self) -> list[str | None]:
        """Return which panels ring."""
        return [call.panel_id for call in self.tracker.ringing]

    def wait(self, seconds: float) -> list[CallEventType]:
        """Let time pass."""
        self.now += seconds
        return types(self.tracker.advance())


def types(changes: tuple[CallChange, ...] | list[CallChange]) -> list[CallEventType]:
    """Return the event types, without updates."""
    return [c.type for c in changes if c.type is not CallEventType.UPDATED]


def push(step: CallStep, session: str = "one", panel: str | None = None) -> CallPush:
    """Return a push as the cloud sends it: an offer has the panel, a status the time."""
    time = NOW if step.value.endswith("_call") else None
    return CallPush(step=step, session_id=session, bridge_id=BRIDGE, panel_id=panel, time=time)


OFFER = push(CallStep.OFFERED, panel=YARD)
STATUS = replace(
    push(CallStep.INCOMING),
    snapshot=Picture(url="https://example.org/1"),
    vignette=Picture(url="v"),
)


@pytest.mark.parametrize(
    "pushes",
    [
        [OFFER],
        [OFFER, STATUS],
        [STATUS, OFFER],
        [OFFER, OFFER, STATUS, STATUS],
        [STATUS, OFFER, STATUS, OFFER],
    ],
    ids=["offer only", "offer first", "status first", "doubled", "mixed"],
)
def test_one_visitor_is_one_ring_at_the_right_panel(pushes: list[CallPush]) -> None:
    """There are two panels; the offer names the one."""
    house = House(GATE, YARD)
    assert house.apply(*pushes) == [CallEventType.RING]
    calls = house.tracker.ringing
    assert [call.panel_id for call in calls] == [YARD]
    assert [call.snapshot is not None for call in calls] == [STATUS in pushes]
    assert house.wait(PANEL_WAIT_SECONDS) == []


def test_status_without_offer_rings_the_only_panel() -> None:
    """At once: an EasyKit sends no offer."""
    house = House(GATE, offers=False)
    assert house.apply(STATUS) == [CallEventType.RING]
    assert house.ringing() == [GATE]


def test_status_without_offer_rings_the_intercom_of_several_panels() -> None:
    """At once: the panel will not become known."""
    house = House(GATE, YARD, offers=False)
    assert house.apply(STATUS) == [CallEventType.RING]
    assert house.ringing() == [None]


NAMED = replace(STATUS, panel_id=YARD)


@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("copies", [1, 3])
def test_status_that_names_its_panel_rings_it(*, offers: bool, copies: int) -> None:
    """At once, whether or not the model sends offers; once, however often it comes."""
    house = House(GATE, YARD, offers=offers)
    assert house.apply(*[NAMED] * copies) == [CallEventType.RING]
    assert house.ringing() == [YARD]
    assert house.wait(PANEL_WAIT_SECONDS) == []


@pytest.mark.parametrize("named", ["foreign", BRIDGE, "camera"])
@pytest.mark.parametrize(
    ("panels", "offers", "expected"),
    [
        ((GATE,), True, [GATE]),
        ((GATE,), False, [GATE]),
        ((GATE, YARD), False, [None]),
        ((GATE, YARD), True, []),  # the offer is awaited
        ((), False, [None]),
    ],
)
def test_status_that_names_no_panel_of_its_intercom(
    named: str, panels: tuple[str, ...], *, offers: bool, expected: list[str | None]
) -> None:
    """It rings as if it named none."""
    house = House(*panels, offers=offers)
    house.apply(replace(STATUS, panel_id=named))
    assert house.ringing() == expected
    if not expected:
        assert house.apply(OFFER) == [CallEventType.RING]
        assert house.ringing() == [YARD]


@pytest.mark.parametrize("backlog", [False, True])
@pytest.mark.parametrize(
    ("pushes", "expected"),
    [
        ([OFFER, replace(NAMED, panel_id=GATE)], YARD),
        ([replace(NAMED, panel_id=GATE), OFFER], GATE),
        ([NAMED, replace(NAMED, panel_id=GATE)], YARD),
        ([replace(NAMED, panel_id=GATE), NAMED, OFFER], GATE),
        ([replace(OFFER, panel_id=None), NAMED], YARD),
        ([STATUS, NAMED], YARD),
        ([STATUS, replace(NAMED, panel_id="foreign"), NAMED], YARD),
    ],
)
def test_first_panel_that_is_named_rings(
    pushes: list[CallPush], expected: str, *, backlog: bool
) -> None:
    """One ring at one panel: a push that names another one later does not move it."""
    house = House(GATE, YARD)
    if backlog:
        house.tracker.expect_backlog()
    assert house.apply(*pushes) == [CallEventType.RING]
    assert house.ringing() == [expected]
    assert house.wait(STATUS_WAIT_SECONDS) == []
    assert house.ringing() == [expected]


def test_status_names_a_known_panel_and_the_waiting_offer_does_not() -> None:
    """The known panel rings."""
    house = House(GATE, YARD)
    house.tracker.expect_backlog()
    assert house.apply(replace(OFFER, panel_id="new"), NAMED) == [CallEventType.RING]
    assert house.ringing() == [YARD]


@pytest.mark.parametrize(
    ("step", "expected"),
    [(CallStep.ACCEPTED, CallEventType.ANSWERED), (CallStep.MISSED, CallEventType.MISSED)],
)
@pytest.mark.parametrize("is_first", [False, True])
def test_outcome_that_names_the_panel(
    step: CallStep, expected: CallEventType, *, is_first: bool
) -> None:
    """It names the panel of a call that still waits for one, or of which it is the first push."""
    house = House(GATE, YARD)
    outcome = push(step, panel=YARD)
    changes = [
        c
        for p in ([outcome, STATUS] if is_first else [STATUS, outcome])
        for c in house.tracker.apply(p)
    ]
    assert types(changes)[-1] is expected
    assert {change.call.panel_id for change in changes} == {YARD}


def test_lost_offer_rings_the_intercom_after_a_moment() -> None:
    """If the offer comes later, the ring does not move to its panel."""
    house = House(GATE, YARD)
    assert house.apply(STATUS) == []
    assert house.ringing() == []
    assert house.tracker.next_deadline == pytest.approx(PANEL_WAIT_SECONDS)
    assert house.wait(PANEL_WAIT_SECONDS) == [CallEventType.RING]
    assert house.ringing() == [None]
    assert house.apply(OFFER) == []
    assert house.ringing() == [None]


@pytest.mark.parametrize(
    ("early", "expected"),
    [
        (CallStep.TERMINATED, CallEventType.ENDED),
        (CallStep.RESCINDED, CallEventType.ANSWERED),
        (CallStep.ACCEPTED, CallEventType.ANSWERED),
    ],
)
@pytest.mark.parametrize("ring", [STATUS, OFFER])
def test_end_overtakes_its_ring(early: CallStep, expected: CallEventType, ring: CallPush) -> None:
    """The ring is announced and ends at once."""
    house = House(GATE, YARD)
    assert house.apply(push(early)) == []
    assert house.apply(ring) == [CallEventType.RING, expected]
    assert house.ringing() == []


def test_ends_without_a_ring_are_limited() -> None:
    """The oldest are dropped."""
    house = House(GATE)
    for number in range(MAX_CALLS + 1):
        house.apply(push(CallStep.TERMINATED, session=str(number)))
    assert house.apply(push(CallStep.OFFERED, session="0", panel=GATE)) == [CallEventType.RING]
    last = push(CallStep.OFFERED, session=str(MAX_CALLS), panel=GATE)
    assert house.apply(last) == [CallEventType.RING, CallEventType.ENDED]


def test_reused_session_id_is_another_call() -> None:
    """After an hour."""
    house = House(GATE)
    assert house.apply(OFFER, push(CallStep.TERMINATED)) == [
        CallEventType.RING,
        CallEventType.ENDED,
    ]
    house.now += 3599
    assert house.apply(OFFER) == []
    house.now += 2
    assert house.apply(OFFER) == [CallEventType.RING]


def test_call_with_a_reused_session_id_is_the_latest() -> None:
    """It still rings when as many further calls as are tracked have begun."""
    house = House(GATE)
    house.apply(OFFER, push(CallStep.TERMINATED), push(CallStep.OFFERED, "other", GATE))
    house.now += SESSION_REUSE_SECONDS + 1
    house.tracker.advance()
    assert house.apply(OFFER) == [CallEventType.RING]
    for number in range(MAX_CALLS - 1):
        house.apply(push(CallStep.OFFERED, str(number), GATE))
    assert "one" in [call.session_id for call in house.tracker.ringing]


@pytest.mark.parametrize("known", ["here", "from before"])
def test_undated_offer_of_a_past_session_never_rings_in_a_backlog(known: str) -> None:
    """However long ago the call was."""
    house = House(GATE, YARD)
    if known == "here":
        house.apply(STATUS, push(CallStep.MISSED))
    else:
        house.past["one"] = CallState.MISSED
    house.now += 2 * SESSION_REUSE_SECONDS
    house.tracker.expect_backlog()
    assert CallEventType.RING not in [*house.apply(OFFER), *house.wait(STATUS_WAIT_SECONDS)]


@pytest.mark.parametrize("early", [None, push(CallStep.TERMINATED)])
@pytest.mark.parametrize("outcome", list(CallState))
def test_undated_offer_does_not_ring_if_the_list_comes_meanwhile(
    outcome: CallState, early: CallPush | None
) -> None:
    """The list is requested after the same subscription, and says that the call is past."""
    house = House(GATE, YARD)
    house.tracker.expect_backlog()
    assert house.apply(OFFER, *([] if early is None else [early])) == []
    house.past["one"] = outcome
    assert house.wait(STATUS_WAIT_SECONDS) == []
    assert house.ringing() == []
    assert house.tracker.next_deadline is None


@pytest.mark.parametrize("time", [NOW * 1000, NOW + 86400])
def test_time_in_the_future_is_ignored(time: float) -> None:
    """Milliseconds or a wrong clock: it rings now."""
    house = House(GATE)
    assert house.apply(replace(STATUS, time=time)) == [CallEventType.RING]
    assert [call.began_at for call in house.tracker.ringing] == [NOW]


def test_missed_call_in_the_future_is_from_now() -> None:
    """Otherwise it would stay the last call until then."""
    (change,) = House(GATE).tracker.apply(replace(push(CallStep.MISSED), time=NOW + 86400))
    assert (change.call.began_at, change.call.ended_at) == (NOW, NOW)


def test_ring_that_waits_for_its_panel_precedes_its_end() -> None:
    """The visitor was there."""
    house = House(GATE, YARD)
    assert house.apply(STATUS, push(CallStep.TERMINATED)) == [
        CallEventType.RING,
        CallEventType.ENDED,
    ]


def test_later_pictures_are_an_update() -> None:
    """The offer has rung, the status has the pictures."""
    house = House(GATE)
    house.tracker.apply(push(CallStep.OFFERED, panel=GATE))
    (change,) = house.tracker.apply(STATUS)
    assert change.type is CallEventType.UPDATED
    assert change.call.snapshot == STATUS.snapshot
    assert house.tracker.apply(STATUS) == ()


@pytest.mark.parametrize(
    ("steps", "expected", "state"),
    [
        ([CallStep.RESCINDED], [CallEventType.ANSWERED], CallState.ANSWERED),
        ([CallStep.ACCEPTED, CallStep.RESCINDED], [CallEventType.ANSWERED], CallState.ANSWERED),
        (
            [CallStep.ACCEPTED, CallStep.TERMINATED],
            [CallEventType.ANSWERED, CallEventType.ENDED],
            CallState.ENDED,
        ),
        ([CallStep.TERMINATED], [CallEventType.ENDED], CallState.ENDED),
        ([CallStep.TERMINATED, CallStep.TERMINATED], [CallEventType.ENDED], CallState.ENDED),
        ([CallStep.MISSED], [CallEventType.MISSED], CallState.MISSED),
        (
            [CallStep.TERMINATED, CallStep.MISSED],
            [CallEventType.ENDED, CallEventType.MISSED],
            CallState.MISSED,
        ),
        ([CallStep.MISSED, CallStep.TERMINATED], [CallEventType.MISSED], CallState.MISSED),
        ([CallStep.ACCEPTED, CallStep.MISSED], [CallEventType.ANSWERED], CallState.ANSWERED),
        ([CallStep.MISSED, CallStep.ACCEPTED], [CallEventType.MISSED], CallState.MISSED),
    ],
)
def test_steps_of_a_call(
    steps: list[CallStep], expected: list[CallEventType], state: CallState
) -> None:
    """Each end is reported once, and nothing rings after it."""
    house = House(GATE)
    house.apply(push(CallStep.OFFERED, panel=GATE))
    assert house.apply(*map(push, steps)) == expected
    assert house.ringing() == []
    last = house.tracker.apply(replace(STATUS, vignette=Picture(url="w")))[0].call
    assert last.state is state


@pytest.mark.parametrize(
    "steps",
    [
        [CallStep.RESCINDED, CallStep.ACCEPTED],
        [CallStep.ACCEPTED, CallStep.TERMINATED],
        [CallStep.TERMINATED],
        [],
    ],
)
def test_answer_for_the_picture(steps: list[CallStep]) -> None:
    """The call rings on, whatever the cloud reports of our answer, and is missed in the end."""
    house = House(GATE)
    house.apply(OFFER)
    (change,) = house.tracker.mark_streamed("one")
    assert (change.type, change.call.answered_by) == (CallEventType.UPDATED, STREAM)
    assert house.apply(*map(push, steps)) == []
    assert house.ringing() == [YARD]
    assert change.call.is_streamed
    house.now += 46
    (change,) = house.tracker.advance()
    assert (change.type, change.call.answered_by) == (CallEventType.MISSED, STREAM)
    assert not change.call.is_streamed
    assert house.tracker.mark_streamed("one") == house.tracker.mark_streamed("unknown") == ()


@pytest.mark.parametrize("way", ["here", "missed", "ended"])
def test_end_of_a_call_that_was_answered_for_the_picture(way: str) -> None:
    """A person answers, the cloud reports it as missed, or it is declined."""
    house = House(GATE)
    house.apply(OFFER)
    house.tracker.mark_streamed("one")
    if way == "here":
        (change,) = house.tracker.mark_answered_here("one")
        assert (change.type, change.call.answered_by) == (CallEventType.ANSWERED, "here")
    elif way == "missed":
        assert house.apply(push(CallStep.MISSED)) == [CallEventType.MISSED]
    else:
        (change,) = house.tracker.mark_ended("one", by="here")
        assert (change.type, change.call.ended_by) == (CallEventType.ENDED, "here")
    assert house.ringing() == []


def test_answer_here_is_not_an_answer_elsewhere() -> None:
    """The rescind that follows is caused by our own answer."""
    house = House(GATE)
    house.apply(OFFER)
    (change,) = house.tracker.mark_answered_here("one")
    assert (change.type, change.call.answered_by) == (CallEventType.ANSWERED, "here")
    assert change.call.duration is None
    assert house.apply(push(CallStep.RESCINDED)) == []
    house.now += 42
    (change,) = house.tracker.apply(push(CallStep.TERMINATED))
    assert change.call.duration == 42
    assert house.tracker.mark_answered_here("unknown") == ()


def test_ring_without_an_end_push_ends() -> None:
    """A voice call may end without a push."""
    house = House(GATE)
    house.apply(push(CallStep.OFFERED, panel=GATE))
    assert house.wait(MAX_RING_SECONDS - 1) == []
    assert house.wait(1) == [CallEventType.ENDED]
    assert house.tracker.next_deadline is None


def test_answered_call_without_an_end_push_ends() -> None:
    """After the longest time to talk."""
    house = House(GATE)
    house.apply(OFFER, push(CallStep.ACCEPTED))
    assert house.wait(MAX_TALK_SECONDS) == [CallEventType.ENDED]


def test_late_push_does_not_ring() -> None:
    """A push that is far older than its expiry only adds the call to the history."""
    house = House(GATE)
    late = replace(STATUS, time=NOW - 31 - LATE_SECONDS, expiry=30)
    assert house.apply(late, push(CallStep.OFFERED, panel=GATE)) == [CallEventType.LATE]
    assert house.ringing() == []
    assert house.apply(push(CallStep.MISSED)) == [CallEventType.MISSED]


def test_missed_call_without_its_ring() -> None:
    """It counts, and does not ring."""
    house = House(GATE)
    assert house.apply(push(CallStep.MISSED)) == [CallEventType.MISSED]
    assert house.ringing() == []
    assert house.apply(push(CallStep.TERMINATED, "other"), push(CallStep.RESCINDED, "third")) == []


def test_two_panels_at_once_are_two_calls() -> None:
    """The end of one does not end the other."""
    house = House(GATE, YARD)
    assert house.apply(OFFER, push(CallStep.OFFERED, "two", GATE)) == [CallEventType.RING] * 2
    house.apply(push(CallStep.TERMINATED))
    assert house.ringing() == [GATE]


def test_memory_is_bounded() -> None:
    """Thousands of calls leave only the last ones, and no deadline."""
    house = House(GATE)
    for number in range(10 * MAX_CALLS):
        house.apply(push(CallStep.OFFERED, str(number), GATE))
    assert len(house.tracker.ringing) == MAX_CALLS
    house.wait(MAX_RING_SECONDS)
    assert house.tracker.next_deadline is None


ALL = [OFFER, STATUS, *map(push, (CallStep.ACCEPTED, CallStep.RESCINDED, CallStep.TERMINATED))]


@pytest.mark.parametrize(
    "order", permutations(ALL), ids=lambda order: "-".join(p.step for p in order)
)
def test_no_order_rings_twice(order: tuple[CallPush, ...]) -> None:
    """In any order: at most one ring, one answer and one end."""
    house = House(GATE, YARD)
    seen = [*house.apply(*order), *house.wait(PANEL_WAIT_SECONDS), *house.wait(MAX_TALK_SECONDS)]
    assert max(map(seen.count, seen)) == 1
    assert seen[0] is CallEventType.RING
    assert house.ringing() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*CallStep, "reload", "subscription"]),
            st.sampled_from("abc"),
            st.floats(0, 100),
            st.floats(-7200, 7200),
        ),
        max_size=30,
    )
)
def test_any_sequence_rings_and_ends_once(
    steps: list[tuple[CallStep | str, str, float, float]],
) -> None:
    """With reloads, late pushes and a wrong clock; in the end nothing rings."""
    house = House(GATE, YARD)
    seen: list[tuple[str, CallEventType]] = []
    for step, session, pause, error in steps:
        house.now += pause
        house.clock.set_from_answer(house.now + error)
        changes = [*house.tracker.advance()]
        if step == "reload":
            house.reload()
        elif step == "subscription":
            house.tracker.expect_backlog()
        else:
            pushed = push(CallStep(step), session)
            time = pushed.time and pushed.time - AGES[session]
            changes += house.tracker.apply(replace(pushed, time=time))
        seen += [(c.call.session_id, c.type) for c in changes]
        assert house.tracker.next_deadline is None or (
            house.tracker.next_deadline > house.clock.monotonic()
        )
    for _ in range(2):
        house.now += MAX_TALK_SECONDS
        seen += [(c.call.session_id, c.type) for c in house.tracker.advance()]
    events = [item for item in seen if item[1] is not CallEventType.UPDATED]
    assert len(events) == len(set(events))
    assert house.ringing() == []
    assert house.tracker.next_deadline is None


@given(
    cloud=st.floats(-7200, 7200),
    machine=st.floats(-7200, 7200),
    later=st.floats(-7200, 7200),
    offers=st.booleans(),
    age=st.floats(0, 50),
)
def test_wrong_clock_neither_mutes_nor_prolongs_a_ring(
    cloud: float, machine: float, later: float, offers: bool, age: float
) -> None:
    """One of both clocks is right at the ring, and one jumps while it rings."""
    for errors in ({"cloud": cloud}, {"machine": machine}):
        house = House(GATE, offers=offers)
        house.set_clocks(**errors)
        status = replace(STATUS, time=house.now - age)
        assert house.apply(status) == [CallEventType.RING]
        (call,) = house.tracker.ringing
        assert call.began_at == pytest.approx(house.now - age)
        house.set_clocks(cloud=later, machine=machine)
        assert house.wait(MAX_RING_SECONDS - 1) == []
        assert house.wait(1) == [CallEventType.ENDED]


@given(cloud=st.floats(-7200, 7200), pause=st.floats(0, 500))
def test_wrong_clock_neither_cuts_nor_prolongs_a_conversation(cloud: float, pause: float) -> None:
    """And no step is before the one that it follows."""
    house = House(GATE)
    house.apply(STATUS)
    house.now += 1
    (change,) = house.tracker.apply(push(CallStep.ACCEPTED))
    house.set_clocks(cloud=cloud)
    assert change.call.answered_at is not None
    house.now += pause
    assert house.tracker.advance() == ()
    (change,) = house.tracker.apply(push(CallStep.TERMINATED))
    assert change.call.duration is not None
    assert change.call.duration == pytest.approx(pause, abs=1e-3)


@pytest.mark.parametrize("expiry", [20.0, 30.0, 60.0, 120.0])
@pytest.mark.parametrize("panels", [(GATE,), (GATE, YARD)])
@pytest.mark.parametrize("backlog", [False, True])
def test_ringing_lasts_as_long_in_every_order(
    expiry: float, panels: tuple[str, ...], backlog: bool
) -> None:
    """From the first push; an expiry that the cloud names holds, if it is longer than usual."""
    offer = replace(OFFER, expiry=expiry)
    for pushes in ([offer], [offer, STATUS], [STATUS, offer], [STATUS, offer, STATUS], [offer] * 2):
        house = House(*panels)
        if backlog:
            house.tracker.expect_backlog()
        house.apply(pushes[0])
        seen = house.wait(0.5)
        seen += house.apply(*pushes[1:])
        seen += house.wait(1.5)
        seen += house.wait(max(MAX_RING_SECONDS, expiry) - 3)
        assert house.ringing() != []
        assert house.wait(1) == [CallEventType.ENDED]


OLD = replace(STATUS, time=NOW - 7200)


@pytest.mark.parametrize("panels", [(GATE,), (GATE, YARD)])
@pytest.mark.parametrize("order", permutations([OFFER, OLD, push(CallStep.TERMINATED)]))
def test_backlog_rings_nobody(order: tuple[CallPush, ...], panels: tuple[str, ...]) -> None:
    """After a subscription, pushes come that are hours old; an offer has no time."""
    house = House(*panels)
    house.tracker.expect_backlog()
    seen = house.apply(*order, *order)
    seen += house.wait(STATUS_WAIT_SECONDS)
    assert seen == [CallEventType.LATE]
    assert house.tracker.next_deadline is None
    assert house.apply(*order) == []


def test_old_status_ends_a_ring_that_its_offer_began() -> None:
    """No backlog was expected."""
    house = House(GATE, YARD)
    assert house.apply(OFFER) == [CallEventType.RING]
    assert house.apply(OLD) == [CallEventType.ENDED]
    assert house.apply(OFFER, OLD) == []


def test_old_status_rings_nobody_before_its_offer() -> None:
    """The offer is two hours old as well."""
    house = House(GATE, YARD)
    assert house.apply(OLD, OFFER, OFFER) == [CallEventType.LATE]
    assert house.ringing() == []


@pytest.mark.parametrize("step", [CallStep.ACCEPTED, CallStep.INCOMING, CallStep.MISSED])
def test_old_step_rings_nobody_whatever_it_reports(step: CallStep) -> None:
    """Also if it came before the offer of its call."""
    house = House(GATE, YARD)
    old = replace(push(step), time=NOW - 7200)
    assert CallEventType.RING not in house.apply(old, OFFER, old)
    assert house.ringing() == []


@pytest.mark.parametrize(
    "pushes", [[OFFER, STATUS], [STATUS, OFFER], [OFFER, push(CallStep.ACCEPTED)]]
)
def test_ring_after_a_subscription_rings_with_its_status(pushes: list[CallPush]) -> None:
    """At once, since a status has the time."""
    house = House(GATE, YARD)
    house.tracker.expect_backlog()
    assert house.apply(*pushes)[0] is CallEventType.RING


def test_ring_without_a_status_rings_after_a_moment() -> None:
    """A voice panel sends an offer only; later than some seconds after a subscription, at once."""
    house = House(GATE, YARD)
    house.tracker.expect_backlog()
    assert house.apply(OFFER) == []
    assert house.tracker.ringing == ()
    assert house.wait(STATUS_WAIT_SECONDS) == [CallEventType.RING]
    assert house.ringing() == [YARD]
    house.wait(BACKLOG_SECONDS)
    assert house.apply(replace(OFFER, session_id="two")) == [CallEventType.RING]


@pytest.mark.parametrize("age", [0.0, 31.0, 50.0])
def test_late_status_rings_where_nothing_else_is_sent(age: float) -> None:
    """The visitor may still be there."""
    house = House(GATE, offers=False)
    assert house.apply(replace(STATUS, time=NOW - age)) == [CallEventType.RING]


@pytest.mark.parametrize("outcome", list(CallState))
@pytest.mark.parametrize("first", [OFFER, STATUS, OLD])
def test_past_call_never_begins_again(outcome: CallState, first: CallPush) -> None:
    """Its pushes are sent again after a start."""
    house = House(GATE, YARD)
    house.past["one"] = outcome
    seen = house.apply(first, OFFER, STATUS, push(CallStep.TERMINATED))
    assert set(seen) <= {CallEventType.LATE}
    assert house.ringing() == []
    assert house.tracker.next_deadline is None
    is_news = outcome in {CallState.RINGING, CallState.ENDED}
    assert house.apply(push(CallStep.MISSED)) == [CallEventType.MISSED] * is_news
