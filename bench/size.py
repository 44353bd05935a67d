"""Houses with many panels, histories with many calls, and a slow disk."""

from dataclasses import dataclass
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from .support.cloud import ROOT
from .support.report import KIB, Figure, counts, percentile
from .support.slow_disk import SLOW_OPERATIONS, build, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .support.cloud import Cloud

MAX_WIRE_MS: Final = 10.0
MAX_LATE_MS: Final = 50.0
MAX_START_MS: Final = 1000.0
STEPS: Final = {
    "start": "start, until the cloud has answered",
    "rings": "rings",
    "month": "a month of the calendar",
    "list": "calls of thirty days",
    "export": "export of all calls",
    "browse": "media browser, down to a day",
    "diagnostics": "diagnostics",
    "unload": "unload",
    "catch_up": "set-up again, and catch-up",
    "delete": "deletion of all calls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A house to measure: panels, stored calls, and whether its disk is slow."""

    panels: int
    calls: int
    is_slow: bool = False

    @property
    def key(self) -> str:
        """The beginning of the keys of its figures."""
        return f"size_{self.panels}_{self.calls}{'_slow' if self.is_slow else ''}"

    @property
    def text(self) -> str:
        """The beginning of the texts of its figures."""
        disk = f", {SLOW_OPERATIONS:.0f} IOPS" if self.is_slow else ""
        return f"{self.panels} panels, {self.calls} calls{disk}"


def measure(cloud: Cloud, folder: Path, sizes: Sequence[Size], rings: int) -> Iterator[Figure]:
    """Measure houses, each in a process of its own."""
    folder.mkdir(parents=True)
    library = build(folder)
    for size in sizes:
        if size.is_slow and library is None:
            print(f"{size.text}: skipped, no compiler for the slow disk", file=sys.stderr)
            continue
        command = _command(cloud, folder / size.key, size)
        _run([*command[:3], "fill", *command[3:]], {})
        speed = SLOW_OPERATIONS if size.is_slow else 0.0
        options = ("--rings", str(rings), "--operations", str(speed))
        found = _run(
            [*command[:3], "measure", *command[3:], *options], environment(library, folder)
        )
        yield from _figures(size, found)


def _command(cloud: Cloud, folder: Path, size: Size) -> list[str]:
    values = {
        "--url": cloud.url,
        "--folder": folder,
        "--panels": size.panels,
        "--calls": size.calls,
    }
    options = [str(each) for pair in values.items() for each in pair]
    return [sys.executable, "-m", "bench.support.sized_house", *options]


def _run(command: list[str], variables: Mapping[str, str]) -> Any:
    """Run a process; return what it printed as JSON, if anything."""
    environ = {**os.environ, **variables}
    ran = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own
    return json.loads(ran.stdout) if ran.stdout else None


def _figures(size: Size, found: dict[str, Any]) -> Iterator[Figure]:
    facts, steps = found["facts"], found["steps"]
    yield from counts(
        size.key,
        size.text,
        ("calls", "found", facts["calls"], None),
        ("lost", "rings lost", facts["lost"], 0),
        ("extra", "rings shown twice", facts["extra"], 0),
        ("caught_up", "found after ten more calls", facts["caught_up"], None),
        ("left", "left after the deletion", facts["left"], 0),
    )
    yield from _house_figures(size, facts)
    for name, text in STEPS.items():
        yield from _step_figures(f"{size.key}.{name}", f"{size.text}: {text}", steps[name])


def _house_figures(size: Size, facts: dict[str, Any]) -> Iterator[Figure]:
    wire = facts["wire_ms"]
    for name, text, value, unit, aim in (
        ("wire_p50_ms", "wire to state of rings, p50", percentile(wire, 50), "ms", MAX_WIRE_MS),
        ("wire_p95_ms", "wire to state of rings, p95", percentile(wire, 95), "ms", MAX_WIRE_MS),
        ("wire_max_ms", "wire to state of rings, latest", max(wire), "ms", MAX_WIRE_MS),
        ("start_ms", "start until all entities are there", facts["start_ms"], "ms", MAX_START_MS),
        ("memory_kib", "resident memory after the start", facts["memory_kib"], "KiB", None),
        ("file_kib", "file of the history", facts["file_bytes"] / KIB, "KiB", None),
    ):
        yield Figure(
            key=f"{size.key}.{name}", text=f"{size.text}: {text}", value=value, unit=unit, aim=aim
        )


def _step_figures(key: str, text: str, step: dict[str, float]) -> Iterator[Figure]:
    yield Figure(key=f"{key}_ms", text=text, value=step["ms"], unit="ms")
    for name, what, unit, aim in (
        ("late_max_ms", "event loop late by at most", "ms", MAX_LATE_MS),
        ("late_p99_ms", "event loop late by, p99", "ms", None),
        ("callback_ms", "longest callback", "ms", None),
        ("operations", "operations of the disk", "", None),
        ("blocking", "operations that the event loop waited for", "", 0),
        ("peak_kib", "more memory at the peak", "KiB", None),
    ):
        yield Figure(
            key=f"{key}_{name}", text=f"{text}: {what}", value=step[name], unit=unit, aim=aim
        )
