"""Pauses that the cloud asks for are kept, in whatever answer they come."""

from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from custom_components.bticino_classe.client import (
    Account,
    ApiError,
    AuthError,
    AuthHandler,
    AuthRateLimitError,
    BticinoError,
    ModuleKind,
    RateLimiter,
    RateLimitError,
)
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.clocks import Clock
from tests.client.lines import Refusal, obey
from tests.client.running import running, until
from tests.client.signed_in import home_of, module_of, signed_in
from tests.client.test_rate_limiter import HALF_PAST, TO_THE_HOUR, wait_of
from tests.conftest import advance_loop
from tests.simulator import Failure, usage_limit
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE, TOKEN, TURN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

HOUR = 3600.0
# The cloud's clock, years from this machine's.
CLOUD_TIME = 1_000_000_000.0


@pytest.fixture
def clock() -> Clock:
    """The limiter's clock."""
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    """A limiter with the published limits, half an hour before a full one."""
    return RateLimiter(clock=clock, wall_clock=lambda: HALF_PAST, draw=lambda: 0.0)


@pytest.fixture
async def account(
    simulator: Simulator, endpoints: Endpoints, limiter: RateLimiter
) -> AsyncIterator[Account]:
    """An account that uses the limiter."""
    async with signed_in(simulator, endpoints, limiter=limiter) as account:
        yield account


async def fail(request: Awaitable[object]) -> BticinoError:
    """Return the error of a request."""
    with pytest.raises(BticinoError) as caught:
        await request
    return caught.value


