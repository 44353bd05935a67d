"""How long the event loop is held, and how late it comes to what is due."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
import gc
import time
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TICK: Final = 0.001  # seconds


@dataclass(slots=True, kw_only=True)
class Held:
    """Seconds: the longest that one callback worked, all of them together, and the latest tick.

    Work is the processor time of the loop's own thread, so that nothing else on the machine counts.
    A tick is late too where another thread of ours keeps Python's lock, or the machine is busy.
    """

    longest: float = 0.0
    worked: float = 0.0
    late: float = 0.0


@asynccontextmanager
async def holding() -> AsyncIterator[Held]:
    """Measure every callback of the loop until the context ends."""
    held, run = Held(), asyncio.Handle._run
    loop, is_over, has_ticked = asyncio.get_running_loop(), False, False

    def tick(due: float) -> None:
        nonlocal has_ticked
        has_ticked = True
        if not is_over:
            held.late = max(held.late, loop.time() - due)
            loop.call_at(loop.time() + TICK, tick, loop.time() + TICK)

    def timed(handle: asyncio.Handle) -> None:
        nonlocal has_ticked
        has_ticked, began = False, time.thread_time()
        run(handle)
        if not is_over and not has_ticked:
            spent = time.thread_time() - began
            held.worked += spent
            held.longest = max(held.longest, spent)

    gc.collect()  # what was left before is not to be paid for here
    with patch.object(asyncio.Handle, "_run", timed):
        tick(loop.time())
        try:
            await asyncio.sleep(0)  # from here on
            yield held
        finally:
            await asyncio.sleep(0)  # until here, and no further
            is_over = True
