"""Removes secrets from what is logged, shown in diagnostics or captured."""

from collections.abc import Mapping
import re
from typing import Any, Final

REDACTED: Final = "**REDACTED**"
MAX_DEPTH: Final = 16  # levels of a structure
MAX_SHAPE_LENGTH: Final = 4000  # characters

# Names of fields and kinds of pushes; ids, names and tokens do not match.
_FIELD_NAME: Final = re.compile(r"[a-z_]{1,32}")
_PUSH_KIND: Final = re.compile(r"B[A-Z0-9]{3}-[a-z_]{1,32}")

SECRET_KEYS: Final = frozenset(
    {
        "access_token",
        "answer",
        "authorization",
        "candidate",
        "city",
        "client_secret",
        "coordinates",
        "correlation_id",
        "country",
        "credential",
        "email",
        "filename",
        "home_name",
        "ip",
        "local_address",
        "local_ipv4",
        "message",
        "name",
        "offer",
        "password",
        "refresh_token",
        "sdp",
        "session_id",
        "snapshot_url",
        "tag_id",
        "timezone",
        "url",
        "user",
        "username",
        "vignette_url",
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
        if isinstance(value, Mapping):
            return {self.replace(key): self.replace(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.replace(item) for item in value]
        if isinstance(value, str):
            for identifier in sorted(self._names, key=len, reverse=True):
                value = value.replace(identifier, self._names[identifier])
        return value


def shape_of(value: object) -> object:
    """Return the structure of a frame: field names and types, no values; of a large one its type.

    Levels below MAX_DEPTH are left out.
    """
    shape = _shape_of(value, MAX_DEPTH)
    return shape if len(str(shape)) <= MAX_SHAPE_LENGTH else type(value).__name__


def _shape_of(value: object, depth: int) -> object:
    if isinstance(value, Mapping) and depth:
        return {
            key if _FIELD_NAME.fullmatch(str(key)) else "?": _shape_of(item, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple) and depth:
        return [_shape_of(item, depth - 1) for item in value[:1]]
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
