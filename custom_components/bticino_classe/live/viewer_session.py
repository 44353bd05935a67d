"""One viewer of one camera, and what the viewer looks at."""

import asyncio
from typing import TYPE_CHECKING, Protocol, override

from homeassistant.core import callback

from ..client import BticinoError, CallObserver, CallSession, ModuleKind, SessionState
from ..errors import call_reason
from ..texts import spoken

if TYPE_CHECKING:
    from ..client import Candidate, Module
    from .manager import LiveViewManager


class WebRTCClient(Protocol):
    """What a viewer looks at: where the answer goes, the addresses, the reason why it is over."""

    def answered(self, sdp: str) -> None:
        """Show the pictures that come for this answer."""

    def candidate(self, candidate: Candidate) -> None:
        """Try this address of the intercom's too."""

    def failed(self, key: str, text: str) -> None:
        """Say why there are no pictures (any more)."""


class ViewerSession(CallObserver):
    """One viewer of a camera; `call_id` is the ring that was answered with it."""

    def __init__(
        self, line: LiveViewManager, place: Module, page: WebRTCClient, origin: str | None
    ) -> None:
        self._line = line
        self._page = page
        self.place = place
        self.origin = origin
        self.call_id: str | None = None
        self.over = asyncio.Event()
        self.session = CallSession(
            line.channel,
            self,
            bridge_id=place.intercom_id,
            panel_id=place.id if place.kind is ModuleKind.PANEL else None,
        )

    @property
    def is_connected(self) -> bool:
        """Whether pictures and sound may go both ways."""
        return self.session.state is SessionState.ANSWERED

    @override
    def answered(self, sdp: str) -> None:
        self._page.answered(sdp)
        self._line.async_changed()

    @override
    def candidate(self, candidate: Candidate) -> None:
        self._page.candidate(candidate)

    @override
    def ended(self, error: BticinoError) -> None:
        self.end(call_reason(error))

    @callback
    def end(self, key: str) -> None:
        """End it, and tell the viewer why."""
        if not self.over.is_set():
            self._page.failed(key, spoken(self._line.hass, key))
            self._line.async_over(self, by_viewer=False)
