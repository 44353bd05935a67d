"""What stays in Home Assistant's process when no work is pending: tasks, timers, memory."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
import gc
import tracemalloc
from typing import TYPE_CHECKING, Final

from homeassistant.core import HassJob
from homeassistant.util.async_ import get_scheduled_timer_handles

from .report import KIB, Figure, counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant

MAX_GROWTH_KIB: Final = 64  # one object leaked each time would be at least 500 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What exists; `records` are the entries of our own collections: calls, pushes, viewers."""

    traced_bytes: int
    tasks: int
    timers: int
    records: int


def take_snapshot(hass: HomeAssistant, *owners: object) -> Snapshot:
    """Count after a garbage collection; records are those in the collections of some objects.

    `tracemalloc` has to be running.
    """
    gc.collect()
    return Snapshot(
        traced_bytes=tracemalloc.get_traced_memory()[0],
        tasks=len(integration_tasks()),
        timers=len(integration_timers(hass.loop)),
        records=sum(_entries(value) for owner in owners for value in vars(owner).values()),
    )


def growth_figures(key: str, text: str, first: Snapshot, last: Snapshot) -> Iterator[Figure]:
    """Yield what has been added from one snapshot to another."""
    for name in ("tasks", "timers", "records"):
        growth = max(0, getattr(last, name) - getattr(first, name))
        yield from counts(key, text, (name, f"more {name}", growth, 0))
    yield Figure(
        key=f"{key}.traced_kib",
        text=f"{text}: more memory of Python objects",
        value=(last.traced_bytes - first.traced_bytes) / KIB,
        unit="KiB",
        aim=MAX_GROWTH_KIB,
    )


def integration_tasks() -> list[asyncio.Task[object]]:
    """Return the running tasks of the integration; Home Assistant's own come and go."""
    return [task for task in asyncio.all_tasks() if _is_of_integration(task.get_coro())]


def integration_timers(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """Return the timers of the integration."""
    timers = [each for each in get_scheduled_timer_handles(loop) if not each.cancelled()]
    return [timer for timer in timers if _is_of_integration(_target(timer))]


def _target(timer: asyncio.TimerHandle) -> object:
    """Return what a timer calls, through Home Assistant's helpers."""
    jobs = [each for each in getattr(timer, "_args", None) or () if isinstance(each, HassJob)]
    return jobs[0].target if jobs else getattr(timer, "_callback", None)


def _is_of_integration(work: object) -> bool:
    """Return whether a coroutine or a function is defined in the integration."""
    while isinstance(work, partial):
        work = work.func
    code = getattr(work, "cr_code", None) or getattr(work, "__code__", None)
    return code is not None and "custom_components/bticino_classe" in code.co_filename


def _entries(value: object) -> int:
    """Count the entries of a collection and of those in it; a counter has none."""
    if isinstance(value, dict) and not isinstance(value, Counter):
        return len(value) + sum(map(_entries, value.values()))
    return len(value) if isinstance(value, (list, set, deque)) else 0
