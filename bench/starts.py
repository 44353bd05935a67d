"""Time, requests and memory of a restart, by the number of modules."""

from dataclasses import dataclass
import gc
from itertools import pairwise
import tracemalloc
from typing import TYPE_CHECKING, Final

from .support.home_assistant import Installation, SetUpTime, set_up
from .support.report import KIB, MS_PER_SECOND, Figure, counts, median_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud

AIMS_MS: Final = {4: 100.0, 501: 400.0}  # by modules
# How much more a module may cost in a large house than in a small one. Quadratic growth would give
# about 10; linear growth gives up to 1.5, since the garbage collector runs more often.
MAX_GROWTH: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """Restarts with a number of modules: the time of each, and the most requests of any."""

    modules: int
    times: Sequence[SetUpTime]
    token_requests: int
    other_requests: int

    @property
    def processor(self) -> list[float]:
        """Seconds of processor time, which other processes do not disturb."""
        return [time.processor for time in self.times]


def measure(cloud: Cloud, folder: Path, sizes: Sequence[int], runs: int) -> Iterator[Figure]:
    """Restart many times with each number of modules, each time in a new Home Assistant."""
    results = [_restart(cloud, folder / str(modules), modules, runs) for modules in sizes]
    for restarts in results:
        yield from _figures(restarts)
    yield from _growth(results)


def measure_memory(cloud: Cloud, folder: Path, sizes: Sequence[int]) -> Iterator[Figure]:
    """Restart with the fewest and the most modules; the difference is what modules need."""
    small, large = min(sizes), max(sizes)
    few, many = (_memory(cloud, folder / str(size), size) for size in (small, large))
    yield Figure(
        key="memory.kib_per_module",
        text=f"memory of each module, from {small} to {large}",
        value=(many - few) / (large - small) / KIB,
        unit="KiB",
    )


def _restart(cloud: Cloud, folder: Path, modules: int, runs: int) -> Restarts:
    installation = Installation.create(cloud, folder, f"modules_{modules}")
    installation.run(set_up)  # imports what Home Assistant itself needs
    times, requests = [], []
    for _ in range(runs):
        cloud.reset()
        times.append(installation.run(set_up))
        requests.append(cloud.requests())
    return Restarts(
        modules=modules,
        times=times,
        token_requests=max(sent.tokens for sent in requests),
        other_requests=max(sent.others for sent in requests),
    )


def _figures(restarts: Restarts) -> Iterator[Figure]:
    modules = restarts.modules
    key, text = f"restart_{modules}", f"restart with {modules} modules"
    elapsed = [time.elapsed for time in restarts.times]
    # From the start of the set-up until every enabled entity is there; imports do not count.
    yield median_ms(f"{key}.ms", f"{text}: time", elapsed, aim=AIMS_MS.get(modules))
    yield median_ms(f"{key}.processor_ms", f"{text}: processor time", restarts.processor)
    available = [time.available for time in restarts.times]
    yield median_ms(f"{key}.available_ms", f"{text}: time until available", available)
    yield from counts(
        key,
        text,
        ("token_requests", "requests for tokens", restarts.token_requests, 1),
        ("other_requests", "other requests", restarts.other_requests, 2),
    )


def _growth(results: Sequence[Restarts]) -> Iterator[Figure]:
    """Compare the shortest processor times, which are disturbed least."""
    slopes = []
    for small, large in pairwise(results):
        added = (min(large.processor) - min(small.processor)) * MS_PER_SECOND
        slopes.append(added / (large.modules - small.modules))
        yield Figure(
            key=f"restart_{small.modules}_to_{large.modules}.processor_ms_per_module",
            text=f"restart, each module from {small.modules} to {large.modules}: processor time",
            value=slopes[-1],
            unit="ms",
        )
    if len(slopes) > 1:
        yield Figure(
            key="restart.growth",
            text="restart, growth of the time of each module (1 is linear)",
            value=slopes[-1] / slopes[0],
            aim=MAX_GROWTH,
        )


def _memory(cloud: Cloud, folder: Path, modules: int) -> int:
    return Installation.create(cloud, folder, f"modules_{modules}").run(_traced_bytes)


async def _traced_bytes(hass: HomeAssistant) -> int:
    """Set up; return the memory of the Python objects that remain."""
    gc.collect()
    tracemalloc.start()
    try:
        await set_up(hass)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
