"""One viewer's call: dialled to a panel, or the answer to one that rings."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..decode import as_int, as_mapping, as_str
from ..errors import (
    AnsweredElsewhereError,
    BticinoError,
    CallError,
    CallOverError,
    LineBusyError,
    NoAnswerError,
    UnexpectedAnswerError,
)
from ..models import Candidate
from .rtc_errors import end_of_call, refusal
from .sdp import (
    candidate_is_useful,
    device_answer_for_viewer,
    device_offer_as_answer,
    matching_section,
    reduced_offer,
    viewer_answer_for_device,
    with_sendrecv_audio,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping

    from ..models import RingOffer
    from ..websocket.connection import Frame
    from .signaling import CallTimeouts, SignalingChannel


class SessionState(StrEnum):
    """Where a call is; ENDED is for good."""

    NEW = "new"
    OFFERED = "offered"
    ACKED = "acked"
    ANSWERED = "answered"
    ENDED = "ended"


class CallObserver:
    """Who watches and talks; each method is called from the event loop and must return at once."""

    def answered(self, sdp: str) -> None:
        """Take the answer to the offer; candidates come only after it."""

    def candidate(self, candidate: Candidate) -> None:
        """Take an address of the intercom's."""

    def ended(self, error: BticinoError) -> None:
        """Learn that the call is over though nobody here ended it; comes once, and last."""


