"""The requests on the signaling socket that wait for their acknowledgement."""

import asyncio
from collections import deque
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING, Final

from ..error_codes import has_error
from ..values import as_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import BticinoError
    from ..websocket.connection import Frame

type AckHandler = Callable[[Frame], None]

REMEMBERED_SESSIONS: Final = 64


@dataclass(slots=True, kw_only=True, eq=False)
class PendingRequest:
    """A request without an acknowledgement; `deadline` is in seconds of the table's clock.

    `on_ack` is called from within the reader, before any later frame, also after the caller has
    left. `session_id` is the one in the request; an offer has none. `is_refused` marks an offer to
    which a negative acknowledgement was attributed by its order: its own may still follow.
    """

    correlation_id: str
    is_offer: bool
    session_id: str | None
    deadline: float
    reply: asyncio.Future[Frame]
    on_ack: AckHandler | None
    is_refused: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the request is kept when its caller leaves."""
        return self.is_offer or self.on_ack is not None

    def resolve(self, ack: Frame) -> None:
        """Pass the acknowledgement to the session, then to the caller."""
        if self.on_ack is not None:
            self.on_ack(ack)
        reply = self.reply
        if reply.done():
            return
        if self.is_refused and ack.get("status") == "ok":
            self.reply = reply.get_loop().create_future()  # for the offer's own acknowledgement
        reply.set_result(ack)

    def abandon(self) -> None:
        """Note that nobody reads the reply."""
        if not self.reply.cancel() and not self.reply.cancelled():
            self.reply.exception()  # marks it as retrieved


class PendingRequests:
    """The one owner of pending requests, in the order in which they were sent.

    A request leaves with its acknowledgement, with its caller, with the connection, or at its
    deadline. An offer or an answer is kept until the deadline, without its caller: only an offer's
    acknowledgement names the session that must be terminated, and a late one must not be taken for
    that of another request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: dict[str, PendingRequest] = {}
        self._known_sessions: deque[str] = deque(maxlen=REMEMBERED_SESSIONS)
        self._has_correlation_ids = False

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def is_order_certain(self) -> bool:
        """Whether no acknowledgement can be taken for that of a later request.

        A late one can, if acknowledgements have no correlation id and its caller has left.
        """
        self._drop_expired()
        kept = (each for each in self._requests.values() if each.is_kept)
        return self._has_correlation_ids or not any(each.reply.done() for each in kept)

    @property
    def awaited_replies(self) -> set[asyncio.Future[Frame]]:
        """The replies to offers and answers that may still come in time."""
        kept = (each for each in self._requests.values() if each.is_kept)
        return {each.reply for each in kept if not each.reply.done()}

    def is_known(self, session_id: str) -> bool:
        """Whether this is the id of an earlier call; the last ones are remembered."""
        return session_id in self._known_sessions

    def add(
        self,
        correlation_id: str,
        *,
        lifetime: float,
        is_offer: bool = False,
        session_id: str | None = None,
        on_ack: AckHandler | None = None,
    ) -> PendingRequest:
        """Add a request that is about to be sent; `lifetime` is in seconds."""
        self._drop_expired()
        self._remember(session_id)
        request = PendingRequest(
            correlation_id=correlation_id,
            is_offer=is_offer,
            session_id=session_id,
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
        """Remove a request whose caller has left, unless it is kept."""
        if request.is_kept:
            request.abandon()
        else:
            self.remove(request)

    def match(self, ack: Frame) -> PendingRequest | None:
        """Return the request that an acknowledgement is for.

        Observers differ on whether the correlation id comes back (protocol.md 3.8); if it does
        not, the session and the order decide.
        """
        self._drop_expired()
        correlation_id = ack.get("correlation_id")
        if correlation_id is None:
            request = self._match_by_order(ack)
        else:
            self._has_correlation_ids = True
            request = self._requests.pop(str(correlation_id), None)
        if request is not None and request.is_offer:
            self._remember(as_key(ack.get("session_id")))
        return request

    def fail_all(self, error: Callable[[], BticinoError]) -> None:
        """Fail the callers of all requests, because the connection is lost."""
        for request in self._requests.values():
            if not request.reply.done():
                request.reply.set_exception(error())
        self._requests.clear()
        self._has_correlation_ids = False

    def _match_by_order(self, ack: Frame) -> PendingRequest | None:
        """Return the oldest request that fits, preferably one that is not refused."""
        fitting = self._fitting(ack)
        request = min(fitting, key=lambda each: each.is_refused, default=None)
        if request is None:
            return None
        # If it is another request's acknowledgement, the offer's own may follow.
        request.is_refused = request.is_offer and as_key(ack.get("session_id")) is None
        if not request.is_refused:
            del self._requests[request.correlation_id]
        return request

    def _fitting(self, ack: Frame) -> list[PendingRequest]:
        """Return the requests that an acknowledgement without a correlation id may be for."""
        requests = list(self._requests.values())
        session_id = as_key(ack.get("session_id"))
        if session_id is not None and self.is_known(session_id):
            return [each for each in requests if each.session_id == session_id]
        if session_id is not None:
            return [each for each in requests if each.is_offer]
        if has_error(ack) or ack.get("status") == "error":
            return requests
        others = [each for each in requests if not each.is_offer]
        if others or ack.get("status") != "ok":
            return others
        return [each for each in requests if not each.reply.done()]

    def _remember(self, session_id: str | None) -> None:
        if session_id is not None and session_id not in self._known_sessions:
            self._known_sessions.append(session_id)

    def _drop_expired(self) -> None:
        now = self._clock()
        for request in [each for each in self._requests.values() if each.deadline <= now]:
            self.remove(request)
