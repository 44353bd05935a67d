"""Requests to a running socket: a new subscription, and sending a frame."""

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


async def test_first_subscription_serves_all_waiting_callers(auth: AuthHandler) -> None:
    """Connecting on demand subscribes once."""
    async with running(auth, obey) as (client, cloud):
        await asyncio.gather(client.socket.resubscribe(), client.socket.resubscribe())
        assert client.socket.state is SocketState.ONLINE
        await until(lambda: not client.socket._subscribe_now.is_set())
        assert len(cloud.lines[0].frames) <= 2


async def test_resubscription_uses_the_current_token(auth: AuthHandler) -> None:
    """On the same connection."""
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        before = cloud.lines[0].frames[-1]["access_token"]
        auth.invalidate(before)
        await client.socket.resubscribe()
        assert cloud.handshakes == 1
        assert cloud.lines[0].frames[-1]["access_token"] != before
        assert client.socket.state is SocketState.ONLINE


async def test_running_subscription_does_not_serve_later_callers(auth: AuthHandler) -> None:
    """Its token may have been refused since."""
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


async def test_caller_waits_for_the_end_of_an_outage(auth: AuthHandler) -> None:
    """A cancelled caller does not affect others."""
    async with running(auth, Refusal(status=503), answering("close"), obey) as (client, cloud):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await client.socket.resubscribe()
        await client.socket.resubscribe()
        assert cloud.handshakes == 3


async def test_refused_credentials_are_raised_to_waiting_callers(
    auth: AuthHandler, simulator: Simulator
) -> None:
    """Another attempt would not help."""
    async with running(auth, obey) as (client, _):
        await client.socket.resubscribe()
        simulator.change_password("another")
        await auth.wait_idle()
        auth.invalidate(await auth.get_access_token())
        with pytest.raises(InvalidCredentialsError):
            await client.socket.resubscribe()
        assert client.socket.state is SocketState.AUTH_FAILED


async def test_refused_tokens_are_raised_to_waiting_callers(auth: AuthHandler) -> None:
    """The new token is refused as well."""
    async with running(auth, answering(refused(2))) as (client, _):
        with pytest.raises(TokenRefusedError):
            await client.socket.resubscribe()


async def test_stop_is_raised_to_waiting_callers(auth: AuthHandler) -> None:
    """Nobody waits for a socket that has stopped."""
    client = Client(auth, "ws://127.0.0.1:1/ws/", STEADY)
    running = asyncio.create_task(client.socket.run())
    waiting = asyncio.create_task(client.socket.resubscribe())
    await until(lambda: client.socket.last_disconnect)
    running.cancel()
    with pytest.raises(NoAnswerError):
        await waiting
    with suppress(asyncio.CancelledError):
        await running


async def test_sent_frame_arrives_unchanged(auth: AuthHandler) -> None:
    """Including umlauts and numbers above 2^53."""
    frame = {"action": "rtc", "data": {"type": "player", "value": "ü"}, "n": 9223372036854770001}
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        await client.socket.send(frame)
        frames = cloud.lines[0].frames
        await until(lambda: frames[-1]["action"] == frame["action"])
        assert frames[-1] == frame


async def test_nothing_is_sent_without_a_subscription(auth: AuthHandler) -> None:
    """The error says that nothing was sent."""
    async with running(auth, answering(None)) as (client, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].frames)
        with pytest.raises(NoAnswerError) as caught:
            await client.socket.send({"action": "rtc"})
        assert not caught.value.sent
        assert len(cloud.lines[0].frames) == 1


@pytest.mark.parametrize("frame", [{"sdp": "\ud800"}, {"\udfff": 1}, {"n": 10**400}])
async def test_frame_that_cannot_be_encoded(auth: AuthHandler, frame: dict[str, object]) -> None:
    """It is not sent, and the connection stays."""
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        with pytest.raises(NoAnswerError) as raised:
            await client.socket.send(frame)
        assert not raised.value.sent
        assert client.socket.state is SocketState.ONLINE
        await client.socket.send({"number": 1})
        await until(lambda: cloud.lines[0].frames[-1] == {"number": 1})


async def test_connection_lost_before_sending(auth: AuthHandler) -> None:
    """The error says that nothing was written, although the socket has not noticed the loss."""
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        assert client.socket._socket is not None
        client.socket._socket._writer.transport.abort()
        with pytest.raises(NoAnswerError) as caught:
            await client.socket.send({"action": "rtc"})
        assert not caught.value.sent
        assert {frame["action"] for frame in cloud.lines[0].frames} == {"Subscribe"}


async def test_connection_lost_while_sending(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that the frame may have been sent: it waited for room in the buffer."""
    async with running(auth, obey) as (client, _):
        await client.socket.resubscribe()
        assert client.socket._socket is not None
        writer = client.socket._socket._writer
        monkeypatch.setattr(writer, "_limit", 0)
        monkeypatch.setattr(writer.protocol, "_paused", True)
        sending = asyncio.create_task(client.socket.send({"action": "rtc"}))
        await asyncio.sleep(0)
        writer.transport.abort()
        with pytest.raises(NoAnswerError) as caught:
            await sending
        assert caught.value.sent


async def test_frames_are_sent_while_a_refused_token_is_replaced(auth: AuthHandler) -> None:
    """The connection is the same: what belongs to a call must not be lost."""
    async with running(auth, obey) as (client, cloud):
        await client.socket.resubscribe()
        auth.invalidate(await auth.get_access_token())
        assert client.socket.state is SocketState.SUBSCRIBING
        await client.socket.send({"action": "rtc"})
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert {"action": "rtc"} in cloud.lines[0].frames


async def test_socket_can_run_again(auth: AuthHandler) -> None:
    """Connections on demand need that."""
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
