"""Pictures of calls and their signed links, which expire."""

from dataclasses import dataclass, field
from functools import cache
import hashlib
import hmac
from pathlib import Path
import secrets
from typing import TYPE_CHECKING

from tests.simulator.paths import BLOB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulator.house import Json

KINDS = ("snapshot", "vignette")
JPEG_START, JPEG_COMMENT = b"\xff\xd8", b"\xff\xfe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Placeholder for a picture in a home's event; getevents replaces it with a new link."""

    id: str


@dataclass(slots=True, kw_only=True)
class Pictures:
    """Signs and checks links; times are by `clock`, in seconds."""

    clock: Callable[[], float]
    #: Lifetime of links in getevents and in pushes.
    event_seconds: float = 3600.0
    push_seconds: float = 300.0
    #: Minimum size of a picture in bytes.
    size: int = 0
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def link(self, base: str, picture_id: str, expires_at: int) -> str:
        """Return a signed link to a picture."""
        sig = self._signature(picture_id, str(expires_at))
        return f"{base}{BLOB}{picture_id}?se={expires_at}&sig={sig}"

    def link_error(self, picture_id: str, query: Mapping[str, str]) -> str | None:
        """Return why a link is refused; None: it is valid."""
        until, sig = query.get("se", ""), query.get("sig", "")
        if not hmac.compare_digest(sig.encode(), self._signature(picture_id, until).encode()):
            return "the signature is wrong"
        return None if self.clock() < int(until) else "the link has expired"

    def with_links(self, event: Json, base: str) -> Json:
        """Return a home's event with new links to its pictures."""
        until = int(self.clock() + self.event_seconds)

        def fresh(value: object) -> object:
            match value:
                case Picture(id=picture_id):
                    return {"url": self.link(base, picture_id, until), "expires_at": until}
                case dict():
                    return {key: fresh(item) for key, item in value.items()}
                case list():
                    return [fresh(item) for item in value]
            return value

        return {key: fresh(value) for key, value in event.items()}

    def _signature(self, picture_id: str, until: str) -> str:
        text = f"{picture_id} {until}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:32]


def jpeg(picture_id: str) -> bytes:
    """Return a JPEG with the id as a comment, so that each picture is unique."""
    kind = picture_id.rpartition("-")[2]
    drawn = _image(kind if kind in KINDS else KINDS[0])
    comment = picture_id.encode()
    length = (len(comment) + 2).to_bytes(2)
    return JPEG_START + JPEG_COMMENT + length + comment + drawn[len(JPEG_START) :]


@cache
def _image(kind: str) -> bytes:
    return Path(__file__).with_name(f"{kind}.jpg").read_bytes()
