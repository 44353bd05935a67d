"""Delays between connection attempts: exponential back-off with full jitter."""

from dataclasses import dataclass, field
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY: Final = 1.0  # seconds
LONGEST_DELAY: Final = 300.0  # seconds


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Random delays between zero and a bound that doubles with every failure; in seconds.

    If the cloud said that it is overloaded, the longest bound applies at once, so that the homes
    it lost in the same second do not all reconnect in the same second. `draw` returns 0 to 1.
    """

    first: float = FIRST_DELAY
    longest: float = LONGEST_DELAY
    draw: Callable[[], float] = field(default=random.random, repr=False)
    failures: int = 0

    def next_delay(self, *, is_overload: bool = False, at_least: float = 0.0) -> float:
        """Count a failure and return the delay; `at_least` is the pause the cloud asked for."""
        # Without the limit the power overflows after a week of failures.
        bound = min(self.longest, self.first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return at_least + self.draw() * (self.longest if is_overload else bound)

    def reset(self) -> None:
        """Start again with the shortest bound."""
        self.failures = 0
