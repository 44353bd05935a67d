"""Authenticated requests to the cloud's API."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from .clock import CloudClock
from .decode import command_errors
from .error_codes import USAGE_LIMIT, error_class
from .errors import (
    ApiError,
    BticinoError,
    DeadlineExpiredError,
    RateLimitError,
    ServerError,
    TokenRefusedError,
    UnexpectedAnswerError,
)
from .http import Answer, post
from .values import as_int, as_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .auth import AuthHandler
    from .deadline import Deadline


# With these errors, an answer does not show that the cloud accepts the account's requests.
_UNDECIDED: Final = (RateLimitError, ServerError, TokenRefusedError, UnexpectedAnswerError)


class Transport:
    """Sends requests with the account's token and raises what the cloud refuses."""

    def __init__(self, auth: AuthHandler, *, clock: CloudClock | None = None) -> None:
        self._auth = auth
        self.clock = clock or CloudClock()
        self.counters: Counter[str] = Counter()

    async def request(
        self,
        url: str,
        payload: Mapping[str, Any],
        *,
        urgent: bool = False,
        deadline: Deadline | None = None,
    ) -> dict[str, Any]:
        """POST to the cloud and return the answer's JSON object.

        The request is sent once, and a second time only if the cloud refused the token; never
        after `deadline`. Raises ApiError, NoAnswerError or AuthError,
        and counts them by class.
        """
        try:
            return await self._request(url, payload, urgent=urgent, deadline=deadline)
        except BticinoError as err:
            self.counters[type(err).__name__] += 1
            raise

    async def _request(
        self, url: str, payload: Mapping[str, Any], *, urgent: bool, deadline: Deadline | None
    ) -> dict[str, Any]:
        refused = self._auth.limiter.refused_tokens.pause
        if refused.left and not urgent:
            raise TokenRefusedError(retry_after=refused.left)
        token, answer = await self._send(url, payload, urgent=urgent, deadline=deadline)
        if self._is_refused(token, answer):
            if deadline is not None:
                deadline.is_sent = False  # it was not carried out
            if not refused.left:
                token, answer = await self._send(url, payload, urgent=urgent, deadline=deadline)
                self._is_refused(token, answer)
        if (error := error_of(answer)) is not None:
            raise error
        return answer.body or {}

    async def _send(
        self, url: str, payload: Mapping[str, Any], *, urgent: bool, deadline: Deadline | None
    ) -> tuple[str, Answer]:
        self._auth.limiter.admit(urgent=urgent)
        token = await self._token(deadline)
        self.counters["requests"] += 1
        answer = await post(
            self._auth.session,
            url,
            timeout=self._auth.endpoints.timeout,
            bearer=token,
            payload=payload,
            deadline=deadline,
            tap=self._auth.tap,
        )
        self.clock.set_from_answer(answer.time)
        self._note_pause(answer)
        return token, answer

    def _is_refused(self, token: str, answer: Answer) -> bool:
        """Return whether the cloud refused the token, and note that it did or did not."""
        refused = self._auth.limiter.refused_tokens
        error = error_of(answer)
        if isinstance(error, TokenRefusedError):
            refused.add(token)
            self._auth.invalidate(token)
            return True
        if not isinstance(error, RateLimitError | ServerError | UnexpectedAnswerError):
            refused.reset()
        return False

    def _note_pause(self, answer: Answer) -> None:
        """Record the pause that an answer asks for, also inside a success, or that it asks none."""
        error = error_of(answer) or _usage_limit(answer)
        if error is not None:
            self._auth.limiter.note(error)
        if not isinstance(error, _UNDECIDED):
            self._auth.limiter.note_accepted()

    async def _token(self, deadline: Deadline | None) -> str:
        try:
            async with asyncio.timeout_at(deadline.at if deadline else None):
                return await self._auth.get_access_token()
        except TimeoutError:
            failure = DeadlineExpiredError()
        raise failure


def _usage_limit(answer: Answer) -> ApiError | None:
    """Return the error if the usage limit is among the errors of a successful answer."""
    errors = command_errors(answer.body or {})
    codes = {as_int(as_mapping(each).get("code")) for each in errors}
    if USAGE_LIMIT not in codes:
        return None
    retry_after = answer.retry_after
    return RateLimitError(status=answer.status, code=USAGE_LIMIT, retry_after=retry_after)


def error_of(answer: Answer) -> ApiError | None:
    """Return the error of an answer; None if it is a success."""
    if answer.ok:
        return None
    kind = error_class(answer.status, answer.code)
    return kind(status=answer.status, code=answer.code, retry_after=answer.retry_after)
