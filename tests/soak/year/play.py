"""Plays day after day, until the last or the first that fails."""

import asyncio
from collections import Counter
from dataclasses import dataclass
import logging
import sys
from typing import TYPE_CHECKING, Final

from .audit import MEGABYTE, Audit, Report
from .house import NEWEST
from .incidents import QUIET_MONTH, UPGRADE, incidents_of
from .story import Story
from .world import World

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .incidents import Incident
    from .virtual_time import Leader

DAY: Final = 86_400.0
#: The kernel's probes find a dead connection within a minute of real time. Here it is found when
#: the subscription is confirmed, after half an hour, or when a pause of an hour is over.
SETTLED_AFTER: Final = 65 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played; `incidents` are numbers of those of each day, None: all."""

    seed: int
    days: range
    incidents: Collection[int] | None = None
    is_verbose: bool = False


async def play(plan: Plan, folder: Path, leader: Leader) -> Report:
    """Play a plan in a new house and return what it was like."""
    # The simulated cloud drops connections on purpose.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    report = Report()
    world = World(folder, leader, plan.seed)
    if plan.days[0] > UPGRADE:
        world.house.python = NEWEST
    audit, story = Audit(world, report), Story(world)
    try:
        await world.begin()
        for day in plan.days:
            incidents = _chosen(plan, day)
            report.faults = await _day(story, audit, incidents, is_quiet=day in QUIET_MONTH)
            if plan.is_verbose or report.faults:
                _show(plan.seed, day, incidents, report.memory[-1])
            if report.faults:
                break
            report.days += 1
            report.incidents.update(Counter(each.name for each in incidents.values()))
    finally:
        report.jumps, report.starts = leader.jumps, world.house.starts
        report.logins = sum(each.cloud.account.logins for each in world.accounts.values())
        await world.end()
        leader.run(True)  # threads end in real time
    return report


async def _day(
    story: Story, audit: Audit, incidents: dict[int, Incident], *, is_quiet: bool
) -> list[str]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(story.play(each, began) for each in incidents.values()))
    await story.heal()
    await asyncio.sleep(SETTLED_AFTER)
    faults = await audit.end_of_day(is_quiet=is_quiet)
    await asyncio.sleep(max(0.0, began + DAY - loop.time()))
    return faults


def _chosen(plan: Plan, day: int) -> dict[int, Incident]:
    numbered = enumerate(incidents_of(plan.seed, day))
    return {n: each for n, each in numbered if plan.incidents is None or n in plan.incidents}


def _show(seed: int, day: int, incidents: dict[int, Incident], memory: int) -> None:
    lines = [f"  {number:3} {each}" for number, each in incidents.items()]
    sys.stdout.write(
        "\n".join([f"seed {seed}, day {day}, {memory / MEGABYTE:.1f} MiB:", *lines]) + "\n"
    )
    sys.stdout.flush()
