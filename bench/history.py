"""A history of many calls: opened at a start, browsed, listed, reset, written with every ring."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
import time
from typing import TYPE_CHECKING, Final

from homeassistant.components.media_source import BrowseMediaSource, MediaSourceItem
from homeassistant.util import dt as dt_util

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history.history import CallHistory
from custom_components.bticino_classe.house import House
from custom_components.bticino_classe.media_source import async_get_media_source

from .figures import Figure
from .held import Held, holding
from .home import entry_of, live, set_up, sign_in
from .past import file_of, fill, places
from .settling import settle
from .watching import miss, ring, watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    import sqlite3

    from homeassistant.components.media_source import MediaSource
    from homeassistant.core import HomeAssistant

    from .cloud import Cloud

HOUSE: Final = "panels_1"
MS: Final = 1000.0  # per second
KIB: Final = 1024  # bytes
LEVELS: Final = 3  # below the root: a panel's months, a month's days, a day's calls
LINEAR: Final = 2.0  # by the square would be 10
MOST_HELD_MS: Final = 5.0
RINGS: Final = 5
LOAD_MS: Final = 20.0
WRITTEN_KIB: Final = 64.0
CALENDAR_DAYS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Something that was done several times: seconds of each, and the worst for the loop."""

    seconds: Sequence[float]
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a history of so many calls costs; `written` are bytes, by a call without pictures."""

    calls: int
    found: int
    listed: int
    missed: int
    file_bytes: int
    load: Timed
    browse: Timed
    calendar: Timed
    ring: Timed
    reset: Timed
    written: float


def measure(cloud: Cloud, folder: Path, sizes: Sequence[int], runs: int) -> Iterator[Figure]:
    """Measure at each size, each in a folder of its own."""
    found = []
    for calls in sizes:
        cloud.move(HOUSE)
        home = folder / str(calls)
        home.mkdir()
        live(home, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
        at = live(home, cloud.endpoints, places)
        live(home, cloud.endpoints, partial(fill, number=calls, at=at, now=time.time()))
        found.append(
            live(home, cloud.endpoints, partial(_look, cloud=cloud, calls=calls, runs=runs))
        )
        yield from _figures(found[-1])
    yield from _growth(found)


async def _look(hass: HomeAssistant, cloud: Cloud, calls: int, runs: int) -> Found:
    await settle(hass)
    load = await _timed_loads(hass, runs)
    await set_up(hass)
    history = entry_of(hass).runtime_data.history
    found = await history.async_read(_count)
    source = await async_get_media_source(hass)
    listed: list[int] = []
    browse = await _timed(runs, partial(_browse, hass, source, listed))
    calendar = await _timed(runs, partial(_list_events, hass))
    file_bytes = file_of(hass).stat().st_size
    await _ring(hass, cloud)  # what is only slow the first time
    written_before = _written()
    rung = await _timed(RINGS, partial(_ring, hass, cloud))
    written = (_written() - written_before) / RINGS
    missed, reset = await _reset(hass, history)
    return Found(
        calls=calls,
        found=found,
        listed=listed[-1],
        missed=missed,
        file_bytes=file_bytes,
        load=load,
        browse=browse,
        calendar=calendar,
        ring=rung,
        reset=reset,
        written=written,
    )


async def _timed_loads(hass: HomeAssistant, runs: int) -> Timed:
    """Open the file; to close it again is not timed."""
    histories: list[CallHistory] = []
    load = await _timed(runs, partial(_load, hass, histories))
    for each in histories:
        await each.async_close()
    return load


async def _reset(hass: HomeAssistant, history: CallHistory) -> tuple[int, Timed]:
    """Reset the missed calls, and return how many there were."""
    bridge_id = entry_of(hass).runtime_data.coordinator.data.bridges[0].id
    missed = history.missed(bridge_id)
    reset = await _timed(1, partial(history.async_mark_seen, bridge_id))
    assert history.missed(bridge_id) == 0
    return missed, reset


def _count(db: sqlite3.Connection) -> int:
    found: int = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    return found


async def _list_events(hass: HomeAssistant) -> None:
    """Ask the calendar for its events, as its page does."""
    (entity_id,) = hass.states.async_entity_ids("calendar")
    entity = hass.data["calendar"].get_entity(entity_id)
    end = dt_util.utcnow()
    start = end - timedelta(days=CALENDAR_DAYS)
    assert await entity.async_get_events(hass, start, end)


async def _timed(runs: int, act: Callable[[], Awaitable[None]]) -> Timed:
    seconds = []
    async with holding() as held:
        for _ in range(runs):
            began = time.perf_counter()
            await act()
            seconds.append(time.perf_counter() - began)
    return Timed(seconds=seconds, held=held)


async def _load(hass: HomeAssistant, histories: list[CallHistory]) -> None:
    """Open the file as a start does."""
    house = House.of([], {})
    history = CallHistory(
        hass, entry_of(hass), clock=time.time, house=lambda: house, excluded_homes=()
    )
    await history.async_load()
    histories.append(history)


async def _browse(hass: HomeAssistant, source: MediaSource, listed: list[int]) -> None:
    """Open the media browser and go down to the calls of the newest day."""
    item = await source.async_browse_media(MediaSourceItem(hass, DOMAIN, "", None))
    for _ in range(LEVELS):
        assert item.children, "there is nothing to browse"
        first = item.children[0]
        assert isinstance(first, BrowseMediaSource)
        next_one = MediaSourceItem(hass, DOMAIN, first.identifier or "", None)
        item = await source.async_browse_media(next_one)
    listed.append(len(item.children or ()))


async def _ring(hass: HomeAssistant, cloud: Cloud) -> None:
    """Let one call without pictures be missed; both that and the ring are written."""
    with watching(hass) as watcher:
        await ring(hass, cloud, watcher, pictures=False)
        await settle(hass)
        await miss(hass, cloud, watcher)
        await settle(hass)


def _written() -> int:
    """Return how many bytes this process has written into files so far; sockets do not count."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _figures(found: Found) -> Iterator[Figure]:
    key, text = f"history_{found.calls}", f"history of {found.calls} calls"
    yield Figure(key=f"{key}.found", text=f"{text}: found", value=found.found, unit="")
    yield Figure(key=f"{key}.listed", text=f"{text}: listed of a day", value=found.listed, unit="")
    yield from _times(f"{key}.load", f"{text}: read at a start", found.load)
    yield from _times(f"{key}.browse", f"{text}: browsed down to a day", found.browse)
    yield from _times(f"{key}.calendar", f"{text}: {CALENDAR_DAYS} days of events", found.calendar)
    yield from _times(f"{key}.ring", f"{text}: a missed call", found.ring)
    what = f"{text}: reset of {found.missed} missed calls"
    yield from _times(f"{key}.reset", what, found.reset)
    what = f"{text}: on disk, of each"
    each = found.file_bytes / found.calls
    yield Figure(key=f"{key}.row_bytes", text=what, value=each, unit="B")
    what = f"{text}: written by a missed call without pictures"
    written = found.written / KIB
    yield Figure(key=f"{key}.written_kib", text=what, value=written, unit="KiB", aim=WRITTEN_KIB)


