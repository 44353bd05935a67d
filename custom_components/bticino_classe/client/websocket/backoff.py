"""Delays between connection attempts: exponential back-off with full jitter."""

from dataclasses import dataclass, field
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY: Final = 1.0  # seconds
LONGEST_DELAY: Final = 300.0  # seconds
# After the first, second, … new token that was refused; in seconds.
REFUSED_TOKEN_DELAYS: Final = (60.0, 300.0, 900.0, 3600.0)
REFUSED_TOKEN_JITTER: Final = 0.1


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

    def next_delay(self, *, is_overload: bool = False) -> float:
        """Count a failure and return the delay."""
        # Without the limit the power overflows after a week of failures.
        bound = min(self.longest, self.first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return self.draw() * (self.longest if is_overload else bound)

    def refused_token_delay(self, refusals: int) -> float:
        """Return the delay after so many new tokens were refused in a row, at least one."""
        longest = REFUSED_TOKEN_DELAYS[min(refusals, len(REFUSED_TOKEN_DELAYS)) - 1]
        return longest * (1 - self.draw() * REFUSED_TOKEN_JITTER)

    def reset(self) -> None:
        """Start again with the shortest bound."""
        self.failures = 0
