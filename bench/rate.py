"""How many rings a second get through, every one of them, once and in time."""

from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from .figures import Figure
from .home import live, set_up, sign_in
from .settling import settle
from .watching import press, watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud
    from .watching import Watcher

PANELS: Final = 10
STEPS: Final = (50, 100, 200, 300, 400, 500, 600, 700, 800)  # rings a second
SECONDS: Final = 4  # of each step; the cloud remembers 10 000 pushes, three of a ring
IN_TIME: Final = 0.1  # seconds, for 99 of 100
SHORTFALL: Final = 0.95  # of a step that has to be pressed for it to count


def measure(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    """Ring faster and faster, until rings are lost, come late, or cannot be pressed so fast."""
    cloud.move(f"panels_{PANELS}")
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    sustained, why = live(folder, cloud.endpoints, partial(_climb, cloud=cloud))
    yield Figure(
        key="rings.per_second",
        text=f"rings a second, {PANELS} panels, none lost ({why})",
        value=sustained,
        unit="",
    )


async def _climb(hass: HomeAssistant, cloud: Cloud) -> tuple[int, str]:
    """Return the last step that held, and why the next did not."""
    await set_up(hass)
    sustained = 0
    for step in STEPS:
        with watching(hass) as watcher:
            cloud.forget()
            options = ("--every", str(1 / step), "--panels", str(PANELS))
            spent = await press(cloud, watcher, step * SECONDS, *options)
        await settle(hass)
        if why := _what_failed(watcher, cloud.rings(), step, spent):
            return sustained, f"{step}: {why}"
        sustained = step
    return sustained, "no more was tried"


def _what_failed(watcher: Watcher, sent: dict[str, float], step: int, spent: float) -> str | None:
    delays = [seen.shown - sent[session] for session, seen in watcher.seen.items()]
    if len(delays) < len(sent) or watcher.states != len(sent):
        return f"{len(sent) - watcher.states} lost"
    if quantiles(delays, n=100)[98] > IN_TIME:
        return "late"
    if len(sent) / spent < SHORTFALL * step:
        return "the cloud cannot ring so fast"
    return None
