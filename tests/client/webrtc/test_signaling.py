"""Calls as they should go: dialled, answered, declined, ended once."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import CallError, CallOverError
from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc.call_state import SessionState
from tests.client.running import until
from tests.client.webrtc.scripted_intercom import (
    ANSWER,
    BRIDGE,
    OFFER,
    PANEL,
    RING,
    USEFUL,
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


async def test_call_from_offer_to_terminate(auth: AuthHandler) -> None:
    """Exactly two frames are sent: the offer and the terminate."""
    async with signaling(auth) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.dial(OFFER)
        states = [session.state]
        session.hang_up()
        session.hang_up()
        await until(lambda: setup.channel.counters["terminates"] and not setup.channel.in_use)
        offer, terminate = setup.intercom.frames
        assert {**offer, "correlation_id": None} == {
            "action": "rtc",
            "device_id": BRIDGE,
            "correlation_id": None,
            "data": {
                "type": "offer",
                "session_description": {
                    "type": "call",
                    "module_id": PANEL,
                    "sdp": offer["data"]["session_description"]["sdp"],
                },
            },
        }
        assert {**terminate, "correlation_id": None} == {
            "action": "rtc",
            "session_id": "s1",
            "tag_id": "tag-s1",
            "device_id": BRIDGE,
            "correlation_id": None,
            "data": {"type": "terminate"},
        }
        correlation_ids = [frame["correlation_id"] for frame in setup.intercom.frames]
        assert all(isinstance(each, str) for each in correlation_ids)
        assert len(set(correlation_ids)) == 2
    assert viewer.events == ["answer"]
    assert [*states, session.state] == [SessionState.ANSWERED, SessionState.ENDED]


async def test_sendrecv_audio_for_the_intercom_only(auth: AuthHandler) -> None:
    """The offer is changed to sendrecv, the answer back to what a recvonly browser accepts."""
    async with signaling(auth) as setup:
        viewer = Recorder()
        await setup.session(viewer, panel=None).dial(OFFER)
        sent = setup.intercom.sent("offer")[0]["data"]["session_description"]
        assert "module_id" not in sent
        assert "a=sendrecv" in sent["sdp"]
        assert "a=sendrecv" not in OFFER
        assert viewer.answers[0] == ANSWER.replace("a=sendrecv", "a=sendonly")


async def test_viewer_candidates_wait_for_the_answer(auth: AuthHandler) -> None:
    """Then only the useful ones are sent, with their mid and index."""
    answer = asyncio.Event()

    async def slow(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) != "offer":
            await by_the_protocol(intercom, line, frame)
            return
        await line.send(ack(frame, "s1"))
        await answer.wait()
        await line.send(message("s1", "answer", ANSWER))

    async with signaling(auth, ScriptedIntercom(slow)) as setup:
        session = setup.session()
        dialling = asyncio.create_task(session.dial(OFFER))
        await until(lambda: session.state is SessionState.ACKED)
        await session.add_candidate(Candidate(candidate=USEFUL, mid="1", index=1))
        for useless in ("", USEFUL.replace("udp", "tcp"), USEFUL.replace("192.0.2.9", "a.local")):
            await session.add_candidate(Candidate(candidate=useless, mid="0", index=0))
        assert setup.intercom.sent("candidate") == []
        answer.set()
        await dialling
        await session.add_candidate(Candidate(candidate=USEFUL, mid=None, index=0))
        await until(lambda: len(setup.intercom.sent("candidate")) == 2)
        first, second = setup.intercom.sent("candidate")
        assert (first["session_id"], first["tag_id"]) == ("s1", "tag-s1")
        assert first["data"]["ice_candidate"] == {
            "candidate": USEFUL,
            "sdp_mid": "1",
            "sdp_m_line_index": 1,
        }
        assert second["data"]["ice_candidate"] == {"candidate": USEFUL, "sdp_m_line_index": 0}
        session.hang_up()
        await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
    assert len(setup.intercom.sent("candidate")) == 2


async def test_intercom_candidates_follow_the_answer(auth: AuthHandler) -> None:
    """A browser drops those that come before it."""

    def reply(frame: Frame) -> list[Frame]:
        fields = {"candidate": USEFUL, "sdp_mid": "1", "sdp_m_line_index": 1}
        return [
            ack(frame, "s1"),
            message("s1", "candidate", ice_candidate=fields),
            message("s1", "candidate", ice_candidate={"sdp_mid": "0"}),
            message("s1", "answer", ANSWER),
            message("s1", "candidate", ice_candidate={"candidate": USEFUL}),
        ]

    async with signaling(auth, replying(reply)) as setup:
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        await until(lambda: len(viewer.candidates) == 2)
        assert viewer.events == ["answer", "candidate", "candidate"]
        assert viewer.candidates == [
            Candidate(candidate=USEFUL, mid="1", index=1),
            Candidate(candidate=USEFUL, mid="0", index=0),
        ]


async def test_ring_is_answered_not_dialled(auth: AuthHandler) -> None:
    """With the ids of the ring; each side gets m-sections and candidates in its own order."""
    async with signaling(auth) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        answering = asyncio.create_task(session.answer(RING, OFFER))
        await session.add_candidate(Candidate(candidate=USEFUL, mid="1", index=1))
        await answering
        assert session.state is SessionState.ANSWERED
        assert setup.intercom.sent("offer") == []
        answer = setup.intercom.sent("answer")[0]
        assert (answer["session_id"], answer["tag_id"]) == ("ring-1", "tag-1")
        assert answer["correlation_id"] == RING.correlation_id
        sent = answer["data"]["session_description"]
        assert sent["type"] == "call"
        assert sent["sdp"].index("m=video") < sent["sdp"].index("m=audio")
        assert "a=setup:active" in sent["sdp"]
        (shown,) = viewer.answers
        assert shown.index("m=audio") < shown.index("m=video")
        assert "a=setup:passive" in shown
        await until(lambda: setup.intercom.sent("candidate"))
        fields = setup.intercom.sent("candidate")[0]["data"]["ice_candidate"]
        assert (fields["sdp_mid"], fields["sdp_m_line_index"]) == ("0", 0)
        fields = {"candidate": USEFUL, "sdp_mid": "1", "sdp_m_line_index": 1}
        await setup.intercom.lines[0].send(message("ring-1", "candidate", ice_candidate=fields))
        await until(lambda: viewer.candidates)
        assert viewer.candidates == [Candidate(candidate=USEFUL, mid="0", index=0)]
        session.hang_up()
        await until(lambda: setup.terminates() == ["ring-1"])


async def test_rescind_after_our_own_answer_is_ignored(auth: AuthHandler) -> None:
    """It informs the other receivers of the ring that somebody has answered."""

    def reply(frame: Frame) -> list[Frame]:
        if kind_of(frame) != "answer":
            return [ack(frame)]
        candidate = message("ring-1", "candidate", ice_candidate={"candidate": USEFUL})
        return [ack(frame), message("ring-1", "rescind"), candidate]

    async with signaling(auth, replying(reply)) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.answer(RING, OFFER)
        await until(lambda: viewer.candidates)
        assert session.state is SessionState.ANSWERED
        assert viewer.errors == []


async def test_ring_is_declined_once(auth: AuthHandler) -> None:
    """With the ids of the ring."""
    async with signaling(auth) as setup:
        session = setup.session()
        await session.decline(RING)
        session.hang_up()
    (frame,) = setup.intercom.frames
    assert (frame["session_id"], frame["tag_id"]) == ("ring-1", "tag-1")
    assert frame["data"] == {"type": "terminate"}


async def test_next_panel_needs_a_call(auth: AuthHandler) -> None:
    """The message has the ids of the call."""
    async with signaling(auth) as setup:
        session = setup.session()
        with pytest.raises(CallError):
            await session.next_panel()
        await session.dial(OFFER)
        await session.next_panel()
        (player,) = setup.intercom.sent("player")
        assert player["session_id"] == "s1"
        assert player["data"] == {"type": "player", "value": "next_module"}


async def test_frames_are_routed_to_their_session(auth: AuthHandler) -> None:
    """Two calls at once: each gets its own answer and its own end."""

    async def named(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        name = f"s{len(intercom.sent('offer'))}"
        if kind_of(frame) == "offer":
            await line.send(ack(frame, name))
            await line.send(message(name, "answer", ANSWER.replace("o=- 42", f"o=- {name}")))
        else:
            await line.send(ack(frame))

    async with signaling(auth, ScriptedIntercom(named)) as setup:
        viewers = [Recorder(), Recorder()]
        sessions = [setup.session(viewer) for viewer in viewers]
        await asyncio.gather(*(session.dial(OFFER) for session in sessions))
        await setup.intercom.lines[0].send(message("s2", "terminate"))
        await until(lambda: viewers[1].errors)
        assert ["s1" in viewers[0].answers[0], "s2" in viewers[1].answers[0]] == [True, True]
        states = [session.state for session in sessions]
        assert states == [SessionState.ANSWERED, SessionState.ENDED]
        assert viewers[0].errors == []
        assert isinstance(viewers[1].errors[0], CallOverError)


async def test_new_call_waits_for_the_last_terminate(auth: AuthHandler) -> None:
    """An intercom with one place would be busy for the offer of the talk button."""
    order: list[str] = []
    held: list[tuple[Line, Frame]] = []

    async def one_place(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        order.append(kind_of(frame))
        if kind_of(frame) == "terminate" and not held:
            held.append((line, frame))
        else:
            await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(one_place)) as setup:
        first = setup.session()
        await first.dial(OFFER)
        first.hang_up()
        dialling = asyncio.create_task(setup.session().dial(OFFER))
        await until(lambda: held)
        await setup.channel.socket.resubscribe()  # a second offer would have arrived before
        assert order == ["offer", "terminate"]
        line, frame = held[0]
        await line.send(ack(frame))
        await dialling
    assert order[:3] == ["offer", "terminate", "offer"]
