"""Calls by the book: one viewer, one session, exactly one end."""

import asyncio
from typing import TYPE_CHECKING, Any, override

import pytest

from custom_components.bticino_classe.client.errors import CallError, CallOverError
from custom_components.bticino_classe.client.models import Candidate, RingOffer
from custom_components.bticino_classe.client.webrtc.session import SessionState
from custom_components.bticino_classe.client.webrtc.signaling import CallTimeouts
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.phone import (
    ANSWER,
    BRIDGE,
    OFFER,
    PANEL,
    RINGING,
    USEFUL,
    Intercom,
    Watcher,
    ack,
    message,
    phone,
)
from tests.client.running import until

if TYPE_CHECKING:
    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Line


async def test_call_from_offer_to_end(auth: AuthHandler) -> None:
    """All that goes over the line, in order, and nothing besides."""
    async with phone(auth) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.dial(OFFER)
        states = [session.state]
        session.hang_up()
        session.hang_up()
        await until(lambda: there.channel.counters["terminates"] and not there.channel._tasks)
        offered, ended = there.intercom.frames
        assert {**offered, "correlation_id": None} == {
            "action": "rtc",
            "device_id": BRIDGE,
            "correlation_id": None,
            "data": {
                "type": "offer",
                "session_description": {
                    "type": "call",
                    "module_id": PANEL,
                    "sdp": offered["data"]["session_description"]["sdp"],
                },
            },
        }
        assert {**ended, "correlation_id": None} == {
            "action": "rtc",
            "session_id": "s1",
            "tag_id": "tag-s1",
            "device_id": BRIDGE,
            "correlation_id": None,
            "data": {"type": "terminate"},
        }
        numbers = [frame["correlation_id"] for frame in there.intercom.frames]
        assert all(isinstance(number, str) for number in numbers)
        assert len(set(numbers)) == 2
    assert watcher.told == ["answer"]
    assert [*states, session.state] == [SessionState.ANSWERED, SessionState.ENDED]


async def test_offer_wakes_the_microphone_and_the_answer_fits_the_browser(
    auth: AuthHandler,
) -> None:
    """The intercom sees sound both ways; the browser, which only listens, is told of one."""
    async with phone(auth) as there:
        watcher = Watcher()
        await there.session(watcher, panel=None).dial(OFFER)
        sent = there.intercom.sent("offer")[0]["data"]["session_description"]
        assert "module_id" not in sent
        assert "a=sendrecv" in sent["sdp"]
        assert "a=sendrecv" not in OFFER
        assert watcher.answers[0] == ANSWER.replace("a=sendrecv", "a=sendonly")


async def test_every_offer_has_a_subscription_of_its_own(auth: AuthHandler) -> None:
    """The token of the last one may have died; the connection is one and the same."""
    async with phone(auth) as there:
        for count in (1, 2, 3):
            before = there.intercom.subscriptions
            session = there.session(Watcher())
            await session.dial(OFFER)
            assert there.intercom.subscriptions > before
            session.hang_up()
            assert len(there.intercom.sent("offer")) == count
        assert there.cloud.handshakes == 1


async def test_line_is_closed_when_idle(auth: AuthHandler) -> None:
    """Nobody watches: nothing is connected; the next viewer connects anew."""
    patience = CallTimeouts(idle=0.02, terminated=0.2)
    async with phone(auth, patience=patience) as there:
        for handshakes in (1, 2):
            session = there.session(Watcher())
            await session.dial(OFFER)
            await asyncio.sleep(0.05)
            assert not there.channel.is_idle
            session.hang_up()
            await until(lambda: there.channel.is_idle)
            assert there.cloud.handshakes == handshakes
            assert there.channel.socket.state is SocketState.STOPPED


