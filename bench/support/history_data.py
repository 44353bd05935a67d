"""A history that has recorded calls for a long time, each with two pictures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from homeassistant.components.media_source import BrowseMediaSource, MediaSourceItem

from custom_components.bticino_classe.client import CallState, StillImage
from custom_components.bticino_classe.const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_HISTORY,
    CONF_MEGABYTES,
    DOMAIN,
)
from custom_components.bticino_classe.history.database import Database
from custom_components.bticino_classe.history.records import (
    DAY,
    KINDS,
    CallRecord,
    Limits,
    Location,
)
from custom_components.bticino_classe.history.store import history_path
from custom_components.bticino_classe.history.writing import Writer
from custom_components.bticino_classe.media_source import async_get_media_source

from .home_assistant import entry_of, set_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    import sqlite3

    from homeassistant.core import HomeAssistant

DAYS: Final = 80  # over which the calls are spread
PICTURE: Final = StillImage(content=b"\xff\xd8\xff\xe0", content_type="image/jpeg")
OUTCOMES: Final = (CallState.MISSED, CallState.ANSWERED, CallState.ENDED)
LIMITS: Final = Limits(days=100, calls=1_000_000, megabytes=10_000)  # no call is too many


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the calls are: the ids of a home, its intercom and a panel."""

    home_id: str
    bridge_id: str
    panel_id: str

    @classmethod
    async def find(cls, hass: HomeAssistant) -> Self:
        """Set up the account, and return its first panel."""
        return (await cls.find_all(hass))[0]

    @classmethod
    async def find_all(cls, hass: HomeAssistant) -> list[Self]:
        """Set up the account, and return the panels of its first intercom."""
        await set_up(hass)
        house = entry_of(hass).runtime_data.coordinator.data
        bridge = house.bridges[0]
        return [
            cls(home_id=bridge.home_id, bridge_id=bridge.id, panel_id=panel_id)
            for panel_id in house.panels_of(bridge.id)
        ]


def set_limits(hass: HomeAssistant, *, calls: int, days: int, megabytes: int) -> None:
    """Set how much is kept, before the account is set up."""
    limits = {CONF_CALLS: calls, CONF_DAYS: days, CONF_MEGABYTES: megabytes}
    hass.config_entries.async_update_entry(entry_of(hass), options={CONF_HISTORY: limits})


async def browse(hass: HomeAssistant) -> Sequence[object]:
    """Open the media browser down to the oldest day, and return what is in it."""
    source = await async_get_media_source(hass)
    item = await source.async_browse_media(MediaSourceItem(hass, DOMAIN, "", None))
    while item.children and item.children[-1].can_expand:
        oldest = item.children[-1]
        assert isinstance(oldest, BrowseMediaSource)
        item = await source.async_browse_media(
            MediaSourceItem(hass, DOMAIN, oldest.identifier or "", None)
        )
    assert item.children, "there is nothing to browse"
    return item.children


async def fill(hass: HomeAssistant, calls: int, places: Sequence[Place], now: float) -> None:
    """Fill the history up to a number of calls at some places, before the account is set up.

    The first are at the beginning of a day, so that every day but the last has its full share.
    """
    set_limits(hass, calls=LIMITS.calls, days=LIMITS.days, megabytes=LIMITS.megabytes)
    first = (now // DAY - DAYS) * DAY

    def store(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=LIMITS, now=first - DAY)
        writer.begin(deleted_until=None)
        (stored,) = db.execute("SELECT count(*) FROM calls").fetchone()
        for number in range(calls - stored):
            place = places[number % len(places)]
            writer.insert(_call(number, place, first + number * DAYS * DAY / calls))
        _add_pictures(db)

    database = Database(file_of(hass))
    await database.run(store)
    await database.close()


def _add_pictures(db: sqlite3.Connection) -> None:
    """Add pictures to all calls at once, which `Writer.keep` would do one by one."""
    values = (PICTURE.content_type, PICTURE.content)
    for kind in KINDS:
        db.execute(
            "INSERT OR REPLACE INTO pictures SELECT number, ?, ?, ? FROM calls", (kind, *values)
        )
        db.execute(f"UPDATE calls SET {kind} = ?", (len(PICTURE.content),))  # noqa: S608 - constant


def file_of(hass: HomeAssistant) -> Path:
    """Return the file of the account's history."""
    return history_path(hass, entry_of(hass).entry_id)


def _call(number: int, place: Place, time: float) -> CallRecord:
    return CallRecord(
        id=str(number),
        session=str(number),
        bridge_id=place.bridge_id,
        panel_id=place.panel_id,
        location=Location(
            module_id=place.panel_id, name="Panel", home_id=place.home_id, home_name="Home"
        ),
        time=time,
        outcome=OUTCOMES[number % len(OUTCOMES)].value,
        ended_at=time + 30,
    )
