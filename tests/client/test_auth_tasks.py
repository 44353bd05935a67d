"""What remains after a renewal, and incomplete answers."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client import (
    AuthConnectionError,
    AuthError,
    AuthHandler,
    AuthServerError,
)
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from tests.simulator import Simulator

USES = ("get_access_token", "authenticate")
TAIL = 8  # characters; of a long text asyncio shows both ends


def grants(simulator: Simulator) -> list[str | None]:
    """Return the requested grants in order."""
    return [entry.grant for entry in simulator.journal.of(TOKEN)]


def running_tasks() -> list[str]:
    """Return the names of the client's running tasks."""
    return [task.get_name() for task in asyncio.all_tasks() if "bticino" in task.get_name()]


@pytest.mark.parametrize("use", USES)
async def test_debug_log_of_the_loop_shows_no_token(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture, use: str
) -> None:
    """In debug mode asyncio logs slow tasks with their results."""
    caplog.set_level(logging.DEBUG)
    auth.invalidate(await auth.get_access_token())
    loop = asyncio.get_running_loop()
    usual = loop.slow_callback_duration
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    try:
        await getattr(auth, use)()
    finally:
        loop.slow_callback_duration = usual
        loop.set_debug(False)
    assert "Executing <Task finished name='bticino" in caplog.text
    for token in (auth._access_token, auth._refresh_token):
        assert token
        assert token[-TAIL:] not in caplog.text


async def test_never_two_token_requests_at_once(auth: AuthHandler, simulator: Simulator) -> None:
    """Calls come in bursts before, during and after each answer; no task remains."""
    seen: list[list[str]] = []

    async def burst(tokens: dict[str, Any]) -> None:
        del tokens
        late = [asyncio.create_task(auth.get_access_token()) for _ in range(3)]
        await asyncio.sleep(0)
        seen.append(running_tasks())
        waiting.extend(late)

    waiting: list[asyncio.Task[str]] = []
    auth._token_callback = burst
    for _ in range(10):
        auth.invalidate(auth._access_token or "")
        await asyncio.gather(*(auth.get_access_token() for _ in range(5)))
        await asyncio.gather(*waiting)
    assert seen == [["bticino renew"]] * 10
    assert grants(simulator) == ["refresh_token"] * 10
    assert running_tasks() == []


async def test_callback_that_awaits_something_cancelled(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """That does not cancel the renewal: callers get the token."""

    async def save(_: dict[str, Any]) -> None:
        writing = asyncio.create_task(asyncio.sleep(60))
        writing.cancel()
        await writing

    auth._token_callback = save
    auth.invalidate(auth._access_token or "")
    tokens = await asyncio.gather(*(auth.get_access_token() for _ in range(3)))
    assert set(tokens) == {auth._access_token}
    assert auth.counters["failed_saves"] == 1
    assert "could not be saved: CancelledError" in caplog.text


async def test_task_that_is_cancelled_while_it_saves(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """The program ends: that is not a failed save, and the new tokens are stored."""
    called = asyncio.Event()

    async def save(_: dict[str, Any]) -> None:
        called.set()
        await asyncio.Event().wait()

    auth._token_callback = save
    auth.invalidate(auth._access_token or "")
    caller = asyncio.create_task(auth.get_access_token())
    await called.wait()
    auth._tasks["renew"].cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert caller.cancelled()
    assert auth.counters["failed_saves"] == 0
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator) == ["refresh_token"]


@pytest.mark.parametrize("empty", [None, ""])
async def test_refresh_whose_answer_has_an_empty_refresh_token(
    auth: AuthHandler, simulator: Simulator, empty: str | None
) -> None:
    """The old one is kept; a sign-in without one is an error."""
    old = auth._refresh_token
    body: dict[str, object] = {"access_token": "new", "refresh_token": empty}
    simulator.fail(TOKEN, Failure(body=body), times=2)
    auth.invalidate(auth._access_token or "")
    assert await auth.get_access_token() == "new"
    assert auth._refresh_token == old
    with pytest.raises(AuthConnectionError):
        await auth.authenticate()


async def test_empty_stored_refresh_token_is_not_sent(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """The password is used at once."""
    auth.set_tokens("stored", "", time.time() - 1)
    await auth.get_access_token()
    assert grants(simulator) == ["password"]
    assert simulator.violations == []


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 503])
@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
async def test_oauth_errors_for_an_outage(
    auth: AuthHandler, simulator: Simulator, use: str, error: str, status: int
) -> None:
    """With any status: there is no sign-in, and the refresh token is kept."""
    simulator.fail(TOKEN, Failure(error=error, status=status))
    auth.invalidate(auth._access_token or "")
    with pytest.raises(AuthError) as caught:
        await getattr(auth, use)()
    assert type(caught.value) is AuthServerError
    assert (caught.value.status, caught.value.code) == (status, error)
    simulator.journal.clear()
    assert simulator.account.token_error(await auth.get_access_token()) is None
    assert grants(simulator) == ["refresh_token"]
