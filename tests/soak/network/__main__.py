"""Home Assistant and a simulated cloud, each in a network namespace, with a bad line between."""

import argparse
import asyncio
import json
from pathlib import Path
import random
import sys
import tempfile
from typing import TYPE_CHECKING, Final

from tests.soak.network.cases import CASES
from tests.soak.network.drive import Drive, Outcome
from tests.soak.network.namespace import unavailable
from tests.soak.network.place import place
from tests.soak.network.report import table

if TYPE_CHECKING:
    from tests.soak.network.cases import Case

CASE_LIMIT: Final = 900.0  # seconds


def main() -> int:
    """Run the chosen cases; return 1 if anything was not as it must be."""
    arguments = _arguments()
    if (why := unavailable()) is not None:
        sys.stdout.write(f"skipped: {why}\n")
        return 0
    outcomes = asyncio.run(_run(arguments))
    sys.stdout.write(f"{table(outcomes)}\n")
    if arguments.json is not None:
        found = {"seed": arguments.seed, "cases": [each.as_json() for each in outcomes]}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    for outcome in outcomes:
        again = f"scripts/soak network --seed {arguments.seed} --only {outcome.name}"
        for fault in outcome.faults:
            sys.stdout.write(f"FAULT: {fault} ({again})\n")
    return int(any(outcome.faults for outcome in outcomes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak network", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("--seed", type=int, default=1, help="of what is random on the line")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"one of {', '.join(names)}; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all that was seen")
    parser.add_argument("--parallel", type=int, default=4, help="cases at the same time")
    parser.add_argument("--folder", type=Path, help="new folder for configurations and logs")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> list[Outcome]:
    chosen = [case for case in CASES if arguments.only is None or case.name in arguments.only]
    limit = asyncio.Semaphore(arguments.parallel)
    with tempfile.TemporaryDirectory(prefix="soak-network-") as temporary:
        folder = arguments.folder or Path(temporary)
        runs = (_run_case(case, arguments.seed, folder / case.name, limit) for case in chosen)
        return await asyncio.gather(*runs)


async def _run_case(case: Case, seed: int, folder: Path, limit: asyncio.Semaphore) -> Outcome:
    draw = random.Random(f"{seed} {case.name}")  # noqa: S311 - the same packets are lost every time
    async with limit:
        try:
            async with (
                asyncio.timeout(CASE_LIMIT),
                place(folder, draw, versions=case.versions) as here,
            ):
                outcome = await Drive(case, here).run()
        except Exception as err:  # noqa: BLE001 - it is reported, and the other cases go on
            outcome = Outcome(name=case.name, title=case.title, faults=[repr(err)])
    sys.stderr.write(f"{case.name}: {len(outcome.faults)} faults\n")
    return outcome


if __name__ == "__main__":
    sys.exit(main())
