"""Since when the usage limit of an account is reached: what begins it, what ends it."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client import (
    Account,
    ApiError,
    AuthRateLimitError,
    BticinoError,
    RateLimiter,
    RateLimitError,
)
from tests.client.clocks import Clock
from tests.client.signed_in import home_of, signed_in
from tests.simulator import Failure, concurrency, maintenance, too_many, usage_limit
from tests.simulator.paths import HOMESDATA, HOMESTATUS, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

BEGAN = 500.0


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="limiter")
def _limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock=clock, wall_clock=lambda: 0.0)


@pytest.fixture(name="account")
async def _account(
    simulator: Simulator, endpoints: Endpoints, limiter: RateLimiter
) -> AsyncIterator[Account]:
    async with signed_in(simulator, endpoints, limiter=limiter) as account:
        yield account


async def request(account: Account) -> None:
    """Request the list of modules, as if a person wanted it; errors are expected."""
    try:
        await account.topology(urgent=True)
    except BticinoError:
        return


def since(limiter: RateLimiter) -> float | None:
    """Return since when the limit is reached."""
    return limiter.usage_limit_since


def reached_in_a_success(place: str) -> Failure:
    """Return a successful answer that reports the limit."""
    errors = [{"code": 26, "id": "30000a"}]
    body = {"errors": errors} if place == "top" else {"body": {"errors": errors}}
    return Failure(body={"status": "ok", **body})


REACHED = (
    usage_limit(),
    usage_limit(status=429),
    usage_limit(retry_after=30),
    usage_limit(status=500),
    reached_in_a_success("top"),
    reached_in_a_success("body"),
)
# Neither says that the account's requests are accepted.
UNDECIDED = (
    concurrency(),
    too_many(),
    maintenance(),
    Failure(status=403, html=True),
    Failure(wrong_json=True),
    Failure(drop=True),
    Failure(code=2, status=403),
)
# The cloud has answered the account: the limit is not reached.
ACCEPTED = (
    Failure(executed=True),
    Failure(code=9),
    Failure(code=13),
    Failure(code=21),
    Failure(body={"status": "ok", "body": {"errors": [{"code": 6, "id": "30000a"}]}}),
)


@pytest.mark.parametrize("failure", REACHED, ids=str)
async def test_reached(
    account: Account, limiter: RateLimiter, clock: Clock, simulator: Simulator, failure: Failure
) -> None:
    """The first report counts, however often it is repeated; an accepted request ends it."""
    reported: list[float | None] = []
    remove = limiter.listen(reported.append)
    assert since(limiter) is None
    for _ in range(3):
        simulator.fail(HOMESDATA, failure)
        await request(account)
        assert since(limiter) == BEGAN
        clock.now += 60
    await request(account)
    assert since(limiter) is None
    await request(account)
    assert reported == [BEGAN, None]
    remove()
    simulator.fail(HOMESDATA, failure)
    await request(account)
    assert since(limiter) == clock.now
    assert reported == [BEGAN, None]


@pytest.mark.parametrize("failure", UNDECIDED, ids=str)
async def test_not_ended(
    account: Account, limiter: RateLimiter, clock: Clock, simulator: Simulator, failure: Failure
) -> None:
    """Nor begun: an outage, a short pause or a refused token say nothing about it."""
    simulator.fail(HOMESDATA, failure)
    await request(account)
    clock.now += 60
    assert since(limiter) is None
    limiter.note(RateLimitError(status=403, code=26))
    began = clock.now
    clock.now += 60
    for _ in range(2):
        simulator.fail(HOMESDATA, failure, times=2)
        await request(account)
        simulator.clear_failures()
        clock.now += 60
    assert since(limiter) == began


@pytest.mark.parametrize("failure", ACCEPTED, ids=str)
async def test_ended(
    account: Account, limiter: RateLimiter, simulator: Simulator, failure: Failure
) -> None:
    """By any verdict of the vendor's on the request itself."""
    limiter.note(RateLimitError(status=403, code=26))
    simulator.fail(HOMESDATA, failure)
    await request(account)
    assert since(limiter) is None


async def test_bursts_with_an_accepted_request_between(
    account: Account, limiter: RateLimiter, clock: Clock, simulator: Simulator
) -> None:
    """They are two."""
    home = home_of(simulator)
    for began in (BEGAN, BEGAN + 3600):
        clock.now = began
        simulator.fail(HOMESTATUS, usage_limit(), times=1)
        with pytest.raises(RateLimitError):
            await account.states(home.id)
        assert since(limiter) == began
        await request(account)
        assert since(limiter) is None


async def test_refusal_of_the_limiter_itself(account: Account, limiter: RateLimiter) -> None:
    """It is not the cloud's limit."""
    for _ in range(40):
        limiter.admit()
    with pytest.raises(RateLimitError):
        await account.topology()
    assert since(limiter) is None


async def test_limit_of_sign_ins(
    account: Account, limiter: RateLimiter, clock: Clock, simulator: Simulator
) -> None:
    """The token endpoint reports it, too; a new token is no accepted request."""
    simulator.fail(TOKEN, usage_limit())
    with pytest.raises(AuthRateLimitError):
        await account.auth.authenticate()
    assert since(limiter) == BEGAN
    clock.now += 60
    await account.auth.authenticate()
    assert since(limiter) == BEGAN
    await account.topology(urgent=True)
    assert since(limiter) is None


@pytest.mark.parametrize("code", [11, 2, 13, None, "too_many_connections"])
def test_other_codes(limiter: RateLimiter, code: int | str | None) -> None:
    """They are no usage limit, with or without a pause."""
    for retry_after in (None, 30.0):
        limiter.note(ApiError(status=429, code=code, retry_after=retry_after))
    assert since(limiter) is None
