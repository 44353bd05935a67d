"""Rings that are answered from Home Assistant, from the first message to the end."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from homeassistant.core import callback

from ..client import STREAM, CallOverError, CallPush, CallStep, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client import BticinoError


class AnswerState(StrEnum):
    """The state of an answer.

    SENDING: the intercom has not confirmed it. CONNECTED: the viewer is in the ring's own session.
    LEFT: the viewer has left and may return. DIALLED: the viewer is in another session, whose end
    is not reported as that of the ring's session.
    """

    SENDING = "sending"
    CONNECTED = "connected"
    LEFT = "left"
    DIALLED = "dialled"


@dataclass(slots=True, kw_only=True)
class _Answer:
    """An answer to a ring; `held` pushes wait until its outcome is known.

    `hang_up` ends the viewer's session if it is the ring's own; None: the panel is dialled. `by` is
    who answers, as in Call.
    """

    hang_up: Callable[[], None] | None
    by: str = "here"
    state: AnswerState = AnswerState.SENDING
    held: list[CallPush] = field(default_factory=list)
    left_at: float | None = None


class LocalAnswers:
    """Tracks the answers of an account and reports when a call is answered or ends by them."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        apply: Callable[[CallPush], None],
        answered: Callable[[str, str], None],
        ended: Callable[[str, str | None, float | None], None],
    ) -> None:
        """`answered` gets the session and by whom.

        `ended` gets the session, who ended it, and when by the clock; None for now.
        """
        self._clock = clock
        self._apply = apply
        self._answered = answered
        self._ended = ended
        self._answers: dict[str, _Answer] = {}

    @callback
    def async_begin(
        self, session_id: str, hang_up: Callable[[], None] | None, *, by: str = "here"
    ) -> None:
        """Register an answer that is about to be sent, or a ringing panel that is dialled.

        `hang_up` ends the viewer's session; None if the panel is dialled.
        """
        self._answers[session_id] = _Answer(hang_up=hang_up, by=by)

    @callback
    def async_confirm(self, session_id: str) -> None:
        """Register that a viewer is connected; nothing if the viewer has left before."""
        answer = self._answers.get(session_id)
        if answer is None:
            return
        answer.left_at = None
        if answer.state is not AnswerState.SENDING:
            return
        answer.state = AnswerState.DIALLED if answer.hang_up is None else AnswerState.CONNECTED
        self._answered(session_id, answer.by)
        if any(push.step is CallStep.TERMINATED for push in answer.held):
            self._hang_up(answer)

    @callback
    def async_withdraw(self, session_id: str) -> None:
        """Register that a ring was not answered: the pushes that were held concern others."""
        answer = self._answers.pop(session_id, None)
        for push in answer.held if answer is not None else ():
            self._apply(push)

    @callback
    def async_fail(self, session_id: str, err: BticinoError) -> None:
        """Register that an answer failed; the ring goes on unless it has ended at the intercom."""
        is_over = isinstance(err, CallOverError) and not self._is_dialled(session_id)
        if isinstance(err, NoAnswerError) and err.sent:
            self._mark_streamed(session_id)  # it is terminated at the intercom now
        self.async_withdraw(session_id)
        if is_over:
            self._ended(session_id, "elsewhere", None)

    @callback
    def async_leave(self, session_id: str) -> None:
        """Register that the viewer of an answered call has left and may return."""
        answer = self._answers.get(session_id)
        if answer is not None:
            answer.state, answer.left_at = AnswerState.LEFT, self._clock()

    @callback
    def async_end(self, session_id: str, *, by: str) -> None:
        """Register that the viewer's session has ended for good, and by whom.

        A ring that was answered for its picture goes on.
        """
        self._mark_streamed(session_id)
        answer = self._answers.pop(session_id, None)
        if answer is None or answer.by == STREAM:
            return
        if answer.left_at is None:
            self._ended(session_id, by, None)
        else:
            self._ended(session_id, "here", answer.left_at)

    @callback
    def async_forget_left(self, session_id: str) -> None:
        """Register that the call of a viewer who has left is over, so nobody can return to it."""
        answer = self._answers.get(session_id)
        if answer is not None and answer.state is AnswerState.LEFT:
            del self._answers[session_id]

    @callback
    def async_resume(self, session_id: str) -> bool:
        """Continue the call of a viewer who has left and returns; returns whether it goes on."""
        answer = self._answers.get(session_id)
        if answer is None or answer.state is not AnswerState.LEFT:
            return False
        answer.state = AnswerState.DIALLED
        return True

    @callback
    def async_hold(self, push: CallPush) -> bool:
        """Return whether a push must not be applied (yet): it is about our own answer.

        Until the answer is confirmed, a push may be about another phone's answer, so it is held.
        When a viewer is in another session, only the ring's own session was terminated.
        """
        answer = self._answers.get(push.session_id)
        if answer is None or push.step in {CallStep.OFFERED, CallStep.INCOMING}:
            return False
        if answer.state is AnswerState.SENDING:
            answer.held.append(push)
            return True
        if push.step is not CallStep.TERMINATED:
            return False
        if answer.state is AnswerState.CONNECTED:
            self._hang_up(answer)
        return True

    def is_sending(self, session_id: str) -> bool:
        """Whether an answer is not confirmed yet."""
        answer = self._answers.get(session_id)
        return answer is not None and answer.state is AnswerState.SENDING

    def _mark_streamed(self, session_id: str) -> None:
        """Report an answer for the picture that was sent: from now on, the panel is dialled."""
        answer = self._answers.get(session_id)
        if answer is not None and answer.by == STREAM and answer.state is AnswerState.SENDING:
            self._answered(session_id, STREAM)

    def _is_dialled(self, session_id: str) -> bool:
        answer = self._answers.get(session_id)
        return answer is not None and answer.hang_up is None

    @staticmethod
    def _hang_up(answer: _Answer) -> None:
        if answer.hang_up is not None:
            answer.hang_up()
