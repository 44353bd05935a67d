"""Translation keys for the client's errors, and their translated texts."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import (
    async_get_cached_translations,
    async_get_translations,
)

from .client import (
    AnsweredElsewhereError,
    AppClientRefusedError,
    BticinoError,
    CallLimitError,
    CallOverError,
    CommandRefusedError,
    DeadlineExpiredError,
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

    from homeassistant.core import HomeAssistant

# A request that failed, for forms and for the entry's card; the first match counts.
_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "invalid_auth"),
    (AppClientRefusedError, "app_client_refused"),
    (RateLimitError, "too_many_requests"),
    (NoAnswerError, "cannot_connect"),
    (ServerError, "cannot_connect"),
    (ForbiddenError, "forbidden"),
    (NotFoundError, "not_found"),
)

# A command that failed; the first match counts.
_COMMAND_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "command_invalid_auth"),
    (AppClientRefusedError, "command_app_client_refused"),
    (RateLimitError, "command_too_many_requests"),
    (DeadlineExpiredError, "command_too_late"),
    (OutcomeUnknownError, "command_outcome_unknown"),
    (UnknownModeError, "command_unknown_mode"),
    (UnreachableError, "command_unreachable"),
    (CommandRefusedError, "command_refused"),
    (NotFoundError, "command_not_found"),
    (ForbiddenError, "command_forbidden"),
    (NoAnswerError, "command_not_sent"),
    (ServerError, "command_not_sent"),
)

# A live view that failed or ended; the first match counts.
_CALL_REASONS: Final[tuple[tuple[type[BticinoError], str], ...]] = (
    (InvalidCredentialsError, "invalid_auth"),
    (AppClientRefusedError, "app_client_refused"),
    (RateLimitError, "too_many_requests"),
    (UnreachableError, "call_unreachable"),
    (LineBusyError, "call_busy"),
    (AnsweredElsewhereError, "call_answered_elsewhere"),
    (CallLimitError, "call_limit"),
    (CallOverError, "call_over"),
    (OfferTooLargeError, "call_offer_too_large"),
    (NoAnswerError, "call_no_answer"),
    (ServerError, "cannot_connect"),
)


def reason(error: BticinoError) -> str:
    """Return the translation key for a failed request."""
    return next((key for kind, key in _REASONS if isinstance(error, kind)), "unexpected_answer")


def command_reason(error: BticinoError) -> str:
    """Return the translation key for a failed command."""
    if isinstance(error, RateLimitError) and error.retry_after:
        return "command_too_many_requests_wait"
    reasons = (key for kind, key in _COMMAND_REASONS if isinstance(error, kind))
    return next(reasons, "command_not_taken")


def call_reason(error: BticinoError) -> str:
    """Return the translation key for a live view that failed or ended."""
    if isinstance(error, NoAnswerError) and not error.sent:
        return "cannot_connect"
    return next((key for kind, key in _CALL_REASONS if isinstance(error, kind)), "call_failed")


def refused(key: str) -> ServiceValidationError:
    """Return the error for an action that is not possible at the moment."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key)


@contextmanager
def call_errors() -> Iterator[None]:
    """Translate the client's errors of an action on a call."""
    try:
        yield
    except BticinoError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key=call_reason(err)
        ) from err


async def async_load_error_translations(hass: HomeAssistant) -> None:
    """Load the texts that `translated_error` returns."""
    await async_get_translations(hass, hass.config.language, "exceptions", {DOMAIN})


@callback
def translated_error(hass: HomeAssistant, key: str) -> str:
    """Return an error's text in the configured language, where only a text can be shown."""
    texts = async_get_cached_translations(hass, hass.config.language, "exceptions", DOMAIN)
    return texts.get(f"component.{DOMAIN}.exceptions.{key}.message", key)
