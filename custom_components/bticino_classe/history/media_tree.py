"""How past calls are laid out for browsing: location, month, day."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
import math
from typing import TYPE_CHECKING, Final

from homeassistant.util import dt as dt_util

from . import reading

if TYPE_CHECKING:
    from datetime import tzinfo
    import sqlite3

    from .history import CallHistory
    from .reading import Layout
    from .records import CallRecord

MONTH: Final = "%Y-%m"
DAY: Final = "%Y-%m-%d"
_LONGEST_MONTH: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Calls that belong together: what they share, the newest, and the newest with a picture."""

    key: str
    newest: CallRecord
    cover: CallRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A month or a day in local time, from `since` until before `until`."""

    key: str
    since: float
    until: float

    @property
    def is_day(self) -> bool:
        """Whether it is a day, not a month."""
        return len(self.key) == len("2026-11-28")

    @classmethod
    def read(cls, text: str, zone: tzinfo) -> Period | None:
        """Return the month or day that a text names; None: it names none."""
        for length, rest in ((MONTH, "-01"), (DAY, "")):
            with suppress(ValueError):
                day = date.fromisoformat(text + rest)
                found = cls.around(datetime.combine(day, time.min, zone), length)
                return found if found.key == text else None
        return None

    @classmethod
    def around(cls, moment: datetime, length: str) -> Period:
        """Return the month or day that has a local moment in it."""
        start = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if length == MONTH:
            start = start.replace(day=1)
            end = (start + _LONGEST_MONTH).replace(day=1)
        else:
            end = start + timedelta(days=1)
        return cls(key=start.strftime(length), since=start.timestamp(), until=end.timestamp())


ALWAYS: Final = Period(key="", since=-math.inf, until=math.inf)


async def async_locations(history: CallHistory) -> list[Folder]:
    """Return the places that have calls, by location: also those that are gone from the house."""
    return await history.async_read(partial(_locations, layout=history.layout))


async def async_periods(history: CallHistory, location_id: str, within: str = "") -> list[Folder]:
    """Return the months that a location has calls in, or the days of a month, newest first."""
    zone = dt_util.get_default_time_zone()
    period = Period.read(within, zone) if within else ALWAYS
    if period is None or period.is_day:
        return []
    return await history.async_read(
        partial(
            _periods,
            layout=history.layout,
            location_id=location_id,
            period=period,
            zone=zone,
        )
    )


async def async_calls_of_day(
    history: CallHistory, location_id: str, day: str
) -> list[tuple[str, CallRecord]]:
    """Return the calls of a location on a day, newest first, each with its time of day."""
    zone = dt_util.get_default_time_zone()
    period = Period.read(day, zone)
    if period is None or not period.is_day:
        return []
    calls = await history.async_read(
        partial(
            reading.at_location,
            layout=history.layout,
            location_id=location_id,
            since=period.since,
            until=period.until,
        )
    )
    return [(_local(call, zone).strftime("%H:%M"), call) for call in calls]


def _locations(db: sqlite3.Connection, layout: Layout) -> list[Folder]:
    found, covers = (
        _by_location(reading.groups(db, pictured=pictured), layout) for pictured in (False, True)
    )
    return [Folder(key=key, newest=newest, cover=covers.get(key)) for key, newest in found.items()]


def _by_location(calls: list[CallRecord], layout: Layout) -> dict[str, CallRecord]:
    """Return the newest call of each location that is shown."""
    oldest_first = sorted(calls, key=lambda call: call.time)
    return {layout.location_of(call): call for call in oldest_first if layout.shows(call)}


def _periods(
    db: sqlite3.Connection, layout: Layout, location_id: str, period: Period, zone: tzinfo
) -> list[Folder]:
    """Step from each newest call to the one before its month or day: two look-ups for each."""
    found, until = [], period.until
    look = partial(reading.newest_at, db, layout, location_id)
    while (newest := look(since=period.since, until=until)[0]) is not None:
        length = DAY if period.key else MONTH
        each = Period.around(_local(newest, zone), length)
        _, cover = look(since=each.since, until=until)
        found.append(Folder(key=each.key, newest=newest, cover=cover))
        until = min(each.since, newest.time)
    return found


def _local(call: CallRecord, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(call.time, zone)
