"""Pauses after failures in a row: sign-ins, and new tokens that are refused."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client import (
    Account,
    AuthApiError,
    AuthConnectionError,
    AuthError,
    AuthHandler,
    AuthServerError,
    BticinoError,
    GrowingPause,
    InvalidCredentialsError,
    ModuleKind,
    RateLimiter,
    TokenRefusedError,
)
from tests.client.clocks import Clock
from tests.client.signed_in import home_of, module_of
from tests.simulator import Failure, maintenance, too_many, usage_limit
from tests.simulator.paths import HOMESDATA, SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

MINUTE = 60.0
MINUTES = (1, 5, 15, 60, 60)
SIGN_IN_FAILURES = [
    Failure(status=500),
    maintenance(),
    Failure(status=403, html=True),
    Failure(status=404),
    Failure(status=429),
    Failure(error="invalid_scope"),
    Failure(error="invalid_client"),
    Failure(code=13),
    Failure(drop=True),
    Failure(drop=True, executed=True),
    Failure(cut=True, executed=True),
    Failure(never=True),
    Failure(html=True),
    Failure(body={"access_token": "alone"}),
]


@pytest.fixture
def clock() -> Clock:
    """The limiter's clock."""
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    """A limiter whose pauses have no jitter."""
    return RateLimiter(clock=clock, draw=lambda: 0.0)


@pytest.fixture
async def auth(
    simulator: Simulator, endpoints: Endpoints, limiter: RateLimiter
) -> AsyncIterator[AuthHandler]:
    """A handler without tokens."""
    async with aiohttp.ClientSession() as session:
        handler = AuthHandler(
            simulator.email,
            simulator.password,
            session=session,
            endpoints=endpoints,
            limiter=limiter,
        )
        yield handler
        await handler.wait_idle()


async def error_of(request: Awaitable[object]) -> BticinoError:
    """Return the error of a request."""
    with pytest.raises(BticinoError) as caught:
        await request
    return caught.value


@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
def test_pause_grows_until_a_success(clock: Clock, draw: float) -> None:
    """From a minute to an hour, up to a tenth less; never more."""
    pause = GrowingPause(clock=clock, draw=lambda: draw)
    assert pause.left == 0
    for minutes in MINUTES:
        pause.start()
        assert pause.left == pytest.approx(minutes * MINUTE * (1 - draw / 10))
        clock.now += minutes * MINUTE
        assert pause.left == 0
    pause.reset()
    pause.start()
    assert pause.left <= MINUTE


def test_skipped_pause_goes_on_growing(clock: Clock) -> None:
    """A person gets one attempt."""
    pause = GrowingPause(clock=clock, draw=lambda: 0.0)
    pause.start()
    pause.skip()
    assert pause.left == 0
    pause.start()
    assert pause.left == 5 * MINUTE


@pytest.mark.parametrize("failure", SIGN_IN_FAILURES, ids=str)
async def test_failed_sign_ins_are_followed_by_growing_pauses(
    auth: AuthHandler, simulator: Simulator, clock: Clock, failure: Failure
) -> None:
    """Each may have sent the owner an e-mail. The error says the same in the pause."""
    simulator.fail(TOKEN, failure, times=20)
    for count, minutes in enumerate(MINUTES, start=1):
        error = await error_of(auth.get_access_token())
        assert simulator.journal.count(TOKEN) == count
        for passed in (0.0, minutes * MINUTE - 1.0):
            clock.now += passed
            again = await error_of(auth.get_access_token())
            assert type(again) is type(error)
            assert isinstance(again, AuthError)
        assert simulator.journal.count(TOKEN) == count
        clock.now += 1.0
    simulator.clear_failures()
    await auth.get_access_token()
    assert auth.limiter.sign_in.left == 0


async def test_error_in_the_pause_says_when_it_ends(
    auth: AuthHandler, simulator: Simulator, clock: Clock
) -> None:
    """Status and code are those of the failed sign-in."""
    simulator.fail(TOKEN, Failure(status=500))
    await error_of(auth.get_access_token())
    clock.now += 20
    error = await error_of(auth.get_access_token())
    assert isinstance(error, AuthServerError)
    assert (error.status, error.code, error.retry_after) == (500, None, 40.0)


async def test_pause_of_a_sign_in_is_no_pause_of_the_cloud(
    auth: AuthHandler, limiter: RateLimiter, simulator: Simulator
) -> None:
    """Requests that need no new token are sent."""
    simulator.fail(TOKEN, Failure(status=500))
    account = Account(auth)
    for _ in range(2):
        assert isinstance(await error_of(account.topology()), AuthServerError)
    limiter.admit()
    assert simulator.journal.count(TOKEN) == 1


