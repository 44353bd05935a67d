"""The model of the simulated year finds each kind of fault."""

from typing import TYPE_CHECKING

import pytest

from tests.soak.year.truth import Expected, Press, Ring, Stored, Told, Truth

if TYPE_CHECKING:
    from collections.abc import Sequence

PANEL, BRIDGE, OTHER = "panel", "bridge", "other panel"
AT, MONOTONIC, DAY = 1_800_000_000.0, 5_000.0, 86_400.0


def ring(expected: Expected = Expected.TOLD, *, is_named: bool = True) -> Ring:
    """A missed ring."""
    return Ring(
        account="rossi",
        panel=PANEL,
        bridge=BRIDGE,
        at=AT,
        monotonic=MONOTONIC,
        expected=expected,
        is_named=is_named,
        outcome="missed",
    )


def told(after: float = 0.1, *, module: str = PANEL, account: str = "rossi") -> Told:
    """A ring as Home Assistant told it."""
    return Told(account, module, "ring", MONOTONIC + after)


@pytest.mark.parametrize(
    ("expected", "heard", "faults"),
    [
        (Expected.TOLD, [told()], 0),
        (Expected.TOLD, [], 1),
        (Expected.TOLD, [told(), told(0.2)], 1),
        (Expected.TOLD, [told(60)], 2),  # not told, and told without a ring
        (Expected.TOLD, [told(-1)], 2),
        (Expected.TOLD, [told(module=OTHER)], 1),
        (Expected.TOLD, [told(module=BRIDGE)], 1),
        (Expected.TOLD, [told(account="bianchi")], 2),
        (Expected.SILENT, [], 0),
        (Expected.SILENT, [told()], 1),
        (Expected.EITHER, [], 0),
        (Expected.EITHER, [told()], 0),
        (Expected.EITHER, [told(), told(0.2)], 1),
    ],
)
def test_rings(expected: Expected, heard: list[Told], faults: int) -> None:
    """A ring that was not told, was told twice, late, elsewhere, or never rang."""
    truth = Truth(rings=[ring(expected)])
    assert len([*truth.faults_of_rings(heard, 0.0)]) == faults


def test_ring_without_the_name_of_its_panel() -> None:
    """Where pushes name no panel, it may be told at the intercom, and nowhere else."""
    truth = Truth(rings=[ring(is_named=False)])
    assert not [*truth.faults_of_rings([told(module=BRIDGE)], 0.0)]
    assert [*truth.faults_of_rings([told(module=OTHER)], 0.0)]


@pytest.mark.parametrize(
    ("presses", "openings", "faults"),
    [
        ([(0, 1, True)], [0.5], 0),
        ([(0, 1, True)], [], 1),  # reported as done
        ([(0, 1, False)], [], 0),
        ([(0, 1, False)], [0.5], 0),  # no clear answer
        ([(0, 1, True)], [0.5, 0.6], 1),  # twice
        ([(0, 20, False)], [17], 1),  # late
        ([], [3], 1),  # nobody pressed
        ([(5, 6, True)], [4], 2),  # before the press
        ([(0, 2, True), (1, 2, True)], [0.5], 0),  # the second joined the first
        ([(0, 1, True), (5, 6, True)], [0.5], 1),
        ([(0, 1, True), (5, 6, True)], [0.5, 5.5], 0),
        ([(0, 1, False), (5, 6, True)], [5.5], 0),  # the opening is that of the second
        ([(0, 1, False), (5, 6, True)], [0.5, 5.5], 0),
        ([(0, 1, False), (5, 6, True)], [0.5], 1),
        ([(0, 1, False), (5, 6, True)], [0.5, 5.5, 5.6], 1),
    ],
)
def test_doors(
    presses: Sequence[tuple[float, float, bool]], openings: Sequence[float], faults: int
) -> None:
    """A door that moved twice, late, without a press, or not although it was reported."""
    truth = Truth(
        presses=[
            Press(door="d", began=began, ended=end, is_done=done) for began, end, done in presses
        ]
    )
    assert len([*truth.faults_of_doors([("d", at) for at in openings])]) == faults
    assert not truth.presses


def test_another_door() -> None:
    """An opening of another door answers no press."""
    truth = Truth(presses=[Press(door="d", began=0, ended=1, is_done=True)])
    assert len([*truth.faults_of_doors([("e", 0.5)])]) == 2


@pytest.mark.parametrize(
    ("stored", "kept", "age", "faults"),
    [
        (Stored.MUST, [(AT, "missed", None)], 1, 0),
        (Stored.MUST, [], 1, 1),
        (Stored.MUST, [(AT, "missed", None)] * 2, 1, 1),
        (Stored.MUST, [(AT, "answered", None)], 1, 1),
        (Stored.MUST, [(AT + 60, "missed", None)], 1, 2),
        (Stored.MUST, [], 95, 0),
        (Stored.MUST, [(AT, "missed", None)], 95, 1),
        (Stored.MAY, [], 1, 0),
        (Stored.GONE, [], 1, 0),
        (Stored.GONE, [(AT, "missed", None)], 1, 1),
    ],
)
def test_history(
    stored: Stored, kept: list[tuple[float, str, str | None]], age: float, faults: int
) -> None:
    """A call that is lost, doubled, wrong, invented, kept too long, or back after a deletion."""
    truth = Truth(rings=[ring()])
    truth.set_stored("rossi", stored)
    now = AT + age * DAY
    assert len([*truth.faults_of_history("rossi", kept, now)]) == faults


def test_outcome_that_the_cloud_does_not_know() -> None:
    """A restored history has the call without it, and with no other."""
    unreported = ring()
    unreported.is_reported = False
    truth = Truth(rings=[unreported])
    assert not [*truth.faults_of_history("rossi", [(AT, "ended", None)], AT)]
    assert len([*truth.faults_of_history("rossi", [(AT, "answered", None)], AT)]) == 1


def test_sign_ins() -> None:
    """Each sign-in has a reason."""
    truth = Truth()
    truth.may_sign_in("rossi")
    assert not [*truth.faults_of_sign_ins({"rossi": 1, "bianchi": 0})]
    assert len([*truth.faults_of_sign_ins({"rossi": 2, "bianchi": 1})]) == 2


def test_damage_that_is_found_later() -> None:
    """Calls after the damage may be lost, too; without damage, none may."""
    truth = Truth(rings=[ring()])
    truth.damage("rossi")
    truth.rings.append(ring())
    assert not [*truth.fault_of_new_history("rossi")]
    assert {each.stored for each in truth.rings} == {Stored.MAY}
    assert [*truth.fault_of_new_history("rossi")]


def test_calls_that_a_backup_restores() -> None:
    """Those that were deleted after it was made may be stored again."""
    before, after = ring(), ring()
    truth = Truth(rings=[before])
    truth.set_stored("rossi", Stored.GONE)
    deleted = truth.deleted()
    truth.rings.append(after)
    truth.set_stored("rossi", Stored.GONE)
    truth.restore_deleted(but=deleted)
    assert (before.stored, after.stored) == (Stored.GONE, Stored.MAY)
