"""Values in the cloud's answers: each is returned checked and cleaned, or not at all."""

from collections.abc import Mapping
import hashlib
import ipaddress
import math
import re
from typing import Any, Final

type JsonObject = Mapping[str, Any]

LATEST_TIME: Final = 253_402_300_799.0  # the end of the year 9999, in seconds since 1970
MS: Final = 1000  # per second
MAX_NAME_LENGTH: Final = 100  # characters
MAX_LABEL_LENGTH: Final = 64  # of a type or a version
MAX_KEY_LENGTH: Final = 1024  # of an id that is returned to the cloud as it is
MAX_URL_LENGTH: Final = 8192
_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_PLAIN_ID: Final = re.compile(r"[0-9a-z][0-9a-z:._-]{0,63}")


def as_mapping(value: object) -> JsonObject:
    """Return the value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_mappings(value: object) -> list[JsonObject]:
    """Return the mappings of a list; an empty list if it is none."""
    return [item for item in as_list(value) if isinstance(item, Mapping)]


def as_list(value: object) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_str(value: object) -> str | None:
    """Return the value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def as_key(value: object) -> str | None:
    """Return the value if it is an id that may be stored and returned to the cloud as it is."""
    found = as_str(value)
    is_id = found is not None and len(found) <= MAX_KEY_LENGTH and found.isprintable()
    return found if is_id else None


def as_id(value: object) -> str | None:
    """Return a module's id; the cloud may write the same id in small or in capital letters.

    An id that is too long, or could be taken for a path, is replaced by its hash.
    """
    found = as_key(value)
    if found is None:
        return None
    folded = found.lower()
    if _PLAIN_ID.fullmatch(folded):
        return folded
    return hashlib.sha256(folded.encode()).hexdigest()[:32]


def is_mac(module_id: str) -> bool:
    """Whether a module's id is a MAC address."""
    return _MAC.fullmatch(module_id) is not None


def as_spelled(value: object) -> str | None:
    """Return a module's id as the cloud writes it, for requests; None if that is `as_id`."""
    if isinstance(value, str) and _PLAIN_ID.fullmatch(value):
        return None  # nearly all ids; the cloud's answers have thousands
    found = as_key(value)
    return None if found == as_id(value) else found


def as_name(value: object) -> str | None:
    """Return a name in one line, without invisible characters; None if nothing is left."""
    return _clean_text(value, MAX_NAME_LENGTH)


def as_label(value: object) -> str | None:
    """Return a type or a version, cleaned like a name."""
    return _clean_text(value, MAX_LABEL_LENGTH)


def as_address(value: object) -> str | None:
    """Return the value if it is an IP address, without a scope."""
    if (found := as_str(value)) is None:
        return None
    try:
        return str(ipaddress.ip_address(found.partition("%")[0]))
    except ValueError:
        return None


def as_url(value: object) -> str | None:
    """Return the value if it is a link without blanks and control characters."""
    found = as_str(value)
    if found is None or len(found) > MAX_URL_LENGTH:
        return None
    return found if found.isprintable() and " " not in found else None


def _clean_text(value: object, max_length: int) -> str | None:
    """Return a text in one line: control, format and bidirectional characters are dropped."""
    words = (as_str(value) or "").split()
    kept = ("".join(filter(str.isprintable, word)) for word in words)
    return " ".join(filter(None, kept))[:max_length].rstrip() or None


def as_float(value: object) -> float | None:
    """Return the value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer of more than 300 digits
        return None
    return found if math.isfinite(found) else None


def as_number(value: object, low: float, high: float) -> float | None:
    """Return the value if it is a number between two limits."""
    found = as_float(value)
    return found if found is not None and low <= found <= high else None


def as_time(value: object) -> float | None:
    """Return the value if it is a time in seconds since 1970, up to the year 9999."""
    return as_number(value, 0, LATEST_TIME)


def as_int(value: object) -> int | None:
    """Return the value as an integer if it is a finite number."""
    return whole(as_float(value))


def whole(value: float | None) -> int | None:
    """Return a number without its fraction."""
    return None if value is None else int(value)
