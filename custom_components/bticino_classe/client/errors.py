"""The errors that the client raises.

Each has a fixed English message and data fields. None holds an answer's body, a password or a
token, so `str(err)` can be logged, shown and posted.
"""

from enum import StrEnum
from typing import ClassVar


class BticinoError(Exception):
    """Base class of all errors of the client."""

    message: ClassVar[str] = "The cloud client failed"

    def __init__(self) -> None:
        super().__init__(self.message)


class NoAnswerError(BticinoError):
    """No readable answer came; unless `sent`, the cloud certainly did not receive the request."""

    message = "The cloud gave no readable answer"

    def __init__(self, *, sent: bool = False, reason: str | None = None) -> None:
        super().__init__()
        self.sent = sent
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})" if self.reason else self.message


class DeadlineExpiredError(NoAnswerError):
    """The request was not sent, because its deadline had passed."""

    message = "The request could not be sent in time"


class ApiError(BticinoError):
    """The cloud answered with an error.

    `status` is the HTTP status (None: the error was inside a successful answer, or our own rate
    limiter refused the request), `code` the vendor's number or OAuth error, `retry_after` is in
    seconds. `module_id` is the module that an error inside a successful answer names.
    """

    message = "The cloud refused the request"

    def __init__(
        self,
        *,
        status: int | None = None,
        code: int | str | None = None,
        retry_after: float | None = None,
        module_id: str | None = None,
    ) -> None:
        super().__init__()
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.module_id = module_id

    def __str__(self) -> str:
        details = {"status": self.status, "code": self.code, "retry after": self.retry_after}
        text = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
        return f"{self.message} ({text})" if text else self.message


class TokenRefusedError(ApiError):
    """The cloud refused the access token, and a new one as well."""

    message = "The cloud refused the access token"


class ForbiddenError(ApiError):
    """The account lacks the permission; a new sign-in does not help."""

    message = "The account is not allowed to do this"


class NotFoundError(ApiError):
    """The home or module does not exist (any more)."""

    message = "The cloud does not know this home or module"


class InvalidRequestError(ApiError):
    """The cloud did not understand the request."""

    message = "The cloud did not understand the request"


class RateLimitError(ApiError):
    """Too many requests, for the cloud or for our own rate limiter."""

    message = "Too many requests"

    @property
    def is_local(self) -> bool:
        """Whether our own rate limiter refused the request, so that nothing was sent."""
        return self.status is None and self.code is None


class ServerError(ApiError):
    """The cloud has an outage or is under maintenance."""

    message = "The cloud has an outage"


class UnexpectedAnswerError(ApiError):
    """The answer lacks what it should contain."""

    message = "The cloud gave an unexpected answer"


class CommandRefusedError(ApiError):
    """The cloud accepted the command, but the module refused it."""

    message = "The module refused the command"


class UnreachableError(ApiError):
    """The intercom is not connected to the cloud; nothing was carried out."""

    message = "The cloud cannot reach the intercom"


class OutcomeUnknownError(BticinoError):
    """A command was sent, but no clear answer came; it may have been carried out."""

    message = "The command was sent, but its outcome is unknown"


class UnknownModeError(BticinoError):
    """A setting of the intercom has an unknown mode and was not changed."""

    message = "The setting has an unknown mode and was not changed"


class CallError(BticinoError):
    """A call could not be set up, or has ended."""

    message = "The call could not be set up"


class LineBusyError(CallError):
    """The intercom already has as many viewers as it allows."""

    message = "The intercom allows no more viewers"


class AnsweredElsewhereError(CallError):
    """The call was answered elsewhere: on a phone or at the indoor unit."""

    message = "The call was answered elsewhere"


class CallOverError(CallError):
    """The intercom ended the call, because of `code` or its own time limit."""

    message = "The intercom ended the call"

    def __init__(self, *, code: int | str | None = None) -> None:
        super().__init__()
        self.code = code

    def __str__(self) -> str:
        return self.message if self.code is None else f"{self.message} (code {self.code})"


class CallLimitError(CallOverError):
    """The call was ended here after the longest time that is allowed."""

    message = "The call has reached its time limit"


class OfferTooLargeError(BticinoError):
    """An offer that could make the intercom restart was not sent; `size` is in bytes."""

    message = "The browser's offer is too large for the intercom"

    def __init__(self, *, size: int | None = None) -> None:
        super().__init__()
        self.size = size

    def __str__(self) -> str:
        return self.message if self.size is None else f"{self.message} ({self.size} bytes)"


class PictureFault(StrEnum):
    """Why a picture could not be downloaded, which decides whether to retry."""

    NOT_READY = "not_ready"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    UNUSABLE = "unusable"


class PictureError(BticinoError):
    """A picture could not be downloaded; `reason` contains nothing of its link.

    `fault` is NOT_READY if the store may not have the picture yet, EXPIRED if the link has expired,
    UNREACHABLE if no answer came, else UNUSABLE.
    """

    message = "The picture could not be downloaded"

    def __init__(
        self, *, reason: str | None = None, fault: PictureFault = PictureFault.UNUSABLE
    ) -> None:
        super().__init__()
        self.reason = reason
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})" if self.reason else self.message


class AuthError(BticinoError):
    """No valid access token is available."""

    message = "Signing in to the cloud failed"


class InvalidCredentialsError(AuthError):
    """The cloud refused e-mail address and password, or the tokens and no password is kept.

    The user has to enter the password again.
    """

    message = "Invalid credentials: the cloud refused the password or the tokens"


class AuthConnectionError(AuthError, NoAnswerError):
    """The token endpoint could not be reached, or its answer could not be read."""

    message = "Request error: the cloud gave no readable answer to the sign-in"


class AuthApiError(AuthError, ApiError):
    """The token endpoint answered with an error that does not concern the credentials."""

    message = "The cloud refused to sign in"


class AuthRateLimitError(AuthApiError, RateLimitError):
    """Too many requests to the token endpoint."""

    message = "Too many sign-ins"


class AuthServerError(AuthApiError, ServerError):
    """The token endpoint has an outage or is under maintenance."""

    message = "The cloud's sign-in has an outage"


class AppClientRefusedError(AuthApiError):
    """The app's client id was refused; this software must be updated, no password helps."""

    message = "The cloud no longer accepts the app client that this software uses"
