"""Requests for the pictures of a ring, and the work of the event loop with large pictures."""

import asyncio
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from .support.cloud import EVENTS_PATH, PICTURE_PATH
from .support.home_assistant import Installation, set_up
from .support.loop_monitor import LoopUsage, blocked_figures, monitor_loop
from .support.report import MS_PER_SECOND, Figure, counts, median_ms
from .support.ring_recorder import RingRecorder, record_rings
from .support.waiting import wait_idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud, Requests

HOUSE: Final = "panels_1"
LARGE_BYTES: Final = 2_000_000
PAUSE_SECONDS: Final = 0.03  # after a call: short enough that downloads overlap the next ring
MAX_DELAY_RATIO: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Rings one after another: seconds from read to state, and the work of the event loop."""

    delays: Sequence[float]
    usage: LoopUsage


def measure(cloud: Cloud, folder: Path, count: int) -> Iterator[Figure]:
    """Ring with valid and expired links, then without pictures and with large ones."""
    installation = Installation.create(cloud, folder, HOUSE)
    valid, expired = installation.run(partial(_ring_with_links, cloud=cloud))
    yield from _request_figures("pictures", "ring with pictures", valid, downloads=2, events=0)
    # Both downloads fail once; one list of events has new links for both.
    text = "ring with expired links"
    yield from _request_figures("expired_links", text, expired, downloads=4, events=1)
    none, large = installation.run(partial(_compare, cloud=cloud, count=count))
    yield from _time_figures("no_pictures", "ring without pictures", none)
    yield from _time_figures("large_pictures", "ring with two pictures of 2 MB", large)
    yield Figure(
        key="large_pictures.delay_ratio",
        text="ring with two pictures of 2 MB: read to state, times a ring without",
        value=median(large.delays) / median(none.delays),
        aim=MAX_DELAY_RATIO,
    )


async def _ring_with_links(hass: HomeAssistant, cloud: Cloud) -> tuple[Requests, Requests]:
    await set_up(hass)
    valid = await _requests(hass, cloud, expired_links=0)
    return valid, await _requests(hass, cloud, expired_links=2)


async def _requests(hass: HomeAssistant, cloud: Cloud, *, expired_links: int) -> Requests:
    """Return the requests of a missed call."""
    cloud.reset()
    cloud.expire_links(expired_links)
    with record_rings(hass, cloud) as recorder:
        await recorder.ring(pictures=True)
        await recorder.read_all()
        await wait_idle(hass)
        await recorder.miss()
        await recorder.read_all()
    await wait_idle(hass)
    return cloud.requests()


def _request_figures(
    key: str, text: str, sent: Requests, *, downloads: int, events: int
) -> Iterator[Figure]:
    others = sent.by_path.total() - sent.by_path[PICTURE_PATH] - sent.by_path[EVENTS_PATH]
    yield from counts(
        key,
        text,
        ("downloads", "downloads", sent.pictures, downloads),
        ("events", "requests for events", sent.events, events),
        ("others", "other requests", others, 0),
    )


async def _compare(hass: HomeAssistant, cloud: Cloud, count: int) -> tuple[Rings, Rings]:
    await set_up(hass)
    none = await _ring(hass, cloud, count, pictures=False)
    cloud.set_picture_size(LARGE_BYTES)
    large = await _ring(hass, cloud, count, pictures=True)
    cloud.set_picture_size(0)
    return none, large


async def _ring(hass: HomeAssistant, cloud: Cloud, count: int, *, pictures: bool) -> Rings:
    with record_rings(hass, cloud) as recorder:
        await _ring_and_miss(recorder, pictures=pictures)  # warm-up
        await wait_idle(hass)
        recorder.clear()
        async with monitor_loop() as usage:
            for _ in range(count):
                await _ring_and_miss(recorder, pictures=pictures)
                await asyncio.sleep(PAUSE_SECONDS)
            await wait_idle(hass)
    return Rings(delays=[ring.shown - ring.read for ring in recorder.rings.values()], usage=usage)


async def _ring_and_miss(recorder: RingRecorder, *, pictures: bool) -> None:
    await recorder.ring(pictures=pictures)
    await recorder.miss()


def _time_figures(key: str, text: str, rings: Rings) -> Iterator[Figure]:
    yield median_ms(f"{key}.ms", f"{text}: read to state", rings.delays)
    yield Figure(
        key=f"{key}.loop_ms",
        text=f"{text}: work of the event loop until stored",
        value=rings.usage.busy * MS_PER_SECOND / len(rings.delays),
        unit="ms",
    )
    yield from blocked_figures(f"{key}.loop", text, rings.usage)
