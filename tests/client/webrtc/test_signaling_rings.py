"""A ring goes on ringing until our answer is out."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import BticinoError, NoAnswerError
from custom_components.bticino_classe.client.webrtc.call_state import SessionState
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.running import until
from tests.client.webrtc.scripted_intercom import (
    OFFER,
    RING,
    SHORT,
    TIMEOUTS,
    Frame,
    Recorder,
    ScriptedIntercom,
    by_the_protocol,
    kind_of,
    signaling,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from custom_components.bticino_classe.client.auth import AuthHandler
    from custom_components.bticino_classe.client.webrtc.session import CallSession
    from tests.client.lines import Line
    from tests.client.webrtc.scripted_intercom import Signaling

pytestmark = pytest.mark.usefixtures("ack_mode")

type Leaving = Callable[[CallSession, asyncio.Task[None]], object]


@pytest.mark.parametrize(
    "leave",
    [lambda session, _: session.hang_up(), lambda _, task: task.cancel()],
    ids=["hang-up", "cancelled"],
)
@pytest.mark.parametrize("waits_for", ["connection", "offer"])
async def test_viewer_leaves_before_the_answer_is_sent(
    auth: AuthHandler, leave: Leaving, waits_for: str
) -> None:
    """The ring goes on: nothing is sent, and no id is kept that could end it."""
    go_on = asyncio.Event()

    async def slow(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "offer":
            await go_on.wait()
        await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(slow)) as setup:
        others = []
        if waits_for == "offer":
            others.append(asyncio.create_task(setup.session().dial(OFFER)))
            await until(lambda: setup.intercom.frames)
        else:
            await setup.channel._connection_lock.acquire()
        session = setup.session()
        answering = asyncio.create_task(session.answer(RING, OFFER))
        await until(lambda: session in setup.channel._waiting)
        leave(session, answering)
        go_on.set()
        if waits_for == "connection":
            setup.channel._connection_lock.release()
        with pytest.raises((BticinoError, asyncio.CancelledError)):
            await answering
        await asyncio.gather(*others)
        assert session.ids is None
        await until(lambda: not setup.channel._waiting)
    assert setup.intercom.sent("answer") == []
    assert "ring-1" not in setup.terminates()


def _close_transport(setup: Signaling) -> None:
    """Lose the connection so that the client's socket has not noticed it yet."""
    socket = setup.channel.socket._socket
    assert socket is not None
    connection = socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.abort()


async def test_connection_is_lost_before_the_answer_is_sent(
    auth: AuthHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was written, so nothing of ours has to be ended."""
    async with signaling(auth) as setup:
        await setup.channel._resubscribe()
        session = setup.session(Recorder())
        send = setup.channel.socket.send

        async def lose_and_send(frame: Frame) -> None:
            monkeypatch.undo()
            _close_transport(setup)
            await send(frame)

        monkeypatch.setattr(setup.channel.socket, "send", lose_and_send)
        with pytest.raises(NoAnswerError) as caught:
            await session.answer(RING, OFFER)
        assert not caught.value.sent
        assert session.ids is None
        assert session.state is SessionState.ENDED
        await until(lambda: setup.channel.socket.state is SocketState.ONLINE)
        await until(lambda: not setup.channel.in_use)
    assert setup.intercom.frames == []


async def test_answer_waits_for_a_new_connection(auth: AuthHandler) -> None:
    """If the connection is lost while another viewer's offer is being acknowledged."""
    go_on = asyncio.Event()

    async def cutting(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "offer":
            await go_on.wait()
            line.cut()
        else:
            await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(cutting)) as setup:
        viewer = Recorder()
        dialling = asyncio.create_task(setup.session().dial(OFFER))
        await until(lambda: setup.intercom.frames)
        session = setup.session(viewer)
        answering = asyncio.create_task(session.answer(RING, OFFER))
        await until(lambda: session in setup.channel._waiting)
        go_on.set()
        with pytest.raises(NoAnswerError):
            await dialling
        await answering
        assert viewer.events == ["answer"]


async def test_viewer_leaves_after_the_answer_was_sent(auth: AuthHandler) -> None:
    """It may have been accepted: the call is ours, and it is terminated."""

    async def silent(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) != "answer":
            await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(silent)) as setup:
        session = setup.session()
        answering = asyncio.create_task(session.answer(RING, OFFER))
        await until(lambda: setup.intercom.sent("answer"))
        session.hang_up()
        await until(setup.terminates)
        setup.channel.timeouts = replace(TIMEOUTS, terminated=SHORT)
        await setup.channel.close()
        with pytest.raises(BticinoError):
            await answering
    assert setup.terminates() == ["ring-1"]
