"""The file of a recording: private, replaced by the next one, deleted after some days."""

from contextlib import suppress
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ..const import DOMAIN, LOGGER

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

KEEP_SECONDS: Final = 7 * 86_400.0


class RecordingFile:
    """Lines of JSON, outside of backups. All methods access the disk and raise OSError."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self.name = f".cache/{DOMAIN}/recordings/{entry_id}.jsonl"
        self._path = Path(hass.config.path(self.name))
        self._file: BinaryIO | None = None

    def write(self, lines: bytes) -> None:
        """Append lines; the first ones replace the file of the last recording."""
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb", buffering=0)
        self._file.write(lines)

    def close(self) -> None:
        """Close the file; the next write replaces it."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def delete(self) -> None:
        """Delete the file if it exists."""
        self._path.unlink(missing_ok=True)

    def delete_if_old(self, now: float) -> float | None:
        """Delete the file if it is too old, else return the seconds left; None: there is none."""
        try:
            left = self._path.stat().st_mtime + KEEP_SECONDS - now
        except FileNotFoundError:
            return None
        if left > 0:
            return left
        self.delete()
        return None

    def read(self) -> list[Any]:
        """Return the lines that are complete; empty if there is no file."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(ValueError):  # the last line, if Home Assistant was killed
                found.append(json.loads(line))
        return found


async def async_read_recording(hass: HomeAssistant, entry_id: str) -> dict[str, Any] | None:
    """Return the name and the content of the recording of an account; None: there is none."""
    file = RecordingFile(hass, entry_id)
    try:
        lines = await hass.async_add_executor_job(file.read)
    except OSError as err:
        return {"file": file.name, "error": err.strerror}
    return {"file": file.name, "lines": lines} if lines else None


async def async_remove_recording(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the recording of an account."""
    file = RecordingFile(hass, entry_id)
    try:
        await hass.async_add_executor_job(file.delete)
    except OSError as err:
        LOGGER.warning("The recording %s could not be deleted: %s", file.name, err.strerror)
