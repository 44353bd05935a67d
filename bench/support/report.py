"""The measured figures, as a table and as JSON."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
import json
import os
import platform
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HEADINGS: Final = ("Figure", "Measured", "Aim", "")
MS_PER_SECOND: Final = 1000.0
KIB: Final = 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value; `aim` is its upper limit, `samples` the values it is a percentile of."""

    key: str
    text: str
    value: float
    unit: str = ""
    aim: float | None = None
    samples: Sequence[float] = ()

    @property
    def met(self) -> bool:
        """Whether the value is within the aim; always, without an aim."""
        return self.aim is None or self.value <= self.aim


def counts(key: str, text: str, *rows: tuple[str, str, int, int | None]) -> Iterator[Figure]:
    """Yield numbers without a unit; a row has the end of the key and of the text, value and aim."""
    for name, what, value, aim in rows:
        yield Figure(key=f"{key}.{name}", text=f"{text}: {what}", value=value, aim=aim)


def median_ms(key: str, text: str, seconds: Iterable[float], *, aim: float | None = None) -> Figure:
    """Return the median of durations that are given in seconds, in milliseconds."""
    samples = [each * MS_PER_SECOND for each in seconds]
    return Figure(key=key, text=text, value=median(samples), unit="ms", aim=aim, samples=samples)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, interpolated."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def table(figures: Iterable[Figure]) -> str:
    """Return the figures in aligned columns."""
    rows = [HEADINGS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(_line(row, widths) for row in rows)


def as_json(figures: Iterable[Figure], *, quick: bool) -> str:
    """Return the figures with their samples, and what they were measured on."""
    content = {
        "measured_with": {
            "python": platform.python_version(),
            "home_assistant": version("homeassistant"),
            "machine": platform.machine(),
            "cores": os.process_cpu_count(),
            "quick": quick,
        },
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
    }
    return json.dumps(content, indent=2) + "\n"


def _row(figure: Figure) -> tuple[str, ...]:
    aim = "" if figure.aim is None else f"<= {_number(figure.aim)}"
    verdict = "" if figure.aim is None else "ok" if figure.met else "MISSED"
    return figure.text, f"{_number(figure.value)} {figure.unit}".rstrip(), aim, verdict


def _number(value: float) -> str:
    """Return an integer in full, anything else with three significant digits."""
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    text, value, aim, verdict = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"{text}  {value.rstrip().rjust(widths[1])}  {aim}  {verdict}".rstrip()