def _times(key: str, text: str, timed: Timed) -> Iterator[Figure]:
    samples = [each * MS for each in timed.seconds]
    aim = LOAD_MS if key.endswith("load") else None
    yield Figure(
        key=f"{key}_ms", text=text, value=median(samples), unit="ms", samples=samples, aim=aim
    )
    yield Figure(
        key=f"{key}_held_ms",
        text=f"{text}: the event loop's longest callback",
        value=timed.held.longest * MS,
        unit="ms",
        aim=MOST_HELD_MS,
    )
    yield Figure(
        key=f"{key}_late_ms",
        text=f"{text}: the event loop late by",
        value=timed.held.late * MS,
        unit="ms",
        aim=MOST_HELD_MS,
    )


def _growth(found: Sequence[Found]) -> Iterator[Figure]:
    """Compare what each call adds, between the last two sizes and the two before."""
    for name, text in (("load", "reading"), ("browse", "browsing")):
        slopes = [
            (min(getattr(large, name).seconds) - min(getattr(small, name).seconds))
            / (large.calls - small.calls)
            for small, large in pairwise(found)
        ]
        if len(slopes) > 1:
            yield Figure(
                key=f"history.{name}_growth",
                text=f"{text} a history: growth, the last to the one before (1 is linear)",
                value=slopes[-1] / slopes[0],
                unit="",
                aim=LINEAR,
            )
