"""Valid answers as in protocol.md, and damaged copies of them."""

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

type Path = tuple[str | int, ...]

BRIDGE, PANEL, DOOR = "00:03:50:ab:cd:ef", "abcdef-0101-aa11bb22cc33", "abcdef-0202-aa11bb22cc34"
LIGHT = "abcdef-0303-aa11bb22cc35"
HOME = "64a1b2c3d4e5f60718293a4b"
SESSION = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

HOMES: dict[str, Any] = {
    "user": {"email": "me@example.org", "id": "5f00aa11bb22cc33dd44ee55"},
    "homes": [
        {
            "id": HOME,
            "name": "Casa",
            "timezone": "Europe/Rome",
            "modules": [
                {"id": BRIDGE, "type": "BNC1", "name": "100X", "modules_bridged": [PANEL, DOOR]},
                {"id": DOOR, "type": "BNDL", "variant": "BNDL:bndl_doorlock", "bridge": BRIDGE},
            ],
        }
    ],
}
STATES: dict[str, Any] = {
    "home": {
        "id": HOME,
        "modules": [
            {
                "id": BRIDGE,
                "type": "BNC1",
                "firmware_name": "2.3.8",
                "firmware_revision": 203008,
                "uptime": 812345,
                "wifi_strength": 58,
                "local_ipv4": "192.0.2.20",
                "reachable": True,
                "last_seen": 1790000000,
            },
            {"id": LIGHT, "type": "BNSL", "status": "off", "bridge": BRIDGE},
        ],
    },
    "errors": [{"code": 6, "id": PANEL}],
}
EVENTS: dict[str, Any] = {
    "home": {
        "events": [
            {
                "id": "65aa00000000000000000001",
                "type": "outdoor",
                "time": 1789999990,
                "module_id": BRIDGE,
                "video_id": "0a1b2c3d-0000-4000-8000-000000000001",
                "subevents": [
                    {
                        "id": "65aa00000000000000000002",
                        "type": "incoming_call",
                        "time": 1789999990.5,
                        "session_id": SESSION,
                        "snapshot": {"url": "https://blob.example/s", "expires_at": 1790003590},
                        "vignette": {"url": "https://blob.example/v"},
                    }
                ],
            }
        ]
    }
}
TURN: dict[str, Any] = {
    "iceServers": [
        {"urls": ["turn:turn.example:3478"], "username": "1790003600:u", "credential": "c"}
    ]
}

RING: dict[str, Any] = {
    "type": "Websocket",
    "push_type": "BNC1-rtc",
    "expiry": 30,
    "extra_params": {
        "session_id": SESSION,
        "tag_id": "dGFnLW9uZQ==",
        "correlation_id": 9223372036854770001,
        "device_id": BRIDGE,
        "home_id": HOME,
        "snapshot_url": "https://blob.example/s",
        "vignette_url": "https://blob.example/v",
        "data": {
            "type": "offer",
            "session_description": {"type": "call", "sdp": "v=0\r\n", "module_id": PANEL},
        },
    },
}

FIELDS = ("id", "homes", "modules", "home", "errors", "code", "events", "subevents", "iceServers")
#: Texts that must not leave the border as they are.
HOSTILE = (
    "..",
    ".hidden",
    "../../etc/passwd",
    "a\r\nb",
    "a\x00\x1b[31m",
    "\u202egpj.exe",
    "\u2066\u200b\u2028",
    "![x](//evil.example/a.png)",
    "<img src=//evil.example>",
    "{{ states }}",
    "http://127.0.0.1/\n",
    "turn:127.0.0.1",
    "stun:nas.local",
    "x" * 2000,
    "\u202e" * 300,
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(HOSTILE)
)
#: Any JSON value.
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths_in(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value inside a value, starting with itself."""
    yield path
    inside = dict(enumerate(value)) if isinstance(value, list) else value
    for key, item in inside.items() if isinstance(inside, dict) else ():
        yield from paths_in(item, (*path, key))


def with_value(value: Any, path: Path, new: object) -> Any:
    """Return a copy with a new value at a path."""
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = with_value(value[path[0]], path[1:], new)
    return changed


def damaged(good: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Build valid answers with anything at one place."""
    return st.builds(with_value, st.just(good), st.sampled_from(list(paths_in(good))), VALUES)


def spoiled(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """Return a copy in which any of the texts are hostile ones; the structure stays."""
    if isinstance(value, dict):
        return {key: spoiled(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [spoiled(item, draw) for item in value]
    if isinstance(value, str) and draw(st.booleans()):
        return draw(st.sampled_from(HOSTILE) | st.text(max_size=300))
    return value
