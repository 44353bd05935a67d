"""The tables of error codes."""

from typing import TYPE_CHECKING

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client import (
    ApiError,
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
from custom_components.bticino_classe.client.error_codes import (
    API_CODES,
    STATUSES,
    Pause,
    code_error,
    error_class,
    error_code,
    meaning_of,
    module_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CODES = st.none() | st.integers() | st.sampled_from([*API_CODES, *STATUSES]) | st.text(max_size=4)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (2, TokenRefusedError),
        (3, TokenRefusedError),
        (5, CommandRefusedError),
        (6, UnreachableError),
        (9, NotFoundError),
        (11, RateLimitError),
        (13, ForbiddenError),
        (21, InvalidRequestError),
        (26, RateLimitError),
        ("too_many_connections", RateLimitError),
        ("expired_token", TokenRefusedError),
        ("temporarily_unavailable", ServerError),
        ("invalid_grant", None),
        (777, None),
        (None, None),
    ],
)
def test_code_takes_precedence_over_the_status(
    code: int | str | None, expected: type[ApiError] | None
) -> None:
    """Without an error of its own, the status decides."""
    assert code_error(code) is expected
    assert error_class(404, code) is (expected or (ServerError if code is None else NotFoundError))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, UnexpectedAnswerError),
        (302, UnexpectedAnswerError),
        (400, ServerError),
        (401, TokenRefusedError),
        (403, ServerError),
        (404, ServerError),
        (418, UnexpectedAnswerError),
        (429, RateLimitError),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
def test_error_of_a_status(status: int, expected: type[ApiError]) -> None:
    """Statuses above 499 are outages, and so are the API's refusals without its code."""
    assert error_class(status, None) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, InvalidRequestError), (403, ForbiddenError), (404, NotFoundError), (502, ServerError)],
)
def test_status_with_a_code_that_is_not_known(status: int, expected: type[ApiError]) -> None:
    """It comes from the API, so the status is its verdict."""
    assert error_class(status, 777) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (5, CommandRefusedError),
        (6, UnreachableError),
        (9, CommandRefusedError),
        (2, CommandRefusedError),
        (26, CommandRefusedError),
        (777, CommandRefusedError),
        (None, CommandRefusedError),
    ],
)
def test_codes_of_modules_mean_other_things(code: int | None, expected: type[ApiError]) -> None:
    """In a successful answer, 9 means that the module did not take the command."""
    assert module_error(code) is expected


def test_codes_that_refuse_the_token() -> None:
    """Sockets use the statuses 401 and 403 as codes."""
    refusing = {code for code in (*API_CODES, *STATUSES) if meaning_of(code).refuses_token}
    assert refusing == {2, 3, "expired_token", "invalid_token", 401, 403}


def test_codes_of_an_overload_and_their_pauses() -> None:
    """Only the usage limit lasts until the next hour."""
    codes = {code: meaning_of(code) for code in (*API_CODES, *STATUSES)}
    overloads = {code for code, meaning in codes.items() if meaning.is_overload}
    assert overloads == {11, 26, "too_many_connections", 429, 503}
    pauses = {code: meaning.pause for code, meaning in codes.items() if meaning.pause}
    short = dict.fromkeys((11, "too_many_connections", 429), Pause.SHORT)
    assert pauses == {**short, 26: Pause.UNTIL_NEXT_HOUR}


@given(st.integers(100, 599), CODES)
def test_every_answer_has_an_error(status: int, code: int | str | None) -> None:
    """Unknown codes and statuses never fail."""
    assert issubclass(error_class(status, code), ApiError)
    assert meaning_of(code) is not None


@given(st.text())
def test_unknown_texts_are_no_codes(text: str) -> None:
    """They could repeat what was sent."""
    assert error_code({"error": text}) == (text if text in API_CODES else None)


@pytest.mark.parametrize(
    "number", [10**300, -(10**300), 10**4000, 1e300, -1e300, float("inf"), float("nan"), 100_000]
)
@pytest.mark.parametrize("shape", [lambda code: code, lambda code: {"code": code}])
def test_numbers_that_are_no_codes(shape: Callable[[float], object], number: float) -> None:
    """No message or log line contains hundreds of digits."""
    assert error_code({"error": shape(number)}) is None


@pytest.mark.parametrize(("number", "code"), [(0, 0), (-1, -1), (99_999, 99_999)])
def test_numbers_that_are_codes(number: float, code: int) -> None:
    """Whether the table has them or not."""
    assert error_code({"error": {"code": number}}) == code
