"""Helpers that read and change what the history has stored."""

from contextlib import closing
from pathlib import Path
import sqlite3
from typing import TYPE_CHECKING

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history import reading
from custom_components.bticino_classe.history.database import Database
from custom_components.bticino_classe.history.records import Limits
from custom_components.bticino_classe.history.writing import Writer
from tests.integration.conftest import get_entry, wait_idle

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.history.history import CallHistory
    from custom_components.bticino_classe.history.records import CallRecord


def history_of(hass: HomeAssistant) -> CallHistory:
    """Return the history of the account."""
    history: CallHistory = get_entry(hass).runtime_data.history
    return history


async def calls_of(hass: HomeAssistant) -> list[CallRecord]:
    """Return the stored calls, oldest first."""
    await wait_idle(hass)
    query = "ORDER BY time, number"
    return await history_of(hass).async_read(lambda db: reading.select(db, query))


async def new_calls(hass: HomeAssistant) -> list[CallRecord]:
    """Return the stored calls, oldest first, without the one from before the set-up."""
    return (await calls_of(hass))[1:]


async def pictures_of(hass: HomeAssistant) -> list[bytes]:
    """Return the stored pictures, oldest first."""
    await wait_idle(hass)
    query = "SELECT content FROM pictures ORDER BY call, kind"
    found = await history_of(hass).async_read(lambda db: db.execute(query).fetchall())
    return [content for (content,) in found]


def database(hass: HomeAssistant) -> Path:
    """Return the file of the history."""
    return Path(hass.config.path(".storage", DOMAIN, f"{get_entry(hass).entry_id}.db"))


def files(hass: HomeAssistant) -> list[str]:
    """Return the names of all files of all histories."""
    folder = Path(hass.config.path(".storage", DOMAIN))
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def edit(path: Path, sql: str) -> None:
    """Run SQL on a database that is not in use."""
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        db.execute(sql)


async def fill(hass: HomeAssistant, *records: CallRecord, tracking_since: float) -> None:
    """Store calls unchanged in a history that is not in use."""
    store = Database(database(hass))

    def insert(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=Limits(days=4000, calls=10_000, megabytes=1), now=tracking_since)
        writer.begin(deleted_until=None)
        for record in records:
            writer.insert(record)

    await store.run(insert)
    await store.close()
