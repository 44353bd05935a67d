"""The files of pictures in an account's own folder. All of it blocks: the executor's work."""

from dataclasses import dataclass
import os
from pathlib import Path
import re
import tempfile
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from .records import KINDS, KeptPicture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_NAME: Final = re.compile(rf"(?P<time>\d+)-(?P<id>[0-9a-f]{{16}})-(?P<kind>{'|'.join(KINDS)})\.\w+")
_UNFINISHED: Final = ".unfinished-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a file's name tells of its picture, so that it is worth something without an index."""

    module_id: str
    time: float
    call_id: str
    kind: str


def file_name(named: Named, content_type: str) -> str:
    """Return where a picture is kept, below the folder: by module, then by time."""
    name = f"{int(named.time)}-{named.call_id}-{named.kind}.{_EXTENSIONS[content_type]}"
    return f"{quote(named.module_id, safe='')}/{name}"


def named(file: str) -> Named | None:
    """Return what a name tells; None if it is none of ours."""
    folder, _, name = file.rpartition("/")
    found = _NAME.fullmatch(name)
    if not folder or found is None:
        return None
    return Named(
        module_id=unquote(folder),
        time=float(found["time"]),
        call_id=found["id"],
        kind=found["kind"],
    )


def content_type(file: str) -> str:
    """Return what kind of picture a file is, by its name."""
    extension = file.rpartition(".")[2]
    return next((kind for kind, each in _EXTENSIONS.items() if each == extension), "image/jpeg")


class PictureFiles:
    """A folder that only Home Assistant's user can read; a file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.is_closed = False

    def close(self) -> None:
        """Keep no more pictures."""
        self.is_closed = True

    def write(self, file: str, content: bytes) -> None:
        """Keep a picture; OSError: it could not be."""
        path = self._path(file)
        if self.is_closed:
            raise FileNotFoundError(file)  # a folder that is being removed must not come back
        for folder in (self._folder.parent, self._folder, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Such a file can be read by its owner alone (0600).
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
        try:
            with os.fdopen(handle, "wb") as written:
                written.write(content)
                written.flush()
                os.fsync(written.fileno())
            Path(unfinished).replace(path)
        except OSError:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def read(self, file: str) -> bytes | None:
        """Return a picture; None if it is not there (any more)."""
        try:
            return self._path(file).read_bytes()
        except OSError:
            return None

    def remove(self, files: Iterable[str]) -> None:
        """Remove pictures; OSError: the first that could not be, the others are gone."""
        _each(lambda file: self._path(file).unlink(missing_ok=True), files)

    def remove_all(self) -> None:
        """Remove the folder with all that is in it; OSError: some of it is still there."""
        if not self._folder.exists():
            return
        _each(_remove_tree, self._folder.iterdir())
        if self._folder.is_symlink():
            self._folder.unlink()
        else:
            self._folder.rmdir()

    def found(self) -> Mapping[str, KeptPicture]:
        """Return all pictures by their file; what a sudden end left unfinished is removed.

        OSError: the folder cannot be read.
        """
        pictures: dict[str, KeptPicture] = {}
        for folder in self._folders():
            for each in os.scandir(folder):
                if each.name.startswith(_UNFINISHED):
                    Path(each).unlink(missing_ok=True)
                elif each.is_file(follow_symlinks=False):
                    file = f"{folder.name}/{each.name}"
                    pictures[file] = KeptPicture(file=file, size=each.stat().st_size)
        return pictures

    def _folders(self) -> list[Path]:
        if not self._folder.exists():
            return []
        for folder in (self._folder.parent, self._folder):
            folder.chmod(0o700)
        return [Path(e) for e in os.scandir(self._folder) if e.is_dir(follow_symlinks=False)]

    def _path(self, file: str) -> Path:
        """Return a file's path; OSError for a name that is none of ours, whatever it leads to."""
        if named(file) is None or file.count("/") != 1 or file.startswith("."):
            raise FileNotFoundError(file)
        return self._folder / file


def _each[Item](act: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Do something with each, whatever comes of the others; raise what went wrong first."""
    errors: list[OSError] = []
    for item in items:
        try:
            act(item)
        except OSError as err:
            errors.append(err)
    if errors:
        raise errors[0]


def _remove_tree(path: Path) -> None:
    """Remove a folder or a file; a link goes, and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        _each(_remove_tree, path.iterdir())
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
