"""The story of a simulated year: the same with the same seed, and shortened when it fails."""

from typing import TYPE_CHECKING

import pytest

from tests.soak.year.incidents import BAD, ORDINARY, QUIET_MONTH, UPGRADE, incidents_of
from tests.soak.year.shorten import shortest
from tests.soak.year.story import Story

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_a_day_depends_on_its_two_numbers() -> None:
    """Not on the days before, so that it can be played alone."""
    assert incidents_of(3, 20) == incidents_of(3, 20)
    assert incidents_of(3, 20) != incidents_of(4, 20)
    assert incidents_of(3, 20) != incidents_of(3, 21)


def test_every_kind_happens_in_a_year() -> None:
    """And each is something that the story can play."""
    names = {each.name for day in range(365) for each in incidents_of(1, day)}
    assert names == {*ORDINARY, *BAD, "upgraded"}
    assert all(callable(getattr(Story, name)) for name in names)
    assert "upgraded" in {each.name for each in incidents_of(1, UPGRADE)}


def test_the_quiet_month_is_quiet() -> None:
    """Nothing but ordinary things."""
    names = {each.name for day in QUIET_MONTH for each in incidents_of(1, day)}
    assert names <= ORDINARY.keys()


def test_the_shortest_story() -> None:
    """Two of the incidents are needed for the fault: the others are left out."""

    def fails(_seed: int, _day: int, incidents: Sequence[int]) -> bool:
        return {1, 4} <= set(incidents)

    found = shortest(1, 3, fails)
    assert found == (
        "repeat with: scripts/soak --seed 1 --first-day 3 --days 1 --incidents 1 4 --verbose"
    )


@pytest.mark.parametrize("day", [0, 9])
def test_a_fault_that_needs_the_days_before(day: int) -> None:
    """The story begins with the year."""
    found = shortest(1, day, lambda *_: False)
    assert found == f"only after the days before: scripts/soak --seed 1 --days {day + 1}"
