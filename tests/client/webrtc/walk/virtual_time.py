"""An event loop whose clock jumps to the next timer, so that hours pass in milliseconds."""

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, override

if TYPE_CHECKING:
    from collections.abc import Mapping


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait, but moves the clock of its loop."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("nothing is scheduled: the walk would hang")
        if not events and timeout:
            self.now += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs without waiting; `errors` is what reached its exception handler."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.errors: list[Mapping[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    @override
    def time(self) -> float:
        return self._jumping.now

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that will fire."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [timer for timer in scheduled if not timer.cancelled()]
