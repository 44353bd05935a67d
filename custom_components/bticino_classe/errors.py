"""The client's errors in words that a person understands: translation keys and their values."""

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

_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "invalid_auth"),
    (AppClientRefusedError, "app_client_refused"),
    (RateLimitError, "too_many_requests"),
    (OutcomeUnknownError, "outcome_unknown"),
    (UnreachableError, "unreachable"),
    (CommandRefusedError, "command_refused"),
    (NotFoundError, "not_found"),
    (ForbiddenError, "forbidden"),
    (NoAnswerError, "cannot_connect"),
    (ServerError, "cannot_connect"),
)


def reason(error: BticinoError) -> str:
    """Return the translation key that tells a person what happened."""
    for kind, key in _REASONS:
        if isinstance(error, kind):
            return key
    return "unexpected_answer"
