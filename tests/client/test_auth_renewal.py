"""Renewals: concurrent callers, cancellation, the callback."""

import asyncio
from contextlib import suppress
from dataclasses import replace
import gc
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.errors import AuthServerError
from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

LATE = Failure(executed=True, delay=0.05)


class Saver:
    """A callback that can be slow or fail."""

    def __init__(self) -> None:
        self.tokens: list[dict[str, Any]] = []
        self.called = asyncio.Event()
        self.steps = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fails = False

    async def __call__(self, tokens: dict[str, Any]) -> None:
        """Take new tokens."""
        self.tokens.append(dict(tokens))
        self.called.set()
        for _ in range(self.steps):
            await asyncio.sleep(0)
        await self.go_on.wait()
        if self.fails:
            raise ValueError(tokens["access_token"], tokens["refresh_token"])


@pytest.fixture
def saver() -> Saver:
    """The callback of the handler."""
    return Saver()


@pytest.fixture
async def auth(
    simulator: Simulator, endpoints: Endpoints, saver: Saver
) -> AsyncIterator[AuthHandler]:
    """A handler with an expired access token; no task may be left at the end."""
    async with aiohttp.ClientSession() as session:
        handler = AuthHandler(
            simulator.email,
            simulator.password,
            session=session,
            token_callback=saver,
            endpoints=endpoints,
        )
        pair = simulator.account.log_in()
        handler.set_tokens(str(pair["access_token"]), str(pair["refresh_token"]))
        yield handler
        await handler.wait_idle()
        assert running_tasks() == set()


def running_tasks() -> set[str]:
    """Return the names of the client's running tasks."""
    return {task.get_name() for task in asyncio.all_tasks() if "bticino" in task.get_name()}


def grants(simulator: Simulator) -> list[str | None]:
    """Return the requested grants in order."""
    return [entry.grant for entry in simulator.journal.of(TOKEN)]


