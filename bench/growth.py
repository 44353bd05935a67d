"""What ten thousand rings leave behind: memory, tasks, timers, calls."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
import resource
import tracemalloc
from typing import TYPE_CHECKING, Final

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

    from custom_components.bticino_classe.runtime import RuntimeData

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
    with watching(hass) as watcher:
        await press(cloud, watcher, 1, "--ending", "miss")
    await settle(hass)  # the first pictures add entities
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
    runtime: RuntimeData = entry_of(hass).runtime_data
    await settle(hass)
    await runtime.history.async_settle()
    await settle(hass)
    count = "SELECT count(*) FROM calls"
    (calls,) = await runtime.history.async_read(lambda db: db.execute(count).fetchone())
    assert calls == KEPT, "calls are lost, or too many are kept"
    found = leftovers(hass, remembered=_remembered(runtime))
    return Left(rings=end, resident=_resident(), leftovers=found)


def _remembered(runtime: RuntimeData) -> int:
    """Count what is kept in memory of calls, pushes and pictures."""
    tracker, push, history = runtime.calls._tracker, runtime.push, runtime.history
    store, summary, downloads = history._store, history._summary, runtime.downloads
    kept = (
        *(tracker._tracked, tracker._early_steps, push._seen, push.unknown),
        *(summary._newest, summary._unseen, summary.recent, summary._deletions),
        *(store._pending, store._listed, history._listeners, runtime.calls._listeners),
        *(downloads._under_way, downloads._events),
    )
    return sum(len(each) for each in kept)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
