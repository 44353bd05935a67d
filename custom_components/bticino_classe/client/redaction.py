"""Removes secrets from what is logged, shown in diagnostics or captured."""

from collections.abc import Iterator, Mapping
import re
from typing import Any, Final

REDACTED: Final = "**REDACTED**"
MAX_DEPTH: Final = 16  # levels of a structure
MAX_SHAPE_LENGTH: Final = 4000  # characters
MAX_FIELDS: Final = 1000  # of a frame whose structure is shown

# Names of fields and kinds of pushes; ids, names and tokens do not match.
_FIELD_NAME: Final = re.compile(r"[a-z_]{1,32}")
_PUSH_KIND: Final = re.compile(r"B[A-Z0-9]{3}-[a-z_]{1,32}")

# Fields whose values nobody may see, with the kind of the pseudonyms that replace them.
SECRET_FIELDS: Final[Mapping[str, str]] = {
    "access_token": "token",
    "answer": "sdp",
    "authorization": "token",
    "candidate": "candidate",
    "city": "city",
    "client_secret": "secret",
    "coordinates": "coordinate",
    "correlation_id": "correlation",
    "country": "country",
    "credential": "credential",
    "email": "email",
    "filename": "file",
    "home_name": "name",
    "ip": "address",
    "local_address": "address",
    "local_ipv4": "address",
    "message": "text",
    "name": "name",
    "offer": "sdp",
    "password": "secret",
    "refresh_token": "token",
    "sdp": "sdp",
    "session_id": "session",
    "snapshot_url": "url",
    "tag_id": "tag",
    "timezone": "timezone",
    "url": "url",
    "urls": "relay",
    "user": "user",
    "username": "username",
    "vignette_url": "url",
}
SECRET_KEYS: Final = frozenset(SECRET_FIELDS)

# Fields with ids; what the diagnostics need of them is named by `Pseudonyms.name`.
ID_FIELDS: Final[Mapping[str, str]] = {
    "_id": "push",
    "bridge": "module",
    "camera_id": "module",
    "device_id": "module",
    "event_id": "event",
    "home_id": "home",
    "module_id": "module",
    "module_ids": "module",
    "modules_bridged": "module",
    "subevent_id": "event",
    "user_id": "user",
    "video_id": "video",
}
# The kind of an `id`, by the field that it is in.
ID_KINDS: Final[Mapping[str, str]] = {
    "errors": "module",
    "events": "event",
    "home": "home",
    "homes": "home",
    "modules": "module",
    "subevents": "event",
    "user": "user",
}

# Only these fields may be read in a recording, if their values have the form of what is known.
_WORD: Final = r"[a-z]{1,24}(?:_[a-z]{1,24}){0,4}"
_TYPE: Final = r"(?:[A-Z]{2,6}[0-9]?|N[A-Z][A-Za-z]{1,9}[0-9]?)"
_VERSION: Final = r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}"
READABLE_TEXTS: Final[Mapping[str, re.Pattern[str]]] = {
    field: re.compile(pattern)
    for pattern, fields in (
        (_WORD, "app_identifier app_type category client_id client_type command credentialtype"),
        (_WORD, "error event_type grant_type method scope status value video_status"),
        (rf"{_WORD}|[Ss]ubscribe", "action"),
        (rf"{_WORD}|Android|iOS", "platform"),
        (rf"{_WORD}|{_TYPE}|Websocket", "type"),
        (rf"{_TYPE}-{_WORD}", "push_type"),
        (rf"{_TYPE}:{_WORD}", "variant"),
        (_VERSION, "app_version firmware_name version jsonrpc"),
        (r"[01]{7}", "dnd_days"),
        (r"[0-9]{1,2}|audio|video|data", "sdp_mid"),
    )
    for field in fields.split()
}
# Words of the protocol reveal nothing, even if a door has such a name.
PROTOCOL_WORDS: Final = frozenset(
    {
        *("accepted_call", "ack", "answer", "call", "candidate", "connection", "disconnection"),
        *("error", "incoming_call", "missed_call", "offer", "outdoor", "player", "rescind", "rtc"),
        *("subscribe", "terminate", "user", "vod"),
    }
)
READABLE_NUMBERS: Final = frozenset(
    {
        "battery_percent",
        "code",
        "dnd_duration",
        "dnd_mode",
        "expire_in",
        "expires_in",
        "expiry",
        "firmware_revision",
        "offset",
        "ps_duration",
        "ps_mode",
        "sdp_m_line_index",
        "size",
        "uptime",
        "wifi_strength",
    }
)
# Times since 1970, in seconds or milliseconds; a recording counts them from its own start.
TIMES: Final = frozenset(
    {
        "dnd_end_time_duration",
        "expires_at",
        "last_configs_update",
        "last_seen",
        "last_user_interaction",
        "ps_end_time_duration",
        "setup_date",
        "time",
        "time_server",
        "timestamp",
    }
)


class Pseudonyms:
    """Replaces each id with a short name, the same one everywhere."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, identifier: str, kind: str) -> str:
        """Return the name of an id, such as `door-2`; the first call determines the kind."""
        if identifier not in self._names:
            number = 1 + sum(name.startswith(f"{kind}-") for name in self._names.values())
            self._names[identifier] = f"{kind}-{number}"
        return self._names[identifier]

    def replace(self, value: Any) -> Any:
        """Return the value with every named id replaced, in keys, values and inside texts."""
        if isinstance(value, list | tuple):
            return [self.replace(item) for item in value]
        if isinstance(value, Mapping):
            return {self.replace(key): self.replace(item) for key, item in value.items()}
        if isinstance(value, str):
            for identifier in sorted(self._names, key=len, reverse=True):
                value = value.replace(identifier, self._names[identifier])
        return value


def shape_of(value: object) -> object:
    """Return the structure of a frame: field names and types, no values; of a large one its type.

    Levels below MAX_DEPTH are left out.
    """
    left = iter(range(MAX_FIELDS))
    shape = _shape_of(value, MAX_DEPTH, left)
    is_large = next(left, None) is None or len(str(shape)) > MAX_SHAPE_LENGTH
    return type(value).__name__ if is_large else shape


def _shape_of(value: object, depth: int, left: Iterator[int]) -> object:
    """Return a structure with as many fields and list items as are `left`."""
    if isinstance(value, Mapping) and depth:
        return {
            key if _FIELD_NAME.fullmatch(str(key)) else "?": _shape_of(item, depth - 1, left)
            for (key, item), _ in zip(value.items(), left, strict=False)
        }
    if isinstance(value, list | tuple) and depth:
        first = zip(value[:1], left, strict=False)
        return [_shape_of(item, depth - 1, left) for item, _ in first]
    if isinstance(value, str) and _PUSH_KIND.fullmatch(value):
        return value
    return type(value).__name__


def redact(value: Any) -> Any:
    """Return a copy with the values of secret keys replaced, at any depth."""
    if isinstance(value, Mapping):
        return {
            key: REDACTED if str(key).lower() in SECRET_KEYS and item else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
