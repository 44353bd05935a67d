"""Our own limit: what polling may use, what a person may, and the pauses that the cloud wants."""

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
from tests.client.signed_in import home_of, module_of, signed_in
from tests.simulator import Failure, concurrency, too_many, usage_limit
from tests.simulator.paths import HOMESDATA, SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

HALF_PAST = 1_790_001_000.0  # seconds since 1970, half an hour before a full one
TO_THE_HOUR = 1800.0


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the budget."""
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> RateLimiter:
    """A budget with the published limits."""
    return RateLimiter(clock=clock, wall_clock=lambda: HALF_PAST)


@pytest.fixture
async def account(
    simulator: Simulator, endpoints: Endpoints, budget: RateLimiter
) -> AsyncIterator[Account]:
    """Somebody who is signed in, with that budget."""
    async with signed_in(simulator, endpoints, limiter=budget) as account:
        yield account


def wait_of(budget: RateLimiter, *, urgent: bool = False) -> float:
    """Return how long the budget refuses; 0 if it admits, which counts as a request."""
    try:
        budget.admit(urgent=urgent)
    except RateLimitError as error:
        return error.retry_after or -1.0
    return 0.0


def fill(budget: RateLimiter, count: int, *, urgent: bool = False) -> None:
    """Send so many requests, all of them admitted."""
    assert [wait_of(budget, urgent=urgent) for _ in range(count)] == [0.0] * count


def test_published_limits() -> None:
    """50 in 10 s and 500 in an hour (protocol.md 3.3)."""
    assert LIMITS == ((50, 10.0), (500, 3600.0))


@pytest.mark.parametrize(("urgent", "count"), [(False, 40), (True, 50)])
def test_short_window(budget: RateLimiter, clock: Clock, *, urgent: bool, count: int) -> None:
    """Polling has 80 % of it, a person all; it opens when its first request has grown old."""
    fill(budget, count, urgent=urgent)
    assert wait_of(budget, urgent=urgent) == 10.0
    clock.now += 9.5
    assert wait_of(budget, urgent=urgent) == 0.5
    clock.now += 0.5
    fill(budget, 1, urgent=urgent)


@pytest.mark.parametrize(("urgent", "count"), [(False, 400), (True, 500)])
def test_long_window(budget: RateLimiter, clock: Clock, *, urgent: bool, count: int) -> None:
    """The hour counts as the ten seconds do."""
    for _ in range(count // 40):
        fill(budget, 40, urgent=urgent)
        clock.now += 10
    fill(budget, count % 40, urgent=urgent)
    passed = 10.0 * (count // 40)
    assert wait_of(budget, urgent=urgent) == 3600 - passed
    clock.now += 3600 - passed
    fill(budget, 1, urgent=urgent)


def test_person_at_the_door_after_the_polling(budget: RateLimiter) -> None:
    """Ten requests are left when routine has used up its share."""
    fill(budget, 40)
    assert wait_of(budget) > 0
    fill(budget, 10, urgent=True)
    assert wait_of(budget, urgent=True) > 0


def test_refusal_is_not_counted(budget: RateLimiter, clock: Clock) -> None:
    """Whoever asks in vain does not lengthen the wait."""
    fill(budget, 40)
    for _ in range(100):
        assert wait_of(budget) == 10.0
    clock.now += 10
    fill(budget, 40)


@pytest.mark.parametrize("code", [11, 26, "too_many_connections", None])
@pytest.mark.parametrize("urgent", [False, True])
def test_pause_that_the_cloud_names(
    budget: RateLimiter, clock: Clock, *, urgent: bool, code: int | str | None
) -> None:
    """It stops everybody, for as long as it says."""
    budget.note(RateLimitError(status=429, code=code, retry_after=30))
    assert wait_of(budget, urgent=urgent) == 30.0
    clock.now += 29
    assert wait_of(budget, urgent=urgent) == 1.0
    clock.now += 1
    fill(budget, 1, urgent=urgent)


def test_pause_has_an_end(budget: RateLimiter) -> None:
    """A cloud that asks for a week is asked again after an hour."""
    budget.note(RateLimitError(status=429, retry_after=7 * 86_400))
    assert wait_of(budget) == LONGEST_PAUSE == 3600


@pytest.mark.parametrize("status", [403, 429])
def test_usage_limit_lasts_to_the_full_hour(budget: RateLimiter, clock: Clock, status: int) -> None:
    """Code 26 without a pause: polling waits for the hour, a person may try."""
    budget.note(RateLimitError(status=status, code=26))
    assert wait_of(budget) == TO_THE_HOUR
    fill(budget, 1, urgent=True)
    clock.now += TO_THE_HOUR
    fill(budget, 1)


@pytest.mark.parametrize("code", [11, "too_many_connections", None])
def test_short_pause(budget: RateLimiter, clock: Clock, code: int | str | None) -> None:
    """Any other refusal without a pause is a short one, for polling."""
    budget.note(RateLimitError(status=429, code=code))
    assert wait_of(budget) == SHORT_PAUSE
    fill(budget, 1, urgent=True)
    clock.now += SHORT_PAUSE
    fill(budget, 1)


def test_short_pause_does_not_shorten_a_long_one(budget: RateLimiter) -> None:
    """The hour stays an hour."""
    budget.note(RateLimitError(status=429, code=26))
    budget.note(RateLimitError(status=429, code=11))
    assert wait_of(budget) == TO_THE_HOUR


def test_pause_is_not_shortened(budget: RateLimiter) -> None:
    """Of two answers that were under way together, the later one may name less."""
    for seconds in (60, 5):
        budget.note(RateLimitError(status=429, retry_after=seconds))
    assert wait_of(budget, urgent=True) == 60.0


def test_smallest_limit(clock: Clock) -> None:
    """Its share for polling is rounded down, but not to nothing."""
    budget = RateLimiter(limits=((1, 10.0),), clock=clock)
    fill(budget, 1)
    assert wait_of(budget) == 10.0
    clock.now += 10
    fill(budget, 1)


def test_longest_wait_counts(budget: RateLimiter) -> None:
    """A full window and a pause: both must be over."""
    fill(budget, 40)
    budget.note(RateLimitError(status=429, retry_after=4))
    assert wait_of(budget) == 10.0
    assert wait_of(budget, urgent=True) == 4.0


def test_budgets_of_one_account_each() -> None:
    """The usual budget has real clocks and admits a start."""
    fill(RateLimiter(), 4)


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
    """Neither a poll nor a door; then both."""
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


async def test_door_opens_during_a_pause_that_is_only_assumed(
    account: Account, simulator: Simulator
) -> None:
    """A person may try what polling may not, and gets the topology if it is urgent."""
    home = home_of(simulator)
    simulator.fail(HOMESDATA, concurrency())
    with pytest.raises(RateLimitError):
        await account.topology()
    with pytest.raises(RateLimitError):
        await account.states(home.id)
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    await account.topology(urgent=True)
    assert [entry.path for entry in simulator.journal] == [HOMESDATA, SETSTATE, HOMESDATA]


async def test_our_own_refusal_is_no_new_pause(
    account: Account, budget: RateLimiter, clock: Clock, simulator: Simulator
) -> None:
    """Asking again and again meanwhile does not push the end away."""
    fill(budget, 40)
    for _ in range(10):
        clock.now += 0.5
        with pytest.raises(RateLimitError):
            await account.topology()
    assert account.transport.counters == {"RateLimitError": 10}
    clock.now += 5.0
    await account.topology()
    assert simulator.journal.count() == 1


async def test_our_own_refusal_of_a_poll_stops_no_person(
    account: Account, budget: RateLimiter, simulator: Simulator
) -> None:
    """It is not taken for a pause that the cloud named."""
    home = home_of(simulator)
    fill(budget, 40)
    with pytest.raises(RateLimitError):
        await account.topology()
    await account.unlock(home, module_of(home, ModuleKind.DOOR))
    assert len(simulator.openings) == 1


async def test_repeat_after_a_refused_token_is_counted(
    account: Account, budget: RateLimiter, simulator: Simulator
) -> None:
    """Two requests are two."""
    simulator.refuse_access_tokens()
    await account.topology()
    fill(budget, 38)
    assert wait_of(budget) > 0


async def test_pause_of_a_sign_in_holds_for_requests(
    account: Account, budget: RateLimiter, simulator: Simulator
) -> None:
    """Sockets need tokens too: a refused renewal starts the pause without any request."""
    simulator.fail(TOKEN, too_many(retry_after=30))
    with pytest.raises(AuthRateLimitError):
        await account.auth.authenticate()
    assert wait_of(budget, urgent=True) == 30.0
