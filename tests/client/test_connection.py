"""A socket that stays connected: online, dead connections, reconnecting."""

import asyncio
from dataclasses import replace
import logging
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client.errors import (
    AuthConnectionError,
    AuthRateLimitError,
)
from custom_components.bticino_classe.client.rate_limiter import LONGEST_PAUSE
from custom_components.bticino_classe.client.websocket.backoff import Backoff
from custom_components.bticino_classe.client.websocket.connection import (
    MAX_FRAME_BYTES,
    ReconnectingSocket,
    SocketState,
)
from custom_components.bticino_classe.client.websocket.disconnect import no_token
from tests.client.lines import Cloud, Line, Refusal, Script, answering, obey, refused
from tests.client.running import ONLINE, QUICK, STEADY, Client, running, until
from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.simulator import Simulator


async def test_online_means_that_the_subscription_was_confirmed(auth: AuthHandler) -> None:
    """Neither the handshake nor the first frame is enough."""
    go_on = asyncio.Event()

    async def slow(line: Line) -> None:
        await line.receive()
        await line.send({"push_type": "BNC1-rtc"})
        await go_on.wait()
        await line.send({"status": "ok"})
        await obey(line)

    async with running(auth, slow) as (client, cloud):
        await until(lambda: client.frames)
        assert client.socket.state is SocketState.SUBSCRIBING
        go_on.set()
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.states == ONLINE
        assert cloud.lines[0].frames[0]["access_token"] == await auth.get_access_token()


