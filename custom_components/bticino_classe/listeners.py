"""Listeners of a change, none of which can affect the others."""

from functools import partial
from typing import TYPE_CHECKING

from homeassistant.core import CALLBACK_TYPE, callback

from .const import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

type ModuleListener = Callable[[Collection[str] | None], None]


class Listeners[*Args]:
    """Calls every listener with a change; the error of one is logged."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[*Args], None]] = []

    @callback
    def async_add(self, listener: Callable[[*Args], None]) -> CALLBACK_TYPE:
        """Add a listener; returns a function that removes it."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    @callback
    def async_notify(self, *args: *Args) -> None:
        """Call the listeners in the order in which they were added."""
        for listener in tuple(self._listeners):
            try:
                listener(*args)
            except Exception:  # noqa: BLE001 - the others have to be called all the same
                LOGGER.exception("A change could not be handled")


class ModuleListeners(Listeners["Collection[str] | None"]):
    """Listeners that get the ids of the modules that changed; None: any may have."""
