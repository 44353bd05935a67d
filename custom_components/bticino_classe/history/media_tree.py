"""The folders in which calls are browsed: location, month, day."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
import math
from typing import TYPE_CHECKING, Final, Self

from homeassistant.util import dt as dt_util

from . import reading

if TYPE_CHECKING:
    from collections.abc import Iterable
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
    """Some calls: the newest, and the newest with a picture."""

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
    def parse(cls, key: str, zone: tzinfo) -> Self | None:
        """Return the month or day with a key; None if there is none."""
        for length, rest in ((MONTH, "-01"), (DAY, "")):
            with suppress(ValueError):
                day = date.fromisoformat(key + rest)
                found = cls.around(datetime.combine(day, time.min, zone), length)
                return found if found.key == key else None
        return None

    @classmethod
    def around(cls, moment: datetime, length: str) -> Self:
        """Return the month or day that contains a local time."""
        start = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if length == MONTH:
            start = start.replace(day=1)
            end = (start + _LONGEST_MONTH).replace(day=1)
        else:
            end = start + timedelta(days=1)
        return cls(key=start.strftime(length), since=start.timestamp(), until=end.timestamp())


ALWAYS: Final = Period(key="", since=-math.inf, until=math.inf)


async def async_locations(history: CallHistory) -> dict[str, Folder]:
    """Return the locations that have calls, including those that left the house."""
    return await history.async_read(partial(_locations, layout=history.layout))


async def async_periods(
    history: CallHistory, location_id: str, within: Period = ALWAYS
) -> list[Folder]:
    """Return the months with calls at a location, or the days of a month; newest first."""
    zone = dt_util.get_default_time_zone()
    query = partial(_periods, layout=history.layout, location_id=location_id)
    return await history.async_read(partial(query, within=within, zone=zone))


async def async_latest(
    history: CallHistory, location_ids: Iterable[str], count: int
) -> list[CallRecord]:
    """Return the newest calls at some locations, newest first."""
    query = partial(reading.latest, layout=history.layout, location_ids=tuple(location_ids))
    return await history.async_read(partial(query, count=count))


async def async_calls(history: CallHistory, location_id: str, day: Period) -> list[CallRecord]:
    """Return the calls at a location on a day, newest first."""
    query = partial(reading.at_location, layout=history.layout, location_id=location_id)
    return await history.async_read(partial(query, span=(day.since, day.until)))


def local_time(call: CallRecord, zone: tzinfo | None = None) -> datetime:
    """Return when a call began, in a time zone or in that of Home Assistant."""
    return datetime.fromtimestamp(call.time, zone or dt_util.get_default_time_zone())


def _locations(db: sqlite3.Connection, layout: Layout) -> dict[str, Folder]:
    newest = reading.newest_by_location(db, layout, has_picture=False)
    covers = reading.newest_by_location(db, layout, has_picture=True)
    return {key: Folder(key=key, newest=newest[key], cover=covers.get(key)) for key in newest}


def _periods(
    db: sqlite3.Connection, layout: Layout, location_id: str, within: Period, zone: tzinfo
) -> list[Folder]:
    """Go back from the newest call of each month or day: two queries for each."""
    found, until = [], within.until
    newest_at = partial(reading.newest_at, db, layout, location_id)
    while newest := newest_at((within.since, until)):
        period = Period.around(local_time(newest, zone), DAY if within.key else MONTH)
        cover = newest_at((period.since, until), has_picture=True)
        found.append(Folder(key=period.key, newest=newest, cover=cover))
        until = min(period.since, newest.time)
    return found
