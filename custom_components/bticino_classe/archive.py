"""What is kept of an account's calls: an index in Home Assistant's storage, pictures beside it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.exceptions import HomeAssistantError, UnsupportedStorageVersionError
from homeassistant.helpers.storage import STORAGE_DIR, Store

from .const import DOMAIN, LOGGER
from .past_calls import PastCall, as_row, from_rows
from .picture_files import PictureFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from homeassistant.core import HomeAssistant

    from .past_calls import KeptPicture

STORAGE_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All that is remembered of calls; None for `begun_at`: nothing was yet.

    `deleted` are the times of single calls that a person deleted, by id, and `deleted_until` that
    of the newest one when all were: the cloud tells of them once more.
    """

    calls: tuple[PastCall, ...] = ()
    begun_at: float | None = None
    deleted: Mapping[str, float] = field(default_factory=dict)
    deleted_until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An index, and the pictures that are there by file; whether something of it was damaged.

    None for the pictures: nobody can tell which are there.
    """

    index: Index
    pictures: Mapping[str, KeptPicture] | None
    is_damaged: bool


class Archive:
    """Reads and writes off the event loop; both are whole or not at all, and private."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store: Store[dict[str, Any]] = Store(
            hass,
            STORAGE_VERSION,
            f"{DOMAIN}.{entry_id}",
            private=True,
            atomic_writes=True,
            serialize_in_event_loop=False,
        )
        self._files = PictureFiles(Path(hass.config.path(STORAGE_DIR, DOMAIN, entry_id)))
        self._cannot_write = False
        self._rows: dict[str, tuple[PastCall, dict[str, Any]]] = {}

    async def async_load(self) -> Found:
        """Return what is there, however little of it can be read."""
        is_there = await self._hass.async_add_executor_job(Path(self._store.path).exists)
        stored: object = None
        try:
            stored = await self._store.async_load()
        except UnsupportedStorageVersionError:
            LOGGER.warning("The history of calls is of a newer version and begins anew")
            is_there = False
        except HomeAssistantError as err:
            LOGGER.debug("The index of calls cannot be read: %s", type(err).__name__)
        return await self._hass.async_add_executor_job(self._found, stored, is_there)

    def _found(self, stored: object, is_there: bool) -> Found:
        index, unreadable = _index(stored)
        is_damaged = is_there and (stored is None or unreadable)
        pictures: Mapping[str, KeptPicture] | None = None
        try:
            pictures = self._files.found()
        except OSError as err:
            LOGGER.warning("Pictures of calls cannot be looked at: %s", err.strerror)
        return Found(index=index, pictures=pictures, is_damaged=is_damaged)

    def close(self) -> None:
        """Keep no more pictures: who removes the account must not find new ones."""
        self._files.close()

    async def async_save(self, index: Index) -> None:
        """Write the index now; while Home Assistant stops, with all else that it writes last."""
        stored = await self._hass.async_add_executor_job(self._as_stored, index)
        await self._store.async_save(stored)

    def _as_stored(self, index: Index) -> dict[str, Any]:
        """Make the rows of what has changed; all of them anew would wake the garbage collector."""
        rows = {}
        for call in index.calls:
            row = self._rows.get(call.id)
            rows[call.id] = row if row and row[0] is call else (call, as_row(call))
        self._rows = rows
        return {
            "begun_at": index.begun_at,
            "calls": [row for _, row in rows.values()],
            "deleted": dict(index.deleted),
            "deleted_until": index.deleted_until,
        }

    async def async_write_picture(self, file: str, content: bytes) -> bool:
        """Keep a picture; False, with one warning, if it could not be."""
        try:
            await self._hass.async_add_executor_job(self._files.write, file, content)
        except OSError as err:
            if not self._cannot_write and not self._files.is_closed:
                LOGGER.warning("Pictures of calls cannot be kept: %s", err.strerror)
            self._cannot_write = True
            return False
        if self._cannot_write:
            LOGGER.info("Pictures of calls can be kept again")
        self._cannot_write = False
        return True

    async def async_read_picture(self, file: str) -> bytes | None:
        """Return a picture; None if it is not there (any more)."""
        return await self._hass.async_add_executor_job(self._files.read, file)

    async def async_remove_pictures(self, files: Iterable[str]) -> None:
        """Remove pictures; those that cannot be are tried again with the next start."""
        try:
            await self._hass.async_add_executor_job(self._files.remove, tuple(files))
        except OSError as err:
            LOGGER.warning("Pictures of calls cannot be removed: %s", err.strerror)

    async def async_remove(self) -> None:
        """Remove all that was kept."""
        await self._store.async_remove()
        try:
            await self._hass.async_add_executor_job(self._files.remove_all)
        except OSError as err:
            LOGGER.warning("Pictures of calls cannot be removed: %s", err.strerror)


class MemoryArchive:
    """Stands in for an archive where nothing is to be stored: all is gone with Home Assistant."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes] = {}

    async def async_load(self) -> Found:
        """Return nothing."""
        return Found(index=Index(), pictures={}, is_damaged=False)

    def close(self) -> None:
        """Do nothing: all goes with the history."""

    async def async_save(self, index: Index) -> None:
        """Write nothing."""

    async def async_write_picture(self, file: str, content: bytes) -> bool:
        """Have a picture at hand."""
        self._pictures[file] = content
        return True

    async def async_read_picture(self, file: str) -> bytes | None:
        """Return a picture that is at hand."""
        return self._pictures.get(file)

    async def async_remove_pictures(self, files: Iterable[str]) -> None:
        """Drop pictures."""
        for file in files:
            self._pictures.pop(file, None)


def _index(stored: object) -> tuple[Index, bool]:
    """Return what can be read of an index, and whether there was more that could not."""
    if not isinstance(stored, dict):
        return Index(), stored is not None
    # While there were no pictures, only the last and the missed calls were stored.
    rows = stored.get("calls", [*_rows(stored.get("last")), *_rows(stored.get("missed"))])
    calls = {call.id: call for call in from_rows(rows)}
    begun_at, until = _number(stored.get("begun_at")), _number(stored.get("deleted_until"))
    deleted = stored.get("deleted")
    times = deleted.items() if isinstance(deleted, dict) else ()
    index = Index(
        calls=tuple(sorted(calls.values(), key=lambda call: call.time)),
        begun_at=begun_at,
        deleted={key: number for key, time in times if (number := _number(time)) is not None},
        deleted_until=until or 0.0,
    )
    expected = len(_rows(rows)) if "calls" in stored else len(calls)
    return index, len(calls) < expected or begun_at is None


def _rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
