"""Pauses that grow with every failure in a row."""

import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .errors import BticinoError

GROWING_PAUSES: Final = (60.0, 300.0, 900.0, 3600.0)  # seconds; the last one repeats
JITTER: Final = 0.1  # of a pause, by which it may be shorter


class GrowingPause:
    """A pause after a failure, which is longer after the next one.

    `clock` returns seconds, `draw` a random number from 0 to 1.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._until = float("-inf")
        self._starts = 0
        self.cause: BticinoError | None = None

    @property
    def left(self) -> float:
        """The seconds until the end of the pause."""
        return max(0.0, self._until - self._clock())

    def start(self, cause: BticinoError | None = None) -> None:
        """Start the next pause, because of an error."""
        self.cause = cause
        longest = GROWING_PAUSES[min(self._starts, len(GROWING_PAUSES) - 1)]
        self._starts += 1
        self._until = self._clock() + longest * (1 - self._draw() * JITTER)

    def skip(self) -> None:
        """End the pause, but not the growth: a person wants an attempt now."""
        self._until = float("-inf")

    def reset(self) -> None:
        """End the pause and the growth after a success."""
        self.skip()
        self._starts = 0


class RefusedTokens:
    """Distinct access tokens that were refused in a row, and the pause before the next one.

    The first is replaced at once, because tokens do die; each further one starts a growing pause.
    """

    def __init__(self, pause: GrowingPause) -> None:
        self.pause = pause
        self.count = 0
        self.last: str | None = None

    def add(self, token: str) -> None:
        """Count a refused token, once for any number of refusals."""
        if token == self.last:
            return
        self.last = token
        self.count += 1
        if self.count > 1:
            self.pause.start()

    def reset(self) -> None:
        """Note that a token was accepted."""
        self.count = 0
        self.pause.reset()
