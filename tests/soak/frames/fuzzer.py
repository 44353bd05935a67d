"""The loop: mutate an input, run it, keep it if it reached something new, report what it broke."""

from contextlib import contextmanager
from dataclasses import dataclass, field
import gc
from itertools import pairwise
import json
from pathlib import Path
import random
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from .checks import FindingError, aside, watched_log
from .coverage import PRODUCT, Coverage
from .mutator import Mutator, size_of
from .shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .checks import LogWatch
    from .target import Run, Target

CORPUS: Final = Path(__file__).with_name("corpus")
MAX_SECONDS: Final = 0.010  # of processor time for one input
# An input that reached something new is mutated further, unless it is large.
MAX_KEPT_SIZE: Final = 14_000
BATCH: Final = 1000  # inputs between two collections of garbage
# Work that does not depend on the machine: lines of the product, for an input and each character.
BASE_LINES: Final = 6000
LINES_PER_CHARACTER: Final = 60
# Growth: inputs of a round, and objects that a round may leave: that is noise.
GROWTH_INPUTS: Final = 400
MIN_GROWTH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an input broke; `place` is the line of the product that raised it."""

    target: str
    kind: str
    place: str
    case: Any

    @property
    def line(self) -> str:
        """The input as a line of the corpus."""
        return json.dumps(self.case)


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run of one target has shown."""

    target: str
    inputs: int = 0
    kept: list[Any] = field(default_factory=list)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    slowest: float = 0.0
    most_lines: float = 0.0
    growth: int = 0


def corpus_of(target: Target) -> list[Any]:
    """Return the stored inputs of a target."""
    path = CORPUS / f"{target.name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


class Fuzzer:
    """Runs inputs of one target."""

    def __init__(self, target: Target, words: Sequence[str], seed: int) -> None:
        self._target = target
        self._random = random.Random(f"{seed} {target.name}")  # noqa: S311 - repeatable
        self._mutator = Mutator(self._random, words, target.max_size)
        self.report = Report(target=target.name)
        self._first = [*target.seeds, *corpus_of(target)]
        self._cases = [case for case in self._first if size_of(case) <= MAX_KEPT_SIZE]

    def fuzz(self, count: int, *, is_timed: bool = True) -> Report:
        """Run so many mutated inputs, after the seeds and the corpus."""
        with watched_log() as log, self._target.open() as run, _without_garbage():
            with Coverage(counts_all=not is_timed) as coverage:
                for case in self._first:
                    self._try(run, log, coverage, case, is_timed=is_timed)
                for number in range(count):
                    if number % BATCH == 0:
                        gc.collect()
                    self._step(run, log, coverage, is_timed=is_timed)
            self._check_growth(run, log, min(GROWTH_INPUTS, max(10, count)))
            self._measure_again(run, log)
        return self.report

    def _step(self, run: Run, log: LogWatch, coverage: Coverage, *, is_timed: bool) -> None:
        case = self._mutated()
        reached = coverage.reached
        self._try(run, log, coverage, case, is_timed=is_timed)
        if coverage.reached > reached and size_of(case) <= MAX_KEPT_SIZE:
            self._cases.append(case)
            self.report.kept.append(case)

    def _mutated(self) -> Any:
        pick = self._random.choice
        newest = self._cases[-20:] if self._random.random() < 0.3 else self._cases
        return self._mutator.mutate(pick(newest), pick(self._cases))

    def _try(
        self, run: Run, log: LogWatch, coverage: Coverage, case: Any, *, is_timed: bool
    ) -> None:
        self.report.inputs += 1
        executed = coverage.executed
        fault, spent = self._timed(run, log, case)
        is_measured = self._target.is_measured and fault is None
        if is_measured and is_timed:
            fault = self._check_time(run, log, case, spent)
        elif is_measured:
            fault = self._check_lines(case, coverage.executed - executed)
        if fault is not None and fault not in self.report.faults:
            self._note(run, log, case, fault)

    def _note(self, run: Run, log: LogWatch, case: Any, fault: tuple[str, str]) -> None:
        """Report a fault once, with its shortest input; a slow one is not made shorter."""
        is_shrinkable = not fault[0].startswith(("slow", "work"))
        self.report.faults[fault] = Fault(
            target=self._target.name,
            kind=fault[0],
            place=fault[1],
            case=shrink(case, lambda each: self._fault_of(run, log, each) == fault)
            if is_shrinkable
            else case,
        )

    def _timed(self, run: Run, log: LogWatch, case: Any) -> tuple[tuple[str, str] | None, float]:
        """Return what an input breaks, and the seconds of processor time of the product."""
        start, of_checks = time.thread_time(), aside.seconds
        self._longest: float | None = None
        fault = self._fault_of(run, log, case)
        spent = time.thread_time() - start - (aside.seconds - of_checks)
        return fault, spent if self._longest is None else self._longest

    def _fault_of(self, run: Run, log: LogWatch, case: Any) -> tuple[str, str] | None:
        """Return kind and place of what an input breaks, None if nothing."""
        try:
            with log.watching():
                self._longest = run(case)
        except FindingError as err:
            return str(err)[:200], ""
        except Exception as err:  # noqa: BLE001 - every one is a finding
            return type(err).__name__, _place_of(err)
        return None

    def _check_time(
        self, run: Run, log: LogWatch, case: Any, spent: float
    ) -> tuple[str, str] | None:
        """Return a fault if the input needs too long, also when it is repeated."""
        for _ in range(4):
            if spent <= MAX_SECONDS:
                break
            spent = min(spent, self._timed(run, log, case)[1])
        if spent <= MAX_SECONDS:
            self.report.slowest = max(self.report.slowest, spent)
            return None
        return f"slow: more than 10 ms ({size_of(case) // 10_000}0 KB)", ""

    def _measure_again(self, run: Run, log: LogWatch) -> None:
        """Drop inputs that were slow because the machine was busy."""
        for key, fault in tuple(self.report.faults.items()):
            if fault.kind.startswith("slow"):
                spent = min(self._timed(run, log, fault.case)[1] for _ in range(20))
                self.report.slowest = max(self.report.slowest, spent)
                if spent <= MAX_SECONDS:
                    del self.report.faults[key]

    def _check_lines(self, case: Any, lines: int) -> tuple[str, str] | None:
        allowed = BASE_LINES + LINES_PER_CHARACTER * size_of(case)
        self.report.most_lines = max(self.report.most_lines, lines / allowed)
        return (f"work: {lines} lines instead of {allowed}", "") if lines > allowed else None

    def _check_growth(self, run: Run, log: LogWatch, count: int) -> None:
        """Check that inputs leave nothing behind, once everything that is bounded is full."""
        cases = [self._mutated() for _ in range(count)]
        blocks = []
        for _ in range(6):
            for case in cases:
                self._fault_of(run, log, case)
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        self.report.growth = min(b - a for a, b in pairwise(blocks))
        if self.report.growth > max(MIN_GROWTH, count // 10):
            kind = f"growth: {self.report.growth} objects"
            fault = Fault(target=self._target.name, kind=kind, place="", case=None)
            self.report.faults[kind, ""] = fault


def _place_of(error: BaseException) -> str:
    """Return the innermost line of the product in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [frame for frame in frames if frame.filename.startswith(PRODUCT)]
    last = (found or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


@contextmanager
def _without_garbage() -> Iterator[None]:
    """Collect garbage between inputs only: it is not the work of one of them."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
