"""Why a connection ended, and what that means for the next one."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..error_codes import meaning_of, status_error
from ..errors import (
    ApiError,
    AppClientRefusedError,
    InvalidCredentialsError,
    RateLimitError,
    ServerError,
)
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


class OfflineReason(StrEnum):
    """Why a connection is not online, as it is shown to people.

    CONNECTING: no attempt has failed yet. REFUSED: for none of the other reasons. UNEXPECTED: an
    error of this software.
    """

    CONNECTING = "connecting"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    NO_REPLY = "no_reply"
    OUTAGE = "outage"
    TOO_MANY_REQUESTS = "too_many_requests"
    REFUSED = "refused"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason
    SIGN_IN_FAILED = "sign_in_failed"
    APP_CLIENT_REFUSED = "app_client_refused"
    CREDENTIALS_REFUSED = "credentials_refused"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """Why a connection is not online, and since when, in seconds since 1970."""

    reason: OfflineReason
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Why a connection ended: a fixed text for the log, and the error's code or HTTP status."""

    text: str
    reason: OfflineReason
    cause: Cause = Cause.CONNECTION
    code: int | str | None = None
    retry_after: float = 0.0

    @property
    def is_overload(self) -> bool:
        """Whether the cloud said that it is overloaded."""
        return meaning_of(self.code).is_overload

    def __str__(self) -> str:
        return self.text if self.code is None else f"{self.text} ({self.code})"


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
    """Return the disconnect of a refused handshake.

    A page or a redirect is not from the cloud but from something before it: a captive portal.
    """
    is_foreign = err.status < HTTPStatus.BAD_REQUEST
    retry_after = retry_after_of(err.headers or {})
    return Disconnect(
        text="handshake refused",
        reason=OfflineReason.UNREACHABLE if is_foreign else _refusal(status_error(err.status)),
        code=err.status,
        retry_after=limited_pause(retry_after),
    )


def refused_frame(text: str, code: int | str | None) -> Disconnect:
    """Return the disconnect of an error that the cloud sent on the socket."""
    meaning = meaning_of(code)
    if meaning.refuses_token:
        reason, cause = OfflineReason.TOKEN_REFUSED, Cause.TOKEN_REFUSED
    else:
        reason, cause = _refusal(meaning.error), Cause.CONNECTION
    return Disconnect(text=text, reason=reason, code=code, cause=cause)


def no_token(err: BticinoError) -> Disconnect:
    """Return the disconnect of a connection that has no token to subscribe with."""
    if isinstance(err, InvalidCredentialsError):
        return Disconnect(
            text="credentials refused",
            reason=OfflineReason.CREDENTIALS_REFUSED,
            cause=Cause.CREDENTIALS_REFUSED,
        )
    status = err.status if isinstance(err, ApiError) else None
    retry_after = err.retry_after if isinstance(err, ApiError) else None
    return Disconnect(
        text=f"no token: {type(err).__name__}",
        reason=_no_token_reason(err),
        cause=Cause.NO_TOKEN,
        code=status,
        retry_after=limited_pause(retry_after),
    )


def _refusal(error: type[ApiError] | None) -> OfflineReason:
    """Return the reason for an error with which the cloud refuses a connection."""
    if error is not None and issubclass(error, RateLimitError):
        return OfflineReason.TOO_MANY_REQUESTS
    is_outage = error is not None and issubclass(error, ServerError)
    return OfflineReason.OUTAGE if is_outage else OfflineReason.REFUSED


def _no_token_reason(err: BticinoError) -> OfflineReason:
    if isinstance(err, AppClientRefusedError):
        return OfflineReason.APP_CLIENT_REFUSED
    if isinstance(err, RateLimitError):
        return OfflineReason.TOO_MANY_REQUESTS
    return OfflineReason.SIGN_IN_FAILED
