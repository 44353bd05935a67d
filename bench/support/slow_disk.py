"""A slow disk, and what is written to it: a library that another process loads before all others.

Its syncs wait for a device with few operations a second, as they wait for an SD card; the page
cache hides reads and takes writes. A file system of our own in FUSE would do the same in several
times the code, and would need root.
"""

import ctypes
from dataclasses import dataclass
from pathlib import Path
import shutil
import subprocess
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE: Final = Path(__file__).with_suffix(".cpp")
COMPILER: Final = "g++"
FLAGS: Final = ("-std=c++17", "-O2", "-shared", "-fPIC", "-fno-exceptions", "-fno-rtti")
SLOW_OPERATIONS: Final = 20.0  # a second


def build(folder: Path) -> Path | None:
    """Compile the library into a folder; None without a compiler."""
    if shutil.which(COMPILER) is None:
        return None
    library = folder / "slow_disk.so"
    command = [COMPILER, *FLAGS, "-nostartfiles", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)  # noqa: S603 - our own
    return library


def environment(library: Path | None, folder: Path) -> Mapping[str, str]:
    """Return the variables with which a process has a disk of its own under a folder."""
    if library is None:
        return {}
    return {"LD_PRELOAD": str(library), "SLOW_DISK_FOLDER": f"{folder.resolve()}/"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Operations of the disk; writes and syncs in the main thread, which runs the event loop."""

    total: int = 0
    blocking: int = 0

    def __sub__(self, other: Self) -> Operations:
        """Return the operations since an earlier count."""
        return Operations(total=self.total - other.total, blocking=self.blocking - other.blocking)


class Disk:
    """The disk of this process; without the library, it is as fast as it is and counts nothing."""

    def __init__(self) -> None:
        process = ctypes.CDLL(None)
        self.is_there = hasattr(process, "slow_disk_set")
        if self.is_there:
            process.slow_disk_set.argtypes = [ctypes.c_double]
            process.slow_disk_operations.restype = ctypes.c_int64
        self._process = process

    def limit(self, operations_per_second: float) -> None:
        """Set the speed; 0 is the speed of the real disk."""
        if self.is_there:
            self._process.slow_disk_set(operations_per_second)

    def operations(self) -> Operations:
        """Count the operations so far."""
        if not self.is_there:
            return Operations()
        count = self._process.slow_disk_operations
        return Operations(total=count(0), blocking=count(1))
