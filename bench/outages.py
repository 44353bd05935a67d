"""How long it takes from the end of an outage until homes are online again."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import RateLimiter
from custom_components.bticino_classe.client.websocket.backoff import LONGEST_DELAY
from custom_components.bticino_classe.client.websocket.keepalive import KeepalivePolicy
from custom_components.bticino_classe.const import RATE_LIMITERS

from .support.clock import FastClock, fast_clock
from .support.cloud import Cloud
from .support.home_assistant import Installation, entry_of, runtime_of, set_up
from .support.report import Figure, percentile
from .support.waiting import wait_until

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

HOUSE: Final = "panels_1"
STABLE_SECONDS: Final = KeepalivePolicy().stable_after + 1.0  # online until the backoff is reset
MARGIN_SECONDS: Final = 60.0
FLEET_OUTAGES: Final = {
    "a moment": 0.01,
    "10 s": 10.0,
    "1 min": 60.0,
    "10 min": 600.0,
    "1 h": 3600.0,
}
BACK_PERCENTS: Final = (50, 95, 99)
SHORT_OUTAGE_SECONDS: Final = 60.0
SHORT_AIMS: Final = {50: 5.0}  # seconds, by percent
AIMS: Final = {50: 30.0, 95: 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """An outage of the push socket."""

    key: str
    text: str
    begin: Callable[[Cloud], None]
    seconds: float


OUTAGES: Final = (
    Outage(
        key="cut",
        text="a cut, the cloud back at once",
        begin=Cloud.drop_connections,
        seconds=0.0,
    ),
    Outage(
        key="no_answer_10s",
        text="10 s without an answer",
        begin=Cloud.stop_answering,
        seconds=10.0,
    ),
    Outage(
        key="no_answer_1min",
        text="1 min without an answer",
        begin=Cloud.stop_answering,
        seconds=60.0,
    ),
    Outage(
        key="no_answer_10min",
        text="10 min without an answer",
        begin=Cloud.stop_answering,
        seconds=600.0,
    ),
    Outage(key="503_10s", text="10 s of 503", begin=Cloud.take_down, seconds=10.0),
    Outage(key="503_1min", text="1 min of 503", begin=Cloud.take_down, seconds=60.0),
    Outage(key="503_10min", text="10 min of 503", begin=Cloud.take_down, seconds=600.0),
)


def measure(cloud: Cloud, folder: Path, times: int) -> Iterator[Figure]:
    """Repeat each outage with real connections and a fast clock."""
    installation = Installation.create(cloud, folder, HOUSE)
    for outage in OUTAGES:
        recover = partial(_recover, cloud=cloud, outage=outage, times=times)
        yield from _figures(outage, installation.run(recover))


def measure_fleet() -> Iterator[Figure]:
    """Compute with the client's own delays when 10 000 homes are back."""
    # Imported late, so that no other measurement has the test's libraries in memory.
    from tests.client.test_backoff import arrivals  # noqa: PLC0415

    for is_overload, answer in ((True, "503"), (False, "no answer")):
        for duration, seconds in FLEET_OUTAGES.items():
            key = f"fleet_{answer.replace(' ', '_')}_{seconds:.0f}s"
            text = f"10 000 homes, {duration} of {answer}"
            homes = arrivals(seconds, is_overload=is_overload)
            yield from _fleet_figures(key, text, homes, aims_of(seconds))


def _figures(outage: Outage, seconds: Sequence[float]) -> Iterator[Figure]:
    aims = aims_of(outage.seconds)
    for name, value, aim in (
        ("p50", percentile(seconds, 50), aims.get(50)),
        ("p95", percentile(seconds, 95), aims.get(95)),
        ("max", max(seconds), None),
    ):
        yield Figure(
            key=f"back_{outage.key}.{name}_s",
            text=f"online again after {outage.text}, {name}",
            value=value,
            unit="s",
            aim=aim,
            samples=seconds if name == "p50" else (),
        )


def aims_of(seconds: float) -> dict[int, float]:
    """Return within how many seconds a share of the homes is to be back, by percent."""
    return SHORT_AIMS if seconds <= SHORT_OUTAGE_SECONDS else AIMS


async def _recover(hass: HomeAssistant, cloud: Cloud, outage: Outage, times: int) -> list[float]:
    # The rate limiter has to follow the fast clock, which replaces `loop.time` below.
    limiter = RateLimiter(clock=lambda: hass.loop.time())  # noqa: PLW0108 - replaced by then
    hass.data[RATE_LIMITERS] = {entry_of(hass).entry_id: limiter}
    await set_up(hass)
    with fast_clock(hass) as clock:
        return [await _recover_once(hass, clock, cloud, outage) for _ in range(times)]


async def _recover_once(
    hass: HomeAssistant, clock: FastClock, cloud: Cloud, outage: Outage
) -> float:
    """Return the seconds from the end of an outage until the socket is online."""
    push = runtime_of(hass).push
    await clock.advance(STABLE_SECONDS)
    outage.begin(cloud)
    await wait_until(lambda: not push.is_online)
    await clock.advance(outage.seconds)
    cloud.bring_up()
    start = clock.monotonic()
    await clock.advance_until(lambda: push.is_online, at_most=LONGEST_DELAY + MARGIN_SECONDS)
    assert push.is_online, "the socket did not reconnect"
    return clock.monotonic() - start


def _fleet_figures(
    key: str, text: str, homes: Counter[int], aims: dict[int, float]
) -> Iterator[Figure]:
    """Yield when homes are back; they are counted by seconds since the end of the outage.

    How many come in one second has no aim: it is the price of those for the time.
    """
    yield Figure(
        key=f"{key}.most_percent",
        text=f"{text}: most in one second",
        value=max(homes.values()) / homes.total() * 100,
        unit="%",
    )
    seconds = sorted(homes.elements())
    for percent in BACK_PERCENTS:
        yield Figure(
            key=f"{key}.back_{percent}_s",
            text=f"{text}: {percent} % are back within",
            value=seconds[len(seconds) * percent // 100 - 1] + 1,
            unit="s",
            aim=aims.get(percent),
        )
