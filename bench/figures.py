"""What was measured, as data, as a table and as JSON."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
import json
import os
import platform
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADINGS: Final = ("", "measured", "aim", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value; `aim` is the most that it may be, `samples` what it is the median of."""

    key: str
    text: str
    value: float
    unit: str
    aim: float | None = None
    samples: Sequence[float] = ()

    @property
    def met(self) -> bool:
        """Whether the aim is met; a figure without one always is."""
        return self.aim is None or self.value <= self.aim


def count(key: str, text: str, value: int, *, aim: int) -> Figure:
    """Return a number of things."""
    return Figure(key=key, text=text, value=value, unit="", aim=aim)


def table(figures: Iterable[Figure]) -> str:
    """Return the figures in columns that line up."""
    rows = [HEADINGS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(_line(row, widths) for row in rows)


def as_json(figures: Iterable[Figure], *, quick: bool) -> str:
    """Return the figures, their samples, and what they were measured on."""
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
    """Three digits that count are as many as a measurement on a shared machine is worth."""
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    text, value, aim, verdict = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"{text}  {value.rstrip().rjust(widths[1])}  {aim}  {verdict}".rstrip()
