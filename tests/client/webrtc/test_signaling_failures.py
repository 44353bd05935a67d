"""Calls that go wrong: frames that are late, repeated, incomplete, refused or lost."""

import asyncio
from dataclasses import replace
import itertools
from typing import TYPE_CHECKING, Any, override

import pytest

from custom_components.bticino_classe.client.errors import (
    AnsweredElsewhereError,
    BticinoError,
    CallError,
    CallOverError,
    CommandRefusedError,
    LineBusyError,
    NoAnswerError,
    OfferTooLargeError,
    RateLimitError,
    UnexpectedAnswerError,
    UnreachableError,
)
from custom_components.bticino_classe.client.models import Candidate
from custom_components.bticino_classe.client.webrtc.call_state import SessionState
from custom_components.bticino_classe.client.webrtc.sdp import MAX_CANDIDATES
from custom_components.bticino_classe.client.webrtc.signaling import MAX_UNROUTED_FRAMES
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
    by_the_protocol,
    kind_of,
    message,
    replying,
    signaling,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Line
    from tests.client.webrtc.scripted_intercom import Replies

pytestmark = pytest.mark.usefixtures("ack_mode")

MAX_PEERS = {"code": 1, "message": "Max number of peers reached"}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(
            lambda f: [ack(f, "s1", correlation_id="absent"), message("s1", "answer", ANSWER)],
            id="no-correlation-id",
        ),
        pytest.param(
            lambda f: [ack(f, "s1", correlation_id=None), message("s1", "answer", ANSWER)],
            id="null-correlation-id",
        ),
        pytest.param(
            lambda f: [
                ack(f, "s1", correlation_id=int(f["correlation_id"])),
                message("s1", "answer", ANSWER),
            ],
            id="numeric-correlation-id",
        ),
        pytest.param(
            lambda f: [message("s1", "answer", ANSWER), ack(f, "s1")], id="answer-before-ack"
        ),
        pytest.param(
            lambda f: [ack(f, "s1"), *2 * [message("s1", "answer", ANSWER)]], id="two-answers"
        ),
        pytest.param(
            lambda f: [ack(f, "s1"), ack(f, "s1"), ack(f), message("s1", "answer", ANSWER)],
            id="three-acks",
        ),
        pytest.param(
            lambda f: [
                message("s0", "answer", "v=0\r\n"),
                ack(f, "s1"),
                message("s0", "terminate"),
                message("s1", "answer", ANSWER),
            ],
            id="frames-of-another-session",
        ),
        pytest.param(
            lambda f: [
                {"type": "ack"},
                {"unknown": "frame"},
                ack(f, "s1"),
                message("s1", "unknown"),
                {"session_id": "s1", "data": None},
                message("s1", "answer", ANSWER),
            ],
            id="invalid-frames",
        ),
    ],
)
async def test_call_succeeds_nevertheless(auth: AuthHandler, reply: Replies) -> None:
    """And its terminate has the ids of its acknowledgement."""
    async with signaling(auth, replying(reply)) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.dial(OFFER)
        assert viewer.events == ["answer"]
        session.hang_up()
        await until(setup.terminates)
    terminates = setup.intercom.sent("terminate")
    assert [(f["session_id"], f["tag_id"]) for f in terminates] == [("s1", "tag-s1")]


def refusing(code: int, text: str = "no") -> Replies:
    """Acknowledge an offer with an error."""
    error = {"code": code, "message": text}
    return lambda f: [ack(f, status="error", error=error)]


def terminating(error: Frame | None) -> Replies:
    """Terminate each call right after its acknowledgement."""
    fields: dict[str, Any] = {} if error is None else {"error": error}
    sessions = (f"s{number}" for number in itertools.count(1))

    def reply(f: Frame) -> list[Frame]:
        session = next(sessions)
        return [ack(f, session), message(session, "terminate", **fields)]

    return reply