async def step(count: int = 1) -> None:
    """Let the event loop run this many iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_many_callers_cause_one_request(auth: AuthHandler, simulator: Simulator) -> None:
    """200 callers with an expired token share one refresh."""
    tokens = await asyncio.gather(*(auth.get_access_token() for _ in range(200)))
    assert grants(simulator) == ["refresh_token"]
    assert set(tokens) == {auth._access_token}
    assert simulator.account.token_error(tokens[0]) is None


async def test_concurrent_sign_ins_are_one(auth: AuthHandler, simulator: Simulator) -> None:
    """Each sign-in sends the owner an e-mail."""
    await asyncio.gather(*(auth.authenticate() for _ in range(50)))
    assert grants(simulator) == ["password"]


async def test_sign_in_waits_for_a_running_refresh(auth: AuthHandler, simulator: Simulator) -> None:
    """They never overlap; the tokens of the later one are stored."""
    simulator.fail(TOKEN, LATE)
    refresh = asyncio.create_task(auth.get_access_token())
    await simulator.journal.wait_for(TOKEN)
    await auth.authenticate()
    assert grants(simulator) == ["refresh_token", "password"]
    assert await refresh != auth._access_token
    assert simulator.account.token_error(await auth.get_access_token()) is None


async def test_caller_waits_for_a_running_sign_in(auth: AuthHandler, simulator: Simulator) -> None:
    """It needs no refresh afterwards."""
    simulator.fail(TOKEN, LATE)
    login = asyncio.create_task(auth.authenticate())
    await simulator.journal.wait_for(TOKEN)
    token = await auth.get_access_token()
    await login
    assert token == auth._access_token
    assert grants(simulator) == ["password"]


@pytest.mark.parametrize("use", ["get_access_token", "authenticate"])
async def test_all_waiters_share_one_failure(
    auth: AuthHandler, simulator: Simulator, use: str
) -> None:
    """Only the next caller tries again."""
    simulator.fail(TOKEN, Failure(status=503, html=True))
    calls = [getattr(auth, use)() for _ in range(50)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in outcomes} == {AuthServerError}
    assert simulator.journal.count(TOKEN) == 1
    await getattr(auth, use)()
    assert simulator.journal.count(TOKEN) == 2


@pytest.mark.parametrize(
    ("late", "steps"),
    [(None, 0), (LATE, 0), (None, 30)],
    ids=["quick", "late answer", "slow callback"],
)
async def test_cancelled_caller_loses_nothing(
    auth: AuthHandler, simulator: Simulator, saver: Saver, late: Failure | None, steps: int
) -> None:
    """At any point: one refresh, no sign-in, no refresh token used twice."""
    saver.steps = steps
    in_time = []
    for count in range(60):
        simulator.journal.clear()
        if late:
            simulator.fail(TOKEN, replace(late, delay=0.01))
        caller = asyncio.create_task(auth.get_access_token())
        await step(count)
        in_time.append(caller.cancel())
        with suppress(asyncio.CancelledError):
            await caller
        token = await auth.get_access_token()
        assert grants(simulator) == ["refresh_token"], count
        assert saver.tokens[-1]["access_token"] == token
        assert len(saver.tokens) == count + 1
        auth.invalidate(token)
    assert in_time[0]
    assert late or not in_time[-1]  # so the steps led through the whole of the flight
    assert simulator.account.live_families() == 1
    assert simulator.account.token_error(token) is None


async def test_renewal_continues_when_all_callers_are_cancelled(
    auth: AuthHandler, simulator: Simulator, saver: Saver
) -> None:
    """The new tokens are stored and saved before the next call."""
    simulator.fail(TOKEN, LATE)
    callers = [asyncio.create_task(auth.get_access_token()) for _ in range(3)]
    await simulator.journal.wait_for(TOKEN)
    for caller in callers:
        caller.cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(each) for each in outcomes} == {asyncio.CancelledError}
    await auth.wait_idle()
    assert simulator.account.token_error(saver.tokens[0]["access_token"]) is None
    assert saver.tokens[0]["access_token"] == auth._access_token


async def test_cancelled_caller_does_not_affect_others(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """Even if it started the renewal."""
    simulator.fail(TOKEN, LATE)
    first, *others = [asyncio.create_task(auth.get_access_token()) for _ in range(5)]
    await simulator.journal.wait_for(TOKEN)
    first.cancel()
    assert set(await asyncio.gather(*others)) == {auth._access_token}
    assert first.cancelled()


async def test_error_of_cancelled_callers_is_not_reported_to_the_loop(
    auth: AuthHandler, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The exception counts as retrieved."""
    simulator.fail(TOKEN, Failure(status=503, delay=0.02))
    caller = asyncio.create_task(auth.get_access_token())
    await simulator.journal.wait_for(TOKEN)
    caller.cancel()
    await auth.wait_idle()
    await step(3)
    assert caller.cancelled()
    # Only a task that nobody holds any more is reported.
    auth._tasks.clear()
    del caller
    gc.collect()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_task_that_is_cancelled_at_exit(
    auth: AuthHandler, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller is cancelled too; nothing hangs or is reported."""
    simulator.fail(TOKEN, Failure(until=asyncio.Event()))
    caller = asyncio.create_task(auth.get_access_token())
    await simulator.journal.wait_for(TOKEN)
    auth._tasks["renew"].cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert caller.cancelled()
    assert "ERROR" not in caplog.text
    assert simulator.account.token_error(await auth.get_access_token()) is None


@pytest.mark.parametrize("wait", ["wait_idle", "close_session"])
async def test_wait_idle_waits_for_running_tasks(
    auth: AuthHandler, simulator: Simulator, wait: str
) -> None:
    """A refresh and the sign-in after it have ended then, whatever their outcome."""
    simulator.fail(TOKEN, replace(LATE, status=503))
    simulator.fail(TOKEN, LATE)
    calls = (auth.get_access_token(), auth.authenticate())
    callers = [asyncio.create_task(call) for call in calls]
    await simulator.journal.wait_for(TOKEN)
    assert running_tasks() == {"bticino renew", "bticino login"}
    await getattr(auth, wait)()
    assert running_tasks() == set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(each) for each in outcomes] == [AuthServerError, type(None)]


async def test_wait_idle_without_tasks_returns_at_once(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """It sends no request."""
    await auth.wait_idle()
    assert simulator.journal.count(TOKEN) == 0
    await auth.get_access_token()
    count = simulator.journal.count(TOKEN)
    await auth.wait_idle()
    assert simulator.journal.count(TOKEN) == count


@pytest.mark.parametrize("use", ["get_access_token", "authenticate"])
async def test_token_is_saved_before_callers_get_it(
    auth: AuthHandler, simulator: Simulator, saver: Saver, use: str
) -> None:
    """Callers wait while the callback runs."""
    saver.go_on.clear()
    first = asyncio.create_task(getattr(auth, use)())
    await saver.called.wait()
    late = [asyncio.create_task(auth.get_access_token()) for _ in range(5)]
    await step(50)
    assert not any(caller.done() for caller in (first, *late))
    saver.go_on.set()
    assert set(await asyncio.gather(*late)) == {saver.tokens[0]["access_token"]}
    await first
    assert simulator.journal.count(TOKEN) == 1


@pytest.mark.parametrize("use", ["get_access_token", "authenticate"])
async def test_callback_can_get_the_new_token(
    auth: AuthHandler, simulator: Simulator, use: str
) -> None:
    """It gets the new token at once."""
    seen: list[tuple[str, str]] = []

    async def ask(tokens: dict[str, Any]) -> None:
        seen.append((tokens["access_token"], await auth.get_access_token()))

    auth._token_callback = ask
    await getattr(auth, use)()
    assert seen == [(auth._access_token, auth._access_token)]
    assert simulator.journal.count(TOKEN) == 1
    assert auth.counters["failed_saves"] == 0


async def test_callback_can_change_its_argument(auth: AuthHandler) -> None:
    """The handler's tokens do not change."""

    async def spoil(tokens: dict[str, Any]) -> None:
        tokens.clear()

    auth._token_callback = spoil
    assert await auth.get_access_token() == auth._access_token


@pytest.mark.parametrize(("fails", "logged"), [(True, "ValueError"), (False, "TimeoutError")])
async def test_callback_that_fails_loses_nothing(
    auth: AuthHandler,
    simulator: Simulator,
    saver: Saver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    fails: bool,
    logged: str,
) -> None:
    """An exception or a time-out is logged without secrets, and the new tokens are used."""
    caplog.set_level(logging.DEBUG)
    saver.fails = fails
    if not fails:
        saver.go_on.clear()

    async def renew() -> str:
        saver.called.clear()
        renewal = asyncio.create_task(auth.get_access_token())
        await saver.called.wait()
        if not fails:
            advance_loop(monkeypatch, HANG_TIMEOUT)
        return await renewal

    token = await renew()
    assert await auth.get_access_token() == token == saver.tokens[0]["access_token"]
    auth.invalidate(token)
    await renew()
    assert grants(simulator) == ["refresh_token", "refresh_token"]
    assert auth.counters["failed_saves"] == 2
    assert f"could not be saved: {logged}" in caplog.text
    for tokens in saver.tokens:
        assert tokens["access_token"] not in caplog.text
        assert tokens["refresh_token"] not in caplog.text


async def test_callers_behind_a_failing_callback_get_the_token(
    auth: AuthHandler, saver: Saver
) -> None:
    """The new token is valid, saved or not."""
    saver.go_on.clear()
    saver.fails = True
    first = asyncio.create_task(auth.get_access_token())
    await saver.called.wait()
    late = asyncio.create_task(auth.get_access_token())
    await step(10)
    saver.go_on.set()
    assert await first == await late == auth._access_token
    assert len(saver.tokens) == 1
