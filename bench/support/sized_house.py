"""One house of a given size, in a process of its own: filled, or measured; prints JSON.

`python -m bench.support.sized_house fill|measure --url … --folder … --panels … --calls …`
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
import gc
import json
import os
from pathlib import Path
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from homeassistant.util import dt as dt_util

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics

from .cloud import Cloud
from .history_data import Place, browse, file_of, fill
from .home_assistant import Installation, entry_of, runtime_of, set_up, silence_loggers
from .loop_monitor import monitor_loop
from .report import MS_PER_SECOND, percentile
from .ring_recorder import record_rings
from .slow_disk import Disk
from .waiting import wait_idle

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .ring_recorder import RingRecorder

BATCH: Final = 10  # rings; with more at once, pictures would be left for the next list of events
INTERVAL_SECONDS: Final = 0.1  # from ring to ring
SLOW_INTERVAL_SECONDS: Final = 1.0  # so that a slow disk stores a call before the next ring
MONTH: Final = timedelta(days=31)
MISSED_RINGS: Final = 10  # that happen while the account is not loaded
RESET_PEAK: Final = "5"  # for the kernel

type Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step took: time, lateness of the event loop, operations of the disk, memory.

    `blocking` are the operations of the disk that the event loop waited for.
    """

    ms: float
    late_max_ms: float
    late_p99_ms: float
    callback_ms: float
    operations: int
    blocking: int
    peak_kib: float


@dataclass(slots=True, kw_only=True)
class House:
    """A house while it is measured."""

    hass: HomeAssistant
    cloud: Cloud
    disk: Disk
    interval: float
    steps: dict[str, Step]
    facts: dict[str, Any]

    async def step(self, name: str, act: Act) -> None:
        """Measure a step."""
        before, memory = self.disk.operations(), _start_peak()
        async with monitor_loop() as usage:
            start = time.perf_counter()
            await act()
            taken = time.perf_counter() - start
        done = self.disk.operations() - before
        lags = [lag * MS_PER_SECOND for lag in usage.lags]
        self.steps[name] = Step(
            ms=taken * MS_PER_SECOND,
            late_max_ms=max(lags),
            late_p99_ms=percentile(lags, 99),
            callback_ms=usage.longest_callback * MS_PER_SECOND,
            operations=done.total,
            blocking=done.blocking,
            peak_kib=_memory("VmHWM") - memory,
        )


