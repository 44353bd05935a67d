"""Acknowledgements that are lost, late, repeated, or without ids."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import NoAnswerError, UnreachableError
from custom_components.bticino_classe.client.webrtc.call_state import SessionState
from tests.client.running import until
from tests.client.webrtc.scripted_intercom import (
    ANSWER,
    OFFER,
    RING,
    SHORT,
    TIMEOUTS,
    Frame,
    Recorder,
    ScriptedIntercom,
    ack,
    by_the_protocol,
    kind_of,
    message,
    replying,
    signaling,
)

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Line

pytestmark = pytest.mark.usefixtures("ack_mode")


@pytest.mark.parametrize("is_ended", [False, True])
async def test_repeated_acknowledgement_is_not_for_the_next_offer(
    auth: AuthHandler, *, is_ended: bool
) -> None:
    """It names a session that is known, whether or not that has ended."""

    async def repeating(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        offers = intercom.sent("offer")
        if kind_of(frame) == "offer" and len(offers) > 1:
            await line.send(ack(offers[0], "s1"))
        await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(repeating)) as setup:
        first = setup.session()
        await first.dial(OFFER)
        if is_ended:
            first.hang_up()
        viewer = Recorder()
        second = setup.session(viewer)
        await second.dial(OFFER)
        assert second.ids is not None
        assert second.ids.session_id == "s2"
        assert viewer.events == ["answer"]
    assert sorted(setup.terminates(), key=str) == ["s1", "s2"]


@pytest.mark.parametrize("kind", ["terminate", "player"])
async def test_repeated_acknowledgement_of_another_request(auth: AuthHandler, kind: str) -> None:
    """It has no ids, so it must not fail the offer that waits for its own."""

    async def repeating(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "offer" and (others := intercom.sent(kind)):
            await line.send(ack(others[0]))
        await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(repeating)) as setup:
        first = setup.session()
        await first.dial(OFFER)
        await first.next_panel()
        first.hang_up()
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events == ["answer"]


async def test_acknowledgement_without_ids_fails_the_offer_at_once(auth: AuthHandler) -> None:
    """Nothing could end the call, and no frame could be attributed to it."""
    timeouts = replace(TIMEOUTS, own_ack=SHORT)
    async with signaling(auth, replying(lambda f: [ack(f)]), timeouts=timeouts) as setup:
        session = setup.session()
        with pytest.raises(NoAnswerError) as caught:
            await session.dial(OFFER)
        assert caught.value.reason == "acknowledgement without ids"
        assert session.state is SessionState.ENDED


@pytest.mark.parametrize("leaves", [False, True])
async def test_call_after_a_lost_acknowledgement(auth: AuthHandler, *, leaves: bool) -> None:
    """The next offer goes out on a new connection, so a late one cannot be taken for its own."""

    async def losing(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if len(intercom.sent("offer")) > 1:
            await by_the_protocol(intercom, line, frame)

    timeouts = replace(TIMEOUTS, acknowledged=SHORT)
    async with signaling(auth, ScriptedIntercom(losing), timeouts=timeouts) as setup:
        first = setup.session()
        dialling = asyncio.create_task(first.dial(OFFER))
        await until(lambda: setup.intercom.frames)
        if leaves:
            first.hang_up()
        with pytest.raises(NoAnswerError):
            await dialling
        setup.channel.timeouts = TIMEOUTS
        with suppress(ConnectionResetError):
            viewer = Recorder()
            dialling = asyncio.create_task(setup.session(viewer).dial(OFFER))
            await until(lambda: len(setup.intercom.sent("offer")) > 1)
            await setup.intercom.lines[0].send(ack(setup.intercom.frames[0], "s1"))
        await dialling
        assert viewer.events == ["answer"]
        assert setup.cloud.handshakes == 2
    assert setup.terminates() == ["s2"]


async def test_late_acknowledgement_during_the_next_offer(auth: AuthHandler, ack_mode: str) -> None:
    """With a correlation id it is certain: its session is terminated, and no other."""
    held: list[Frame] = []

    async def late(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        number = len(intercom.sent("offer"))
        if kind_of(frame) == "offer" and number == 2:
            held.append(ack(frame, "s2"))
            return
        if kind_of(frame) == "offer" and line is intercom.lines[0] and held:
            await line.send(held[0])
        await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(late)) as setup:
        await setup.session().dial(OFFER)
        setup.channel.timeouts = replace(TIMEOUTS, acknowledged=SHORT)
        with pytest.raises(NoAnswerError):
            await setup.session().dial(OFFER)
        setup.channel.timeouts = TIMEOUTS
        viewer = Recorder()
        session = setup.session(viewer)
        await session.dial(OFFER)
        assert viewer.events == ["answer"]
        assert session.ids is not None
        assert session.ids.session_id == "s3"
        if ack_mode == "echo":
            await until(lambda: setup.terminates() == ["s2"])
        assert setup.cloud.handshakes == (1 if ack_mode == "echo" else 2)


async def test_new_connection_waits_for_a_call_that_is_being_set_up(auth: AuthHandler) -> None:
    """The answer to an acknowledged offer comes on the connection of the offer."""

    async def script(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "offer" and len(intercom.sent("offer")) == 1:
            await line.send(ack(frame, "s1"))
        elif kind_of(frame) != "offer" or len(intercom.sent("offer")) > 2:
            await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(script)) as setup:
        viewer = Recorder()
        first = setup.session(viewer)
        dialling = asyncio.create_task(first.dial(OFFER))
        await until(lambda: first.state is SessionState.ACKED)
        setup.channel.timeouts = replace(TIMEOUTS, acknowledged=SHORT)
        with pytest.raises(NoAnswerError):
            await setup.session().dial(OFFER)
        setup.channel.timeouts = TIMEOUTS
        redialling = asyncio.create_task(setup.session().dial(OFFER))
        await setup.intercom.lines[0].send(message("s1", "answer", ANSWER))
        await asyncio.gather(dialling, redialling)
        assert viewer.events == ["answer"]


async def test_late_acknowledgement_of_an_answer_is_not_for_its_terminate(
    auth: AuthHandler, ack_mode: str
) -> None:
    """The terminate would not be repeated, and the intercom stay in the call."""

    async def late(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "terminate" and len(intercom.sent("terminate")) == 1:
            await line.send(ack(intercom.sent("answer")[0]))  # and none for the terminate
        elif kind_of(frame) != "answer":
            await by_the_protocol(intercom, line, frame)

    timeouts = replace(TIMEOUTS, acknowledged=SHORT)
    async with signaling(auth, ScriptedIntercom(late), timeouts=timeouts) as setup:
        with pytest.raises(NoAnswerError):
            await setup.session().answer(RING, OFFER)
        if ack_mode != "echo":
            await until(setup.terminates)
            assert setup.cloud.handshakes == 2
            return  # on the new connection, this order cannot come from a cloud
        setup.channel.timeouts = replace(TIMEOUTS, terminated=SHORT)
        await until(lambda: setup.terminates() == ["ring-1", "ring-1"])


async def test_refused_offers_do_not_break_the_next_call(auth: AuthHandler) -> None:
    """However many there were."""

    async def refusing(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "offer" and len(intercom.sent("offer")) <= 3:
            await line.send(ack(frame, status="error", error={"code": 41}, session_id="absent"))
        else:
            await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(refusing)) as setup:
        for _ in range(3):
            with pytest.raises(UnreachableError):
                await setup.session().dial(OFFER)
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events == ["answer"]


async def test_acknowledgement_of_an_answer_may_name_the_ring(auth: AuthHandler) -> None:
    """Its session is known, so it is not for an offer."""
    async with signaling(auth, replying(lambda f: [ack(f, "ring-1")])) as setup:
        viewer = Recorder()
        await setup.session(viewer).answer(RING, OFFER)
        assert viewer.events == ["answer"]
