"""How long callbacks block the event loop, and how late timers fire."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import gc
import time
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from .report import MS_PER_SECOND, Figure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TICK_SECONDS: Final = 0.001
MAX_BLOCKED_MS: Final = 5.0


@dataclass(slots=True, kw_only=True)
class LoopUsage:
    """Seconds: the longest callback, all callbacks together, and how late each timer was.

    Callbacks are measured in processor time of the loop's thread, so that other processes do not
    count. Timers are also late if another thread holds Python's lock or the machine is busy.
    """

    longest_callback: float = 0.0
    busy: float = 0.0
    lags: list[float] = field(default_factory=lambda: [0.0])

    @property
    def lag(self) -> float:
        """How late the latest timer was."""
        return max(self.lags)


@asynccontextmanager
async def monitor_loop() -> AsyncIterator[LoopUsage]:
    """Measure every callback of the running loop until the context ends."""
    usage, run = LoopUsage(), asyncio.Handle._run
    loop, is_over, has_ticked = asyncio.get_running_loop(), False, False

    def tick(due: float) -> None:
        nonlocal has_ticked
        has_ticked = True
        if not is_over:
            usage.lags.append(loop.time() - due)
            loop.call_at(loop.time() + TICK_SECONDS, tick, loop.time() + TICK_SECONDS)

    def timed_run(handle: asyncio.Handle) -> None:
        nonlocal has_ticked
        has_ticked, start = False, time.thread_time()
        run(handle)
        if not is_over and not has_ticked:
            spent = time.thread_time() - start
            usage.busy += spent
            usage.longest_callback = max(usage.longest_callback, spent)

    gc.collect()  # so that earlier garbage is not collected while it is measured
    with patch.object(asyncio.Handle, "_run", timed_run):
        tick(loop.time())
        try:
            await asyncio.sleep(0)  # the callback that is running now does not count
            yield usage
        finally:
            await asyncio.sleep(0)  # this one does, as its last part belongs to the context
            is_over = True


def blocked_figures(key: str, text: str, usage: LoopUsage) -> Iterator[Figure]:
    """Yield the longest callback, and how late the latest timer fired."""
    yield Figure(
        key=f"{key}_longest_callback_ms",
        text=f"{text}: longest callback of the event loop",
        value=usage.longest_callback * MS_PER_SECOND,
        unit="ms",
        aim=MAX_BLOCKED_MS,
    )
    yield Figure(
        key=f"{key}_lag_ms",
        text=f"{text}: event loop late by",
        value=usage.lag * MS_PER_SECOND,
        unit="ms",
        aim=MAX_BLOCKED_MS,
    )
