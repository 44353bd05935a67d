"""How fast a ring reaches Home Assistant's states, its requests, and how many fit in a second."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from .support.home_assistant import Installation, set_up
from .support.report import MS_PER_SECOND, Figure, counts, percentile
from .support.ring_recorder import record_rings
from .support.waiting import wait_idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud
    from .support.ring_recorder import Ring, RingRecorder

AIMS_MS: Final = {50: 3.5, 95: 6.3}  # by percentile: a fifth of what an earlier integration needs
PANELS_WITH_AIMS: Final = 1  # that one was measured with one panel
PERCENTILES: Final = (50, 95, 99)
WARM_UP_RINGS: Final = 50
INTERVAL_SECONDS: Final = 0.02  # so that no ring waits for the one before
BATCH: Final = 15  # rings; with more at once, pictures would be left for the next list of events
RATE_PANELS: Final = 10
RATES: Final = (50, 100, 200, 300, 400, 500, 600, 700, 800)  # rings a second
RATE_SECONDS: Final = 4  # for each rate; the cloud's journal has room for 10 000 pushes
IN_TIME_SECONDS: Final = 0.1  # for 99 of 100 rings
MIN_GENERATED: Final = 0.95  # of a rate, for it to count as generated


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """The rings of a house: sent and received by session, and state changes of doorbells."""

    panels: int
    sent: Mapping[str, float]
    received: Mapping[str, Ring]
    state_changes: int


def measure(cloud: Cloud, folder: Path, panels: Sequence[int], count: int) -> Iterator[Figure]:
    """Ring many times with each number of panels."""
    for number in panels:
        installation = Installation.create(cloud, folder / str(number), f"panels_{number}")
        ring = partial(_ring, cloud=cloud, panels=number, count=count)
        yield from _figures(installation.run(ring), cloud)


def measure_rate(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    """Ring at increasing rates until a ring is lost, is late, or cannot be generated."""
    installation = Installation.create(cloud, folder, f"panels_{RATE_PANELS}")
    rate, reason = installation.run(partial(_find_rate, cloud=cloud))
    yield Figure(
        key="rings.per_second",
        text=f"rings a second with {RATE_PANELS} panels, none lost ({reason})",
        value=rate,
    )


async def _ring(hass: HomeAssistant, cloud: Cloud, panels: int, count: int) -> Rings:
    await set_up(hass)
    options = ("--interval", str(INTERVAL_SECONDS), "--panels", str(panels))
    with record_rings(hass, cloud) as recorder:
        await recorder.generate(min(count, WARM_UP_RINGS))
        await wait_idle(hass)
        recorder.clear()
        for start in range(0, count, BATCH):
            await recorder.generate(min(BATCH, count - start), *options)
            await wait_idle(hass)
    return Rings(
        panels=panels,
        sent=cloud.rings(),
        received=recorder.rings,
        state_changes=recorder.state_changes,
    )


def _figures(rings: Rings, cloud: Cloud) -> Iterator[Figure]:
    plural = "s" if rings.panels > 1 else ""
    key, text = f"ring_{rings.panels}", f"ring, {rings.panels} panel{plural}"
    sent, requests = len(rings.sent), cloud.requests()
    others = requests.by_path.total() - requests.pictures
    yield from counts(
        key,
        text,
        ("rings", "sent", sent, None),
        ("lost", "lost", len(rings.sent.keys() - rings.received.keys()), 0),
        ("extra", "duplicate", rings.state_changes - sent, 0),
        ("requests", "requests but for pictures", others, 0),
        ("pictures", "pictures downloaded, two of each", requests.pictures, 2 * sent),
    )
    yield from _times(rings, key, text)


def _times(rings: Rings, key: str, text: str) -> Iterator[Figure]:
    """Yield the times from sent or read to the doorbell's state, and to the states of all."""
    pairs = [(rings.sent[session], ring) for session, ring in rings.received.items()]
    aims = AIMS_MS if rings.panels == PANELS_WITH_AIMS else {}
    wire = [ring.shown - sent for sent, ring in pairs]
    yield from _percentiles(key, f"{text}: wire to state", wire, aims)
    own = [ring.shown - ring.read for _, ring in pairs]
    yield from _percentiles(f"{key}_own", f"{text}: read to state", own, {})
    complete = [ring.done - sent for sent, ring in pairs]
    yield from _percentiles(f"{key}_all", f"{text}: wire to all states", complete, {})


def _percentiles(
    key: str, text: str, seconds: Sequence[float], aims: Mapping[int, float]
) -> Iterator[Figure]:
    samples = [each * MS_PER_SECOND for each in seconds]
    for percent in PERCENTILES:
        yield Figure(
            key=f"{key}.p{percent}_ms",
            text=f"{text}, p{percent}",
            value=percentile(samples, percent),
            unit="ms",
            aim=aims.get(percent),
            samples=samples if percent == PERCENTILES[0] else (),
        )


async def _find_rate(hass: HomeAssistant, cloud: Cloud) -> tuple[int, str]:
    """Return the highest rate without a failure, and why the next one failed."""
    await set_up(hass)
    sustained = 0
    for rate in RATES:
        options = ("--interval", str(1 / rate), "--panels", str(RATE_PANELS))
        cloud.reset()
        with record_rings(hass, cloud) as recorder:
            taken = await recorder.generate(rate * RATE_SECONDS, *options)
        await wait_idle(hass)
        if failure := _failure(recorder, cloud.rings(), rate, taken):
            return sustained, f"{rate}: {failure}"
        sustained = rate
    return sustained, "no higher rate was tried"


def _failure(
    recorder: RingRecorder, sent: Mapping[str, float], rate: int, taken: float
) -> str | None:
    delays = [ring.shown - sent[session] for session, ring in recorder.rings.items()]
    if len(delays) < len(sent) or recorder.state_changes != len(sent):
        return f"{len(sent) - recorder.state_changes} lost"
    if percentile(delays, 99) > IN_TIME_SECONDS:
        return "late"
    if len(sent) / taken < MIN_GENERATED * rate:
        return "cannot be generated"
    return None
