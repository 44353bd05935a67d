"""A limit of our own that stands before the vendor's, so that theirs is not met."""

from collections import deque
import time
from typing import TYPE_CHECKING, Final

from .errors import RateLimitError

if TYPE_CHECKING:
    from collections.abc import Callable

# Published per user (protocol.md 3.3): requests and the seconds they count for.
LIMITS: Final = ((50, 10.0), (500, 3600.0))
ROUTINE_SHARE: Final = 0.8  # what polling may use; the rest is kept for a person at the door
LONGEST_PAUSE: Final = 3600.0  # seconds; the vendor's longest window
USAGE_LIMIT_CODE: Final = 26
SHORT_PAUSE: Final = 10.0  # seconds


class RateLimiter:
    """Counts requests and keeps the pauses that the cloud asks for.

    `urgent` requests, a person's, may use the whole limit and are stopped only by a pause that the
    cloud itself named; routine ones use 80 % and keep every pause. Raises RateLimitError with
    the seconds to wait.
    """

    def __init__(
        self,
        *,
        limits: tuple[tuple[int, float], ...] = LIMITS,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._wall_clock = wall_clock
        self._sent: deque[float] = deque(maxlen=max(count for count, _ in limits))
        self._told_until = self._assumed_until = float("-inf")

    def admit(self, *, urgent: bool = False) -> None:
        """Count one request, or refuse it."""
        now = self._clock()
        wait = max(self._pause_left(now, urgent=urgent), self._window_left(now, urgent=urgent))
        if wait > 0:
            raise RateLimitError(retry_after=wait)
        self._sent.append(now)

    def note(self, error: RateLimitError) -> None:
        """Keep the pause that the cloud's refusal asks for, or the one it implies."""
        now = self._clock()
        if error.retry_after is not None:
            pause = min(error.retry_after, LONGEST_PAUSE)
            self._told_until = max(self._told_until, now + pause)
        elif error.code == USAGE_LIMIT_CODE:
            self._assumed_until = now + LONGEST_PAUSE - self._wall_clock() % LONGEST_PAUSE
        else:
            self._assumed_until = max(self._assumed_until, now + SHORT_PAUSE)

    def _pause_left(self, now: float, *, urgent: bool) -> float:
        until = self._told_until if urgent else max(self._told_until, self._assumed_until)
        return until - now

    def _window_left(self, now: float, *, urgent: bool) -> float:
        share = 1.0 if urgent else ROUTINE_SHARE
        return max(
            self._left(max(1, int(count * share)), span, now) for count, span in self._limits
        )

    def _left(self, count: int, span: float, now: float) -> float:
        """Seconds until the window has room for one more."""
        return self._sent[-count] + span - now if len(self._sent) >= count else 0.0
