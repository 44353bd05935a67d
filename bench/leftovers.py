"""What stays behind in Home Assistant's process: tasks, timers, memory, what is remembered."""

import asyncio
from dataclasses import dataclass
import gc
import tracemalloc
from typing import TYPE_CHECKING, Final

from homeassistant.util.async_ import get_scheduled_timer_handles

from .figures import Figure, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant

KIB: Final = 1024  # bytes
MOST_KIB: Final = 64  # one object forgotten each time would be 500 KiB at the least


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What is there once all is quiet; `traced` are bytes of Python objects."""

    traced: int
    tasks: int
    timers: int
    remembered: int


def leftovers(hass: HomeAssistant, *, remembered: int) -> Leftovers:
    """Look at what is there now, rubbish collected; `tracemalloc` has to run."""
    gc.collect()
    timers = get_scheduled_timer_handles(hass.loop)
    return Leftovers(
        traced=tracemalloc.get_traced_memory()[0],
        tasks=len(asyncio.all_tasks()),
        timers=sum(not timer.cancelled() for timer in timers),
        remembered=remembered,
    )


def more(key: str, text: str, first: Leftovers, last: Leftovers) -> Iterator[Figure]:
    """Yield by how much it has become more from one look to another."""
    for name in ("tasks", "timers", "remembered"):
        # Timers of Home Assistant's own may well have ended meanwhile.
        grown = max(0, getattr(last, name) - getattr(first, name))
        yield count(f"{key}.{name}", f"{text}: {name} more", grown, aim=0)
    yield Figure(
        key=f"{key}.traced_kib",
        text=f"{text}: Python objects more, in all",
        value=(last.traced - first.traced) / KIB,
        unit="KiB",
        aim=MOST_KIB,
    )
