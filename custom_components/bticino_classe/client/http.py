"""One POST over the wire, and its answer as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import math
import time
from typing import Any, Final

import aiohttp
import orjson

from .const import USER_AGENT
from .errors import NoAnswerError

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
CONNECT_TIMEOUT: Final = 10.0  # seconds

# Words of the OAuth error vocabulary; any other text in an answer might repeat what we sent.
_ERROR_WORDS: Final = frozenset(
    {
        "access_denied",
        "expired_token",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_token",
        "server_error",
        "temporarily_unavailable",
        "too_many_connections",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)

# Nothing has left this machine yet when one of these is raised.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: `body` is None where it is no JSON object, `retry_after` in seconds.

    `time` is the cloud's clock, in seconds since 1970.
    """

    status: int
    body: dict[str, Any] | None = field(default=None, repr=False)
    retry_after: float | None = None
    time: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the status says success and the body can be read and holds no error."""
        return self.status == HTTPStatus.OK and self.body is not None and "error" not in self.body

    @property
    def code(self) -> int | str | None:
        """The error's number or known word."""
        return error_code(self.body or {})


def error_code(body: Mapping[str, Any]) -> int | str | None:
    """Return an error's number or known word; both shapes of `error` occur (protocol.md 3.1)."""
    error = body.get("error")
    if isinstance(error, Mapping):
        error = error.get("code")
    if isinstance(error, str):
        return error if error in _ERROR_WORDS else None
    return error if isinstance(error, int) and not isinstance(error, bool) else None


def is_reply(frame: Mapping[str, Any]) -> bool:
    """Whether a frame answers a subscription: pushes and acknowledgements name their type."""
    if "push_type" in frame or "type" in frame:
        return False
    return "status" in frame or "error" in frame


async def post(  # noqa: PLR0913 - one request has this many sides
    session: aiohttp.ClientSession,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109 - aiohttp's own time-out knows connecting from reading
    bearer: str | None = None,
    form: Mapping[str, str] | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Answer:
    """Send one request, once, and return what came back.

    Redirects are not followed: one would carry a password or a command to another place.
    Raises NoAnswerError outside of the `except`, so that it drags no request headers along.
    """
    sent: dict[str, Any] = {"data": form, "json": payload, "headers": _headers(bearer)}
    try:
        async with session.post(url, **request_options(timeout), **sent) as response:
            return await _answer(response)
    except _NOT_SENT as err:
        failure = NoAnswerError(sent=False, reason=type(err).__name__)
    except RuntimeError as err:  # mostly aiohttp's word for a closed session
        failure = NoAnswerError(sent=not session.closed, reason=type(err).__name__)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
        failure = NoAnswerError(sent=True, reason=type(err).__name__)
    raise failure


def request_options(timeout: float) -> dict[str, Any]:
    """Return how every request is made, with so many seconds for its answer."""
    return {
        # `connect` also bounds the look-up of the name; after `total` it would count as sent.
        "timeout": aiohttp.ClientTimeout(total=timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        "allow_redirects": False,
        # A session may be set to raise for a status, and what the answer says would be lost.
        "raise_for_status": False,
    }


def _headers(bearer: str | None) -> dict[str, str]:
    agent = {"User-Agent": USER_AGENT}
    return agent if bearer is None else {**agent, "Authorization": f"Bearer {bearer}"}


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    return Answer(
        status=response.status,
        body=_decode(await _read(response)),
        retry_after=parse_retry_after(response.headers.get("Retry-After")),
        time=_parse_date(response.headers.get("Date")),
    )


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header names, as number or as date; None if none."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _parse_date(value)
        seconds = math.nan if moment is None else moment - time.time()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _parse_date(value: str | None) -> float | None:
    """Return a header's date in seconds since 1970; one that names no zone is in UTC."""
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError, OverflowError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError
    return bytes(raw)


def _decode(raw: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None
