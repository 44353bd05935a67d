"""Why a socket is not online, and since when: what people are told."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client import Offline, OfflineReason, SocketState
from tests.client.clocks import Clock
from tests.client.lines import Cloud, Line, Refusal, answering, obey, refused
from tests.client.running import ONLINE, QUICK, STEADY, Client, until
from tests.simulator import Failure, usage_limit
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Script
    from tests.simulator import Simulator


async def hold(line: Line) -> None:
    """Receive the subscription and never answer it."""
    await line.receive()
    await line.receive()


async def cut(line: Line) -> None:
    """Confirm the subscription, then cut the connection."""
    await line.receive()
    await line.send({"status": "ok"})
    line.cut()


async def deny(line: Line) -> None:
    """Refuse the subscription without an error."""
    await line.receive()
    await line.send({"status": "error"})
    await line.receive()


def change_password(simulator: Simulator) -> None:
    """Let the token endpoint refuse the credentials."""
    simulator.change_password("another")


def fail_sign_in(**failure: Any) -> Callable[[Simulator], None]:
    """Let the token endpoint fail."""
    return lambda simulator: simulator.fail(TOKEN, Failure(**failure), times=100)


def limit_sign_in(simulator: Simulator) -> None:
    """Let the token endpoint report the usage limit."""
    simulator.fail(TOKEN, usage_limit(), times=100)


def retire_client(simulator: Simulator) -> None:
    """Let the token endpoint refuse the app's client."""
    simulator.retire_client()


CONNECTIONS: tuple[tuple[Script | Refusal, OfflineReason], ...] = (
    (answering("close"), OfflineReason.CLOSED),
    (cut, OfflineReason.CLOSED),
    (hold, OfflineReason.NO_REPLY),
    *((Refusal(status=status), OfflineReason.UNREACHABLE) for status in (200, 204, 302, 307)),
    (Refusal(status=401), OfflineReason.REFUSED),
    (Refusal(status=403), OfflineReason.REFUSED),
    (Refusal(status=404), OfflineReason.REFUSED),
    (Refusal(status=429), OfflineReason.TOO_MANY_REQUESTS),
    (Refusal(status=500), OfflineReason.OUTAGE),
    (Refusal(status=502), OfflineReason.OUTAGE),
    (Refusal(status=503), OfflineReason.OUTAGE),
    (answering(*[refused(2)] * 9), OfflineReason.TOKEN_REFUSED),
    (answering(*[refused(3)] * 9), OfflineReason.TOKEN_REFUSED),
    (answering(refused(11)), OfflineReason.TOO_MANY_REQUESTS),
    (answering(refused(13)), OfflineReason.REFUSED),
    (answering(refused(26)), OfflineReason.TOO_MANY_REQUESTS),
    (answering(refused(503)), OfflineReason.OUTAGE),
    (answering({"error": "server_error"}), OfflineReason.OUTAGE),
    (answering({"error": "too_many_connections"}), OfflineReason.TOO_MANY_REQUESTS),
    (answering({"error": "owner@example.org"}), OfflineReason.REFUSED),
    (deny, OfflineReason.REFUSED),
)
SIGN_INS: tuple[tuple[Callable[[Simulator], None], OfflineReason], ...] = (
    (change_password, OfflineReason.CREDENTIALS_REFUSED),
    (retire_client, OfflineReason.APP_CLIENT_REFUSED),
    (fail_sign_in(error="unauthorized_client"), OfflineReason.APP_CLIENT_REFUSED),
    (limit_sign_in, OfflineReason.TOO_MANY_REQUESTS),
    (fail_sign_in(status=503, html=True), OfflineReason.SIGN_IN_FAILED),
    (fail_sign_in(drop=True), OfflineReason.SIGN_IN_FAILED),
    (fail_sign_in(error="invalid_scope"), OfflineReason.SIGN_IN_FAILED),
)
# Each has a test of its own below.
OTHERS = {OfflineReason.CONNECTING, OfflineReason.UNREACHABLE, OfflineReason.UNEXPECTED}


def test_every_reason_is_tested() -> None:
    """A reason that nothing can give is not needed."""
    tested = {reason for _, reason in (*CONNECTIONS, *SIGN_INS)}
    assert tested | OTHERS == set(OfflineReason)


