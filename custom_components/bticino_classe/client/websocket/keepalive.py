"""How a dead connection is detected."""

from contextlib import suppress
from dataclasses import dataclass
import socket as sockets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp

KEEPALIVE_INTERVAL_SECONDS: Final = 5
KEEPALIVE_PROBES: Final = 4
# Linux uses this instead of the number of probes; there is time to repeat a lost one.
UNACKNOWLEDGED_MILLISECONDS: Final = 45_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepalivePolicy:
    """Time-outs and intervals of a connection, in seconds; None disables.

    Silence does not mean that a connection is dead: hours can pass without a push. No pings are
    sent by default, because the cloud was seen to drop clients that do (protocol.md 3.7). TCP
    detects within a minute that a router has dropped the connection: by keep-alive probes, or by
    data that is not acknowledged.
    """

    ping_every: float | None = None
    keepalive_after: int | None = 30
    resubscribe_every: float = 1800.0
    reply_within: float = 30.0
    handshake_within: float = 30.0
    stable_after: float = 60.0


def keep_alive(socket: aiohttp.ClientWebSocketResponse, after: int | None) -> None:
    """Let TCP detect a dead connection, with probes after so many idle seconds.

    Platforms may lack some options.
    """
    tcp = socket.get_extra_info("socket")
    if tcp is None or after is None:
        return
    options = {
        "TCP_KEEPIDLE": after,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": UNACKNOWLEDGED_MILLISECONDS,
    }
    with suppress(OSError):
        tcp.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    for name, value in options.items():
        with suppress(OSError, AttributeError):
            tcp.setsockopt(sockets.IPPROTO_TCP, getattr(sockets, name), value)
