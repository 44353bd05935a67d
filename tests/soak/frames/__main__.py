"""Run many mutated inputs: scripts/soak frames [--count N] [--seed N] [--target NAME …]."""

import argparse
import faulthandler
import logging
import math
import sys
import time

# On import it logs an error about a missing library for resizing pictures, which nothing here uses.
logging.getLogger("homeassistant.components.camera.img_util").setLevel(logging.CRITICAL)

from .fuzzer import Fuzzer, Report  # noqa: E402 - after the logger above
from .targets import TARGETS  # noqa: E402
from .words import words  # noqa: E402

HANG_SECONDS = 600
# Targets whose time is not limited read files: they get fewer inputs than the others.
SLOW_PART = 0.1


def main() -> int:
    """Return 1 if something was found."""
    arguments = _arguments()
    targets = [each for each in TARGETS if not arguments.target or each.name in arguments.target]
    parts = [1.0 if target.is_measured else SLOW_PART for target in targets]
    shares = [math.ceil(arguments.count * part / sum(parts)) for part in parts]
    found = 0
    _print(f"seed {arguments.seed}, {shares[0]} inputs for each of {len(targets)} targets")
    for target, share in zip(targets, shares, strict=True):
        faulthandler.dump_traceback_later(HANG_SECONDS + share / 10, exit=True)
        start = time.monotonic()
        report = Fuzzer(target, words(), arguments.seed).fuzz(share)
        _print_report(report, time.monotonic() - start, arguments.seed)
        found += len(report.faults)
    faulthandler.cancel_dump_traceback_later()
    _print(f"{sum(shares)} inputs, {found} faults")
    return 1 if found else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _print_report(report: Report, seconds: float, seed: int) -> None:
    _print(
        f"{report.target:20} {report.inputs:7} inputs in {seconds:4.0f} s, "
        f"{len(report.kept):4} reached something new, slowest {report.slowest * 1000:5.1f} ms, "
        f"growth {report.growth}"
    )
    for fault in report.faults.values():
        _print(f"  FAULT {fault.kind} {fault.place} (seed {seed})")
        _print(f"    corpus/{fault.target}.jsonl: {fault.line}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak frames", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs, of all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=[each.name for each in TARGETS])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
