"""The frames of calls: whether a client's are well formed, and the cloud's own."""

from typing import TYPE_CHECKING, Any

from tests.simulator.refusal import Kinds, fault_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.house import Json

MAX_PEERS = 1
UNREACHABLE = 41
#: The messages of errors that only calls have.
MESSAGES: Mapping[int, str] = {
    MAX_PEERS: "Max number of peers reached",
    UNREACHABLE: "Device is unreachable",
}
DESCRIPTION: Mapping[str, Mapping[str, Kinds]] = {
    "call": {"type": str, "sdp": str},
    "vod": {"type": str, "sdp": str, "video_id": str},
}
DATA: Mapping[str, Mapping[str, Kinds]] = {
    "offer": {"type": str, "session_description": dict},
    "answer": {"type": str, "session_description": dict},
    "candidate": {"type": str, "ice_candidate": dict},
    "terminate": {"type": str},
    "player": {"type": str, "value": str},
}
PLAYER = "next_module"


class Refused(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """Ends a frame with an error; what is noted is the client's fault."""

    def __init__(self, code: int, message: str | None = None, *, noted: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.noted = noted


def check(frame: Mapping[str, Any]) -> None:
    """Refuse a frame of a client's that is not exactly what the cloud wants."""
    sent = frame.get("data")
    data: Mapping[str, Any] = sent if isinstance(sent, dict) else {}
    kind = str(data.get("type"))
    if kind not in DATA:
        raise _wrong("data/type must be one of the allowed values")
    ids: Mapping[str, Kinds] = {} if kind == "offer" else {"session_id": str, "tag_id": str}
    for name in ("device_id", "correlation_id", *ids):
        if not isinstance(frame.get(name), str):
            raise _wrong(f"data/{name} must be string")
    wanted: Mapping[str, Kinds] = {"action": str, "device_id": str, "correlation_id": str}
    _refuse(fault_in(frame, {**wanted, **ids, "data": dict}))
    _refuse(fault_in(data, DATA[kind]))
    _check_content(kind, data)


def ack(*, ids: Mapping[str, str] | None, echo: Json) -> Json:
    """Acknowledge a frame; only an offer's bears ids."""
    known: Json = {"session_id": None, "tag_id": None}
    return {"type": "ack", "status": "ok"} | known | dict(ids or {}) | echo


def refusal(code: int, message: str, *, echo: Json) -> Json:
    """Refuse a frame."""
    error: Json = {"code": code, "message": message}
    return {"type": "ack", "status": "error", "error": error} | echo


def answer(session_id: str, sdp: str) -> Json:
    """Return the intercom's answer to an offer."""
    return _of(session_id, "answer", session_description={"type": "call", "sdp": sdp})


def candidate(session_id: str, found: Json) -> Json:
    """Return an address of the intercom's."""
    return _of(session_id, "candidate", ice_candidate=found)


def rescind(session_id: str) -> Json:
    """Return that somebody else has answered."""
    return _of(session_id, "rescind")


def terminate(session_id: str, code: int | None = None, message: str | None = None) -> Json:
    """Return that a call is over, or why it cannot be."""
    if code is None:
        return _of(session_id, "terminate")
    words = message or MESSAGES.get(code, "Unknown error")
    return _of(session_id, "terminate", error={"code": code, "message": words})


def _of(session_id: str, kind: str, **more: object) -> Json:
    data: Json = {"type": kind}
    return {"session_id": session_id, "data": data | more}


def _check_content(kind: str, data: Mapping[str, Any]) -> None:
    if kind in {"offer", "answer"}:
        _check_description(kind, data["session_description"])
    elif kind == "candidate":
        _check_candidate(data["ice_candidate"])
    elif kind == "player" and data["value"] != PLAYER:
        raise _wrong(f"player cannot {data['value']}")


def _check_description(kind: str, given: Mapping[str, Any]) -> None:
    required = DESCRIPTION["vod" if given.get("type") == "vod" and kind == "offer" else "call"]
    optional = {"module_id": str} if kind == "offer" and given.get("type") == "call" else {}
    _refuse(fault_in(given, required, optional))
    if given["type"] not in DESCRIPTION:
        raise _wrong(f"session_description is a {given['type']}")


def _check_candidate(given: Mapping[str, Any]) -> None:
    _refuse(fault_in(given, {"candidate": str}, {"sdp_mid": str, "sdp_m_line_index": int}))
    if len(given) == 1:
        raise _wrong("ice_candidate is of no section")
    if not given["candidate"].startswith("candidate:"):
        raise _wrong("ice_candidate is none")


def _refuse(fault: str | None) -> None:
    if fault:
        raise _wrong(fault)


def _wrong(fault: str) -> Refused:
    return Refused(21, fault, noted=fault)
