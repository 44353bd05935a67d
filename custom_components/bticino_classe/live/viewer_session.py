"""One viewer of one camera, between a WebRTC client and a call session of the cloud."""

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, override

from homeassistant.core import callback

from ..client import (
    BticinoError,
    CallLimitError,
    CallObserver,
    CallSession,
    ModuleKind,
    SessionState,
)
from ..errors import call_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..client import Candidate, Module, SignalingChannel
    from ..permissions import EntityAccess


class WebRTCClient(Protocol):
    """The viewer's end: receives the answer, the candidates and the reason of the end."""

    @property
    def relay(self) -> str | None:
        """The identity of a relay, which gives way to people; None: a person watches."""

    def answered(self, sdp: str) -> None:
        """Handle the answer to the client's offer."""

    def candidate(self, candidate: Candidate) -> None:
        """Handle a candidate of the intercom."""

    def candidates_complete(self) -> None:
        """Handle that the intercom has sent all its candidates."""

    def postponed(self, key: str) -> None:
        """Handle that the session has to wait; `key` is the translation key of the reason."""

    def failed(self, key: str) -> None:
        """Handle the end of the session; `key` is the translation key of the reason."""


class ViewerSession(CallObserver):
    """A viewer of a camera; `answered_call` is the session id of the ring that it has answered.

    `access` is what the viewer may do with the camera, `is_in_line` whether it waits for earlier
    viewers of the intercom, `replaces_own` whether it has ended a call of the same relay,
    `waits_for_ring` whether it waits for the end of a ring,
    `was_connected` whether media has flowed, `has_left` whether the viewer has ended it,
    `ended_by` who has, as in Call. `call_changed` is set when a call changes, and at the end of the
    session. `on_connected` is called when media may flow, `on_over` once, when the session is over.
    """

    replaces_own = False
    waits_for_ring = False

    def __init__(  # noqa: PLR0913 - the parts of a session
        self,
        channel: SignalingChannel,
        camera: Module,
        client: WebRTCClient,
        *,
        access: EntityAccess,
        origin: str | None,
        on_connected: Callable[[ViewerSession], None],
        on_over: Callable[[ViewerSession], None],
    ) -> None:
        self.client = client
        self._on_connected = on_connected
        self._on_over = on_over
        self.camera = camera
        self.access = access
        self.origin = origin
        self.answered_call: str | None = None
        self.is_in_line = True
        self.was_connected = False
        self.has_left = False
        self.ended_by = "here"
        self.over = asyncio.Event()
        self.call_changed = asyncio.Event()
        self.call = CallSession(
            channel,
            self,
            bridge_id=camera.sent_intercom_id,
            panel_id=None if camera.kind is ModuleKind.BRIDGE else camera.sent_id,
        )

    @property
    def relay(self) -> str | None:
        """The identity of a relay; None: a person watches."""
        return self.client.relay

    @property
    def may_return(self) -> bool:
        """Whether the viewer has left and may return: a person who presses the talk button."""
        return self.has_left and self.relay is None

    @property
    def is_connected(self) -> bool:
        """Whether media may flow."""
        return self.call.state is SessionState.ANSWERED

    def belongs_to(self, user_id: str | None) -> bool:
        """Whether a user has opened the session; None: Home Assistant itself, for all sessions."""
        return user_id is None or user_id == self.access.user_id

    @contextmanager
    def waiting_for_ring(self, key: str) -> Iterator[None]:
        """Report to the client why the session waits for the end of a ring, and let it wait."""
        self.client.postponed(key)
        self.waits_for_ring = True
        try:
            yield
        finally:
            self.waits_for_ring = False

    def is_answer_sent(self, session_id: str) -> bool:
        """Whether our answer to a ring was sent, so that the end of this session ends the ring."""
        return self.call.ids is not None and self.call.ids.session_id == session_id

    def hang_up_of(self, session_id: str) -> Callable[[], None]:
        """Return a callable that ends this session if it is still the session of that ring."""
        return partial(self.call.end_if, session_id)

    @override
    def answered(self, sdp: str) -> None:
        self.client.answered(sdp)
        self.was_connected = True
        self._on_connected(self)

    @override
    def candidate(self, candidate: Candidate) -> None:
        self.client.candidate(candidate)

    @override
    def candidates_complete(self) -> None:
        self.client.candidates_complete()

    @override
    def ended(self, error: BticinoError) -> None:
        self.ended_by = "here" if isinstance(error, CallLimitError) else "elsewhere"
        self.end(call_reason(error))

    @callback
    def end(self, key: str) -> None:
        """End the session and report the reason to the client."""
        if not self.over.is_set():
            self.client.failed(key)
            self._finish()

    @callback
    def leave(self) -> None:
        """End the session because the viewer has left."""
        if not self.over.is_set():
            self.has_left = True
            self._finish()

    def _finish(self) -> None:
        self.over.set()
        self.call_changed.set()
        self.call.hang_up()
        self._on_over(self)
