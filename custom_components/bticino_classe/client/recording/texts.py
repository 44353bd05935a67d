"""Redaction of single texts: ids of known forms, links, and everything else."""

import ipaddress
from itertools import islice
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from .pseudonyms import MAC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .pseudonyms import RandomPseudonyms

SHORTEST_KNOWN: Final = 3  # characters; shorter values are in too many texts
MAX_MENTIONS: Final = 8  # ids in one text
MAX_SEARCHED: Final = 500  # characters of a text
_FORMS: Final = {
    # From the start of a word: anywhere else, each of its characters would be tried.
    "email": r"(?<![^\s@<>\"',;:])[^\s@<>\"',;:]{1,64}@[^\s@<>\"',;:]{1,255}",
    "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "mac": MAC.pattern,
    "module": r"[0-9a-fA-F]{6}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "address": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
    "id": r"[0-9a-fA-F]{12,64}",
}
_ID: Final = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items()))
_UUID: Final = re.compile(_FORMS["uuid"])
_ADDRESS: Final = re.compile(r"[0-9a-fA-F]*[.:][0-9a-fA-F.:]*(?:%.*)?")  # as far as it is cheap
_PARAMETERS: Final = frozenset(  # of the signed links of Azure
    ["se", "sig", "sip", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "st", "sv"]
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{1,9}://")
_ICE_LINK: Final = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>[^\s?/@]+?)(?P<port>:[0-9]{1,5})?"
    r"(?P<query>\?transport=(?:udp|tcp))?"
)


class TextRedactor:
    """Replaces texts; what it returns in angle brackets is not of the cloud."""

    def __init__(self, pseudonyms: RandomPseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def name(self, text: str, kind: str, *, form: str | None = None) -> str:
        """Return the pseudonym of a value, with its form if that says something."""
        kind = kind if kind not in {"id", "key"} else _kind(text) or kind
        shown = (self._pseudonyms.name(text, kind), form or _form(text))
        return f"<{' '.join(filter(None, shown))}>"

    def hidden(self, text: str) -> str:
        """Return a pseudonym if the whole text is an id, else its length and the ids in it."""
        if self.is_personal(text):
            return self.name(text, "id")
        if _SCHEME.match(text):
            return self.link(text)
        return f"<{' '.join([f'str:{len(text)}', *self._mentions(text)])}>"

    def link(self, text: str) -> str:
        """Return what a link consists of: scheme, host, parts of the path, names of parameters."""
        try:
            parts = urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            return f"<str:{len(text)}>"
        scheme = parts.scheme if parts.scheme in {"http", "https", "ws", "wss"} else "other"
        return (
            f"<url:{len(text)} {scheme} {self._pseudonyms.name(host, 'host')}{self._path(parts)}>"
        )

    def ice_link(self, text: str) -> str:
        """Return a link to a STUN or TURN server without its host."""
        found = _ICE_LINK.fullmatch(text)
        if found is None:
            return f"<str:{len(text)}>"
        host = self.name(found["host"], "host")
        return f"{found['scheme']}:{host}{found['port'] or ''}{found['query'] or ''}"

    def is_personal(self, text: str) -> bool:
        """Whether a text has a pseudonym already, or the form of an id."""
        if len(text) < SHORTEST_KNOWN:
            return False
        if self._pseudonyms.find(text) is not None:
            return True
        # The versions of the app have the form of public addresses.
        return _kind(text) is not None and not _form(text).endswith("public")

    def _path(self, parts: SplitResult) -> str:
        segments = [segment for segment in parts.path.split("/") if segment]
        pairs = filter(None, parts.query.split("&", MAX_MENTIONS)[:MAX_MENTIONS])
        names = [pair.partition("=")[0] for pair in pairs]
        shown = [name if name in _PARAMETERS else "?" for name in names]
        found = [f"path:{len(segments)}", *self._mentions(parts.path)]
        return " ".join(["", *found, *([f"query:{','.join(shown)}"] if shown else [])])

    def _mentions(self, text: str) -> Iterable[str]:
        """Return the pseudonyms of the first ids in a text, each once."""
        found = islice(_ID.finditer(text[:MAX_SEARCHED]), MAX_MENTIONS)
        return dict.fromkeys(
            self._pseudonyms.name(match[0], _kind(match[0]) or "id") for match in found
        )


def _kind(text: str) -> str | None:
    """Return the kind of an id by its form; None if it has no known form."""
    found = _ID.fullmatch(text)
    kind = found.lastgroup if found else None
    return {"mac": "module", "uuid": "id"}.get(kind, kind) if kind else None


def _form(text: str) -> str:
    """Return the form of an id: a MAC address, a UUID, or the scope of an IP address."""
    if MAC.fullmatch(text):
        return "mac"
    if _UUID.fullmatch(text):
        return "uuid"
    if not _ADDRESS.fullmatch(text):
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return f"ipv{address.version} {'private' if address.is_private else 'public'}"
