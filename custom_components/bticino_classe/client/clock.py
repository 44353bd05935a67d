"""The one clock of the client: the cloud's time, and a monotonic one for durations."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CloudClock:
    """Knows the cloud's time from the `Date` of its answers; all times are in seconds.

    Between answers it runs on the monotonic clock, so setting this machine's clock has no effect.
    Until the first answer, this machine's clock is used.
    """

    def __init__(
        self,
        *,
        wall_clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._wall_clock = wall_clock or time.time
        self._monotonic = monotonic or time.monotonic
        self._offset: float | None = None  # the cloud's time minus the monotonic clock

    def now(self) -> float:
        """Return the cloud's time in seconds since 1970."""
        return self._wall_clock() if self._offset is None else self._monotonic() + self._offset

    def monotonic(self) -> float:
        """Return the time for deadlines and durations; it never jumps."""
        return self._monotonic()

    def set_from_answer(self, cloud_time: float | None) -> None:
        """Adopt the time of an answer that has just arrived; None if it has no `Date`."""
        if cloud_time is not None:
            self._offset = cloud_time - self._monotonic()
