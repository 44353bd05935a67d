"""A WebSocket connection to the cloud that reconnects and stays subscribed."""

import asyncio
from collections import Counter
from contextlib import suppress
from enum import Enum, StrEnum
from functools import partial
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from ..auth import TokenEvent
from ..error_codes import error_code, has_error
from ..errors import BticinoError, InvalidCredentialsError, NoAnswerError, TokenRefusedError
from ..http import connect_websocket
from ..pauses import GrowingPause, RefusedTokens
from ..rate_limiter import LONGEST_PAUSE
from ..traffic import TrafficKind
from .backoff import Backoff
from .disconnect import (
    Cause,
    ConnectionEndedError,
    Disconnect,
    Offline,
    OfflineReason,
    first_disconnect,
    no_token,
    refused_frame,
    refused_handshake,
)
from .keepalive import KeepalivePolicy, keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..auth import AuthHandler
    from ..values import JsonObject

type Frame = JsonObject

_LOGGER = logging.getLogger(__name__)

MAX_FRAME_BYTES: Final = 256 * 1024
CLOSE_SECONDS: Final = 1.0
SHORTEST_SUBSCRIPTION: Final = 5.0  # seconds
CLOSING_TRANSPORT: Final = "closing transport"  # aiohttp: nothing was written
LONGEST_DELAY_FOR_CALLER: Final = 5.0  # seconds; while `resubscribe` waits


class SocketState(StrEnum):
    """The state of a socket.

    ONLINE: the cloud has confirmed the subscription, and its token is still valid. AUTH_FAILED: the
    cloud refused e-mail address and password.
    """

    STOPPED = "stopped"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    ONLINE = "online"
    WAITING = "waiting"
    AUTH_FAILED = "auth_failed"


class _Logged(Enum):
    """What the log says about the current outage; each is logged once until it is stable again."""

    NOTHING = "nothing"
    OUTAGE = "outage"
    RECOVERY = "recovery"


