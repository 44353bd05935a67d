"""The one clock of the client: the cloud's time, and a monotonic one for durations."""

from collections import deque
from statistics import median_low
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_ANSWERS: Final = 5
AGREEING_ANSWERS: Final = 3  # of the kept answers, at least
AGREEMENT_SECONDS: Final = 10.0
ROUNDING_SECONDS: Final = 2.0  # an answer has whole seconds, and takes time to arrive


class CloudClock:
    """Knows the cloud's time from the `Date` of its answers; all times are in seconds.

    Between answers it runs on the monotonic clock, so setting this machine's clock has no effect.
    This machine's clock is used while no answers agree, and where it is only more precise.
    """

    def __init__(
        self,
        *,
        wall_clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._wall_clock = wall_clock or time.time
        self._monotonic = monotonic or time.monotonic
        # The cloud's time minus the monotonic clock, by the latest answers.
        self._offsets: deque[float] = deque(maxlen=KEPT_ANSWERS)
        self._offset: float | None = None
        self._last = 0.0

    def now(self) -> float:
        """Return the cloud's time in seconds since 1970; small corrections never turn it back."""
        now = self._wall_clock()
        if self._offset is not None:
            cloud = self._monotonic() + self._offset
            now = now if abs(cloud - now) <= ROUNDING_SECONDS else cloud
        if not 0 < self._last - now <= AGREEMENT_SECONDS:
            self._last = now
        return self._last

    def monotonic(self) -> float:
        """Return the time for deadlines and durations; it never jumps."""
        return self._monotonic()

    def age(self, moment: float) -> float:
        """Return the seconds since a moment, by this or the machine's clock: the smaller value."""
        return min(self.now(), self._wall_clock()) - moment

    def is_future(self, moment: float) -> bool:
        """Whether a moment is in the future by this and by the machine's clock."""
        return moment > max(self.now(), self._wall_clock())

    def set_from_answer(self, cloud_time: float | None) -> None:
        """Consider the time of an answer that has just arrived; None if it has no `Date`."""
        if cloud_time is not None:
            self._offsets.append(cloud_time - self._monotonic())
            self._offset = self._plausible_offset()

    def _plausible_offset(self) -> float | None:
        middle = median_low(self._offsets)
        agreeing = sum(abs(offset - middle) <= AGREEMENT_SECONDS for offset in self._offsets)
        return middle if agreeing >= AGREEING_ANSWERS else None
