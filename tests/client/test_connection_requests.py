"""What can be asked of a socket that runs: a subscription of now, and to send something."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import (
    InvalidCredentialsError,
    NoAnswerError,
    TokenRefusedError,
)
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.lines import Cloud, Line, Refusal, answering, obey, refused
from tests.client.running import STEADY, Client, running, until

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.simulator import Simulator


async def test_first_subscription_serves_whoever_came_before_it(auth: AuthHandler) -> None:
    """Connecting on demand asks the cloud once, however many wait."""
    async with running(auth, obey) as (client, cloud):
        await asyncio.gather(client.socket.resubscribe(), client.socket.resubscribe())
        assert client.socket.state is SocketState.ONLINE
        await until(lambda: not client.socket._subscribe_now.is_set())
        assert len(cloud.lines[0].frames) <= 2


async def test_subscription_of_now_uses_the_token_of_now(auth: AuthHandler) -> None:
    """The old subscription may have died with its token; the line stays the same."""
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        before = cloud.lines[0].frames[-1]["access_token"]
        auth.invalidate(before)
        await client.socket.resubscribe()
        assert cloud.handshakes == 1
        assert cloud.lines[0].frames[-1]["access_token"] != before
        assert client.socket.state is SocketState.ONLINE


async def test_subscription_under_way_is_not_taken_for_one_of_now(auth: AuthHandler) -> None:
    """It may have begun with a token that is refused since."""
    go_on = asyncio.Event()

    async def slow(line: Line) -> None:
        await line.receive()
        await go_on.wait()
        await line.send({"status": "ok"})
        await obey(line)

    async with running(auth, slow) as (client, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].frames)
        waiting = asyncio.create_task(client.socket.resubscribe())
        await asyncio.sleep(0)
        go_on.set()
        await waiting
        assert len(cloud.lines[0].frames) == 2


async def test_whoever_waits_outlasts_an_outage(auth: AuthHandler) -> None:
    """How long is the caller's own matter, and one who has gone costs nobody anything."""
    async with running(auth, Refusal(status=503), answering("close"), obey) as (client, cloud):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await client.socket.resubscribe()
        await client.socket.resubscribe()
        assert cloud.handshakes == 3


async def test_refused_credentials_are_said_to_whoever_waits(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """No new try can help them."""
    async with running(auth, obey) as (client, _):
        await client.socket.resubscribe()
        simulator.change_password("another")
        await auth.wait_idle()
        auth.invalidate(await auth.get_access_token())
        with pytest.raises(InvalidCredentialsError):
            await client.socket.resubscribe()
        assert client.socket.state is SocketState.AUTH_FAILED


async def test_refused_tokens_are_said_to_whoever_waits(auth: AuthHandler) -> None:
    """A new one is refused as well."""
    async with running(auth, answering(refused(2), refused(2))) as (client, _):
        with pytest.raises(TokenRefusedError):
            await client.socket.resubscribe()


async def test_end_is_said_to_whoever_waits(auth: AuthHandler) -> None:
    """Nobody waits for a socket that runs no longer."""
    client = Client(auth, "ws://127.0.0.1:1/ws/", STEADY)
    running = asyncio.create_task(client.socket.run())
    waiting = asyncio.create_task(client.socket.resubscribe())
    await until(lambda: client.socket.last_disconnect)
    running.cancel()
    with pytest.raises(NoAnswerError):
        await waiting
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_sent_arrives_as_it_is(auth: AuthHandler) -> None:
    """Umlauts and numbers beyond a double's too."""
    frame = {"action": "rtc", "data": {"type": "player", "value": "ü"}, "n": 9223372036854770001}
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        await client.socket.send(frame)
        await until(lambda: frame in cloud.lines[0].frames)


async def test_nothing_is_sent_without_a_subscription(auth: AuthHandler) -> None:
    """The caller learns that the cloud has certainly not seen it."""
    async with running(auth, answering(None)) as (client, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].frames)
        with pytest.raises(NoAnswerError) as caught:
            await client.socket.send({"action": "rtc"})
        assert not caught.value.sent
        assert len(cloud.lines[0].frames) == 1


async def test_line_that_breaks_while_something_is_sent(auth: AuthHandler) -> None:
    """The caller learns that the cloud may have seen it."""
    async with running(auth, obey) as (client, _):
        await client.socket.resubscribe()
        assert client.socket._socket is not None
        client.socket._socket._writer.transport.abort()
        with pytest.raises(NoAnswerError) as caught:
            await client.socket.send({"action": "rtc"})
        assert caught.value.sent


async def test_socket_can_run_again(auth: AuthHandler) -> None:
    """On demand means now and then."""
    async with Cloud(obey) as cloud:
        client = Client(auth, cloud.url, STEADY)
        for handshakes in (1, 2):
            task = asyncio.create_task(client.socket.run())
            await client.socket.resubscribe()
            assert cloud.handshakes == handshakes
            client.socket.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert client.socket.state is SocketState.STOPPED
