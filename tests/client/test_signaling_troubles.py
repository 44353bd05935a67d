"""Acknowledgements, answers and ends that come late, twice, half, without ids, or not at all."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, override

import pytest

from custom_components.bticino_classe.client.errors import (
    AnsweredElsewhereError,
    BticinoError,
    CallError,
    CallOverError,
    CommandRefusedError,
    InvalidCredentialsError,
    LineBusyError,
    NoAnswerError,
    OfferTooLargeError,
    RateLimitError,
    UnexpectedAnswerError,
    UnreachableError,
)
from custom_components.bticino_classe.client.models import Candidate, RingOffer
from custom_components.bticino_classe.client.webrtc.session import SessionState
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.phone import (
    ANSWER,
    OFFER,
    QUICK,
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
    from collections.abc import Callable

    from custom_components.bticino_classe.client.auth import AuthHandler
    from tests.client.lines import Line
    from tests.client.phone import Phone
    from tests.simulator import Simulator

RING = RingOffer(session_id="ring-1", tag_id="tag-1", correlation_id="7", sdp=RINGING)
MAX_PEERS = {"code": 1, "message": "Max number of peers reached"}


class Playing(Intercom):
    """Meets each message but terminates, which it acknowledges, with what it is told to send."""

    def __init__(self, *plays: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        Intercom.__init__(self)
        self.plays = list(plays)

    @override
    async def take(self, line: Line, frame: dict[str, Any]) -> None:
        if frame["data"]["type"] == "terminate":
            await line.send(ack(frame))
            return
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        for answer in play(frame):
            await line.send(answer)


def busy(session: str) -> dict[str, Any]:
    """End a call for want of a place."""
    return {"session_id": session, "data": {"type": "terminate", "error": MAX_PEERS}}


def terminates(there: Phone) -> list[str | None]:
    """Return the sessions that were ended by us."""
    return [frame.get("session_id") for frame in there.intercom.sent("terminate")]


@pytest.mark.parametrize(
    "play",
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
            id="number-as-correlation-id",
        ),
        pytest.param(
            lambda f: [message("s1", "answer", ANSWER), ack(f, "s1")], id="answer-before-ack"
        ),
        pytest.param(
            lambda f: [ack(f, "s1"), *2 * [message("s1", "answer", ANSWER)]], id="answered-twice"
        ),
        pytest.param(
            lambda f: [ack(f, "s1"), ack(f, "s1"), ack(f), message("s1", "answer", ANSWER)],
            id="acknowledged-thrice",
        ),
        pytest.param(
            lambda f: [
                message("s0", "answer", "v=0\r\n"),
                ack(f, "s1"),
                message("s0", "terminate"),
                message("s1", "answer", ANSWER),
            ],
            id="frames-of-somebody-else",
        ),
        pytest.param(
            lambda f: [
                {"type": "ack"},
                {"what": "is this"},
                ack(f, "s1"),
                message("s1", "unheard-of"),
                {"session_id": "s1", "data": None},
                message("s1", "answer", ANSWER),
            ],
            id="nonsense-between",
        ),
    ],
)
async def test_call_comes_about_all_the_same(
    auth: AuthHandler, play: Callable[[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    """Whatever the order; the end bears the ids of the beginning."""
    async with phone(auth, Playing(play)) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.dial(OFFER)
        assert watcher.told == ["answer"]
        session.hang_up()
        await until(lambda: there.intercom.sent("terminate"))
    ended = there.intercom.sent("terminate")
    assert [(f["session_id"], f["tag_id"]) for f in ended] == [("s1", "tag-s1")]


def complaint(code: int, text: str = "no") -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """Refuse an offer in its acknowledgement."""
    error = {"code": code, "message": text}
    return lambda f: [ack(f, status="error", error=error)]


def farewell(error: dict[str, Any] | None) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """End a call right after the acknowledgement."""
    said = message("s1", "terminate")
    if error is not None:
        said["data"]["error"] = error
    return lambda f: [ack(f, "s1"), said]


@pytest.mark.parametrize(
    ("play", "error", "ended"),
    [
        (complaint(41, "Device is unreachable"), UnreachableError, []),
        (complaint(26), RateLimitError, []),
        (complaint(99), CommandRefusedError, []),
        (complaint(1, "Max number of peers reached"), LineBusyError, []),
        (lambda f: [ack(f, status="error", correlation_id=None)], CommandRefusedError, []),
        (farewell(None), CallOverError, []),
        (farewell({"code": 41}), UnreachableError, []),
        (farewell({"code": 7}), CallOverError, []),
        (farewell(MAX_PEERS), LineBusyError, []),
        (lambda f: [ack(f, "s1"), message("s1", "rescind")], AnsweredElsewhereError, []),
        (lambda _: [], NoAnswerError, []),
        (lambda f: [ack(f, "s1")], NoAnswerError, ["s1"]),
        (lambda f: [ack(f, "s1"), message("s1", "answer")], UnexpectedAnswerError, ["s1"]),
        (lambda f: [ack(f)], NoAnswerError, []),
    ],
)
async def test_call_that_does_not_come_about(
    auth: AuthHandler,
    play: Callable[[dict[str, Any]], list[dict[str, Any]]],
    error: type[BticinoError],
    ended: list[str],
) -> None:
    """Each failure has a name, comes once, and leaves no place taken at the intercom."""
    async with phone(auth, Playing(play)) as there:
        watcher = Watcher()
        session = there.session(watcher)
        with pytest.raises(error):
            await session.dial(OFFER)
        assert session.state is SessionState.ENDED
        assert watcher.told == []
        await until(lambda: not there.channel._tasks)
    assert terminates(there) == ended


async def test_busy_intercom_is_tried_once_more(auth: AuthHandler) -> None:
    """A place that has just become free is not free at once."""

    def answer(f: dict[str, Any]) -> list[dict[str, Any]]:
        return [ack(f, "s2"), message("s2", "answer", ANSWER)]

    async with phone(auth, Playing(farewell(MAX_PEERS), answer)) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.dial(OFFER)
        session.hang_up()
        await until(lambda: there.intercom.sent("terminate"))
    assert watcher.told == ["answer"]
    assert terminates(there) == ["s2"]
    assert len(there.intercom.sent("offer")) == 2


async def test_busy_intercom_is_not_pestered(auth: AuthHandler) -> None:
    """Twice is enough."""
    async with phone(auth, Playing(farewell(MAX_PEERS))) as there:
        with pytest.raises(LineBusyError):
            await there.session(Watcher()).dial(OFFER)
        assert len(there.intercom.sent("offer")) == 2


async def test_viewer_who_leaves_before_the_acknowledgement(auth: AuthHandler) -> None:
    """Only the acknowledgement tells what to end: then it is ended, and nothing is shown."""
    go_on = asyncio.Event()

    class Slow(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                await go_on.wait()
            await Intercom.take(self, line, frame)

    async with phone(auth, Slow()) as there:
        watcher = Watcher()
        session = there.session(watcher)
        dialling = asyncio.create_task(session.dial(OFFER))
        await until(lambda: there.intercom.frames)
        session.hang_up()
        go_on.set()
        with pytest.raises(CallError):
            await dialling
        await until(lambda: there.intercom.sent("terminate"))
        assert watcher.told == []
    assert terminates(there) == ["s1"]


async def test_viewer_who_is_cancelled(auth: AuthHandler) -> None:
    """Whoever waited is gone in whatever way: the intercom is free again."""
    async with phone(auth, Playing(lambda f: [ack(f, "s1")])) as there:
        session = there.session(Watcher())
        dialling = asyncio.create_task(session.dial(OFFER))
        await until(lambda: session.state is SessionState.ACKED)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await until(lambda: there.intercom.sent("terminate"))
        await until(lambda: not there.channel._tasks)
    assert terminates(there) == ["s1"]


async def test_viewer_who_leaves_before_anything_was_sent(auth: AuthHandler) -> None:
    """Nothing is offered any more."""
    async with phone(auth) as there:
        session = there.session(Watcher())
        session.hang_up()
        with pytest.raises(CallError):
            await session.dial(OFFER)
        with pytest.raises(CallError):
            await session.answer(RING, OFFER)
        assert there.cloud.handshakes == 0


async def test_acknowledgement_that_comes_too_late(auth: AuthHandler) -> None:
    """Nobody waits for it any more, but it tells what to end."""
    lines: list[tuple[Line, dict[str, Any]]] = []

    class Late(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                lines.append((line, frame))
            else:
                await line.send(ack(frame))

    async with phone(auth, Late()) as there:
        with pytest.raises(NoAnswerError):
            await there.session(Watcher()).dial(OFFER)
        line, frame = lines[0]
        await line.send(ack(frame, "s1"))
        await until(lambda: there.intercom.sent("terminate"))
    assert terminates(there) == ["s1"]


async def test_intercom_ends_the_call(auth: AuthHandler) -> None:
    """The viewer is told once; nothing is left to be ended by us."""
    async with phone(auth) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.dial(OFFER)
        for _ in range(2):
            await there.intercom.lines[0].send(message("s1", "terminate"))
        await until(lambda: watcher.errors)
        await until(lambda: there.channel.counters["foreign_frames"])
        assert watcher.told == ["answer", "end"]
        assert isinstance(watcher.errors[0], CallOverError)
        session.hang_up()
    assert terminates(there) == []


async def test_call_has_a_longest_time(auth: AuthHandler) -> None:
    """An end that was lost keeps the intercom busy for nobody: we end it, once."""
    async with phone(auth, patience=replace(QUICK, longest_call=0.05)) as there:
        watcher = Watcher()
        await there.session(watcher).dial(OFFER)
        await until(lambda: watcher.errors)
        await until(lambda: there.intercom.sent("terminate"))
        assert watcher.told == ["answer", "end"]
    assert terminates(there) == ["s1"]


async def test_lost_connection_fails_what_hangs_on_it(auth: AuthHandler) -> None:
    """At once, not after a time-out; what is acknowledged already is ended on the next line."""

    class Cutting(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                await line.send(ack(frame, "s1"))
                await line.socket.close()
            else:
                await line.send(ack(frame))

    patience = replace(QUICK, answered=60)
    async with phone(auth, Cutting(), patience=patience) as there:
        session = there.session(Watcher())
        async with asyncio.timeout(3):
            with pytest.raises(NoAnswerError) as caught:
                await session.dial(OFFER)
        assert caught.value.reason == "connection lost"
        await until(lambda: there.intercom.sent("terminate"))
        assert there.cloud.handshakes == 2
    assert terminates(there) == ["s1"]


async def test_lost_connection_before_the_acknowledgement(auth: AuthHandler) -> None:
    """The offer is not sent again by itself: it may have arrived."""

    class Cutting(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            await line.socket.close()

    patience = replace(QUICK, acknowledged=60)
    async with phone(auth, Cutting(), patience=patience) as there:
        with pytest.raises(NoAnswerError) as caught:
            await there.session(Watcher()).dial(OFFER)
        assert caught.value.reason == "connection lost"
        assert len(there.intercom.sent("offer")) == 1


async def test_call_outlasts_a_lost_connection(auth: AuthHandler) -> None:
    """Pictures and sound do not pass through the cloud; the end is said on the next line."""
    async with phone(auth) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.dial(OFFER)
        await there.intercom.lines[0].socket.close()
        await until(lambda: len(there.intercom.lines) == 2)
        assert watcher.errors == []
        assert session.state is SessionState.ANSWERED
        session.hang_up()
        await until(lambda: there.intercom.sent("terminate"))
    assert terminates(there) == ["s1"]


async def test_candidate_without_a_connection_costs_nothing(auth: AuthHandler) -> None:
    """It is one address less; a call that stands goes on."""
    async with phone(auth) as there:
        session = there.session(Watcher())
        await session.dial(OFFER)
        there.channel.socket._socket = None
        await session.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
        assert session.state is SessionState.ANSWERED
        assert there.intercom.sent("candidate") == []


async def test_cloud_that_is_away(auth: AuthHandler) -> None:
    """Whoever wants to see is told in time, and nothing was sent."""
    async with phone(auth, patience=replace(QUICK, connected=0.1)) as there:
        await there.cloud.__aexit__(None, None, None)
        with pytest.raises(NoAnswerError) as caught:
            await there.session(Watcher()).dial(OFFER)
        assert not caught.value.sent
        assert caught.value.reason == "no connection"


async def test_end_that_cannot_be_said_is_counted(auth: AuthHandler) -> None:
    """The intercom frees the place by itself; a second message might meet another call."""
    async with phone(auth, patience=replace(QUICK, connected=0.1)) as there:
        session = there.session(Watcher())
        await session.dial(OFFER)
        await there.cloud.__aexit__(None, None, None)
        await until(lambda: there.channel.socket.state is not SocketState.ONLINE)
        session.hang_up()
        await until(lambda: not there.channel._tasks)
        assert there.channel.counters["terminates_lost"] == 1


async def test_end_that_is_not_acknowledged_is_not_repeated(auth: AuthHandler) -> None:
    """It was said."""

    class Mute(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] != "terminate":
                await Intercom.take(self, line, frame)

    async with phone(auth, Mute(), patience=replace(QUICK, terminated=0.05)) as there:
        session = there.session(Watcher())
        await session.dial(OFFER)
        session.hang_up()
        await until(lambda: there.channel.counters["terminates_unacknowledged"])
    assert terminates(there) == ["s1"]


async def test_new_call_waits_until_the_old_one_is_over(auth: AuthHandler) -> None:
    """With one place at the intercom, the talk button's new offer would meet a busy line."""
    order: list[str] = []

    class OnePlace(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            kind = frame["data"]["type"]
            order.append(kind)
            if kind == "terminate":
                await asyncio.sleep(0.05)
                order.append("free")
            await Intercom.take(self, line, frame)

    async with phone(auth, OnePlace()) as there:
        first = there.session(Watcher())
        await first.dial(OFFER)
        first.hang_up()
        await there.session(Watcher()).dial(OFFER)
    assert order[:4] == ["offer", "terminate", "free", "offer"]


async def test_closing_ends_every_call_once(auth: AuthHandler) -> None:
    """Those that stand, those that wait for an answer; nothing can be begun after that."""

    class Half(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            name = f"s{len(self.sent('offer'))}"
            if frame["data"]["type"] == "terminate":
                await line.send(ack(frame))
            else:
                await line.send(ack(frame, name))
                if name == "s1":
                    await line.send(message(name, "answer", ANSWER))

    async with phone(auth, Half(), patience=replace(QUICK, answered=60)) as there:
        first, second = there.session(Watcher()), there.session(Watcher())
        await first.dial(OFFER)
        dialling = asyncio.create_task(second.dial(OFFER))
        await until(lambda: second.state is SessionState.ACKED)
        await there.channel.close()
        with pytest.raises(CallError):
            await dialling
        with pytest.raises(NoAnswerError):
            await there.session(Watcher()).dial(OFFER)
    assert sorted(terminates(there), key=str) == ["s1", "s2"]


async def test_closing_does_not_wait_for_a_cloud_that_is_away(auth: AuthHandler) -> None:
    """Home Assistant stops within seconds."""
    patience = replace(QUICK, connected=60, terminated=0.05)
    async with phone(auth, patience=patience) as there:
        await there.session(Watcher()).dial(OFFER)
        await there.cloud.__aexit__(None, None, None)
        async with asyncio.timeout(3):
            await there.channel.close()


@pytest.mark.parametrize(
    ("play", "error", "ended"),
    [
        (complaint(9), BticinoError, ["ring-1"]),
        (lambda _: [], NoAnswerError, ["ring-1"]),
        (lambda f: [message("ring-1", "rescind"), ack(f)], AnsweredElsewhereError, []),
        (lambda f: [message("ring-1", "terminate"), ack(f)], CallOverError, []),
        (lambda f: [busy("ring-1"), ack(f)], AnsweredElsewhereError, []),
        (lambda f: [ack(f), message("ring-1", "terminate")], CallOverError, []),
    ],
)
async def test_answer_that_does_not_come_through(
    auth: AuthHandler,
    play: Callable[[dict[str, Any]], list[dict[str, Any]]],
    error: type[BticinoError],
    ended: list[str],
) -> None:
    """Somebody was quicker, or the visitor has gone: the viewer learns which."""
    async with phone(auth, Playing(play)) as there:
        watcher = Watcher()
        session = there.session(watcher)
        try:
            await session.answer(RING, OFFER)
        except BticinoError as err:
            watcher.errors.append(err)
        await until(lambda: session.state is SessionState.ENDED)
        await until(lambda: not there.channel._tasks)
        assert watcher.told in ([], ["answer", "end"])
        assert isinstance(watcher.errors[0], error)
    assert terminates(there) == ended


async def test_somebody_else_may_know_that_a_call_is_over(auth: AuthHandler) -> None:
    """The push socket tells it too; of another call it is no news."""
    async with phone(auth) as there:
        watcher = Watcher()
        session = there.session(watcher)
        await session.answer(RING, OFFER)
        session.end_if("ring-0")
        assert session.state is SessionState.ANSWERED
        session.end_if("ring-1")
        assert watcher.told == ["answer", "end"]
    assert terminates(there) == []


async def test_offer_that_is_too_large_is_not_sent(auth: AuthHandler) -> None:
    """It would make the intercom restart."""
    large = OFFER + "".join(f"a=x-custom-{n}:{'x' * 80}\r\n" for n in range(120))
    async with phone(auth) as there:
        with pytest.raises(OfferTooLargeError):
            await there.session(Watcher()).dial(large)
        with pytest.raises(OfferTooLargeError):
            await there.session(Watcher()).answer(RING, large)
        assert there.intercom.frames == []
        assert there.cloud.handshakes == 0


async def test_refused_credentials(auth: AuthHandler, simulator: Simulator) -> None:
    """Only a new sign-in helps; the viewer is told at once, and the next one is tried anew."""
    async with phone(auth) as there:
        auth.invalidate(await auth.get_access_token())
        simulator.change_password("another")
        for _ in range(2):
            with pytest.raises(InvalidCredentialsError):
                await there.session(Watcher()).dial(OFFER)
        assert there.intercom.frames == []


async def test_idleness_ends_when_somebody_comes(auth: AuthHandler) -> None:
    """The patience of the last call is not the next one's: its line is not closed under it."""

    class Slow(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            if frame["data"]["type"] == "offer":
                name = f"s{len(self.sent('offer'))}"
                await line.send(ack(frame, name))
                await asyncio.sleep(0.15)
                await line.send(message(name, "answer", ANSWER))
            else:
                await line.send(ack(frame))

    async with phone(auth, Slow(), patience=replace(QUICK, idle=0.2)) as there:
        first = there.session(Watcher())
        await first.dial(OFFER)
        first.hang_up()
        await until(lambda: there.channel._idle)
        await asyncio.sleep(0.1)
        await there.session(Watcher()).dial(OFFER)
        assert there.cloud.handshakes == 1


async def test_line_is_closed_after_a_declined_ring(auth: AuthHandler) -> None:
    """Declining needs the line for a moment, too."""
    async with phone(auth, patience=replace(QUICK, idle=0.02)) as there:
        await there.session(Watcher()).decline(RING)
        await until(lambda: there.channel.is_idle)


async def test_end_that_is_refused_is_counted(auth: AuthHandler, simulator: Simulator) -> None:
    """The password was changed in mid-call: no error that nobody reads."""
    async with phone(auth) as there:
        session = there.session(Watcher())
        await session.dial(OFFER)
        simulator.change_password("another")
        auth.invalidate(await auth.get_access_token())
        await there.intercom.lines[0].socket.close()
        await until(lambda: there.channel.socket.state is SocketState.AUTH_FAILED)
        session.hang_up()
        await until(lambda: not there.channel._tasks)
        assert there.channel.counters["terminates_lost"] == 1


async def test_complaint_that_names_nothing(auth: AuthHandler) -> None:
    """Without ids it is taken for the offer's; should it have been another's, the call is ended."""

    def play(f: dict[str, Any]) -> list[dict[str, Any]]:
        error = {"code": 9, "message": "no"}
        complaint = {"type": "ack", "status": "error", "error": error}
        return [complaint, ack(f, "s1", correlation_id="absent"), message("s1", "answer", ANSWER)]

    async with phone(auth, Playing(play)) as there:
        with pytest.raises(BticinoError):
            await there.session(Watcher()).dial(OFFER)
        await until(lambda: there.intercom.sent("terminate"))
    assert terminates(there) == ["s1"]


async def test_complaint_about_an_address_fails_no_offer(auth: AuthHandler) -> None:
    """What was sent first is acknowledged first where no ids come back."""

    class Choosy(Intercom):
        @override
        async def take(self, line: Line, frame: dict[str, Any]) -> None:
            kind = frame["data"]["type"]
            if kind == "candidate":
                return  # the complaint comes late
            if kind == "offer" and self.sent("candidate"):
                error = {"code": 21, "message": "no"}
                await line.send({"type": "ack", "status": "error", "error": error})
            name = f"s{len(self.sent('offer'))}"
            await line.send(ack(frame, name if kind == "offer" else None, correlation_id="absent"))
            if kind == "offer":
                await line.send(message(name, "answer", ANSWER))

    async with phone(auth, Choosy()) as there:
        first = there.session(Watcher())
        await first.dial(OFFER)
        await first.add_candidate(Candidate(candidate=USEFUL, mid="0", index=0))
        second = Watcher()
        await there.session(second).dial(OFFER)
        assert second.told == ["answer"]
