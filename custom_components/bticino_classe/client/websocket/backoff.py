"""Delays between connection attempts: exponential back-off with full jitter."""

from dataclasses import dataclass, field
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY: Final = 1.0  # seconds
LONGEST_DELAY: Final = 72.0  # seconds; a random moment of such delays ends within 60 s for 95 %
SHORT_DELAY: Final = 15.0  # seconds; a random moment of such delays ends within 5 s for half
WAITED_SHARE: Final = 0.25  # of the time waited so far, which a longer delay does not exceed
FIRST_OVERLOAD_DELAY: Final = 5.0  # seconds
OVERLOAD_FACTOR: Final = 3.0
# The power of a week of failures would overflow.
MAX_EXPONENT: Final = 32


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Random delays between zero and a bound that doubles with every failure; in seconds.

    The bound grows with the outage, so that a short one stays short: to 15 s within the first
    minute, then to a quarter of the time waited so far, to 72 s at most. If the cloud says that it
    is overloaded, the bound begins higher and triples. `draw` returns 0 to 1.
    """

    first: float = FIRST_DELAY
    longest: float = LONGEST_DELAY
    draw: Callable[[], float] = field(default=random.random, repr=False)
    failures: int = 0
    waited: float = 0.0

    def next_delay(self, *, is_overload: bool = False, named: float = 0.0) -> float:
        """Count a failure and return the delay, which follows a pause that the cloud `named`.

        Homes that were given the same pause spread over the same time again, up to the longest.
        """
        bound = min(self._overload_bound if is_overload else self._bound, self._limit)
        delay = self.draw() * min(self.longest, max(bound, named))
        self.failures += 1
        self.waited += named + delay
        return delay

    @property
    def _bound(self) -> float:
        return self.first * 2.0 ** min(self.failures, MAX_EXPONENT)

    @property
    def _overload_bound(self) -> float:
        # The first failure may be the cut, which says nothing about the load.
        exponent = min(max(0, self.failures - 1), MAX_EXPONENT)
        return FIRST_OVERLOAD_DELAY * OVERLOAD_FACTOR**exponent

    @property
    def _limit(self) -> float:
        return max(SHORT_DELAY, self.waited * WAITED_SHARE)

    def reset(self) -> None:
        """Start again with the shortest bound."""
        self.failures = 0
        self.waited = 0.0
