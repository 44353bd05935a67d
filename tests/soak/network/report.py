"""The table of what was seen."""

from typing import TYPE_CHECKING, Final

from tests.soak.network.screen import BELL, CONNECTION, LOCK

if TYPE_CHECKING:
    from tests.soak.network.drive import Outcome

HEADINGS: Final = ("Network", "Noticed", "Recovered", "Ring", "Door", "Shown meanwhile")


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table for docs/reliability.md."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *map(_row, outcomes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.title,
        _seconds(outcome.noticed),
        _seconds(outcome.recovered),
        _seconds(outcome.ring),
        _seconds(outcome.door),
        _shown(outcome),
    )


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"


def _shown(outcome: Outcome) -> str:
    names = {CONNECTION: "bell connection", BELL: "bell", LOCK: "door"}
    parts = [f"{names[entity]} {state}" for entity, state in outcome.shown.items()]
    reason = [] if outcome.reason is None else [f"reason {outcome.reason}"]
    said = [f"“{outcome.said}”"] if outcome.said else []
    return ", ".join([*parts, *reason, *said])