def main() -> int:
    """Fill or measure a house."""
    arguments = _arguments()
    silence_loggers()
    os.environ.pop("LD_PRELOAD", None)  # not for the processes that this one starts
    cloud = Cloud(arguments.url)
    if arguments.act == "fill":
        installation = Installation.create(cloud, arguments.folder, f"panels_{arguments.panels}")
        places = installation.run(Place.find_all)
        installation.run(partial(fill, calls=arguments.calls, places=places, now=time.time()))
        return 0
    installation = Installation(cloud, arguments.folder)
    installation.run(set_up)  # imports what Home Assistant itself needs
    gc.collect()
    gc.freeze()  # the set-up collects garbage first, which is not to be measured
    print(json.dumps(installation.run(partial(_measure, cloud=cloud, arguments=arguments))))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.support.sized_house", description=__doc__)
    parser.add_argument("act", choices=("fill", "measure"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--panels", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--rings", type=int, default=BATCH)
    parser.add_argument("--operations", type=float, default=0.0, help="of the disk, a second")
    return parser.parse_args()


async def _measure(
    hass: HomeAssistant, cloud: Cloud, arguments: argparse.Namespace
) -> dict[str, Any]:
    disk = Disk()
    disk.limit(arguments.operations)
    interval = SLOW_INTERVAL_SECONDS if arguments.operations else INTERVAL_SECONDS
    house = House(hass=hass, cloud=cloud, disk=disk, interval=interval, steps={}, facts={})
    await house.step("start", partial(_start, house))
    await _measure_rings(house, arguments.rings, arguments.panels)
    await _measure_reading(house)
    await _measure_reload(house)
    await house.step("delete", partial(_act, hass, "delete_calls", {"all": True}))
    house.facts["left"] = (await runtime_of(hass).history.async_count()).calls
    disk.limit(0)
    steps = {name: asdict(step) for name, step in house.steps.items()}
    return {"steps": steps, "facts": house.facts, "is_counted": disk.is_there}


async def _start(house: House) -> None:
    taken = await set_up(house.hass)
    house.facts["start_ms"] = taken.elapsed * MS_PER_SECOND
    await wait_idle(house.hass)
    house.facts["memory_kib"] = _memory("VmRSS")
    house.facts["file_bytes"] = file_of(house.hass).stat().st_size
    house.facts["calls"] = (await runtime_of(house.hass).history.async_count()).calls


async def _measure_rings(house: House, count: int, panels: int) -> None:
    """Ring, and wait for each batch until it is stored."""
    with record_rings(house.hass, house.cloud) as recorder:
        await recorder.generate(1)
        await wait_idle(house.hass)
        recorder.clear()
        await house.step("rings", partial(_ring, house, recorder, count, panels))
        sent = house.cloud.rings()
        received = recorder.rings
        house.facts["lost"] = len(sent.keys() - received.keys())
        house.facts["extra"] = recorder.state_changes - len(sent)
        house.facts["wire_ms"] = [
            (ring.shown - sent[session]) * MS_PER_SECOND for session, ring in received.items()
        ]


async def _ring(house: House, recorder: RingRecorder, count: int, panels: int) -> None:
    options = ("--interval", str(house.interval), "--panels", str(panels))
    for start in range(0, count, BATCH):
        await recorder.generate(min(BATCH, count - start), *options)
        await wait_idle(house.hass)


async def _measure_reading(house: House) -> None:
    """Read the history as its actions, the calendar, the media browser and diagnostics do."""
    hass = house.hass
    now = dt_util.utcnow()
    # Not through the action, as Home Assistant serializes its response in one go.
    calendar = hass.data["calendar"].get_entity(hass.states.async_entity_ids("calendar")[0])
    await house.step("month", partial(calendar.async_get_events, hass, now - MONTH, now))
    await house.step("list", partial(_act, hass, "export_calls", {}))
    everything = {"start": "2000-01-01 00:00:00"}
    await house.step("export", partial(_act, hass, "export_calls", everything))
    await house.step("browse", partial(browse, hass))
    report = partial(async_get_config_entry_diagnostics, hass, entry_of(hass))
    await house.step("diagnostics", report)


async def _act(hass: HomeAssistant, action: str, data: dict[str, Any]) -> None:
    """Call an action; its response is dropped at once, but counts for the peak of memory."""
    has_response = action != "delete_calls"
    await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=has_response
    )


async def _measure_reload(house: House) -> None:
    """Unload; after some calls that nobody records, set up again and catch up."""
    hass, entry_id = house.hass, entry_of(house.hass).entry_id
    await house.step("unload", partial(hass.config_entries.async_unload, entry_id))
    for _ in range(MISSED_RINGS):
        await asyncio.to_thread(partial(house.cloud.ring, pictures=True))
        await asyncio.to_thread(house.cloud.miss)
    await house.step("catch_up", partial(_catch_up, house, entry_id))


async def _catch_up(house: House, entry_id: str) -> None:
    await house.hass.config_entries.async_setup(entry_id)
    history = runtime_of(house.hass).history
    await wait_idle(house.hass)
    house.facts["caught_up"] = (await history.async_count()).calls


def _start_peak() -> float:
    """Start to measure the peak of the memory; return the memory now, in KiB."""
    Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    return _memory("VmRSS")


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(dict(line.split(":", 1) for line in lines)[name].split()[0])


if __name__ == "__main__":
    sys.exit(main())
