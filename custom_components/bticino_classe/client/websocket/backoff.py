"""How long to wait before trying again: full jitter, exponential, bounded."""

from dataclasses import dataclass, field
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY: Final = 1.0  # seconds
LONGEST_DELAY: Final = 300.0  # seconds


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Delays between attempts, drawn evenly from zero to a bound that doubles with every failure.

    A fleet whose cloud comes back is spread over the bound that it has reached. A cloud that said
    itself that it is overloaded is given the longest bound at once (`overloaded`), so that the
    homes it lost within one second do not return within one.
    """

    first: float = FIRST_DELAY
    longest: float = LONGEST_DELAY
    draw: Callable[[], float] = field(default=random.random, repr=False)
    failures: int = 0

    def next_delay(self, *, overloaded: bool = False, at_least: float = 0.0) -> float:
        """Count a failure and return the seconds to wait, `at_least` what the cloud asked for."""
        # The exponent is bounded: two to the power of a week's failures is no float.
        bound = min(self.longest, self.first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return at_least + self.draw() * (self.longest if overloaded else bound)

    def reset(self) -> None:
        """Begin anew with the shortest bound."""
        self.failures = 0