async def test_candidates_of_the_viewer_wait_for_the_answer(auth: AuthHandler) -> None:
    """Then those go that the intercom can reach, with the name of their section."""
    answered = asyncio.Event()

    class Slow(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                await line.send(ack(frame, "s1"))
                await answered.wait()
                await line.send(message("s1", "answer", ANSWER))

    async with phone(auth, Slow()) as there:
        session = there.session(Watcher())
        dialling = asyncio.create_task(session.dial(OFFER))
        await until(lambda: session.state is SessionState.ACKED)
        await session.add_candidate(Candidate(candidate=USEFUL, mid="1", index=1))
        useless = (
            "",
            USEFUL.replace("udp", "tcp"),
            USEFUL.replace("192.0.2.9", "127.0.0.1"),
            USEFUL.replace("192.0.2.9", "5a0f.local"),
        )
        for line in useless:
            await session.add_candidate(Candidate(candidate=line, mid="0", index=0))
        assert there.intercom.sent("candidate") == []
        answered.set()
        await dialling
        await session.add_candidate(Candidate(candidate=USEFUL, mid=None, index=0))
        await until(lambda: len(there.intercom.sent("candidate")) == 2)
        first, second = there.intercom.sent("candidate")
        assert (first["session_id"], first["tag_id"]) == ("s1", "tag-s1")
        assert first["data"]["ice_candidate"] == {
            "candidate": USEFUL,
            "sdp_mid": "1",
            "sdp_m_line_index": 1,
        }
        assert second["data"]["ice_candidate"] == {"candidate": USEFUL, "sdp_m_line_index": 0}
        session.hang_up()
        await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
    assert len(there.intercom.sent("candidate")) == 2


async def test_candidates_of_the_intercom_come_after_the_answer(auth: AuthHandler) -> None:
    """A browser loses what comes before it."""

    class Hasty(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                await line.send(ack(frame, "s1"))
                found = {"candidate": USEFUL, "sdp_mid": "1", "sdp_m_line_index": 1}
                await line.send(message("s1", "candidate", ice_candidate=found))
                await line.send(message("s1", "candidate", ice_candidate={"sdp_mid": "0"}))
                await line.send(message("s1", "answer", ANSWER))
                await line.send(message("s1", "candidate", ice_candidate={"candidate": USEFUL}))

    async with phone(auth, Hasty()) as there:
        watcher = Watcher()
        await there.session(watcher).dial(OFFER)
        await until(lambda: len(watcher.candidates) == 2)
        assert watcher.told == ["answer", "candidate", "candidate"]
        assert watcher.candidates == [
            Candidate(candidate=USEFUL, mid="1", index=1),
            Candidate(candidate=USEFUL, mid="0", index=0),
        ]


RING = RingOffer(
    session_id="ring-1", tag_id="tag-1", correlation_id="9223372036854770001", sdp=RINGING
)


async def test_ringing_call_is_answered_not_dialled(auth: AuthHandler) -> None:
    """The ids are the ring's, as they came; each side gets the sections as it named them itself."""
    async with phone(auth) as there:
        watcher = Watcher()
        session = there.session(watcher)
        joining = asyncio.create_task(session.answer(RING, OFFER))
        await session.add_candidate(Candidate(candidate=USEFUL, mid="1", index=1))
        await joining
        assert session.state is SessionState.ANSWERED
        assert there.intercom.sent("offer") == []
        answer = there.intercom.sent("answer")[0]
        assert answer["session_id"] == "ring-1"
        assert answer["tag_id"] == "tag-1"
        assert answer["correlation_id"] == "9223372036854770001"
        sent = answer["data"]["session_description"]
        assert sent["type"] == "call"
        assert sent["sdp"].index("m=video") < sent["sdp"].index("m=audio")
        assert "a=setup:active" in sent["sdp"]
        shown = watcher.answers[0]
        assert shown.index("m=audio") < shown.index("m=video")
        assert "a=setup:passive" in shown
        await until(lambda: there.intercom.sent("candidate"))
        found = there.intercom.sent("candidate")[0]["data"]["ice_candidate"]
        assert (found["sdp_mid"], found["sdp_m_line_index"]) == ("0", 0)
        theirs = {"candidate": USEFUL, "sdp_mid": "1", "sdp_m_line_index": 1}
        await there.intercom.lines[0].send(message("ring-1", "candidate", ice_candidate=theirs))
        await until(lambda: watcher.candidates)
        assert watcher.candidates == [Candidate(candidate=USEFUL, mid="0", index=0)]
        session.hang_up()
        await until(lambda: there.intercom.sent("terminate"))
        assert there.intercom.sent("terminate")[0]["session_id"] == "ring-1"


async def test_own_answer_is_rescinded_to_the_others(auth: AuthHandler) -> None:
    """Which says that somebody has answered: it was us."""

    class Rescinding(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            await Intercom.take(self, line, frame)
            if frame["data"]["type"] == "answer":
                await line.send(message("ring-1", "rescind"))
                await line.send(message("ring-1", "candidate", ice_candidate={"candidate": USEFUL}))

    async with phone(auth, Rescinding()) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.answer(RING, OFFER)
        await until(lambda: watcher.candidates)
        assert session.state is SessionState.ANSWERED
        assert watcher.errors == []


async def test_ring_is_declined_once(auth: AuthHandler) -> None:
    """With the ids of the ring."""
    async with phone(auth) as there:
        session = there.session(Watcher())
        await session.decline(RING)
        session.hang_up()
    (frame,) = there.intercom.frames
    assert (frame["session_id"], frame["tag_id"]) == ("ring-1", "tag-1")
    assert frame["data"] == {"type": "terminate"}


async def test_next_panel_is_shown_in_a_call_only(auth: AuthHandler) -> None:
    """The message bears the ids of the call."""
    async with phone(auth) as there:
        session = there.session(Watcher())
        with pytest.raises(CallError):
            await session.next_panel()
        await session.dial(OFFER)
        await session.next_panel()
        player = there.intercom.sent("player")[0]
        assert player["session_id"] == "s1"
        assert player["data"] == {"type": "player", "value": "next_module"}


async def test_two_calls_at_once_hear_their_own_only(auth: AuthHandler) -> None:
    """One after the other is offered; each gets what bears its id."""

    class Two(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                name = f"s{len(self.sent('offer'))}"
                await line.send(ack(frame, name))
                await line.send(message(name, "answer", ANSWER.replace("o=- 42", f"o=- {name}")))

    async with phone(auth, Two()) as there:
        watchers = [Watcher(), Watcher()]
        sessions = [there.session(watcher) for watcher in watchers]
        await asyncio.gather(*(session.dial(OFFER) for session in sessions))
        await there.intercom.lines[0].send(message("s2", "terminate"))
        await until(lambda: watchers[1].errors)
        assert ["s1" in watchers[0].answers[0], "s2" in watchers[1].answers[0]] == [True, True]
        assert [session.state for session in sessions] == [
            SessionState.ANSWERED,
            SessionState.ENDED,
        ]
        assert watchers[0].errors == []
        assert isinstance(watchers[1].errors[0], CallOverError)
