"""What pushes mean together: one ring a visitor, whatever comes, doubled, late or in what order."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client.calls import (
    LONGEST_RING,
    LONGEST_TALK,
    OFFER_FOLLOWS_WITHIN,
    REMEMBERED_CALLS,
    CallChange,
    CallEventType,
    CallState,
    CallTracker,
)
from custom_components.bticino_classe.client.models import Picture
from custom_components.bticino_classe.client.push import CallPush, CallStep

BRIDGE, GATE, YARD = "bridge", "gate", "yard"
NOW = 1_790_000_000.0


class House:
    """A book of calls, its clock, and the panels behind its intercom."""

    def __init__(self, *panels: str, offers: bool = True) -> None:
        self.now = NOW
        self.book = CallTracker(
            panels_of=lambda bridge: panels if bridge == BRIDGE else (),
            offers_follow=lambda _: offers,
            clock=lambda: self.now,
        )

    def take(self, *pushes: CallPush) -> list[CallEventType]:
        """Return what happened, pictures left out."""
        return happenings([change for push in pushes for change in self.book.take(push)])

    def ringing(self) -> list[str | None]:
        """Return which panels ring."""
        return [call.panel_id for call in self.book.ringing]

    def wait(self, seconds: float) -> list[CallEventType]:
        """Let time pass."""
        self.now += seconds
        return happenings(self.book.tick())


def happenings(changes: tuple[CallChange, ...] | list[CallChange]) -> list[CallEventType]:
    """Return what happened, without what is only known better."""
    return [c.happening for c in changes if c.happening is not CallEventType.ENRICHED]


def push(step: CallStep, session: str = "one", panel: str | None = None) -> CallPush:
    """Make a push as the cloud does: an offer names the panel, a status bears the time."""
    time = None if step in {CallStep.OFFERED, CallStep.RESCINDED} else NOW
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
    """Two panels, and the offer tells which."""
    house = House(GATE, YARD)
    assert house.take(*pushes) == [CallEventType.RING]
    calls = house.book.ringing
    assert [call.panel_id for call in calls] == [YARD]
    assert [call.snapshot is not None for call in calls] == [STATUS in pushes]
    assert house.wait(OFFER_FOLLOWS_WITHIN) == []


def test_status_alone_rings_the_only_panel_at_once() -> None:
    """An EasyKit with one panel sends no offer: nothing is waited for."""
    house = House(GATE, offers=False)
    assert house.take(STATUS) == [CallEventType.RING]
    assert house.ringing() == [GATE]


def test_status_alone_of_many_panels_rings_the_intercom_at_once() -> None:
    """Which panel is not known, and will not be."""
    house = House(GATE, YARD, offers=False)
    assert house.take(STATUS) == [CallEventType.RING]
    assert house.ringing() == [None]


def test_lost_offer_rings_the_intercom_after_a_blink() -> None:
    """Where an offer should follow and does not, somebody is at the door all the same."""
    house = House(GATE, YARD)
    assert house.take(STATUS) == []
    assert house.ringing() == []
    assert house.book.next_due == NOW + OFFER_FOLLOWS_WITHIN
    assert house.wait(OFFER_FOLLOWS_WITHIN) == [CallEventType.RING]
    assert house.ringing() == [None]
    assert house.take(OFFER) == []
    assert house.ringing() == [None], "where it rang, it goes on"


@pytest.mark.parametrize(
    ("early", "wanted"),
    [
        (CallStep.TERMINATED, CallEventType.ENDED),
        (CallStep.RESCINDED, CallEventType.ANSWERED),
        (CallStep.ACCEPTED, CallEventType.ANSWERED),
    ],
)
@pytest.mark.parametrize("begin", [STATUS, OFFER])
def test_end_that_overtakes_its_ring(
    early: CallStep, wanted: CallEventType, begin: CallPush
) -> None:
    """Somebody was there, and does not ring on for a minute."""
    house = House(GATE, YARD)
    assert house.take(push(early)) == []
    assert house.take(begin) == [CallEventType.RING, wanted]
    assert house.ringing() == []


def test_ends_without_a_beginning_do_not_pile_up() -> None:
    """The oldest of them are forgotten."""
    house = House(GATE)
    for number in range(REMEMBERED_CALLS + 1):
        house.take(push(CallStep.TERMINATED, session=str(number)))
    assert house.take(push(CallStep.OFFERED, session="0", panel=GATE)) == [CallEventType.RING]
    last = push(CallStep.OFFERED, session=str(REMEMBERED_CALLS), panel=GATE)
    assert house.take(last) == [CallEventType.RING, CallEventType.ENDED]


def test_session_id_that_comes_again_another_day_is_another_call() -> None:
    """Within the hour it is the same one."""
    house = House(GATE)
    assert house.take(OFFER, push(CallStep.TERMINATED)) == [CallEventType.RING, CallEventType.ENDED]
    house.now += 3599
    assert house.take(OFFER) == []
    house.now += 2
    assert house.take(OFFER) == [CallEventType.RING]


@pytest.mark.parametrize("time", [NOW * 1000, NOW + 86400])
def test_time_that_is_still_to_come_is_none(time: float) -> None:
    """Milliseconds, or a clock that is wrong: it rings, now."""
    house = House(GATE)
    assert house.take(replace(STATUS, time=time)) == [CallEventType.RING]
    assert [call.began_at for call in house.book.ringing] == [NOW]


def test_missed_call_of_a_time_that_is_still_to_come_is_of_now() -> None:
    """Or it would stay the last call until then."""
    (change,) = House(GATE).book.take(replace(push(CallStep.MISSED), time=NOW + 86400))
    assert (change.call.began_at, change.call.ended_at) == (NOW, NOW)


def test_ring_that_is_held_back_comes_before_its_end() -> None:
    """Whoever gives up at once has still been there."""
    house = House(GATE, YARD)
    assert house.take(STATUS, push(CallStep.TERMINATED)) == [
        CallEventType.RING,
        CallEventType.ENDED,
    ]


def test_pictures_that_come_later_are_told_without_a_ring() -> None:
    """The offer rang, the status brings the pictures."""
    house = House(GATE)
    house.book.take(push(CallStep.OFFERED, panel=GATE))
    (change,) = house.book.take(STATUS)
    assert change.happening is CallEventType.ENRICHED
    assert change.call.snapshot == STATUS.snapshot
    assert house.book.take(STATUS) == ()


@pytest.mark.parametrize(
    ("steps", "wanted", "state"),
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
def test_life_of_a_call(
    steps: list[CallStep], wanted: list[CallEventType], state: CallState
) -> None:
    """Every end is told once, and nothing rings after it."""
    house = House(GATE)
    house.take(push(CallStep.OFFERED, panel=GATE))
    assert house.take(*map(push, steps)) == wanted
    assert house.ringing() == []
    last = house.book.take(replace(STATUS, vignette=Picture(url="w")))[0].call
    assert last.state is state


def test_answer_here_is_no_answer_elsewhere() -> None:
    """The push that tells the others of it is not somebody else's."""
    house = House(GATE)
    house.take(OFFER)
    (change,) = house.book.answered_here("one")
    assert (change.happening, change.call.answered_by) == (CallEventType.ANSWERED, "here")
    assert change.call.duration is None
    assert house.take(push(CallStep.RESCINDED)) == []
    house.now += 42
    (change,) = house.book.take(push(CallStep.TERMINATED))
    assert change.call.duration == 42
    assert house.book.answered_here("nobody") == ()