class CallSession:
    """A viewer's call, from the offer to exactly one `terminate`.

    `dial` and `join` raise BticinoError if it does not come about; then it is ended already.
    """

    def __init__(
        self,
        channel: SignalingChannel,
        viewer: CallObserver,
        *,
        bridge_id: str,
        panel_id: str | None,
    ) -> None:
        """A call of the panel, or of the intercom's own choice where `panel_id` is None."""
        self._channel = channel
        self._viewer = viewer
        self.bridge_id = bridge_id
        self.panel_id = panel_id
        self.state = SessionState.NEW
        self.ids: dict[str, str] = {}
        self._offer = ""
        self._theirs_sdp = ""
        self._is_joining = False
        self._answer: asyncio.Future[str] | None = None
        self._mine: list[Candidate] = []
        self._theirs: list[Candidate] = []
        self._limit: asyncio.TimerHandle | None = None

    async def dial(self, offer: str) -> None:
        """Call the panel with a viewer's offer, who gets the answer."""
        self._offer = offer
        sent = reduced_offer(with_sendrecv_audio(offer))
        await self._carry_through(self._dial(sent))

    async def answer(self, ring: RingOffer, offer: str) -> None:
        """Answer the intercom that rings; the viewer gets its offer as the answer."""
        self._offer, self._is_joining = offer, True
        await self._carry_through(
            self._join(ring, reduced_offer(viewer_answer_for_device(offer, ring.sdp)))
        )

    async def decline(self, ring: RingOffer) -> None:
        """Send away who rings, without answering."""
        self.ids = _ids_of(ring)
        async with self._offer_slot():
            self.state = SessionState.ENDED
            self._channel.counters["terminates"] += 1
            await self._ask({"type": "terminate"})

    async def add_candidate(self, candidate: Candidate) -> None:
        """Pass an address of the viewer's on if it may be of use, once the intercom knows us."""
        if not candidate_is_useful(candidate.candidate) or self.state is SessionState.ENDED:
            return
        if self.state is SessionState.ANSWERED:
            await self._send_candidate(candidate)
        else:
            self._mine.append(candidate)

    async def next_panel(self) -> None:
        """Have the intercom show its next panel in this call; CallError if it will not."""
        if self.state is not SessionState.ANSWERED:
            raise CallError
        await self._ask({"type": "player", "value": "next_module"})

    def hang_up(self) -> None:
        """End the call; the intercom is told once, in the background, if it knows of it."""
        if self.state is SessionState.ENDED:
            return
        self.state = SessionState.ENDED
        self._clean_up()
        if self.ids:
            self._channel.send_terminate(self)

    def take_acknowledgement(self, acknowledgement: Frame, *, bears_ids: bool) -> None:
        """Learn that a message has arrived, and from an offer's what the cloud calls this session.

        Nulls never overwrite what is known.
        """
        if not bears_ids:
            if self.state is SessionState.OFFERED and acknowledgement.get("status") == "ok":
                self.state = SessionState.ACKED  # our answer has won
            return
        session_id = as_str(acknowledgement.get("session_id"))
        if session_id is None:
            return
        self.ids = {"session_id": session_id}
        if tag_id := as_str(acknowledgement.get("tag_id")):
            self.ids["tag_id"] = tag_id
        if self.state is SessionState.ENDED:
            # The viewer has gone meanwhile; only now it can be said to the intercom.
            self._channel.send_terminate(self)
            return
        self.state = SessionState.ACKED
        self._channel.register(self, session_id)

    def take(self, data: Frame) -> None:
        """Take a message of the intercom's."""
        kind = as_str(data.get("type"))
        if kind == "answer":
            self._take_answer(data)
        elif kind == "candidate":
            self._take_candidate(as_mapping(data.get("ice_candidate")))
        elif kind == "terminate":
            self._end(self._meaning_of(end_of_call(data)))
        elif kind == "rescind" and not self._has_won:
            self._end(AnsweredElsewhereError())

    def end_if(self, session_id: str) -> None:
        """Take somebody else's word that a call is over, if it is this one."""
        if self.ids.get("session_id") == session_id:
            self._end(CallOverError())

    def lose_connection(self) -> None:
        """Fail a call that is not set up yet; one that is needs the connection no more."""
        self._fail(NoAnswerError(sent=True, reason="connection lost"))

    async def _carry_through(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what must not be left half done when whoever wants it goes away."""
        task = self._channel.spawn(work, "call")
        try:
            await asyncio.shield(task)
        except BaseException:
            self.hang_up()
            raise

    async def _dial(self, offer: str) -> None:
        try:
            answer = await self._place(offer)
        except LineBusyError:
            # The place of a call that has just ended is not free at once (protocol.md 3.8).
            await asyncio.sleep(self._timeouts.busy)
            answer = await self._place(offer)
        await self._now_answered(answer, device_answer_for_viewer(self._offer, answer))

    async def _place(self, offer: str) -> str:
        """Send an offer and return the intercom's answer."""
        description = {"type": "call", "sdp": offer}
        if self.panel_id is not None:
            description["module_id"] = self.panel_id
        with self._waiting_for_answer() as answer:
            async with self._offer_slot():
                self.ids, self.state = {}, SessionState.OFFERED
                await self._ask({"type": "offer", "session_description": description})
            return await self._in_time(answer)

    async def _join(self, ring: RingOffer, sdp: str) -> None:
        """Send our answer to the intercom that rings; its acknowledgement is all that comes."""
        data = {"type": "answer", "session_description": {"type": "call", "sdp": sdp}}
        with self._waiting_for_answer() as answer:
            async with self._offer_slot():
                self.ids = _ids_of(ring)
                self.state = SessionState.OFFERED
                self._channel.register(self, ring.session_id)
                await self._ask(data, correlation_id=ring.correlation_id)
            if not answer.done():
                answer.set_result(ring.sdp)
            await answer
        await self._now_answered(ring.sdp, device_offer_as_answer(ring.sdp, self._offer))

    async def _ask(self, data: Mapping[str, Any], *, correlation_id: str | None = None) -> None:
        """Send a message and wait until it is acknowledged; raises what the cloud complains of."""
        reply = await self._channel.request(
            self, data, correlation_id=correlation_id, within=self._timeouts.acknowledged
        )
        if reply.get("status") != "ok":
            raise refusal(reply)

    @asynccontextmanager
    async def _offer_slot(self) -> AsyncIterator[None]:
        """Have the line; CallError if the viewer has gone, before or while waiting for it."""
        self._check_viewer_is_there()
        async with self._channel.offer_slot(self):
            self._check_viewer_is_there()
            yield

    @contextmanager
    def _waiting_for_answer(self) -> Iterator[asyncio.Future[str]]:
        """Have a future that fails when the call does, and leaves no trace if nobody reads it."""
        self._answer = answer = asyncio.get_running_loop().create_future()
        try:
            yield answer
        finally:
            if not answer.cancel() and not answer.cancelled():
                answer.exception()

    async def _in_time(self, answer: asyncio.Future[str]) -> str:
        try:
            async with asyncio.timeout(self._timeouts.answered):
                return await answer
        except TimeoutError:
            raise NoAnswerError(sent=True, reason="no answer to the offer") from None

    def _check_viewer_is_there(self) -> None:
        if self.state is SessionState.ENDED:
            raise CallError

    async def _now_answered(self, theirs: str, sdp: str) -> None:
        """Connect both sides: the answer first, then the addresses that came before it."""
        self._theirs_sdp = theirs
        if not self.ids:
            raise CallOverError  # it ended between the answer and now
        self._check_viewer_is_there()
        self.state = SessionState.ANSWERED
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(self._timeouts.longest_call, self._end_of_patience)
        self._viewer.answered(sdp)
        for candidate in self._theirs:
            self._show(candidate)
        for candidate in self._mine:
            if self.state is SessionState.ANSWERED:
                await self._send_candidate(candidate)

    async def _send_candidate(self, candidate: Candidate) -> None:
        mid, index = candidate.mid, candidate.index
        if self._is_joining:  # the intercom made the sections and named them
            mid, index = matching_section(self._theirs_sdp, self._offer, mid, index)
        found: dict[str, Any] = {
            "sdp_m_line_index": index,
            "sdp_mid": mid,
            "candidate": candidate.candidate,
        }
        known = {key: value for key, value in found.items() if value is not None}
        # Without a connection it is one address less: what is there may do.
        with suppress(NoAnswerError):
            await self._channel.notify(self, {"type": "candidate", "ice_candidate": known})

    def _show(self, candidate: Candidate) -> None:
        """Give the viewer an address of the intercom's, for a section of the viewer's own."""
        mid, index = matching_section(self._offer, self._theirs_sdp, candidate.mid, candidate.index)
        self._viewer.candidate(replace(candidate, mid=mid, index=index))

    def _take_answer(self, data: Frame) -> None:
        sdp = as_str(as_mapping(data.get("session_description")).get("sdp"))
        if sdp is None:
            self._fail(UnexpectedAnswerError())
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(sdp)

    def _take_candidate(self, found: Frame) -> None:
        line = as_str(found.get("candidate"))
        if line is None:
            return
        candidate = Candidate(
            candidate=line,
            mid=as_str(found.get("sdp_mid")),
            index=as_int(found.get("sdp_m_line_index")),
        )
        if self.state is SessionState.ANSWERED:
            self._show(candidate)
        else:
            self._theirs.append(candidate)

    def _end(self, error: BticinoError) -> None:
        """The intercom has ended the call: its place is free, nobody has to be told but us."""
        self.ids = {}
        if self.state is SessionState.ANSWERED:
            self.hang_up()
            self._viewer.ended(error)
        else:
            self._channel.unregister(self)
            self._fail(error)

    def _meaning_of(self, error: BticinoError) -> BticinoError:
        """Of a ring, there is no place left once somebody else was quicker."""
        lost = self._is_joining and isinstance(error, LineBusyError)
        return AnsweredElsewhereError() if lost else error

    def _end_of_patience(self) -> None:
        """End a call whose end may have been lost, so that it does not block the intercom."""
        self.hang_up()
        self._viewer.ended(CallOverError())

    def _fail(self, error: BticinoError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _clean_up(self) -> None:
        self._channel.unregister(self)
        self._fail(CallError())
        if self._limit is not None:
            self._limit.cancel()

    @property
    def _has_won(self) -> bool:
        """Whether a rescind only tells the others that it is us who have answered."""
        joined = self._is_joining and self.state is SessionState.ACKED
        return joined or self.state is SessionState.ANSWERED

    @property
    def _timeouts(self) -> CallTimeouts:
        return self._channel.timeouts


def _ids_of(ring: RingOffer) -> dict[str, str]:
    return {"session_id": ring.session_id, "tag_id": ring.tag_id}
