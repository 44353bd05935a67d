"""The requests on the signaling socket that wait for their acknowledgement."""

import asyncio
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING

from ..decode import as_str
from ..error_codes import has_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import BticinoError
    from ..websocket.connection import Frame

type AckHandler = Callable[[Frame], None]


@dataclass(slots=True, kw_only=True, eq=False)
class PendingRequest:
    """A request without an acknowledgement; `deadline` is in seconds of the table's clock.

    `on_ack` is called from within the reader, before any later frame; for an offer also after its
    caller has left. `is_refused` marks an offer to which an error without a correlation id was
    attributed: its own acknowledgement may still follow.
    """

    correlation_id: str
    is_offer: bool
    deadline: float
    reply: asyncio.Future[Frame]
    on_ack: AckHandler | None
    is_refused: bool = False

    def resolve(self, ack: Frame) -> None:
        """Pass the acknowledgement to the session, then to the caller."""
        if self.on_ack is not None:
            self.on_ack(ack)
        if not self.reply.done():
            self.reply.set_result(ack)

    def abandon(self) -> None:
        """Note that nobody reads the reply."""
        if not self.reply.cancel() and not self.reply.cancelled():
            self.reply.exception()  # marks it as retrieved


class PendingRequests:
    """The one owner of pending requests, in the order in which they were sent.

    A request leaves with its acknowledgement, with its caller, with the connection, or at its
    deadline. An offer outlives its caller until the deadline: only its acknowledgement names the
    session that must be terminated.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: dict[str, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def add(
        self,
        correlation_id: str,
        *,
        lifetime: float,
        is_offer: bool = False,
        on_ack: AckHandler | None = None,
    ) -> PendingRequest:
        """Add a request that is about to be sent; `lifetime` is in seconds."""
        self._drop_expired()
        request = PendingRequest(
            correlation_id=correlation_id,
            is_offer=is_offer,
            deadline=self._clock() + lifetime,
            reply=asyncio.get_running_loop().create_future(),
            on_ack=on_ack,
        )
        self._requests[correlation_id] = request
        return request

    def remove(self, request: PendingRequest) -> None:
        """Remove a request that needs no acknowledgement any more."""
        request.abandon()
        if self._requests.get(request.correlation_id) is request:
            del self._requests[request.correlation_id]

    def release(self, request: PendingRequest) -> None:
        """Remove a request whose caller has left, unless it is an offer."""
        if request.is_offer:
            request.abandon()
        else:
            self.remove(request)

    def match(self, ack: Frame) -> PendingRequest | None:
        """Return the request that an acknowledgement is for, and remove it.

        Observers differ on whether the correlation id comes back (protocol.md 3.8); if it does
        not, the order decides.
        """
        self._drop_expired()
        correlation_id = ack.get("correlation_id")
        if correlation_id is not None:
            return self._requests.pop(str(correlation_id), None)
        return self._match_by_order(ack)

    def fail_all(self, error: Callable[[], BticinoError]) -> None:
        """Fail the callers of all requests, because the connection is lost."""
        for request in self._requests.values():
            if not request.reply.done():
                request.reply.set_exception(error())
        self._requests.clear()

    def _match_by_order(self, ack: Frame) -> PendingRequest | None:
        """Return the oldest request that fits: a session id is for an offer, an error for any."""
        has_session = as_str(ack.get("session_id")) is not None
        is_error = has_error(ack) or ack.get("status") == "error"
        for request in sorted(self._requests.values(), key=lambda each: each.is_refused):
            if not (request.is_offer if has_session else is_error or not request.is_offer):
                continue
            if is_error and request.is_offer:
                # It may be another request's error, so the offer's own acknowledgement may follow.
                request.is_refused = True
            else:
                del self._requests[request.correlation_id]
            return request
        return None

    def _drop_expired(self) -> None:
        now = self._clock()
        for request in [each for each in self._requests.values() if each.deadline <= now]:
            self.remove(request)
