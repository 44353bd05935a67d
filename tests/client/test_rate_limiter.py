"""The rate limiter: limits for routine and urgent requests, pauses the cloud asks for."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client import (
    Account,
    AuthRateLimitError,
    ModuleKind,
    RateLimiter,
    RateLimitError,
)
from custom_components.bticino_classe.client.rate_limiter import LIMITS, LONGEST_PAUSE, SHORT_PAUSE
from tests.client.clocks import Clock
from tests.client.signed_in import home_of, module_of, signed_in
from tests.simulator import Failure, concurrency, too_many, usage_limit
from tests.simulator.paths import HOMESDATA, SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

HALF_PAST = 1_790_001_000.0  # seconds since 1970, half an hour before a full one
TO_THE_HOUR = 1800.0


@pytest.fixture
def clock() -> Clock:
    """The limiter's clock."""
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    """A limiter with the published limits."""
    return RateLimiter(clock=clock, wall_clock=lambda: HALF_PAST)


@pytest.fixture
async def account(
    simulator: Simulator, endpoints: Endpoints, limiter: RateLimiter
) -> AsyncIterator[Account]:
    """An account that uses the limiter."""
    async with signed_in(simulator, endpoints, limiter=limiter) as account:
        yield account


def wait_of(limiter: RateLimiter, *, urgent: bool = False) -> float:
    """Return how long the limiter refuses; 0 if it admits and counts a request."""
    try:
        limiter.admit(urgent=urgent)
    except RateLimitError as error:
        return error.retry_after or -1.0
    return 0.0


def fill(limiter: RateLimiter, count: int, *, urgent: bool = False) -> None:
    """Send this many requests; all must be admitted."""
    assert [wait_of(limiter, urgent=urgent) for _ in range(count)] == [0.0] * count


def test_published_limits() -> None:
    """50 in 10 s and 500 in an hour (protocol.md 3.3)."""
    assert LIMITS == ((50, 10.0), (500, 3600.0))


@pytest.mark.parametrize(("urgent", "count"), [(False, 40), (True, 50)])
def test_short_window(limiter: RateLimiter, clock: Clock, *, urgent: bool, count: int) -> None:
    """Routine requests have 80 %, urgent ones all, of the requests within the last ten seconds."""
    fill(limiter, count, urgent=urgent)
    assert wait_of(limiter, urgent=urgent) == 10.0
    clock.now += 9.5
    assert wait_of(limiter, urgent=urgent) == 0.5
    clock.now += 0.5
    fill(limiter, 1, urgent=urgent)


