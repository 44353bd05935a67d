"""When the history is written: at once, all that changed in a moment in one go."""

from typing import TYPE_CHECKING

from homeassistant.core import callback

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from homeassistant.core import HomeAssistant

    from .archive import Archive, Index, MemoryArchive


class Saving:
    """Writes the index, then removes the pictures that it no longer names.

    A kill between the two leaves pictures, which are found again.
    """

    def __init__(
        self, hass: HomeAssistant, archive: Archive | MemoryArchive, index: Callable[[], Index]
    ) -> None:
        self._hass = hass
        self._archive = archive
        self._index = index
        self._task: asyncio.Task[None] | None = None
        self._removed: list[str] = []
        self._is_dirty = False
        self._is_closed = False

    @property
    def is_behind(self) -> bool:
        """Whether something has changed that could not be written."""
        return self._is_dirty

    @callback
    def async_soon(self, removed: Iterable[str] = ()) -> None:
        """Write with what else changes in this moment; `removed` are pictures to remove."""
        if self._is_closed:
            return
        self._is_dirty = True
        self._removed += removed
        if self._task is None or self._task.done():
            self._task = self._hass.async_create_task(
                self._save(), "bticino_classe history", eager_start=False
            )

    async def async_settle(self) -> None:
        """Wait until all is written that can be."""
        if self._task is not None:
            await self._task

    async def async_close(self) -> None:
        """Write what is still to be written, and nothing after that."""
        self._is_closed = True
        self._archive.close()
        await self.async_settle()

    async def _save(self) -> None:
        while self._is_dirty:
            self._is_dirty = False
            removed = tuple(self._removed)
            if not await self._archive.async_save(self._index()):
                self._is_dirty = True  # tried again with the next change, or within the hour
                return
            del self._removed[: len(removed)]
            await self._archive.async_remove_pictures(removed)
