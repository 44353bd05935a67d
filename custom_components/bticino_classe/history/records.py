"""Calls as they are remembered: the record, what two sources tell of one, what is too much."""

from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
import hashlib
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from ..client import CallState
from ..const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_MEGABYTES,
    DEFAULT_CALLS,
    DEFAULT_DAYS,
    DEFAULT_MEGABYTES,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ..client import Call, Event, Picture

SNAPSHOT: Final = "snapshot"  # the whole view
VIGNETTE: Final = "vignette"  # the close-up of a face
KINDS: Final = (SNAPSHOT, VIGNETTE)
DAY: Final = 86_400  # seconds
END_OF_TIME: Final = 32_503_680_000  # seconds since 1970: what no calendar has to show
CLOCKS_DIFFER: Final = 10.0  # seconds at the most
MEGABYTE: Final = 1_000_000  # bytes
OUTCOMES: Final = tuple(state.value for state in CallState)

# What stands when two sources differ: somebody did answer, the cloud did say "missed".
_RANKS: Final = {CallState.MISSED.value: 1, CallState.ANSWERED.value: 2}
_RING: Final = "incoming_call"
_OUTCOMES_BY_PART: Final = {"accepted_call": CallState.ANSWERED, "missed_call": CallState.MISSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """A picture's file below the account's folder, and its size in bytes."""

    file: str
    size: int


# The picture was not kept, or is no more, and is not asked for again.
GONE: Final = KeptPicture(file="", size=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call as it is remembered; times are in seconds since 1970, `seen` that somebody looked.

    `id` tells one call from another and nothing of it. `panel_id` is None where nobody knows who
    rang; `answered_by` and `ended_by` are as in Call. A picture is None until it has been had.
    """

    id: str
    bridge_id: str
    time: float
    outcome: str
    panel_id: str | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    answered_by: str | None = None
    ended_by: str | None = None
    snapshot: KeptPicture | None = None
    vignette: KeptPicture | None = None
    seen: bool = False

    @property
    def module_id(self) -> str:
        """Where somebody rang: the panel, or the intercom where nobody knows."""
        return self.panel_id or self.bridge_id

    @property
    def is_unseen_miss(self) -> bool:
        """Whether it was missed, and nobody has looked since."""
        return self.outcome == CallState.MISSED and not self.seen

    @property
    def size(self) -> int:
        """How many bytes its pictures take."""
        return sum(p.size for p in (self.snapshot, self.vignette) if p is not None)

    def kept(self, kind: str) -> KeptPicture | None:
        """Return its picture of a kind, if there is one."""
        picture: KeptPicture | None = getattr(self, kind)
        return None if picture == GONE else picture

    def pictured(self, kind: str, picture: KeptPicture) -> CallRecord:
        """Return it with another picture of a kind."""
        if kind == SNAPSHOT:
            return replace(self, snapshot=picture)
        return replace(self, vignette=picture)

    def without_pictures(self) -> CallRecord:
        """Return it with its pictures gone; one that has not been had yet may still come."""
        return replace(self, snapshot=self.snapshot and GONE, vignette=self.vignette and GONE)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of its pictures."""
        return tuple(picture.file for kind in KINDS if (picture := self.kept(kind)) is not None)

    @property
    def duration(self) -> float | None:
        """How long was talked, in seconds; None while that is not known."""
        if self.ended_at is None or self.answered_at is None:
            return None
        return max(0.0, self.ended_at - self.answered_at)


def call_id(session_id: str) -> str:
    """Return the id of a call, which is no way into it."""
    return hashlib.sha256(session_id.encode()).hexdigest()[:16]


def from_call(call: Call, known_as: str) -> CallRecord:
    """Return a call that goes on, or has just ended, as it is remembered."""
    return CallRecord(
        id=known_as,
        bridge_id=call.bridge_id,
        panel_id=call.panel_id,
        time=call.began_at,
        outcome=(CallState.ANSWERED if call.answered_at is not None else call.state).value,
        answered_at=call.answered_at,
        answered_by=call.answered_by,
        ended_at=call.ended_at,
        ended_by=call.ended_by,
    )


def from_event(event: Event) -> tuple[str, CallRecord] | None:
    """Return session and call of one of the cloud's events, whose parts come in any order.

    A call began with its earliest ring, and ended as any part says.
    """
    parts = [part for part in event.parts if part.type in {_RING, *_OUTCOMES_BY_PART}]
    rings = [part for part in parts if part.type == _RING]
    session_id = next((part.session_id for part in parts if part.session_id), None)
    if event.module_id is None or session_id is None:
        return None
    said = {_OUTCOMES_BY_PART[p.type]: p.time for p in parts if p.type in _OUTCOMES_BY_PART}
    outcome = max((CallState.ENDED, *said), key=_rank)
    call = CallRecord(
        id=call_id(session_id),
        bridge_id=event.module_id,
        time=min(part.time for part in rings or parts),
        outcome=outcome.value,
        answered_at=said.get(CallState.ANSWERED),
        ended_at=said.get(CallState.MISSED) if outcome is CallState.MISSED else None,
    )
    return session_id, call


def pictures_of(event: Event) -> dict[str, Picture]:
    """Return the links to the pictures of an event, by kind, wherever in it they are."""
    places = (event, *event.parts)
    links = {kind: next(filter(None, (getattr(p, kind) for p in places)), None) for kind in KINDS}
    return {kind: link for kind, link in links.items() if link is not None}


def merged(known: CallRecord, news: CallRecord) -> CallRecord:
    """Return one call from what two sources tell of it, in whichever order they came.

    When it began stays as it was first told, since two clocks differ, unless it was much earlier:
    a push that it was missed tells of its end.
    """
    time = news.time if known.time - news.time > CLOCKS_DIFFER else known.time
    outcome = max(news.outcome, known.outcome, key=_rank)
    filled = {
        name: news_value
        for name in ("panel_id", "answered_at", "answered_by", "ended_at", "ended_by", *KINDS)
        if getattr(known, name) is None and (news_value := getattr(news, name)) is not None
    }
    seen = known.seen or news.seen
    return replace(known, time=time, outcome=outcome, seen=seen, **filled)


def _rank(outcome: str) -> int:
    return _RANKS.get(outcome, 0)


def sensible(call: CallRecord, now: float) -> CallRecord:
    """Return a call without times that are still to come, or were before it: those are none."""
    began_at = min(call.time, now)
    answered_at, ended_at = (
        None if at is None or at < began_at else min(at, now)
        for at in (call.answered_at, call.ended_at)
    )
    return replace(call, time=began_at, answered_at=answered_at, ended_at=ended_at)


def over(call: CallRecord) -> CallRecord:
    """Return a call as it is after a restart: nobody rings any more, whatever became of it."""
    ringing = call.outcome == CallState.RINGING
    return replace(call, outcome=CallState.ENDED.value) if ringing else call


def as_row(call: CallRecord) -> dict[str, Any]:
    """Return a call as it is stored: only what there is to say."""
    # By hand: `asdict` takes three times as long, and every change writes every call.
    row = {name: value for name, usual in _USUAL if (value := getattr(call, name)) != usual}
    for kind in KINDS:
        if kind in row:
            row[kind] = {"file": row[kind].file, "size": row[kind].size}
    return row


def from_rows(rows: object) -> Iterator[CallRecord]:
    """Yield the calls that can be read: another version, or a fault, may have written others."""
    for row in rows if isinstance(rows, list) else ():
        with suppress(LookupError, TypeError, ValueError, AttributeError):
            yield _from_row(row)


def _from_row(row: Mapping[str, Any]) -> CallRecord:
    known = {key: value for key, value in row.items() if key in _NAMES}
    for kind in KINDS:
        if kind in known:
            known[kind] = KeptPicture(file=str(known[kind]["file"]), size=int(known[kind]["size"]))
    if "id" not in known:  # as they were stored while there were no pictures
        known["id"] = call_id(row["session_id"])
    call = CallRecord(**known)
    texts = (call.id, call.bridge_id, call.outcome, call.panel_id or "")
    times = (call.time, call.answered_at or 0, call.ended_at or 0)
    if not (all(isinstance(text, str) for text in texts) and all(map(_is_time, times))):
        raise TypeError
    return call


def _is_time(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < END_OF_TIME


_NAMES: Final = {field.name for field in fields(CallRecord)}
_USUAL: Final = tuple(
    (f.name, None if f.default is MISSING else f.default) for f in fields(CallRecord)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is remembered at the most."""

    days: int
    calls: int
    megabytes: int

    @classmethod
    def chosen(cls, options: Mapping[str, Any]) -> Limits:
        """Return what a person has chosen, or what is usual."""
        return cls(
            days=int(options.get(CONF_DAYS, DEFAULT_DAYS)),
            calls=int(options.get(CONF_CALLS, DEFAULT_CALLS)),
            megabytes=int(options.get(CONF_MEGABYTES, DEFAULT_MEGABYTES)),
        )


def too_many(calls: Collection[CallRecord], limits: Limits, now: float) -> list[CallRecord]:
    """Return the calls, given oldest first, that are too old or above the number."""
    above, oldest = len(calls) - limits.calls, now - limits.days * DAY
    numbered = takewhile(lambda each: each[0] < above or each[1].time < oldest, enumerate(calls))
    return [call for _, call in numbered]


def too_large(calls: Iterable[CallRecord], limits: Limits, size: int) -> list[CallRecord]:
    """Return the calls, given oldest first and of `size` together, whose pictures have to go."""
    above, found = size - limits.megabytes * MEGABYTE, []
    for call in calls:
        if above <= 0:
            break
        if call.size:
            found.append(call)
            above -= call.size
    return found
