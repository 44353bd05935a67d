"""What must be true of the year, by what the story did; knows nothing of the integration's code."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

#: A ring is told within this time of its push: some forms wait for a second one.
TOLD_WITHIN: Final = 3.0
#: A door may move this long after the press, and no later.
DOOR_WITHIN: Final = 15.5
#: The list of the cloud and the pushes may differ by this.
SAME_CALL: Final = 2.0
DAY: Final = 86_400.0
#: Default of the integration's option for how long calls are kept.
KEPT_DAYS: Final = 90


class Expected(Enum):
    """What Home Assistant could know of a ring while it rang."""

    TOLD = "told once"
    SILENT = "not told"
    EITHER = "told once or not at all"


class Stored(Enum):
    """Whether the history must have a call."""

    MUST = "must"
    MAY = "may"
    GONE = "must not"


@dataclass(slots=True, kw_only=True)
class Ring:
    """One ring; `at` is the wall clock, `monotonic` the common clock of both processes."""

    account: str
    panel: str
    bridge: str
    at: float
    monotonic: float
    expected: Expected
    #: Pushes of this model name the panel.
    is_named: bool
    outcome: str = "ended"
    #: The cloud has a report of its outcome, from which a lost history is restored.
    is_reported: bool = True
    stored: Stored = Stored.MUST


@dataclass(slots=True, kw_only=True)
class Press:
    """One command to open a door; `is_done` is what Home Assistant answered."""

    door: str
    began: float
    ended: float = float("inf")
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A ring or outcome that Home Assistant has told."""

    account: str
    module: str
    kind: str
    monotonic: float


@dataclass(slots=True)
class Truth:
    """All that has happened, and what is left to compare."""

    rings: list[Ring] = field(default_factory=list)
    presses: list[Press] = field(default_factory=list)
    sign_ins: dict[str, int] = field(default_factory=dict)
    #: Accounts whose history was damaged, which may be found months later.
    damaged: set[str] = field(default_factory=set)

    def may_sign_in(self, account: str) -> None:
        """Allow an account one more sign-in."""
        self.sign_ins[account] = self.sign_ins.get(account, 0) + 1

    def set_stored(self, account: str, stored: Stored, *, until: float = float("inf")) -> None:
        """Change what the history must have of an account's calls so far, or until a time."""
        for ring in self.rings:
            if ring.account == account and ring.at < until and ring.stored is not Stored.GONE:
                ring.stored = stored

    def damage(self, account: str) -> None:
        """Note that the file of an account's history was damaged."""
        self.damaged.add(account)
        self.set_stored(account, Stored.MAY)

    def fault_of_new_history(self, account: str) -> Iterable[str]:
        """Compare that a history was replaced with whether it was damaged; it may have lost all."""
        if account not in self.damaged:
            yield f"the history of {account} was replaced, and nobody had damaged it"
        self.damaged.discard(account)
        self.set_stored(account, Stored.MAY)

    def deleted(self) -> list[Ring]:
        """Return the rings whose calls were deleted."""
        return [ring for ring in self.rings if ring.stored is Stored.GONE]

    def restore_deleted(self, *, but: Collection[Ring]) -> None:
        """Allow calls that were deleted, but for some, to be stored again: a backup has them."""
        for ring in self.deleted():
            if not any(ring is each for each in but):
                ring.stored = Stored.MAY

    def faults_of_rings(self, told: Collection[Told], since: float) -> Iterable[str]:
        """Compare the rings since a time with those that were told."""
        left = [each for each in told if each.kind == "ring"]
        for ring in (each for each in self.rings if each.monotonic >= since):
            found = [each for each in left if _is_of(each, ring)]
            left = [each for each in left if each not in found]
            wanted = {Expected.TOLD: {1}, Expected.SILENT: {0}, Expected.EITHER: {0, 1}}
            if len(found) not in wanted[ring.expected]:
                yield f"{_name(ring)} was told {len(found)} times, expected {ring.expected.value}"
            places = {ring.panel} if ring.is_named else {ring.panel, ring.bridge}
            if any(each.module not in places for each in found):
                yield f"{_name(ring)} was told at {found[0].module}"
        yield from (f"told without a ring: {each}" for each in left)

    def faults_of_doors(self, openings: Iterable[tuple[str, float]]) -> Iterable[str]:
        """Compare all presses with what the doors did, by the wall clock; forget both.

        A press that joins another one at the same door shares its opening. One that was reported
        as done has its opening before others, of which nobody knows whether they had one.
        """
        left = sorted(openings, key=lambda each: each[1])
        groups = _joined(self.presses)
        done = [each for each in groups if any(press.is_done for press in each)]
        for group in done:
            if not _take(left, group, 1):
                yield f"reported as done, and nothing moved: {group}"
        for group in groups:
            _take(left, group, len(group) - (group in done))
        yield from (f"{door} moved at {at} without a press, late, or twice" for door, at in left)
        self.presses.clear()

    def faults_of_history(
        self, account: str, stored: Collection[tuple[float, str, str | None]], now: float
    ) -> Iterable[str]:
        """Compare the rings of an account with its history: start, outcome and panel of each."""
        left = list(stored)
        for ring in (each for each in self.rings if each.account == account):
            found = [each for each in left if abs(each[0] - ring.at) <= SAME_CALL]
            left = [each for each in left if each not in found]
            yield from _faults_of_call(ring, found, now)
        yield from (f"{account} has stored a call that was none: {each}" for each in left)

    def faults_of_sign_ins(self, logins: Mapping[str, int]) -> Iterable[str]:
        """Compare the numbers of sign-ins with those that had a reason."""
        for account, number in logins.items():
            allowed = self.sign_ins.get(account, 0)
            if number > allowed:
                yield f"{account} signed in {number} times, {allowed} had a reason"


