"""How a dead connection is detected."""

from contextlib import suppress
from dataclasses import dataclass
import socket as sockets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp

KEEPALIVE_INTERVAL: Final = 20  # seconds
KEEPALIVE_PROBES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepalivePolicy:
    """Time-outs and intervals of a connection, in seconds; None disables.

    Silence does not mean that a connection is dead: hours can pass without a push. No pings are
    sent by default, because the cloud was seen to drop clients that do (protocol.md 3.7). TCP
    keep-alive detects a connection that a router has dropped.
    """

    ping_every: float | None = None
    keepalive_after: int | None = 60
    resubscribe_every: float = 1800.0
    reply_within: float = 30.0
    handshake_within: float = 30.0
    stable_after: float = 60.0


def keep_alive(socket: aiohttp.ClientWebSocketResponse, after: int | None) -> None:
    """Enable TCP keep-alive after so many idle seconds; platforms may lack some options."""
    tcp = socket.get_extra_info("socket")
    if tcp is None or after is None:
        return
    with suppress(OSError, AttributeError):
        tcp.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
        tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_KEEPIDLE, after)
        tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
        tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_KEEPCNT, KEEPALIVE_PROBES)
