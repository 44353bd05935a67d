"""Call records: the data, how reports about one call are merged, and how much is kept."""

from dataclasses import dataclass, replace
import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final

from ..client import CallState
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
GONE: Final = 0  # bytes: the picture is not kept (any more) and is not requested again
DAY: Final = 86_400  # seconds
CLOCKS_DIFFER: Final = 10.0  # seconds at most between two clocks
PICTURE_URL: Final = f"/api/{DOMAIN}/picture/{{entry_id}}/{{call_id}}/{{kind}}"
OUTCOMES: Final = tuple(state.value for state in CallState)

# Which outcome stands when two sources differ.
_RANKS: Final = {CallState.MISSED.value: 1, CallState.ANSWERED.value: 2}
_RING: Final = "incoming_call"
_OUTCOMES_BY_PART: Final = {"accepted_call": CallState.ANSWERED, "missed_call": CallState.MISSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a call is shown, by the names of the day; None is unknown."""

    module_id: str | None = None
    name: str | None = None
    home_id: str | None = None
    home_name: str | None = None


UNKNOWN_LOCATION: Final = Location()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call as it is stored; times are in seconds since 1970.

    `id` is random; `session` is a hash. `panel_id` is None where the panel is unknown;
    `answered_by` and `ended_by` are as in Call. `snapshot` and `vignette` are the bytes of the
    stored pictures: None while there is none yet, GONE when none will come.
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
        """The panel that rang, or the intercom where the panel is unknown."""
        return self.panel_id or self.bridge_id

    @property
    def modules(self) -> set[str]:
        """The panel and the intercom."""
        return {self.module_id, self.bridge_id}

    @property
    def is_unseen_miss(self) -> bool:
        """Whether it was missed and has not been looked at."""
        return self.outcome == CallState.MISSED and not self.seen

    @property
    def pictures(self) -> tuple[str, ...]:
        """The kinds of its stored pictures."""
        return tuple(kind for kind in KINDS if getattr(self, kind))

    def pictured(self, sizes: Mapping[str, int | None]) -> CallRecord:
        """Return it with other pictures, by kind."""
        snapshot, vignette = (sizes.get(kind, getattr(self, kind)) for kind in KINDS)
        return replace(self, snapshot=snapshot, vignette=vignette)

    @property
    def duration(self) -> float | None:
        """Seconds between answer and end; None if unknown."""
        if self.ended_at is None or self.answered_at is None:
            return None
        return max(0.0, self.ended_at - self.answered_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCall:
    """A call of the cloud's list; `is_dated` is False if its time is unusable."""

    record: CallRecord
    is_dated: bool


def new_id() -> str:
    """Return an id for a new record; it gives no access to the call."""
    return secrets.token_hex(8)


def picture_path(entry_id: str, call_id: str, kind: str) -> str:
    """Return the local path to a picture of a call, whether there is one or not."""
    return PICTURE_URL.format(entry_id=entry_id, call_id=call_id, kind=kind)


def session_hash(session_id: str) -> str:
    """Return what is stored of a session id, so that the call is recognized."""
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
    """Return the call of an event in the cloud's list, whose parts come in any order.

    A call began with its earliest ring, and ended as any part says.
    """
    parts = [part for part in event.parts if part.type in {_RING, *_OUTCOMES_BY_PART}]
    rings = [part for part in parts if part.type == _RING]
    session_id = next((part.session_id for part in parts if part.session_id), None)
    if event.module_id is None or session_id is None:
        return None
    reported = {_OUTCOMES_BY_PART[p.type]: p.time for p in parts if p.type in _OUTCOMES_BY_PART}
    outcome = max((CallState.ENDED, *reported), key=_rank)
    record = CallRecord(
        id=new_id(),
        session=session_hash(session_id),
        bridge_id=event.module_id,
        time=min(part.time for part in rings or parts),
        outcome=outcome.value,
        answered_at=reported.get(CallState.ANSWERED),
        ended_at=reported.get(CallState.MISSED) if outcome is CallState.MISSED else None,
    )
    clamped = clamp_times(record, now)
    return ListedCall(record=clamped, is_dated=record.time - clamped.time <= CLOCKS_DIFFER)


def pictures_of(event: Event) -> dict[str, Picture]:
    """Return the links to the pictures of an event, by kind, wherever in it they are."""
    sources = (event, *event.parts)
    links = {kind: next(filter(None, (getattr(s, kind) for s in sources)), None) for kind in KINDS}
    return {kind: link for kind, link in links.items() if link is not None}


def merged(known: CallRecord, news: CallRecord) -> CallRecord:
    """Return one record from two reports of a call, in any order.

    The start stays as first reported, since clocks differ, unless it was much earlier: a push
    that the call was missed reports its end. Id, pictures and `seen` are those of `known`.
    """
    time = news.time if known.time - news.time > CLOCKS_DIFFER else known.time
    filled = {
        name: value
        for name in ("panel_id", "answered_at", "answered_by", "ended_at", "ended_by")
        if getattr(known, name) is None and (value := getattr(news, name)) is not None
    }
    is_located = known.location.home_id is not None and "panel_id" not in filled
    return replace(
        known,
        time=time,
        outcome=max(news.outcome, known.outcome, key=_rank),
        location=known.location if is_located else news.location,
        **filled,
    )


def _rank(outcome: str) -> int:
    return _RANKS.get(outcome, 0)


def clamp_times(record: CallRecord, now: float) -> CallRecord:
    """Return a record without times in the future or before its start."""
    began_at = min(record.time, now)
    answered_at, ended_at = (
        None if at is None or at < began_at else min(at, now)
        for at in (record.answered_at, record.ended_at)
    )
    return replace(record, time=began_at, answered_at=answered_at, ended_at=ended_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is kept at most."""

    days: int
    calls: int
    megabytes: int

    @classmethod
    def chosen(cls, options: Mapping[str, Any]) -> Limits:
        """Return the limits of the options, or the defaults."""
        return cls(
            days=int(options.get(CONF_DAYS, DEFAULT_DAYS)),
            calls=int(options.get(CONF_CALLS, DEFAULT_CALLS)),
            megabytes=int(options.get(CONF_MEGABYTES, DEFAULT_MEGABYTES)),
        )


# For a history that is not stored.
MEMORY_LIMITS: Final = Limits(days=1, calls=100, megabytes=8)
