"""Whether pushes may have been lost before a subscription."""

from dataclasses import replace
from typing import TYPE_CHECKING

from custom_components.bticino_classe.client.websocket.connection import ReconnectingSocket
from custom_components.bticino_classe.client.websocket.push_channel import PushChannel
from tests.client.lines import Line, obey
from tests.client.running import STEADY, running, until

if TYPE_CHECKING:
    import pytest

    from custom_components.bticino_classe.client.auth import AuthHandler


def record(socket: ReconnectingSocket) -> list[bool]:
    """Return the list of what the socket reports from now on."""
    reported: list[bool] = []
    socket._on_subscribed = reported.append
    return reported


async def test_regular_subscriptions_on_the_same_connection(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ends a gap; the others are in time, until the token is a new one."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    policy = replace(STEADY, resubscribe_every=0.02)
    async with running(auth, obey, keepalive=policy) as (client, cloud):
        reported = record(client.socket)
        await until(lambda: len(reported) >= 3)
        assert reported == [True, *[False] * (len(reported) - 1)]
        before = len(reported)
        auth._token_expires_at = auth._clock() + 30  # due for renewal
        await until(lambda: True in reported[before:])
        await until(lambda: not reported[-1])
        assert cloud.handshakes == 1


async def test_subscription_on_request(auth: AuthHandler) -> None:
    """Somebody has a reason to ask for it."""
    async with running(auth, obey) as (client, cloud):
        reported = record(client.socket)
        await until(lambda: reported)
        await client.socket.resubscribe()
        assert reported == [True, True]
        assert cloud.handshakes == 1


async def test_subscription_on_a_new_connection(auth: AuthHandler) -> None:
    """With the same token."""
    async with running(auth, obey, obey) as (client, cloud):
        reported = record(client.socket)
        await until(lambda: reported)
        cloud.lines[0].cut()
        await until(lambda: len(reported) > 1)
        assert reported == [True, True]


async def test_exception_of_the_callback_does_not_stop_the_socket(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and logged."""

    def fail(_: bool) -> None:
        message = "s3cret"
        raise ValueError(message)

    async with running(auth, obey) as (client, _):
        client.socket._on_subscribed = fail
        await until(lambda: client.socket.counters["failed_subscriptions"])
        await client.socket.resubscribe()
    assert "s3cret" not in caplog.text


async def test_listeners_of_the_push_channel(auth: AuthHandler) -> None:
    """Each can be removed."""
    channel, reported = PushChannel(auth), list[bool]()
    remove = channel.listen_subscriptions(reported.append)
    channel._on_subscribed(True)
    remove()
    channel._on_subscribed(True)
    assert reported == [True]


async def test_subscription_is_reported_before_the_pushes_behind_its_reply(
    auth: AuthHandler,
) -> None:
    """The cloud sends them at once, maybe in one packet: they may be old."""

    async def flush(line: Line) -> None:
        await line.receive()
        for frame in ({"status": "ok"}, {"type": "a"}, {"type": "b"}):
            await line.send(frame)
        await obey(line)

    async with running(auth, flush) as (client, _):
        reported, seen = record(client.socket), list[bool]()
        client.socket._on_frame = lambda _: seen.append(bool(reported))
        await until(lambda: len(seen) == 2)
        assert seen == [True, True]
