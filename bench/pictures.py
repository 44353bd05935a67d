"""What the pictures of a ring cost: requests, and the time of the event loop for large ones."""

import asyncio
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from .cloud import EVENTS_PATH, PICTURE_PATH
from .figures import Figure, count
from .held import Held, holding
from .home import live, set_up, sign_in
from .settling import settle
from .watching import miss, ring, watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud, Requests
    from .watching import Watcher

HOUSE: Final = "panels_1"
LARGE: Final = 2_000_000  # bytes
PAUSE: Final = 0.03  # seconds after a call: the last downloads fall into the next ring
MS: Final = 1000.0  # per second
MOST_HELD_MS: Final = 5.0
UNDISTURBED: Final = 2.0  # times as late as without pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Rings one after the other: seconds from read to state of each, and what the loop did."""

    delays: Sequence[float]
    held: Held


def measure(cloud: Cloud, folder: Path, rings: int) -> Iterator[Figure]:
    """Ring with living links, with dead ones, without pictures and with large ones."""
    cloud.move(HOUSE)
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    living, dead = live(folder, cloud.endpoints, partial(_ask, cloud=cloud))
    yield from _requests("pictures", "a ring with pictures", living, pictures=2, events=0)
    # Both are refused once; one look at the events renews both links.
    yield from _requests("dead_links", "a ring with dead links", dead, pictures=4, events=1)
    none, large = live(folder, cloud.endpoints, partial(_compare, cloud=cloud, rings=rings))
    yield from _times("no_pictures", "a ring without pictures", none)
    yield from _times("large_pictures", "a ring with two pictures of 2 MB", large)
    yield Figure(
        key="large_pictures.later",
        text="a ring with two pictures of 2 MB: times as late as one without",
        value=median(large.delays) / median(none.delays),
        unit="",
        aim=UNDISTURBED,
    )


async def _ask(hass: HomeAssistant, cloud: Cloud) -> tuple[Requests, Requests]:
    await set_up(hass)
    living = await _asked(hass, cloud, dead=0)
    return living, await _asked(hass, cloud, dead=2)


async def _asked(hass: HomeAssistant, cloud: Cloud, *, dead: int) -> Requests:
    """Return what one missed call asks of the cloud, of which some links are dead."""
    cloud.forget()
    cloud.refuse_pictures(dead)
    with watching(hass) as watcher:
        await ring(hass, cloud, watcher, pictures=True)
        await watcher.all_read(cloud)
        await settle(hass)
        await miss(hass, cloud, watcher)
        await watcher.all_read(cloud)
    await settle(hass)
    return cloud.requests()


def _requests(
    key: str, text: str, found: Requests, *, pictures: int, events: int
) -> Iterator[Figure]:
    others = found.by_path.total() - found.by_path[PICTURE_PATH] - found.by_path[EVENTS_PATH]
    yield count(f"{key}.downloads", f"{text}: downloads", found.pictures, aim=pictures)
    yield count(f"{key}.events", f"{text}: looks at the events", found.events, aim=events)
    yield count(f"{key}.others", f"{text}: other requests", others, aim=0)


async def _compare(hass: HomeAssistant, cloud: Cloud, rings: int) -> tuple[Rung, Rung]:
    await set_up(hass)
    none = await _rung(hass, cloud, rings, pictures=False)
    cloud.fatten_pictures(LARGE)
    large = await _rung(hass, cloud, rings, pictures=True)
    cloud.fatten_pictures(0)
    return none, large


async def _rung(hass: HomeAssistant, cloud: Cloud, rings: int, *, pictures: bool) -> Rung:
    with watching(hass) as watcher:
        await _missed(hass, cloud, watcher, pictures=pictures)  # only slow the first time
        await settle(hass)
        watcher.seen.clear()
        async with holding() as held:
            for _ in range(rings):
                await _missed(hass, cloud, watcher, pictures=pictures)
                await asyncio.sleep(PAUSE)
            await settle(hass)
    return Rung(delays=[each.shown - each.read for each in watcher.seen.values()], held=held)


async def _missed(hass: HomeAssistant, cloud: Cloud, watcher: Watcher, *, pictures: bool) -> None:
    await ring(hass, cloud, watcher, pictures=pictures)
    await miss(hass, cloud, watcher)


def _times(key: str, text: str, rung: Rung) -> Iterator[Figure]:
    delays = [each * MS for each in rung.delays]
    held, late = rung.held.longest * MS, rung.held.late * MS
    worked = rung.held.worked * MS / len(delays)
    what = f"{text}: read to state"
    yield Figure(key=f"{key}.ms", text=what, value=median(delays), unit="ms", samples=delays)
    what = f"{text}: the event loop's work, until all is kept"
    yield Figure(key=f"{key}.worked_ms", text=what, value=worked, unit="ms")
    what = f"{text}: the event loop's longest callback"
    yield Figure(key=f"{key}.held_ms", text=what, value=held, unit="ms", aim=MOST_HELD_MS)
    yield Figure(
        key=f"{key}.late_ms", text=f"{text}: the event loop late by", value=late, unit="ms"
    )
