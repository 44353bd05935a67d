"""Pseudonyms of a recording: the same for the same value, and different in every recording."""

from functools import partial
import re
import secrets
from typing import TYPE_CHECKING, Final, override

from ..redaction import Pseudonyms

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIX_BYTES: Final = 4
MAX_COMPARED: Final = 4096  # characters
MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)


class RandomPseudonyms(Pseudonyms):
    """Pseudonyms that cannot be reversed: their suffixes are drawn at random.

    Values that differ only in case, or in the separators of a MAC address, are the same.
    """

    def __init__(self, draw: Callable[[], str] | None = None) -> None:
        super().__init__()
        self._draw = draw or partial(secrets.token_hex, SUFFIX_BYTES)
        self._taken: set[str] = set()

    @override
    def name(self, identifier: str, kind: str) -> str:
        key = _normalized(identifier)
        if key not in self._names:
            self._names[key] = self._unused(kind)
        return self._names[key]

    def find(self, identifier: str) -> str | None:
        """Return the pseudonym of a value that has one."""
        return self._names.get(_normalized(identifier))

    def _unused(self, kind: str) -> str:
        while (name := f"{kind}-{self._draw()}") in self._taken:
            pass
        self._taken.add(name)
        return name


def _normalized(identifier: str) -> str:
    if MAC.fullmatch(identifier):
        identifier = identifier.replace(":", "").replace("-", "")
    return " ".join(identifier[:MAX_COMPARED].casefold().split())
