"""Why a connection ended, and what that means for the next one."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ..error_codes import meaning_of
from ..errors import ApiError, InvalidCredentialsError
from ..http import retry_after_of
from ..rate_limiter import limited_pause

if TYPE_CHECKING:
    import aiohttp

    from ..errors import BticinoError


class Cause(Enum):
    """What the next attempt depends on."""

    CONNECTION = "connection"
    NO_TOKEN = "no token"  # noqa: S105 - the token endpoint is out of order
    TOKEN_REFUSED = "token refused"  # noqa: S105 - a new token is tried
    CREDENTIALS_REFUSED = "credentials refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Why a connection ended: a fixed text, and the error's code or HTTP status."""

    reason: str
    cause: Cause = Cause.CONNECTION
    code: int | str | None = None
    retry_after: float = 0.0

    @property
    def is_overload(self) -> bool:
        """Whether the cloud said that it is overloaded."""
        return meaning_of(self.code).is_overload

    def __str__(self) -> str:
        return self.reason if self.code is None else f"{self.reason} ({self.code})"


class ConnectionEndedError(Exception):
    """A connection has ended; raised inside the tasks that use it."""

    def __init__(self, disconnect: Disconnect) -> None:
        super().__init__(str(disconnect))
        self.disconnect = disconnect


def first_disconnect(group: BaseExceptionGroup[ConnectionEndedError]) -> Disconnect:
    """Return why a connection ended; if several tasks raised, the first reason."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionEndedError)  # noqa: S101 - for the type checker
    return error.disconnect


def refused_handshake(err: aiohttp.WSServerHandshakeError) -> Disconnect:
    """Return the disconnect of a refused handshake."""
    retry_after = retry_after_of(err.headers or {})
    return Disconnect(
        reason="handshake refused", code=err.status, retry_after=limited_pause(retry_after)
    )


def refused_frame(reason: str, code: int | str | None) -> Disconnect:
    """Return the disconnect of an error that the cloud sent on the socket."""
    is_token = meaning_of(code).refuses_token
    return Disconnect(
        reason=reason, code=code, cause=Cause.TOKEN_REFUSED if is_token else Cause.CONNECTION
    )


def no_token(err: BticinoError) -> Disconnect:
    """Return the disconnect of a connection that has no token to subscribe with."""
    if isinstance(err, InvalidCredentialsError):
        return Disconnect(reason="credentials refused", cause=Cause.CREDENTIALS_REFUSED)
    status = err.status if isinstance(err, ApiError) else None
    retry_after = err.retry_after if isinstance(err, ApiError) else None
    return Disconnect(
        reason=f"no token: {type(err).__name__}",
        cause=Cause.NO_TOKEN,
        code=status,
        retry_after=limited_pause(retry_after),
    )
