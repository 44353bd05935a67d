"""A ring that a program has answered for its picture, in the history."""

from dataclasses import replace
from itertools import permutations
from typing import Final

import pytest

from custom_components.bticino_classe.client import STREAM, CallState
from custom_components.bticino_classe.history.records import CallRecord, ListedCall, merged

RUNG: Final = CallRecord(
    id="a", session="s", bridge_id="b", time=100.0, outcome=CallState.RINGING.value
)
STREAMED: Final = replace(RUNG, answered_by=STREAM)
MISSED: Final = replace(STREAMED, outcome=CallState.MISSED.value, ended_at=145.0)
ANSWERED: Final = replace(
    RUNG, outcome=CallState.ANSWERED.value, answered_at=110.0, answered_by="here"
)
# The cloud lists the answer for the picture like any other.
LISTED: Final = ListedCall(
    id="c",
    session="s",
    bridge_id="b",
    time=100.0,
    outcome=CallState.ANSWERED.value,
    answered_at=102.0,
    is_dated=True,
)
STORED_LISTED: Final = replace(RUNG, outcome=CallState.ANSWERED.value, answered_at=102.0)


@pytest.mark.parametrize("reports", permutations((STREAMED, MISSED, LISTED)))
def test_missed(reports: tuple[CallRecord, ...]) -> None:
    """Nobody has answered, in whatever order it is reported."""
    first, *others = reports
    call = STORED_LISTED if first is LISTED else first
    for each in others:
        call = merged(call, each)
    assert (call.outcome, call.answered_by) == (CallState.MISSED, STREAM)
    assert (call.answered_at, call.duration) == (None, None)
    assert call.is_unseen_miss


@pytest.mark.parametrize("listed", range(4))
def test_answered_by_a_person(listed: int) -> None:
    """Who has taken the call over has answered it."""
    reports = [RUNG, STREAMED, ANSWERED]
    reports.insert(listed, LISTED)
    call = STORED_LISTED if listed == 0 else reports[0]
    for each in reports[1:]:
        call = merged(call, each)
    assert (call.outcome, call.answered_by) == (CallState.ANSWERED, "here")
    assert call.answered_at is not None


def test_answered_elsewhere() -> None:
    """Without a program, the list is right."""
    call = merged(RUNG, LISTED)
    assert (call.outcome, call.answered_at) == (CallState.ANSWERED, 102.0)
