"""A subscription whose token is refused: distinct tokens are counted, not frames."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import TokenRefusedError
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.lines import Line, Script, answering, obey, refused
from tests.client.running import running, until
from tests.conftest import advance_loop

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler

MINUTES = (1, 5, 15, 60, 60)


async def refuse_twice(line: Line) -> None:
    """Refuse the first subscription with two frames."""
    await line.receive()
    await line.send(refused(2))
    await line.send(refused(2))
    await obey(line)


async def refuse_later(line: Line) -> None:
    """Confirm the subscription, and refuse its token afterwards, twice."""
    await line.receive()
    await line.send({"status": "ok"})
    await line.send(refused(3))
    await line.send(refused(3))
    await obey(line)


async def refuse_always(line: Line) -> None:
    """Refuse every subscription."""
    while True:
        await line.receive()
        await line.send(refused(2))


@pytest.mark.parametrize("first", [refuse_twice, refuse_later, answering(refused(2))])
async def test_any_number_of_refusals_of_one_token_costs_no_pause(
    auth: AuthHandler, first: Script
) -> None:
    """The next token is tried at once."""
    async with running(auth, first, obey) as (client, cloud):
        client.backoff.first = client.backoff.longest = 3600
        await until(lambda: len(cloud.lines) == 2 and client.socket.state is SocketState.ONLINE)
        tokens = {frame["access_token"] for line in cloud.lines for frame in line.frames}
        assert len(tokens) == 2
        assert SocketState.AUTH_FAILED not in client.states


@pytest.mark.parametrize("first", [refuse_twice, refuse_later, answering(refused(2))])
async def test_refused_new_token_is_followed_by_a_minute(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch, first: Script
) -> None:
    """It is no refusal of the credentials."""
    async with running(auth, first, refuse_always, obey) as (client, cloud):
        client.draw = 0.0
        await until(lambda: len(cloud.lines) == 2 and client.socket.state is SocketState.WAITING)
        advance_loop(monkeypatch, 59)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await until(lambda: len(cloud.lines) > 2)
        advance_loop(monkeypatch, 2)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert SocketState.AUTH_FAILED not in client.states


@pytest.mark.parametrize("draw", [0.0, 1.0])
async def test_pauses_after_refused_new_tokens_grow(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch, draw: float
) -> None:
    """1, 5, 15 and 60 minutes, up to a tenth less; one new token for each attempt."""
    async with running(auth, refuse_always) as (client, cloud):
        client.draw = draw
        for attempts, minutes in enumerate(MINUTES, start=2):
            await until(
                lambda: (
                    len(cloud.lines) == attempts  # noqa: B023 - called at once
                    and client.socket.state is SocketState.WAITING
                )
            )
            advance_loop(monkeypatch, minutes * 60 * (1 - draw / 10) + 0.1)
        tokens = [frame["access_token"] for line in cloud.lines for frame in line.frames]
        assert len(tokens) == len(set(tokens))
        assert SocketState.AUTH_FAILED not in client.states


async def test_accepted_token_ends_the_count(auth: AuthHandler) -> None:
    """The next refusal costs no pause again."""
    old = answering({"status": "ok"}, refused(2))
    async with running(auth, old, old, old, obey) as (client, cloud):
        for lines in (1, 2, 3):
            await until(
                lambda: len(cloud.lines) == lines and client.socket.state is SocketState.ONLINE  # noqa: B023
            )
            client.backoff.reset()
            auth.invalidate(await auth.get_access_token())
        await until(lambda: len(cloud.lines) == 4 and client.socket.state is SocketState.ONLINE)


async def test_caller_passes_the_pause_and_fails_at_once(auth: AuthHandler) -> None:
    """A person who opens the camera is worth another attempt."""
    async with running(auth, refuse_always, refuse_always, refuse_always, obey) as (client, cloud):
        await until(lambda: len(cloud.lines) == 2 and client.socket.state is SocketState.WAITING)
        with pytest.raises(TokenRefusedError):
            await client.socket.resubscribe()
        await client.socket.resubscribe()
        assert client.socket.state is SocketState.ONLINE


async def test_sign_in_of_a_person_passes_the_pause(auth: AuthHandler) -> None:
    """A token that was merely renewed does not."""
    async with running(auth, refuse_always, refuse_always, obey) as (client, cloud):
        await until(lambda: len(cloud.lines) == 2 and client.socket.state is SocketState.WAITING)
        await auth.get_access_token()
        assert client.socket.state is SocketState.WAITING
        await auth.authenticate()
        await until(lambda: client.socket.state is SocketState.ONLINE)
