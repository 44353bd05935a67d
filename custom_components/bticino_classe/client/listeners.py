"""Listeners, none of which can affect the others."""

from functools import partial
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)


class Listeners[Value]:
    """Calls every listener with a value; a failure is counted, and logged without its text.

    The text could contain the value, which may be secret. `name` is used in log lines.
    """

    def __init__(self, name: str, counters: Counter[str]) -> None:
        self._name = name
        self._counters = counters
        self._listeners: list[Callable[[Value], None]] = []

    def add(self, listener: Callable[[Value], None]) -> Callable[[], None]:
        """Add a listener; returns a function that removes it."""
        self._listeners.append(listener)
        return partial(self._remove, listener)

    def notify(self, value: Value) -> None:
        """Call the listeners in the order in which they were added."""
        for listener in tuple(self._listeners):
            try:
                listener(value)
            except Exception as err:  # noqa: BLE001 - the listener is not ours
                self._counters["failed_listeners"] += 1
                _LOGGER.error("A listener of the %s failed: %s", self._name, type(err).__name__)  # noqa: TRY400 - no traceback, it may hold the value

    def _remove(self, listener: Callable[[Value], None]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
