"""The push channel: one delivery per push, every listener, no values of unknown pushes."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
import json
import random
from typing import TYPE_CHECKING, Any

from custom_components.bticino_classe.client.calls import CallTracker
from custom_components.bticino_classe.client.push import (
    CallPush,
    CallStep,
    Push,
    ReachabilityPush,
)
from custom_components.bticino_classe.client.websocket.connection import SocketState
from custom_components.bticino_classe.client.websocket.push_channel import (
    REMEMBERED_PUSHES,
    PushChannel,
)
from tests.client.lines import Cloud, Line, obey
from tests.client.running import until
from tests.client.test_push import BRIDGE, HOME, OFFER, SESSION, STATUS, end, reachability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from custom_components.bticino_classe.client.auth import AuthHandler


@asynccontextmanager
async def listening(
    auth: AuthHandler, *frames: dict[str, Any]
) -> AsyncIterator[tuple[PushChannel, list[Push]]]:
    """Run a channel that receives these frames; yields it and the pushes it delivered."""

    async def script(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok"})
        for frame in frames:
            await line.send(frame)
        await obey(line)

    async with Cloud(script) as cloud:
        pushes: list[Push] = []
        channel = PushChannel(auth)
        channel.listen_pushes(pushes.append)
        channel.socket._url = cloud.url
        task = asyncio.create_task(channel.socket.run())
        await until(lambda: channel.is_online and channel.socket.counters["frames"] > len(frames))
        try:
            yield channel, pushes
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_push_to_several_receivers_is_delivered_once(auth: AuthHandler) -> None:
    """The cloud sends a push once per registered phone, each with its own id."""
    copies = [
        {**frame, "_id": str(n)} for n in range(3) for frame in (OFFER, STATUS, end("rescind"))
    ]
    async with listening(auth, *copies) as (channel, pushes):
        steps = [push.step for push in pushes if isinstance(push, CallPush)]
        assert steps == [CallStep.OFFERED, CallStep.INCOMING, CallStep.RESCINDED]
        assert channel.counters == {"pushes": 3, "repeats": 6}


async def test_reachability_is_never_a_repeat(auth: AuthHandler) -> None:
    """An intercom can go offline, online and offline again."""
    frames = [
        reachability("disconnection"),
        reachability("connection"),
        reachability("disconnection"),
    ]
    async with listening(auth, *frames) as (_, pushes):
        assert len(pushes) == 3


async def test_unknown_pushes_are_counted_and_kept_without_their_values(auth: AuthHandler) -> None:
    """The last few show the structure of new pushes, without data of the home."""
    frames = [{**STATUS, "push_type": f"BNC1-kind_{letter}"} for letter in "abcdefg"]
    async with listening(auth, *frames) as (channel, pushes):
        assert pushes == []
        assert channel.counters == {"unknown": 7}
        assert len(channel.unknown) == 5
        kept = json.dumps(list(channel.unknown))
        assert "BNC1-kind_g" in kept
        assert "BNC1-kind_a" not in kept
        assert not any(value in kept for value in (SESSION, BRIDGE, HOME, "s3cret", "1789"))


def test_memory_of_repeats_is_bounded(auth: AuthHandler) -> None:
    """After many calls, only the last ones are remembered."""
    channel = PushChannel(auth)
    for number in range(10 * REMEMBERED_PUSHES):
        channel._on_frame(json.loads(json.dumps(OFFER).replace(SESSION, str(number))))
    assert len(channel._seen) == REMEMBERED_PUSHES


async def test_every_listener_gets_every_push_and_state(auth: AuthHandler) -> None:
    """A removed listener gets nothing more; removing it twice does nothing."""
    channel = PushChannel(auth)
    pushes: list[list[Push]] = [[], []]
    states: list[SocketState] = []
    remove, _ = [channel.listen_pushes(each.append) for each in pushes]
    remove_states = channel.listen_states(states.append)
    channel._on_frame(OFFER)
    channel.socket._set_state(SocketState.CONNECTING)
    assert [len(each) for each in pushes] == [1, 1]
    for each in (remove, remove, remove_states, remove_states):
        each()
    channel._on_frame(STATUS)
    channel.socket._set_state(SocketState.WAITING)
    assert [len(each) for each in pushes] == [1, 2]
    assert states == [SocketState.CONNECTING]


def test_exception_of_a_listener_does_not_cost_the_others_the_push(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by its class, because its text could contain the push."""

    def fail(value: object) -> None:
        raise ValueError(value, "s3cret")

    channel = PushChannel(auth)
    pushes: list[Push] = []
    states: list[SocketState] = []
    channel.listen_pushes(fail)
    channel.listen_pushes(pushes.append)
    channel.listen_states(fail)
    channel.listen_states(states.append)
    channel._on_frame(OFFER)
    channel.socket._set_state(SocketState.CONNECTING)
    assert len(pushes) == len(states) == 1
    assert channel.counters["failed_listeners"] == 2
    assert caplog.text.count("A listener of the push connection failed: ValueError") == 2
    assert "s3cret" not in caplog.text


def test_listener_that_removes_itself_costs_no_other_the_push(auth: AuthHandler) -> None:
    """Listeners can change while a push is delivered."""
    channel = PushChannel(auth)
    pushes: list[Push] = []

    def once(push: Push) -> None:
        pushes.append(push)
        remove()

    remove = channel.listen_pushes(once)
    channel.listen_pushes(pushes.append)
    channel._on_frame(OFFER)
    channel._on_frame(STATUS)
    assert len(pushes) == 3


async def test_state_of_the_connection(auth: AuthHandler) -> None:
    """Online means subscribed; before the first outage none is logged."""
    async with listening(auth, OFFER) as (channel, _):
        assert channel.is_online
        assert not channel.is_outage_logged
    assert not channel.is_online


def test_a_hundred_thousand_mutated_frames(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Randomly damaged frames neither stop the reader nor reveal secrets."""
    rng = random.Random(20261124)  # noqa: S311 - the same frames every time
    raw = [
        json.dumps(frame) for frame in (OFFER, STATUS, end("rescind"), reachability("connection"))
    ]
    tracker = CallTracker(panels_of=lambda _: ("one", "two"), offers_follow=lambda _: True)
    pushed: Counter[type] = Counter()

    def on_push(push: Push) -> None:
        pushed[type(push)] += 1
        if isinstance(push, CallPush):
            tracker.apply(push)

    channel = PushChannel(auth)
    channel.listen_pushes(on_push)
    for _ in range(100_000):
        text = list(rng.choice(raw))
        for _ in range(rng.randint(1, 4)):
            text[rng.randrange(len(text))] = rng.choice('{}[]":,0aé\\')
        channel.socket._on_text("".join(text))
    counted = channel.socket.counters
    assert counted["frames"] == 100_000
    assert counted["failed_frames"] == channel.counters["failed_listeners"] == 0
    assert channel.counters.total() > 10_000
    assert min(pushed[CallPush], pushed[ReachabilityPush]) > 100
    assert "s3cret" not in str(list(channel.unknown)) + caplog.text
