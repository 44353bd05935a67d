"""Finds what may be in no log and in no file but the account's own."""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Shorter texts would be found by chance.
SHORTEST: Final = 6
#: Signatures of picture links, names of media relays.
KNOWN_BY_FORM: Final = (re.compile(rb"sig=[0-9a-f]{32}"), re.compile(rb"(?<=\d{10}):u\b"))
#: The random part of a token, after the id of the user.
TOKEN_LENGTH: Final = 32
TOKEN: Final = re.compile(rb"[0-9a-f]{%d}" % TOKEN_LENGTH)
HEX_DIGITS: Final = re.compile(rb"[0-9a-f]{%d,}" % TOKEN_LENGTH)


class Secrets:
    """Finds given texts, the random part of given tokens, and secrets that are known by form."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """A year has thousands of tokens: searching for each would take most of its time."""
        parts = {each.rpartition("|")[2].encode() for each in secrets}
        self._tokens = {each for each in parts if TOKEN.fullmatch(each)}
        self._texts = {each for each in parts - self._tokens if len(each) >= SHORTEST}

    def find(self, content: bytes) -> Iterator[bytes]:
        """Yield each secret in a file."""
        yield from (each for each in self._texts if each in content)
        for pattern in KNOWN_BY_FORM:
            yield from pattern.findall(content)
        for digits in HEX_DIGITS.findall(content):
            starts = range(len(digits) - TOKEN_LENGTH + 1)
            parts = {digits[start : start + TOKEN_LENGTH] for start in starts}
            yield from parts & self._tokens
