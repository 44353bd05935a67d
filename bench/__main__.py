"""scripts/bench: measures, prints a table, and writes JSON where it is asked to."""

import argparse
from dataclasses import dataclass
import logging
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from . import (
    counts,
    fleet,
    growth,
    history,
    imports,
    memory,
    outages,
    pictures,
    rate,
    rings,
    seeing,
    startup,
    tokens,
    views,
)
from .cloud import Cloud
from .figures import Figure, as_json, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EPILOG: Final = "docs/benchmarks.md describes the method and has the last results."


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured: sizes in modules, runs that a median is taken of.

    `halts` are numbers of rings; from the first to the last nothing may grow. So are `views`, the
    numbers of viewers who leave. `histories` are numbers of calls, each looked at so many times;
    `pictures` are rings with large ones.
    """

    sizes: Sequence[int]
    runs: int
    batches: int
    panels: Sequence[int]
    rings: int
    halts: Sequence[int]
    views: tuple[int, int]
    histories: Sequence[int]
    looks: int
    pictures: int
    sights: int = 0
    outages: int = 0


WHOLE: Final = Extent(
    sizes=(4, 51, 501),
    runs=9,
    batches=200,
    panels=(1, 10, 100),
    rings=1000,
    halts=range(1000, 10_001, 1000),
    views=(80, 280),
    histories=(100, 1000, 10_000),
    looks=5,
    pictures=50,
    sights=5,
    outages=100,
)
# All that is remembered of calls has to be at its largest at the first halt.
QUICK: Final = Extent(
    sizes=(4, 51),
    runs=1,
    batches=3,
    panels=(1,),
    rings=50,
    halts=(250, 500),
    views=(80, 120),
    histories=(100, 1000),
    looks=1,
    pictures=5,
)


def main() -> int:
    """Measure; 0 whether or not aims are met, since times depend on the machine."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__, epilog=EPILOG)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--quick", action="store_true", help="counts alone are of use then")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    # It warns of every custom integration, once in each life.
    logging.getLogger("homeassistant.loader").setLevel(logging.ERROR)
    logging.getLogger("aiohttp_fast_zlib").setLevel(logging.ERROR)
    # The outages that are measured are no news.
    logging.getLogger("custom_components.bticino_classe").setLevel(logging.ERROR)
    figures = _figures(quick=arguments.quick)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(as_json(figures, quick=arguments.quick))
    return 0


def _figures(*, quick: bool) -> list[Figure]:
    with Cloud() as cloud, TemporaryDirectory() as folder:
        figures = list(_first(cloud, Path(folder), QUICK if quick else WHOLE))
        return figures if quick else [*figures, *_more(cloud, Path(folder), WHOLE)]


def _first(cloud: Cloud, folder: Path, extent: Extent) -> Iterator[Figure]:
    yield from counts.measure(cloud, _new(folder / "counts"))
    yield from tokens.measure(cloud, extent.batches)
    yield from startup.measure(cloud, _new(folder / "startup"), extent.sizes, extent.runs)
    yield from rings.measure(cloud, _new(folder / "rings"), extent.panels, extent.rings)
    yield from growth.measure(cloud, _new(folder / "growth"), extent.halts)
    yield from views.measure(cloud, _new(folder / "views"), *extent.views)
    yield from pictures.measure(cloud, _new(folder / "pictures"), extent.pictures)
    past = _new(folder / "history")
    yield from history.measure(cloud, past, extent.histories, extent.looks)


def _more(cloud: Cloud, folder: Path, extent: Extent) -> Iterator[Figure]:
    yield from memory.measure(cloud, _new(folder / "memory"), extent.sizes)
    yield from seeing.measure(cloud, _new(folder / "seeing"), extent.sights)
    yield from rate.measure(cloud, _new(folder / "rate"))
    yield from outages.measure(cloud, _new(folder / "outages"), extent.outages)
    yield from fleet.measure()
    yield from imports.measure(extent.runs)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
