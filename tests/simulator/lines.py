"""The open lines of the two sockets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from aiohttp import web


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """One client on one socket; what is pushed goes to those who have subscribed."""

    path: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    subscribed: bool = False

    def cut(self) -> None:
        """End the line without a word, as an outage does."""
        if self.transport is not None:
            self.transport.abort()