class Reports:
    """Every state that a client reported, with what it said of being offline at that moment.

    The clock advances by a second after each.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.all: list[tuple[SocketState, Offline | None]] = []
        client.socket._on_state = self._note
        client.socket._wall_clock = clock

    def _note(self, state: SocketState) -> None:
        self.all.append((state, self._client.socket.offline))
        self._clock.now += 1

    async def of(self, *states: SocketState) -> Offline | None:
        """Wait for one of these states; returns what was said with the first of them."""
        await until(lambda: any(state in states for state, _ in self.all))
        return next(offline for state, offline in self.all if state in states)


@asynccontextmanager
async def started(client: Client) -> AsyncIterator[None]:
    """Run the client's socket."""
    task = asyncio.create_task(client.socket.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(("script", "reason"), CONNECTIONS)
async def test_connection_that_ends(
    auth: AuthHandler, clock: Clock, script: Script | Refusal, reason: OfflineReason
) -> None:
    """The reason is there when the socket starts to wait."""
    policy = replace(STEADY, reply_within=0.05) if script is hold else STEADY
    async with Cloud(script) as cloud:
        client = Client(auth, cloud.url, policy)
        reports = Reports(client, clock)
        async with started(client):
            offline = await reports.of(SocketState.WAITING)
    assert offline is not None
    assert offline.reason is reason


@pytest.mark.parametrize(("fault", "reason"), SIGN_INS)
async def test_no_token(
    auth: AuthHandler,
    simulator: Simulator,
    clock: Clock,
    fault: Callable[[Simulator], None],
    reason: OfflineReason,
) -> None:
    """What is wrong with the sign-in is said."""
    fault(simulator)
    auth.invalidate(await auth.get_access_token())
    async with Cloud(obey) as cloud:
        client = Client(auth, cloud.url, STEADY)
        reports = Reports(client, clock)
        async with started(client):
            offline = await reports.of(SocketState.WAITING, SocketState.AUTH_FAILED)
    assert offline is not None
    assert offline.reason is reason


async def test_unreachable(auth: AuthHandler, clock: Clock) -> None:
    """Nothing listens there."""
    client = Client(auth, "ws://127.0.0.1:1/ws/", STEADY)
    reports = Reports(client, clock)
    async with started(client):
        offline = await reports.of(SocketState.WAITING)
    assert offline == Offline(reason=OfflineReason.UNREACHABLE, since=500.0)


async def test_error_of_this_software(auth: AuthHandler, clock: Clock) -> None:
    """Its text, which may be secret, is not said."""

    def subscription(token: str) -> dict[str, Any]:
        raise RuntimeError(token)

    async with Cloud(obey) as cloud:
        client = Client(auth, cloud.url, STEADY)
        client.socket._subscription = subscription
        reports = Reports(client, clock)
        async with started(client):
            offline = await reports.of(SocketState.WAITING)
    assert offline == Offline(reason=OfflineReason.UNEXPECTED, since=500.0)


async def test_since_when(auth: AuthHandler, clock: Clock) -> None:
    """Since the first attempt or the last moment online; every failure changes the reason only."""
    down = (Refusal(status=502), Refusal(status=429), answering("close"))
    async with Cloud(*down, cut, *down, obey) as cloud:
        client = Client(auth, cloud.url, QUICK)
        reports = Reports(client, clock)
        async with started(client):
            await until(lambda: cloud.handshakes == 8 and client.socket.offline is None)
    is_online = [state is SocketState.ONLINE for state, _ in reports.all]
    first, second = is_online.index(True), len(is_online) - 1 - is_online[::-1].index(True)
    before = [offline for _, offline in reports.all[:first]]
    after = [offline for _, offline in reports.all[first + 1 : second]]
    assert {offline and offline.since for offline in before} == {500.0}
    assert {offline and offline.since for offline in after} == {500.0 + first + 1}
    failures = ["outage", "too_many_requests", "closed"]
    assert reasons_in(before) == ["connecting", *failures]
    assert reasons_in(after) == ["closed", *failures]


def reasons_in(said: list[Offline | None]) -> list[str]:
    """Return the reasons without repetitions that follow each other."""
    return [reason for reason, _ in groupby(offline.reason for offline in said if offline)]


async def test_stopped_and_online_sockets_are_not_offline(auth: AuthHandler, clock: Clock) -> None:
    """Also when it is run again."""
    async with Cloud(obey) as cloud:
        client = Client(auth, cloud.url, STEADY)
        reports = Reports(client, clock)
        for _ in range(2):
            async with started(client):
                await until(lambda: client.socket.state is SocketState.ONLINE)
            clock.now += 100 - clock.now % 100
    assert [(state, offline and offline.since) for state, offline in reports.all] == [
        (state, since if state in {SocketState.CONNECTING, SocketState.SUBSCRIBING} else None)
        for since in (500.0, 600.0)
        for state in (*ONLINE, SocketState.STOPPED)
    ]


async def test_refused_token_while_online(auth: AuthHandler, clock: Clock) -> None:
    """Any request can find out; the subscription of the old token no longer counts."""
    async with Cloud(obey) as cloud:
        client = Client(auth, cloud.url, STEADY)
        reports = Reports(client, clock)
        async with started(client):
            await until(lambda: client.socket.state is SocketState.ONLINE)
            reports.all.clear()
            clock.now = 600.0
            auth.invalidate(await auth.get_access_token())
            offline = await reports.of(SocketState.SUBSCRIBING)
            assert offline == Offline(reason=OfflineReason.TOKEN_REFUSED, since=600.0)
            await until(lambda: client.socket.state is SocketState.ONLINE)
            assert client.socket.offline is None
