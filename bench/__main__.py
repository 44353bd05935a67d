"""Measures the integration, prints a table of figures, and writes them as JSON if asked to."""

import argparse
from dataclasses import dataclass
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from . import (
    first_picture,
    history,
    imports,
    outage_starts,
    outages,
    pictures,
    relayed,
    requests,
    ring_leaks,
    rings,
    size,
    starts,
    streams,
    tokens,
    views,
)
from .support.cloud import Cloud
from .support.home_assistant import silence_loggers
from .support.report import as_json, table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from .support.report import Figure

EPILOG: Final = "docs/benchmarks.md describes the method and has the latest results."


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured.

    `sizes` are numbers of modules, `runs` restarts of which the median is taken, `batches` of 1000
    tokens. Leaks are counted between the first and the last of `ring_stops`, `view_stops` and
    `vanishing_stops`; the first ring stop is beyond the pushes that the client remembers.
    `histories` are numbers of calls. In each of `houses` it rings `house_rings` times.
    """

    sizes: Sequence[int]
    runs: int
    batches: int
    panels: Sequence[int]
    rings: int
    ring_stops: Sequence[int]
    view_stops: tuple[int, int]
    vanishing_stops: tuple[int, int]
    histories: Sequence[int]
    history_runs: int
    picture_rings: int
    first_pictures: int
    relayed_viewers: Sequence[int]
    outages: int
    houses: Sequence[size.Size]
    house_rings: int


FULL: Final = Extent(
    sizes=(4, 51, 501),
    runs=9,
    batches=200,
    panels=(1, 10, 100),
    rings=1000,
    ring_stops=range(2000, 10_001, 1000),
    view_stops=(80, 280),
    vanishing_stops=(200, 1000),
    histories=(100, 1000, 10_000),
    history_runs=5,
    picture_rings=50,
    first_pictures=5,
    relayed_viewers=(1, 2, 10),
    outages=100,
    houses=(
        size.Size(panels=1, calls=1000),
        size.Size(panels=10, calls=1000),
        size.Size(panels=100, calls=1000),
        size.Size(panels=1, calls=100_000),
        size.Size(panels=100, calls=100_000),
        size.Size(panels=1, calls=1000, is_slow=True),
        size.Size(panels=100, calls=100_000, is_slow=True),
    ),
    house_rings=50,
)
# At the first stop, every bounded collection of calls and pushes has to be full.
QUICK: Final = Extent(
    sizes=(4, 51),
    runs=1,
    batches=3,
    panels=(1,),
    rings=50,
    ring_stops=(1500, 1750),
    view_stops=(80, 120),
    vanishing_stops=(20, 40),
    histories=(100, 1000),
    history_runs=1,
    picture_rings=5,
    first_pictures=1,
    relayed_viewers=(1, 2),
    outages=2,
    houses=(size.Size(panels=1, calls=100), size.Size(panels=1, calls=100, is_slow=True)),
    house_rings=3,
)

type Part = Callable[[Cloud, Path, Extent], Iterator[Figure]]

PARTS: Final[dict[str, Part]] = {
    "requests": lambda cloud, folder, _: requests.measure(cloud, folder),
    "tokens": lambda cloud, _, extent: tokens.measure(cloud, extent.batches),
    "starts": lambda cloud, folder, extent: starts.measure(
        cloud, folder, extent.sizes, extent.runs
    ),
    "outage_starts": lambda cloud, folder, extent: outage_starts.measure(
        cloud, folder, extent.runs
    ),
    "rings": lambda cloud, folder, extent: rings.measure(
        cloud, folder, extent.panels, extent.rings
    ),
    "ring_leaks": lambda cloud, folder, extent: ring_leaks.measure(
        cloud, folder, extent.ring_stops
    ),
    "views": lambda cloud, folder, extent: views.measure(cloud, folder, *extent.view_stops),
    "streams": lambda cloud, folder, extent: streams.measure(
        cloud, folder, *extent.vanishing_stops
    ),
    "pictures": lambda cloud, folder, extent: pictures.measure(cloud, folder, extent.picture_rings),
    "history": lambda cloud, folder, extent: history.measure(
        cloud, folder, extent.histories, extent.history_runs
    ),
    "size": lambda cloud, folder, extent: size.measure(
        cloud, folder, extent.houses, extent.house_rings
    ),
    "memory": lambda cloud, folder, extent: starts.measure_memory(cloud, folder, extent.sizes),
    "first_picture": lambda cloud, folder, extent: first_picture.measure(
        cloud, folder, extent.first_pictures
    ),
    "stream_times": lambda cloud, folder, extent: streams.measure_times(
        cloud, folder, extent.first_pictures
    ),
    "relayed": lambda cloud, folder, extent: relayed.measure(cloud, folder, extent.relayed_viewers),
    "ring_rate": lambda cloud, folder, _: rings.measure_rate(cloud, folder),
    "outages": lambda cloud, folder, extent: outages.measure(cloud, folder, extent.outages),
    "fleet": lambda *_: outages.measure_fleet(),
    "imports": lambda _cloud, _folder, extent: imports.measure(extent.runs),
}
QUICK_PARTS: Final = [*PARTS][: [*PARTS].index("memory")]


def main() -> int:
    """Measure and return 0, even if an aim is missed: times depend on the machine."""
    arguments = _arguments()
    silence_loggers()
    quick: bool = arguments.quick
    names = arguments.only or (QUICK_PARTS if quick else PARTS)
    figures = _measure(names, QUICK if quick else FULL)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(as_json(figures, quick=quick))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__, epilog=EPILOG)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="smaller; only the counts are exact")
    parser.add_argument(
        "--only",
        type=_part_names,
        metavar="PART,...",
        help=f"measure only these parts: {', '.join(PARTS)}",
    )
    return parser.parse_args()


def _part_names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return names


def _measure(names: Collection[str], extent: Extent) -> list[Figure]:
    with Cloud() as cloud, TemporaryDirectory() as folder:
        return [
            figure for name in names for figure in PARTS[name](cloud, Path(folder) / name, extent)
        ]


if __name__ == "__main__":
    sys.exit(main())
