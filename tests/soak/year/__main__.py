"""Play days of a house and compare each evening what must be true; return 1 if it is not.

Of the first evening that fails, the shortest part of the day that fails alone is looked for.
"""

import argparse
import asyncio
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import TYPE_CHECKING, Final

from .play import Plan, play
from .shorten import shortest
from .virtual_time import lead

if TYPE_CHECKING:
    from .audit import Report

#: 1 January 2027 in Rome.
BEGIN: Final = 1_798_758_000.0
DAY: Final = 86_400.0


def main() -> int:
    """Play what the options say."""
    options = _options()
    plan = Plan(
        seed=options.seed,
        days=range(options.first_day, options.first_day + options.days),
        incidents=options.incidents,
        is_verbose=options.verbose,
    )
    real = time.monotonic
    began = real()
    leader = lead(BEGIN + options.first_day * DAY)
    with TemporaryDirectory(prefix="year-") as folder:
        report = asyncio.run(play(plan, Path(options.folder or folder), leader))
    _write(plan, report, (real() - began) / 60, options.json)
    if report.faults and options.shorten:
        sys.stdout.write(shortest(plan.seed, plan.days[0] + report.days) + "\n")
    return 1 if report.faults else 0


def _write(plan: Plan, report: Report, minutes: float, file: Path | None) -> None:
    figures = {"seed": plan.seed} | report.figures() | {"minutes of work": round(minutes, 1)}
    lines = [f"{name:>32}: {value}" for name, value in figures.items()]
    lines += [f"FAULT {fault}" for fault in report.faults]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if file is not None:
        content = figures | {"incidents of each kind": report.incidents, "faults": report.faults}
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-day", type=int, default=0, help="begin with this day of the year")
    parser.add_argument(
        "--incidents",
        type=int,
        nargs="*",
        metavar="NUMBER",
        help="play only these of each day, as --verbose numbers them",
    )
    parser.add_argument("--folder", type=Path, help="keep Home Assistant's folder and log here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--verbose", action="store_true", help="print each day")
    parser.add_argument(
        "--no-shorten", dest="shorten", action="store_false", help="do not look for a shorter story"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
