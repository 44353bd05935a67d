"""A clock that jumps from timer to timer, so that hours pass in a moment."""

import asyncio
from contextlib import contextmanager
from datetime import datetime, timedelta
import time
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import get_scheduled_timer_handles

from .waiting import wait_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from homeassistant.core import HomeAssistant

UTCNOW: Final = dt_util.utcnow
TIME_TRACKER: Final = "homeassistant.helpers.event.time_tracker"


class FastClock:
    """Home Assistant's clocks, ahead of the real ones by the time that was skipped."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._ahead = 0.0

    async def advance(self, seconds: float) -> None:
        """Advance by a number of seconds; timers on the way fire in order."""
        await self.advance_until(lambda: False, at_most=seconds)

    async def advance_until(self, condition: Callable[[], bool], *, at_most: float) -> None:
        """Advance until a condition holds, at most by a number of seconds."""
        loop = self._hass.loop
        end = loop.time() + at_most
        while not condition():
            due = self._next_timer()
            self._ahead += max(0.0, min(due, end) - loop.time())
            if due > end:
                return
            await asyncio.sleep(0)
            await wait_idle(self._hass)

    def _next_timer(self) -> float:
        timers = get_scheduled_timer_handles(self._hass.loop)
        return min((t.when() for t in timers if not t.cancelled()), default=float("inf"))

    def monotonic(self) -> float:
        """Return the time of the event loop."""
        return time.monotonic() + self._ahead

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return time.time() + self._ahead

    def utcnow(self) -> datetime:
        """Return the date and time."""
        return UTCNOW() + timedelta(seconds=self._ahead)


@contextmanager
def fast_clock(hass: HomeAssistant) -> Iterator[FastClock]:
    """Replace the clocks of Home Assistant and its loop; tokens and the cloud keep real time."""
    clock = FastClock(hass)
    with (
        patch.object(hass.loop, "time", clock.monotonic),
        patch.object(dt_util, "utcnow", clock.utcnow),
        patch(f"{TIME_TRACKER}_utcnow", clock.utcnow),
        patch(f"{TIME_TRACKER}_timestamp", clock.time),
    ):
        yield clock