async def test_no_frame_stops_the_reader(auth: AuthHandler) -> None:
    """Unreadable frames are counted; a failed callback does not affect the next frame."""

    async def babble(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok"})
        await line.socket.send_bytes(b"\x00\x01")
        for text in ("", "{", "[1]", "null", "NaN", '"ok"'):
            await line.socket.send_str(text)
        await line.send({"fail": "s3cret"})
        await line.send({"type": "ack", "status": "ok"})
        await line.send({"push_type": "BNC1-rtc"})
        await line.send({"status": "ok"})
        await line.send({"push_type": "BNC1-connection"})
        await obey(line)

    async with running(auth, babble) as (client, cloud):
        await until(lambda: len(client.frames) == 3)
        assert client.socket.counters == {
            "frames": 12,
            "binary_frames": 1,
            "unreadable_frames": 6,
            "failed_frames": 1,
        }
        assert cloud.handshakes == 1


async def test_frame_that_is_too_long_ends_the_connection(auth: AuthHandler) -> None:
    """Memory is bounded; the next connection works."""

    async def shout(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok", "noise": "x" * MAX_FRAME_BYTES})
        await obey(line)

    async with running(auth, shout, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 2
        assert client.socket.last_disconnect is not None
        assert client.socket.last_disconnect.code == 1009


async def confirm_and_close(line: Line) -> None:
    """Confirm the subscription and close the connection."""
    await line.receive()
    await line.send({"status": "ok"})


class Staying:
    """Confirm the subscription, and close the connection once the client is online."""

    client: Client

    async def __call__(self, line: Line) -> None:
        """Run the script."""
        await confirm_and_close(line)
        states = {SocketState.ONLINE, SocketState.STOPPED}
        await until(lambda: self.client.socket.state in states)


async def confirm_and_send_error(line: Line) -> None:
    """Confirm the subscription and send an error without a request."""
    await confirm_and_close(line)
    await line.send(refused(11))
    await obey(line)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (answering("close"), "closed (1000)"),
        (confirm_and_close, "closed (1000)"),
        (confirm_and_send_error, "error (11)"),
        (answering(refused(13)), "subscription refused (13)"),
        (answering({"error": "who knows"}), "subscription refused"),
        (Refusal(status=502), "handshake refused (502)"),
        (Refusal(status=401), "handshake refused (401)"),
        (Refusal(status=200), "handshake refused (200)"),
    ],
)
async def test_socket_reconnects_after_every_disconnect(
    auth: AuthHandler, first: Script | Refusal, reason: str
) -> None:
    """The reason is kept."""
    async with running(auth, first, obey) as (client, cloud):
        await until(lambda: cloud.handshakes == 2)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert str(client.socket.last_disconnect) == reason
        assert SocketState.WAITING in client.states
        assert client.socket.counters["connections_ended"] == 1


async def test_subscription_without_an_answer(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It times out, and the socket reconnects."""
    async with running(auth, answering(None), obey) as (client, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].frames)
        advance_loop(monkeypatch, HANG_TIMEOUT)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert str(client.socket.last_disconnect) == "no answer to the subscription"
        assert cloud.handshakes == 2


async def test_cloud_that_cannot_be_reached(auth: AuthHandler) -> None:
    """The socket tries again."""
    client = Client(auth, "ws://127.0.0.1:1/ws/", STEADY)
    task = asyncio.create_task(client.socket.run())
    await until(lambda: client.socket.counters["connections_ended"] > 2)
    assert str(client.socket.last_disconnect) == "no connection: ClientConnectorError"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_slow_handshake_times_out(auth: AuthHandler) -> None:
    """A cloud that accepts the connection but does not answer cannot block the client."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            pass
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
    client = Client(auth, url, replace(STEADY, handshake_within=0.05))
    task = asyncio.create_task(client.socket.run())
    await until(lambda: client.socket.last_disconnect)
    assert str(client.socket.last_disconnect) == "no connection: TimeoutError"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.close()
    await server.wait_closed()


async def test_delays_grow_until_a_connection_is_stable(auth: AuthHandler) -> None:
    """A connection that closes at once is a failure; only some time online resets the delay."""
    async with running(auth, confirm_and_close) as (client, cloud):
        await until(lambda: cloud.handshakes == 4)
        assert client.backoff.failures >= 3

    stay = Staying()
    async with running(auth, stay, keepalive=QUICK) as (client, cloud):
        stay.client = client
        await until(lambda: cloud.handshakes == 4)
        assert client.backoff.failures == 1


async def test_overload_is_reported_to_the_backoff(auth: AuthHandler) -> None:
    """A handshake and a subscription can be refused with it."""
    delays: list[bool] = []

    class Listening(Backoff):
        def next_delay(self, *, is_overload: bool = False, named: float = 0.0) -> float:
            delays.append(is_overload)
            return named

    scripts = (Refusal(status=503), answering(refused(11)), Refusal(status=500), obey)
    async with Cloud(*scripts) as cloud:
        client = Client(auth, cloud.url, STEADY)
        client.socket._backoff = Listening()
        task = asyncio.create_task(client.socket.run())
        await until(lambda: client.socket.state is SocketState.ONLINE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert delays == [True, True, False]


async def test_pause_named_by_a_handshake_is_kept(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The random delay follows it."""
    busy = Refusal(status=503, headers={"Retry-After": "300"})
    async with running(auth, busy, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.WAITING)
        advance_loop(monkeypatch, 299)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await until(lambda: cloud.handshakes > 1)
        advance_loop(monkeypatch, 2)
        await until(lambda: client.socket.state is SocketState.ONLINE)


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("closes", [False, True])
async def test_refused_token_is_renewed_once(
    auth: AuthHandler, simulator: Simulator, code: int, closes: bool
) -> None:
    """Whether the cloud closes the connection after the refusal or not."""

    async def refuse_and_close(line: Line) -> None:
        await line.receive()
        await line.send(refused(code))

    first = refuse_and_close if closes else answering(refused(code))
    async with running(auth, first, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        tokens = [frame["access_token"] for line in cloud.lines for frame in line.frames]
        assert len(set(tokens)) == 2
        assert simulator.journal.count(TOKEN) == 1
        assert SocketState.AUTH_FAILED not in client.states


async def test_refused_credentials_stop_the_socket(auth: AuthHandler, simulator: Simulator) -> None:
    """A wrong password is not tried again."""
    simulator.change_password("another")
    auth.invalidate(await auth.get_access_token())
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.AUTH_FAILED)
        assert simulator.journal.count(TOKEN, grant="password") == 1
        auth._password = "another"
        await auth.authenticate()
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_outage_of_the_sign_in_is_no_refusal(auth: AuthHandler, simulator: Simulator) -> None:
    """The socket tries again."""
    auth.invalidate(await auth.get_access_token())
    simulator.fail(TOKEN, Failure(status=503, html=True))
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert str(client.socket.last_disconnect) == "no token: AuthServerError (503)"


async def test_subscription_is_renewed_on_the_same_connection(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the token expires, with a new one; the reader receives the reply."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    simulator.account.token_lifetime = 10_800
    async with running(auth, obey, keepalive=replace(STEADY, resubscribe_every=0.02)) as (
        client,
        cloud,
    ):
        await until(lambda: cloud.lines and len(cloud.lines[0].frames) >= 3)
        auth._token_expires_at = auth._clock() + 30  # due for renewal
        seen = len(cloud.lines[0].frames)
        await until(lambda: len(cloud.lines[0].frames) > seen + 1)
        tokens = [frame["access_token"] for frame in cloud.lines[0].frames]
        assert len(set(tokens)) == 2
        assert cloud.handshakes == 1
        assert client.states == ONLINE


async def test_subscription_is_renewed_before_the_token_expires(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if that is sooner than the interval."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    now = [1_790_000_000.0]
    auth._clock = lambda: now[0]
    auth.set_tokens("short", "lived", now[0] + 80)
    async with running(auth, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.lines[0].frames[0]["access_token"] == "short"
        now[0] += 21
        advance_loop(monkeypatch, 21)
        await until(lambda: len(cloud.lines[0].frames) > 1)
        assert cloud.lines[0].frames[1]["access_token"] != "short"


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (None, "no answer to the subscription"),
        (refused(13), "subscription refused (13)"),
        (refused(11), "subscription refused (11)"),
    ],
)
async def test_unanswered_resubscription_is_a_dead_connection(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch, second: object, reason: str
) -> None:
    """A half-open connection is detected this way."""
    async with running(auth, answering({"status": "ok"}, second), obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        advance_loop(monkeypatch, HANG_TIMEOUT)
        await until(lambda: len(cloud.lines[0].frames) == 2)
        if second is None:
            advance_loop(monkeypatch, HANG_TIMEOUT)
        await until(lambda: cloud.handshakes == 2)
        assert str(client.socket.last_disconnect) == reason


async def test_outage_of_the_sign_in_keeps_the_connection(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current subscription stays; the next one is tried later."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    policy = replace(QUICK, resubscribe_every=0.03)
    async with running(auth, obey, keepalive=policy) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        simulator.fail(TOKEN, Failure(status=503, html=True), times=2)
        auth._token_expires_at = auth._clock() + 30  # due for renewal
        before = len(cloud.lines[0].frames)
        await until(lambda: simulator.journal.count(TOKEN) == 3)
        await until(lambda: len(cloud.lines[0].frames) > before)
        assert cloud.handshakes == 1
        assert client.states == ONLINE


async def test_silent_connection_stays_and_pings_are_answered(auth: AuthHandler) -> None:
    """The client sends nothing but answers to the server's pings."""

    async def ping(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok"})
        for _ in range(3):
            await line.socket.ping()
        await obey(line)

    without = replace(QUICK, keepalive_after=None)
    async with running(auth, ping, keepalive=without) as (client, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].pongs == 3)
        assert client.states == ONLINE
        assert cloud.lines[0].pings == 0


async def test_pings_are_sent_if_the_policy_says_so(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a cloud that drops clients which do not ping."""
    async with running(auth, obey, keepalive=replace(STEADY, ping_every=20)) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        for pings in (1, 2):
            advance_loop(monkeypatch, 21)
            await until(lambda: cloud.lines[0].pings == pings)  # noqa: B023 - called at once
            await client.socket.resubscribe()  # the answer comes after the pong
        assert client.states == ONLINE


async def test_connection_lost_while_subscribing(auth: AuthHandler) -> None:
    """A failed send ends the connection."""

    async def vanish(line: Line) -> None:
        line.cut()

    async with running(auth, vanish, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 2


async def test_unexpected_exception_does_not_stop_the_socket(auth: AuthHandler) -> None:
    """It is counted and logged, and the socket reconnects."""
    calls = 0

    def subscription(token: str) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError(token)
        return {"access_token": token}

    async with Cloud(obey) as cloud:
        client = Client(auth, cloud.url, STEADY)
        client.socket._subscription = subscription
        task = asyncio.create_task(client.socket.run())
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.socket.counters["faults"] == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def logged_levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the levels of the client's log records above debug."""
    records = [record for record in caplog.records if record.name.startswith("custom_components")]
    return [record.levelname for record in records if record.levelno > logging.DEBUG]


async def test_outage_is_one_warning_and_one_info(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Regardless of the number of attempts and short reconnections."""
    caplog.set_level(logging.INFO, "custom_components.bticino_classe")
    down = Refusal(status=502)
    scripts = (down, down, down, confirm_and_close, down, confirm_and_close, down, obey)
    async with running(auth, *scripts) as (client, cloud):
        await until(lambda: cloud.handshakes == len(scripts))
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert logged_levels(caplog) == ["WARNING", "INFO"]
        assert "handshake refused (502)" in caplog.text


async def test_short_interruption_is_not_logged(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is back at once."""
    caplog.set_level(logging.INFO, "custom_components.bticino_classe")

    stay = Staying()
    async with running(auth, stay, stay, obey, keepalive=QUICK) as (client, cloud):
        stay.client = client
        await until(lambda: cloud.handshakes == 3)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert logged_levels(caplog) == []


async def test_no_secret_is_logged(auth: AuthHandler, caplog: pytest.LogCaptureFixture) -> None:
    """Neither tokens nor contents of frames, at any level, after any error."""
    caplog.set_level(logging.DEBUG)
    token = await auth.get_access_token()

    async def echo(line: Line) -> None:
        frame = await line.receive()
        await line.send({"status": "ok"})
        await line.send({"fail": frame["access_token"]})
        await line.send({"error": {"code": 13, "message": frame["access_token"]}})
        await obey(line)

    async with running(auth, echo, echo, answering(refused(2)), obey) as (client, cloud):
        await until(lambda: cloud.handshakes == 3)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.socket.counters["failed_frames"] == 2
    assert token not in caplog.text
    assert await auth.get_access_token() not in caplog.text
    assert "ValueError" in caplog.text


async def test_stopped_socket_does_not_reconnect(auth: AuthHandler) -> None:
    """Even if a time-out swallowed its cancellation."""
    async with Cloud(confirm_and_close) as cloud:
        client = Client(auth, cloud.url, STEADY)
        task = asyncio.create_task(client.socket.run())
        await until(lambda: cloud.handshakes == 1)
        client.socket.stop()
        await task
        assert client.socket.state is SocketState.STOPPED
        assert cloud.handshakes == 1


async def test_exception_of_the_state_callback_does_not_stop_the_socket(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and logged."""

    def fail(state: SocketState) -> None:
        raise ValueError(f"s3cret of {state}")

    async with running(auth, obey) as (client, _):
        client.socket._on_state = fail
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.socket.counters["failed_states"] == len(ONLINE)
    assert "s3cret" not in caplog.text


async def test_reply_that_is_not_ok_is_a_refusal(auth: AuthHandler) -> None:
    """A refusal can come without an error."""

    async def deny(line: Line) -> None:
        await line.receive()
        await line.send({"status": "error"})
        await line.receive()

    async with running(auth, deny, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert len(cloud.lines) == 2
        assert client.socket.last_disconnect is not None
        assert client.socket.last_disconnect.text == "subscription refused"


def test_pause_of_the_token_endpoint_is_respected() -> None:
    """Up to the longest pause."""
    for named, kept in ((None, 0.0), (600.0, 600.0), (1e9, LONGEST_PAUSE)):
        disconnect = no_token(AuthRateLimitError(status=429, retry_after=named))
        assert (disconnect.retry_after, disconnect.is_overload) == (kept, True)
    assert no_token(AuthConnectionError()).retry_after == 0.0
