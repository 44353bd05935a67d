"""HTTP POST with the rules that hold for every request to the cloud."""

from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import math
import time
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from .const import USER_AGENT
from .error_codes import error_code
from .errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
CONNECT_TIMEOUT: Final = 10.0  # seconds

# When one of these is raised, nothing was sent.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `body` is None unless it is a JSON object.

    `retry_after` is in seconds, `time` (the `Date` header) in seconds since 1970.
    """

    status: int
    body: dict[str, Any] | None = field(default=None, repr=False)
    retry_after: float | None = None
    time: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is 200 and the body is a JSON object without an error."""
        return self.status == HTTPStatus.OK and self.body is not None and "error" not in self.body

    @property
    def code(self) -> int | str | None:
        """The error's number or OAuth error."""
        return error_code(self.body or {})


async def post(  # noqa: PLR0913 - a request has these parts
    session: aiohttp.ClientSession,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109 - aiohttp times connecting and reading separately
    bearer: str | None = None,
    form: Mapping[str, str] | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Answer:
    """Send a request once and return the answer; NoAnswerError if none came.

    Redirects are not followed, because they could send a password or a command to another host.
    The error is raised outside the `except`, so that its context holds no request headers.
    """
    sent: dict[str, Any] = {"data": form, "json": payload, "headers": _headers(bearer)}
    try:
        async with session.post(url, **request_options(timeout), **sent) as response:
            return await _answer(response)
    except _NOT_SENT as err:
        failure = NoAnswerError(sent=False, reason=type(err).__name__)
    except RuntimeError as err:  # aiohttp raises it for a closed session
        failure = NoAnswerError(sent=not session.closed, reason=type(err).__name__)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
        failure = NoAnswerError(sent=True, reason=type(err).__name__)
    raise failure


def request_options(timeout: float) -> dict[str, Any]:
    """Return the aiohttp options of every request; `timeout` is in seconds."""
    return {
        # `connect` includes DNS; a time-out of `total` would count the request as sent.
        "timeout": aiohttp.ClientTimeout(total=timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        "allow_redirects": False,
        # A session set to raise for a status would hide the error in the body.
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
    """Return the seconds of a Retry-After header, a number or a date; None if it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _parse_date(value)
        seconds = math.nan if moment is None else moment - time.time()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _parse_date(value: str | None) -> float | None:
    """Return a header's date in seconds since 1970; without a time zone it is in UTC."""
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
