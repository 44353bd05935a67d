"""The push socket of an account."""

import asyncio
from collections import Counter, OrderedDict, deque
import time
from typing import TYPE_CHECKING, Final

from ..const import APP_TYPE
from ..listeners import Listeners
from ..push import CallPush, Push, decode
from ..redaction import shape_of
from .connection import ReconnectingSocket, SocketState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..auth import AuthHandler
    from .backoff import Backoff
    from .connection import Frame
    from .disconnect import Offline
    from .keepalive import KeepalivePolicy

NAME: Final = "push connection"  # in log lines
REMEMBERED_PUSHES: Final = 4096  # those of a busy hour
REPEATED_WITHIN: Final = 3600.0  # seconds
KEPT_UNKNOWN: Final = 5
_FINAL_STATES: Final = (SocketState.ONLINE, SocketState.AUTH_FAILED, SocketState.STOPPED)

type PushListener = Callable[[Push], None]
type StateListener = Callable[[SocketState], None]
type SubscriptionListener = Callable[[bool], None]


class PushChannel:
    """Receives the pushes of an account and passes each to every listener, once.

    Listeners are called from the reader and must return at once. The exception of a listener is
    logged and does not affect the others. `socket.run` keeps the channel connected.
    """

    def __init__(
        self,
        auth: AuthHandler,
        *,
        keepalive: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` never jumps; `wall_clock` returns the seconds since 1970."""
        self._clock = clock
        self._app_version = auth.app_version
        self.counters: Counter[str] = Counter()
        self._push_listeners = Listeners[Push](NAME, self.counters)
        self._state_listeners = Listeners[SocketState](NAME, self.counters)
        self._subscription_listeners = Listeners[bool](NAME, self.counters)
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.unknown: deque[object] = deque(maxlen=KEPT_UNKNOWN)
        self.socket = ReconnectingSocket(
            auth,
            auth.endpoints.push,
            name=NAME,
            subscription=self._subscription,
            on_frame=self._on_frame,
            on_state=self._on_state,
            on_subscribed=self._on_subscribed,
            keepalive=keepalive,
            backoff=backoff,
            wall_clock=wall_clock,
        )

    @property
    def is_online(self) -> bool:
        """Whether the cloud has confirmed the subscription, so that pushes arrive."""
        return self.socket.state is SocketState.ONLINE

    @property
    def offline(self) -> Offline | None:
        """Why the channel is not online, and since when; None if it is, or is stopped."""
        return self.socket.offline

    @property
    def is_outage_logged(self) -> bool:
        """Whether the log's latest entry about the connection is that it is lost."""
        return self.socket.is_outage_logged

    async def wait_online(self) -> None:
        """Wait until pushes arrive, or until it is clear that none will; may wait forever.

        A waiting socket tries again at once, unless the cloud named the pause.
        """
        if self.socket.state in {SocketState.ONLINE, SocketState.AUTH_FAILED}:
            return
        is_final = asyncio.Event()
        remove = self.listen_states(
            lambda state: is_final.set() if state in _FINAL_STATES else None
        )
        self.retry_soon()
        try:
            await is_final.wait()
        finally:
            remove()

    def retry_soon(self) -> None:
        """Reconnect now if the connection has failed: the cloud has just answered elsewhere."""
        self.socket.retry_soon()

    def listen_pushes(self, listener: PushListener) -> Callable[[], None]:
        """Call a listener with every push; returns a function that removes it."""
        return self._push_listeners.add(listener)

    def listen_states(self, listener: StateListener) -> Callable[[], None]:
        """Call a listener with every state of the socket; returns a function that removes it."""
        return self._state_listeners.add(listener)

    def listen_subscriptions(self, listener: SubscriptionListener) -> Callable[[], None]:
        """Call a listener after every subscription, also on the same connection.

        It gets whether pushes may have been lost before. Returns a function that removes it.
        """
        return self._subscription_listeners.add(listener)

    def _subscription(self, token: str) -> Mapping[str, str]:
        # With a "filter" the cloud would not push calls (protocol.md 3.7).
        return {
            "action": "Subscribe",
            "access_token": token,
            "app_type": APP_TYPE,
            "platform": "Android",
            "version": self._app_version,
        }

    def _on_state(self, state: SocketState) -> None:
        self._state_listeners.notify(state)

    def _on_subscribed(self, may_have_missed: bool) -> None:
        self._subscription_listeners.notify(may_have_missed)

    def _on_frame(self, frame: Frame) -> None:
        push = decode(frame)
        if push is None:
            self.counters["unknown"] += 1
            self.unknown.append(shape_of(frame))
        elif self._is_repeat(push):
            self.counters["repeats"] += 1
        else:
            self.counters["pushes"] += 1
            self._push_listeners.notify(push)

    def _is_repeat(self, push: Push) -> bool:
        """Return whether a step of a call came before: the cloud pushes it once per receiver."""
        if not isinstance(push, CallPush):
            return False
        key = (push.step.value, push.session_id)
        now, before = self._clock(), self._seen.get(key)
        if before is not None and now - before < REPEATED_WITHIN:
            return True
        self._seen[key] = now
        if len(self._seen) > REMEMBERED_PUSHES:
            self._seen.popitem(last=False)
        return False
