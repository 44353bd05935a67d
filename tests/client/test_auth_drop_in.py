"""AuthHandler replaces pybticino's class: what its callers use, private names included."""

import logging
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client import PRODUCTION, AuthError, AuthHandler
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator


@pytest.fixture
async def handler(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[AuthHandler]:
    """Return a handler with its own session and no tokens."""
    made = AuthHandler(simulator.email, simulator.password, endpoints=endpoints)
    yield made
    await made.close_session()


async def test_sign_in_stores_tokens_and_expiry(handler: AuthHandler) -> None:
    """The first call signs in; the second uses the stored token."""
    token = await handler.get_access_token()
    assert handler._access_token == token
    assert handler._refresh_token
    assert handler._token_expires_at is not None
    assert handler._is_token_expired() is False
    assert await handler.get_access_token() == token


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, True), (-10, True), (30, True), (3600, False)]
)
def test_token_is_expired_a_minute_before_its_end(seconds: float | None, expected: bool) -> None:
    """A token without an expiry counts as expired."""
    handler = AuthHandler("me@example.org", "invented", endpoints=PRODUCTION)
    handler._token_expires_at = None if seconds is None else time.time() + seconds
    assert handler._is_token_expired() is expected


async def test_own_session_is_none_after_closing(handler: AuthHandler) -> None:
    """The handler can be used again and creates another session."""
    await handler.get_access_token()
    first = handler._session
    assert first is not None
    await handler.close_session()
    await handler.close_session()
    assert first.closed
    assert handler._session is None
    await handler.authenticate()
    assert handler._session is not None


async def test_passed_session_stays_open(simulator: Simulator, endpoints: Endpoints) -> None:
    """The handler neither closes nor drops it."""
    async with aiohttp.ClientSession() as session:
        handler = AuthHandler(
            simulator.email, simulator.password, session=session, endpoints=endpoints
        )
        await handler.close_session()
        assert handler._session is session
        assert not session.closed


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Failure(status=400, body={"error": "invalid_grant"}), "Invalid credentials"),
        (Failure(body={"status": "ok"}), "Missing tokens"),
        (Failure(drop=True), "Request error"),
        (Failure(status=500, body="Internal Server Error"), "outage"),
    ],
)
async def test_failed_sign_in_names_its_cause(
    handler: AuthHandler, simulator: Simulator, failure: Failure, text: str
) -> None:
    """Every failure is an AuthError, and its text contains no secret."""
    simulator.fail(TOKEN, failure)
    with pytest.raises(AuthError, match=text) as caught:
        await handler.get_access_token()
    assert simulator.password not in str(caught.value)


async def test_refused_refresh_token_leads_to_a_sign_in(
    handler: AuthHandler, simulator: Simulator
) -> None:
    """An expired token is renewed, or replaced by signing in."""
    first = await handler.get_access_token()
    handler._token_expires_at = time.time() - 10
    second = await handler.get_access_token()
    handler._token_expires_at = time.time() - 10
    simulator.fail(TOKEN, Failure(status=400, body={"error": "invalid_grant"}))
    third = await handler.get_access_token()
    assert len({first, second, third}) == 3
    assert [entry.grant for entry in simulator.journal.of(TOKEN)] == [
        "password",
        "refresh_token",
        "refresh_token",
        "password",
    ]


async def test_debug_log_contains_no_tokens(
    handler: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Both kinds of token requests are logged."""
    caplog.set_level(logging.DEBUG)
    tokens = [await handler.get_access_token(), handler._refresh_token]
    handler._token_expires_at = time.time() - 10
    tokens += [await handler.get_access_token(), handler._refresh_token]
    assert "Token response received" in caplog.text
    assert "Token refresh response received" in caplog.text
    assert [token for token in tokens if token is None or token in caplog.text] == []
