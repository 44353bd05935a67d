"""What a file of translations may hold, and a walk that compares one with it."""

from collections.abc import Iterator, Mapping
import re
from typing import Final

type Shape = str | Mapping[str, Shape]

# A leaf is TEXT or, where Home Assistant fills in no placeholders, PLAIN. SLUG and ANY stand for
# keys that we choose; a name that ends in "!" has to be there.
TEXT: Final = "text"
PLAIN: Final = "plain"
SLUG: Final = "<slug>"
ANY: Final = "<any>"
_SLUG: Final = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")

_ANY_TEXTS: Final[Shape] = {ANY: TEXT}
_FIELDS: Final[Mapping[str, Shape]] = {"data": _ANY_TEXTS, "data_description": _ANY_TEXTS}
_SECTION: Final[Shape] = {**_FIELDS, "name": TEXT, "description": TEXT}
_STEP: Final[Shape] = {
    **_FIELDS,
    "title": TEXT,
    "description": TEXT,
    "submit": TEXT,
    "menu_options": _ANY_TEXTS,
    "menu_option_descriptions": _ANY_TEXTS,
    "sections": {ANY: _SECTION},
}
_FLOW: Final[Mapping[str, Shape]] = {
    "flow_title": TEXT,
    "step!": {ANY: _STEP},
    "error": _ANY_TEXTS,
    "abort": _ANY_TEXTS,
    "progress": _ANY_TEXTS,
    "create_entry": _ANY_TEXTS,
    "initiate_flow": _ANY_TEXTS,
}
_STATES: Final[Shape] = {SLUG: PLAIN}
_ENTITY: Final[Shape] = {
    "name": TEXT,
    "state": _STATES,
    "state_attributes": {SLUG: {"name": PLAIN, "state": _STATES}},
    "unit_of_measurement": PLAIN,
}
_ACTION: Final[Shape] = {
    "name!": TEXT,
    "description!": TEXT,
    "fields": {SLUG: {"name!": TEXT, "description!": TEXT, "example": TEXT}},
    "sections": {SLUG: {"name!": TEXT, "description": TEXT}},
}
_CHOICES: Final[Shape] = {SLUG: TEXT}

TRANSLATIONS: Final[Shape] = {
    "title": TEXT,
    "common": {SLUG: TEXT},
    "config": _FLOW,
    "config_subentries": {SLUG: {**_FLOW, "entry_type!": TEXT}},
    "options": _FLOW,
    "entity": {SLUG: {SLUG: _ENTITY}},
    "device": {SLUG: {"name": TEXT}},
    "exceptions": {SLUG: {"message!": TEXT}},
    "issues": {SLUG: {"title!": TEXT, "description": TEXT, "fix_flow": _FLOW}},
    "selector": {SLUG: {"options": _CHOICES, "choices": _CHOICES, "unit_of_measurement": _CHOICES}},
    "services": {SLUG: _ACTION},
    "triggers": {SLUG: _ACTION},
    "conditions": {SLUG: _ACTION},
    "system_health": {"info": {SLUG: TEXT}},
    "device_automation": {ANY: _ANY_TEXTS},
}


def differences(shape: Shape, value: object, path: str = "") -> Iterator[str]:
    """Say where a value is not of the shape."""
    if isinstance(shape, str):
        if not isinstance(value, str):
            yield f"{path} has to be a text"
    elif isinstance(value, dict):
        yield from _missing(shape, value, path)
        for key, inner in value.items():
            yield from _inside(shape, key, inner, path)
    else:
        yield f"{path or 'the file'} has to be a mapping"


def leaf(shape: Shape, path: str) -> str | None:
    """Return what kind of leaf is at a dotted path."""
    for key in path.split("."):
        if isinstance(shape, str):
            return None
        inner = _choose(shape, key)
        if inner is None:
            return None
        shape = inner
    return shape if isinstance(shape, str) else None


def _missing(shape: Mapping[str, Shape], value: Mapping[str, object], path: str) -> Iterator[str]:
    for key in shape:
        if key.endswith("!") and key[:-1] not in value:
            yield f"{path} needs the key {key[:-1]}"


def _inside(shape: Mapping[str, Shape], key: str, inner: object, path: str) -> Iterator[str]:
    below = f"{path}.{key}" if path else key
    chosen = _choose(shape, key)
    if chosen is not None:
        yield from differences(chosen, inner, below)
    elif SLUG in shape:
        yield f"{below} is no valid key: small letters, digits and single _ or - between them"
    else:
        yield f"{below} is not a known key"


def _choose(shape: Mapping[str, Shape], key: str) -> Shape | None:
    for name in (key, f"{key}!", ANY):
        if name in shape:
            return shape[name]
    return shape.get(SLUG) if _SLUG.fullmatch(key) else None