def _faults_of_call(
    ring: Ring, found: Collection[tuple[float, str, str | None]], now: float
) -> Iterable[str]:
    age = (now - ring.at) / DAY
    if len(found) > 1:
        yield f"{_name(ring)} is stored {len(found)} times"
    if found and age > KEPT_DAYS + 2:
        yield f"{_name(ring)} is kept for {age:.1f} days"
    if found and ring.stored is Stored.GONE:
        yield f"{_name(ring)} was deleted and is stored"
    if not found and ring.stored is Stored.MUST and age < KEPT_DAYS - 1:
        yield f"{_name(ring)} is not stored"
    for _, outcome, _ in found:
        wanted = {ring.outcome} if ring.is_reported else {ring.outcome, "ended"}
        if outcome not in wanted:
            yield f"{_name(ring)} was {ring.outcome} and is stored as {outcome}"


def _is_of(told: Told, ring: Ring) -> bool:
    return told.account == ring.account and 0 <= told.monotonic - ring.monotonic <= TOLD_WITHIN


def _answers(opening: tuple[str, float], press: Press) -> bool:
    return opening[0] == press.door and 0 <= opening[1] - press.began <= DOOR_WITHIN


def _take(left: list[tuple[str, float]], group: Iterable[Press], number: int) -> bool:
    """Take the first openings that can be those of some presses; return whether there were any."""
    mine = [each for each in left if any(_answers(each, press) for press in group)][:number]
    for each in mine:
        left.remove(each)
    return bool(mine)


def _joined(presses: Iterable[Press]) -> list[list[Press]]:
    groups: list[list[Press]] = []
    for press in sorted(presses, key=lambda press: (press.door, press.began)):
        last = groups[-1] if groups else []
        if any(each.door == press.door and press.began <= each.ended for each in last):
            last.append(press)
        else:
            groups.append([press])
    return groups


def _name(ring: Ring) -> str:
    return f"the ring of {ring.account} at {ring.panel} ({ring.at:.1f})"
