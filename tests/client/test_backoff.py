"""Delays between connection attempts, and the load they cause when 10 000 homes reconnect."""

from collections import Counter
import random

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client.websocket.backoff import LONGEST_DELAY, Backoff

HOMES = 10_000
MOST_IN_ONE_SECOND = HOMES // 100


@given(st.floats(0, 1), st.integers(0, 100_000), st.booleans())
def test_delay_is_bounded(draw: float, failures: int, is_overload: bool) -> None:
    """At most the longest delay."""
    backoff = Backoff(draw=lambda: draw, failures=failures)
    delay = backoff.next_delay(is_overload=is_overload)
    assert 0 <= delay <= LONGEST_DELAY
    assert backoff.failures == failures + 1


def test_bound_doubles_until_it_is_reset() -> None:
    """From one second to five minutes."""
    backoff = Backoff(draw=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    backoff.reset()
    assert backoff.next_delay() == 1


def test_bound_triples_during_an_overload() -> None:
    """From five seconds to five minutes; a cut before the first answer does not count."""
    backoff = Backoff(draw=lambda: 1.0)
    assert backoff.next_delay() == 1
    bounds = [backoff.next_delay(is_overload=True) for _ in range(6)]
    assert bounds == [5, 15, 45, 135, 300, 300]
    assert Backoff(draw=lambda: 1.0).next_delay(is_overload=True) == 5


@pytest.mark.parametrize(("named", "bound"), [(0, 5), (3, 5), (60, 60), (3600, 300)])
def test_homes_with_the_same_pause_spread_over_as_long_again(named: float, bound: float) -> None:
    """At most over the longest delay."""
    delay = Backoff(draw=lambda: 1.0).next_delay(is_overload=True, named=named)
    assert delay == bound


def arrivals(outage: float, *, is_overload: bool) -> Counter[int]:
    """Return how many homes reconnect in each second after an outage that cut all at once."""
    rng = random.Random(42)  # noqa: S311 - the same draws every time
    back: Counter[int] = Counter()
    for _ in range(HOMES):
        backoff, now = Backoff(draw=rng.random), 0.0
        while now < outage:
            # The first attempt follows a plain cut; what the cloud answers shows in the next one.
            now += backoff.next_delay(is_overload=is_overload and backoff.failures > 0)
        back[int(now - outage)] += 1
    return back


@pytest.mark.parametrize(
    ("outage", "percent", "half_within"), [(3, 25, 5), (60, 2, 90), (600, 1, 120), (3600, 1, 120)]
)
def test_homes_reconnect_soon_and_evenly_after_an_overload(
    outage: float, percent: int, half_within: int
) -> None:
    """Short outages stay short; after long ones only few homes reconnect in the same second."""
    back = arrivals(outage, is_overload=True)
    assert max(back.values()) <= HOMES * percent // 100
    assert sorted(back.elements())[HOMES // 2] <= half_within
    assert max(back) <= LONGEST_DELAY
    assert back.total() == HOMES


@pytest.mark.parametrize("outage", [600, 3600])
def test_homes_reconnect_evenly_after_silence(outage: float) -> None:
    """Without any answer, the doubling alone spreads them."""
    back = arrivals(outage, is_overload=False)
    assert max(back.values()) <= MOST_IN_ONE_SECOND
