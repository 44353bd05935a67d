"""How past calls are laid out for browsing: place, month, day. Pure; the executor's work."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from .records import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from ..client import Module
    from ..house import House
    from .records import CallRecord

MONTH, DAY = len("2026-11"), len("2026-11-28")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Calls that belong together: what they share, and the newest of them with a picture."""

    key: str
    cover: CallRecord | None


def place_of(house: House, call: CallRecord) -> Module | None:
    """Return the module at which a past call is shown: its panel, or else its intercom."""
    return house.modules.get(house.location_of(call.panel_id, call.bridge_id))


def first_kind(call: CallRecord) -> str | None:
    """Return the kind of the picture that stands for a call: the whole view, if there is one."""
    return next((kind for kind in KINDS if call.kept(kind) is not None), None)


def by_place(house: House, calls: Sequence[CallRecord]) -> list[Folder]:
    """Return the places at which somebody rang."""
    return _folders(calls, partial(_place_id, house))


def by_time(
    house: House, calls: Sequence[CallRecord], zone: tzinfo, place_id: str, within: str
) -> list[Folder]:
    """Return the months of a place's calls, or the days within a month, newest first."""
    length = DAY if within else MONTH

    def key(call: CallRecord) -> str | None:
        if _place_id(house, call) != place_id:
            return None
        date = _date(call, zone)
        return date[:length] if date.startswith(within) else None

    return _folders(calls, key)


def of_day(
    house: House, calls: Sequence[CallRecord], zone: tzinfo, place_id: str, day: str
) -> list[tuple[str, CallRecord]]:
    """Return the calls of a place on a day, newest first, each with its time of day."""
    return [
        (_local(call, zone).strftime("%H:%M"), call)
        for call in reversed(calls)
        if _place_id(house, call) == place_id and _date(call, zone) == day
    ]


def _folders(calls: Sequence[CallRecord], key: Callable[[CallRecord], str | None]) -> list[Folder]:
    covers: dict[str, CallRecord | None] = {}
    for call in reversed(calls):
        found = key(call)
        if found is not None and covers.get(found) is None:
            covers[found] = None if first_kind(call) is None else call
    return [Folder(key=found, cover=cover) for found, cover in covers.items()]


def _place_id(house: House, call: CallRecord) -> str | None:
    place = place_of(house, call)
    return None if place is None else place.id


def _date(call: CallRecord, zone: tzinfo) -> str:
    return _local(call, zone).isoformat()[:DAY]


def _local(call: CallRecord, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(call.time, zone)
