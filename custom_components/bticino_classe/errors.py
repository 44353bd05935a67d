"""The client's errors in words that a person understands: translation keys."""

from typing import Final

from .client import (
    AppClientRefusedError,
    BticinoError,
    CommandRefusedError,
    ForbiddenError,
    InvalidCredentialsError,
    NoAnswerError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    UnreachableError,
)

# Why the cloud could not be asked, for forms and for the entry's card; the first that fits.
_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "invalid_auth"),
    (AppClientRefusedError, "app_client_refused"),
    (RateLimitError, "too_many_requests"),
    (NoAnswerError, "cannot_connect"),
    (ServerError, "cannot_connect"),
    (ForbiddenError, "forbidden"),
    (NotFoundError, "not_found"),
)

# What became of a command, for the person who gave it; the first that fits.
_COMMAND_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "command_invalid_auth"),
    (AppClientRefusedError, "command_app_client_refused"),
    (RateLimitError, "command_too_many_requests"),
    (OutcomeUnknownError, "command_outcome_unknown"),
    (UnreachableError, "command_unreachable"),
    (CommandRefusedError, "command_refused"),
    (NotFoundError, "command_not_found"),
    (ForbiddenError, "command_forbidden"),
    (NoAnswerError, "command_not_sent"),
    (ServerError, "command_not_sent"),
)


def reason(error: BticinoError) -> str:
    """Return the translation key that says why the cloud could not be asked."""
    return next((key for kind, key in _REASONS if isinstance(error, kind)), "unexpected_answer")


def command_reason(error: BticinoError) -> str:
    """Return the translation key that says what became of a command."""
    if isinstance(error, RateLimitError) and error.retry_after:
        return "command_too_many_requests_wait"
    reasons = (key for kind, key in _COMMAND_REASONS if isinstance(error, kind))
    return next(reasons, "command_not_taken")
