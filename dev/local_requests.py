"""Refuses requests of web pages that are not this server's own.

A page from elsewhere can send requests to servers on this machine: with a foreign `Origin`, or with
a foreign `Host` after its name was made to resolve to this machine (DNS rebinding).
"""

from http import HTTPStatus
from ipaddress import ip_address
import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

HOST: Final = re.compile(r"(\[(?P<ipv6>[^\]]+)\]|(?P<name>[^:]+))(:\d+)?")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def local_requests(bound_to: str = "127.0.0.1") -> Middleware:
    """Return a middleware for a server that listens on `bound_to`."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_own(request, bound_to):
            return await handler(request)
        return web.Response(status=HTTPStatus.FORBIDDEN, text="Foreign Host or Origin header")

    return middleware


def _is_own(request: web.Request, bound_to: str) -> bool:
    hosts = request.headers.getall("Host", [])
    origins = request.headers.getall("Origin", [])
    if len(hosts) != 1 or not _is_own_host(_name_of(hosts[0]), bound_to):
        return False
    return all(origin.lower() == f"http://{hosts[0].lower()}" for origin in origins)


def _is_own_host(name: str, bound_to: str) -> bool:
    if name in LOOPBACK or name == bound_to.lower():
        return True
    # Listening on all addresses, it does not know its own; rebinding needs a name.
    return _is_address(name) and _is_address(bound_to) and ip_address(bound_to).is_unspecified


def _name_of(host: str) -> str:
    """Return the host of a Host header, without the port; empty if it is none."""
    match = HOST.fullmatch(host.lower())
    return "" if match is None else match["ipv6"] or match["name"] or ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
