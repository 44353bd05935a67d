"""Observation of what is sent to the cloud and received from it."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
import logging
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)

API: Final = "api"  # the channel of HTTP requests; a socket's channel is its name in log lines


class TrafficKind(StrEnum):
    """A request and its answer, or the failure to get one; a socket's frames and changes."""

    REQUEST = "request"
    ANSWER = "answer"
    FAILURE = "failure"
    SENT = "sent"
    RECEIVED = "received"
    STATE = "state"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One message, unredacted; `body` is None if it is not JSON, `size` is in bytes.

    `request` is the number of an HTTP request, `text` a state or the reason of a failure.
    """

    channel: str
    kind: TrafficKind
    body: object = field(default=None, repr=False)
    size: int | None = None
    path: str | None = None
    request: int | None = None
    status: int | None = None
    text: str | None = None


class Facts(TypedDict, total=False):
    """What `Traffic` says about a message, besides its channel and kind."""

    body: object
    size: int
    path: str
    request: int
    status: int
    text: str


class TrafficTap:
    """The only point where the traffic of an account can be observed, by one observer.

    Without an observer a message costs one comparison. An observer that fails is removed.
    """

    observer: Callable[[Traffic], None] | None = None

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    def note_request(self, path: str, body: object, size: int) -> int:
        """Pass on an HTTP request and return its number; 0 without an observer."""
        if self.observer is None:
            return 0
        self.counters["requests"] += 1
        number = self.counters["requests"]
        self.note(API, TrafficKind.REQUEST, path=path, body=body, size=size, request=number)
        return number

    def note(self, channel: str, kind: TrafficKind, **facts: Unpack[Facts]) -> None:
        """Pass a message to the observer, if there is one."""
        if self.observer is None:
            return
        try:
            self.observer(Traffic(channel=channel, kind=kind, **facts))
        except Exception as err:  # noqa: BLE001 - a command must not fail because it is observed
            self.observer = None
            self.counters["faults"] += 1
            # Its text may contain the message.
            _LOGGER.error("The traffic is no longer observed: %s", type(err).__name__)  # noqa: TRY400
