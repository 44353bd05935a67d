"""A socket that stays up: when it counts as online, when as dead, and how it comes back."""

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
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.simulator import Simulator


async def test_online_means_that_the_subscription_was_confirmed(auth: AuthHandler) -> None:
    """Not the handshake, not the first frame."""
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


async def test_frames_of_any_kind_leave_the_reader_alive(auth: AuthHandler) -> None:
    """What cannot be read is counted; a consumer that fails costs nobody the next frame."""

    async def babble(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok"})
        await line.socket.send_bytes(b"\x00\x01")
        for text in ("", "{", "[1]", "null", "NaN", '"ok"'):
            await line.socket.send_str(text)
        await line.send({"unbearable": "s3cret"})
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
    """Memory is bounded; the next connection is as good as new."""

    async def shout(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok", "noise": "x" * MAX_FRAME_BYTES})
        await obey(line)

    async with running(auth, shout, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 2
        assert client.socket.last_disconnect is not None
        assert client.socket.last_disconnect.code == 1009


async def confirm_and_go(line: Line) -> None:
    """Confirm the subscription, and end the line."""
    await line.receive()
    await line.send({"status": "ok"})


async def confirm_and_complain(line: Line) -> None:
    """Confirm the subscription, and send an error that nobody asked for."""
    await confirm_and_go(line)
    await line.send(refused(11))
    await obey(line)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (answering("close"), "closed (1000)"),
        (confirm_and_go, "closed (1000)"),
        (confirm_and_complain, "error (11)"),
        (answering(None), "no answer to the subscription"),
        (answering(refused(13)), "subscription refused (13)"),
        (answering({"error": "who knows"}), "subscription refused"),
        (Refusal(status=502), "handshake refused (502)"),
        (Refusal(status=401), "handshake refused (401)"),
        (Refusal(status=200), "handshake refused (200)"),
    ],
)
async def test_every_ending_is_followed_by_a_new_beginning(
    auth: AuthHandler, first: Script | Refusal, reason: str
) -> None:
    """The reason is kept as data, and the next connection stands."""
    impatient = replace(STEADY, reply_within=0.5)
    async with running(auth, first, obey, keepalive=impatient) as (client, cloud):
        await until(lambda: cloud.handshakes == 2)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert str(client.socket.last_disconnect) == reason
        assert SocketState.WAITING in client.states
        assert client.socket.counters["connections_ended"] == 1


async def test_cloud_that_is_not_there(auth: AuthHandler) -> None:
    """No route, no fault: it is tried again."""
    client = Client(auth, "ws://127.0.0.1:1/ws/", STEADY)
    task = asyncio.create_task(client.socket.run())
    await until(lambda: client.socket.counters["connections_ended"] > 2)
    assert str(client.socket.last_disconnect) == "no connection: ClientConnectorError"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_slow_handshake_is_given_up(auth: AuthHandler) -> None:
    """A cloud that takes the line and says nothing does not hold the client for ever."""

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


async def test_delays_grow_until_the_connection_has_proved_itself(auth: AuthHandler) -> None:
    """Accept-then-close is a failure like any other; only a while online is forgiven."""
    async with running(auth, confirm_and_go) as (client, cloud):
        await until(lambda: cloud.handshakes == 4)
        assert client.backoff.failures >= 3

    async def stay(line: Line) -> None:
        await confirm_and_go(line)
        await asyncio.sleep(0.15)

    async with running(auth, stay, keepalive=QUICK) as (client, cloud):
        await until(lambda: cloud.handshakes == 4)
        assert client.backoff.failures == 1


async def test_overloaded_cloud_gets_the_longest_pause(auth: AuthHandler) -> None:
    """Also the one that it asks for itself."""
    asked: list[tuple[bool, float]] = []

    class Listening(Backoff):
        def next_delay(self, *, is_overload: bool = False, at_least: float = 0.0) -> float:
            asked.append((is_overload, at_least))
            return 0.0

    busy = Refusal(status=503, headers={"Retry-After": "7"})
    scripts = (busy, answering(refused(11)), Refusal(status=500), obey)
    async with Cloud(*scripts) as cloud:
        client = Client(auth, cloud.url, STEADY)
        client.socket._backoff = Listening()
        task = asyncio.create_task(client.socket.run())
        await until(lambda: client.socket.state is SocketState.ONLINE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert asked == [(True, 7.0), (True, 0.0), (False, 0.0)]


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("closes", [False, True])
async def test_refused_token_is_renewed_once(
    auth: AuthHandler, simulator: Simulator, code: int, closes: bool
) -> None:
    """Whether the cloud keeps the line after the refusal or not."""

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


async def test_token_refused_again_waits_for_other_credentials(auth: AuthHandler) -> None:
    """No storm of renewals: it gives up, and wakes when it is told to."""
    script = answering(refused(2), refused(2))
    async with running(auth, script, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.AUTH_FAILED)
        assert cloud.handshakes == 1
        client.socket.credentials_changed()
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_refused_credentials_wait_for_others(auth: AuthHandler, simulator: Simulator) -> None:
    """A wrong password is not tried again and again."""
    simulator.change_password("another")
    auth.invalidate(await auth.get_access_token())
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.AUTH_FAILED)
        assert simulator.journal.count(TOKEN, grant="password") == 1
        auth._password = "another"
        await auth.authenticate()
        client.socket.credentials_changed()
        await until(lambda: client.socket.state is SocketState.ONLINE)


async def test_cloud_without_a_token_to_give(auth: AuthHandler, simulator: Simulator) -> None:
    """An outage of the sign-in is an outage, no refusal."""
    auth.invalidate(await auth.get_access_token())
    simulator.fail(TOKEN, Failure(status=503, html=True))
    async with running(auth, obey) as (client, _):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert str(client.socket.last_disconnect) == "no token: AuthServerError (503)"


async def test_subscription_is_renewed_on_the_same_line(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the token ends, with a new one; the reply comes through the one reader."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    simulator.account.token_lifetime = 10_800
    async with running(auth, obey, keepalive=replace(STEADY, resubscribe_every=0.02)) as (
        client,
        cloud,
    ):
        await until(lambda: cloud.lines and len(cloud.lines[0].frames) >= 3)
        auth.invalidate(await auth.get_access_token())
        seen = len(cloud.lines[0].frames)
        await until(lambda: len(cloud.lines[0].frames) > seen + 1)
        tokens = [frame["access_token"] for frame in cloud.lines[0].frames]
        assert len(set(tokens)) == 2
        assert cloud.handshakes == 1
        assert client.states == ONLINE


async def test_subscription_follows_the_life_of_the_token(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that ends sooner than the usual interval is replaced in time."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    auth.set_tokens("short", "lived", auth._clock() + 62)
    async with running(auth, obey, answering(None)) as (_, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].frames)
        assert cloud.lines[0].frames[0]["access_token"] == "short"
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
async def test_renewal_that_fails_is_a_dead_connection(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch, second: object, reason: str
) -> None:
    """A line that is half open is found out by its silence after a question."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    policy = replace(STEADY, resubscribe_every=0.02, reply_within=0.5)
    async with running(auth, answering({"status": "ok"}, second), obey, keepalive=policy) as (
        client,
        cloud,
    ):
        await until(lambda: cloud.handshakes == 2)
        assert str(client.socket.last_disconnect) == reason


async def test_outage_of_the_sign_in_leaves_a_standing_line_alone(
    auth: AuthHandler, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is subscribed goes on; the renewal is tried again later."""
    monkeypatch.setattr(f"{ReconnectingSocket.__module__}.SHORTEST_SUBSCRIPTION", 0.01)
    policy = replace(QUICK, resubscribe_every=0.03)
    async with running(auth, obey, keepalive=policy) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        simulator.fail(TOKEN, Failure(status=503, html=True), times=2)
        auth.invalidate(await auth.get_access_token())
        before = len(cloud.lines[0].frames)
        await until(lambda: simulator.journal.count(TOKEN) == 3)
        await until(lambda: len(cloud.lines[0].frames) > before)
        assert cloud.handshakes == 1
        assert client.states == ONLINE


async def test_silence_is_no_death_and_pings_are_answered(auth: AuthHandler) -> None:
    """A quiet house: nothing is sent but the answers to the server's pings."""

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


async def test_pings_are_sent_if_the_policy_says_so(auth: AuthHandler) -> None:
    """For a cloud that drops clients which do not ping."""
    async with running(auth, obey, keepalive=replace(STEADY, ping_every=0.02)) as (client, cloud):
        await until(lambda: cloud.lines and cloud.lines[0].pings >= 2)
        assert client.states == ONLINE


async def test_line_can_be_lost_while_it_is_asked(auth: AuthHandler) -> None:
    """A send that fails is an ending, too."""

    async def vanish(line: Line) -> None:
        assert line.socket._req is not None
        transport = line.socket._req.transport
        assert transport is not None
        transport.abort()

    async with running(auth, vanish, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 2


async def test_fault_of_ours_does_not_end_the_socket(auth: AuthHandler) -> None:
    """Whatever nobody thought of is counted, said, and tried again."""
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


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the levels of what the client logged above debug."""
    records = [record for record in caplog.records if record.name.startswith("custom_components")]
    return [record.levelname for record in records if record.levelno > logging.DEBUG]


async def test_outage_is_one_warning_and_one_info(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it was tried, and however often the line flaps before it stands."""
    caplog.set_level(logging.INFO, "custom_components.bticino_classe")
    down = Refusal(status=502)
    scripts = (down, down, down, confirm_and_go, down, confirm_and_go, down, obey)
    async with running(auth, *scripts) as (client, cloud):
        await until(lambda: cloud.handshakes == len(scripts))
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert said(caplog) == ["WARNING", "INFO"]
        assert "handshake refused (502)" in caplog.text


async def test_blip_is_no_warning(auth: AuthHandler, caplog: pytest.LogCaptureFixture) -> None:
    """A line that is back at once has not been missed."""
    caplog.set_level(logging.INFO, "custom_components.bticino_classe")

    async def stay(line: Line) -> None:
        await confirm_and_go(line)
        await asyncio.sleep(0.15)

    async with running(auth, stay, stay, obey, keepalive=QUICK) as (client, cloud):
        await until(lambda: cloud.handshakes == 3)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert said(caplog) == []


async def test_nothing_secret_is_logged(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither tokens nor what frames hold, at any level, from whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    token = await auth.get_access_token()

    async def echo(line: Line) -> None:
        frame = await line.receive()
        await line.send({"status": "ok"})
        await line.send({"unbearable": frame["access_token"]})
        await line.send({"error": {"code": 13, "message": frame["access_token"]}})
        await obey(line)

    async with running(auth, echo, echo, answering(refused(2)), obey) as (client, cloud):
        await until(lambda: cloud.handshakes == 3)
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.socket.counters["failed_frames"] == 2
    assert token not in caplog.text
    assert await auth.get_access_token() not in caplog.text
    assert "ValueError" in caplog.text


async def test_stopped_socket_begins_no_new_connection(auth: AuthHandler) -> None:
    """Even if its cancellation was swallowed by a time-out of the same moment."""
    async with Cloud(confirm_and_go) as cloud:
        client = Client(auth, cloud.url, STEADY)
        task = asyncio.create_task(client.socket.run())
        await until(lambda: cloud.handshakes == 1)
        client.socket.stop()
        async with asyncio.timeout(2):
            await task
        assert client.socket.state is SocketState.STOPPED
        assert cloud.handshakes == 1


async def test_listener_that_fails_does_not_end_the_socket(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and said, and the socket goes its way."""

    def fail(state: SocketState) -> None:
        raise ValueError(f"s3cret of {state}")

    async with running(auth, obey) as (client, _):
        client.socket._on_state = fail
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert client.socket.counters["failed_states"] == len(ONLINE)
    assert "s3cret" not in caplog.text


async def test_answer_that_is_not_ok_is_no_subscription(auth: AuthHandler) -> None:
    """An error may come without being called one."""

    async def deny(line: Line) -> None:
        await line.receive()
        await line.send({"status": "error"})
        await line.receive()

    async with running(auth, deny, obey) as (client, cloud):
        await until(lambda: client.socket.state is SocketState.ONLINE)
        assert len(cloud.lines) == 2
        assert client.socket.last_disconnect is not None
        assert client.socket.last_disconnect.reason == "subscription refused"


def test_pause_that_the_token_endpoint_wants_is_kept() -> None:
    """And no longer than is believable."""
    for wanted, kept in ((None, 0.0), (600.0, 600.0), (1e9, LONGEST_PAUSE)):
        ending = no_token(AuthRateLimitError(status=429, retry_after=wanted))
        assert (ending.retry_after, ending.is_overload) == (kept, True)
    assert no_token(AuthConnectionError()).retry_after == 0.0
