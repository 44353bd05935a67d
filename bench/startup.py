"""Set-up time and requests of a restart, by the number of modules."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from .figures import Figure, count
from .home import Spent, live, set_up, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .cloud import Cloud

AIMS: Final = {4: 100.0, 501: 400.0}  # modules: milliseconds
MS: Final = 1000.0  # per second
# How much more a module may cost in a large house than in a small one. Growth by the square would
# give about 10 here; what is linear gives up to 1.5, since Python looks for garbage more often.
LINEAR: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """What restarts at one size took: the time of each, and the most requests of any."""

    modules: int
    spent: Sequence[Spent]
    token_requests: int
    others: int

    @property
    def passed(self) -> list[float]:
        """Milliseconds that passed."""
        return [spent.passed * MS for spent in self.spent]

    @property
    def worked(self) -> list[float]:
        """Milliseconds that a processor worked; other processes do not disturb these."""
        return [spent.worked * MS for spent in self.spent]


def measure(cloud: Cloud, folder: Path, sizes: Sequence[int], runs: int) -> Iterator[Figure]:
    """Restart at each size, so many times, each in a Home Assistant of its own."""
    found = [_restarts(cloud, folder / str(modules), modules, runs) for modules in sizes]
    for restarts in found:
        yield from _figures(restarts)
    yield from _growth(found)


def _restarts(cloud: Cloud, folder: Path, modules: int, runs: int) -> Restarts:
    cloud.move(f"modules_{modules}")
    folder.mkdir()
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    live(folder, cloud.endpoints, set_up)  # imports what Home Assistant itself brings
    spent, requests = [], []
    for _ in range(runs):
        cloud.forget()
        spent.append(live(folder, cloud.endpoints, set_up))
        requests.append(cloud.requests())
    return Restarts(
        modules=modules,
        spent=spent,
        token_requests=max(found.tokens for found in requests),
        others=max(found.others for found in requests),
    )


def _figures(restarts: Restarts) -> Iterator[Figure]:
    modules = restarts.modules
    key, text = f"restart_{modules}", f"restart with {modules} modules"
    yield Figure(
        key=f"{key}.ms",
        text=text,
        value=median(restarts.passed),
        unit="ms",
        aim=AIMS.get(modules),
        samples=restarts.passed,
    )
    yield Figure(
        key=f"{key}.processor_ms",
        text=f"{text}: processor time",
        value=median(restarts.worked),
        unit="ms",
        samples=restarts.worked,
    )
    yield count(f"{key}.token_requests", f"{text}: token requests", restarts.token_requests, aim=1)
    yield count(f"{key}.other_requests", f"{text}: other requests", restarts.others, aim=2)


def _growth(found: Sequence[Restarts]) -> Iterator[Figure]:
    """Compare the least processor times, those that nothing else on the machine has disturbed."""
    slopes = []
    for small, large in pairwise(found):
        added = min(large.worked) - min(small.worked)
        slopes.append(added / (large.modules - small.modules))
        yield Figure(
            key=f"growth_{small.modules}_{large.modules}.processor_ms_per_module",
            text=f"each module from {small.modules} to {large.modules}: processor time",
            value=slopes[-1],
            unit="ms",
        )
    if len(slopes) > 1:
        yield Figure(
            key="growth.ratio",
            text="growth: the last to the one before (1 is linear)",
            value=slopes[-1] / slopes[0],
            unit="",
            aim=LINEAR,
        )
