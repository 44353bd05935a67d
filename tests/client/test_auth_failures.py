"""Errors of the token endpoint: the right class, and no unnecessary sign-in."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.errors import (
    ApiError,
    AppClientRefusedError,
    AuthApiError,
    AuthConnectionError,
    AuthError,
    AuthRateLimitError,
    AuthServerError,
    InvalidCredentialsError,
)
from custom_components.bticino_classe.client.rate_limiter import RateLimiter
from tests.conftest import HANG_TIMEOUT
from tests.simulator import Failure, concurrency, maintenance, too_many, usage_limit
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

PAIR = {"access_token": "aaa", "refresh_token": "rrr", "expires_in": 10_800}
USES = ("get_access_token", "authenticate")


@pytest.fixture
async def auth(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[AuthHandler]:
    """A handler with an expired access token and a valid refresh token."""
    async with aiohttp.ClientSession() as session:
        handler = AuthHandler(
            simulator.email, simulator.password, session=session, endpoints=endpoints
        )
        pair = simulator.account.log_in()
        handler.set_tokens(str(pair["access_token"]), str(pair["refresh_token"]))
        yield handler
        await handler.wait_idle()


def grants(simulator: Simulator) -> list[str | None]:
    """Return the requested grants in order."""
    return [entry.grant for entry in simulator.journal.of(TOKEN)]


async def failure_of(auth: AuthHandler, use: str) -> AuthError:
    """Return the error of a call."""
    with pytest.raises(AuthError) as caught:
        await getattr(auth, use)()
    return caught.value


def in_an_hour() -> str:
    """Return a date one minute ahead in the format of a header."""
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("failure", "kind", "status", "code", "retry_after"),
    [
        (Failure(status=500), AuthServerError, 500, None, None),
        (Failure(status=502, html=True), AuthServerError, 502, None, None),
        (Failure(status=503, retry_after=9), AuthServerError, 503, None, 9.0),
        (maintenance(504), AuthServerError, 504, None, None),
        (maintenance(500), AuthServerError, 500, None, None),
        (Failure(status=500, error="invalid_grant"), AuthServerError, 500, "invalid_grant", None),
        (maintenance(400), AuthApiError, 400, None, None),
        (maintenance(401), AuthApiError, 401, None, None),
        (maintenance(403), AuthApiError, 403, None, None),
        (Failure(status=403), AuthApiError, 403, None, None),
        (Failure(status=404), AuthApiError, 404, None, None),
        (Failure(status=201, body=dict(PAIR)), AuthApiError, 201, None, None),
        (Failure(status=200, error="invalid_grant"), AuthApiError, 200, "invalid_grant", None),
        (Failure(status=429), AuthRateLimitError, 429, None, None),
        (Failure(status=429, html=True), AuthRateLimitError, 429, None, None),
        (Failure(retry_after=30), AuthRateLimitError, 429, None, 30.0),
        (Failure(retry_after="1.5"), AuthRateLimitError, 429, None, 1.5),
        (Failure(retry_after=-4), AuthRateLimitError, 429, None, 0.0),
        (Failure(retry_after="soon"), AuthRateLimitError, 429, None, None),
        (
            Failure(status=429, error="invalid_grant"),
            AuthRateLimitError,
            429,
            "invalid_grant",
            None,
        ),
        (usage_limit(), AuthRateLimitError, 403, 26, None),
        (usage_limit(status=429, retry_after=60), AuthRateLimitError, 429, 26, 60.0),
        (concurrency(), AuthRateLimitError, 429, 11, None),
        (Failure(status=403, code=11), AuthRateLimitError, 403, 11, None),
        (Failure(status=200, code=26), AuthRateLimitError, 200, 26, None),
        (too_many(retry_after=5), AuthRateLimitError, 429, "too_many_connections", 5.0),
        (
            Failure(status=400, error="too_many_connections"),
            AuthRateLimitError,
            400,
            "too_many_connections",
            None,
        ),
    ],
)
async def test_error_that_does_not_concern_the_credentials(
    auth: AuthHandler,
    simulator: Simulator,
    *,
    use: str,
    failure: Failure,
    kind: type[ApiError],
    status: int,
    code: int | str | None,
    retry_after: float | None,
) -> None:
    """Class and fields describe it; there is no sign-in, and the refresh token is kept.

    What it says about pauses is tested with the rate limiter.
    """
    simulator.fail(TOKEN, failure)
    error = await failure_of(auth, use)
    assert isinstance(error, ApiError)
    assert (type(error), error.status, error.code) == (kind, status, code)
    assert error.retry_after == retry_after
    assert simulator.journal.count(TOKEN) == 1
    auth.limiter = RateLimiter()
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator)[1:] == ["refresh_token"]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "failure",
    [
        Failure(never=True),
        Failure(cut=True),
        Failure(cut=True, status=503),
        Failure(drop=True),
        Failure(html=True),
        Failure(wrong_json=True),
        Failure(body=""),
        Failure(body=[]),
        Failure(body=[PAIR]),
        Failure(body="null"),
        Failure(body="7"),
        Failure(body={}),
        Failure(body={"access_token": 5}),
        Failure(body={**PAIR, "access_token": ""}),
        Failure(body={**PAIR, "access_token": None}),
        Failure(body={**PAIR, "access_token": ["a"]}),
        Failure(body={**PAIR, "access_token": "a\r\nX-Other: b"}),
        Failure(body={**PAIR, "access_token": "pàss"}),
        Failure(body={**PAIR, "refresh_token": 5}),
        Failure(body={**PAIR, "refresh_token": "a\nb"}),
        Failure(body={"body": PAIR}),
    ],
    ids=str,
)
async def test_no_readable_answer(
    auth: AuthHandler, simulator: Simulator, use: str, failure: Failure
) -> None:
    """It was sent once; no token is stored, and the refresh token is kept."""
    simulator.fail(TOKEN, failure)
    error = await failure_of(auth, use)
    assert isinstance(error, AuthConnectionError)
    assert error.sent
    assert error.__context__ is None  # it might hold what was sent
    assert simulator.journal.count(TOKEN) == 1
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator)[1:] == ["refresh_token"]


async def test_date_in_retry_after(auth: AuthHandler, simulator: Simulator) -> None:
    """It is converted to seconds from now."""
    simulator.fail(TOKEN, Failure(status=429, retry_after=in_an_hour()))
    error = await failure_of(auth, "authenticate")
    assert isinstance(error, AuthRateLimitError)
    assert error.retry_after == pytest.approx(3600, abs=HANG_TIMEOUT)


async def test_lost_answer_to_a_refresh_costs_one_sign_in(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """The cloud has replaced the refresh token, so the old one is refused."""
    simulator.fail(TOKEN, Failure(drop=True, executed=True))
    assert isinstance(await failure_of(auth, "get_access_token"), AuthConnectionError)
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator) == ["refresh_token", "refresh_token", "password"]


async def test_refresh_without_a_new_refresh_token_keeps_the_old(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """OAuth allows it for a refresh, not for a sign-in."""
    old = auth._refresh_token
    body: dict[str, object] = {"access_token": "new"}
    simulator.fail(TOKEN, Failure(body=body), times=2)
    assert await auth.get_access_token() == "new"
    assert auth._refresh_token == old
    assert isinstance(await failure_of(auth, "authenticate"), AuthConnectionError)


@pytest.mark.parametrize(
    "refusal",
    [
        Failure(error="invalid_grant"),
        Failure(error="invalid_grant", status=401),
        Failure(error="invalid_grant", status=403),
        Failure(error="invalid_request"),
        Failure(error="invalid_scope"),
        Failure(error="who knows"),
        Failure(code=2),
        Failure(code=21),
    ],
    ids=str,
)
async def test_refused_refresh_token_is_followed_by_one_sign_in(
    auth: AuthHandler, simulator: Simulator, refusal: Failure
) -> None:
    """Only if the refresh token was the reason."""
    simulator.fail(TOKEN, refusal)
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator) == ["refresh_token", "password"]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Failure(error="invalid_request"), "invalid_request"),
        (Failure(error="invalid_scope"), "invalid_scope"),
        (Failure(error="who knows"), None),
        (Failure(code=21), 21),
        (Failure(code=13), 13),
    ],
    ids=str,
)
async def test_refused_sign_in_is_not_always_a_wrong_password(
    auth: AuthHandler, simulator: Simulator, refusal: Failure, code: int | str | None
) -> None:
    """Only `invalid_grant` means that; the user cannot fix other errors."""
    simulator.fail(TOKEN, refusal, times=2)
    for expected in (["refresh_token", "password"], ["password"]):
        simulator.journal.clear()
        auth.limiter.skip_pauses()
        error = await failure_of(auth, "get_access_token")
        assert type(error) is AuthApiError
        assert error.code == code
        assert grants(simulator) == expected
        simulator.fail(TOKEN, refusal)


async def test_revoked_tokens_cost_one_sign_in(auth: AuthHandler, simulator: Simulator) -> None:
    """After one sign-in, everything works as before."""
    simulator.revoke()
    token = await auth.get_access_token()
    auth.invalidate(token)
    await auth.get_access_token()
    assert grants(simulator) == ["refresh_token", "password", "refresh_token"]


async def test_wrong_password_after_a_refused_refresh(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """This is the only way to the error that asks the user; it has no status and no code."""
    simulator.change_password("another")
    error = await failure_of(auth, "get_access_token")
    assert type(error) is InvalidCredentialsError
    assert grants(simulator) == ["refresh_token", "password"]


@pytest.mark.parametrize("use", USES)
async def test_refused_credentials_are_not_tried_again(
    auth: AuthHandler, simulator: Simulator, use: str
) -> None:
    """Repeated failures could lock the account, so further calls fail at once."""
    simulator.change_password("another")
    await failure_of(auth, use)
    await failure_of(auth, "get_access_token")
    count = simulator.journal.count(TOKEN)
    for _ in range(5):
        assert type(await failure_of(auth, "get_access_token")) is InvalidCredentialsError
    assert simulator.journal.count(TOKEN) == count
    assert simulator.journal.count(TOKEN, grant="password") == 1


@pytest.mark.parametrize("way", ["authenticate", "set_tokens"])
async def test_refused_credentials_are_reset(
    auth: AuthHandler, simulator: Simulator, way: str
) -> None:
    """By a successful sign-in, and by restored tokens."""
    simulator.change_password("another")
    await failure_of(auth, "get_access_token")
    auth._password = "another"
    if way == "authenticate":
        await auth.authenticate()
    else:
        auth.set_tokens("un", "known")
    simulator.revoke()
    auth.invalidate(auth._access_token or "")
    assert simulator.account.token_error(await auth.get_access_token()) is None


async def test_authenticate_always_sends_a_request(auth: AuthHandler, simulator: Simulator) -> None:
    """The user pressed the button."""
    simulator.change_password("another")
    for _ in range(2):
        assert type(await failure_of(auth, "authenticate")) is InvalidCredentialsError
    assert grants(simulator) == ["password", "password"]


@pytest.mark.parametrize("use", USES)
async def test_refused_client_id_is_not_a_wrong_password(
    auth: AuthHandler, simulator: Simulator, use: str
) -> None:
    """There is no sign-in; if the client id is accepted again, the refresh token works."""
    simulator.retire_client()
    error = await failure_of(auth, use)
    assert isinstance(error, AppClientRefusedError)
    assert (error.status, error.code) == (400, "invalid_client")
    assert simulator.journal.count(TOKEN) == 1
    simulator.restore_client()
    await auth.get_access_token()
    assert grants(simulator)[1:] == ["refresh_token"]


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("use", USES)
async def test_unauthorized_client_is_a_refused_client_id(
    auth: AuthHandler, simulator: Simulator, use: str, status: int
) -> None:
    """It is OAuth's other error for it."""
    simulator.fail(TOKEN, Failure(status=status, error="unauthorized_client"))
    assert isinstance(await failure_of(auth, use), AppClientRefusedError)
    assert simulator.journal.count(TOKEN) == 1


async def test_counters(auth: AuthHandler, simulator: Simulator) -> None:
    """Each request is counted by its grant, successful or not."""
    simulator.fail(TOKEN, maintenance())
    await failure_of(auth, "get_access_token")
    simulator.revoke()
    await auth.get_access_token()
    assert auth.counters == {"refreshes": 2, "logins": 1}
