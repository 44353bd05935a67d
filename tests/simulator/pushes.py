"""The push frames of the cloud, as dicts to encode."""

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.calls import Call
    from tests.simulator.house import Json

WEBSOCKET = "Websocket"
APP_TYPE = "app_camera"
#: The kinds that a connection with a filter does not get.
CALL_KINDS = frozenset(
    {"rtc", "incoming_call", "accepted_call", "missed_call", "offer", "rescind", "terminate"}
)
#: The first correlation id, too large for a double.
CORRELATION = 9_223_372_036_800_000_001

TRANSPORT = (
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=ice-ufrag:sim1",
    "a=ice-pwd:simulatedsimulatedsimula",
    "a=fingerprint:sha-256 " + ":".join(["5A"] * 32),
    "a=setup:actpass",
)
DEVICE_SDP = "\r\n".join(
    (
        "v=0",
        "o=- 1790000000 1 IN IP4 192.0.2.20",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=msid-semantic: WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        *TRANSPORT,
        "a=mid:0",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=ssrc:305419896 cname:simulated",
        "m=video 9 UDP/TLS/RTP/SAVPF 109",
        *TRANSPORT,
        "a=mid:1",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtpmap:109 H264/90000",
        "a=rtcp-fb:109 nack pli",
        "a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "a=ssrc:305419897 cname:simulated",
        "",
    )
)


def offer(call: Call, number: int, sdp: str = DEVICE_SDP) -> Json:
    """Return an offer, which names the panel if it is known.

    The ids that an answer must repeat are stored in the call, the correlation id as text.
    """
    call.tag_id, call.correlation_id = _tag(number), str(CORRELATION + number)
    description: Json = {"type": "call", "sdp": sdp}
    if call.panel_id is not None:
        description["module_id"] = call.panel_id
    data: Json = {"type": "offer", "session_description": description | {"modules": call.doors}}
    extra = _ids(call, number) | {
        "correlation_id": CORRELATION + number,
        "home_id": call.home_id,
        "data": data,
    }
    voip: Json = {"category": "rtc", "voip_call": True, "expiry": call.expiry}
    return _frame(call.prefix, "rtc", extra) | voip


def end(call: Call, kind: str, number: int) -> Json:
    """Return `rescind` or `terminate`: without a home, and with a correlation id as text."""
    extra = _ids(call, number) | {
        "correlation_id": str(CORRELATION + number),
        "data": {"type": kind},
    }
    return _frame(call.prefix, "rtc", extra)


def status(call: Call, kind: str, *, at: float, subevent_id: str) -> Json:
    """Return an incoming, accepted or missed call; most models do not name the panel in it."""
    extra: Json = {
        "event_type": kind,
        "device_id": call.bridge_id,
        "camera_id": call.bridge_id,
        "home_id": call.home_id,
        "home_name": call.home_name,
        "timestamp": int(at),
        "event_id": call.event_id,
        "subevent_id": subevent_id,
        "session_id": call.session_id,
    }
    if call.names_panel and call.panel_id is not None:
        extra["module_id"] = call.panel_id
    frame = _frame(call.prefix, kind, extra)
    return frame | {"category": kind, "app_type": APP_TYPE}


def notice(prefix: str, kind: str, extra: Json) -> Json:
    """Return a push about something other than a call."""
    return _frame(prefix, kind, {"event_type": kind} | extra) | {"app_type": APP_TYPE}


def kind_of(frame: Mapping[str, object]) -> str:
    """Return the kind of a push; for an rtc push, its data type."""
    kind = str(frame.get("push_type")).rpartition("-")[2]
    if kind != "rtc":
        return kind
    extra = frame.get("extra_params")
    data = extra.get("data") if isinstance(extra, dict) else None
    return str(data.get("type", kind)) if isinstance(data, dict) else kind


def session_of(frame: Mapping[str, object]) -> str | None:
    """Return the session id of a push."""
    extra = frame.get("extra_params")
    found = extra.get("session_id") if isinstance(extra, dict) else None
    return found if isinstance(found, str) else None


def _frame(prefix: str, kind: str, extra: Json) -> Json:
    return {"type": WEBSOCKET, "push_type": f"{prefix}-{kind}", "extra_params": extra}


def _ids(call: Call, number: int) -> Json:
    return {"session_id": call.session_id, "tag_id": _tag(number), "device_id": call.bridge_id}


def _tag(number: int) -> str:
    return base64.b64encode(f"tag-{number}".encode()).decode()
