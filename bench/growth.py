"""What ten thousand rings leave behind: memory, tasks, timers, calls."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
import resource
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from custom_components.bticino_classe.const import CONF_CALLS

from .figures import Figure
from .home import entry_of, live, set_up, sign_in
from .leftovers import KIB, Leftovers, leftovers, more
from .past import limit
from .settling import settle
from .watching import press, watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud

HOUSE: Final = "panels_1"
EVERY: Final = 0.004  # seconds from ring to ring
KEPT: Final = 100  # calls: fewer than ring before the first halt


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is there once so many rings are over; `resident` is in bytes."""

    rings: int
    resident: int
    leftovers: Leftovers


def measure(cloud: Cloud, folder: Path, rings: Sequence[int]) -> Iterator[Figure]:
    """Let so many calls be missed, and compare the first halt with the last.

    The halts between keep the notes of the watcher itself small.
    """
    cloud.move(HOUSE)
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    first, last = live(folder, cloud.endpoints, partial(_endure, cloud=cloud, rings=rings))
    text = f"from {first.rings} to {last.rings} rings"
    yield from more("growth", text, first.leftovers, last.leftovers)
    yield Figure(
        key="growth.resident_kib",
        text=f"{text}: resident memory more, in all",
        value=(last.resident - first.resident) / KIB,
        unit="KiB",
    )


async def _endure(hass: HomeAssistant, cloud: Cloud, rings: Sequence[int]) -> tuple[Left, Left]:
    limit(hass, **{CONF_CALLS: KEPT})
    await set_up(hass)
    found = []
    cloud.note_pushes(on=False)
    tracemalloc.start()
    try:
        for begin, end in zip((0, *rings), rings, strict=False):
            found.append(await _after(hass, cloud, begin, end))
    finally:
        tracemalloc.stop()
        cloud.note_pushes(on=True)
    return found[0], found[-1]


async def _after(hass: HomeAssistant, cloud: Cloud, begin: int, end: int) -> Left:
    """Ring until so many rings are over, wait until all is quiet, and look."""
    with watching(hass) as watcher:
        await press(cloud, watcher, end - begin, "--every", str(EVERY), "--ending", "miss")
        assert watcher.states == end - begin, "rings were lost"
    del watcher
    coordinator = entry_of(hass).runtime_data.coordinator
    bell = coordinator.bell
    await bell.history.async_save()
    await settle(hass)
    remembered = _remembered(bell) + _pictures(coordinator.pictures)
    found = leftovers(hass, remembered=remembered)
    return Left(rings=end, resident=_resident(), leftovers=found)


def _remembered(bell: Any) -> int:
    """Count what the bell and its history keep of calls and pushes."""
    book, history = bell.book, bell.history
    assert len(history.calls) == KEPT, "calls are lost, or too many are kept"
    kept = (book._tracked, book._early_steps, bell.channel._seen, bell.channel.unknown)
    past = (history.calls, history._ledger._unseen, history._deletions.by_id, history._listeners)
    others = (history._saving._removed, history._archive._rows, bell._listeners)
    return sum(len(each) for each in (*kept, *past, *others))


def _pictures(pictures: Any) -> int:
    return len(pictures._under_way) + len(pictures._events)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
