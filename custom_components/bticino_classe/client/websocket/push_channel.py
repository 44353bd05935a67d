"""The push socket of an account."""

from collections import Counter, OrderedDict, deque
from functools import partial
import logging
import time
from typing import TYPE_CHECKING, Final

from ..const import APP_TYPE
from ..push import CallPush, decode
from ..redaction import shape_of
from .connection import ReconnectingSocket, SocketState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..auth import AuthHandler
    from ..push import Push
    from .backoff import Backoff
    from .connection import Frame
    from .keepalive import KeepalivePolicy

_LOGGER = logging.getLogger(__name__)

REMEMBERED_PUSHES: Final = 256
REPEATED_WITHIN: Final = 3600.0  # seconds
KEPT_UNKNOWN: Final = 5

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
    ) -> None:
        self._clock = clock
        self._app_version = auth.app_version
        self._push_listeners: list[PushListener] = []
        self._state_listeners: list[StateListener] = []
        self._subscription_listeners: list[SubscriptionListener] = []
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.counters: Counter[str] = Counter()
        self.unknown: deque[object] = deque(maxlen=KEPT_UNKNOWN)
        self.socket = ReconnectingSocket(
            auth,
            auth.endpoints.push,
            name="push connection",
            subscription=self._subscription,
            on_frame=self._on_frame,
            on_state=self._on_state,
            on_subscribed=self._on_subscribed,
            keepalive=keepalive,
            backoff=backoff,
        )

    @property
    def is_online(self) -> bool:
        """Whether the cloud has confirmed the subscription, so that pushes arrive."""
        return self.socket.state is SocketState.ONLINE

    @property
    def is_outage_logged(self) -> bool:
        """Whether the log's latest entry about the connection is that it is lost."""
        return self.socket.is_outage_logged

    def listen_pushes(self, listener: PushListener) -> Callable[[], None]:
        """Call a listener with every push; returns what removes it."""
        self._push_listeners.append(listener)
        return partial(_remove, self._push_listeners, listener)

    def listen_states(self, listener: StateListener) -> Callable[[], None]:
        """Call a listener with every new state of the socket; returns what removes it."""
        self._state_listeners.append(listener)
        return partial(_remove, self._state_listeners, listener)

    def listen_subscriptions(self, listener: SubscriptionListener) -> Callable[[], None]:
        """Call a listener after every subscription, also on the same connection.

        It gets whether pushes may have been lost before. Returns what removes it.
        """
        self._subscription_listeners.append(listener)
        return partial(_remove, self._subscription_listeners, listener)

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
        self._notify(self._state_listeners, state)

    def _on_subscribed(self, may_have_missed: bool) -> None:
        self._notify(self._subscription_listeners, may_have_missed)

    def _on_frame(self, frame: Frame) -> None:
        push = decode(frame)
        if push is None:
            self.counters["unknown"] += 1
            self.unknown.append(shape_of(frame))
        elif self._is_repeat(push):
            self.counters["repeats"] += 1
        else:
            self.counters["pushes"] += 1
            self._notify(self._push_listeners, push)

    def _notify[Value](self, listeners: list[Callable[[Value], None]], value: Value) -> None:
        for listener in tuple(listeners):
            try:
                listener(value)
            except Exception as err:  # noqa: BLE001 - the listener is not ours; its text may hold the push
                self.counters["failed_listeners"] += 1
                _LOGGER.error("A listener of the push connection failed: %s", type(err).__name__)  # noqa: TRY400 - no traceback, it may hold the push

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


def _remove[Listener](listeners: list[Listener], listener: Listener) -> None:
    if listener in listeners:
        listeners.remove(listener)
