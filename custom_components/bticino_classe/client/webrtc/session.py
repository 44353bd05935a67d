"""One viewer's call: dialled from here, or the answer to a ring."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import (
    AnsweredElsewhereError,
    BticinoError,
    CallError,
    CallLimitError,
    CallOverError,
    LineBusyError,
    NoAnswerError,
    OfferTooLargeError,
    UnexpectedAnswerError,
)
from ..models import Candidate
from ..values import as_key, as_label, as_mapping, as_number, as_str
from .call_state import CallObserver, SessionIds, SessionState
from .rtc_errors import ack_error, terminate_error
from .sdp import (
    MAX_CANDIDATES,
    MAX_SECTIONS,
    candidate_is_useful,
    candidates_in,
    device_answer_for_viewer,
    device_offer_as_answer,
    is_processable,
    matching_section,
    reduced_offer,
    viewer_answer_for_device,
    with_sendrecv_audio,
)
from .two_way import moved_candidate, single_audio_offer, split_audio_answer

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterator,
        Mapping,
    )

    from ..models import RingOffer
    from ..websocket.connection import Frame
    from .pending import AckHandler
    from .signaling import CallTimeouts, SignalingChannel

_END_OF_CANDIDATES: Final = ("", "end-of-candidates", "a=end-of-candidates")  # as a candidate


class CallSession:
    """A viewer's call, from the offer to exactly one `terminate`.

    `dial` and `answer` return when the call is set up; on a BticinoError it is ended. `is_sent`:
    the cloud may have received a message of the call.
    """

    is_sent = False

    def __init__(
        self,
        channel: SignalingChannel,
        viewer: CallObserver,
        *,
        bridge_id: str,
        panel_id: str | None,
    ) -> None:
        """Create a call to the panel, or to the intercom's default if `panel_id` is None."""
        self._channel = channel
        self._viewer = viewer
        self.bridge_id = bridge_id
        self.panel_id = panel_id
        self.max_seconds = channel.timeouts.max_call  # after which it is ended
        self.state = SessionState.NEW
        # Set once a frame can address the session at the intercom.
        self.ids: SessionIds | None = None
        # The ring that is answered; None if the call is dialled.
        self._ring: RingOffer | None = None
        self._viewer_offer = self._viewer_sdp = ""  # as it came, and as it is for the device
        self._device_sdp = ""
        # The intercom's description, or the reason why the call is not set up.
        self.outcome: asyncio.Future[str] | None = None
        self._viewer_candidates: list[Candidate] = []
        self._device_candidates: list[Candidate] = []
        self._candidates_taken = 0  # from the viewer
        self._candidates_reported = 0  # to the viewer, in the answer and after it
        self._max_call_timer: asyncio.TimerHandle | None = None
        self._answered_at = 0.0
        self._lost_connection = False  # during the call

    @property
    def frame_ids(self) -> Mapping[str, str]:
        """The ids of the session as a frame has them, empty while they are unknown."""
        if self.ids is None:
            return {}
        known = {"session_id": self.ids.session_id, "tag_id": self.ids.tag_id}
        return {key: value for key, value in known.items() if value is not None}

    async def dial(
        self, offer: str, *, when_busy: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Call the panel with the viewer's offer.

        A busy intercom is called a second time after a moment. If it is still busy, `when_busy`
        waits for a better time for the last attempt, or raises a BticinoError.
        """
        await self._set_up(offer, lambda: self._dial(when_busy))

    async def answer(self, ring: RingOffer, offer: str) -> None:
        """Answer a ring; the viewer gets the intercom's offer as the answer to its own."""
        self._ring = ring
        await self._set_up(offer, lambda: self._answer(ring))

    async def decline(self, ring: RingOffer) -> None:
        """Decline a ring without answering it."""
        async with self._offer_slot():
            self.ids, self.state = _ids_of(ring), SessionState.ENDED
            _raise_if_refused(await self._channel.terminate(self))

    async def add_candidate(self, candidate: Candidate) -> None:
        """Send a candidate of the viewer if it is useful, at once or when the call is set up."""
        is_full = self._candidates_taken >= MAX_CANDIDATES
        if is_full or self.state is SessionState.ENDED or not _is_usable(candidate):
            return
        self._candidates_taken += 1
        if self.state is SessionState.ANSWERED:
            await self._send_candidate(candidate)
        else:
            self._viewer_candidates.append(candidate)

    async def next_panel(self) -> None:
        """Switch the intercom to its next panel; CallError if the call is not set up."""
        if self.state is not SessionState.ANSWERED:
            raise CallError
        await self._request({"type": "player", "value": "next_module"})

    @property
    def may_be_over(self) -> bool:
        """Whether the end of this call may have been lost, so that the intercom may be free.

        It ends a view after some 30 seconds, and reports that on the connection of the moment.
        """
        if self.state is not SessionState.ANSWERED:
            return False
        is_old = asyncio.get_running_loop().time() > self._answered_at + self._timeouts.view
        return self._lost_connection or (self._ring is None and is_old)

    def hang_up(self) -> None:
        """End the call, and terminate it in the background if the intercom takes part in it."""
        takes_part = self.state in {
            SessionState.OFFERED,
            SessionState.ACKED,
            SessionState.ANSWERED,
        }
        if self._close() and takes_part and self.ids is not None:
            self._channel.send_terminate(self)

    def handle_message(self, data: Frame) -> None:
        """Handle a message from the intercom."""
        kind = as_str(data.get("type"))
        if kind == "answer":
            self._handle_answer(data)
        elif kind == "candidate":
            self._handle_candidate(as_mapping(data.get("ice_candidate")))
        elif kind == "terminate":
            self._handle_end(self._end_reason(terminate_error(data)))
        elif kind == "rescind" and not self._is_ours:
            self._handle_end(AnsweredElsewhereError())

    def end_if(self, session_id: str) -> None:
        """End the call, without a terminate, if it is the one that ended at the intercom."""
        if self.ids is not None and self.ids.session_id == session_id:
            self._handle_end(CallOverError())

    def handle_connection_lost(self) -> None:
        """Fail a call that is not set up; otherwise it does not need the connection."""
        self._lost_connection = self.state is SessionState.ANSWERED
        self._fail(NoAnswerError(sent=True, reason="connection lost"))

    async def _set_up(self, offer: str, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run to the end even if the caller is cancelled: an offer that was sent needs its end."""
        try:
            self._take(offer)
            task = self._channel.spawn(begin(), "call")
            await asyncio.wait({task})
            if task.cancelled():
                raise CallError  # the channel was closed  # noqa: TRY301
            task.result()
        except BaseException:
            self.hang_up()
            raise

    def _take(self, offer: str) -> None:
        """Take the viewer's offer, unless a description is too large to be processed."""
        if not is_processable(offer):
            raise OfferTooLargeError(size=len(offer))
        if self._ring is not None and not is_processable(self._ring.sdp):
            raise UnexpectedAnswerError
        self._viewer_offer, self._viewer_sdp = offer, single_audio_offer(offer)

    async def _dial(self, when_busy: Callable[[], Awaitable[None]] | None) -> None:
        offer = reduced_offer(with_sendrecv_audio(self._viewer_sdp))
        try:
            answer = await self._offer_twice(offer)
        except LineBusyError:
            if when_busy is None:
                raise
            await when_busy()
            answer = await self._offer_later(offer)
        await self._connect(answer, device_answer_for_viewer(self._viewer_sdp, answer))

    async def _offer_twice(self, offer: str) -> str:
        try:
            return await self._offer(offer)
        except LineBusyError:
            return await self._offer_later(offer)

    async def _offer_later(self, offer: str) -> str:
        # The place of a call that has just ended becomes free with a delay (protocol.md 3.8).
        await asyncio.sleep(self._timeouts.busy)
        return await self._offer(offer)

    async def _offer(self, offer: str) -> str:
        """Send an offer and return the intercom's answer."""
        description = {"type": "call", "sdp": offer}
        if self.panel_id is not None:
            description["module_id"] = self.panel_id
        data = {"type": "offer", "session_description": description}
        self._device_candidates.clear()  # of the first attempt
        with self._expect_outcome() as outcome:
            async with self._offer_slot():
                self.ids, self.state = None, SessionState.OFFERED
                ack = await self._request(data, on_ack=self._handle_offer_ack)
                if as_key(ack.get("session_id")) is None:
                    raise NoAnswerError(sent=True, reason="acknowledgement without ids")
            try:
                async with asyncio.timeout(self._timeouts.answered):
                    return await outcome
            except TimeoutError:
                raise NoAnswerError(sent=True, reason="no answer to the offer") from None

    async def _answer(self, ring: RingOffer) -> None:
        """Send our answer to the ring; the intercom only acknowledges it."""
        answer = reduced_offer(viewer_answer_for_device(self._viewer_sdp, ring.sdp))
        data = {"type": "answer", "session_description": {"type": "call", "sdp": answer}}
        with self._expect_outcome() as outcome:
            await self._channel.wait_for_free_line(self.bridge_id)
            async with self._offer_slot():
                # The acknowledgement of the last offer may have started a terminate.
                await self._channel.wait_for_free_line(self.bridge_id)
                self._raise_if_ended()
                self.ids, self.state = _ids_of(ring), SessionState.OFFERED
                self._channel.register(self, ring.session_id)
                try:
                    await self._request(
                        data, correlation_id=ring.correlation_id, on_ack=self._handle_answer_ack
                    )
                except NoAnswerError as err:
                    if not err.sent:
                        self.ids = None  # the ring is still ringing, for everybody
                    raise
            await outcome
        await self._connect(ring.sdp, device_offer_as_answer(ring.sdp, self._viewer_sdp))

    async def _request(
        self,
        data: Mapping[str, Any],
        *,
        correlation_id: str | None = None,
        on_ack: AckHandler | None = None,
    ) -> Frame:
        """Send a message and return its acknowledgement; raises the error that it reports."""
        try:
            ack = await self._channel.request(
                self,
                data,
                timeout=self._timeouts.acknowledged,
                correlation_id=correlation_id,
                on_ack=on_ack,
            )
        except NoAnswerError as err:
            self.is_sent = self.is_sent or err.sent
            raise
        self.is_sent = True
        _raise_if_refused(ack)
        return ack

    @asynccontextmanager
    async def _offer_slot(self) -> AsyncIterator[None]:
        """Enter the channel's offer slot; CallError if the viewer has left."""
        self._raise_if_ended()
        async with self._channel.offer_slot(self):
            self._raise_if_ended()
            yield

    @contextmanager
    def _expect_outcome(self) -> Iterator[asyncio.Future[str]]:
        self.outcome = outcome = asyncio.get_running_loop().create_future()
        try:
            yield outcome
        finally:
            if not outcome.cancel() and not outcome.cancelled():
                outcome.exception()  # marks it as retrieved

    def _handle_offer_ack(self, ack: Frame) -> None:
        """Learn the ids of the session; only the acknowledgement of an offer has them."""
        session_id = as_key(ack.get("session_id"))
        if session_id is None:
            return
        self.ids = SessionIds(session_id=session_id, tag_id=as_key(ack.get("tag_id")))
        if self.state is SessionState.ENDED:
            # The viewer has left before the session could be terminated.
            self._channel.send_terminate(self)
            return
        self.state = SessionState.ACKED
        self._channel.register(self, session_id)

    def _handle_answer_ack(self, ack: Frame) -> None:
        """Note that our answer was the first one."""
        if self._ring is None or ack.get("status") != "ok":
            return
        if self.state is SessionState.OFFERED:
            self.state = SessionState.ACKED
            self._resolve(self._ring.sdp)

    async def _connect(self, device_sdp: str, answer: str) -> None:
        """Report the answer to the viewer, then exchange the candidates that came before it."""
        if self.state is SessionState.RELEASED:
            raise CallOverError  # it was ended right after the answer
        self._raise_if_ended()
        self._device_sdp = device_sdp
        self.state = SessionState.ANSWERED
        loop = asyncio.get_running_loop()
        self._answered_at = loop.time()
        self._max_call_timer = loop.call_later(self.max_seconds, self._handle_max_call)
        self._candidates_reported = candidates_in(answer)
        self._viewer.answered(split_audio_answer(self._viewer_offer, answer))
        for candidate in self._device_candidates:
            self._report_candidate(candidate)
        for candidate in self._viewer_candidates:
            if self.state is SessionState.ANSWERED:
                await self._send_candidate(candidate)

    async def _send_candidate(self, candidate: Candidate) -> None:
        candidate = moved_candidate(candidate, self._viewer_sdp, self._viewer_offer)
        mid, index = candidate.mid, candidate.index
        if self._ring is not None:  # the sections are those of the intercom's offer
            mid, index = matching_section(self._device_sdp, self._viewer_sdp, mid, index)
        fields = {"sdp_m_line_index": index, "sdp_mid": mid, "candidate": candidate.candidate}
        known = {key: value for key, value in fields.items() if value is not None}
        # Without a connection the candidate is lost; others may do.
        with suppress(NoAnswerError):
            await self._channel.notify(self, {"type": "candidate", "ice_candidate": known})

    def _report_candidate(self, candidate: Candidate) -> None:
        if not candidate.candidate:
            self._viewer.candidates_complete()
            return
        if self._candidates_reported >= MAX_CANDIDATES:
            return
        self._candidates_reported += 1
        mid, index = matching_section(
            self._viewer_sdp, self._device_sdp, candidate.mid, candidate.index
        )
        found = replace(candidate, mid=mid, index=index)
        self._viewer.candidate(moved_candidate(found, self._viewer_offer, self._viewer_sdp))

    def _handle_answer(self, data: Frame) -> None:
        sdp = as_str(as_mapping(data.get("session_description")).get("sdp"))
        if sdp is None or not is_processable(sdp):
            self._fail(UnexpectedAnswerError())
        else:
            self._resolve(sdp)

    def _handle_candidate(self, fields: Frame) -> None:
        index = as_number(fields.get("sdp_m_line_index"), 0, MAX_SECTIONS)
        is_end = fields.get("candidate") in _END_OF_CANDIDATES
        candidate = Candidate(
            candidate="" if is_end else as_str(fields.get("candidate")) or "",
            mid=as_label(fields.get("sdp_mid")),
            index=None if index is None else int(index),
        )
        if not (is_end or _is_usable(candidate)):
            return
        if self.state is SessionState.ANSWERED:
            self._report_candidate(candidate)
        elif len(self._device_candidates) < MAX_CANDIDATES:
            self._device_candidates.append(candidate)

    def _handle_end(self, error: BticinoError) -> None:
        """Handle the end of the call at the intercom: it needs no terminate."""
        if self.state is SessionState.ANSWERED:
            self._close()
            self._viewer.ended(error)
        elif self.state in {SessionState.OFFERED, SessionState.ACKED}:
            self.state = SessionState.RELEASED
            self._channel.unregister(self)
            self._fail(error)

    def _end_reason(self, error: BticinoError) -> BticinoError:
        """Return the reason to report: a busy intercom means that its ring was answered."""
        is_late = self._ring is not None and isinstance(error, LineBusyError)
        return AnsweredElsewhereError() if is_late else error

    def _handle_max_call(self) -> None:
        """End a call whose end may have been lost, so that it does not block the intercom."""
        self.hang_up()
        self._viewer.ended(CallLimitError())

    def _resolve(self, device_sdp: str) -> None:
        if self.outcome is not None and not self.outcome.done():
            self.outcome.set_result(device_sdp)

    def _fail(self, error: BticinoError) -> None:
        if self.outcome is not None and not self.outcome.done():
            self.outcome.set_exception(error)

    def _close(self) -> bool:
        """Change to ENDED; return False if that is the state already."""
        if self.state is SessionState.ENDED:
            return False
        self.state = SessionState.ENDED
        self._channel.unregister(self)
        self._fail(CallError())
        if self._max_call_timer is not None:
            self._max_call_timer.cancel()
        return True

    def _raise_if_ended(self) -> None:
        if self.state is SessionState.ENDED:
            raise CallError

    @property
    def _is_ours(self) -> bool:
        """Whether we have answered, so that a rescind is for the other receivers of the ring."""
        if self.state is SessionState.ACKED:
            return self._ring is not None
        return self.state is SessionState.ANSWERED

    @property
    def _timeouts(self) -> CallTimeouts:
        return self._channel.timeouts


def _raise_if_refused(ack: Frame) -> None:
    if ack.get("status") != "ok":
        raise ack_error(ack)


def _is_usable(candidate: Candidate) -> bool:
    """Return whether a candidate may be passed on to the other side."""
    is_section = candidate.index is None or 0 <= candidate.index <= MAX_SECTIONS
    return is_section and candidate_is_useful(candidate.candidate)


def _ids_of(ring: RingOffer) -> SessionIds:
    return SessionIds(session_id=ring.session_id, tag_id=ring.tag_id)
