"""The client's errors in words that a person understands: translation keys."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .client import (
    AnsweredElsewhereError,
    AppClientRefusedError,
    BticinoError,
    CallOverError,
    CommandRefusedError,
    ForbiddenError,
    InvalidCredentialsError,
    LineBusyError,
    NoAnswerError,
    NotFoundError,
    OfferTooLargeError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    UnknownModeError,
    UnreachableError,
)
from .const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    (UnknownModeError, "command_unknown_mode"),
    (UnreachableError, "command_unreachable"),
    (CommandRefusedError, "command_refused"),
    (NotFoundError, "command_not_found"),
    (ForbiddenError, "command_forbidden"),
    (NoAnswerError, "command_not_sent"),
    (ServerError, "command_not_sent"),
)


# Why there is no picture (any more), for the viewer; the first that fits.
_CALL_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "invalid_auth"),
    (AppClientRefusedError, "app_client_refused"),
    (RateLimitError, "too_many_requests"),
    (UnreachableError, "call_unreachable"),
    (LineBusyError, "call_busy"),
    (AnsweredElsewhereError, "call_answered_elsewhere"),
    (CallOverError, "call_over"),
    (OfferTooLargeError, "call_offer_too_large"),
    (NoAnswerError, "call_no_answer"),
    (ServerError, "cannot_connect"),
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


def call_reason(error: BticinoError) -> str:
    """Return the translation key that says why a call did not come about, or is over."""
    if isinstance(error, NoAnswerError) and not error.sent:
        return "cannot_connect"
    return next((key for kind, key in _CALL_REASONS if isinstance(error, kind)), "call_failed")


def refused(key: str) -> ServiceValidationError:
    """Return the error for an action that makes no sense at the moment."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key)


@contextmanager
def call_errors() -> Iterator[None]:
    """Tell the person who acts why a call did not do as told."""
    try:
        yield
    except BticinoError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key=call_reason(err)
        ) from err
