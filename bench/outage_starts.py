"""Restarts with the cloud away, slow and near: when all entities are there, and what was sent."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import Endpoints

from .support.home_assistant import Installation, begin_set_up, check_set_up
from .support.report import Figure, counts, median_ms
from .support.waiting import wait_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud

HOUSE: Final = "modules_51"
SLOW_SECONDS: Final = 0.3  # for each request
AIM_MS: Final = 100.0
NOWHERE: Final = "127.0.0.1:9"  # nothing listens there
AWAY: Final = Endpoints(
    api=f"http://{NOWHERE}",
    turn=f"http://{NOWHERE}",
    push=f"ws://{NOWHERE}/ws/",
    signaling=f"ws://{NOWHERE}/appws/",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How the cloud is while Home Assistant restarts."""

    key: str
    text: str
    begin: Callable[[Cloud], None] = lambda _: None
    endpoints: Endpoints | None = None


CONDITIONS: Final = (
    Condition(key="near", text="the cloud near"),
    Condition(
        key="slow",
        text="300 ms for each request",
        begin=lambda cloud: cloud.slow_down(SLOW_SECONDS),
    ),
    Condition(key="down", text="the cloud down (503)", begin=lambda cloud: cloud.take_down()),
    Condition(key="away", text="no connection to the cloud", endpoints=AWAY),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds until all entities were there, and the requests until then."""

    elapsed: float
    requests: int


def measure(cloud: Cloud, folder: Path, runs: int) -> Iterator[Figure]:
    """Restart many times in each condition, each time in a new Home Assistant."""
    installation = Installation.create(cloud, folder, HOUSE)
    installation.run(partial(_start, cloud=cloud))  # imports what Home Assistant itself needs
    for condition in CONDITIONS:
        starts = [_restart(installation, condition) for _ in range(runs)]
        yield from _figures(condition, starts)


def _restart(installation: Installation, condition: Condition) -> Start:
    cloud = installation.cloud
    cloud.reset()
    condition.begin(cloud)
    start = installation.run(partial(_start, cloud=cloud), endpoints=condition.endpoints)
    cloud.bring_up()
    return start


async def _start(hass: HomeAssistant, cloud: Cloud) -> Start:
    started, _ = await begin_set_up(hass)
    elapsed = perf_counter() - started
    # Nothing else runs in this process until the cloud has reported what it received.
    requests = cloud.requests().by_path.total()
    check_set_up(hass)
    await wait_idle(hass)
    return Start(elapsed=elapsed, requests=requests)


def _figures(condition: Condition, starts: list[Start]) -> Iterator[Figure]:
    key, text = f"restart_{condition.key}", f"restart, {condition.text}"
    yield median_ms(f"{key}.ms", f"{text}: entities there", [s.elapsed for s in starts], aim=AIM_MS)
    requests = max(start.requests for start in starts)
    yield from counts(key, text, ("requests", "requests until then", requests, 0))
