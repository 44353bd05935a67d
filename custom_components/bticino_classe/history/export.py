"""Calls as data, for the export action."""

from datetime import MINYEAR, datetime, timedelta
import math
from typing import TYPE_CHECKING, Final

from homeassistant.util import dt as dt_util

from .records import picture_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.util.json import JsonValueType

    from ..client import Home
    from .formatting import CallFormatter
    from .records import CallRecord

DEFAULT_SPAN: Final = timedelta(days=30)


def span_of(start: datetime | None, end: datetime | None) -> tuple[float, float]:
    """Return the start and end of a time span in seconds; by default the last thirty days."""
    # No end by default: the cloud's clock may be ahead of ours.
    since, until = open_span(start, end)
    if start is not None:
        return since, until
    newest = dt_util.utcnow().timestamp() if end is None else until
    return newest - DEFAULT_SPAN.total_seconds(), until


def open_span(start: datetime | None, end: datetime | None) -> tuple[float, float]:
    """Return the start and end of a time span in seconds; without one, there is no limit."""
    since = -math.inf if start is None else _seconds(start)
    return since, math.inf if end is None else _seconds(end)


def exported(
    entry_id: str, call: CallRecord, formatter: CallFormatter, homes: Mapping[str, Home]
) -> dict[str, JsonValueType]:
    """Return a call as data: times with their zone, and the paths to its pictures."""
    location = call.location
    home = homes.get(location.home_id or "")
    return {
        "id": call.id,
        "home": (home.name if home else None) or location.home_name,
        "panel": formatter.panel(call),
        "start": _iso(call.time),
        "end": None if call.ended_at is None else _iso(call.ended_at),
        "outcome": call.outcome,
        "answered_by": call.answered_by,
        "ended_by": call.ended_by,
        "duration": None if call.duration is None else round(call.duration),
        "pictures": [picture_path(entry_id, call.id, kind) for kind in call.pictures],
    }


def _iso(time: float) -> str:
    return dt_util.as_local(dt_util.utc_from_timestamp(time)).isoformat()


def _seconds(moment: datetime) -> float:
    """Return seconds since 1970; dates near the limits of datetime cannot be converted to UTC."""
    try:
        return dt_util.as_utc(moment).timestamp()
    except OverflowError, ValueError:
        return -math.inf if moment.year == MINYEAR else math.inf
