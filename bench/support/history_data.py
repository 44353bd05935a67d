"""A history that has recorded calls for a long time, each with two pictures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from custom_components.bticino_classe.client import CallState, StillImage
from custom_components.bticino_classe.const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_HISTORY,
    CONF_MEGABYTES,
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

from .home_assistant import entry_of, set_up

if TYPE_CHECKING:
    from pathlib import Path
    import sqlite3

    from homeassistant.core import HomeAssistant

DAYS: Final = 80  # over which the calls are spread
PICTURE: Final = StillImage(content=b"\xff\xd8\xff\xe0", content_type="image/jpeg")
OUTCOMES: Final = (CallState.MISSED, CallState.ANSWERED, CallState.ENDED)
LIMITS: Final = Limits(days=100, calls=10_000, megabytes=10_000)  # no call is too many


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the calls are: the ids of a home, its intercom and a panel."""

    home_id: str
    bridge_id: str
    panel_id: str

    @classmethod
    async def find(cls, hass: HomeAssistant) -> Self:
        """Set up the account, and return its first panel."""
        await set_up(hass)
        house = entry_of(hass).runtime_data.coordinator.data
        bridge = house.bridges[0]
        panel_id = house.panels_of(bridge.id)[0]
        return cls(home_id=bridge.home_id, bridge_id=bridge.id, panel_id=panel_id)


def set_limits(hass: HomeAssistant, *, calls: int, days: int, megabytes: int) -> None:
    """Set how much is kept, before the account is set up."""
    limits = {CONF_CALLS: calls, CONF_DAYS: days, CONF_MEGABYTES: megabytes}
    hass.config_entries.async_update_entry(entry_of(hass), options={CONF_HISTORY: limits})


async def fill(hass: HomeAssistant, calls: int, place: Place, now: float) -> None:
    """Fill the history up to a number of calls, before the account is set up.

    The first are at the beginning of a day, so that every day but the last has its full share.
    """
    set_limits(hass, calls=LIMITS.calls, days=LIMITS.days, megabytes=LIMITS.megabytes)
    first = (now // DAY - DAYS) * DAY

    def store(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=LIMITS, now=first - DAY)
        writer.begin(deleted_until=None)
        (stored,) = db.execute("SELECT count(*) FROM calls").fetchone()
        for number in range(calls - stored):
            writer.insert(_call(number, place, first + number * DAYS * DAY / calls))
            for kind in KINDS:
                writer.keep(str(number), kind, PICTURE)

    database = Database(file_of(hass))
    await database.run(store)
    await database.close()


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