@pytest.mark.parametrize(
    ("reply", "error", "terminates"),
    [
        (refusing(41, "Device is unreachable"), UnreachableError, []),
        (refusing(26), RateLimitError, []),
        (refusing(99), CommandRefusedError, []),
        (refusing(1, "Max number of peers reached"), LineBusyError, []),
        (lambda f: [ack(f, status="error", correlation_id=None)], CommandRefusedError, []),
        (terminating(None), CallOverError, []),
        (terminating({"code": 41}), UnreachableError, []),
        (terminating({"code": 7}), CallOverError, []),
        (terminating(MAX_PEERS), LineBusyError, []),
        (lambda f: [ack(f, "s1"), message("s1", "rescind")], AnsweredElsewhereError, []),
        (lambda f: [ack(f, "s1"), message("s1", "answer")], UnexpectedAnswerError, ["s1"]),
    ],
)
async def test_call_fails(
    auth: AuthHandler, reply: Replies, error: type[BticinoError], terminates: list[str]
) -> None:
    """With a specific error, and without a leaked session at the intercom."""
    async with signaling(auth, replying(reply)) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        with pytest.raises(error):
            await session.dial(OFFER)
        assert session.state is SessionState.ENDED
        assert viewer.events == []
        await until(lambda: not setup.channel.in_use)
    assert setup.terminates() == terminates


@pytest.mark.parametrize(
    ("reply", "short", "terminates"),
    [
        (lambda _: [], "acknowledged", []),
        (lambda f: [ack(f, "s1")], "answered", ["s1"]),
    ],
)
async def test_call_times_out(
    auth: AuthHandler, reply: Replies, short: str, terminates: list[str]
) -> None:
    """Without an acknowledgement, or without an answer."""
    timeouts = replace(TIMEOUTS, **{short: SHORT})
    async with signaling(auth, replying(reply), timeouts=timeouts) as setup:
        session = setup.session()
        with pytest.raises(NoAnswerError):
            await session.dial(OFFER)
        assert session.state is SessionState.ENDED
        await until(lambda: not setup.channel.in_use)
    assert setup.terminates() == terminates


async def test_busy_intercom_gets_a_second_offer(auth: AuthHandler) -> None:
    """The place of a call that has just ended becomes free with a delay."""

    def answer(f: Frame) -> list[Frame]:
        return [ack(f, "s2"), message("s2", "answer", ANSWER)]

    async with signaling(auth, replying(terminating(MAX_PEERS), answer)) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.dial(OFFER)
        session.hang_up()
        await until(setup.terminates)
    assert viewer.events == ["answer"]
    assert setup.terminates() == ["s2"]
    assert len(setup.intercom.sent("offer")) == 2


async def test_busy_intercom_gets_no_third_offer(auth: AuthHandler) -> None:
    """After the second one the viewer gets the error."""
    async with signaling(auth, replying(terminating(MAX_PEERS))) as setup:
        with pytest.raises(LineBusyError):
            await setup.session().dial(OFFER)
        assert len(setup.intercom.sent("offer")) == 2


@pytest.mark.parametrize("is_refused", [False, True])
async def test_busy_intercom_gets_a_last_offer_later(auth: AuthHandler, is_refused: bool) -> None:
    """When the caller says so, with the candidates that the viewer has sent meanwhile."""
    busy = refusing(1) if is_refused else terminating(MAX_PEERS)
    go_on, later = asyncio.Event(), asyncio.Event()

    async def when_busy() -> None:
        later.set()
        await go_on.wait()

    def answer(f: Frame) -> list[Frame]:
        return [ack(f, "s3"), message("s3", "answer", ANSWER)]

    acked = replying(busy, busy, answer, lambda f: [ack(f)])
    async with signaling(auth, acked) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        dialling = asyncio.create_task(session.dial(OFFER, when_busy=when_busy))
        await later.wait()
        await session.add_candidate(Candidate(candidate=USEFUL, index=0))
        assert (len(setup.intercom.sent("offer")), viewer.events) == (2, [])
        go_on.set()
        await dialling
        await until(lambda: setup.intercom.sent("candidate"))
        session.hang_up()
        await until(setup.terminates)
    assert viewer.events == ["answer"]
    assert len(setup.intercom.sent("offer")) == 3
    assert [f["session_id"] for f in setup.intercom.sent("candidate")] == ["s3"]
    assert setup.terminates() == ["s3"]


