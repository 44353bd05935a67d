"""An event loop whose time jumps to the next timer as soon as nothing else is left to do."""

import asyncio
from contextlib import contextmanager
import selectors
import time
from typing import TYPE_CHECKING, Any, override

from .checks import aside

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator


def _work() -> float:
    """Return the processor time of the product so far, in seconds."""
    return time.thread_time() - aside.seconds


class _Selector(selectors.SelectSelector):
    """Waits for nothing; `now` grows by the time that it was asked to wait.

    `longest` is the longest time that the loop was busy without a pause, in seconds.
    """

    now = 1000.0
    longest = 0.0
    _busy_since = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("a deadlock: nothing is left that could happen")
        self.now += max(0.0, timeout)
        self.longest = max(self.longest, _work() - self._busy_since)
        self._busy_since = _work()
        return []

    def restart(self) -> None:
        """Begin to measure."""
        self.longest, self._busy_since = 0.0, _work()


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop without sockets, for code whose time-outs are to pass at once."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    @override
    def time(self) -> float:
        return self._virtual.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._virtual.now += seconds

    def run(self, work: Coroutine[Any, Any, None]) -> float:
        """Run a coroutine; return the longest time that the loop was busy, in seconds."""
        self._virtual.restart()
        self.run_until_complete(work)
        return self._virtual.longest


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """Provide a loop, and close it."""
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        loop.close()
