"""Copies of pictures as files, for actions that take files only, such as those of AI tasks."""

import mimetypes
from pathlib import Path
import shutil
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.helpers.event import async_call_later

from ..const import DOMAIN, LOGGER

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import HomeAssistant

    from ..client import StillImage

KEEP_SECONDS: Final = 600.0  # after the last copy


class PictureFiles:
    """Owns a folder of copies, outside of backups; all of them are deleted soon."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._folder = picture_folder(hass, entry_id)
        self._cancel_timer: CALLBACK_TYPE | None = None

    async def async_copy(self, call_id: str, kind: str, image: StillImage) -> Path | None:
        """Return the path to a copy of a picture; None if it cannot be written."""
        suffix = mimetypes.guess_extension(image.content_type) or ""
        path = self._folder / f"{call_id}-{kind}{suffix}"
        self._plan_clear()
        try:
            await self._hass.async_add_executor_job(_write, path, image.content)
        except OSError as err:
            LOGGER.debug("A picture could not be copied: %s", err.strerror)
            return None
        return path

    async def async_clear(self) -> None:
        """Delete all copies."""
        self._stop_timer()
        await self._hass.async_add_executor_job(remove_folder, self._folder)

    def _plan_clear(self) -> None:
        async def clear(_now: datetime) -> None:
            self._cancel_timer = None
            await self.async_clear()

        self._stop_timer()
        job = HassJob(clear, cancel_on_shutdown=True)
        self._cancel_timer = async_call_later(self._hass, KEEP_SECONDS, job)

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None


def picture_folder(hass: HomeAssistant, entry_id: str) -> Path:
    """Return the folder of an account's copies."""
    return Path(hass.config.cache_path(DOMAIN, entry_id))


def remove_folder(folder: Path) -> None:
    """Delete a folder, as far as it exists."""
    shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
