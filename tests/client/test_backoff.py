"""Delays between connection attempts, and the load they cause when 10 000 homes reconnect."""

from collections import Counter
import random

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client.websocket.backoff import LONGEST_DELAY, Backoff

HOMES = 10_000


@given(st.floats(0, 1), st.integers(0, 100_000), st.booleans())
def test_delay_is_bounded(draw: float, failures: int, is_overload: bool) -> None:
    """At most the longest delay."""
    backoff = Backoff(draw=lambda: draw, failures=failures)
    delay = backoff.next_delay(is_overload=is_overload)
    assert 0 <= delay <= LONGEST_DELAY
    assert backoff.failures == failures + 1


def test_bound_doubles_until_it_is_reset() -> None:
    """From one second to 15, then to a quarter of the time waited so far, up to 72."""
    backoff = Backoff(draw=lambda: 1.0)
    bounds = [backoff.next_delay() for _ in range(12)]
    assert bounds[:8] == [1, 2, 4, 8, 15, 15, 15, 15]
    assert bounds[8:] == [18.75, 23.4375, 29.296875, 36.62109375]
    assert [backoff.next_delay() for _ in range(5)][3:] == [72, 72]
    backoff.reset()
    assert backoff.next_delay() == 1


def test_bound_triples_during_an_overload() -> None:
    """From five seconds; a cut before the first answer does not count."""
    backoff = Backoff(draw=lambda: 1.0)
    assert backoff.next_delay() == 1
    bounds = [backoff.next_delay(is_overload=True) for _ in range(5)]
    assert bounds == [5, 15, 15, 15, 15]
    assert Backoff(draw=lambda: 1.0).next_delay(is_overload=True) == 5


@pytest.mark.parametrize(("named", "bound"), [(0, 5), (3, 5), (60, 60), (3600, 72)])
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


def percentile(back: Counter[int], percent: int) -> int:
    """Return the whole seconds within which a share of the homes is back."""
    return sorted(back.elements())[HOMES * percent // 100 - 1] + 1


@pytest.mark.parametrize("is_overload", [False, True])
@pytest.mark.parametrize("outage", [0.01, 3, 10, 20, 30, 45, 60])
def test_half_of_the_homes_are_back_soon_after_a_short_outage(
    outage: float, *, is_overload: bool
) -> None:
    """Within five seconds after a minute or less."""
    back = arrivals(outage, is_overload=is_overload)
    assert percentile(back, 50) <= 5
    assert back.total() == HOMES


@pytest.mark.parametrize("is_overload", [False, True])
@pytest.mark.parametrize("outage", [61, 90, 120, 200, 300, 600, 3600, 20_000])
def test_homes_are_back_within_a_minute_after_any_outage(
    outage: float, *, is_overload: bool
) -> None:
    """Half of them within 30 seconds, 95 % within 60, none after the longest delay."""
    back = arrivals(outage, is_overload=is_overload)
    assert percentile(back, 50) <= 30
    assert percentile(back, 95) <= 60
    assert max(back) <= LONGEST_DELAY


@pytest.mark.parametrize("is_overload", [False, True])
@pytest.mark.parametrize(
    ("outage", "percent"), [(10, 17), (60, 14), (120, 8), (300, 4), (600, 4), (3600, 4)]
)
def test_homes_do_not_come_back_all_at_once(
    outage: float, percent: int, *, is_overload: bool
) -> None:
    """The longer the outage was, the fewer in the same second."""
    back = arrivals(outage, is_overload=is_overload)
    assert max(back.values()) <= HOMES * percent // 100


def test_overload_gets_fewer_attempts_at_first() -> None:
    """The cloud asked for less: the first ten seconds have half as many attempts."""
    attempts: dict[bool, int] = {}
    for is_overload in (False, True):
        backoff = Backoff(draw=lambda: 0.5, failures=1)
        while backoff.waited < 10:
            backoff.next_delay(is_overload=is_overload)
        attempts[is_overload] = backoff.failures - 1
    assert attempts[True] * 2 <= attempts[False]