@pytest.mark.parametrize("offers", [2, 3])
async def test_intercom_stays_busy(auth: AuthHandler, offers: int) -> None:
    """There is no offer after the last one, and none if the caller does not want it."""

    async def when_busy() -> None:
        if offers == 2:
            raise AnsweredElsewhereError

    async with signaling(auth, replying(terminating(MAX_PEERS))) as setup:
        session = setup.session()
        expected = AnsweredElsewhereError if offers == 2 else LineBusyError
        with pytest.raises(expected):
            await session.dial(OFFER, when_busy=when_busy)
        assert session.state is SessionState.ENDED
        assert len(setup.intercom.sent("offer")) == offers
    assert setup.terminates() == []


async def test_viewer_leaves_while_the_intercom_is_busy(auth: AuthHandler) -> None:
    """Nothing is sent afterwards."""
    later, go_on = asyncio.Event(), asyncio.Event()

    async def when_busy() -> None:
        later.set()
        await go_on.wait()

    async with signaling(auth, replying(terminating(MAX_PEERS))) as setup:
        session = setup.session()
        dialling = asyncio.create_task(session.dial(OFFER, when_busy=when_busy))
        await later.wait()
        session.hang_up()
        go_on.set()
        with pytest.raises(CallError):
            await dialling
        assert len(setup.intercom.sent("offer")) == 2
    assert setup.terminates() == []


async def test_viewer_leaves_before_the_acknowledgement(auth: AuthHandler) -> None:
    """The session can only be terminated once the acknowledgement has named it."""
    go_on = asyncio.Event()

    async def slow(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "offer":
            await go_on.wait()
        await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(slow)) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        dialling = asyncio.create_task(session.dial(OFFER))
        await until(lambda: setup.intercom.frames)
        session.hang_up()
        go_on.set()
        with pytest.raises(CallError):
            await dialling
        await until(setup.terminates)
        assert viewer.events == []
    assert setup.terminates() == ["s1"]


