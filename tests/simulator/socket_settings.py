"""How the two sockets behave, to be changed while they are open."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds.
SHORTEST_PING = 0.01


@dataclass(slots=True, kw_only=True)
class SocketSettings:
    """How the cloud treats WebSocket connections; changes also apply to open ones at once.

    Times are seconds. A new object is a cloud that behaves.
    """

    #: The cloud pings each connection so often; None: never.
    server_ping_every: float | None = None
    drop_clients_that_ping: bool = False
    drop_clients_that_do_not_ping_within: float | None = None
    #: All connections look open, but nothing more is sent on them and nothing is read.
    half_open: bool = False
    #: The connection ends right after the handshake, or right after the first `ok`.
    accept_then_close: Literal["handshake", "subscribed"] | None = None
    #: The error code that answers a subscription; None: none.
    refuse_subscriptions: int | None = None
    #: How many subscriptions are still refused; None: all.
    refuse_first: int | None = None
    #: The same for the second subscription of a connection, and those after it.
    refuse_resubscriptions: int | None = None
    #: A subscription gets no answer, and no effect.
    silent: bool = False
    #: The status that answers a handshake; None: the connection opens.
    handshake_status: int | None = None
    handshake_retry_after: int | str | None = None
    handshake_delay: float = 0.0
    #: With what the cloud closes a connection of its own accord; None: it cuts it without a word.
    close_code: int | None = None
    #: Pushes stop once the token has expired or was revoked; the connection stays open.
    pushes_stop_with_token: bool = True
    _news: asyncio.Event = field(
        default_factory=asyncio.Event, init=False, repr=False, compare=False
    )

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name != "_news" and hasattr(self, "_news"):
            self._news.set()
            self._news = asyncio.Event()

    def reset(self) -> None:
        """Behave again."""
        usual = SocketSettings()
        for name in self.names():
            setattr(self, name, getattr(usual, name))

    async def changed(self, within: float | None) -> None:
        """Return at the next change, at the latest when the seconds are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all settings."""
        return [each.name for each in fields(cls) if each.init]

    @staticmethod
    def fault_in(given: Mapping[str, object]) -> str | None:
        """Return what is wrong with the value of a setting, in words; its type is right."""
        moments = (None, "handshake", "subscribed")
        if given.get("accept_then_close") not in moments:
            return "accept_then_close is handshake, subscribed or null"
        for name in SocketSettings.names():
            value = given.get(name)
            if isinstance(value, int | float) and value < 0:
                return f"{name} is not negative"
        every = given.get("server_ping_every")
        if isinstance(every, int | float) and every < SHORTEST_PING:
            return f"server_ping_every is at least {SHORTEST_PING}"
        return None

    def refusal(self, *, again: bool) -> int | None:
        """Return the error code for a subscription, the first or a later one; None: accepted."""
        if again and self.refuse_resubscriptions is not None:
            return self.refuse_resubscriptions
        if self.refuse_subscriptions is None or self.refuse_first == 0:
            return None
        if self.refuse_first is not None:
            self.refuse_first -= 1
        return self.refuse_subscriptions
