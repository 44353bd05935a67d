"""rtc frames: validation of the clients' frames, and the cloud's own frames."""

from typing import TYPE_CHECKING, Any

from tests.simulator.errors import Types, field_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.house import Json

MAX_PEERS = 1
UNREACHABLE = 41
#: Messages of the error codes that only occur in rtc frames.
MESSAGES: Mapping[int, str] = {
    MAX_PEERS: "Max number of peers reached",
    UNREACHABLE: "Device is unreachable",
}
DESCRIPTION: Mapping[str, Mapping[str, Types]] = {
    "call": {"type": str, "sdp": str},
    "vod": {"type": str, "sdp": str, "video_id": str},
}
DATA: Mapping[str, Mapping[str, Types]] = {
    "offer": {"type": str, "session_description": dict},
    "answer": {"type": str, "session_description": dict},
    "candidate": {"type": str, "ice_candidate": dict},
    "terminate": {"type": str},
    "player": {"type": str, "value": str},
}
PLAYER = "next_module"


class RtcError(Exception):
    """Refuses a frame; `violation` describes a fault of the client."""

    def __init__(
        self, code: int, message: str | None = None, *, violation: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violation = violation


def check(frame: Mapping[str, Any]) -> None:
    """Raise RtcError for a frame that does not match the protocol."""
    sent = frame.get("data")
    data: Mapping[str, Any] = sent if isinstance(sent, dict) else {}
    kind = str(data.get("type"))
    if kind not in DATA:
        raise _invalid("data/type must be one of the allowed values")
    ids: Mapping[str, Types] = {} if kind == "offer" else {"session_id": str, "tag_id": str}
    for name in ("device_id", "correlation_id", *ids):
        if not isinstance(frame.get(name), str):
            raise _invalid(f"data/{name} must be string")
    wanted: Mapping[str, Types] = {"action": str, "device_id": str, "correlation_id": str}
    _raise_if(field_error(frame, {**wanted, **ids, "data": dict}))
    _raise_if(field_error(data, DATA[kind]))
    _check_content(kind, data)


def ack(*, ids: Mapping[str, str] | None, echo: Json) -> Json:
    """Return an acknowledgement; only an offer's has ids."""
    known: Json = {"session_id": None, "tag_id": None}
    return {"type": "ack", "status": "ok"} | known | dict(ids or {}) | echo


def error_ack(code: int, message: str, *, echo: Json) -> Json:
    """Return an acknowledgement with an error."""
    error: Json = {"code": code, "message": message}
    return {"type": "ack", "status": "error", "error": error} | echo


def answer(session_id: str, sdp: str) -> Json:
    """Return an answer of the intercom."""
    return _frame(session_id, "answer", session_description={"type": "call", "sdp": sdp})


def candidate(session_id: str, ice_candidate: Json) -> Json:
    """Return an ICE candidate of the intercom."""
    return _frame(session_id, "candidate", ice_candidate=ice_candidate)


def rescind(session_id: str) -> Json:
    """Return a rescind: somebody else has answered."""
    return _frame(session_id, "rescind")


def terminate(session_id: str, code: int | None = None, message: str | None = None) -> Json:
    """Return a terminate, with an error if a code is given."""
    if code is None:
        return _frame(session_id, "terminate")
    text = message or MESSAGES.get(code, "Unknown error")
    return _frame(session_id, "terminate", error={"code": code, "message": text})


def _frame(session_id: str, kind: str, **more: object) -> Json:
    data: Json = {"type": kind}
    return {"session_id": session_id, "data": data | more}


def _check_content(kind: str, data: Mapping[str, Any]) -> None:
    if kind in {"offer", "answer"}:
        _check_description(kind, data["session_description"])
    elif kind == "candidate":
        _check_candidate(data["ice_candidate"])
    elif kind == "player" and data["value"] != PLAYER:
        raise _invalid(f"unknown player value {data['value']}")


def _check_description(kind: str, given: Mapping[str, Any]) -> None:
    required = DESCRIPTION["vod" if given.get("type") == "vod" and kind == "offer" else "call"]
    optional = {"module_id": str} if kind == "offer" and given.get("type") == "call" else {}
    _raise_if(field_error(given, required, optional))
    if given["type"] not in DESCRIPTION:
        raise _invalid(f"unknown session_description type {given['type']}")


def _check_candidate(given: Mapping[str, Any]) -> None:
    _raise_if(field_error(given, {"candidate": str}, {"sdp_mid": str, "sdp_m_line_index": int}))
    if len(given) == 1:
        raise _invalid("ice_candidate names no m-section")
    if not given["candidate"].startswith("candidate:"):
        raise _invalid("ice_candidate is not a candidate")


def _raise_if(fault: str | None) -> None:
    if fault:
        raise _invalid(fault)


def _invalid(fault: str) -> RtcError:
    return RtcError(21, fault, violation=fault)
