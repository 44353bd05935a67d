"""What ten thousand rings leave behind: memory, tasks, timers, calls."""

import asyncio
from dataclasses import dataclass
from functools import partial
import gc
from pathlib import Path
import resource
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from homeassistant.util.async_ import get_scheduled_timer_handles

from .figures import Figure, count
from .home import entry_of, live, set_up, sign_in
from .settling import settle
from .watching import press, watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud

HOUSE: Final = "panels_1"
EVERY: Final = 0.004  # seconds from ring to ring
KIB: Final = 1024  # bytes
MOST_KIB: Final = 64  # one object forgotten at each of 9000 rings would be 500 KiB at the least


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is there once so many rings are over; `traced` are bytes of Python objects."""

    rings: int
    traced: int
    resident: int
    tasks: int
    timers: int
    remembered: int


def measure(cloud: Cloud, folder: Path, rings: Sequence[int]) -> Iterator[Figure]:
    """Let so many calls be missed, and compare the first halt with the last.

    The halts between keep the notes of the watcher itself small.
    """
    cloud.move(HOUSE)
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    first, last = live(folder, cloud.endpoints, partial(_endure, cloud=cloud, rings=rings))
    text = f"from {first.rings} to {last.rings} rings"
    for name in ("tasks", "timers", "remembered"):
        # Timers of Home Assistant's own may well have ended meanwhile.
        more = max(0, getattr(last, name) - getattr(first, name))
        yield count(f"growth.{name}", f"{text}: {name} more", more, aim=0)
    yield Figure(
        key="growth.traced_kib",
        text=f"{text}: Python objects more, in all",
        value=(last.traced - first.traced) / KIB,
        unit="KiB",
        aim=MOST_KIB,
    )
    yield Figure(
        key="growth.resident_kib",
        text=f"{text}: resident memory more, in all",
        value=(last.resident - first.resident) / KIB,
        unit="KiB",
    )


async def _endure(hass: HomeAssistant, cloud: Cloud, rings: Sequence[int]) -> tuple[Left, Left]:
    await set_up(hass)
    found = []
    cloud.note_pushes(on=False)
    tracemalloc.start()
    try:
        for begin, end in zip((0, *rings), rings, strict=False):
            found.append(await _after(hass, cloud, begin, end))
    finally:
        tracemalloc.stop()
        cloud.note_pushes(on=True)
    return found[0], found[-1]


async def _after(hass: HomeAssistant, cloud: Cloud, begin: int, end: int) -> Left:
    """Ring until so many rings are over, wait until all is quiet, and look."""
    with watching(hass) as watcher:
        await press(cloud, watcher, end - begin, "--every", str(EVERY), "--ending", "miss")
        assert watcher.states == end - begin, "rings were lost"
    del watcher
    coordinator = entry_of(hass).runtime_data
    bell = coordinator.bell
    await bell.history.async_save()
    await settle(hass)
    gc.collect()
    timers = get_scheduled_timer_handles(hass.loop)
    return Left(
        rings=end,
        traced=tracemalloc.get_traced_memory()[0],
        resident=_resident(),
        tasks=len(asyncio.all_tasks()),
        timers=sum(not timer.cancelled() for timer in timers),
        remembered=_remembered(bell) + _pictures(coordinator.pictures),
    )


def _remembered(bell: Any) -> int:
    """Count what the bell keeps of calls and pushes."""
    book, history = bell.book, bell.history
    kept = (book._calls, book._due, book._held, bell.channel._seen, bell.channel.unknown)
    return sum(len(each) for each in (*kept, history._last, history._missed, bell._listeners))


def _pictures(pictures: Any) -> int:
    return sum(len(each) for each in (pictures._kept, pictures._rings, pictures._links))


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
