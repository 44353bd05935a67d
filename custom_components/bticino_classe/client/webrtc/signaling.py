"""The signaling socket of an account, shared by its call sessions."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import itertools
import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import BticinoError, NoAnswerError
from ..values import as_key, as_mapping
from ..websocket.connection import Frame, ReconnectingSocket, SocketState
from .pending import PendingRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from typing import Any

    from ..auth import AuthHandler
    from ..websocket.backoff import Backoff
    from ..websocket.keepalive import KeepalivePolicy
    from .pending import AckHandler, PendingRequest

_LOGGER = logging.getLogger(__name__)

# Frames that have overtaken the acknowledgement with their session id: sessions, and frames each.
MAX_UNROUTED_SESSIONS: Final = 8
MAX_UNROUTED_FRAMES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimeouts:
    """The time-outs of a call, in seconds (protocol.md 3.8).

    `busy` is the pause before the second attempt at a busy intercom, and between a call and the
    answer to a ring. `view` is how long the intercom lets somebody watch. An acknowledgement that
    comes later than `late_ack` does not matter: by then the intercom has ended the call itself.
    `own_ack` is how long an offer waits for its own acknowledgement after one without any id,
    which may be a repetition of another request's.
    """

    connected: float = 20.0
    acknowledged: float = 10.0
    answered: float = 25.0
    terminated: float = 3.0
    late_ack: float = 30.0
    own_ack: float = 1.0
    busy: float = 1.5
    view: float = 30.0
    idle: float = 30.0
    max_call: float = 600.0


class SignalingSession(Protocol):
    """What the channel needs from a call session."""

    @property
    def bridge_id(self) -> str:
        """The id of the intercom."""

    @property
    def frame_ids(self) -> Mapping[str, str]:
        """The ids of the session as a frame has them, empty while they are unknown."""

    @property
    def outcome(self) -> asyncio.Future[str] | None:
        """The outcome of the set-up, which needs the connection, once it has begun."""

    def handle_message(self, data: Frame) -> None:
        """Handle a message from the intercom."""

    def handle_connection_lost(self) -> None:
        """Handle the loss of the connection."""

    def hang_up(self) -> None:
        """End the call."""


class SignalingChannel:
    """The signaling socket: connected on demand, disconnected when idle.

    Gives one session at a time the slot for its offer, sends requests, routes frames to their
    session, and terminates calls in the background. `close` ends all tasks of the channel.
    """

    _closed = False
    _runner: asyncio.Task[None] | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _connections_lost = 0

    def __init__(
        self,
        auth: AuthHandler,
        *,
        url: str | None = None,
        timeouts: CallTimeouts | None = None,
        keepalive: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.timeouts = timeouts or CallTimeouts()
        self.counters: Counter[str] = Counter()
        self.socket = ReconnectingSocket(
            auth,
            url or auth.endpoints.signaling,
            name="signaling connection",
            subscription=_subscription,
            on_frame=self._handle_frame,
            on_state=self._handle_state,
            keepalive=keepalive,
            backoff=backoff,
        )
        self._correlation_ids = itertools.count(time.time_ns())
        self._pending = PendingRequests(_loop_time)
        self._sessions: dict[str, SignalingSession] = {}
        self._waiting: list[SignalingSession] = []
        self._unrouted: dict[str, list[Frame]] = {}
        self._offer_lock, self._connection_lock = asyncio.Lock(), asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._terminates: dict[str, set[asyncio.Task[None]]] = {}
        self._line_free_at: dict[str, float] = {}  # by the event loop's clock

    @property
    def is_idle(self) -> bool:
        """Whether the channel is disconnected and has nothing to do."""
        return self._runner is None and not self.in_use

    @property
    def in_use(self) -> bool:
        """Whether there is a call, or background work for one."""
        return bool(self._sessions or self._waiting or self._tasks)

    async def close(self) -> None:
        """End all calls, terminate them at the intercoms if that is quick, and disconnect."""
        self._closed = True
        for session in (*self._sessions.values(), *self._waiting):
            session.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.timeouts.terminated)
        self._cancel_idle_timer()
        await self._stop_socket()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn[Result](self, work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Run a coroutine as a task of the channel, which keeps the socket connected."""
        task = asyncio.get_running_loop().create_task(work, name=f"bticino {name}")
        self._tasks.add(task)
        task.add_done_callback(self._handle_task_done)
        return task

    @asynccontextmanager
    async def offer_slot(self, session: SignalingSession) -> AsyncIterator[None]:
        """Enter once the socket has a new subscription and the intercom's last call is terminated.

        After an offer or answer that was never acknowledged, the connection is a new one unless
        acknowledgements have correlation ids: a late one would be taken for the next offer's.

        One session at a time: it leaves with its acknowledgement, so that a slow intercom delays no
        other. NoAnswerError: no connection in time; AuthError, ApiError: the cloud refuses it.
        """
        self._waiting.append(session)
        self._cancel_idle_timer()
        try:
            await self._wait_for_terminates(session.bridge_id)
            await self._resubscribe()
            async with self._offer_lock:
                # The acknowledgement of the last offer may have started another one.
                await self._wait_for_terminates(session.bridge_id)
                await self._ensure_connection()
                try:
                    yield
                finally:
                    self._unrouted.clear()
        finally:
            self._waiting.remove(session)
            self._restart_idle_timer()

    async def request(
        self,
        session: SignalingSession,
        data: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 - sending has no time-out of its own
        correlation_id: str | None = None,
        on_ack: AckHandler | None = None,
    ) -> Frame:
        """Send a message once and return its acknowledgement; NoAnswerError if there is none."""
        is_offer = data.get("type") == "offer"
        pending = self._pending.add(
            correlation_id or self._next_correlation_id(),
            lifetime=self.timeouts.late_ack if is_offer or on_ack else timeout,
            is_offer=is_offer,
            session_id=session.frame_ids.get("session_id"),
            on_ack=on_ack,
        )
        try:
            await self._send(session, data, pending.correlation_id)
            async with asyncio.timeout(timeout):
                return await self._own_reply(pending)
        except NoAnswerError:
            self._pending.remove(pending)  # no acknowledgement can follow
            raise
        except TimeoutError:
            raise NoAnswerError(sent=True, reason="no acknowledgement") from None
        finally:
            self._pending.release(pending)

    async def notify(self, session: SignalingSession, data: Mapping[str, Any]) -> None:
        """Send a message once without waiting for its acknowledgement."""
        pending = self._pending.add(
            self._next_correlation_id(),
            lifetime=self.timeouts.terminated,
            session_id=session.frame_ids.get("session_id"),
        )
        pending.abandon()
        await self._send(session, data, pending.correlation_id)

    def register(self, session: SignalingSession, session_id: str) -> None:
        """Route the frames of this id to a session, also those that have overtaken the id."""
        self._sessions[session_id] = session
        for frame in self._unrouted.pop(session_id, ()):
            self._handle_message(frame)

    def unregister(self, session: SignalingSession) -> None:
        """Route no more frames to a session."""
        for session_id in [key for key, value in self._sessions.items() if value is session]:
            del self._sessions[session_id]
        self._restart_idle_timer()

    def send_terminate(self, session: SignalingSession) -> None:
        """Terminate a call in the background; the next offer to the intercom waits for it."""
        task = self.spawn(self._terminate(session), "terminate")
        terminates = self._terminates.setdefault(session.bridge_id, set())
        terminates.add(task)
        task.add_done_callback(terminates.discard)

    async def terminate(self, session: SignalingSession) -> Frame:
        """Send a terminate and return its acknowledgement, or raise NoAnswerError.

        A terminate without an acknowledgement is repeated on the next connection. That is safe,
        because it has the session's id.
        """
        self.counters["terminates"] += 1
        deadline = _loop_time() + self.timeouts.late_ack
        is_repeatable = True
        while True:
            lost = self._connections_lost
            try:
                timeout = self.timeouts.terminated
                return await self.request(session, {"type": "terminate"}, timeout=timeout)
            except NoAnswerError as err:
                if not (err.sent and is_repeatable) or _loop_time() > deadline:
                    raise
            # A connection on which nothing comes is replaced once.
            is_repeatable = self._connections_lost != lost
            await self._resubscribe(after=lost)

    async def _terminate(self, session: SignalingSession) -> None:
        try:
            await self._ensure_connection()
            await self.terminate(session)
            free_at = asyncio.get_running_loop().time() + self.timeouts.busy
            self._line_free_at[session.bridge_id] = free_at
        except BticinoError as err:
            sent = isinstance(err, NoAnswerError) and err.sent
            self.counters["terminates_unacknowledged" if sent else "terminates_lost"] += 1
        except asyncio.CancelledError:
            self.counters["terminates_lost"] += 1  # the channel is closed
            raise

    async def wait_for_free_line(self, bridge_id: str) -> None:
        """Wait until an intercom has freed the line of a call that was terminated.

        It takes a moment (protocol.md 3.8). An offer can be repeated instead, an answer cannot.
        """
        await self._wait_for_terminates(bridge_id)
        free_at = self._line_free_at.get(bridge_id, 0.0)
        await asyncio.sleep(free_at - asyncio.get_running_loop().time())

    async def _wait_for_terminates(self, bridge_id: str) -> None:
        terminates = self._terminates.get(bridge_id)
        if terminates:
            await asyncio.wait(terminates, timeout=self.timeouts.acknowledged)

    async def _ensure_connection(self) -> None:
        """Wait for a connection on which the order of acknowledgements is certain."""
        if not self._pending.is_order_certain:
            await self._resubscribe(after=self._connections_lost)
        elif self.socket.state is not SocketState.ONLINE:
            await self._resubscribe()

    async def _resubscribe(self, *, after: int | None = None) -> None:
        """Connect if necessary and subscribe: the token of the last subscription may have died.

        `after` asks for a connection that is newer than this many lost ones.
        """
        try:
            async with asyncio.timeout(self.timeouts.connected), self._connection_lock:
                if after == self._connections_lost:
                    await self._wait_for_set_ups()
                    await self._stop_socket()
                await self._start_socket()
                await self.socket.resubscribe()
        except TimeoutError:
            raise NoAnswerError(reason="no connection") from None

    async def _wait_for_set_ups(self) -> None:
        """Wait until no call depends on the present connection."""
        while waiting := self._pending.awaited_replies | self._outcomes():
            await asyncio.wait(waiting)

    def _outcomes(self) -> set[asyncio.Future[str]]:
        outcomes = (session.outcome for session in self._sessions.values())
        return {each for each in outcomes if each is not None and not each.done()}

    async def _start_socket(self) -> None:
        if self._closed:
            raise NoAnswerError(reason="closed")
        if self._runner is not None and self._runner.cancelling():
            await self._stop_socket()  # the caller who stopped it was cancelled
        if self._runner is None:
            self._runner = asyncio.create_task(self.socket.run(), name="bticino signaling")

    async def _stop_socket(self) -> None:
        if self._runner is None:
            return
        self.socket.stop()
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        self._runner = None

    def _next_correlation_id(self) -> str:
        return str(next(self._correlation_ids))

    async def _own_reply(self, pending: PendingRequest) -> Frame:
        """Return the reply, or the one that follows soon if it may be another request's."""
        reply = pending.reply
        ack = await reply
        if pending.reply is not reply:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeouts.own_ack):
                    return await pending.reply
        return ack

    async def _send(
        self, session: SignalingSession, data: Mapping[str, Any], correlation_id: str
    ) -> None:
        frame = {"action": "rtc", **session.frame_ids, "device_id": session.bridge_id}
        await self.socket.send({**frame, "correlation_id": correlation_id, "data": data})

    def _handle_frame(self, frame: Frame) -> None:
        self.counters["frames"] += 1
        if frame.get("type") == "ack":
            self._handle_ack(frame)
        else:
            self._handle_message(frame)

    def _handle_ack(self, ack: Frame) -> None:
        request = self._pending.match(ack)
        if request is None:
            self.counters["unmatched_acks"] += 1
        else:
            request.resolve(ack)

    def _handle_message(self, frame: Frame) -> None:
        data, session_id = as_mapping(frame.get("data")), as_key(frame.get("session_id"))
        session = self._sessions.get(session_id or "")
        if session is not None:
            session.handle_message(data)
        elif session_id is None or not self._keep_unrouted(session_id, frame):
            self.counters["foreign_frames"] += 1

    def _keep_unrouted(self, session_id: str, frame: Frame) -> bool:
        """Keep a frame that may have overtaken the acknowledgement with its session id."""
        if not self._offer_lock.locked() or self._pending.is_known(session_id):
            return False
        frames = self._unrouted.setdefault(session_id, [])
        if len(self._unrouted) > MAX_UNROUTED_SESSIONS:
            del self._unrouted[next(iter(self._unrouted))]
        # Candidates must not crowd out the answer.
        is_candidate = as_mapping(frame.get("data")).get("type") == "candidate"
        has_room = len(frames) < (1 if is_candidate else 2) * MAX_UNROUTED_FRAMES
        if has_room:
            frames.append(frame)
        return has_room

    def _handle_state(self, state: SocketState) -> None:
        if state in {SocketState.WAITING, SocketState.AUTH_FAILED, SocketState.STOPPED}:
            self._handle_connection_lost()

    def _handle_connection_lost(self) -> None:
        """Fail what waits for a frame; calls that are set up do not need the connection."""
        self._connections_lost += 1
        self._pending.fail_all(lambda: NoAnswerError(sent=True, reason="connection lost"))
        self._unrouted.clear()
        for session in tuple(self._sessions.values()):
            session.handle_connection_lost()

    def _handle_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, BticinoError):
            _LOGGER.error("A call failed with an unexpected error: %s", type(error).__name__)
        self._restart_idle_timer()

    def _restart_idle_timer(self) -> None:
        """Disconnect after a while without calls."""
        self._cancel_idle_timer()
        if self._runner is not None and not (self.in_use or self._closed):
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self.timeouts.idle, self._handle_idle)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _handle_idle(self) -> None:
        self._idle_timer = None
        self.spawn(self._disconnect(), "disconnect")

    async def _disconnect(self) -> None:
        """Disconnect, unless there is a new call."""
        async with self._connection_lock:
            others = self._tasks - {asyncio.current_task()}
            if not (self._sessions or self._waiting or others):
                await self._stop_socket()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _subscription(token: str) -> Mapping[str, str]:
    return {
        "action": "subscribe",
        "access_token": token,
        "app_type": "app_security",
        "version": "1.0",
        "platform": "android",
    }
