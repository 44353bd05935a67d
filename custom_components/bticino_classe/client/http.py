"""HTTP POST with the rules that hold for every request to the cloud."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookies import SimpleCookie
import math
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Final, override
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import hdrs
import orjson

from .const import HTTP_CLIENT, USER_AGENT
from .error_codes import error_code, has_error
from .errors import DeadlineExpiredError, NoAnswerError
from .rate_limiter import limited_pause
from .traffic import API, TrafficKind, TrafficTap

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Mapping

    from aiohttp.abc import AbstractStreamWriter

    from .deadline import Deadline

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
CONNECT_TIMEOUT: Final = 10.0  # seconds
_REDIRECTS: Final = range(300, 400)
_NO_TAP: Final = TrafficTap()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `body` is None unless it is a JSON object, `size` is in bytes.

    `retry_after` is in seconds, `time` (the `Date` header) in seconds since 1970.
    """

    status: int
    body: dict[str, Any] | None = field(default=None, repr=False)
    size: int = 0
    retry_after: float | None = None
    time: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is 200 and the body is a JSON object without an error."""
        return self.status == HTTPStatus.OK and self.body is not None and not has_error(self.body)

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
    deadline: Deadline | None = None,
    tap: TrafficTap = _NO_TAP,
) -> Answer:
    """Send a request once and return the answer; NoAnswerError if none came.

    Nothing is sent after `deadline`, and no answer is awaited.
    Redirects are not followed, because they could send a password or a command to another host.
    The error is raised outside the `except`, so that its context holds no request headers.
    """
    body = _Body(form, payload, deadline)
    options = {"headers": _headers(bearer), **request_options(timeout)}
    number = tap.note_request(urlsplit(url).path, form or payload, body.size or 0)
    try:
        async with asyncio.timeout_at(deadline.at if deadline else None):
            return _note_answer(tap, number, await _exchange(session, url, body, options))
    # RuntimeError: the session is closed.
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as err:
        failure = _failure(body, type(err).__name__)
    tap.note(API, TrafficKind.FAILURE, request=number, text=type(failure).__name__)
    raise failure


async def _exchange(
    session: aiohttp.ClientSession, url: str, body: _Body, options: Mapping[str, Any]
) -> Answer:
    """Send a request and return its answer; without one, its connection is reset.

    Closed normally, the system would go on sending: the cloud could open a door minutes later.
    """
    try:
        async with session.post(url, data=body, **options) as response:
            answer = await _answer(response)
            body.release_connection()
            return answer
    finally:
        body.abort_connection()


def _failure(body: _Body, reason: str) -> NoAnswerError:
    if body.is_expired and not body.is_sent:
        return DeadlineExpiredError()
    return NoAnswerError(sent=body.is_sent, reason=reason)


def _note_answer(tap: TrafficTap, number: int, answer: Answer) -> Answer:
    tap.note(
        API,
        TrafficKind.ANSWER,
        request=number,
        status=answer.status,
        body=answer.body,
        size=answer.size,
    )
    return answer


async def connect_websocket(
    session: aiohttp.ClientSession,
    url: str,
    *,
    heartbeat: float | None = None,
    max_msg_size: int = 0,
    close_timeout: float | None = None,
) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket over the session's connector, without its cookies; times are in seconds.

    Redirects raise WSServerHandshakeError: they could send a token to another host. aiohttp has no
    option that disables them for a handshake.
    """
    async with aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=session.trust_env,
        middlewares=(_refuse_redirects,),
    ) as handshake:
        return await handshake.ws_connect(
            url,
            headers={"User-Agent": HTTP_CLIENT},
            heartbeat=heartbeat,
            max_msg_size=max_msg_size,
            timeout=aiohttp.ClientWSTimeout(ws_close=close_timeout),
        )


class _Body(aiohttp.BytesPayload):
    """A request's body; it knows whether it was sent, and is not sent after its deadline.

    aiohttp sends the headers with it or before it; without its body a request is not executed.
    """

    def __init__(
        self,
        form: Mapping[str, str] | None,
        payload: Mapping[str, Any] | None,
        deadline: Deadline | None,
    ) -> None:
        if form is not None:
            raw, kind = urlencode(form).encode(), "application/x-www-form-urlencoded"
        else:
            raw, kind = orjson.dumps(payload), "application/json"
        super().__init__(raw, content_type=kind)
        self._deadline = deadline
        self._transport: asyncio.WriteTransport | None = None
        self._socket: TransportSocket | None = None
        self.is_sent = False

    @property
    def is_expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and self._deadline.is_expired

    @override
    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        if self.is_expired:
            raise TimeoutError
        self.is_sent = True
        if self._deadline is not None:
            self._deadline.is_sent = True
        self._transport = getattr(writer, "transport", None)  # not in aiohttp's abstract class
        if self._transport is not None and not self._transport.is_closing():
            # Not later: a TLS transport that is closed cannot be asked for it.
            self._socket = self._transport.get_extra_info("socket")
        self._set_reset_on_close(True)
        await super().write_with_length(writer, content_length)

    def release_connection(self) -> None:
        """Leave the connection to the session: the request was answered."""
        self._set_reset_on_close(False)
        self._transport = self._socket = None

    def abort_connection(self) -> None:
        """Reset the connection unless it was released."""
        if self._transport is not None:
            self._transport.abort()

    def _set_reset_on_close(self, on: bool) -> None:
        """Let closing the socket discard what the cloud has not confirmed."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0)
                )


def request_options(timeout: float) -> dict[str, Any]:
    """Return the aiohttp options of every request; `timeout` is in seconds."""
    return {
        # `connect` includes DNS; a time-out of `total` would count the request as sent.
        "timeout": aiohttp.ClientTimeout(total=timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        "allow_redirects": False,
        "middlewares": (_without_cookies,),
        # A session set to raise for a status would hide the error in the body.
        "raise_for_status": False,
    }


async def _without_cookies(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send none of the session's cookies, and store none of the answer's.

    The session is shared: they could be another account's, or another integration's.
    """
    request.headers.popall(hdrs.COOKIE, None)
    response = await handler(request)
    response.cookies = SimpleCookie()
    return response


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status in _REDIRECTS:
        response.close()
        raise aiohttp.WSServerHandshakeError(
            response.request_info,
            response.history,
            status=response.status,
            headers=response.headers,
        )
    return response


def _headers(bearer: str | None) -> dict[str, str]:
    agent = {"User-Agent": USER_AGENT}
    return agent if bearer is None else {**agent, "Authorization": f"Bearer {bearer}"}


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    raw = await _read(response)
    return Answer(
        status=response.status,
        body=_decode(raw),
        size=len(raw),
        retry_after=retry_after_of(response.headers),
        time=_parse_date(response.headers.get("Date")),
    )


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait, by the clock that set its dates."""
    return parse_retry_after(headers.get("Retry-After"), _parse_date(headers.get("Date")))


def parse_retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None if it is neither.

    At most LONGEST_PAUSE. A date is measured against `now`, else against this machine's time.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _parse_date(value)
        seconds = math.nan if moment is None else moment - (time.time() if now is None else now)
    return limited_pause(max(0.0, seconds)) if math.isfinite(seconds) else None


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
