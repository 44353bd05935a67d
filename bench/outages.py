"""How long it takes from the cloud's return until the socket is online again."""

from dataclasses import dataclass
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import RateLimiter
from custom_components.bticino_classe.client.websocket.backoff import LONGEST_DELAY
from custom_components.bticino_classe.client.websocket.keepalive import KeepalivePolicy
from custom_components.bticino_classe.const import RATE_LIMITERS

from .cloud import Cloud
from .figures import Figure
from .home import entry_of, live, set_up, sign_in
from .passing import passing
from .settling import look_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .passing import Passing

STABLE: Final = KeepalivePolicy().stable_after + 1.0  # seconds online until delays begin anew
MARGIN: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What happens to the sockets, for how many seconds."""

    key: str
    text: str
    begin: Callable[[Cloud], None]
    seconds: float


OUTAGES: Final = (
    Outage(key="cut", text="cut, at once there again", begin=Cloud.cut, seconds=0.0),
    Outage(key="mute", text="10 s without an answer", begin=Cloud.drop_handshakes, seconds=10.0),
    Outage(key="told", text="10 s of 503", begin=Cloud.take_down, seconds=10.0),
    Outage(key="told_long", text="10 min of 503", begin=Cloud.take_down, seconds=600.0),
)


def measure(cloud: Cloud, folder: Path, times: int) -> Iterator[Figure]:
    """Let each outage happen so often; delays pass in a moment, connections are real."""
    cloud.move("panels_1")
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    for outage in OUTAGES:
        suffer = partial(_suffer, cloud=cloud, outage=outage, times=times)
        yield from _figures(outage, live(folder, cloud.endpoints, suffer))


def _figures(outage: Outage, seconds: list[float]) -> Iterator[Figure]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    values = {"p50": cuts[49], "p95": cuts[94], "max": max(seconds)}
    for name, value in values.items():
        yield Figure(
            key=f"back_{outage.key}.{name}_s",
            text=f"online again after {outage.text}, {name}",
            value=value,
            unit="s",
            samples=seconds if name == "p50" else (),
        )


async def _suffer(hass: HomeAssistant, cloud: Cloud, outage: Outage, times: int) -> list[float]:
    entry = entry_of(hass)
    # The limit of requests has to go by the clock that is put forward further down.
    budget = RateLimiter(clock=lambda: hass.loop.time())  # noqa: PLW0108 - replaced by then
    hass.data[RATE_LIMITERS] = {entry.entry_id: budget}
    await set_up(hass)
    with passing(hass) as clocks:
        return [await _once(hass, clocks, cloud, outage) for _ in range(times)]


async def _once(hass: HomeAssistant, clocks: Passing, cloud: Cloud, outage: Outage) -> float:
    """Return the seconds from the end of one outage until the socket is online."""
    push = entry_of(hass).runtime_data.push
    await clocks.seconds(STABLE)
    outage.begin(cloud)
    await look_again(lambda: not push.is_online)
    await clocks.seconds(outage.seconds)
    cloud.bring_up()
    began = clocks.monotonic()
    await clocks.until(lambda: push.is_online, at_most=LONGEST_DELAY + MARGIN)
    assert push.is_online, "it never came back"
    return clocks.monotonic() - began
