"""A slice of the million frames: what was found before, and some new mutations of every input.

The whole is `scripts/soak frames`. Here the work is counted in lines instead of seconds, so the
machine's speed does not matter.
"""

from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client.values import as_str
from tests.soak.frames.coverage import Coverage
from tests.soak.frames.fuzzer import CORPUS, Fuzzer, corpus_of
from tests.soak.frames.shrink import shrink
from tests.soak.frames.target import Target, pure
from tests.soak.frames.targets import TARGETS
from tests.soak.frames.words import words

if TYPE_CHECKING:
    from collections.abc import Callable

INPUTS = 60
SEED = 1


def by_name(target: Target) -> str:
    """Return the name of a target, for pytest."""
    return target.name


@pytest.mark.parametrize("target", TARGETS, ids=by_name)
def test_corpus_and_mutations(target: Target) -> None:
    """Only our own errors, no secret, no growth, no excessive work."""
    report = Fuzzer(target, words(), SEED).fuzz(INPUTS, is_timed=False)
    assert [(each.kind, each.place, each.line) for each in report.faults.values()] == []
    assert report.inputs == INPUTS + len(target.seeds) + len(corpus_of(target))


def test_every_corpus_belongs_to_a_target() -> None:
    """Otherwise nothing would read it."""
    assert {path.stem for path in CORPUS.iterdir()} <= {each.name for each in TARGETS}
    assert all(corpus_of(each) for each in TARGETS if (CORPUS / f"{each.name}.jsonl").exists())


def _leaking() -> Callable[[Any], None]:
    kept: list[object] = []
    return lambda _: kept.append([object()])


def _working(case: Any) -> None:
    for _ in range(40_000):
        as_str(case)


def _raising(case: Any) -> None:
    if "secret" in str(case):
        raise KeyError(case)


@pytest.mark.parametrize(
    ("run", "count", "kind"),
    [(_leaking(), INPUTS, "growth"), (_working, 0, "work"), (_raising, 0, "KeyError")],
    ids=["growth", "work", "error"],
)
def test_faults_are_found(run: Callable[[Any], None], count: int, kind: str) -> None:
    """Each by its own check."""
    target = pure("none", run, [{"a": "x", "b": ["secret"]}], max_size=100)
    report = Fuzzer(target, ["a"], SEED).fuzz(count, is_timed=False)
    assert [fault.kind.startswith(kind) for fault in report.faults.values()] == [True]
    if kind == "KeyError":
        assert [fault.case for fault in report.faults.values()] == ["secret"]


def test_runs_are_repeatable() -> None:
    """A seed stands for the same inputs."""
    (target,) = (each for each in TARGETS if each.name == "errors")
    reports = [Fuzzer(target, words(), SEED).fuzz(20, is_timed=False) for _ in range(2)]
    assert reports[0].kept == reports[1].kept


def test_the_shortest_input() -> None:
    """Everything that does not matter is removed."""
    case = {"a": [1, {"b": "the word"}], "c": None}
    assert shrink(case, lambda each: "word" in str(each)) == "word"


def test_coverage_sees_only_the_product() -> None:
    """A branch counts once."""
    with Coverage() as coverage:
        as_str("x")
        first = coverage.reached
        as_str("x")
        assert coverage.reached == first > 0
        as_str(5)
        assert coverage.reached > first
