"""What the cloud's error numbers, OAuth errors and HTTP statuses mean (protocol.md 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from .errors import (
    ApiError,
    AppClientRefusedError,
    CommandRefusedError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    ServerError,
    TokenRefusedError,
    UnexpectedAnswerError,
    UnreachableError,
)

INVALID_GRANT: Final = "invalid_grant"
USAGE_LIMIT: Final = 26  # also in `errors[]` of a successful answer
MAX_CODE: Final = 99_999


class Pause(Enum):
    """How long to pause after an error that names no time of its own."""

    SHORT = "short"
    UNTIL_NEXT_HOUR = "until next hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMeaning:
    """What a code or status means; without `error`, only the HTTP status says what went wrong.

    `refuses_token`: the access token is not valid. `is_overload`: the cloud has too much to do.
    """

    error: type[ApiError] | None = None
    refuses_token: bool = False
    is_overload: bool = False
    pause: Pause | None = None


_TOKEN: Final = CodeMeaning(error=TokenRefusedError, refuses_token=True)
_BUSY: Final = CodeMeaning(error=RateLimitError, is_overload=True, pause=Pause.SHORT)
_CLIENT: Final = CodeMeaning(error=AppClientRefusedError)

# `error.code`, or the text that stands in `error`. It takes precedence over the HTTP status.
API_CODES: Final[Mapping[int | str, CodeMeaning]] = {
    2: _TOKEN,
    3: _TOKEN,
    5: CodeMeaning(error=CommandRefusedError),
    6: CodeMeaning(error=UnreachableError),
    9: CodeMeaning(error=NotFoundError),
    11: _BUSY,
    13: CodeMeaning(error=ForbiddenError),
    21: CodeMeaning(error=InvalidRequestError),
    USAGE_LIMIT: CodeMeaning(error=RateLimitError, is_overload=True, pause=Pause.UNTIL_NEXT_HOUR),
    "too_many_connections": _BUSY,
    "expired_token": _TOKEN,
    "invalid_token": _TOKEN,
    "invalid_client": _CLIENT,
    "unauthorized_client": _CLIENT,
    "server_error": CodeMeaning(error=ServerError),
    "temporarily_unavailable": CodeMeaning(error=ServerError),
    # The request decides what these mean.
    INVALID_GRANT: CodeMeaning(),
    "access_denied": CodeMeaning(),
    "invalid_request": CodeMeaning(),
    "invalid_scope": CodeMeaning(),
    "unsupported_grant_type": CodeMeaning(),
}

STATUSES: Final[Mapping[int, CodeMeaning]] = {
    HTTPStatus.OK: CodeMeaning(error=UnexpectedAnswerError),
    HTTPStatus.BAD_REQUEST: CodeMeaning(error=InvalidRequestError),
    HTTPStatus.UNAUTHORIZED: _TOKEN,
    # A socket that sends this number as an error's code refuses the token.
    HTTPStatus.FORBIDDEN: CodeMeaning(error=ForbiddenError, refuses_token=True),
    HTTPStatus.NOT_FOUND: CodeMeaning(error=NotFoundError),
    HTTPStatus.TOO_MANY_REQUESTS: _BUSY,
    HTTPStatus.SERVICE_UNAVAILABLE: CodeMeaning(error=ServerError, is_overload=True),
}

# With these, the vendor's API names a code. Without one, they come from a proxy in front of it.
_VERDICTS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)

# Numbers in `errors[]` of a successful answer are about single modules and mean other things.
# 5: the module refuses. 6: it cannot be reached. 9: it did not take the command. Every other number
# is a refusal too.
MODULE_CODES: Final[Mapping[int, type[ApiError]]] = {
    5: CommandRefusedError,
    6: UnreachableError,
    9: CommandRefusedError,
}

# Numbers of the signaling socket alone; its others are those of the API (protocol.md 3.8).
RTC_MAX_PEERS: Final = 1
RTC_UNREACHABLE: Final = 41

_UNKNOWN: Final = CodeMeaning()


def has_error(body: Mapping[str, Any]) -> bool:
    """Return whether an answer or a frame reports an error; an empty one is none."""
    return bool(body.get("error"))


def error_code(body: Mapping[str, Any]) -> int | str | None:
    """Return an error's number or OAuth error; both shapes of `error` occur (protocol.md 3.1).

    Texts that are not in the table are ignored: they could repeat what was sent.
    """
    error = body.get("error")
    if isinstance(error, Mapping):
        error = error.get("code")
    if isinstance(error, str):
        return error if error in API_CODES else None
    return error_number(error)


def error_number(value: object) -> int | None:
    """Return the value if it is the number of an error, which messages and logs contain."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= MAX_CODE else None


def meaning_of(code: int | str | None) -> CodeMeaning:
    """Return what a code means, or a status in its place, as sockets send it."""
    if code is None:
        return _UNKNOWN
    status = STATUSES.get(code) if isinstance(code, int) else None
    return API_CODES.get(code) or status or _UNKNOWN


def error_class(status: int, code: int | str | None) -> type[ApiError]:
    """Return the error of an answer that is not a success."""
    if (error := code_error(code)) is not None:
        return error
    return ServerError if code is None and status in _VERDICTS else status_error(status)


def status_error(status: int) -> type[ApiError]:
    """Return the error of a status whose answer names a code, but one without a meaning here."""
    if status in STATUSES:
        return STATUSES[status].error or UnexpectedAnswerError
    is_outage = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return ServerError if is_outage else UnexpectedAnswerError


def code_error(code: int | str | None) -> type[ApiError] | None:
    """Return the error of a code; None if it has none of its own."""
    return None if code is None else API_CODES.get(code, _UNKNOWN).error


def module_error(code: int | None) -> type[ApiError]:
    """Return the error of an entry in `errors[]` of a successful answer."""
    return CommandRefusedError if code is None else MODULE_CODES.get(code, CommandRefusedError)
