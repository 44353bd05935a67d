"""Call records: the data, how reports about one call are merged, and how much is kept."""

from dataclasses import dataclass, replace
import hashlib
import math
import secrets
from typing import TYPE_CHECKING, Any, Final, override

from ..client import SESSION_REUSE_SECONDS, STREAM, CallState
from ..const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_MEGABYTES,
    DEFAULT_CALLS,
    DEFAULT_DAYS,
    DEFAULT_MEGABYTES,
    DOMAIN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..client import Call, Event, Picture

SNAPSHOT: Final = "snapshot"  # the whole view
VIGNETTE: Final = "vignette"  # the close-up of a face
KINDS: Final = (SNAPSHOT, VIGNETTE)
GONE: Final = 0  # bytes: the picture was deleted or never came; it is not requested again
DAY: Final = 86_400  # seconds
MEGABYTE: Final = 1_000_000  # bytes
MAX_CLOCK_DIFFERENCE: Final = 10.0  # seconds
# iOS shows an attachment only if its address ends in the name of a picture.
PICTURE_URL: Final = f"/api/{DOMAIN}/picture/{{entry_id}}/{{call_id}}/{{kind}}.jpg"
OUTCOMES: Final = tuple(state.value for state in CallState if state is not CallState.RINGING)

# The higher outcome wins when two reports differ.
_RANKS: Final = {CallState.MISSED.value: 1, CallState.ANSWERED.value: 2}
_RING: Final = "incoming_call"
_OUTCOMES_BY_PART: Final = {"accepted_call": CallState.ANSWERED, "missed_call": CallState.MISSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a call is shown, with the names at the time of the call; None is unknown."""

    module_id: str | None = None
    name: str | None = None
    home_id: str | None = None
    home_name: str | None = None


UNKNOWN_LOCATION: Final = Location()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call as it is stored; times are in seconds since 1970.

    `id` is random; `session` is a hash. `panel_id` is None if the panel is unknown;
    `answered_by` and `ended_by` are as in Call. `snapshot` and `vignette` are the sizes of the
    stored pictures in bytes: None while there is none yet, GONE if none will come.
    """

    id: str
    session: str
    bridge_id: str
    time: float
    outcome: str
    panel_id: str | None = None
    location: Location = UNKNOWN_LOCATION
    answered_at: float | None = None
    ended_at: float | None = None
    answered_by: str | None = None
    ended_by: str | None = None
    snapshot: int | None = None
    vignette: int | None = None
    seen: bool = False

    @property
    def module_id(self) -> str:
        """The panel that rang, or the intercom if the panel is unknown."""
        return self.panel_id or self.bridge_id

    @property
    def modules(self) -> set[str]:
        """The panel and the intercom."""
        return {self.module_id, self.bridge_id}

    @property
    def is_unseen_miss(self) -> bool:
        """Whether it was missed and has not been marked as seen."""
        return self.outcome == CallState.MISSED and not self.seen

    @property
    def pictures(self) -> tuple[str, ...]:
        """The kinds of its stored pictures."""
        return tuple(kind for kind in KINDS if getattr(self, kind))

    @property
    def duration(self) -> float | None:
        """Seconds between answer and end; None if unknown."""
        if self.ended_at is None or self.answered_at is None:
            return None
        return max(0.0, self.ended_at - self.answered_at)

    @property
    def is_start_reported(self) -> bool:
        """Whether its time is that of a ring, not that of its answer or end."""
        return self.time not in {self.answered_at, self.ended_at}

    @property
    def match_seconds(self) -> float:
        """By how much the times of two reports of this call may differ."""
        return SESSION_REUSE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCall(CallRecord):
    """A call from the cloud's list; `is_dated` is False if its time is unusable."""

    is_dated: bool

    @property
    @override
    def match_seconds(self) -> float:
        return SESSION_REUSE_SECONDS if self.is_dated else math.inf


def new_id() -> str:
    """Return an id for a new record; it gives no access to the call."""
    return secrets.token_hex(8)


def picture_path(entry_id: str, call_id: str, kind: str) -> str:
    """Return the local path to a picture of a call, whether it exists or not."""
    return PICTURE_URL.format(entry_id=entry_id, call_id=call_id, kind=kind)


def session_hash(session_id: str) -> str:
    """Return the hash that is stored instead of a session id."""
    return hashlib.sha256(session_id.encode()).hexdigest()[:16]


def from_call(call: Call, location: Location) -> CallRecord:
    """Return the record of a call that is in progress or has just ended."""
    return CallRecord(
        id=new_id(),
        session=session_hash(call.session_id),
        bridge_id=call.bridge_id,
        panel_id=call.panel_id,
        location=location,
        time=call.began_at,
        outcome=(CallState.ANSWERED if call.answered_at is not None else call.state).value,
        answered_at=call.answered_at,
        answered_by=call.answered_by,
        ended_at=call.ended_at,
        ended_by=call.ended_by,
    )


def from_event(event: Event, now: float) -> ListedCall | None:
    """Return the call of an event in the cloud's list; the event's parts come in any order.

    The call begins with its earliest ring; any part may report how it ended.
    """
    parts = [part for part in event.parts if part.type in {_RING, *_OUTCOMES_BY_PART}]
    rings = [part for part in parts if part.type == _RING]
    session_id = next((part.session_id for part in parts if part.session_id), None)
    if event.module_id is None or session_id is None:
        return None
    reported = {_OUTCOMES_BY_PART[p.type]: p.time for p in parts if p.type in _OUTCOMES_BY_PART}
    outcome = max((CallState.ENDED, *reported), key=_rank)
    listed = ListedCall(
        id=new_id(),
        session=session_hash(session_id),
        bridge_id=event.module_id,
        time=min(part.time for part in rings or parts),
        outcome=outcome.value,
        answered_at=reported.get(CallState.ANSWERED),
        ended_at=reported.get(CallState.MISSED) if outcome is CallState.MISSED else None,
        is_dated=True,
    )
    clamped = clamp_times(listed, now)
    return replace(clamped, is_dated=listed.time - clamped.time <= MAX_CLOCK_DIFFERENCE)


def pictures_of(event: Event) -> dict[str, Picture]:
    """Return the links to the pictures of an event and its parts, by kind."""
    sources = (event, *event.parts)
    links = {kind: next(filter(None, (getattr(s, kind) for s in sources)), None) for kind in KINDS}
    return {kind: link for kind, link in links.items() if link is not None}


def merged(known: CallRecord, news: CallRecord) -> CallRecord:
    """Return one record from two reports of a call, received in any order.

    The start stays as first reported, since clocks differ, unless it was much earlier, or only the
    answer or the end was reported so far. Id, pictures and `seen` are those of `known`.
    """
    known, news = _without_answers_for_pictures(known, news)
    tolerated = MAX_CLOCK_DIFFERENCE if known.is_start_reported else 0.0
    time = news.time if known.time - news.time > tolerated else known.time
    filled = {
        name: value
        for name in ("panel_id", "answered_at", "answered_by", "ended_at", "ended_by")
        if getattr(known, name) is None and (value := getattr(news, name)) is not None
    }
    is_located = known.location.home_id is not None and "panel_id" not in filled
    # max() returns the first of equal outcomes. A push is newer, but "ended" in the cloud's list
    # only means that no outcome was reported.
    outcomes = [news.outcome, known.outcome]
    if isinstance(news, ListedCall):
        outcomes.reverse()
    return replace(
        known,
        time=time,
        outcome=max(outcomes, key=_rank),
        location=known.location if is_located else news.location,
        **filled,
    )


def _without_answers_for_pictures(
    known: CallRecord, news: CallRecord
) -> tuple[CallRecord, CallRecord]:
    """Return two records without the answer of a program, which the cloud lists like any other."""
    if known.answered_by == STREAM:
        answered_by = news.answered_by or STREAM  # a person may have taken the call over
        return replace(known, answered_by=answered_by), _without_anonymous_answer(news)
    if news.answered_by == STREAM:
        return _without_anonymous_answer(known), news
    return known, news


def _without_anonymous_answer(record: CallRecord) -> CallRecord:
    if record.answered_by is not None or record.outcome != CallState.ANSWERED:
        return record
    return replace(record, outcome=CallState.ENDED.value, answered_at=None)


def _rank(outcome: str) -> int:
    return _RANKS.get(outcome, 0)


def clamp_times[Record: CallRecord](record: Record, now: float) -> Record:
    """Return a record without times in the future or before its start."""
    began_at = min(record.time, now)
    answered_at, ended_at = (
        None if at is None or at < began_at else min(at, now)
        for at in (record.answered_at, record.ended_at)
    )
    return replace(record, time=began_at, answered_at=answered_at, ended_at=ended_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The maximum age, number of calls and size of pictures."""

    days: int
    calls: int
    megabytes: int

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Limits:
        """Return the limits in the options, or the defaults."""
        return cls(
            days=int(options.get(CONF_DAYS, DEFAULT_DAYS)),
            calls=int(options.get(CONF_CALLS, DEFAULT_CALLS)),
            megabytes=int(options.get(CONF_MEGABYTES, DEFAULT_MEGABYTES)),
        )


# For a history that is not stored on disk.
MEMORY_LIMITS: Final = Limits(days=1, calls=100, megabytes=8)
