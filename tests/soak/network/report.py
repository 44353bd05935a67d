"""The table of what was seen."""

from typing import TYPE_CHECKING, Final

from tests.soak.network.screen import CONNECTION
from tests.soak.network.truth import UNCLEAR

if TYPE_CHECKING:
    from tests.soak.network.drive import Outcome

HEADINGS: Final = ("Network", "Noticed", "Back", "Ring", "Door", "Bell connection", "Door command")
NOT_SENT: Final = "was not sent"


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table for docs/reliability.md."""
    head, *rows = (f"| {' | '.join(row)} |" for row in (HEADINGS, *map(_row, outcomes)))
    return "\n".join([head, "|---" * len(HEADINGS) + "|", *rows])


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.title,
        _seconds(outcome.noticed),
        _seconds(outcome.recovered),
        _seconds(outcome.ring),
        _seconds(outcome.door),
        _connection(outcome),
        _command(outcome.said),
    )


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"


def _connection(outcome: Outcome) -> str:
    state = outcome.shown.get(CONNECTION, "-")
    return state if outcome.reason is None else f"{state}: {outcome.reason}"


def _command(said: str) -> str:
    if UNCLEAR in said:
        return "outcome unknown"
    return "not sent" if NOT_SENT in said else said or "opened"
