"""The fields that are known to occur in each kind of message, with their types."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

# A type is one of these, or a set of them; a mapping lists the fields of an object.
TEXT, WHOLE, NUMBER, FLAG, NOTHING = "text", "whole number", "number", "true or false", "null"
TIME: Final = frozenset({WHOLE, NUMBER})
TEXT_OR_NUMBER: Final = frozenset({TEXT, WHOLE})

type Spec = str | frozenset[str] | Mapping[str, Spec] | list[Spec] | None

ANYTHING: Final = None
ERROR: Final[Spec] = {"code": WHOLE, "message": TEXT}
ERRORS: Final[Spec] = [{"code": WHOLE, "id": TEXT, "command": TEXT}]
ANSWER: Final[Mapping[str, Spec]] = {
    "status": TEXT,
    "time_server": TIME,
    "time_exec": TIME,
    "error": ERROR,
    "errors": ERRORS,
}
LISTED_MODULE: Final[Spec] = {
    **dict.fromkeys(("id", "type", "name", "variant", "bridge", "room_id"), TEXT),
    "setup_date": TIME,
    "modules_bridged": ANYTHING,  # ids or objects
}
HOME: Final[Spec] = {
    **dict.fromkeys(("id", "name", "timezone", "country"), TEXT),
    "coordinates": [TIME],
    "altitude": TIME,
    "city": TEXT,
    "rooms": ANYTHING,
    "persons": ANYTHING,
    "schedules": ANYTHING,
    "modules": [LISTED_MODULE],
}
STATE: Final[Spec] = {
    **dict.fromkeys(("id", "type", "bridge", "firmware_name", "local_ipv4", "status"), TEXT),
    **dict.fromkeys(("firmware_revision", "uptime", "wifi_strength"), WHOLE),
    **dict.fromkeys(("last_seen", "last_configs_update", "last_user_interaction"), TIME),
    **dict.fromkeys(("websocket_connected", "busy", "reachable", "lock", "on"), FLAG),
    "use_pincode": FLAG,
}
PICTURE: Final[Spec] = {"url": TEXT, "expires_at": TIME, "filename": TEXT, "id": TEXT}
_EVENT: Final[Mapping[str, Spec]] = {
    **dict.fromkeys(("id", "type", "module_id", "session_id", "message", "video_id"), TEXT),
    "time": TIME,
    "offset": WHOLE,
    "verified": FLAG,
    "video_status": TEXT,
    "snapshot": PICTURE,
    "vignette": PICTURE,
}
RELAYS: Final[Spec] = [
    {"urls": ANYTHING, "username": TEXT, "credential": TEXT, "credentialType": TEXT}
]
DND: Final[Spec] = {
    "dnd_enabled": FLAG,
    "dnd_days": TEXT,
    **dict.fromkeys(("dnd_mode", "dnd_duration"), WHOLE),
    "dnd_end_time_duration": TIME,
    **dict.fromkeys(("dnd_start_time", "dnd_end_time"), ANYTHING),
}
STUDIO: Final[Spec] = {
    "ps_enabled": FLAG,
    **dict.fromkeys(("ps_mode", "ps_duration"), WHOLE),
    "ps_end_time_duration": TIME,
}

ANSWERS: Final[Mapping[str, Spec]] = {
    "/oauth2/token": {
        **dict.fromkeys(("access_token", "refresh_token", "error_description"), TEXT),
        **dict.fromkeys(("expires_in", "expire_in"), WHOLE),
        "scope": ANYTHING,
        "error": ANYTHING,
    },
    "/api/homesdata": {
        **ANSWER,
        "body": {"user": ANYTHING, "homes": [HOME]},
    },
    "/syncapi/v1/homestatus": {
        **ANSWER,
        "body": {"home": {"id": TEXT, "modules": [STATE]}, "errors": ERRORS},
    },
    "/syncapi/v1/setstate": {**ANSWER, "body": {"errors": ERRORS}},
    "/api/getevents": {
        **ANSWER,
        "body": {"home": {"id": TEXT, "events": [{**_EVENT, "subevents": [_EVENT]}]}},
    },
    "/api/getcredentials": {**ANSWER, "body": {"iceServers": RELAYS}, "iceServers": RELAYS},
    "/syncapi/v1/getconfigs": {
        **ANSWER,
        "body": {
            "home": {
                "id": TEXT,
                "modules": [
                    {
                        "id": TEXT,
                        "type": TEXT,
                        "last_configs_update": TIME,
                        "do_not_disturb": DND,
                        "professional_studio": STUDIO,
                    }
                ],
            },
            "errors": ERRORS,
        },
    },
    "/syncapi/v1/setconfigs": {**ANSWER, "body": {"errors": ERRORS}},
}
DESCRIPTION: Final[Spec] = {
    "type": TEXT,
    "sdp": TEXT,
    "module_id": TEXT,
    "modules": [{"id": TEXT, "type": TEXT, "name": TEXT}],
}
_IDS: Final[Mapping[str, Spec]] = {
    **dict.fromkeys(("session_id", "tag_id"), frozenset({TEXT, NOTHING})),
    "correlation_id": frozenset({TEXT, WHOLE, NOTHING}),
}
PUSH: Final[Spec] = {
    **dict.fromkeys(("type", "push_type", "category", "app_type", "_id"), TEXT),
    "voip_call": FLAG,
    "expiry": TIME,
    "extra_params": {
        **_IDS,
        **dict.fromkeys(("device_id", "camera_id", "module_id", "home_id", "home_name"), TEXT),
        **dict.fromkeys(("event_type", "event_id", "subevent_id"), TEXT),
        **dict.fromkeys(("snapshot_url", "vignette_url"), TEXT),
        "timestamp": TIME,
        "reachable": FLAG,
        "data": {"type": TEXT, "session_description": DESCRIPTION},
    },
    "status": TEXT,
    "error": ERROR,
}
SIGNALING: Final[Spec] = {
    **_IDS,
    "type": TEXT,
    "status": TEXT,
    "error": ERROR,
    "device_id": TEXT,
    "data": {
        "type": TEXT,
        "session_description": DESCRIPTION,
        "ice_candidate": {"candidate": TEXT, "sdp_mid": TEXT, "sdp_m_line_index": WHOLE},
        "error": ERROR,
    },
}
# Pushes that the app knows and the integration does not need.
UNUSED_PUSHES: Final = frozenset(
    {
        *("cu_default", "cu_tampered", "cu_unreachable", "end_recording", "new_alarm_status"),
        *("new_user", "sensor_default"),
    }
)
SIGNALS: Final = frozenset({"answer", "candidate", "offer", "player", "rescind", "terminate"})
EVENT_TYPES: Final = frozenset(
    {
        *("accepted_call", "connection", "disconnection", "incoming_call", "missed_call"),
        *("outdoor", "websocket_connection", "websocket_disconnection"),
    }
)


def unknown_fields(value: Any, spec: Spec, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of each field that is not known, or has another type, and what it is."""
    if spec is ANYTHING:
        return
    if isinstance(spec, Mapping) and isinstance(value, Mapping):
        for name, item in value.items():
            inner = f"{place}.{name}" if place else str(name)
            if name in spec:
                yield from unknown_fields(item, spec[name], inner)
            else:
                yield inner, f"unknown field ({type_of(item)})"
    elif isinstance(spec, list) and isinstance(value, list):
        for item in value:
            yield from unknown_fields(item, spec[0], f"{place}[]")
    elif (found := type_of(value)) not in _types(spec) and not _is_left_out(value):
        yield place, f"{found} instead of {' or '.join(sorted(_types(spec)))}"


def _types(spec: Spec) -> frozenset[str]:
    if isinstance(spec, str):
        # The cloud sends null for what it does not know.
        return frozenset({spec, NOTHING})
    if isinstance(spec, frozenset):
        return spec | {NOTHING}
    return frozenset({"list" if isinstance(spec, list) else "object", NOTHING})


def _is_left_out(value: object) -> bool:
    return isinstance(value, str) and value.startswith("<") and value.endswith(" more>")


def type_of(value: object) -> str:
    """Return the type that a recorded value had before it was redacted."""
    if isinstance(value, str):
        is_shown = not (value.startswith("<") and value.endswith(">"))
        if is_shown or value.startswith("<str"):
            return TEXT
        if value.startswith("<int:") or value.endswith(" int>"):
            return WHOLE
        if value == "<float>" or value.endswith(" float>"):
            return NUMBER
        return {"<dict>": "object", "<list>": "list"}.get(value, TEXT)
    names = {bool: FLAG, int: WHOLE, float: NUMBER, type(None): NOTHING, list: "list"}
    return names.get(type(value), "object")