def test_ring_whose_end_is_lost_ends_by_itself() -> None:
    """A voice call may end without a push."""
    house = House(GATE)
    house.take(push(CallStep.OFFERED, panel=GATE))
    assert house.wait(LONGEST_RING - 1) == []
    assert house.wait(1) == [CallEventType.ENDED]
    assert house.book.next_due is None


def test_talk_whose_end_is_lost_ends_by_itself() -> None:
    """Nobody talks for ever."""
    house = House(GATE)
    house.take(OFFER, push(CallStep.ACCEPTED))
    assert house.wait(LONGEST_TALK) == [CallEventType.ENDED]


def test_visitor_of_long_ago_does_not_ring() -> None:
    """A push that is older than its expiry belongs to the history, whatever follows it."""
    house = House(GATE)
    late = replace(STATUS, time=NOW - 31, expiry=30)
    assert house.take(late, push(CallStep.OFFERED, panel=GATE)) == [CallEventType.PAST]
    assert house.ringing() == []
    assert house.take(push(CallStep.MISSED)) == [CallEventType.MISSED]


def test_call_that_was_missed_while_nobody_listened() -> None:
    """After a gap only its end arrives: it counts, and rings no more."""
    house = House(GATE)
    assert house.take(push(CallStep.MISSED)) == [CallEventType.MISSED]
    assert house.ringing() == []
    assert house.take(push(CallStep.TERMINATED, "other"), push(CallStep.RESCINDED, "third")) == []


def test_two_panels_at_once_are_two_calls() -> None:
    """One end does not end the other."""
    house = House(GATE, YARD)
    assert house.take(OFFER, push(CallStep.OFFERED, "two", GATE)) == [CallEventType.RING] * 2
    house.take(push(CallStep.TERMINATED))
    assert house.ringing() == [GATE]


def test_memory_is_bounded() -> None:
    """Thousands of calls leave only the last few behind, and no timer."""
    house = House(GATE)
    for number in range(10 * REMEMBERED_CALLS):
        house.take(push(CallStep.OFFERED, str(number), GATE))
    assert len(house.book.ringing) == REMEMBERED_CALLS
    house.wait(LONGEST_RING)
    assert house.book.next_due is None


ALL = [OFFER, STATUS, *map(push, (CallStep.ACCEPTED, CallStep.RESCINDED, CallStep.TERMINATED))]


@pytest.mark.parametrize(
    "order", permutations(ALL), ids=lambda order: "-".join(p.step for p in order)
)
def test_no_order_rings_twice(order: tuple[CallPush, ...]) -> None:
    """Whatever overtakes what: at the most one ring, one answer, one end."""
    house = House(GATE, YARD)
    seen = [*house.take(*order), *house.wait(OFFER_FOLLOWS_WITHIN), *house.wait(LONGEST_TALK)]
    assert max(map(seen.count, seen)) == 1
    assert seen[0] is CallEventType.RING
    assert house.ringing() == []


@given(
    st.lists(
        st.tuples(st.sampled_from(list(CallStep)), st.sampled_from("abc"), st.floats(0, 100)),
        max_size=30,
    )
)
def test_any_sequence_keeps_the_rules(steps: list[tuple[CallStep, str, float]]) -> None:
    """A session rings once at the most, ends once, and is quiet in the end."""
    house = House(GATE, YARD)
    seen: list[tuple[str, CallEventType]] = []
    for step, session, pause in steps:
        house.now += pause
        changes = [*house.book.tick(), *house.book.take(push(step, session))]
        seen += [(c.call.session_id, c.happening) for c in changes]
    house.now += LONGEST_TALK
    seen += [(c.call.session_id, c.happening) for c in house.book.tick()]
    house.now += LONGEST_TALK
    seen += [(c.call.session_id, c.happening) for c in house.book.tick()]
    told = [item for item in seen if item[1] is not CallEventType.ENRICHED]
    assert len(told) == len(set(told))
    assert house.ringing() == []
    assert house.book.next_due is None
