"""Redaction of whole messages: only known fields with values of a known form can be read."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
import re
from typing import TYPE_CHECKING, Any, Final

from ..redaction import (
    ID_FIELDS,
    ID_KINDS,
    PROTOCOL_WORDS,
    READABLE_NUMBERS,
    READABLE_TEXTS,
    SECRET_FIELDS,
    TIMES,
)
from .descriptions import DescriptionRedactor
from .texts import TextRedactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pseudonyms import RandomPseudonyms

MAX_VALUES: Final = 1250  # of a message; the event loop waits for them, at most some 10 ms
CHARACTERS_PER_VALUE: Final = 32  # a longer text counts as several values, and so does each line
MAX_ITEMS: Final = 100  # of a list or a mapping
MAX_DEPTH: Final = 12
MAX_NUMBER: Final = 10**9
MAX_DIGIT: Final = 9  # a number that small may be read in any field
SECONDS: Final = range(10**9, 10**10)  # times of the years 2001 to 2286
MILLISECONDS: Final = range(10**12, 10**13)
_KNOWN_KEYS: Final = frozenset(
    {
        *(SECRET_FIELDS.keys() | ID_FIELDS.keys() | ID_KINDS.keys()),
        *(READABLE_TEXTS.keys() | READABLE_NUMBERS | TIMES),
        *("credentialType", "iceServers", "configurationPhase"),
        *("id", "body", "data", "on", "lock", "busy", "reachable", "status"),
    }
)
_KEY: Final = re.compile(r"[a-z]+(?:_[a-z]+|[A-Z][a-z]+)*[0-9]?")
_SEPARATOR: Final = re.compile(r"[-:]")
MAX_KEY_LENGTH: Final = 32


class MessageRedactor:
    """Redacts messages and counts what it replaced, by kind.

    The types of values stay, or are named: `<str:24>` is a text of 24 characters, `<int:5>` a
    number of five digits. `started_at` is in seconds since 1970; times count from it.
    """

    def __init__(self, pseudonyms: RandomPseudonyms, *, started_at: float) -> None:
        self._pseudonyms = pseudonyms
        self._started_at = started_at
        self._texts = TextRedactor(pseudonyms)
        descriptions = DescriptionRedactor(self._texts)
        self._shown_as: Mapping[str, Callable[[str], str]] = {
            "candidate": descriptions.candidate,
            "relay": self._texts.ice_link,
            "sdp": descriptions.description,
            "secret": lambda _: "<secret>",  # without its length
            "text": self._texts.hidden,
            "url": self._texts.link,
        }
        self._left = 0
        self.redacted: Counter[str] = Counter()

    def redact(self, message: object) -> Any:
        """Return a redacted copy of a message."""
        self._left = MAX_VALUES
        return self._value(message, key="", parent="", depth=0)

    def _value(self, value: object, *, key: str, parent: str, depth: int) -> Any:
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if self._left < 0 or depth > MAX_DEPTH:
            return self._hide("more", f"<{type(value).__name__}>")
        if isinstance(value, Mapping):
            return self._mapping(value, key=key, parent=parent, depth=depth)
        if isinstance(value, list | tuple):
            found = [
                self._value(item, key=key, parent=parent, depth=depth + 1)
                for item in value[:MAX_ITEMS]
            ]
            return [*found, *self._more(len(value))]
        if isinstance(value, int | float):
            return self._number(value, key.lower(), parent)
        return self._text(str(value), key.lower(), parent)

    def _mapping(
        self, value: Mapping[Any, Any], *, key: str, parent: str, depth: int
    ) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for index, (name, item) in enumerate(value.items()):
            if index >= MAX_ITEMS:
                shown["<more>"] = self._more(len(value))[0]
                break
            # Items of a list are in the field of the list.
            field = self._key(str(name))
            shown[field] = self._value(item, key=str(name), parent=key or parent, depth=depth + 1)
        return shown

    def _more(self, length: int) -> list[str]:
        left = length - MAX_ITEMS
        return [self._hide("more", f"<{left} more>")] if left > 0 else []

    def _key(self, key: str) -> str:
        """Return a key if it is the name of a field; a key may also be an id or a name."""
        if key in _KNOWN_KEYS:
            return key
        is_field = len(key) <= MAX_KEY_LENGTH and _KEY.fullmatch(key)
        if is_field and not self._is_personal(key):
            return key
        return self._hide("key", self._texts.name(key, "key"))

    def _is_personal(self, text: str) -> bool:
        """Whether a text, or a part of it, is the name or the id of something."""
        words = {text, text.replace("_", " "), *_SEPARATOR.split(text)} - PROTOCOL_WORDS
        return any(map(self._texts.is_personal, words))

    def _number(self, number: float, key: str, parent: str) -> Any:
        if kind := self._kind(key, parent):
            return self._hide(kind, self._texts.name(str(number), kind, form=_type(number)))
        if key in TIMES:
            return self._time(number)
        is_readable = key in READABLE_NUMBERS and abs(number) < MAX_NUMBER
        if isinstance(number, int) and (is_readable or 0 <= number <= MAX_DIGIT):
            return number
        if is_readable:
            return round(number, 3)
        return self._hide("number", _type(number, sized=True))

    def _time(self, number: float) -> Any:
        """Return a time from the start of the recording; 0 stands for none."""
        is_whole = isinstance(number, int)
        if not number:
            return number
        for span, per_second in ((SECONDS, 1), (MILLISECONDS, 1000)):
            if span.start <= number < span.stop:
                seconds = number - self._started_at * per_second
                return round(seconds) if is_whole else round(seconds, 3)
        return self._hide("number", _type(number, sized=True))

    def _text(self, text: str, key: str, parent: str) -> str:
        if not text:
            return text
        self._left -= len(text) // CHARACTERS_PER_VALUE + text.count("\n")
        if kind := self._kind(key, parent):
            show = self._shown_as.get(kind) or partial(self._texts.name, kind=kind)
            return self._hide(kind, show(text))
        form = READABLE_TEXTS.get(key)
        if form is not None and form.fullmatch(text) and not self._is_personal(text):
            return text
        return self._hide("text", self._texts.hidden(text))

    def _kind(self, key: str, parent: str) -> str | None:
        """Return the kind of a value's pseudonym; None if its field is not one that needs one."""
        if key == "id":
            return ID_KINDS.get(parent, "id")
        return SECRET_FIELDS.get(key) or ID_FIELDS.get(key)

    def _hide[Shown](self, kind: str, shown: Shown) -> Shown:
        self.redacted[kind] += 1
        return shown


def _type(number: float, *, sized: bool = False) -> str:
    if isinstance(number, int):
        return f"<int:{len(str(abs(number)))}>" if sized else "int"
    return "<float>" if sized else "float"
