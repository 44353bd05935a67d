"""Time that passes in a moment: the loop's clock jumps from timer to timer."""

import asyncio
from contextlib import contextmanager
from datetime import datetime, timedelta
import time
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import get_scheduled_timer_handles

from .settling import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from homeassistant.core import HomeAssistant

UTCNOW: Final = dt_util.utcnow


class Passing:
    """The clocks of Home Assistant, ahead of the real ones by as much as was let pass."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._ahead = 0.0

    async def seconds(self, seconds: float) -> None:
        """Let so many seconds pass; whatever falls due is done, in order."""
        await self.until(lambda: False, at_most=seconds)

    async def until(self, condition: Callable[[], bool], *, at_most: float) -> None:
        """Let time pass until something has happened, at most so many seconds."""
        loop = self._hass.loop
        end = loop.time() + at_most
        while not condition():
            due = self._next_timer()
            self._ahead += max(0.0, min(due, end) - loop.time())
            if due > end:
                return
            await asyncio.sleep(0)
            await settle(self._hass)

    def _next_timer(self) -> float:
        timers = get_scheduled_timer_handles(self._hass.loop)
        return min((t.when() for t in timers if not t.cancelled()), default=float("inf"))

    def monotonic(self) -> float:
        """Seconds of the loop."""
        return time.monotonic() + self._ahead

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead

    def utcnow(self) -> datetime:
        """The moment."""
        return UTCNOW() + timedelta(seconds=self._ahead)


@contextmanager
def passing(hass: HomeAssistant) -> Iterator[Passing]:
    """Give Home Assistant clocks that can be put forward; tokens and the cloud keep real time."""
    clocks = Passing(hass)
    helpers = "homeassistant.helpers.event.time_tracker"
    with (
        patch.object(hass.loop, "time", clocks.monotonic),
        patch.object(dt_util, "utcnow", clocks.utcnow),
        patch(f"{helpers}_utcnow", clocks.utcnow),
        patch(f"{helpers}_timestamp", clocks.time),
    ):
        yield clocks
