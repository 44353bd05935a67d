"""What can go wrong between us and the cloud.

Every error has a fixed English text and data fields. None carries an answer's body, a password or
a token, so each may be logged, shown and posted as it is.
"""

from enum import StrEnum
from typing import ClassVar


class BticinoError(Exception):
    """Root of everything that the client raises."""

    text: ClassVar[str] = "The client of the cloud failed"

    def __init__(self) -> None:
        super().__init__(self.text)


class NoAnswerError(BticinoError):
    """No readable answer came; unless `sent`, the cloud has certainly not seen the request."""

    text = "The cloud gave no readable answer"

    def __init__(self, *, sent: bool = False, reason: str | None = None) -> None:
        super().__init__()
        self.sent = sent
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.text} ({self.reason})" if self.reason else self.text


class ApiError(BticinoError):
    """The cloud answered, and said no.

    `status` is the HTTP status (None: our own budget refused before asking), `code` the vendor's
    number or OAuth word, `retry_after` the pause it wants, in seconds.
    """

    text = "The cloud refused the request"

    def __init__(
        self,
        *,
        status: int | None = None,
        code: int | str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__()
        self.status = status
        self.code = code
        self.retry_after = retry_after

    def __str__(self) -> str:
        details = {"status": self.status, "code": self.code, "retry after": self.retry_after}
        known = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
        return f"{self.text} ({known})" if known else self.text


class TokenRefusedError(ApiError):
    """The access token was refused, and a new one as well."""

    text = "The cloud refused the access token"


class ForbiddenError(ApiError):
    """The account may not do this; a new sign-in would not help."""

    text = "The cloud does not allow this to the account"


class NotFoundError(ApiError):
    """The home or module is not known to the cloud (any more)."""

    text = "The cloud does not know this home or module"


class InvalidRequestError(ApiError):
    """The cloud did not understand the request."""

    text = "The cloud did not understand the request"


class RateLimitError(ApiError):
    """Too many requests, by the cloud's count or by our own that stands before it."""

    text = "Too many requests"


class ServerError(ApiError):
    """The cloud has an outage or is under maintenance."""

    text = "The cloud is out of order"


class UnexpectedAnswerError(ApiError):
    """An answer came that makes no sense."""

    text = "The cloud gave an answer that makes no sense"


class CommandRefusedError(ApiError):
    """The cloud took the command, the module did not."""

    text = "The module refused the command"


class UnreachableError(ApiError):
    """The intercom is not connected to the cloud; nothing was carried out."""

    text = "The intercom cannot be reached by the cloud"


class OutcomeUnknownError(BticinoError):
    """A command was sent and no clear answer came: it may or may not have been carried out."""

    text = "The command was sent, its outcome is unknown"


class UnknownModeError(BticinoError):
    """A setting of the intercom is in a mode that is not known here; it was left as it is."""

    text = "The setting is in a mode that is not known here and was left as it is"


class CallError(BticinoError):
    """A call could not be set up, or goes on no longer."""

    text = "The call could not be set up"


class LineBusyError(CallError):
    """The intercom serves as many viewers as it can."""

    text = "The intercom takes no more viewers"


class AnsweredElsewhereError(CallError):
    """Somebody else has answered: a phone, the indoor unit."""

    text = "Somebody else has answered the call"


class CallOverError(CallError):
    """The intercom has ended the call, by its own limit or because of `code`."""

    text = "The intercom has ended the call"

    def __init__(self, *, code: int | str | None = None) -> None:
        super().__init__()
        self.code = code

    def __str__(self) -> str:
        return self.text if self.code is None else f"{self.text} (code {self.code})"


class OfferTooLargeError(BticinoError):
    """An offer that the intercom would not survive was not sent; `size` is in bytes."""

    text = "The browser's offer is too large for the intercom"

    def __init__(self, *, size: int | None = None) -> None:
        super().__init__()
        self.size = size

    def __str__(self) -> str:
        return self.text if self.size is None else f"{self.text} ({self.size} bytes)"


class PictureFault(StrEnum):
    """What is wrong with a picture, and so what may help: waiting, a new link, time, nothing."""

    EARLY = "early"
    DEAD = "dead"
    UNREACHED = "unreached"
    UNFIT = "unfit"


class PictureError(BticinoError):
    """A picture could not be had, for a `reason` that says nothing of its link.

    `fault` is EARLY where the store may only not have it yet (clouds write pictures late), DEAD
    where the link does not count any more, UNREACHED where no answer came, else UNFIT.
    """

    text = "The picture could not be had"

    def __init__(
        self, *, reason: str | None = None, fault: PictureFault = PictureFault.UNFIT
    ) -> None:
        super().__init__()
        self.reason = reason
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.text} ({self.reason})" if self.reason else self.text


class AuthError(BticinoError):
    """No valid access token can be had."""

    text = "Signing in to the cloud failed"


class InvalidCredentialsError(AuthError):
    """The cloud refused e-mail and password: only a person can help."""

    text = "The cloud refused the e-mail address or the password"


class AuthConnectionError(AuthError, NoAnswerError):
    """The cloud could not be asked for a token, or its answer could not be read."""

    text = "Signing in got no readable answer from the cloud"


class AuthApiError(AuthError, ApiError):
    """The token endpoint answered with an error that says nothing about the credentials."""

    text = "The cloud refused to sign in"


class AuthRateLimitError(AuthApiError, RateLimitError):
    """The token endpoint takes no more requests for now."""

    text = "The cloud takes no more sign-ins for now"


class AuthServerError(AuthApiError, ServerError):
    """The token endpoint has an outage or is under maintenance."""

    text = "The cloud's sign-in is out of order"


class AppClientRefusedError(AuthApiError):
    """The app's client id was refused: no password helps, this software must be updated."""

    text = "The cloud no longer accepts the app client that this software uses"
