"""What the cloud pushes: subscribed to, decoded into typed events, repeats dropped."""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
import time
from typing import TYPE_CHECKING, Final

from .const import APP_TYPE
from .decode import as_float, as_mapping, as_str
from .models import Picture, RingOffer
from .redact import shape_of
from .websocket.connection import Frame, ReconnectingSocket, SocketState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .auth import AuthHandler
    from .websocket.backoff import Backoff
    from .websocket.keepalive import KeepalivePolicy

REMEMBERED_PUSHES: Final = 256
REPEATED_WITHIN: Final = 3600.0  # seconds
KEPT_UNKNOWN: Final = 5
DEFAULT_EXPIRY: Final = 30.0  # seconds that a call rings
LONGEST_EXPIRY: Final = 120.0  # seconds


class CallStep(StrEnum):
    """What a push says of a call."""

    OFFERED = "offer"
    INCOMING = "incoming_call"
    ACCEPTED = "accepted_call"
    MISSED = "missed_call"
    RESCINDED = "rescind"
    TERMINATED = "terminate"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPush:
    """A step of a call; only an offer names the panel.

    `time` is in seconds since 1970, `expiry` the seconds that it rings.
    """

    step: CallStep
    session_id: str
    bridge_id: str
    home_id: str | None = None
    panel_id: str | None = None
    time: float | None = None
    expiry: float = DEFAULT_EXPIRY
    snapshot: Picture | None = None
    vignette: Picture | None = None
    offer: RingOffer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachabilityPush:
    """A module, mostly the intercom itself, came or went; None where it is not said which."""

    module_id: str
    home_id: str | None = None
    reachable: bool | None = None


type Push = CallPush | ReachabilityPush

_REACHABLE: Final[Mapping[str, bool | None]] = {
    "connection": True,
    "websocket_connection": True,
    "disconnection": False,
    "reachable_module_event": None,
}
_CALL_STEPS: Final = frozenset(CallStep)


def decode(frame: Frame) -> Push | None:
    """Return what a frame says; None if it says nothing that is known here."""
    kind = kind_of(frame)
    extra = as_mapping(frame.get("extra_params"))
    if kind in _REACHABLE:
        return _reachability(kind, extra)
    if kind == "rtc":
        kind = as_str(as_mapping(extra.get("data")).get("type")) or ""
    if kind not in _CALL_STEPS:
        return None
    return _call(CallStep(kind), frame, extra)


def kind_of(frame: Frame) -> str:
    """Return a push's kind, which stands behind the type of the bridge: `BNC1-rtc` is `rtc`."""
    return (as_str(frame.get("push_type")) or "").rpartition("-")[2]


def _call(step: CallStep, frame: Frame, extra: Frame) -> CallPush | None:
    session_id, bridge_id = as_str(extra.get("session_id")), as_str(extra.get("device_id"))
    if session_id is None or bridge_id is None:
        return None
    description = as_mapping(as_mapping(extra.get("data")).get("session_description"))
    return CallPush(
        step=step,
        session_id=session_id,
        bridge_id=bridge_id,
        home_id=as_str(extra.get("home_id")),
        panel_id=as_str(description.get("module_id")),
        time=as_float(extra.get("timestamp")) or None,
        expiry=_expiry(as_float(frame.get("expiry"))),
        snapshot=_picture(extra.get("snapshot_url")),
        vignette=_picture(extra.get("vignette_url")),
        offer=_offer(session_id, extra) if step is CallStep.OFFERED else None,
    )


def _offer(session_id: str, extra: Frame) -> RingOffer | None:
    """Return what an answer needs; None if part of it is missing, then it cannot be answered."""
    sdp = as_str(as_mapping(as_mapping(extra.get("data")).get("session_description")).get("sdp"))
    tag_id, correlation_id = as_str(extra.get("tag_id")), extra.get("correlation_id")
    if isinstance(correlation_id, int) and not isinstance(correlation_id, bool):
        correlation_id = str(correlation_id)  # beyond 2^53, so never through a float
    found = as_str(correlation_id)
    if sdp is None or tag_id is None or found is None:
        return None
    return RingOffer(session_id=session_id, tag_id=tag_id, correlation_id=found, sdp=sdp)


def _expiry(seconds: float | None) -> float:
    """Return how long a call rings; nonsense is what is usual."""
    return DEFAULT_EXPIRY if seconds is None or seconds <= 0 else min(seconds, LONGEST_EXPIRY)


def _picture(url: object) -> Picture | None:
    found = as_str(url)
    return None if found is None else Picture(url=found)


def _reachability(kind: str, extra: Frame) -> ReachabilityPush | None:
    module_id = as_str(extra.get("module_id")) or as_str(extra.get("device_id"))
    if module_id is None:
        return None
    reachable = _REACHABLE[kind]
    if reachable is None and isinstance(extra.get("reachable"), bool):
        reachable = bool(extra["reachable"])
    return ReachabilityPush(
        module_id=module_id, home_id=as_str(extra.get("home_id")), reachable=reachable
    )


class PushChannel:
    """The push socket of an account; listeners get every push once, from within the reader."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        auth: AuthHandler,
        *,
        on_push: Callable[[Push], None] | None = None,
        on_state: Callable[[SocketState], None] | None = None,
        liveness: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._app_version = auth.app_version
        self._push_listeners: list[Callable[[Push], None]] = [on_push] if on_push else []
        self._state_listeners: list[Callable[[SocketState], None]] = [on_state] if on_state else []
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.counters: Counter[str] = Counter()
        self.unknown: deque[object] = deque(maxlen=KEPT_UNKNOWN)
        self.socket = ReconnectingSocket(
            auth,
            auth.endpoints.push,
            name="push connection",
            subscription=self._subscription,
            on_frame=self._take,
            on_state=self._on_state,
            liveness=liveness,
            backoff=backoff,
        )

    @property
    def is_online(self) -> bool:
        """Whether the subscription is confirmed."""
        return self.socket.state is SocketState.ONLINE

    @property
    def is_outage_logged(self) -> bool:
        """Whether the last log message about the connection says that it is lost."""
        return self.socket.outage_logged

    def listen_pushes(self, listener: Callable[[Push], None]) -> Callable[[], None]:
        """Call a listener with every push; returns what removes it."""
        self._push_listeners.append(listener)
        return partial(self._push_listeners.remove, listener)

    def listen_states(self, listener: Callable[[SocketState], None]) -> Callable[[], None]:
        """Call a listener with every change of the socket's state; returns what removes it."""
        self._state_listeners.append(listener)
        return partial(self._state_listeners.remove, listener)

    def _on_state(self, state: SocketState) -> None:
        for listener in tuple(self._state_listeners):
            listener(state)

    def _subscription(self, token: str) -> Mapping[str, str]:
        # No "filter": with it the cloud keeps the calls to itself (protocol.md 3.7).
        return {
            "action": "Subscribe",
            "access_token": token,
            "app_type": APP_TYPE,
            "platform": "Android",
            "version": self._app_version,
        }

    def _take(self, frame: Frame) -> None:
        push = decode(frame)
        if push is None:
            self.counters["unknown"] += 1
            self.unknown.append(shape_of(frame))
        elif self._is_repeat(push):
            self.counters["repeats"] += 1
        else:
            self.counters["pushes"] += 1
            for listener in tuple(self._push_listeners):
                listener(push)

    def _is_repeat(self, push: Push) -> bool:
        """Whether a step of a call came before: each is pushed once per registered receiver."""
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
