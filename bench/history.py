"""A history of many calls: opened, browsed, listed, reset, and written by a missed call."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
import time
from typing import TYPE_CHECKING, Final

from homeassistant.util import dt as dt_util

from custom_components.bticino_classe.history.history import CallHistory
from custom_components.bticino_classe.house import House

from .support.history_data import Place, browse, file_of, fill
from .support.home_assistant import Installation, entry_of, runtime_of, set_up
from .support.loop_monitor import LoopUsage, blocked_figures, monitor_loop
from .support.report import KIB, Figure, counts, median_ms
from .support.ring_recorder import record_rings
from .support.waiting import wait_idle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    import sqlite3

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud

HOUSE: Final = "panels_1"
RINGS: Final = 5
CALENDAR_DAYS: Final = 60
MAX_LOAD_MS: Final = 20.0
MAX_WRITTEN_KIB: Final = 64.0
MAX_GROWTH: Final = 2.0  # quadratic growth would give 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What was done several times: the seconds of each, and the work of the event loop."""

    seconds: Sequence[float]
    usage: LoopUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A history of `calls`: how many were found and listed, and what was measured."""

    calls: int
    found: int
    listed: int
    missed: int
    file_bytes: int
    written_bytes: float
    load: Timing
    browse: Timing
    calendar: Timing
    ring: Timing
    reset: Timing


def measure(cloud: Cloud, folder: Path, sizes: Sequence[int], runs: int) -> Iterator[Figure]:
    """Measure a history of each size, each on a folder of its own."""
    results = []
    for calls in sizes:
        installation = Installation.create(cloud, folder / str(calls), HOUSE)
        place = installation.run(Place.find)
        installation.run(partial(fill, calls=calls, places=[place], now=time.time()))
        measured = partial(_measure, cloud=cloud, calls=calls, runs=runs)
        results.append(installation.run(measured))
        yield from _figures(results[-1])
    yield from _growth(results)


async def _measure(hass: HomeAssistant, cloud: Cloud, calls: int, runs: int) -> Result:
    await wait_idle(hass)
    load = await _load(hass, runs)
    await set_up(hass)
    history = runtime_of(hass).history
    found = await history.async_read(_count_calls)
    listed, browse = await _browse(hass, runs)
    calendar = await _time(runs, partial(_list_events, hass))
    file_bytes = file_of(hass).stat().st_size
    written, ring = await _ring(hass, cloud)
    bridge_id = runtime_of(hass).coordinator.data.bridges[0].id
    missed = history.missed(bridge_id)
    reset = await _time(1, partial(history.async_mark_seen, bridge_id))
    assert history.missed(bridge_id) == 0
    return Result(
        calls=calls,
        found=found,
        listed=listed,
        missed=missed,
        file_bytes=file_bytes,
        written_bytes=written,
        load=load,
        browse=browse,
        calendar=calendar,
        ring=ring,
        reset=reset,
    )


async def _time(runs: int, act: Callable[[], Awaitable[None]]) -> Timing:
    seconds = []
    async with monitor_loop() as usage:
        for _ in range(runs):
            start = time.perf_counter()
            await act()
            seconds.append(time.perf_counter() - start)
    return Timing(seconds=seconds, usage=usage)


async def _load(hass: HomeAssistant, runs: int) -> Timing:
    """Open the file as a start does; the account is not set up."""
    house, entry = House.of([], {}), entry_of(hass)
    opened: list[CallHistory] = []

    async def load() -> None:
        history = CallHistory(hass, entry, clock=time.time, house=lambda: house, excluded_homes=())
        opened.append(history)
        await history.async_load()

    timing = await _time(runs, load)
    for history in opened:
        await history.async_close()
    return timing


def _count_calls(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM calls").fetchone()
    return int(count)


async def _browse(hass: HomeAssistant, runs: int) -> tuple[int, Timing]:
    """Open the media browser down to the oldest day; return the number of its pictures."""
    days: list[Sequence[object]] = []

    async def open_day() -> None:
        days.append(await browse(hass))

    timing = await _time(runs, open_day)
    return len(days[-1]), timing


async def _list_events(hass: HomeAssistant) -> None:
    """Request the events of the calendar, as its page does."""
    (entity_id,) = hass.states.async_entity_ids("calendar")
    entity = hass.data["calendar"].get_entity(entity_id)
    end = dt_util.utcnow()
    start = end - timedelta(days=CALENDAR_DAYS)
    assert await entity.async_get_events(hass, start, end)


async def _ring(hass: HomeAssistant, cloud: Cloud) -> tuple[float, Timing]:
    """Miss calls without pictures; return the bytes that each writes, at its ring and its end."""

    async def ring() -> None:
        with record_rings(hass, cloud) as recorder:
            await recorder.ring(pictures=False)
            await wait_idle(hass)
            await recorder.miss()
            await wait_idle(hass)

    await ring()  # warm-up
    before = _written_bytes()
    timing = await _time(RINGS, ring)
    return (_written_bytes() - before) / RINGS, timing


def _written_bytes() -> int:
    """Return the bytes that this process has written into files so far, without sockets."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _figures(result: Result) -> Iterator[Figure]:
    key, text = f"history_{result.calls}", f"history of {result.calls} calls"
    yield from counts(
        key,
        text,
        ("found", "found", result.found, None),
        ("listed", "pictures listed of a day", result.listed, None),
    )
    for name, what, timing, aim in (
        ("load", "opened at a start", result.load, MAX_LOAD_MS),
        ("browse", "browsed down to a day", result.browse, None),
        ("calendar", f"{CALENDAR_DAYS} days of the calendar", result.calendar, None),
        ("ring", "a missed call until stored", result.ring, None),
        ("reset", f"reset of {result.missed} missed calls", result.reset, None),
    ):
        yield median_ms(f"{key}.{name}_ms", f"{text}: {what}", timing.seconds, aim=aim)
        yield from blocked_figures(f"{key}.{name}", f"{text}: {what}", timing.usage)
    yield Figure(
        key=f"{key}.row_bytes",
        text=f"{text}: on disk, for each call",
        value=result.file_bytes / result.calls,
        unit="B",
    )
    yield Figure(
        key=f"{key}.written_kib",
        text=f"{text}: written by a missed call without pictures",
        value=result.written_bytes / KIB,
        unit="KiB",
        aim=MAX_WRITTEN_KIB,
    )


def _growth(results: Sequence[Result]) -> Iterator[Figure]:
    """Compare what each call adds between the last two sizes and the two before."""
    for name, text in (("load", "opening"), ("browse", "browsing")):
        slopes = [
            (min(getattr(large, name).seconds) - min(getattr(small, name).seconds))
            / (large.calls - small.calls)
            for small, large in pairwise(results)
        ]
        if len(slopes) > 1:
            yield Figure(
                key=f"history.{name}_growth",
                text=f"history, growth of the time of each call when {text} (1 is linear)",
                value=slopes[-1] / slopes[0],
                aim=MAX_GROWTH,
            )
