"""Authorised requests: one at a time, judged by one table, repeated only after a refused token."""

from collections import Counter
from http import HTTPStatus
import time
from typing import TYPE_CHECKING, Any, Final

from .errors import (
    ApiError,
    BticinoError,
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
from .http import Answer, post
from .rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .auth import AuthHandler

# The vendor's numbers (protocol.md 3.3); they count more than the status they come with.
ERRORS_BY_CODE: Final[Mapping[int | str, type[ApiError]]] = {
    2: TokenRefusedError,
    3: TokenRefusedError,
    5: CommandRefusedError,
    6: UnreachableError,
    9: NotFoundError,
    11: RateLimitError,
    13: ForbiddenError,
    21: InvalidRequestError,
    26: RateLimitError,
    "too_many_connections": RateLimitError,
    "invalid_token": TokenRefusedError,
    "expired_token": TokenRefusedError,
}
ERRORS_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    HTTPStatus.OK: UnexpectedAnswerError,
    HTTPStatus.BAD_REQUEST: InvalidRequestError,
    HTTPStatus.UNAUTHORIZED: TokenRefusedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitError,
}


class Transport:
    """Sends requests with the account's token and turns refusals into errors."""

    def __init__(
        self,
        auth: AuthHandler,
        *,
        budget: RateLimiter | None = None,
        clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._auth = auth
        self._clock = clock or time.time
        self._monotonic = monotonic or time.monotonic
        self._ahead: float | None = None  # seconds that the cloud's time is ahead of `monotonic`
        self._budget = budget or RateLimiter()
        self.counters: Counter[str] = Counter()

    def cloud_time(self) -> float:
        """Return the cloud's time, as its answers tell it, in seconds since 1970.

        It goes on evenly when this machine's clock is set, as it is soon after the start of one
        that has no battery; until the cloud has told the time, that clock has to do.
        """
        return self._clock() if self._ahead is None else self._monotonic() + self._ahead

    async def request(
        self, url: str, payload: Mapping[str, Any], *, urgent: bool = False
    ) -> dict[str, Any]:
        """POST to the cloud and return the answer's object.

        Sent once; a second time only after a clean "token refused", with a new token. Raises
        ApiError, NoAnswerError or AuthError, and counts each kind.
        """
        try:
            return await self._request(url, payload, urgent=urgent)
        except BticinoError as err:
            self.counters[type(err).__name__] += 1
            if isinstance(err, RateLimitError) and err.status is not None:
                self._budget.note(err)
            raise

    async def _request(
        self, url: str, payload: Mapping[str, Any], *, urgent: bool
    ) -> dict[str, Any]:
        token, answer = await self._send(url, payload, urgent=urgent)
        if isinstance(error_of(answer), TokenRefusedError):
            self._auth.invalidate(token)
            _, answer = await self._send(url, payload, urgent=urgent)
        if (error := error_of(answer)) is not None:
            raise error
        return answer.body or {}

    async def _send(
        self, url: str, payload: Mapping[str, Any], *, urgent: bool
    ) -> tuple[str, Answer]:
        self._budget.admit(urgent=urgent)
        token = await self._auth.get_access_token()
        self.counters["requests"] += 1
        answer = await post(
            self._auth.session,
            url,
            timeout=self._auth.endpoints.timeout,
            bearer=token,
            payload=payload,
        )
        if answer.time is not None:
            self._ahead = answer.time - self._monotonic()
        return token, answer


def error_of(answer: Answer) -> ApiError | None:
    """Return the error that an answer means; None if it means success."""
    if answer.ok:
        return None
    kind = error_kind(answer.code) or ERRORS_BY_STATUS.get(answer.status)
    if kind is None:
        server = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = ServerError if server else UnexpectedAnswerError
    return kind(status=answer.status, code=answer.code, retry_after=answer.retry_after)


def error_kind(code: int | str | None) -> type[ApiError] | None:
    """Return the kind of error that one of the vendor's numbers or words means."""
    return None if code is None else ERRORS_BY_CODE.get(code)
