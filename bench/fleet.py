"""Ten thousand homes that lose the cloud at once: when they are back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .figures import Figure

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

MOST_IN_ONE_SECOND: Final = 1.0  # percent
A_MOMENT: Final = 0.01  # seconds
OUTAGES: Final = {"no time": A_MOMENT, "10 s": 10.0, "1 min": 60.0, "10 min": 600.0}
BACK: Final = (50, 95, 99)  # percent
PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """How a fleet comes back: homes by the second after the cloud's return."""

    key: str
    text: str
    homes: Counter[int]


def measure() -> Iterator[Figure]:
    """Compute it with the client's own delays; nothing is sent anywhere."""
    # Only now: the model belongs to a test, whose tools no measured process should hold.
    from tests.client.test_backoff import arrivals  # noqa: PLC0415

    for told, answer in ((True, "503"), (False, "no answer")):
        for text, seconds in OUTAGES.items():
            yield from _figures(
                Return(
                    key=f"fleet_{'told' if told else 'mute'}_{seconds:.0f}",
                    text=f"10 000 homes, {text} of {answer}",
                    homes=arrivals(seconds, is_overload=told),
                )
            )


def _figures(found: Return) -> Iterator[Figure]:
    yield Figure(
        key=f"{found.key}.most_percent",
        text=f"{found.text}: most in one second",
        value=max(found.homes.values()) / found.homes.total() * PERCENT,
        unit="%",
        aim=MOST_IN_ONE_SECOND,
    )
    for percent in BACK:
        yield Figure(
            key=f"{found.key}.back_{percent}_s",
            text=f"{found.text}: {percent} % are back within",
            value=_seconds_until(found.homes, percent),
            unit="s",
        )


def _seconds_until(homes: Counter[int], percent: int) -> int:
    """Return the whole seconds after which so many are back."""
    back = 0
    for second in sorted(homes):
        back += homes[second]
        if back >= homes.total() * percent / PERCENT:
            return second + 1
    raise AssertionError("somebody stayed away")
