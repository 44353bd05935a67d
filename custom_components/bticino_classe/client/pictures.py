"""Downloads pictures from signed links, only from public hosts, and only pictures."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
import socket
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from .const import HTTP_CLIENT
from .errors import PictureError, PictureFault
from .http import request_options
from .images import image_type
from .public_hosts import is_public_address, is_public_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .const import Endpoints
    from .models import Picture
    from .public_hosts import IPNetwork

MAX_PICTURE_BYTES: Final = 4 * 1024 * 1024
MAX_ADDRESSES: Final = 4  # of a host
HTTPS_PORT: Final = 443

_EXPIRED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})
_NOT_READY: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
# Pictures are not compressed on the way, so compressed content is refused, not unpacked.
_HEADERS: Final = {"User-Agent": HTTP_CLIENT, "Accept": "image/*", "Accept-Encoding": "identity"}


async def resolve_host(host: str) -> tuple[str, ...]:
    """Return the IP addresses of a host; OSError if there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class StillImage:
    """A downloaded picture; its content type is read from its first bytes."""

    content: bytes = field(repr=False)
    content_type: str


async def download_picture(
    session: aiohttp.ClientSession,
    picture: Picture,
    *,
    endpoints: Endpoints,
    own_networks: Iterable[IPNetwork] = (),
    resolve: Callable[[str], Awaitable[Iterable[str]]] = resolve_host,
) -> StillImage:
    """Download a JPEG, PNG or WEBP picture, once and without a token; raises PictureError.

    Nothing is requested from `own_networks`. The error is raised outside the `except`, so that
    its context does not hold the link.
    """
    address = _address(picture.url, endpoints)
    try:
        if _is_simulator(address, endpoints):
            return await _get(session, address, endpoints.timeout)
        async with asyncio.timeout(endpoints.timeout):
            host = (address.raw_host or "").removesuffix(".")
            found = tuple(await resolve(host))
            _check_public(found, tuple(own_networks))
            return await _get_from(session, address, host, found, endpoints.timeout)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as err:
        failure = PictureError(reason=type(err).__name__, fault=PictureFault.UNREACHABLE)
    raise failure


async def _get_from(
    session: aiohttp.ClientSession,
    address: URL,
    host: str,
    ip_addresses: Iterable[str],
    timeout: float,  # noqa: ASYNC109 - of the request that aiohttp times
) -> StillImage:
    """Download a picture from the first of the addresses that accepts a connection.

    The request goes to an address that was checked: the host could resolve to another one now.
    """
    failure: Exception = OSError()
    for ip_address in list(ip_addresses)[:MAX_ADDRESSES]:
        try:
            return await _get(session, address.with_host(ip_address), timeout, host=host)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as err:
            failure = err
    raise failure


async def _get(
    session: aiohttp.ClientSession,
    address: URL,
    timeout: float,  # noqa: ASYNC109 - of the request that aiohttp times
    *,
    host: str | None = None,
) -> StillImage:
    """Request a picture; `host` is named instead of the address, and has to prove its name."""
    headers = _HEADERS if host is None else {**_HEADERS, "Host": host}
    options: dict[str, Any] = {"headers": headers, "server_hostname": host}
    # Redirects are not followed: they could lead into the local network.
    async with session.get(
        address, auto_decompress=False, **options, **request_options(timeout)
    ) as response:
        return await _picture_of(response)


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
    """Return whether pictures may come from there: a public host with https."""
    # A user name would be sent as an Authorization header.
    if address.user is not None or address.password is not None:
        return False
    if _is_simulator(address, endpoints):
        return True
    is_https = address.scheme == "https" and address.port == HTTPS_PORT
    return is_https and is_public_name(address.raw_host or "")


def _is_simulator(address: URL, endpoints: Endpoints) -> bool:
    """Return whether it is the API's host and without https, as only the simulator is."""
    return address.scheme == "http" and address.origin() == URL(endpoints.api).origin()


def _check_public(addresses: Iterable[str], own_networks: Iterable[IPNetwork]) -> None:
    """Raise PictureError if an address is in the local network or on this machine."""
    if not all(is_public_address(each, own_networks) for each in addresses):
        raise PictureError(reason="host in the local network")


async def _picture_of(response: aiohttp.ClientResponse) -> StillImage:
    status = response.status
    if status != HTTPStatus.OK:
        raise PictureError(reason=f"status {status}", fault=_fault(status))
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_PICTURE_BYTES:
            raise PictureError(reason="too large")
    content_type = image_type(bytes(raw))
    if content_type is None:
        # It may be a page that asks to try again later.
        raise PictureError(reason="no picture", fault=PictureFault.NOT_READY)
    return StillImage(content=bytes(raw), content_type=content_type)


def _fault(status: int) -> PictureFault:
    if status in _EXPIRED:
        return PictureFault.EXPIRED
    is_not_ready = status in _NOT_READY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return PictureFault.NOT_READY if is_not_ready else PictureFault.UNUSABLE