async def test_sign_in_that_was_not_sent_starts_no_pause(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """Nothing reached the cloud: the network is back when it is back."""
    port = simulator.port
    await simulator.stop()
    error = await error_of(auth.get_access_token())
    assert isinstance(error, AuthConnectionError)
    assert not error.sent
    await simulator.start(port=port)
    await auth.get_access_token()


async def test_person_passes_the_pause(auth: AuthHandler, simulator: Simulator) -> None:
    """By a sign-in, or by asking for one attempt."""
    simulator.fail(TOKEN, Failure(status=500), times=3)
    await error_of(auth.get_access_token())
    assert isinstance(await error_of(auth.authenticate()), AuthApiError)
    auth.limiter.skip_pauses()
    await error_of(auth.get_access_token())
    await error_of(auth.get_access_token())
    assert simulator.journal.count(TOKEN) == 3
    await auth.authenticate()
    await auth.get_access_token()
    assert simulator.journal.count(TOKEN) == 4


async def test_pause_outlives_the_handler(
    auth: AuthHandler, simulator: Simulator, endpoints: Endpoints
) -> None:
    """Each attempt to set up an account makes a new one."""
    simulator.fail(TOKEN, Failure(drop=True, executed=True))
    await error_of(auth.get_access_token())
    other = AuthHandler(
        simulator.email,
        simulator.password,
        session=auth.session,
        endpoints=endpoints,
        limiter=auth.limiter,
    )
    assert isinstance(await error_of(other.get_access_token()), AuthConnectionError)
    assert simulator.journal.count(TOKEN) == 1


async def test_wrong_password_starts_no_pause(auth: AuthHandler, simulator: Simulator) -> None:
    """It is not tried again at all."""
    simulator.change_password("another")
    for _ in range(2):
        error = await error_of(auth.get_access_token())
        assert isinstance(error, InvalidCredentialsError)
    assert auth.limiter.sign_in.left == 0


@pytest.mark.parametrize(
    "failure", [Failure(code=2), Failure(code=3), Failure(status=401)], ids=str
)
async def test_refused_new_tokens_are_followed_by_growing_pauses(
    auth: AuthHandler, simulator: Simulator, clock: Clock, failure: Failure
) -> None:
    """One renewal and one request for each pause; none in between."""
    account = Account(auth)
    await auth.authenticate()
    simulator.journal.clear()
    simulator.fail(HOMESDATA, failure, times=20)
    assert isinstance(await error_of(account.topology()), TokenRefusedError)
    assert [entry.path for entry in simulator.journal] == [HOMESDATA, TOKEN, HOMESDATA]
    for minutes in MINUTES:
        simulator.journal.clear()
        for passed in (0.0, minutes * MINUTE - 1.0):
            clock.now += passed
            error = await error_of(account.topology())
            assert isinstance(error, TokenRefusedError)
            assert error.retry_after == minutes * MINUTE - passed
        assert len(simulator.journal) == 0
        clock.now += 1.0
        await error_of(account.topology())
        assert [entry.path for entry in simulator.journal] == [TOKEN, HOMESDATA]


async def test_command_passes_the_pause_of_refused_tokens(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """A person waits for it, and its success ends the pause."""
    account, home = Account(auth), home_of(simulator)
    simulator.fail(HOMESDATA, Failure(code=2), times=2)
    await error_of(account.topology())
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    assert len(simulator.openings) == 1
    await account.topology()


async def test_refused_command_in_the_pause_costs_one_renewal(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """It is not sent a second time."""
    account, home = Account(auth), home_of(simulator)
    simulator.fail(HOMESDATA, Failure(code=2), times=2)
    await error_of(account.topology())
    simulator.journal.clear()
    simulator.fail(SETSTATE, Failure(code=2), times=2)
    request = account.unlock(home, module_of(home, ModuleKind.DOOR))
    assert isinstance(await error_of(request), TokenRefusedError)
    assert [entry.path for entry in simulator.journal] == [TOKEN, SETSTATE]


@pytest.mark.parametrize(
    "other", [Failure(status=503, html=True), too_many(), Failure(drop=True)], ids=str
)
async def test_outage_does_not_end_the_count_of_refused_tokens(
    auth: AuthHandler, simulator: Simulator, clock: Clock, other: Failure
) -> None:
    """Only an answer that accepts the token does."""
    account = Account(auth)
    simulator.fail(HOMESDATA, Failure(code=2), times=2)
    simulator.fail(HOMESDATA, other)
    simulator.fail(HOMESDATA, Failure(code=2))
    await error_of(account.topology())
    for _ in range(2):
        clock.now += MINUTE
        await error_of(account.topology())
    assert auth.limiter.refused_tokens.pause.left == 5 * MINUTE


async def test_person_passes_the_usage_limit_of_a_sign_in(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """The cloud named no pause."""
    simulator.fail(TOKEN, usage_limit())
    await error_of(auth.get_access_token())
    auth.limiter.skip_pauses()
    await auth.get_access_token()


@pytest.mark.parametrize("act", ["authenticate", "skip"])
async def test_person_passes_the_pause_of_refused_tokens(
    auth: AuthHandler, simulator: Simulator, act: str
) -> None:
    """By a sign-in, or by asking for one attempt."""
    account = Account(auth)
    acts: dict[str, Callable[[], Awaitable[None] | None]] = {
        "authenticate": auth.authenticate,
        "skip": auth.limiter.skip_pauses,
    }
    simulator.fail(HOMESDATA, Failure(code=2), times=2)
    await error_of(account.topology())
    done = acts[act]()
    if done is not None:
        await done
    await account.topology()
