"""How it is found out that a connection is dead: a policy that can be swapped."""

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
    """How it is found out that a connection is dead; all in seconds, None for never.

    Silence alone is no sign of death: a quiet house gives hours without a frame. By default
    no pings are sent, since observers saw clients dropped that do (protocol.md 3.7); the
    server's are answered. The kernel's keep-alive finds a line that a router has forgotten.
    """

    ping_every: float | None = None
    keepalive_after: int | None = 60
    resubscribe_every: float = 1800.0
    reply_within: float = 30.0
    handshake_within: float = 30.0
    stable_after: float = 60.0


def keep_alive(socket: aiohttp.ClientWebSocketResponse, after: int | None) -> None:
    """Have the kernel look after a silent line; where it cannot, the subscription will."""
    line = socket.get_extra_info("socket")
    if line is None or after is None:
        return
    with suppress(OSError, AttributeError):
        line.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
        line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_KEEPIDLE, after)
        line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
        line.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_KEEPCNT, KEEPALIVE_PROBES)
