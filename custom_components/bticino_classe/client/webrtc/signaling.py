"""Calls through the cloud's signaling socket: one CallSession per viewer, each ended once."""

import asyncio
from collections import Counter, OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass
import itertools
import math
import time
from typing import TYPE_CHECKING, Final

from ..decode import as_mapping, as_str
from ..errors import BticinoError, NoAnswerError
from ..websocket.connection import Frame, ReconnectingSocket, SocketState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from typing import Any

    from ..auth import AuthHandler
    from ..websocket.backoff import Backoff
    from ..websocket.keepalive import KeepalivePolicy
    from .session import CallSession

UNANSWERED_REMEMBERED: Final = 64
EARLY_FRAMES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimeouts:
    """How long a call waits for what, in seconds (protocol.md 3.8)."""

    connected: float = 20.0
    acknowledged: float = 10.0
    answered: float = 25.0
    terminated: float = 3.0
    busy: float = 1.5
    idle: float = 30.0
    longest_call: float = 600.0


@dataclass(slots=True)
class PendingRequest:
    """Something sent whose acknowledgement may still come."""

    session: CallSession
    bears_ids: bool
    acknowledged: asyncio.Future[Frame]
    expected_until: float = math.inf


class SignalingChannel:
    """The signaling socket of an account: connected while there are calls, and a little longer.

    It starts tasks of its own; `close` ends them all.
    """

    _closed = False
    _runner: asyncio.Task[None] | None = None
    _idle: asyncio.TimerHandle | None = None

    def __init__(
        self,
        auth: AuthHandler,
        *,
        url: str | None = None,
        patience: CallTimeouts | None = None,
        liveness: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.timeouts = patience or CallTimeouts()
        self.counters: Counter[str] = Counter()
        self.socket = ReconnectingSocket(
            auth,
            url or auth.endpoints.signaling,
            name="signaling connection",
            subscription=_subscription,
            on_frame=self._take,
            on_state=self._on_state,
            keepalive=liveness,
            backoff=backoff,
        )
        self._numbers = itertools.count(time.time_ns())
        self._sessions: dict[str, CallSession] = {}
        self._waiting: set[CallSession] = set()
        self._questions: OrderedDict[str, PendingRequest] = OrderedDict()
        self._early: list[Frame] = []
        self._one_offer = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._farewells: dict[str, set[asyncio.Task[None]]] = {}
        self._connecting = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether there is no connection and nothing under way."""
        return self._runner is None and not self.under_way

    @property
    def under_way(self) -> set[object]:
        """The calls, and all that is being done for them or in their wake."""
        return {*self._waiting, *self._sessions.values(), *self._tasks}

    async def close(self) -> None:
        """End all calls, say so to the intercoms if that is possible at once, and disconnect."""
        self._closed = True
        for session in {*self._sessions.values(), *self._waiting}:
            session.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.timeouts.terminated)
        self._stop_waiting_for_idleness()
        await self._disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn[Result](self, work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Do something that whoever asked for it cannot cancel."""
        task = asyncio.get_running_loop().create_task(work, name=f"bticino {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    @asynccontextmanager
    async def offer_slot(self, session: CallSession) -> AsyncIterator[None]:
        """Give one session at a time the freshly subscribed socket, once earlier calls are over.

        Only until its offer is acknowledged: a slow intercom holds up no other.
        NoAnswerError: it cannot be had in time; AuthError or ApiError: it is refused.
        """
        self._waiting.add(session)
        self._stop_waiting_for_idleness()
        try:
            await self._earlier_calls_are_over(session.bridge_id)
            await self._online()
            async with self._one_offer:
                # Its acknowledgement may have told only now what to end.
                await self._earlier_calls_are_over(session.bridge_id)
                yield
                self._early.clear()
        finally:
            self._waiting.discard(session)
            self._look_after_idleness()

    async def request(
        self,
        session: CallSession,
        data: Mapping[str, Any],
        *,
        correlation_id: str | None = None,
        within: float,
    ) -> Frame:
        """Send a message of a call, once, and return its acknowledgement.

        NoAnswerError: it could not be sent, or no acknowledgement came within so many seconds.
        """
        number = correlation_id or str(next(self._numbers))
        acknowledged = self._expect(number, session, bears_ids=data.get("type") == "offer")
        await self._send(session, data, number)
        try:
            async with asyncio.timeout(within):
                return await acknowledged
        except TimeoutError:
            raise NoAnswerError(sent=True, reason="no acknowledgement") from None

    async def notify(self, session: CallSession, data: Mapping[str, Any]) -> None:
        """Send a message of a call, once, whose acknowledgement matters to nobody."""
        number = str(next(self._numbers))
        self._expect(number, session, within=self.timeouts.terminated).cancel()
        await self._send(session, data, number)

    def _expect(
        self,
        number: str,
        session: CallSession,
        *,
        bears_ids: bool = False,
        within: float = math.inf,
    ) -> asyncio.Future[Frame]:
        """Remember what is about to be sent, since acknowledgements without ids come in order."""
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[Frame] = loop.create_future()
        until = loop.time() + within
        self._questions[number] = PendingRequest(session, bears_ids, acknowledged, until)
        while len(self._questions) > UNANSWERED_REMEMBERED:
            self._questions.popitem(last=False)
        return acknowledged

    def register(self, session: CallSession, session_id: str) -> None:
        """Bring a session what comes for this id from now on, and what came too early."""
        self._sessions[session_id] = session
        early, self._early = self._early, []
        for frame in early:
            self._take_message(frame)

    def unregister(self, session: CallSession) -> None:
        """Bring a session nothing more."""
        for session_id in [key for key, value in self._sessions.items() if value is session]:
            del self._sessions[session_id]
        self._look_after_idleness()

    def send_terminate(self, session: CallSession) -> None:
        """Tell the intercom, in the background, that a call is over; the next one waits for it."""
        task = self.spawn(self._farewell(session), "terminate")
        farewells = self._farewells.setdefault(session.bridge_id, set())
        farewells.add(task)
        task.add_done_callback(farewells.discard)

    async def _farewell(self, session: CallSession) -> None:
        self.counters["terminates"] += 1
        try:
            if self.socket.state is not SocketState.ONLINE:
                await self._online()
            await self.request(session, {"type": "terminate"}, within=self.timeouts.terminated)
        except BticinoError as err:
            # The intercom frees the place by itself after half a minute; a second message might
            # meet a call that has begun meanwhile.
            sent = isinstance(err, NoAnswerError) and err.sent
            self.counters["terminates_unacknowledged" if sent else "terminates_lost"] += 1

    async def _earlier_calls_are_over(self, bridge_id: str) -> None:
        farewells = self._farewells.get(bridge_id)
        if farewells:
            await asyncio.wait(farewells, timeout=self.timeouts.terminated)

    async def _online(self) -> None:
        """Have a subscription that begins now: the last one's token may have died meanwhile."""
        try:
            async with asyncio.timeout(self.timeouts.connected):
                await self._connect()
                await self.socket.resubscribe()
        except TimeoutError:
            raise NoAnswerError(reason="no connection") from None

    async def _connect(self) -> None:
        async with self._connecting:
            if self._closed:
                raise NoAnswerError(reason="closed")
            if self._runner is None:
                self._runner = asyncio.create_task(self.socket.run(), name="bticino signaling")
            self.socket.credentials_changed()  # somebody asks: it is worth another try

    async def _send(self, session: CallSession, data: Mapping[str, Any], number: str) -> None:
        frame = {"action": "rtc", **session.ids, "device_id": session.bridge_id}
        await self.socket.send({**frame, "correlation_id": number, "data": data})

    def _take(self, frame: Frame) -> None:
        self.counters["frames"] += 1
        if frame.get("type") == "ack":
            self._take_acknowledgement(frame)
        else:
            self._take_message(frame)

    def _take_acknowledgement(self, frame: Frame) -> None:
        question = self._question_of(frame)
        if question is None:
            self.counters["acknowledgements_of_nothing"] += 1
            return
        question.session.take_acknowledgement(frame, bears_ids=question.bears_ids)
        if not question.acknowledged.done():
            question.acknowledged.set_result(frame)

    def _question_of(self, frame: Frame) -> PendingRequest | None:
        """Find what a message acknowledges: by its id, or else by order.

        Observers differ on whether the id comes back (protocol.md 3.8). Without it, ids of a
        session or an error belong to the one offer that is under way.
        """
        number = frame.get("correlation_id")
        if number is not None:
            return self._questions.pop(str(number), None)
        now = asyncio.get_running_loop().time()
        names_session = as_str(frame.get("session_id")) is not None
        failed = "error" in frame or frame.get("status") == "error"
        for key, question in self._questions.items():
            fits = question.bears_ids if names_session else failed or not question.bears_ids
            if not fits or question.expected_until < now:
                continue
            if failed and question.bears_ids:
                # It may be another's; what comes with ids later tells what is to be ended.
                return None if question.acknowledged.done() else question
            return self._questions.pop(key)
        return None

    def _take_message(self, frame: Frame) -> None:
        """Bring a message to its session, and to no other."""
        data, session_id = as_mapping(frame.get("data")), as_str(frame.get("session_id"))
        session = self._sessions.get(session_id or "")
        if session is not None:
            session.take(data)
        elif self._one_offer.locked() and len(self._early) < EARLY_FRAMES:
            self._early.append(frame)  # its session's acknowledgement may have been overtaken
        else:
            self.counters["foreign_frames"] += 1

    def _on_state(self, state: SocketState) -> None:
        if state in {SocketState.WAITING, SocketState.AUTH_FAILED, SocketState.STOPPED}:
            self._lose()

    def _lose(self) -> None:
        """Fail at once what hangs on a connection that is lost; calls under way go on without."""
        for question in self._questions.values():
            if not question.acknowledged.done():
                question.acknowledged.set_exception(
                    NoAnswerError(sent=True, reason="connection lost")
                )
        self._questions.clear()
        self._early.clear()
        for session in tuple(self._sessions.values()):
            session.lose_connection()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._look_after_idleness()

    def _look_after_idleness(self) -> None:
        """Disconnect once there has been nothing to do for a while."""
        self._stop_waiting_for_idleness()
        if self._runner is not None and not (self.under_way or self._closed):
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self.timeouts.idle, self._end_idleness)

    def _stop_waiting_for_idleness(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _end_idleness(self) -> None:
        self._idle = None
        self.spawn(self._disconnect(), "disconnect")

    async def _disconnect(self) -> None:
        """Disconnect, unless somebody has come meanwhile."""
        async with self._connecting:
            busy = self.under_way - {asyncio.current_task()}
            if self._runner is None or (busy and not self._closed):
                return
            self.socket.stop()
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None


def _subscription(token: str) -> Mapping[str, str]:
    return {
        "action": "subscribe",
        "access_token": token,
        "app_type": "app_security",
        "version": "1.0",
        "platform": "android",
    }
