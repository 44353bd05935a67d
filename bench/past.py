"""A history on disk after a long time: calls, each with its two pictures."""

from typing import TYPE_CHECKING, Final

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

from .home import entry_of, set_up

if TYPE_CHECKING:
    from pathlib import Path
    import sqlite3

    from homeassistant.core import HomeAssistant

DAYS: Final = 80  # that the calls are spread over
CONTENT: Final = b"\xff\xd8\xff\xe0"  # of a picture: its size matters to no query
OUTCOMES: Final = (CallState.MISSED, CallState.ANSWERED, CallState.ENDED)


async def places(hass: HomeAssistant) -> tuple[str, str, str]:
    """Return the ids of the home, of the intercom and of its first panel."""
    await set_up(hass)
    house = entry_of(hass).runtime_data.coordinator.data
    bridge = house.bridges[0]
    return bridge.home_id, bridge.id, house.panels_of(bridge.id)[0]


def limit(hass: HomeAssistant, **limits: int) -> None:
    """Say how much is to be kept, before the account is set up."""
    entry = entry_of(hass)
    hass.config_entries.async_update_entry(entry, options={CONF_HISTORY: limits})


async def fill(hass: HomeAssistant, number: int, at: tuple[str, str, str], now: float) -> None:
    """Store so many calls, of which the newest was an hour ago; the account is not set up."""
    limit(hass, **{CONF_CALLS: 10_000, CONF_DAYS: 100, CONF_MEGABYTES: 10_000})
    first, apart = now - DAYS * DAY, (DAYS * DAY - 3600) / number
    database = Database(file_of(hass))
    limits = Limits(days=100, calls=10_000, megabytes=10_000)

    def store(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=limits, now=first - DAY)
        writer.begin(deleted_until=None)
        for each in range(number):
            writer.insert(_call(each, at, first + each * apart))
            for kind in KINDS:
                writer.keep(str(each), kind, StillImage(content=CONTENT, content_type="image/jpeg"))

    await database.run(store)
    await database.close()


def file_of(hass: HomeAssistant) -> Path:
    """Return the file of the account's history."""
    return history_path(hass, entry_of(hass).entry_id)


def _call(number: int, at: tuple[str, str, str], time: float) -> CallRecord:
    home_id, bridge_id, panel_id = at
    return CallRecord(
        id=str(number),
        session=str(number),
        bridge_id=bridge_id,
        panel_id=panel_id,
        location=Location(module_id=panel_id, name="Panel", home_id=home_id, home_name="Home"),
        time=time,
        outcome=OUTCOMES[number % len(OUTCOMES)].value,
        ended_at=time + 30,
    )
