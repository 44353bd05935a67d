"""What becomes known about a token reaches every socket that is subscribed with it."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.auth import TokenEvent
from custom_components.bticino_classe.client.errors import AppClientRefusedError, AuthError
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.lines import obey
from tests.client.running import ONLINE, STEADY, running, until
from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Cloud
    from tests.simulator import Simulator

AGAIN = [SocketState.SUBSCRIBING, SocketState.ONLINE]


def tokens_of(cloud: Cloud) -> list[str]:
    """Return the tokens that were subscribed with, on all connections."""
    return [frame["access_token"] for line in cloud.lines for frame in line.frames]


async def test_refused_and_replaced_tokens_are_published(auth: AuthHandler) -> None:
    """Once for each token; a token that is not the current one is ignored."""
    events: list[TokenEvent] = []
    remove = auth.listen(events.append)
    old = await auth.get_access_token()
    auth.invalidate(old)
    auth.invalidate(old)
    assert events == [TokenEvent.REFUSED]
    await auth.get_access_token()
    auth.invalidate(old)
    assert events == [TokenEvent.REFUSED, TokenEvent.REPLACED]
    await auth.authenticate()
    auth.set_tokens("other", "pair")
    assert events[2:] == [TokenEvent.REPLACED, TokenEvent.SIGNED_IN, TokenEvent.REPLACED]
    remove()
    remove()
    auth.invalidate("other")
    assert len(events) == 5


@pytest.mark.parametrize("grant", ["refresh_token", "password"])
@pytest.mark.parametrize(
    ("failure", "is_client"),
    [
        (Failure(error="invalid_client"), True),
        (Failure(error="unauthorized_client", status=401), True),
        (Failure(error="invalid_scope"), False),
        (Failure(status=503, html=True), False),
        (Failure(code=26), False),
        (Failure(drop=True), False),
    ],
    ids=str,
)
async def test_refused_client_is_published(
    auth: AuthHandler, simulator: Simulator, failure: Failure, grant: str, *, is_client: bool
) -> None:
    """At each refusal, by a renewal or a sign-in; a new token shows that it is accepted again."""
    auth.invalidate(await auth.get_access_token())
    if grant == "password":
        auth._refresh_token = None
    events: list[TokenEvent] = []
    auth.listen(events.append)
    simulator.fail(TOKEN, failure, times=2)
    with pytest.raises(AuthError) as caught:
        await auth.get_access_token()
    simulator.clear_failures()
    assert isinstance(caught.value, AppClientRefusedError) is is_client
    assert events == [TokenEvent.CLIENT_REFUSED] * is_client
    await auth.authenticate()
    assert events[is_client:] == [TokenEvent.REPLACED, TokenEvent.SIGNED_IN]


async def test_refused_client_while_online(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscription stays, and the socket does not ask for a token again at once."""
    async with running(auth, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        auth._token_expires_at = auth._clock() + 30  # due for renewal
        simulator.retire_client()
        simulator.journal.clear()
        advance_loop(monkeypatch, HANG_TIMEOUT)
        await until(lambda: simulator.journal.count(TOKEN))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await until(lambda: simulator.journal.count(TOKEN) > 1)
        assert (client.states, cloud.handshakes) == (ONLINE, 1)


async def test_replaced_token_is_published_when_it_can_be_used(auth: AuthHandler) -> None:
    """The pair is saved by then."""
    found: list[str | None] = []
    auth.listen(lambda _: found.append(auth._valid_token()))
    await auth.authenticate()
    assert found == [await auth.get_access_token()] * 2


async def test_failed_listener_does_not_affect_tokens_or_other_listeners(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by its class, because its text could contain a token."""

    def fail(event: TokenEvent) -> None:
        raise ValueError(f"s3cret of {event}")

    events: list[TokenEvent] = []
    auth.listen(fail)
    auth.listen(events.append)
    old = await auth.get_access_token()
    auth.invalidate(old)
    assert await auth.get_access_token() != old
    assert events == [TokenEvent.REFUSED, TokenEvent.REPLACED]
    assert auth.counters["failed_listeners"] == 2
    assert "s3cret" not in caplog.text


async def test_socket_resubscribes_when_its_token_was_refused_elsewhere(auth: AuthHandler) -> None:
    """At once, on the same connection; until then it is not online."""
    async with running(auth, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        auth.invalidate(await auth.get_access_token())
        assert client.socket.state is SocketState.SUBSCRIBING
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert tokens_of(cloud)[1:] == [await auth.get_access_token()]
        assert client.states == ONLINE + AGAIN
        assert cloud.handshakes == 1


@pytest.mark.parametrize("way", ["authenticate", "renewal"])
async def test_socket_resubscribes_when_its_token_was_replaced(auth: AuthHandler, way: str) -> None:
    """At once and once; the old subscription lasts meanwhile."""
    async with running(auth, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        if way == "renewal":
            auth._token_expires_at = auth._clock() + 30  # due for renewal
            await auth.get_access_token()
        else:
            await auth.authenticate()
        await until(lambda: len(tokens_of(cloud)) == 2)
        await client.socket.resubscribe()  # a needless subscription would come before
        current = await auth.get_access_token()
        assert tokens_of(cloud)[1:] == [current, current]
        assert client.states == ONLINE


async def test_refusal_without_a_new_token_is_not_online(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """The token was refused, and the sign-in is out of order."""
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        simulator.fail(TOKEN, Failure(status=500), times=2)
        auth.invalidate(await auth.get_access_token())
        await until(lambda: SocketState.WAITING in client.states)
        assert client.states[3:5] == [SocketState.SUBSCRIBING, SocketState.WAITING]
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_subscription_whose_token_has_ended_is_not_online(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign-in was out of order from the time the token was due for renewal."""
    now = [1_790_000_000.0]
    auth._clock = lambda: now[0]
    token = await auth.get_access_token()
    auth.set_tokens(token, str(auth._refresh_token), now[0] + 100)
    async with running(auth, obey, keepalive=replace(STEADY, stable_after=60)) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        simulator.fail(TOKEN, Failure(status=500), times=10_000)
        for passed, attempts in ((41, 1), (58, 1)):
            now[0] += passed
            advance_loop(monkeypatch, passed)
            await until(lambda: simulator.journal.count(TOKEN) >= attempts)  # noqa: B023
            assert client.socket.state is SocketState.ONLINE
        now[0] += 2
        advance_loop(monkeypatch, 2)
        await until(lambda: client.socket.state is not SocketState.ONLINE)
        simulator.clear_failures()
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_renewal_that_hangs_does_not_keep_an_ended_subscription_online(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the token does not wait for the answer."""
    now = [1_790_000_000.0]
    auth._clock = lambda: now[0]
    auth.set_tokens(await auth.get_access_token(), str(auth._refresh_token), now[0] + 30)
    auth.endpoints = replace(auth.endpoints, timeout=3600)
    answer = asyncio.Event()
    async with running(auth, obey) as (client, _):
        simulator.fail(TOKEN, Failure(until=answer), times=2)
        auth._margin = 0
        await until(lambda: client.socket.state is SocketState.ONLINE)
        auth._margin = 60
        resubscription = asyncio.create_task(client.socket.resubscribe())
        await until(lambda: simulator.journal.count(TOKEN))
        assert client.socket.state is SocketState.ONLINE
        advance_loop(monkeypatch, 30)
        await until(lambda: client.socket.state is not SocketState.ONLINE)
        answer.set()
        await resubscription


async def test_socket_that_waits_for_a_token_continues_with_the_next_one(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """Without waiting for the end of the pause."""
    simulator.fail(TOKEN, Failure(status=500))
    auth.invalidate(await auth.get_access_token())
    async with running(auth, obey) as (client, _):
        client.backoff.first = client.backoff.longest = 3600
        await until(lambda: client.socket.state is SocketState.WAITING)
        await auth.get_access_token()
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_stopped_socket_no_longer_listens(auth: AuthHandler) -> None:
    """A handler may outlive its sockets."""
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)
    auth.invalidate(await auth.get_access_token())
    assert client.socket.state is SocketState.STOPPED
    assert auth._listeners._listeners == []
