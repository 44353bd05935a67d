"""Plays days of a house and compares each evening what must be true: `scripts/soak --help`."""

import argparse
import asyncio
from collections import Counter
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import TYPE_CHECKING, Final

from .virtual_time import lead

if TYPE_CHECKING:
    from .audit import Report
    from .story import Incident
    from .virtual_time import Leader

#: 1 January 2027 in Rome.
BEGIN: Final = 1_798_758_000.0
DAY: Final = 86_400.0


def main() -> int:
    """Return 1 if anything was not as it must be."""
    options = _options()
    real = time.monotonic
    began = real()
    with TemporaryDirectory(prefix="year-") as folder:
        report, faults = play(options, Path(options.folder or folder))
    from .audit import describe  # noqa: PLC0415 - once time is replaced

    for name, value in describe(report).items():
        print(f"{name:>32}: {value}")
    print(f"{'minutes of work':>32}: {(real() - began) / 60:.1f}")
    if options.json:
        content = describe(report) | {"seed": options.seed, "faults": faults}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    print(*faults, sep="\n")
    return 1 if faults else 0


def play(options: argparse.Namespace, folder: Path) -> tuple[Report, list[str]]:
    """Play the days of the options in a new house."""
    leader = lead(BEGIN + options.first_day * DAY)
    return asyncio.run(_play(options, folder, leader))


async def _play(
    options: argparse.Namespace, folder: Path, leader: Leader
) -> tuple[Report, list[str]]:
    # Time has to be replaced before these are imported.
    from .audit import Audit, Report  # noqa: PLC0415
    from .story import QUIET_MONTH, Story, incidents_of  # noqa: PLC0415
    from .world import World  # noqa: PLC0415

    report = Report()
    world = World(folder, leader, options.seed)
    audit, story = Audit(world, report), Story(world)
    faults: list[str] = []
    await world.begin()
    try:
        for day in range(options.first_day, options.first_day + options.days):
            incidents = [each for each in incidents_of(options.seed, day) if _wanted(options, each)]
            faults = await _day(story, audit, incidents, is_quiet=day in QUIET_MONTH)
            report.days += 1
            _count(report, incidents)
            if options.verbose or faults:
                _show(options.seed, day, incidents, faults)
            if faults:
                break
    finally:
        report.jumps, report.starts = leader.jumps, world.house.starts
        report.logins = sum(each.cloud.account.logins for each in world.accounts.values())
        await world.end()
        leader.run(True)  # threads end in real time
    return report, faults


async def _day(
    story: object, audit: object, incidents: list[Incident], *, is_quiet: bool
) -> list[str]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(story.play(each, began) for each in incidents))
    await story.heal()
    faults = await audit.end_of_day(is_quiet=is_quiet)
    await asyncio.sleep(max(0.0, began + DAY - loop.time()))
    return faults


def _wanted(options: argparse.Namespace, incident: Incident) -> bool:
    return not options.only or incident.name in options.only


def _count(report: Report, incidents: list[Incident]) -> None:
    report.incidents = dict(Counter(report.incidents) + Counter(each.name for each in incidents))


def _show(seed: int, day: int, incidents: list[Incident], faults: list[str]) -> None:
    print(f"seed {seed}, day {day}:", *(f"  {each}" for each in incidents), sep="\n")
    print(*(f"  FAULT {each}" for each in faults), sep="\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-day", type=int, default=0, help="begin with this day of the year")
    parser.add_argument("--only", nargs="*", metavar="INCIDENT", help="leave the others out")
    parser.add_argument("--folder", type=Path, help="keep Home Assistant's folder and log here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--verbose", action="store_true", help="print each day")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
