"""Token requests on the wire: what is sent, and how answers are read."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
import time
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
import pytest

from custom_components.bticino_classe.client import error_codes, http
from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.const import USER_AGENT
from custom_components.bticino_classe.client.errors import (
    AuthApiError,
    AuthConnectionError,
    AuthError,
    NoAnswerError,
)
from tests.conftest import HANG_TIMEOUT
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

USES = ("get_access_token", "authenticate")


@pytest.fixture
async def session(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:  # noqa: ARG001 - opens sockets
    """A session that was passed to the handler."""
    async with aiohttp.ClientSession() as shared:
        yield shared


@pytest.fixture
def auth(session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints) -> AuthHandler:
    """A handler with an expired access token."""
    auth = AuthHandler(simulator.email, simulator.password, session=session, endpoints=endpoints)
    auth.set_tokens("old", "older")
    return auth


async def failure_of(auth: AuthHandler, use: str) -> AuthError:
    """Return the error of a call."""
    with pytest.raises(AuthError) as caught:
        await getattr(auth, use)()
    return caught.value


@asynccontextmanager
async def server(handler: Any) -> AsyncIterator[str]:
    """Run a server that answers every request this way; yields its address."""
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize("use", USES)
async def test_passed_session_that_was_closed(
    auth: AuthHandler, simulator: Simulator, use: str
) -> None:
    """It is an error, and no other session is created."""
    given = auth._session
    assert given is not None
    await given.close()
    error = await failure_of(auth, use)
    assert isinstance(error, AuthConnectionError)
    assert (error.sent, str(error).endswith("(session closed)")) == (False, True)
    assert auth._session is given
    assert len(simulator.journal) == 0


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://", "nowhere"])
async def test_cloud_that_cannot_be_reached(auth: AuthHandler, use: str, address: str) -> None:
    """The error says that nothing was sent."""
    auth.endpoints = replace(auth.endpoints, api=address)
    error = await failure_of(auth, use)
    assert isinstance(error, AuthConnectionError)
    assert not error.sent


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    auth: AuthHandler, simulator: Simulator, use: str, status: int
) -> None:
    """The password is not sent to another host, and no sign-in follows."""
    requests: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        requests.append(request.path)
        return web.Response(status=status, headers={"Location": f"{simulator.url}{TOKEN}"})

    async with server(elsewhere) as address:
        auth.endpoints = replace(auth.endpoints, api=address)
        error = await failure_of(auth, use)
    assert isinstance(error, AuthApiError)
    assert (error.status, error.code) == (status, None)
    assert requests == [TOKEN]
    assert len(simulator.journal) == 0


async def test_request_with_a_bearer(session: aiohttp.ClientSession) -> None:
    """Header, body and user agent arrive; the answer has the time of its Date header."""
    seen: list[tuple[str, str, object]] = []

    async def echo(request: web.Request) -> web.Response:
        headers = request.headers
        seen.append((headers["Authorization"], headers["User-Agent"], await request.json()))
        return web.json_response({"a": 1}, headers={"Retry-After": "3"})

    async with server(echo) as address:
        answer = await http.post(
            session, address, timeout=HANG_TIMEOUT, bearer="t", payload={"b": 2}
        )
    assert seen == [("Bearer t", USER_AGENT, {"b": 2})]
    assert (answer.status, answer.body, answer.retry_after) == (200, {"a": 1}, 3.0)
    assert answer.time == pytest.approx(time.time(), abs=HANG_TIMEOUT)
    assert answer.ok


@pytest.mark.parametrize("use", USES)
async def test_token_request_has_no_bearer(auth: AuthHandler, use: str) -> None:
    """Its body is a form."""
    seen: list[tuple[bool, str]] = []

    async def look(request: web.Request) -> web.Response:
        seen.append(("Authorization" in request.headers, request.content_type))
        return web.json_response({"access_token": "a", "refresh_token": "b"})

    async with server(look) as address:
        auth.endpoints = replace(auth.endpoints, api=address)
        await getattr(auth, use)()
    assert seen == [(False, "application/x-www-form-urlencoded")]


async def test_closed_session_sends_nothing(
    session: aiohttp.ClientSession, simulator: Simulator
) -> None:
    """Even if it is closed between the check and the request."""
    await session.close()
    with pytest.raises(NoAnswerError) as caught:
        await http.post(session, simulator.url, timeout=HANG_TIMEOUT)
    assert (caught.value.sent, caught.value.reason) == (False, "RuntimeError")
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("more", "readable"), [(0, True), (1, False)])
async def test_answers_are_bounded(
    session: aiohttp.ClientSession, simulator: Simulator, *, more: int, readable: bool
) -> None:
    """The longest allowed answer is read; one more byte is an error."""
    body = "{}".ljust(http.MAX_ANSWER_BYTES + more)
    simulator.fail(TOKEN, Failure(body=body))
    request = http.post(session, f"{simulator.url}{TOKEN}", timeout=HANG_TIMEOUT)
    if readable:
        assert (await request).body == {}
        return
    with pytest.raises(NoAnswerError) as caught:
        await request
    assert (caught.value.sent, caught.value.reason) == (True, "ClientPayloadError")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\\ud800"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 100_000,
    ],
    ids=lambda raw: repr(raw[:20]),
)
async def test_body_that_is_no_json_object_is_none(
    session: aiohttp.ClientSession, raw: bytes
) -> None:
    """Deep nesting and invalid bytes do no harm."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=raw, content_type="application/json")

    async with server(answer) as address:
        found = await http.post(session, address, timeout=HANG_TIMEOUT)
    assert (found.status, found.body, found.ok, found.code) == (200, None, False, None)


def in_an_hour(zone: str) -> str:
    """Return a date one minute ahead in the format of a header."""
    moment = datetime.now(UTC) + timedelta(hours=1)
    return format_datetime(moment, usegmt=zone == "GMT")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("30", 30.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("soon", None),
        ("30 seconds", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 41 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """A number, a past date or an invalid value; never negative."""
    assert http.parse_retry_after(value) == seconds


@pytest.mark.parametrize("zone", ["GMT", "+0000"])
def test_retry_after_a_date(zone: str) -> None:
    """A future date is converted to seconds from now."""
    assert http.parse_retry_after(in_an_hour(zone)) == pytest.approx(3600, abs=HANG_TIMEOUT)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("yesterday", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1_445_412_480.0),
        ("Wed, 41 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
    ],
)
def test_date_header(value: str | None, expected: float | None) -> None:
    """Seconds since 1970; None if it is invalid."""
    assert http._parse_date(value) == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, None),
        ({"error": None}, None),
        ({"error": 26}, 26),
        ({"error": True}, None),
        ({"error": 2.0}, None),
        ({"error": []}, None),
        ({"error": "invalid_grant"}, "invalid_grant"),
        ({"error": "too_many_connections"}, "too_many_connections"),
        ({"error": "unknown text"}, None),
        ({"error": {}}, None),
        ({"error": {"code": 13, "message": "m"}}, 13),
        ({"error": {"code": False}}, None),
        ({"error": {"code": "invalid_client"}}, "invalid_client"),
        ({"error": {"code": "26"}}, None),
        ({"error": {"code": {"code": 1}}}, None),
    ],
)
def test_code_of_an_error(body: dict[str, object], code: int | str | None) -> None:
    """Both shapes; unknown texts are ignored, because they could contain what was sent."""
    assert error_codes.error_code(body) == code
