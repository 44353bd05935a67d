"""The signaling connection: on demand, lost, refused, idle, closed."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import (
    BticinoError,
    CallError,
    InvalidCredentialsError,
    NoAnswerError,
)
from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc.call_state import SessionState
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.running import until
from tests.client.webrtc.scripted_intercom import (
    ANSWER,
    OFFER,
    RING,
    SHORT,
    TIMEOUTS,
    USEFUL,
    Frame,
    Recorder,
    ScriptedIntercom,
    ack,
    kind_of,
    message,
    signaling,
)

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Line
    from tests.simulator import Simulator

pytestmark = pytest.mark.usefixtures("ack_mode")


async def test_resubscribes_before_each_offer(auth: AuthHandler) -> None:
    """The token of the last subscription may have died; the connection stays."""
    async with signaling(auth) as setup:
        for count in (1, 2, 3):
            before = setup.intercom.subscriptions
            session = setup.session()
            await session.dial(OFFER)
            assert setup.intercom.subscriptions > before
            session.hang_up()
            assert len(setup.intercom.sent("offer")) == count
        assert setup.cloud.handshakes == 1


async def test_disconnects_when_idle(auth: AuthHandler) -> None:
    """The next call connects again."""
    async with signaling(auth, timeouts=replace(TIMEOUTS, idle=SHORT)) as setup:
        for handshakes in (1, 2):
            session = setup.session()
            await session.dial(OFFER)
            assert setup.channel._idle_timer is None
            assert not setup.channel.is_idle
            session.hang_up()
            await until(lambda: setup.channel.is_idle)
            assert setup.cloud.handshakes == handshakes
            assert setup.channel.socket.state is SocketState.STOPPED


async def test_disconnects_after_a_declined_ring(auth: AuthHandler) -> None:
    """Declining needs the connection only for a moment."""
    async with signaling(auth, timeouts=replace(TIMEOUTS, idle=SHORT)) as setup:
        await setup.session().decline(RING)
        await until(lambda: setup.channel.is_idle)
        assert setup.cloud.lines[0].socket.closed


async def test_new_call_cancels_the_idle_timer(auth: AuthHandler) -> None:
    """The connection must not be closed under a call."""
    async with signaling(auth) as setup:
        first = setup.session()
        await first.dial(OFFER)
        first.hang_up()
        await until(lambda: setup.channel._idle_timer)
        timer = setup.channel._idle_timer
        assert timer is not None
        await setup.session().dial(OFFER)
        assert timer.cancelled()
        assert setup.channel._idle_timer is None
        assert setup.cloud.handshakes == 1


async def test_close_ends_every_call_once(auth: AuthHandler) -> None:
    """One that is set up and one that waits for its answer; then no call can begin."""

    async def answers_once(_: ScriptedIntercom, line: Line, frame: Frame) -> None:
        name = f"s{len(setup.intercom.sent('offer'))}"
        await line.send(ack(frame, name if kind_of(frame) == "offer" else None))
        if kind_of(frame) == "offer" and name == "s1":
            await line.send(message(name, "answer", ANSWER))

    async with signaling(auth, ScriptedIntercom(answers_once)) as setup:
        first, second = setup.session(), setup.session()
        await first.dial(OFFER)
        dialling = asyncio.create_task(second.dial(OFFER))
        await until(lambda: second.state is SessionState.ACKED)
        await setup.channel.close()
        with pytest.raises(CallError):
            await dialling
        with pytest.raises(NoAnswerError):
            await setup.session().dial(OFFER)
    assert sorted(setup.terminates(), key=str) == ["s1", "s2"]


async def test_connection_lost_after_the_acknowledgement(auth: AuthHandler) -> None:
    """The call fails at once, and is terminated on the next connection."""

    async def cutting(_: ScriptedIntercom, line: Line, frame: Frame) -> None:
        await line.send(ack(frame, "s1" if kind_of(frame) == "offer" else None))
        if kind_of(frame) == "offer":
            await line.socket.close()

    async with signaling(auth, ScriptedIntercom(cutting)) as setup:
        with pytest.raises(NoAnswerError) as caught:
            await setup.session().dial(OFFER)
        assert caught.value.reason == "connection lost"
        await until(setup.terminates)
        assert setup.cloud.handshakes == 2
    assert setup.terminates() == ["s1"]


async def test_connection_lost_before_the_acknowledgement(auth: AuthHandler) -> None:
    """The offer is not repeated: it may have arrived."""

    async def cutting(_: ScriptedIntercom, line: Line, frame: Frame) -> None:  # noqa: ARG001
        await line.socket.close()

    async with signaling(auth, ScriptedIntercom(cutting)) as setup:
        with pytest.raises(NoAnswerError) as caught:
            await setup.session().dial(OFFER)
        assert caught.value.reason == "connection lost"
        assert len(setup.intercom.sent("offer")) == 1


async def test_connection_lost_during_the_call(auth: AuthHandler) -> None:
    """Media do not pass through the cloud: the call goes on."""
    async with signaling(auth) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.dial(OFFER)
        await setup.intercom.lines[0].socket.close()
        await until(lambda: len(setup.intercom.lines) == 2)
        assert viewer.errors == []
        assert session.state is SessionState.ANSWERED
        session.hang_up()
        await until(setup.terminates)
    assert setup.terminates() == ["s1"]


async def test_candidate_without_a_connection_is_dropped(auth: AuthHandler) -> None:
    """The call goes on."""
    async with signaling(auth) as setup:
        session = setup.session()
        await session.dial(OFFER)
        setup.channel.socket._socket = None
        await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
        assert session.state is SessionState.ANSWERED
        assert setup.intercom.sent("candidate") == []


async def test_cloud_is_away(auth: AuthHandler) -> None:
    """The call fails in time, and nothing was sent."""
    async with signaling(auth, timeouts=replace(TIMEOUTS, connected=SHORT)) as setup:
        await setup.cloud.__aexit__(None, None, None)
        with pytest.raises(NoAnswerError) as caught:
            await setup.session().dial(OFFER)
        assert not caught.value.sent
        assert caught.value.reason == "no connection"


async def test_terminate_without_a_connection_is_counted(auth: AuthHandler) -> None:
    """The intercom ends the call itself after a while."""
    async with signaling(auth) as setup:
        session = setup.session()
        await session.dial(OFFER)
        setup.channel.timeouts = replace(TIMEOUTS, connected=SHORT)
        await setup.cloud.__aexit__(None, None, None)
        await until(lambda: setup.channel.socket.state is not SocketState.ONLINE)
        session.hang_up()
        await until(lambda: not setup.channel.in_use)
        assert setup.channel.counters["terminates_lost"] == 1


async def test_close_does_not_wait_for_the_cloud(auth: AuthHandler) -> None:
    """Home Assistant must stop within seconds."""
    timeouts = replace(TIMEOUTS, connected=3600, terminated=SHORT)
    async with signaling(auth, timeouts=timeouts) as setup:
        await setup.session().dial(OFFER)
        await setup.cloud.__aexit__(None, None, None)
        await setup.channel.close()
        assert setup.terminates() == []
        assert setup.channel.is_idle


async def test_refused_credentials(auth: AuthHandler, simulator: Simulator) -> None:
    """Each call fails at once, and the next one tries again."""
    async with signaling(auth) as setup:
        auth.invalidate(await auth.get_access_token())
        simulator.change_password("another")
        for _ in range(2):
            with pytest.raises(InvalidCredentialsError):
                await setup.session().dial(OFFER)
        assert setup.intercom.frames == []


async def test_refused_credentials_during_a_call(auth: AuthHandler, simulator: Simulator) -> None:
    """The terminate is lost and counted; its error is not raised anywhere."""
    async with signaling(auth) as setup:
        session = setup.session()
        await session.dial(OFFER)
        simulator.change_password("another")
        auth.invalidate(await auth.get_access_token())
        await setup.intercom.lines[0].socket.close()
        await until(lambda: setup.channel.socket.state is SocketState.AUTH_FAILED)
        session.hang_up()
        await until(lambda: not setup.channel.in_use)
        assert setup.channel.counters["terminates_lost"] == 1


@pytest.mark.parametrize("steps", range(8))
async def test_close_while_connecting(auth: AuthHandler, steps: int) -> None:
    """Nobody is left waiting for the connection, however far it has come."""
    async with signaling(auth) as setup:
        declining = asyncio.create_task(setup.session().decline(RING))
        for _ in range(steps):
            await asyncio.sleep(0)
        await setup.channel.close()
        with pytest.raises(BticinoError) as caught:
            await declining
        assert "no connection" not in str(caught.value)  # the time-out
    assert setup.intercom.frames == []