class ReconnectingSocket:
    """Connects, subscribes and reads, and reconnects when the connection ends.

    `name` is used in log lines. `subscription` returns the frame to subscribe with for a token.
    `on_frame` gets every frame but replies to subscriptions, `on_state` every new state.
    `on_subscribed` is called after every confirmed subscription; it gets whether pushes may have
    been lost before. They must return at once. `run` lasts until it is cancelled. `offline` is None
    while the socket is online or stopped; `wall_clock` returns the seconds since 1970.
    """

    state = SocketState.STOPPED
    offline: Offline | None = None
    last_disconnect: Disconnect | None = None
    _stopped = False
    _logged = _Logged.NOTHING
    _reply: asyncio.Future[Frame] | None = None
    _token: str | None = None
    _token_ends: float = 0.0
    _online_since: float | None = None
    _socket: aiohttp.ClientWebSocketResponse | None = None
    _subscribed: tuple[aiohttp.ClientWebSocketResponse | None, str | None] | None = None

    def __init__(  # noqa: PLR0913 - its parts
        self,
        auth: AuthHandler,
        url: str,
        *,
        name: str,
        subscription: Callable[[str], Mapping[str, Any]],
        on_frame: Callable[[Frame], None],
        on_state: Callable[[SocketState], None] = lambda _: None,
        on_subscribed: Callable[[bool], None] = lambda _: None,
        keepalive: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._auth = auth
        self._url = url
        self._name = name
        self._note = partial(auth.tap.note, name)
        self._subscription = subscription
        self._on_frame = on_frame
        self._on_state = on_state
        self._on_subscribed = on_subscribed
        self._keepalive = keepalive or KeepalivePolicy()
        self._backoff = backoff or Backoff()
        self._wall_clock = wall_clock
        self._refused = RefusedTokens(GrowingPause(draw=self._backoff.draw))
        self._retry_now = asyncio.Event()
        self._subscribe_now = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self.counters: Counter[str] = Counter()

    @property
    def is_outage_logged(self) -> bool:
        """Whether the log's latest entry about the connection is that it is lost."""
        return self._logged is _Logged.OUTAGE

    async def run(self) -> None:
        """Stay connected until cancelled. Call `stop` before; may be called again afterwards."""
        self._stopped = False
        self._note_offline(OfflineReason.CONNECTING)
        stop_listening = self._auth.listen(self._on_token)
        try:
            while not self._stopped:
                self.last_disconnect = await self._connection()
                self.counters["connections_ended"] += 1
                self._note(TrafficKind.DISCONNECT, text=str(self.last_disconnect))
                self._note_offline(self.last_disconnect.reason)
                if not self._stopped:
                    await self._pause(self.last_disconnect)
        finally:
            stop_listening()
            self._set_state(SocketState.STOPPED)
            self._resolve_waiters(len(self._waiters), NoAnswerError(reason="stopped"))

    def stop(self) -> None:
        """Do not reconnect: a time-out at the same moment may swallow the cancellation of `run`.

        Ends the calls of `resubscribe`: `run` cannot if it is cancelled before its first step.
        """
        self._stopped = True
        self._resolve_waiters(len(self._waiters), NoAnswerError(reason="stopped"))

    def retry_soon(self) -> None:
        """Reconnect now if that has failed, unless the cloud named the pause or refused a token."""
        ended = self.last_disconnect
        is_failure = ended is not None and ended.cause is Cause.CONNECTION and not ended.retry_after
        if is_failure and self.state is SocketState.WAITING:
            self._retry_now.set()

    async def resubscribe(self) -> None:
        """Subscribe again and return when the cloud has confirmed it.

        A waiting socket tries again at once, unless the cloud named the pause. Waits for the end of
        an outage. Raises AuthError or ApiError if the cloud refuses the credentials or the token,
        NoAnswerError if `run` ends.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._subscribe_now.set()
        self._retry_now.set()
        await waiter

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame once; NoAnswerError if that is impossible or the connection is lost."""
        if self._socket is None or not self._is_subscribed:
            raise NoAnswerError(reason="no connection")
        try:
            await self._send_frame(self._socket, frame)
        except (aiohttp.ClientError, ConnectionError, orjson.JSONEncodeError) as err:
            sent = not (isinstance(err, orjson.JSONEncodeError) or CLOSING_TRANSPORT in str(err))
            raise NoAnswerError(sent=sent, reason=type(err).__name__) from err

    async def _send_frame(
        self, socket: aiohttp.ClientWebSocketResponse, frame: Mapping[str, Any]
    ) -> None:
        raw = orjson.dumps(frame)
        self._note(TrafficKind.SENT, body=frame, size=len(raw))
        await socket.send_str(raw.decode())

    @property
    def _is_subscribed(self) -> bool:
        """Whether the connection was confirmed; a refused token may be in replacement."""
        is_connected = self.state in {SocketState.ONLINE, SocketState.SUBSCRIBING}
        return is_connected and self._online_since is not None

    async def _connection(self) -> Disconnect:
        """Run one connection and return why it ended."""
        self._set_state(SocketState.CONNECTING)
        self._online_since = None
        disconnect = Disconnect(text="unexpected", reason=OfflineReason.UNEXPECTED)
        try:
            async with await self._open() as socket, asyncio.TaskGroup() as tasks:
                self._socket = socket
                tasks.create_task(self._read(socket), name="bticino read")
                tasks.create_task(self._keep_subscribed(socket), name="bticino subscribe")
        except* ConnectionEndedError as group:
            disconnect = first_disconnect(group)
        except* Exception as group:  # noqa: BLE001 - an error of ours must not stop the socket for good
            self.counters["faults"] += 1
            names = [type(err).__name__ for err in group.exceptions]
            _LOGGER.error("The connection ended with an error: %s", ", ".join(names))  # noqa: TRY400
        self._socket = None
        return disconnect

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(self._keepalive.handshake_within):
                socket = await connect_websocket(
                    self._auth.session,
                    self._url,
                    heartbeat=self._keepalive.ping_every,
                    max_msg_size=MAX_FRAME_BYTES,
                    close_timeout=CLOSE_SECONDS,
                )
        except aiohttp.WSServerHandshakeError as err:
            disconnect = refused_handshake(err)
        except (aiohttp.ClientError, OSError, TimeoutError, BticinoError) as err:
            disconnect = Disconnect(
                text=f"no connection: {type(err).__name__}", reason=OfflineReason.UNREACHABLE
            )
        else:
            keep_alive(socket, self._keepalive.keepalive_after)
            return socket
        raise ConnectionEndedError(disconnect)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._on_text(message.data)
                # A subscription is reported before the frame behind its reply is handled.
                await asyncio.sleep(0)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.counters["binary_frames"] += 1
                self._note(TrafficKind.RECEIVED, size=len(message.data))
            else:
                raise ConnectionEndedError(
                    Disconnect(text="closed", reason=OfflineReason.CLOSED, code=socket.close_code)
                )

    def _on_text(self, text: str) -> None:
        """Decode a frame and dispatch it; a bad frame does not affect others."""
        self.counters["frames"] += 1
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
        self._note(TrafficKind.RECEIVED, body=frame, size=len(text))
        if not isinstance(frame, dict):
            self.counters["unreadable_frames"] += 1
        elif _is_reply(frame):
            self._on_reply(frame)
        else:
            self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        try:
            self._on_frame(frame)
        except Exception as err:  # noqa: BLE001 - the callback is not ours; its text may hold the frame
            self.counters["failed_frames"] += 1
            _LOGGER.error("A frame could not be handled: %s", type(err).__name__)  # noqa: TRY400

    def _on_reply(self, frame: Frame) -> None:
        """Resolve the pending subscription; without one, an error ends the connection."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(frame)
        elif has_error(frame):
            raise ConnectionEndedError(self._refusal("error", frame))

    def _refusal(self, text: str, frame: Frame) -> Disconnect:
        """Return the disconnect of a frame with an error, and note the token if it is refused."""
        disconnect = refused_frame(text, error_code(frame))
        if disconnect.cause is Cause.TOKEN_REFUSED and self._token is not None:
            self._refused.add(self._token)
            self._auth.invalidate(self._token)
        return disconnect

    def _on_token(self, event: TokenEvent) -> None:
        """Subscribe again at once: the cloud may push nothing more for the old token."""
        if event is TokenEvent.CLIENT_REFUSED:
            return
        self._subscribe_now.set()
        if event is TokenEvent.REFUSED and self.state is SocketState.ONLINE:
            self._note_offline(OfflineReason.TOKEN_REFUSED)
            self._set_state(SocketState.SUBSCRIBING)
        if event is TokenEvent.SIGNED_IN or (
            event is TokenEvent.REPLACED and self._is_waiting_for_token
        ):
            self._retry_now.set()

    @property
    def _is_waiting_for_token(self) -> bool:
        if self.state is SocketState.AUTH_FAILED:
            return True
        cause = None if self.last_disconnect is None else self.last_disconnect.cause
        return self.state is SocketState.WAITING and cause is Cause.NO_TOKEN

    async def _keep_subscribed(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._set_state(SocketState.SUBSCRIBING)
        while True:
            await self._subscribe(socket)
            await _wait(self._subscribe_now, self._seconds_to_next())

    def _resolve_waiters(self, count: int, error: BticinoError | None = None) -> None:
        """End the first `count` calls of `resubscribe`."""
        for waiter in self._waiters[:count]:
            if waiter.done():
                continue  # the caller was cancelled
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
        del self._waiters[:count]

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Subscribe with a valid token.

        After a refusal, the new token is used on a new connection: a repeated refusal of the old
        one would be taken for a refusal of the new one.
        """
        self._token = await self._valid_token()
        token_ends = asyncio.get_running_loop().time() + self._auth.lifetime_left
        self._subscribe_now.clear()
        waiting = len(self._waiters)
        reply = await self._request(socket, self._subscription(self._token))
        if has_error(reply) or reply.get("status", "ok") != "ok":
            raise ConnectionEndedError(self._refusal("subscription refused", reply))
        self._token_ends = token_ends
        self._now_online()
        self._resolve_waiters(waiting)

    async def _valid_token(self) -> str:
        """Return a token to subscribe with; until there is one, the current subscription stays."""
        while True:
            self._subscribe_now.clear()
            is_online = self.state is SocketState.ONLINE
            try:
                async with asyncio.timeout_at(self._token_ends if is_online else None):
                    return await self._auth.get_access_token()
            except TimeoutError:
                disconnect = Disconnect(
                    text="token expired",
                    reason=OfflineReason.SIGN_IN_FAILED,
                    cause=Cause.NO_TOKEN,
                )
            except BticinoError as err:
                disconnect = no_token(err)
            left = self._token_ends - asyncio.get_running_loop().time()
            is_final = disconnect.cause is Cause.CREDENTIALS_REFUSED
            if self.state is not SocketState.ONLINE or is_final or left <= 0:
                raise ConnectionEndedError(disconnect)
            await _wait(self._subscribe_now, min(left, self._keepalive.stable_after))

    async def _request(
        self, socket: aiohttp.ClientWebSocketResponse, frame: Mapping[str, Any]
    ) -> Frame:
        """Send a subscription and return its reply, which the reader receives."""
        self._reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._keepalive.reply_within):
                await self._send_frame(socket, frame)
                return await self._reply
        except TimeoutError:
            disconnect = Disconnect(
                text="no answer to the subscription", reason=OfflineReason.NO_REPLY
            )
        except (aiohttp.ClientError, ConnectionError) as err:
            disconnect = Disconnect(
                text=f"closed while sending: {type(err).__name__}", reason=OfflineReason.CLOSED
            )
        finally:
            self._reply = None
        raise ConnectionEndedError(disconnect)

    def _now_online(self) -> None:
        self._refused.reset()
        self._retry_now.clear()
        if self._online_since is None:
            self._online_since = asyncio.get_running_loop().time()
        self._set_state(SocketState.ONLINE)
        if self._logged is _Logged.OUTAGE:
            self._logged = _Logged.RECOVERY
            _LOGGER.info("The %s to the cloud is back", self._name)
        self._report_subscription()

    def _seconds_to_next(self) -> float:
        """Return the time until the next subscription: before the token expires, or regularly."""
        seconds = min(self._keepalive.resubscribe_every, self._auth.seconds_left)
        return max(seconds, SHORTEST_SUBSCRIPTION)

    async def _pause(self, disconnect: Disconnect) -> None:
        """Wait until another attempt is due, or is worth it now."""
        if self._was_stable():
            self._backoff.reset()
            self._logged = _Logged.NOTHING
        delay = self._delay(disconnect)
        if delay is None or self._refused.count > 1 or self._backoff.failures > 1:
            self._log_outage(disconnect)
        self._set_state(SocketState.WAITING if delay is not None else SocketState.AUTH_FAILED)
        self._fail_waiters(disconnect)
        if disconnect.cause is Cause.CONNECTION:
            await asyncio.sleep(disconnect.retry_after)
        await _wait(self._retry_now, delay)
        self._retry_now.clear()

    def _delay(self, disconnect: Disconnect) -> float | None:
        """Return the seconds until the next attempt; None: until there is another token."""
        if disconnect.cause is Cause.CREDENTIALS_REFUSED:
            return None
        is_first = self._backoff.failures == 0
        named = disconnect.retry_after
        delay = self._backoff.next_delay(is_overload=disconnect.is_overload, named=named)
        if disconnect.cause is Cause.TOKEN_REFUSED:
            if self._refused.count > 1:
                return self._refused.pause.left
            if is_first:
                return 0.0
        delay = min(delay, LONGEST_PAUSE - named)
        if disconnect.cause is Cause.NO_TOKEN:
            delay += named
        has_caller = any(not waiter.done() for waiter in self._waiters)
        return min(delay, LONGEST_DELAY_FOR_CALLER) if has_caller else delay

    def _fail_waiters(self, disconnect: Disconnect) -> None:
        """Raise a refusal to the callers that wait: the next attempt would not help them."""
        error: BticinoError
        if disconnect.cause is Cause.CREDENTIALS_REFUSED:
            error = InvalidCredentialsError()
        elif disconnect.cause is Cause.TOKEN_REFUSED and self._refused.count > 1:
            error = TokenRefusedError()
        else:
            return
        self._resolve_waiters(len(self._waiters), error)
        self._retry_now.clear()

    def _log_outage(self, disconnect: Disconnect) -> None:
        if self._logged is _Logged.NOTHING:
            self._logged = _Logged.OUTAGE
            _LOGGER.warning("The %s to the cloud is lost: %s", self._name, disconnect)

    def _was_stable(self) -> bool:
        since = self._online_since
        stable_from = asyncio.get_running_loop().time() - self._keepalive.stable_after
        return since is not None and since <= stable_from

    def _note_offline(self, reason: OfflineReason) -> None:
        """Note why the connection is not online, or still is not; the state follows."""
        since = self._wall_clock() if self.offline is None else self.offline.since
        self.offline = Offline(reason=reason, since=since)

    def _set_state(self, state: SocketState) -> None:
        if state in {SocketState.ONLINE, SocketState.STOPPED}:
            self.offline = None
        if state is not self.state:
            self.state = state
            self._note(TrafficKind.STATE, text=state.value)
            try:
                self._on_state(state)
            except Exception as err:  # noqa: BLE001 - the callback must not stop the socket for good
                self.counters["failed_states"] += 1
                _LOGGER.error("A new state could not be handled: %s", type(err).__name__)  # noqa: TRY400

    def _report_subscription(self) -> None:
        """Call `on_subscribed`; the subscription of a token that was replaced may have ended."""
        before, self._subscribed = self._subscribed, (self._socket, self._token)
        try:
            self._on_subscribed(before != self._subscribed or bool(self._waiters))
        except Exception as err:  # noqa: BLE001 - the callback must not stop the socket for good
            self.counters["failed_subscriptions"] += 1
            _LOGGER.error("A subscription could not be handled: %s", type(err).__name__)  # noqa: TRY400


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for an event, up to a number of seconds; None: without a limit."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _is_reply(frame: Frame) -> bool:
    """Return whether a frame is the reply to a subscription; all other frames have a type."""
    has_type = "push_type" in frame or "type" in frame
    return not has_type and ("status" in frame or "error" in frame)
