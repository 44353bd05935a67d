"""Whether decoded data has the declared types, and the clean texts that the border promises."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
import re
from typing import Any, get_origin

from custom_components.bticino_classe.client import Event, Home

MAX_LENGTH = 8192  # of a link; the longest of all texts
MODULE_ID = re.compile(r"[0-9a-z][0-9a-z:._-]{0,63}")
SHORT = re.compile(r"(?s).{0,100}")
#: What the fields of the data may contain, by name.
PATTERNS = {
    "id": MODULE_ID,
    "bridge_id": MODULE_ID,
    "module_id": MODULE_ID,
    "panel_id": MODULE_ID,
    "session_id": re.compile(r"(?s).{1,1024}"),
    "name": SHORT,
    "type": SHORT,
    "firmware": SHORT,
    "timezone": re.compile(r"[0-9A-Za-z_+/-]+"),
    "local_address": re.compile(r"[0-9a-f:.]+"),
    "url": re.compile(r"[^ ]+"),
}


def wrong_in(value: object) -> list[str]:
    """Return the fields, at any depth, whose value does not have the declared type."""
    if isinstance(value, Mapping):
        return [wrong for item in value.values() for wrong in wrong_in(item)]
    if isinstance(value, tuple):
        return [wrong for item in value for wrong in wrong_in(item)]
    if not is_dataclass(value) or isinstance(value, type):
        return []
    found: list[str] = []
    for field in fields(value):
        item, hint = getattr(value, field.name), field.type
        if not isinstance(item, _checkable(hint)):
            found.append(f"{type(value).__name__}.{field.name}")
        found += wrong_in(item)
    return found


def unclean_in(value: object) -> list[str]:
    """Return the texts, at any depth, that are not as the border promises."""
    if isinstance(value, Mapping):
        return [each for pair in value.items() for item in pair for each in unclean_in(item)]
    if isinstance(value, tuple):
        return [each for item in value for each in unclean_in(item)]
    if isinstance(value, str):
        return [] if value.isprintable() and len(value) <= MAX_LENGTH else [value]
    if not is_dataclass(value) or isinstance(value, type):
        return []
    found: list[str] = []
    for field in fields(value):
        item, allowed = getattr(value, field.name), PATTERNS.get(field.name)
        if isinstance(value, Home | Event) and field.name == "id":
            allowed = None
        if allowed is not None and isinstance(item, str) and not allowed.fullmatch(item):
            found.append(f"{field.name}: {item!r}")
        found += unclean_in(item) if field.name != "sdp" else []
    return found


def _checkable(hint: Any) -> Any:
    """Return a type for `isinstance`; the type arguments of a mapping are checked by mypy only."""
    generic = get_origin(hint)
    if isinstance(generic, type) and generic in (tuple, dict):
        return generic
    try:
        isinstance(None, hint)
    except TypeError:
        return Mapping
    return hint
