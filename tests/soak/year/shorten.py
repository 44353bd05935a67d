"""Looks for the shortest part of a day that fails in a new house."""

from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from .incidents import incidents_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).parents[3]


type Fails = Callable[[int, int, Sequence[int]], bool]


def play_in_a_new_house(seed: int, day: int, incidents: Sequence[int]) -> bool:
    """Return whether a day fails with these of its incidents alone."""
    command = (sys.executable, "-m", "tests.soak.year", "--no-shorten")
    run = subprocess.run(  # noqa: S603 - this module, with numbers
        (*command, *_arguments(seed, day, incidents)), check=False, cwd=ROOT, capture_output=True
    )
    return run.returncode == 1


def shortest(seed: int, day: int, fails: Fails = play_in_a_new_house) -> str:
    """Return how to repeat the faults of a day, with as few of its incidents as possible."""
    wanted = list(range(len(incidents_of(seed, day))))
    if not fails(seed, day, wanted):
        return f"only after the days before: scripts/soak --seed {seed} --days {day + 1}"
    for number in tuple(wanted):
        fewer = [each for each in wanted if each != number]
        if fails(seed, day, fewer):
            wanted = fewer
    return "repeat with: scripts/soak " + " ".join(_arguments(seed, day, wanted))


def _arguments(seed: int, day: int, incidents: Sequence[int]) -> list[str]:
    numbers = [str(each) for each in incidents]
    return [
        *("--seed", str(seed), "--first-day", str(day), "--days", "1"),
        *("--incidents", *numbers, "--verbose"),
    ]
