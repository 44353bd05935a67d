"""From a ring's frame on the wire to its state, and the requests that a ring causes."""

from dataclasses import dataclass
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from .figures import Figure, count
from .home import live, set_up, sign_in
from .settling import settle
from .watching import press, watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud
    from .watching import Seen

AIMS: Final = {50: 3.5, 95: 6.3}  # percentile: milliseconds; a fifth of what existed
AIMED_PANELS: Final = 1  # what existed was measured with one panel
PERCENTILES: Final = (50, 95, 99)
EVERY: Final = 0.02  # seconds from ring to ring: each has the machine for itself
BATCH: Final = 15  # rings: pictures of many more at once are left for the next start
MS: Final = 1000.0  # per second


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Rings of one house: when each was sent and seen, and how often doorbells changed."""

    panels: int
    sent: Mapping[str, float]
    seen: Mapping[str, Seen]
    states: int


def measure(cloud: Cloud, folder: Path, panels: Sequence[int], rings: int) -> Iterator[Figure]:
    """Ring so often with each number of panels, in a Home Assistant of its own."""
    for number in panels:
        home = folder / str(number)
        home.mkdir()
        cloud.move(f"panels_{number}")
        live(home, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
        ring = partial(_ring, cloud=cloud, panels=number, rings=rings)
        yield from _figures(live(home, cloud.endpoints, ring), cloud)


async def _ring(hass: HomeAssistant, cloud: Cloud, panels: int, rings: int) -> Rings:
    await set_up(hass)
    with watching(hass) as watcher:
        await press(cloud, watcher, min(rings, 50))  # what is only slow the first time
        await settle(hass)
        watcher.seen.clear()
        watcher.states = 0
        cloud.forget()
        for begin in range(0, rings, BATCH):
            batch = min(BATCH, rings - begin)
            await press(cloud, watcher, batch, "--every", str(EVERY), "--panels", str(panels))
            await settle(hass)
    return Rings(panels=panels, sent=cloud.rings(), seen=watcher.seen, states=watcher.states)


def _figures(rings: Rings, cloud: Cloud) -> Iterator[Figure]:
    key, text = f"ring_{rings.panels}", f"ring, panels {rings.panels}"
    sent = len(rings.sent)
    yield Figure(key=f"{key}.rings", text=f"{text}: pressed", value=sent, unit="")
    lost = len(rings.sent.keys() - rings.seen.keys())
    yield count(f"{key}.lost", f"{text}: lost", lost, aim=0)
    extra = rings.states - sent
    yield count(f"{key}.extra", f"{text}: told more than once", extra, aim=0)
    found = cloud.requests()
    requests = found.by_path.total() - found.pictures
    yield count(f"{key}.requests", f"{text}: requests caused", requests, aim=0)
    # Each ring has a whole view and a close-up.
    yield count(f"{key}.pictures", f"{text}: pictures fetched", found.pictures, aim=2 * sent)
    pairs = [(rings.sent[session], seen) for session, seen in rings.seen.items()]
    yield from _times(key, "wire to state", text, [seen.shown - at for at, seen in pairs])
    yield from _times(f"{key}_own", "read to state", text, [s.shown - s.read for _, s in pairs])
    yield from _times(f"{key}_all", "wire to all states", text, [s.done - at for at, s in pairs])


def _times(key: str, what: str, text: str, seconds: Sequence[float]) -> Iterator[Figure]:
    samples = [each * MS for each in seconds]
    cuts = quantiles(samples, n=100, method="inclusive")
    is_aimed = key == f"ring_{AIMED_PANELS}"
    for percent in PERCENTILES:
        yield Figure(
            key=f"{key}.p{percent}_ms",
            text=f"{text}: {what}, p{percent}",
            value=cuts[percent - 1],
            unit="ms",
            aim=AIMS.get(percent) if is_aimed else None,
            samples=samples if percent == PERCENTILES[0] else (),
        )
