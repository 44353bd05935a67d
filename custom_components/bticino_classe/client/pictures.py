"""Pictures behind signed links: got once, from where a picture may come from, and only pictures."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from .const import USER_AGENT
from .errors import PictureError, PictureFault
from .http import request_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .const import Endpoints
    from .models import Picture

MAX_PICTURE_BYTES: Final = 4 * 1024 * 1024

# Last parts of names that are given at home (RFC 6762, RFC 8375, and custom).
_HOUSE_NAMES: Final = frozenset(
    {"arpa", "home", "internal", "intranet", "lan", "local", "localdomain", "localhost"}
)
_DEAD: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})
_EARLY: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
# A picture is never compressed again, so what comes compressed is refused, not unpacked.
_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StillImage:
    """A picture as it came, with the type that its first bytes tell."""

    content: bytes = field(repr=False)
    content_type: str


async def addresses_of(host: str) -> tuple[str, ...]:
    """Return the addresses behind a name; OSError: there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(str(address[0]) for *_, address in found)


async def download_picture(
    session: aiohttp.ClientSession,
    picture: Picture,
    *,
    endpoints: Endpoints,
    resolve: Callable[[str], Awaitable[Iterable[str]]] = addresses_of,
) -> StillImage:
    """Return a JPEG, PNG or WEBP picture, asked for once and without a token.

    Raises PictureError outside of the `except`, so that it drags no link along.
    """
    address = _address(picture.url, endpoints)
    try:
        if not _is_cloud(address, endpoints):
            async with asyncio.timeout(endpoints.timeout):
                _check_outside(await resolve(address.raw_host or ""))
        # No redirect is followed: it could lead into the house.
        async with session.get(
            address, headers=_HEADERS, auto_decompress=False, **request_options(endpoints.timeout)
        ) as response:
            return await _picture_in(response)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as err:
        failure = PictureError(reason=type(err).__name__, fault=PictureFault.UNREACHED)
    raise failure


def _address(link: str, endpoints: Endpoints) -> URL:
    """Return where a link leads, byte for byte; PictureError: nobody goes there."""
    try:
        # As it came: to quote it anew could break its signature. Its parts are read, and may turn
        # out to be none, only when they are asked for.
        address = URL(link, encoded=True)
        is_followed = _is_one_word(link) and _is_store(address, endpoints)
    except ValueError:
        is_followed = False
    if not is_followed:
        raise PictureError(reason="a link that must not be followed")
    return address


def _is_one_word(link: str) -> bool:
    return link.isascii() and link.isprintable() and " " not in link


def _is_store(address: URL, endpoints: Endpoints) -> bool:
    """Whether pictures may be there: at a public name that speaks https, or at the cloud itself.

    The cloud's own host is what lets the simulator have pictures.
    """
    # A name before the host would be sent as an Authorization header.
    if address.user is not None or address.password is not None:
        return False
    if _is_cloud(address, endpoints):
        return True
    return address.scheme == "https" and _is_public_name(address.raw_host or "")


def _is_cloud(address: URL, endpoints: Endpoints) -> bool:
    return address.origin() == URL(endpoints.api).origin()


def _check_outside(addresses: Iterable[str]) -> None:
    """Raise PictureError where a public name leads into the house, or to this machine."""
    if not all(ipaddress.ip_address(each.partition("%")[0]).is_global for each in addresses):
        raise PictureError(reason="a name that leads into the house")


def _is_public_name(host: str) -> bool:
    """Whether a host is called as those of the internet are: no number, no name of the house."""
    *parts, last = host.rstrip(".").lower().split(".")
    if not parts or ":" in host or last in _HOUSE_NAMES:
        return False
    return last.isalpha() or last.startswith("xn--")


async def _picture_in(response: aiohttp.ClientResponse) -> StillImage:
    status = response.status
    if status != HTTPStatus.OK:
        raise PictureError(reason=f"status {status}", fault=_fault(status))
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_PICTURE_BYTES:
            raise PictureError(reason="too large")
    content_type = _type_of(raw)
    if content_type is None:
        # It may be a page that says "later".
        raise PictureError(reason="no picture", fault=PictureFault.EARLY)
    return StillImage(content=bytes(raw), content_type=content_type)


def _fault(status: int) -> PictureFault:
    if status in _DEAD:
        return PictureFault.DEAD
    is_early = status in _EARLY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return PictureFault.EARLY if is_early else PictureFault.UNFIT


def _type_of(raw: bytearray) -> str | None:
    if raw.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP" else None
