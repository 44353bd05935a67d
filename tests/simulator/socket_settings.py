"""Settings of the behaviour of the two WebSockets."""

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

    Times are in seconds. The defaults are normal behaviour.
    """

    #: Interval of the cloud's pings; None: no pings.
    server_ping_every: float | None = None
    drop_clients_that_ping: bool = False
    drop_clients_that_do_not_ping_within: float | None = None
    #: All connections stay open, but nothing is sent or handled.
    half_open: bool = False
    #: The connection is closed after the handshake, or after an accepted subscription.
    accept_then_close: Literal["handshake", "subscribed"] | None = None
    #: The error code for subscriptions; None: they are accepted.
    refuse_subscriptions: int | None = None
    #: How many more subscriptions are refused; None: all.
    refuse_first: int | None = None
    #: The error code for the second and later subscriptions of a connection.
    refuse_resubscriptions: int | None = None
    #: Subscriptions get no response and have no effect.
    ignore_subscriptions: bool = False
    #: The HTTP status that refuses a handshake; None: it succeeds.
    handshake_status: int | None = None
    handshake_retry_after: int | str | None = None
    handshake_delay: float = 0.0
    #: The close code when the cloud ends a connection; None: it drops it without a close frame.
    close_code: int | None = None
    #: Pushes stop once the token has expired or was revoked; the connection stays open.
    pushes_stop_with_token: bool = True
    _changed: asyncio.Event = field(
        default_factory=asyncio.Event, init=False, repr=False, compare=False
    )

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name != "_changed" and hasattr(self, "_changed"):
            self._changed.set()
            self._changed = asyncio.Event()

    def reset(self) -> None:
        """Restore the defaults."""
        defaults = SocketSettings()
        for name in self.names():
            setattr(self, name, getattr(defaults, name))

    async def changed(self, within: float | None) -> None:
        """Wait for the next change, at most `within` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all settings."""
        return [each.name for each in fields(cls) if each.init]

    @staticmethod
    def invalid_value(given: Mapping[str, object]) -> str | None:
        """Return a message about the first invalid value, if any; types are already checked."""
        if given.get("accept_then_close") not in (None, "handshake", "subscribed"):
            return "accept_then_close must be handshake, subscribed or null"
        for name in SocketSettings.names():
            value = given.get(name)
            if isinstance(value, int | float) and value < 0:
                return f"{name} must not be negative"
        every = given.get("server_ping_every")
        if isinstance(every, int | float) and every < SHORTEST_PING:
            return f"server_ping_every must be at least {SHORTEST_PING}"
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
