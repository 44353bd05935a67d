"""AuthHandler without a password: it works as long as the cloud accepts the tokens."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.errors import (
    AppClientRefusedError,
    AuthConnectionError,
    AuthRateLimitError,
    AuthServerError,
    InvalidCredentialsError,
)
from custom_components.bticino_classe.client.rate_limiter import RateLimiter
from tests.simulator import Failure, too_many
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

NO_PASSWORDS = [None, ""]


@pytest.fixture(params=NO_PASSWORDS, name="auth")
async def _auth(
    request: pytest.FixtureRequest, simulator: Simulator, endpoints: Endpoints
) -> AsyncIterator[AuthHandler]:
    """A handler without a password, with an expired access token and a valid refresh token."""
    async with aiohttp.ClientSession() as session:
        handler = AuthHandler(simulator.email, request.param, session=session, endpoints=endpoints)
        pair = simulator.account.log_in()
        handler.set_tokens(str(pair["access_token"]), str(pair["refresh_token"]))
        yield handler
        await handler.wait_idle()
        assert simulator.journal.count(TOKEN, grant="password") == 0
        assert handler.counters["logins"] == 0


async def test_tokens_are_renewed(auth: AuthHandler, simulator: Simulator) -> None:
    """Each renewal returns a valid token."""
    for _ in range(3):
        token = await auth.get_access_token()
        assert simulator.account.token_error(token) is None
        auth.invalidate(token)
    assert simulator.journal.count(TOKEN) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        Failure(error="invalid_grant"),
        Failure(error="invalid_grant", status=401),
        Failure(error="invalid_grant", status=403),
        Failure(error="invalid_request"),
        Failure(error="who knows"),
        Failure(code=2),
    ],
    ids=str,
)
async def test_refused_refresh_token(
    auth: AuthHandler, simulator: Simulator, refusal: Failure
) -> None:
    """It is the error that asks the user; further calls raise it without a request."""
    simulator.fail(TOKEN, refusal)
    for _ in range(3):
        with pytest.raises(InvalidCredentialsError):
            await auth.get_access_token()
    assert simulator.journal.count(TOKEN) == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure(status=503, html=True), AuthServerError),
        (Failure(drop=True), AuthConnectionError),
        (Failure(body={}), AuthConnectionError),
        (too_many(), AuthRateLimitError),
        (Failure(error="invalid_client"), AppClientRefusedError),
    ],
    ids=str,
)
async def test_other_errors_keep_the_refresh_token(
    auth: AuthHandler, simulator: Simulator, failure: Failure, kind: type[Exception]
) -> None:
    """An outage does not ask the user."""
    simulator.fail(TOKEN, failure)
    with pytest.raises(kind):
        await auth.get_access_token()
    auth.limiter = RateLimiter()
    assert simulator.account.token_error(await auth.get_access_token()) is None


async def test_sign_in_is_not_possible(auth: AuthHandler, simulator: Simulator) -> None:
    """Nothing is sent."""
    with pytest.raises(InvalidCredentialsError):
        await auth.authenticate()
    assert simulator.journal.count(TOKEN) == 0


async def test_pause_after_an_earlier_failed_sign_in(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """It does not hide that the user has to sign in; the limiter outlives the password."""
    auth.limiter.sign_in.start(AuthConnectionError())
    simulator.revoke()
    with pytest.raises(InvalidCredentialsError):
        await auth.get_access_token()


async def test_new_tokens_are_used(auth: AuthHandler, simulator: Simulator) -> None:
    """After somebody signed in again, with a handler of the form."""
    simulator.revoke()
    with pytest.raises(InvalidCredentialsError):
        await auth.get_access_token()
    pair = simulator.account.log_in()
    auth.set_tokens(str(pair["access_token"]), str(pair["refresh_token"]))
    assert simulator.account.token_error(await auth.get_access_token()) is None


@pytest.mark.parametrize("password", NO_PASSWORDS)
async def test_neither_password_nor_tokens(
    simulator: Simulator, endpoints: Endpoints, password: str | None
) -> None:
    """Nothing is sent; the handler's own session is not even created."""
    auth = AuthHandler(simulator.email, password, endpoints=endpoints)
    with pytest.raises(InvalidCredentialsError):
        await auth.get_access_token()
    assert auth._session is None
    assert simulator.journal.count(TOKEN) == 0
