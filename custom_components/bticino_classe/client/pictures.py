"""Downloads pictures from signed links, only from public hosts, and only pictures."""

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

# Top-level names of local networks (RFC 6762, RFC 8375, and custom).
_LOCAL_NAMES: Final = frozenset(
    {"arpa", "home", "internal", "intranet", "lan", "local", "localdomain", "localhost"}
)
_EXPIRED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})
_NOT_READY: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
# Pictures are not compressed on the way, so compressed content is refused, not unpacked.
_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StillImage:
    """A downloaded picture; its content type is read from its first bytes."""

    content: bytes = field(repr=False)
    content_type: str


async def resolve_host(host: str) -> tuple[str, ...]:
    """Return the IP addresses of a host; OSError if there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(str(address[0]) for *_, address in found)


async def download_picture(
    session: aiohttp.ClientSession,
    picture: Picture,
    *,
    endpoints: Endpoints,
    resolve: Callable[[str], Awaitable[Iterable[str]]] = resolve_host,
) -> StillImage:
    """Download a JPEG, PNG or WEBP picture, once and without a token; raises PictureError.

    The error is raised outside the `except`, so that its context does not hold the link.
    """
    address = _address(picture.url, endpoints)
    try:
        if not _is_api_host(address, endpoints):
            async with asyncio.timeout(endpoints.timeout):
                _check_public(await resolve(address.raw_host or ""))
        # Redirects are not followed: they could lead into the local network.
        async with session.get(
            address, headers=_HEADERS, auto_decompress=False, **request_options(endpoints.timeout)
        ) as response:
            return await _picture_of(response)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as err:
        failure = PictureError(reason=type(err).__name__, fault=PictureFault.UNREACHABLE)
    raise failure


def _address(link: str, endpoints: Endpoints) -> URL:
    """Return the URL of a link, unchanged; PictureError if it must not be followed."""
    try:
        # Quoting it again could break its signature. Its parts are parsed, and may be invalid,
        # only when they are used.
        address = URL(link, encoded=True)
        is_allowed = _is_printable(link) and _is_allowed_host(address, endpoints)
    except ValueError:
        is_allowed = False
    if not is_allowed:
        raise PictureError(reason="link must not be followed")
    return address


def _is_printable(link: str) -> bool:
    return link.isascii() and link.isprintable() and " " not in link


def _is_allowed_host(address: URL, endpoints: Endpoints) -> bool:
    """Return whether pictures may come from there: a public host with https, or the API's host.

    The API's host is needed for the simulator.
    """
    # A user name would be sent as an Authorization header.
    if address.user is not None or address.password is not None:
        return False
    if _is_api_host(address, endpoints):
        return True
    return address.scheme == "https" and _is_public_name(address.raw_host or "")


def _is_api_host(address: URL, endpoints: Endpoints) -> bool:
    return address.origin() == URL(endpoints.api).origin()


def _check_public(addresses: Iterable[str]) -> None:
    """Raise PictureError if an address is in the local network or on this machine."""
    if not all(ipaddress.ip_address(each.partition("%")[0]).is_global for each in addresses):
        raise PictureError(reason="host in the local network")


def _is_public_name(host: str) -> bool:
    """Return whether a host is a public name: no IP address and no local name."""
    *parts, last = host.rstrip(".").lower().split(".")
    if not parts or ":" in host or last in _LOCAL_NAMES:
        return False
    return last.isalpha() or last.startswith("xn--")


async def _picture_of(response: aiohttp.ClientResponse) -> StillImage:
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
        # It may be a page that asks to try again later.
        raise PictureError(reason="no picture", fault=PictureFault.NOT_READY)
    return StillImage(content=bytes(raw), content_type=content_type)


def _fault(status: int) -> PictureFault:
    if status in _EXPIRED:
        return PictureFault.EXPIRED
    is_not_ready = status in _NOT_READY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return PictureFault.NOT_READY if is_not_ready else PictureFault.UNUSABLE


def _type_of(raw: bytearray) -> str | None:
    if raw.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP" else None