def requests_of(
    account: Account, simulator: Simulator
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return a request for each path."""
    home = home_of(simulator)
    return {
        HOMESDATA: account.topology,
        HOMESTATUS: lambda: account.states(home.id),
        GETEVENTS: lambda: account.events(home.id),
        TURN: account.ice_servers,
        SETSTATE: lambda: account.unlock(home, module_of(home, ModuleKind.DOOR)),
    }


def date(seconds: float) -> str:
    """Return a time as a header writes it."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("path", [HOMESDATA, HOMESTATUS, GETEVENTS, TURN, SETSTATE])
async def test_named_pause_of_any_error_is_kept(
    account: Account, limiter: RateLimiter, simulator: Simulator, path: str, status: int
) -> None:
    """By every request, also for a token; afterwards all are sent again."""
    requests = requests_of(account, simulator)
    simulator.fail(path, Failure(status=status, html=True, retry_after=30))
    await fail(requests[path]())
    assert wait_of(limiter, urgent=True) == 30.0
    account.auth.invalidate(await account.auth.get_access_token())
    error = await fail(account.auth.get_access_token())
    assert isinstance(error, AuthRateLimitError)
    assert error.retry_after == 30.0
    assert simulator.journal.count() == 1


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("way", ["get_access_token", "authenticate"])
async def test_named_pause_of_a_token_request_is_kept(
    account: Account,
    *,
    limiter: RateLimiter,
    simulator: Simulator,
    clock: Clock,
    status: int,
    way: str,
) -> None:
    """By requests and by the next renewal."""
    account.auth.invalidate(await account.auth.get_access_token())
    simulator.fail(TOKEN, Failure(status=status, html=True, retry_after=600))
    assert isinstance(await fail(getattr(account.auth, way)()), AuthError)
    assert wait_of(limiter, urgent=True) == 600.0
    for passed in (0.0, 599.0):
        clock.now += passed
        await fail(account.auth.get_access_token())
    assert simulator.journal.count(TOKEN) == 1
    clock.now += 1.0
    await account.auth.get_access_token()


@pytest.mark.parametrize("path", [HOMESDATA, HOMESTATUS, GETEVENTS, SETSTATE])
@pytest.mark.parametrize("place", ["body", "top"])
@pytest.mark.parametrize("named", [None, 30])
async def test_usage_limit_inside_a_success_is_kept(
    account: Account,
    *,
    limiter: RateLimiter,
    simulator: Simulator,
    path: str,
    place: str,
    named: int | None,
) -> None:
    """Until the next full hour, or as long as the cloud says."""
    errors: dict[str, object] = {"errors": [{"code": 6, "id": "a"}, {"code": 26}]}
    answer = {"status": "ok", **(errors if place == "top" else {"body": errors})}
    simulator.fail(path, Failure(body=answer, retry_after=named))
    with suppress(BticinoError):
        await requests_of(account, simulator)[path]()
    assert wait_of(limiter) == (TO_THE_HOUR if named is None else named)
    assert wait_of(limiter, urgent=True) == (named or 0.0)


async def test_other_errors_inside_a_success_start_no_pause(
    account: Account, limiter: RateLimiter, simulator: Simulator
) -> None:
    """Their numbers are about single modules."""
    errors = [{"code": code} for code in (5, 6, 9, 11, None, "26")]
    body: dict[str, object] = {"status": "ok", "body": {"errors": errors}}
    simulator.fail(SETSTATE, Failure(body=body))
    await fail(requests_of(account, simulator)[SETSTATE]())
    assert wait_of(limiter) == 0.0


@pytest.mark.parametrize("status", [200, 403, 429])
@pytest.mark.parametrize("way", ["get_access_token", "authenticate"])
async def test_usage_limit_at_the_token_endpoint_is_kept(
    account: Account,
    *,
    limiter: RateLimiter,
    simulator: Simulator,
    clock: Clock,
    status: int,
    way: str,
) -> None:
    """By routine requests and by token requests."""
    account.auth.invalidate(await account.auth.get_access_token())
    simulator.fail(TOKEN, usage_limit(status=status))
    await fail(getattr(account.auth, way)())
    assert wait_of(limiter) == TO_THE_HOUR
    clock.now += TO_THE_HOUR - 1.0
    error = await fail(account.auth.get_access_token())
    assert isinstance(error, AuthRateLimitError)
    assert error.retry_after == 1.0
    assert simulator.journal.count(TOKEN) == 1
    clock.now += 1.0
    await account.auth.get_access_token()


@asynccontextmanager
async def answering(status: int, headers: dict[str, str]) -> AsyncIterator[str]:
    """Run a server that answers every request so; yields its address."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({}, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/api"))


@pytest.mark.parametrize(("after", "seconds"), [(120, 120), (0, 0), (-60, 0), (86_400, HOUR)])
async def test_date_is_measured_against_the_answers_own(
    account: Account, after: float, seconds: float
) -> None:
    """This machine's clock may be wrong. The longest pause is an hour."""
    headers = {"Date": date(CLOUD_TIME), "Retry-After": date(CLOUD_TIME + after)}
    async with answering(503, headers) as url:
        error = await fail(account.transport.request(url, {}))
    assert isinstance(error, ApiError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("named", ["3600", "86400", date(CLOUD_TIME + 7 * 86_400)])
@pytest.mark.parametrize("draw", [0.0, 1.0])
async def test_named_pause_of_a_handshake_lasts_an_hour_at_most(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch, named: str, draw: float
) -> None:
    """Jitter does not extend it."""
    busy = Refusal(status=503, headers={"Date": date(CLOUD_TIME), "Retry-After": named})
    async with running(auth, busy, obey) as (client, cloud):
        client.draw, client.backoff.longest = draw, 300.0
        await until(lambda: client.socket.state is SocketState.WAITING)
        assert client.socket.last_disconnect is not None
        assert client.socket.last_disconnect.retry_after == HOUR
        advance_loop(monkeypatch, HOUR + 0.1)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 2


async def test_named_pause_of_a_token_lasts_an_hour_at_most(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket waits for it too."""
    clock = Clock()
    auth.limiter = RateLimiter(clock=clock)
    auth.invalidate(await auth.get_access_token())
    simulator.fail(TOKEN, Failure(status=503, retry_after=86_400))
    async with running(auth, obey) as (client, _):
        client.backoff.longest = 300.0
        await until(lambda: client.socket.state is SocketState.WAITING)
        clock.now += HOUR
        advance_loop(monkeypatch, HOUR + 0.1)
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_limiter_keeps_a_pause_of_any_error() -> None:
    """The longest of them; at most an hour."""
    limiter = RateLimiter(clock=Clock())
    limiter.note(ApiError(status=503, retry_after=20.0))
    limiter.note(RateLimitError(status=429, retry_after=10.0))
    assert wait_of(limiter, urgent=True) == 20.0
    limiter.note(ApiError(status=404, retry_after=1e9))
    assert limiter.token_pause == HOUR
