"""Decodes the cloud's pushes into typed events."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .models import Picture, RingOffer
from .values import as_float, as_id, as_key, as_label, as_mapping, as_str, as_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .values import JsonObject

DEFAULT_EXPIRY: Final = 30.0  # seconds that a call rings
LONGEST_EXPIRY: Final = 120.0  # seconds


class CallStep(StrEnum):
    """The step of a call that a push reports."""

    OFFERED = "offer"
    INCOMING = "incoming_call"
    ACCEPTED = "accepted_call"
    MISSED = "missed_call"
    RESCINDED = "rescind"
    TERMINATED = "terminate"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPush:
    """A step of a call; `panel_id` is what it names: an offer a panel, a status any module.

    `time` is in seconds since 1970, `expiry` is how long the call rings, in seconds. `simulated`
    is whether it did not come from the cloud.
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
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachabilityPush:
    """A module, usually the intercom, went online or offline; None if not said."""

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


def decode(frame: JsonObject) -> Push | None:
    """Return the event of a frame; None if its kind is unknown."""
    kind = kind_of(frame)
    extra = as_mapping(frame.get("extra_params"))
    if kind in _REACHABLE:
        return _reachability(kind, extra)
    if kind == "rtc":
        kind = as_label(as_mapping(extra.get("data")).get("type")) or ""
    if kind not in _CALL_STEPS:
        return None
    return _call(CallStep(kind), frame, extra)


def kind_of(frame: JsonObject) -> str:
    """Return the kind of a push, without the bridge type before it: `rtc` for `BNC1-rtc`."""
    return (as_label(frame.get("push_type")) or "").rpartition("-")[2]


def _call(step: CallStep, frame: JsonObject, extra: JsonObject) -> CallPush | None:
    session_id, bridge_id = as_key(extra.get("session_id")), as_id(extra.get("device_id"))
    if session_id is None or bridge_id is None:
        return None
    is_offer = step is CallStep.OFFERED
    return CallPush(
        step=step,
        session_id=session_id,
        bridge_id=bridge_id,
        home_id=as_key(extra.get("home_id")),
        panel_id=as_id(_description(extra).get("module_id")) if is_offer else _named_module(extra),
        time=as_float(extra.get("timestamp")) or None,
        expiry=_expiry(as_float(frame.get("expiry"))),
        snapshot=_picture(extra.get("snapshot_url")),
        vignette=_picture(extra.get("vignette_url")),
        offer=_offer(session_id, extra) if is_offer else None,
    )


def _named_module(extra: JsonObject) -> str | None:
    """Return the module that a status names beside the intercom (protocol.md 3.7)."""
    module_id = as_id(extra.get("module_id"))
    return None if module_id == as_id(extra.get("device_id")) else module_id


def _description(extra: JsonObject) -> JsonObject:
    return as_mapping(as_mapping(extra.get("data")).get("session_description"))


def _offer(session_id: str, extra: JsonObject) -> RingOffer | None:
    """Return what is needed to answer the call; None if a part is missing."""
    sdp = as_str(_description(extra).get("sdp"))
    tag_id, correlation_id = as_key(extra.get("tag_id")), extra.get("correlation_id")
    if isinstance(correlation_id, int) and not isinstance(correlation_id, bool):
        correlation_id = str(correlation_id)  # may exceed 2^53, so it must not become a float
    found = as_key(correlation_id)
    if sdp is None or tag_id is None or found is None:
        return None
    return RingOffer(session_id=session_id, tag_id=tag_id, correlation_id=found, sdp=sdp)


def _expiry(seconds: float | None) -> float:
    """Return how long a call rings, with a default for invalid values."""
    return DEFAULT_EXPIRY if seconds is None or seconds <= 0 else min(seconds, LONGEST_EXPIRY)


def _picture(url: object) -> Picture | None:
    found = as_url(url)
    return None if found is None else Picture(url=found)


def _reachability(kind: str, extra: JsonObject) -> ReachabilityPush | None:
    module_id = as_id(extra.get("module_id")) or as_id(extra.get("device_id"))
    if module_id is None:
        return None
    reachable = _REACHABLE[kind]
    if reachable is None and isinstance(extra.get("reachable"), bool):
        reachable = bool(extra["reachable"])
    return ReachabilityPush(
        module_id=module_id, home_id=as_key(extra.get("home_id")), reachable=reachable
    )
