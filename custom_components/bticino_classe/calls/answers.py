"""Rings that are answered from Home Assistant, from the first message to the end."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from ..client import CallOverError, CallPush, CallStep

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ..client import BticinoError, Module

RECONNECT_GRACE_SECONDS: Final = 3.0  # a viewer who presses talk leaves the call and returns


class AnswerState(StrEnum):
    """The state of an answer.

    SENDING: the cloud has not acknowledged it. CONNECTED: the viewer is in the ring's own session.
    LEFT: the viewer has left and may return. RESUMED: the viewer returned in a session of its own,
    so the ring's session has ended already.
    """

    SENDING = "sending"
    CONNECTED = "connected"
    LEFT = "left"
    RESUMED = "resumed"


@dataclass(slots=True, kw_only=True)
class _Answer:
    """An answer to a ring at a camera; `held` pushes wait until its outcome is known."""

    session_id: str
    camera: Module
    hang_up: Callable[[], None]
    state: AnswerState = AnswerState.SENDING
    held: list[CallPush] = field(default_factory=list)
    left_at: float | None = None
    cancel_timer: CALLBACK_TYPE | None = None


class LocalAnswers:
    """Tracks the answers of an account and reports when a call is answered or ends by them."""

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        clock: Callable[[], float],
        apply: Callable[[CallPush], None],
        answered: Callable[[str], None],
        ended: Callable[[str, str | None, float | None], None],
    ) -> None:
        """`ended` gets the session, who ended it, and when by the clock; None for now."""
        self._hass = hass
        self._clock = clock
        self._apply = apply
        self._answered = answered
        self._ended = ended
        self._answers: dict[str, _Answer] = {}

    @callback
    def async_begin(self, session_id: str, camera: Module, hang_up: Callable[[], None]) -> None:
        """Register an answer that is about to be sent; `hang_up` ends its viewer's session."""
        self._answers[session_id] = _Answer(session_id=session_id, camera=camera, hang_up=hang_up)

    @callback
    def async_confirm(self, session_id: str) -> None:
        """Register that the answer was accepted; nothing if its viewer has left before."""
        answer = self._answers.get(session_id)
        if answer is None:
            return
        answer.state = AnswerState.CONNECTED
        self._answered(session_id)
        if any(push.step is CallStep.TERMINATED for push in answer.held):
            answer.hang_up()

    @callback
    def async_fail(self, session_id: str, err: BticinoError) -> None:
        """Register that the answer failed: the pushes that were held concern others."""
        answer = self._answers.pop(session_id, None)
        for push in answer.held if answer is not None else ():
            self._apply(push)
        if isinstance(err, CallOverError):
            self._ended(session_id, "elsewhere", None)

    @callback
    def async_leave(self, session_id: str) -> None:
        """Register that the viewer has left; the call ends unless the viewer returns soon."""
        answer = self._answers.get(session_id)
        if answer is None:
            return
        if answer.state is AnswerState.SENDING:
            self.async_end(session_id)
            return

        @callback
        def end(_now: datetime) -> None:
            self._end_left(answer)

        answer.state, answer.left_at = AnswerState.LEFT, self._clock()
        answer.cancel_timer = async_call_later(self._hass, RECONNECT_GRACE_SECONDS, end)

    @callback
    def async_end(self, session_id: str, *, by: str = "here") -> None:
        """Register that the viewer's session has ended for good, and by whom."""
        if self._answers.pop(session_id, None) is not None:
            self._ended(session_id, by, None)

    @callback
    def async_forget_left(self, session_id: str) -> None:
        """Register that the call of a viewer who has left is over, so nobody can return to it."""
        answer = self._answers.get(session_id)
        if answer is not None and answer.state is AnswerState.LEFT:
            self._stop_timer(answer)
            del self._answers[session_id]

    @callback
    def async_resume(self, camera: Module) -> str | None:
        """Continue the call that a viewer of this camera has just left; returns its session id."""
        for answer in self._answers.values():
            if answer.state is AnswerState.LEFT and answer.camera.id == camera.id:
                self._stop_timer(answer)
                answer.state = AnswerState.RESUMED
                return answer.session_id
        return None

    @callback
    def async_hold(self, push: CallPush) -> bool:
        """Return whether a push must not be applied (yet): it is about our own answer.

        Until the answer is confirmed, a push may be about another phone's answer, so it is held.
        When a viewer has returned in a new session, only the ring's own session was terminated.
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
            answer.hang_up()
        return True

    def is_left_at(self, module_id: str) -> bool:
        """Whether the viewer of a camera, or of any camera of an intercom, may return to a call."""
        left = (a.camera for a in self._answers.values() if a.state is AnswerState.LEFT)
        return any(module_id in {camera.id, camera.bridge_id} for camera in left)

    @callback
    def async_close(self) -> None:
        """End the calls whose viewers have left, without waiting for their return."""
        for answer in tuple(self._answers.values()):
            if answer.state is AnswerState.LEFT:
                self._end_left(answer)

    def _end_left(self, answer: _Answer) -> None:
        self.async_forget_left(answer.session_id)
        self._ended(answer.session_id, "here", answer.left_at)

    @staticmethod
    def _stop_timer(answer: _Answer) -> None:
        if answer.cancel_timer is not None:
            answer.cancel_timer()
            answer.cancel_timer = None