@pytest.mark.parametrize(("urgent", "count"), [(False, 400), (True, 500)])
def test_long_window(limiter: RateLimiter, clock: Clock, *, urgent: bool, count: int) -> None:
    """The same for the hour."""
    for _ in range(count // 40):
        fill(limiter, 40, urgent=urgent)
        clock.now += 10
    fill(limiter, count % 40, urgent=urgent)
    passed = 10.0 * (count // 40)
    assert wait_of(limiter, urgent=urgent) == 3600 - passed
    clock.now += 3600 - passed
    fill(limiter, 1, urgent=urgent)


def test_urgent_requests_after_the_routine_share_is_used(limiter: RateLimiter) -> None:
    """Ten requests are left for people."""
    fill(limiter, 40)
    assert wait_of(limiter) > 0
    fill(limiter, 10, urgent=True)
    assert wait_of(limiter, urgent=True) > 0


def test_refusal_is_not_counted(limiter: RateLimiter, clock: Clock) -> None:
    """Refused requests do not extend the wait."""
    fill(limiter, 40)
    for _ in range(100):
        assert wait_of(limiter) == 10.0
    clock.now += 10
    fill(limiter, 40)


@pytest.mark.parametrize("code", [11, 26, "too_many_connections", None])
@pytest.mark.parametrize("urgent", [False, True])
def test_pause_named_by_the_cloud(
    limiter: RateLimiter, clock: Clock, *, urgent: bool, code: int | str | None
) -> None:
    """It applies to all requests."""
    limiter.note(RateLimitError(status=429, code=code, retry_after=30))
    assert wait_of(limiter, urgent=urgent) == 30.0
    clock.now += 29
    assert wait_of(limiter, urgent=urgent) == 1.0
    clock.now += 1
    fill(limiter, 1, urgent=urgent)


def test_longest_pause(limiter: RateLimiter) -> None:
    """If the cloud asks for a week, the pause is an hour."""
    limiter.note(RateLimitError(status=429, retry_after=7 * 86_400))
    assert wait_of(limiter) == LONGEST_PAUSE == 3600


@pytest.mark.parametrize("status", [403, 429])
def test_usage_limit_lasts_until_the_next_hour(
    limiter: RateLimiter, clock: Clock, status: int
) -> None:
    """Code 26 without a pause stops routine requests only."""
    limiter.note(RateLimitError(status=status, code=26))
    assert wait_of(limiter) == TO_THE_HOUR
    fill(limiter, 1, urgent=True)
    clock.now += TO_THE_HOUR
    fill(limiter, 1)


@pytest.mark.parametrize("code", [11, "too_many_connections", None])
def test_short_pause(limiter: RateLimiter, clock: Clock, code: int | str | None) -> None:
    """Other refusals without a pause stop routine requests briefly."""
    limiter.note(RateLimitError(status=429, code=code))
    assert wait_of(limiter) == SHORT_PAUSE
    fill(limiter, 1, urgent=True)
    clock.now += SHORT_PAUSE
    fill(limiter, 1)


def test_short_pause_does_not_shorten_a_long_one(limiter: RateLimiter) -> None:
    """The usage limit still lasts until the next hour."""
    limiter.note(RateLimitError(status=429, code=26))
    limiter.note(RateLimitError(status=429, code=11))
    assert wait_of(limiter) == TO_THE_HOUR


def test_error_of_the_limiter_itself_starts_no_pause(limiter: RateLimiter) -> None:
    """It has no status."""
    limiter.note(RateLimitError(retry_after=30))
    fill(limiter, 1)


def test_pause_is_not_shortened(limiter: RateLimiter) -> None:
    """A later answer can name a shorter pause."""
    for seconds in (60, 5):
        limiter.note(RateLimitError(status=429, retry_after=seconds))
    assert wait_of(limiter, urgent=True) == 60.0


def test_smallest_limit(clock: Clock) -> None:
    """The routine share is rounded down, but at least one."""
    limiter = RateLimiter(limits=((1, 10.0),), clock=clock)
    fill(limiter, 1)
    assert wait_of(limiter) == 10.0
    clock.now += 10
    fill(limiter, 1)


def test_longest_wait_counts(limiter: RateLimiter) -> None:
    """Both the window and the pause must have ended."""
    fill(limiter, 40)
    limiter.note(RateLimitError(status=429, retry_after=4))
    assert wait_of(limiter) == 10.0
    assert wait_of(limiter, urgent=True) == 4.0


def test_default_clocks() -> None:
    """Without clocks of a test, it uses real ones."""
    limiter = RateLimiter(limits=((4, 3600.0),))
    fill(limiter, 4, urgent=True)
    assert 0 < wait_of(limiter, urgent=True) <= 3600


@pytest.mark.parametrize(
    "failure",
    [
        too_many(retry_after=30),
        usage_limit(retry_after=30),
        usage_limit(status=429, retry_after=30),
    ],
    ids=str,
)
async def test_nothing_is_sent_until_the_pause_is_over(
    account: Account, simulator: Simulator, clock: Clock, failure: Failure
) -> None:
    """Neither routine requests nor commands; afterwards both."""
    home = home_of(simulator)
    door = module_of(home, ModuleKind.DOOR)
    simulator.fail(HOMESDATA, failure)
    with pytest.raises(RateLimitError):
        await account.topology()
    for passed, left in ((0.0, 30.0), (29.0, 1.0)):
        clock.now += passed
        for ask in (account.topology(), account.unlock(home, door)):
            with pytest.raises(RateLimitError) as caught:
                await ask
            assert (caught.value.status, caught.value.retry_after) == (None, left)
    assert simulator.journal.count() == 1
    clock.now += 1.0
    await account.topology()
    await account.unlock(home, door)
    assert [entry.path for entry in simulator.journal] == [HOMESDATA, HOMESDATA, SETSTATE]


async def test_door_opens_during_a_pause_the_cloud_did_not_name(
    account: Account, simulator: Simulator
) -> None:
    """Urgent requests are allowed."""
    home = home_of(simulator)
    simulator.fail(HOMESDATA, concurrency())
    with pytest.raises(RateLimitError):
        await account.topology()
    with pytest.raises(RateLimitError):
        await account.states(home.id)
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    await account.topology(urgent=True)
    assert [entry.path for entry in simulator.journal] == [HOMESDATA, SETSTATE, HOMESDATA]


async def test_refusal_of_the_limiter_starts_no_pause(
    account: Account, limiter: RateLimiter, clock: Clock, simulator: Simulator
) -> None:
    """Further requests do not postpone the end."""
    fill(limiter, 40)
    for _ in range(10):
        clock.now += 0.5
        with pytest.raises(RateLimitError):
            await account.topology()
    assert account.transport.counters == {"RateLimitError": 10}
    clock.now += 5.0
    await account.topology()
    assert simulator.journal.count() == 1


async def test_refusal_of_a_routine_request_does_not_stop_urgent_ones(
    account: Account, limiter: RateLimiter, simulator: Simulator
) -> None:
    """It does not count as a pause of the cloud."""
    home = home_of(simulator)
    fill(limiter, 40)
    with pytest.raises(RateLimitError):
        await account.topology()
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    assert len(simulator.openings) == 1


async def test_repeat_after_a_refused_token_is_counted(
    account: Account, limiter: RateLimiter, simulator: Simulator
) -> None:
    """Both requests count."""
    simulator.refuse_access_tokens()
    await account.topology()
    fill(limiter, 38)
    assert wait_of(limiter) > 0


async def test_pause_of_a_sign_in_applies_to_requests(
    account: Account, limiter: RateLimiter, simulator: Simulator
) -> None:
    """Sockets renew tokens too; their pauses are recorded without a request."""
    simulator.fail(TOKEN, too_many(retry_after=30))
    with pytest.raises(AuthRateLimitError):
        await account.auth.authenticate()
    assert wait_of(limiter, urgent=True) == 30.0
