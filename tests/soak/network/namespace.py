"""Network namespaces without names: they end with the last process or descriptor that uses them."""

from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
from shutil import which
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[3]
NET: Final = "/proc/thread-self/ns/net"
TUN: Final = Path("/dev/net/tun")
TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000  # packets without a header of the driver
DEVICE: Final = "line0"
PROGRAMS: Final = ("ip", "mount", "nsenter", "setpriv", "unshare")


def unavailable() -> str | None:
    """Return why this machine cannot have such namespaces; None if it can."""
    if os.geteuid() != 0 or not TUN.exists():
        return "needs root and /dev/net/tun"
    if missing := [program for program in PROGRAMS if which(program) is None]:
        return f"needs {', '.join(missing)}"
    try:
        with Namespace() as namespace:
            os.close(namespace.open_tun())
    except OSError as err:
        return f"no network namespace with a TUN device can be had: {err.strerror}"
    return None


class Namespace:
    """A network namespace, entered only for as long as it takes to create something in it."""

    def __init__(self) -> None:
        own = os.open(NET, os.O_RDONLY)
        try:
            os.unshare(os.CLONE_NEWNET)
            self._fd = os.open(NET, os.O_RDONLY)
        finally:
            os.setns(own, os.CLONE_NEWNET)
            os.close(own)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run a block without `await` in the namespace; what it opens stays there."""
        own = os.open(NET, os.O_RDONLY)
        os.setns(self._fd, os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(own, os.CLONE_NEWNET)
            os.close(own)

    def run(self, *commands: str) -> None:
        """Run commands in it that end at once."""
        with self.entered():
            for command in commands:
                subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own commands

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """Return a socket that stays in the namespace."""
        with self.entered():
            made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made

    def open_tun(self) -> int:
        """Create the device of the line and return its descriptor; each read is one packet."""
        request = struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI)
        with self.entered():
            fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, request)
        return fd

    def command(self, files: dict[str, Path]) -> tuple[str, ...]:
        """Return what to put before a command that runs in it and sees other files in /etc."""
        mounts = "".join(f"mount --bind {path} /etc/{name} && " for name, path in files.items())
        end_with_us = ("setpriv", "--pdeathsig", "KILL")
        enter = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self._fd}", "--")
        see = ("unshare", "--mount", "sh", "-c", f'{mounts}exec "$@"', "sh")
        return (*end_with_us, *enter, *see)
