"""Leaks of thousands of rings: tasks, timers, records, memory."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
import resource
import tracemalloc
from typing import TYPE_CHECKING, Final

from .support.history_data import set_limits
from .support.home_assistant import Installation, runtime_of, set_up
from .support.leaks import Snapshot, growth_figures, take_snapshot
from .support.report import KIB, Figure
from .support.ring_recorder import record_rings
from .support.waiting import wait_idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    import sqlite3

    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.runtime import RuntimeData

    from .support.cloud import Cloud

HOUSE: Final = "panels_1"
INTERVAL_SECONDS: Final = 0.004
STORED_CALLS: Final = 100  # fewer than ring before the first snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterRings:
    """What exists after a number of rings."""

    rings: int
    resident_bytes: int
    snapshot: Snapshot


def measure(cloud: Cloud, folder: Path, stops: Sequence[int]) -> Iterator[Figure]:
    """Ring and miss each call; compare the first stop with the last.

    The stops between keep the bench's own records of rings small.
    """
    installation = Installation.create(cloud, folder, HOUSE)
    first, last = installation.run(partial(_ring, cloud=cloud, stops=stops))
    text = f"from {first.rings} to {last.rings} rings"
    yield from growth_figures("ring_leaks", text, first.snapshot, last.snapshot)
    yield Figure(
        key="ring_leaks.resident_kib",
        text=f"{text}: more resident memory",
        value=(last.resident_bytes - first.resident_bytes) / KIB,
        unit="KiB",
    )


async def _ring(
    hass: HomeAssistant, cloud: Cloud, stops: Sequence[int]
) -> tuple[AfterRings, AfterRings]:
    set_limits(hass, calls=STORED_CALLS, days=100, megabytes=1000)
    await set_up(hass)
    cloud.record_pushes(on=False)
    tracemalloc.start()
    try:
        steps = zip((0, *stops), stops, strict=False)
        results = [await _ring_until(hass, cloud, start, end) for start, end in steps]
    finally:
        tracemalloc.stop()
        cloud.record_pushes(on=True)
    return results[0], results[-1]


async def _ring_until(hass: HomeAssistant, cloud: Cloud, start: int, end: int) -> AfterRings:
    """Ring until there were `end` rings, wait until no work is pending, and count."""
    with record_rings(hass, cloud) as recorder:
        options = ("--interval", str(INTERVAL_SECONDS), "--ending", "miss")
        await recorder.generate(end - start, *options)
        assert recorder.state_changes == end - start, "rings were lost"
    del recorder
    runtime = runtime_of(hass)
    await wait_idle(hass)
    await runtime.history.async_settle()
    await wait_idle(hass)
    assert await runtime.history.async_read(_count_calls) == STORED_CALLS
    snapshot = take_snapshot(hass, *_owners(runtime))
    return AfterRings(rings=end, resident_bytes=_resident_bytes(), snapshot=snapshot)


def _count_calls(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM calls").fetchone()
    return int(count)


def _owners(runtime: RuntimeData) -> tuple[object, ...]:
    """Return what keeps calls, pushes and pictures in memory.

    The history's summary is not one of them: it is read from the database as a whole, and how many
    entries it has depends on which of the last calls have a picture.
    """
    calls = runtime.calls
    return (calls, runtime.history, runtime.push, runtime.downloads, calls._tracker)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