async def test_viewer_is_cancelled(auth: AuthHandler) -> None:
    """The call is terminated, and its error does not reach the loop's exception handler."""
    async with signaling(auth, replying(lambda f: [ack(f, "s1")])) as setup:
        unhandled: list[dict[str, object]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        session = setup.session()
        dialling = asyncio.create_task(session.dial(OFFER))
        await until(lambda: session.state is SessionState.ACKED)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await until(setup.terminates)
        await until(lambda: not setup.channel.in_use)
        loop.set_exception_handler(None)
    assert setup.terminates() == ["s1"]
    assert unhandled == []


async def test_viewer_leaves_before_anything_was_sent(auth: AuthHandler) -> None:
    """Nothing is sent then."""
    async with signaling(auth) as setup:
        session = setup.session()
        session.hang_up()
        with pytest.raises(CallError):
            await session.dial(OFFER)
        with pytest.raises(CallError):
            await session.answer(RING, OFFER)
        assert setup.cloud.handshakes == 0


async def test_late_acknowledgement(auth: AuthHandler) -> None:
    """The call has failed by then; the session is terminated."""

    async def late(_: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) != "offer":
            await line.send(ack(frame))

    timeouts = replace(TIMEOUTS, acknowledged=SHORT)
    async with signaling(auth, ScriptedIntercom(late), timeouts=timeouts) as setup:
        with pytest.raises(NoAnswerError):
            await setup.session().dial(OFFER)
        (offer,) = setup.intercom.frames
        await setup.intercom.lines[0].send(ack(offer, "s1"))
        await until(setup.terminates)
    assert setup.terminates() == ["s1"]


async def test_intercom_terminates_the_call(auth: AuthHandler) -> None:
    """The viewer learns it once, and no terminate is sent."""
    async with signaling(auth) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.dial(OFFER)
        for _ in range(2):
            await setup.intercom.lines[0].send(message("s1", "terminate"))
        await until(lambda: setup.channel.counters["foreign_frames"])
        assert viewer.events == ["answer", "end"]
        assert isinstance(viewer.errors[0], CallOverError)
        session.hang_up()
    assert setup.terminates() == []


async def test_call_has_a_maximum_duration(auth: AuthHandler) -> None:
    """A call whose end was lost must not block the intercom."""
    async with signaling(auth, timeouts=replace(TIMEOUTS, max_call=SHORT)) as setup:
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        await until(lambda: viewer.errors)
        await until(setup.terminates)
        assert viewer.events == ["answer", "end"]
    assert setup.terminates() == ["s1"]


async def test_terminate_without_an_acknowledgement_is_repeated_once(auth: AuthHandler) -> None:
    """On a new connection, because the old one may be dead."""

    async def mute(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) != "terminate":
            await by_the_protocol(intercom, line, frame)

    timeouts = replace(TIMEOUTS, terminated=SHORT)
    async with signaling(auth, ScriptedIntercom(mute), timeouts=timeouts) as setup:
        session = setup.session()
        await session.dial(OFFER)
        session.hang_up()
        await until(lambda: setup.channel.counters["terminates_unacknowledged"])
        assert setup.cloud.handshakes == 2
        await setup.session().dial(OFFER)
    assert setup.terminates()[:2] == ["s1", "s1"]
    assert "s1" not in setup.terminates()[2:]


@pytest.mark.parametrize("losses", [1, 2])
@pytest.mark.parametrize("declined", [False, True])
async def test_terminate_is_repeated_after_a_lost_connection(
    auth: AuthHandler, losses: int, *, declined: bool
) -> None:
    """Until it is acknowledged; it has the session's id, so it can end no other call."""

    async def cutting(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "terminate" and len(intercom.sent("terminate")) <= losses:
            line.cut()
        else:
            await by_the_protocol(intercom, line, frame)

    async with signaling(auth, ScriptedIntercom(cutting)) as setup:
        session = setup.session()
        if declined:
            await session.decline(RING)
        else:
            await session.dial(OFFER)
            session.hang_up()
        await until(lambda: not setup.channel.in_use)
        assert setup.cloud.handshakes == losses + 1
    name, tag = ("ring-1", "tag-1") if declined else ("s1", "tag-s1")
    terminates = setup.intercom.sent("terminate")
    assert [(f["session_id"], f["tag_id"]) for f in terminates] == (losses + 1) * [(name, tag)]


async def test_next_offer_waits_for_the_repeated_terminate(auth: AuthHandler) -> None:
    """An intercom with one place would be busy."""

    async def losing(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) != "terminate" or len(intercom.sent("terminate")) > 1:
            await by_the_protocol(intercom, line, frame)

    timeouts = replace(TIMEOUTS, terminated=SHORT)
    async with signaling(auth, ScriptedIntercom(losing), timeouts=timeouts) as setup:
        first = setup.session()
        await first.dial(OFFER)
        first.hang_up()
        await setup.session().dial(OFFER)
        kinds = [kind_of(frame) for frame in setup.intercom.frames]
        assert kinds == ["offer", "terminate", "terminate", "offer"]


@pytest.mark.parametrize(
    ("reply", "error", "terminates"),
    [
        (refusing(9), BticinoError, ["ring-1"]),
        (lambda f: [message("ring-1", "rescind"), ack(f)], AnsweredElsewhereError, []),
        (lambda f: [message("ring-1", "terminate"), ack(f)], CallOverError, []),
        (
            lambda f: [message("ring-1", "terminate", error=MAX_PEERS), ack(f)],
            AnsweredElsewhereError,
            [],
        ),
        (lambda f: [ack(f), message("ring-1", "terminate")], CallOverError, []),
    ],
)
async def test_answer_to_a_ring_fails(
    auth: AuthHandler, reply: Replies, error: type[BticinoError], terminates: list[str]
) -> None:
    """The viewer learns whether somebody else has answered or the visitor has left."""
    async with signaling(auth, replying(reply)) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        try:
            await session.answer(RING, OFFER)
        except BticinoError as err:
            viewer.errors.append(err)
        await until(lambda: session.state is SessionState.ENDED)
        await until(lambda: not setup.channel.in_use)
        assert viewer.events in ([], ["answer", "end"])
        assert isinstance(viewer.errors[0], error)
    assert setup.terminates() == terminates


async def test_answer_to_a_ring_times_out(auth: AuthHandler) -> None:
    """It may have arrived: the session is terminated."""
    timeouts = replace(TIMEOUTS, acknowledged=SHORT)
    async with signaling(auth, replying(lambda _: []), timeouts=timeouts) as setup:
        with pytest.raises(NoAnswerError):
            await setup.session().answer(RING, OFFER)
        await until(setup.terminates)
    assert setup.terminates() == ["ring-1"]


async def test_end_from_the_push_socket(auth: AuthHandler) -> None:
    """It ends the call with this session id only, without a terminate."""
    async with signaling(auth) as setup:
        viewer = Recorder()
        session = setup.session(viewer)
        await session.answer(RING, OFFER)
        session.end_if("ring-0")
        assert session.state is SessionState.ANSWERED
        session.end_if("ring-1")
        assert viewer.events == ["answer", "end"]
    assert setup.terminates() == []


async def test_too_large_offer_is_not_sent(auth: AuthHandler) -> None:
    """The intercom would restart."""
    large = OFFER + "".join(f"a=x-custom-{n}:{'x' * 80}\r\n" for n in range(120))
    async with signaling(auth) as setup:
        with pytest.raises(OfferTooLargeError):
            await setup.session().dial(large)
        with pytest.raises(OfferTooLargeError):
            await setup.session().answer(RING, large)
        assert setup.intercom.frames == []
        assert setup.cloud.handshakes == 0


def refusing_without_id(f: Frame) -> list[Frame]:
    """Acknowledge an offer with an error, without a correlation id."""
    error = {"code": 9, "message": "no"}
    return [ack(f, status="error", error=error, correlation_id="absent")]


async def test_error_without_correlation_id_fails_the_offer(auth: AuthHandler) -> None:
    """If it was another request's error, the session is terminated once it is known."""

    def reply(f: Frame) -> list[Frame]:
        late = ack(f, "s1", correlation_id="absent")
        return [*refusing_without_id(f), late, message("s1", "answer", ANSWER)]

    async with signaling(auth, replying(reply)) as setup:
        with pytest.raises(BticinoError):
            await setup.session().dial(OFFER)
        await until(setup.terminates)
    assert setup.terminates() == ["s1"]


async def test_refused_offer_does_not_take_the_next_acknowledgement(auth: AuthHandler) -> None:
    """Without correlation ids, an acknowledgement belongs to the offer that has none yet."""

    def reply(f: Frame) -> list[Frame]:
        return [ack(f, "s2", correlation_id="absent"), message("s2", "answer", ANSWER)]

    async with signaling(auth, replying(refusing_without_id, reply)) as setup:
        with pytest.raises(BticinoError):
            await setup.session().dial(OFFER)
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events == ["answer"]
        assert setup.terminates() == []


async def test_error_for_a_candidate_fails_no_offer(auth: AuthHandler) -> None:
    """Without correlation ids, the oldest request is acknowledged first."""

    async def refusing_candidates(intercom: ScriptedIntercom, line: Line, frame: Frame) -> None:
        if kind_of(frame) == "candidate":
            return  # the error comes later
        if kind_of(frame) == "offer" and intercom.sent("candidate"):
            error = {"code": 21, "message": "no"}
            await line.send({"type": "ack", "status": "error", "error": error})
        name = f"s{len(intercom.sent('offer'))}" if kind_of(frame) == "offer" else None
        await line.send(ack(frame, name, correlation_id="absent"))
        if name is not None:
            await line.send(message(name, "answer", ANSWER))

    async with signaling(auth, ScriptedIntercom(refusing_candidates)) as setup:
        first = setup.session()
        await first.dial(OFFER)
        await first.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events == ["answer"]


def flood(session: str, count: int = 2 * MAX_UNROUTED_FRAMES) -> list[Frame]:
    """Return many candidates of a session."""
    candidate = message(session, "candidate", ice_candidate={"candidate": USEFUL})
    return count * [candidate]


@pytest.mark.parametrize(
    "leftovers",
    [
        lambda: flood("s0"),
        lambda: [frame for n in range(100) for frame in flood(f"foreign-{n}", 1)],
        lambda: flood("s2"),
        lambda: flood("s1"),
    ],
    ids=["unknown-session", "many-sessions", "own-session", "earlier-session"],
)
async def test_leftovers_do_not_crowd_out_the_answer(
    auth: AuthHandler, leftovers: Callable[[], list[Frame]]
) -> None:
    """Even if that overtakes the acknowledgement."""

    def plain(f: Frame) -> list[Frame]:
        return [ack(f, "s1"), message("s1", "answer", ANSWER)]

    def crowded(f: Frame) -> list[Frame]:
        return [*leftovers(), message("s2", "answer", ANSWER), ack(f, "s2")]

    async with signaling(auth, replying(plain, crowded)) as setup:
        first = setup.session()
        await first.dial(OFFER)
        first.hang_up()
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events[0] == "answer"
        assert len(viewer.candidates) <= MAX_CANDIDATES


async def test_candidates_of_the_first_attempt_are_dropped(auth: AuthHandler) -> None:
    """They belong to another session than the answer to the second offer."""

    def busy(f: Frame) -> list[Frame]:
        return [ack(f, "s1"), *flood("s1"), message("s1", "terminate", error=MAX_PEERS)]

    def answer(f: Frame) -> list[Frame]:
        return [ack(f, "s2"), *flood("s2", 1), message("s2", "answer", ANSWER)]

    async with signaling(auth, replying(busy, answer)) as setup:
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events == ["answer", "candidate"]


async def test_viewer_candidates_are_limited(auth: AuthHandler) -> None:
    """Those that wait for the answer."""
    async with signaling(auth) as setup:
        session = setup.session()
        for _ in range(2 * MAX_CANDIDATES):
            await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
        await session.dial(OFFER)
        await until(lambda: len(setup.intercom.sent("candidate")) == MAX_CANDIDATES)


class FaultyViewer(Recorder):
    """A viewer that fails when the call is set up."""

    @override
    def answered(self, sdp: str) -> None:
        raise ValueError(sdp)


async def test_unexpected_error_in_a_call(
    auth: AuthHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends the call, and is logged without what the error may contain."""
    async with signaling(auth) as setup:
        with pytest.raises(ValueError, match="v=0"):
            await setup.session(FaultyViewer()).dial(OFFER)
        await until(lambda: "ValueError" in caplog.text)
        assert "v=0" not in caplog.text
        await until(lambda: setup.terminates() == ["s1"])


async def test_close_while_a_call_is_set_up(auth: AuthHandler) -> None:
    """Its caller gets an error: a cancellation would be taken for the caller's own."""
    async with signaling(auth, replying(lambda _: [])) as setup:
        dialling = asyncio.create_task(setup.session().dial(OFFER))
        await until(lambda: setup.intercom.frames)
        setup.channel.timeouts = replace(TIMEOUTS, terminated=SHORT)
        await setup.channel.close()
        with pytest.raises(BticinoError):
            await dialling


async def test_close_before_a_call_has_begun(auth: AuthHandler) -> None:
    """Its coroutine is closed, too."""
    async with signaling(auth) as setup:
        setup.channel.timeouts = replace(TIMEOUTS, terminated=0)
        dialling = asyncio.create_task(setup.session().dial(OFFER))
        await asyncio.sleep(0)
        await setup.channel.close()
        with pytest.raises(BticinoError):
            await dialling


async def test_unrouted_frames_of_a_failed_offer_are_dropped(auth: AuthHandler) -> None:
    """They must not crowd out an answer that overtakes the next acknowledgement."""

    def flood(f: Frame) -> list[Frame]:
        foreign = message("s0", "candidate", ice_candidate={"candidate": USEFUL})
        return [*MAX_UNROUTED_FRAMES * [foreign], ack(f, status="error", error={"code": 99})]

    def answer_before_ack(f: Frame) -> list[Frame]:
        return [message("s1", "answer", ANSWER), ack(f, "s1")]

    async with signaling(auth, replying(flood, answer_before_ack)) as setup:
        with pytest.raises(CommandRefusedError):
            await setup.session().dial(OFFER)
        viewer = Recorder()
        await setup.session(viewer).dial(OFFER)
        assert viewer.events == ["answer"]
