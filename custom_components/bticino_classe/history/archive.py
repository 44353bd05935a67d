"""What is kept of an account's calls: an index in Home Assistant's storage, pictures beside it."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.exceptions import HomeAssistantError, UnsupportedStorageVersionError
from homeassistant.helpers.storage import STORAGE_DIR, Store

from ..const import DOMAIN, LOGGER
from .deletions import Deletion, Deletions
from .picture_files import PictureFiles
from .records import CallRecord, as_row, from_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from homeassistant.core import HomeAssistant

    from .records import KeptPicture

STORAGE_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All that is remembered of calls; None for `begun_at`: nothing was yet."""

    calls: tuple[CallRecord, ...] = ()
    begun_at: float | None = None
    deletions: Deletions = field(default_factory=lambda: Deletions(by_id={}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An index, and the pictures that are there by file; whether something of it was damaged.

    None for the pictures: nobody can tell which are there.
    """

    index: Index
    pictures: Mapping[str, KeptPicture] | None
    is_damaged: bool


class _IndexStore(Store[dict[str, Any]]):
    """A store that knows whether it has written: core only logs that it has not."""

    is_written = False

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        self.is_written = False
        await super()._async_write_data(data)
        self.is_written = True


class Archive:
    """Reads and writes off the event loop; both are whole or not at all, and private."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store = _IndexStore(
            hass,
            STORAGE_VERSION,
            f"{DOMAIN}.{entry_id}",
            private=True,
            atomic_writes=True,
            serialize_in_event_loop=False,
        )
        self._files = PictureFiles(Path(hass.config.path(STORAGE_DIR, DOMAIN, entry_id)))
        self._cannot_write = False
        self._rows: dict[str, tuple[CallRecord, dict[str, Any]]] = {}

    async def async_load(self) -> Found:
        """Return what is there, however little of it can be read."""
        is_there = await self._hass.async_add_executor_job(Path(self._store.path).exists)
        stored: object = None
        # Whatever is in the file: it must not cost the bell, so more than core's errors are caught.
        try:
            stored = await self._store.async_load()
        except UnsupportedStorageVersionError:
            LOGGER.warning("The history of calls is of a newer version and begins anew")
            is_there = False
        except (
            HomeAssistantError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as err:
            LOGGER.debug("The index of calls cannot be read: %s", type(err).__name__)
        read = [stored]
        del stored
        return await self._hass.async_add_executor_job(self._found, read, is_there)

    def _found(self, read: list[object], is_there: bool) -> Found:
        """Decode what was read; it is taken over so that it is dropped here: that takes long."""
        stored = read.pop()
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

    async def async_save(self, index: Index) -> bool:
        """Write the index now; False: it is not written (yet).

        While Home Assistant stops, it is written with all else that is written last.
        """
        stored = await self._hass.async_add_executor_job(self._as_stored, index)
        self._store.is_written = False
        await self._store.async_save(stored)
        return self._store.is_written

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
            "deleted": {
                key: [each.called_at, each.deleted_at]
                for key, each in index.deletions.by_id.items()
            },
            "deleted_until": index.deletions.until,
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
        """Remove all that was kept, also what core has kept of a damaged index."""
        run = self._hass.async_add_executor_job
        copies = partial(_remove_copies, Path(self._store.path))
        for step in (self._store.async_remove(), run(self._files.remove_all), run(copies)):
            try:
                await step
            except OSError as err:
                LOGGER.warning("Some of the history of calls stays: %s", err.strerror)


class MemoryArchive:
    """Stands in for an archive where nothing is to be stored: all is gone with Home Assistant."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes] = {}

    async def async_load(self) -> Found:
        """Return nothing."""
        return Found(index=Index(), pictures={}, is_damaged=False)

    def close(self) -> None:
        """Do nothing: all goes with the history."""

    async def async_save(self, index: Index) -> bool:  # noqa: ARG002 - as an archive has it
        """Write nothing: that is done."""
        return True

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


def _remove_copies(index: Path) -> None:
    """Remove what core has put aside of an index that it could not read."""
    for copy in index.parent.glob(f"{index.name}.corrupt.*"):
        copy.unlink(missing_ok=True)


def _index(stored: object) -> tuple[Index, bool]:
    """Return what can be read of an index, and whether there was more that could not."""
    if not isinstance(stored, dict):
        return Index(), stored is not None
    # While there were no pictures, only the last and the missed calls were stored.
    rows = stored.get("calls", [*_rows(stored.get("last")), *_rows(stored.get("missed"))])
    calls = {call.id: call for call in from_rows(rows)}
    begun_at = _number(stored.get("begun_at"))
    index = Index(
        calls=tuple(sorted(calls.values(), key=lambda call: call.time)),
        begun_at=begun_at,
        deletions=_deletions(stored.get("deleted"), stored.get("deleted_until")),
    )
    expected = len(_rows(rows)) if "calls" in stored else len(calls)
    return index, len(calls) < expected or begun_at is None


def _deletions(by_id: object, until: object) -> Deletions:
    found: dict[str, Deletion] = {}
    for key, times in by_id.items() if isinstance(by_id, dict) else ():
        called_at, deleted_at = map(_number, (*_rows(times), None, None)[:2])
        if called_at is not None and deleted_at is not None:
            found[key] = Deletion(called_at=called_at, deleted_at=deleted_at)
    return Deletions(by_id=found, until=_number(until) or 0.0)


def _rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
