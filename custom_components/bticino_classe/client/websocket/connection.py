"""A WebSocket connection to the cloud that reconnects and stays subscribed."""

import asyncio
from collections import Counter
from contextlib import suppress
from enum import Enum, StrEnum
import logging
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from ..const import USER_AGENT
from ..error_codes import error_code, meaning_of
from ..errors import BticinoError, InvalidCredentialsError, NoAnswerError, TokenRefusedError
from ..rate_limiter import LONGEST_PAUSE
from .backoff import Backoff
from .disconnect import (
    ConnectionEndedError,
    Disconnect,
    first_disconnect,
    no_token,
    refused_handshake,
)
from .keepalive import KeepalivePolicy, keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..auth import AuthHandler
    from ..decode import JsonObject

type Frame = JsonObject

_LOGGER = logging.getLogger(__name__)

MAX_FRAME_BYTES: Final = 256 * 1024
CLOSE_SECONDS: Final = 1.0
SHORTEST_SUBSCRIPTION: Final = 5.0  # seconds
CLOSING_TRANSPORT: Final = "closing transport"  # aiohttp: nothing was written


class SocketState(StrEnum):
    """The state of a socket; ONLINE means that the cloud confirmed the subscription."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    ONLINE = "online"
    WAITING = "waiting"
    AUTH_FAILED = "auth_failed"


class _Access(Enum):
    """Whether the cloud accepts the account's token."""

    ACCEPTED = "accepted"
    TOKEN_REFUSED = "token refused"  # noqa: S105 - a new token is tried
    NEW_TOKEN_REFUSED = "new token refused"  # noqa: S105
    CREDENTIALS_REFUSED = "credentials refused"

    def after_refusal(self) -> _Access:
        """Return the state after the cloud refused a token."""
        if self is _Access.ACCEPTED:
            return _Access.TOKEN_REFUSED
        return self if self is _Access.CREDENTIALS_REFUSED else _Access.NEW_TOKEN_REFUSED

    @property
    def is_lost(self) -> bool:
        """Whether another attempt now would fail as well."""
        return self in {_Access.NEW_TOKEN_REFUSED, _Access.CREDENTIALS_REFUSED}


class _Logged(Enum):
    """What the log says about the current outage; each is logged once until it is stable again."""

    NOTHING = "nothing"
    OUTAGE = "outage"
    RECOVERY = "recovery"


class ReconnectingSocket:
    """Connects, subscribes and reads, and reconnects when the connection ends.

    `name` is used in log lines. `subscription` returns the frame to subscribe with for a token.
    `on_frame` gets every frame but replies to subscriptions, `on_state` every new state. Both are
    called from the reader and must return at once. `run` lasts until it is cancelled.
    """

    _reply: asyncio.Future[Frame] | None = None
    _token: str | None = None
    _online_since: float | None = None
    _socket: aiohttp.ClientWebSocketResponse | None = None

    def __init__(  # noqa: PLR0913 - its parts
        self,
        auth: AuthHandler,
        url: str,
        *,
        name: str,
        subscription: Callable[[str], Mapping[str, Any]],
        on_frame: Callable[[Frame], None],
        on_state: Callable[[SocketState], None] = lambda _: None,
        keepalive: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._auth = auth
        self._url = url
        self._name = name
        self._subscription = subscription
        self._on_frame = on_frame
        self._on_state = on_state
        self._keepalive = keepalive or KeepalivePolicy()
        self._backoff = backoff or Backoff()
        self._access = _Access.ACCEPTED
        self._logged = _Logged.NOTHING
        self._credentials_changed = asyncio.Event()
        self._subscribe_now = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._stopped = False
        self.state = SocketState.STOPPED
        self.last_disconnect: Disconnect | None = None
        self.counters: Counter[str] = Counter()

    @property
    def is_outage_logged(self) -> bool:
        """Whether the log's latest entry about the connection is that it is lost."""
        return self._logged is _Logged.OUTAGE

    async def run(self) -> None:
        """Stay connected until cancelled. Call `stop` before; may be called again afterwards."""
        self._stopped = False
        try:
            while not self._stopped:
                self.last_disconnect = await self._connection()
                self.counters["connections_ended"] += 1
                if not self._stopped:
                    await self._pause(self.last_disconnect)
        finally:
            self._set_state(SocketState.STOPPED)
            self._resolve_waiters(len(self._waiters), NoAnswerError(reason="stopped"))

    def stop(self) -> None:
        """Do not reconnect: a time-out at the same moment may swallow the cancellation of `run`."""
        self._stopped = True

    def credentials_changed(self) -> None:
        """Try again at once if the socket has stopped because token or credentials were refused."""
        self._credentials_changed.set()

    async def resubscribe(self) -> None:
        """Subscribe again and return when the cloud has confirmed it.

        Waits for the end of an outage. Raises AuthError or ApiError if the cloud refuses the
        credentials or the token, NoAnswerError if `run` ends.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._subscribe_now.set()
        await waiter

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame once; NoAnswerError if the connection is not online or is lost."""
        if self._socket is None or self.state is not SocketState.ONLINE:
            raise NoAnswerError(reason="no connection")
        try:
            await self._socket.send_str(orjson.dumps(frame).decode())
        except (aiohttp.ClientError, ConnectionError) as err:
            sent = CLOSING_TRANSPORT not in str(err)
            raise NoAnswerError(sent=sent, reason=type(err).__name__) from err

    async def _connection(self) -> Disconnect:
        """Run one connection and return why it ended."""
        self._set_state(SocketState.CONNECTING)
        self._online_since = None
        disconnect = Disconnect(reason="unexpected")
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
                socket = await self._auth.session.ws_connect(
                    self._url,
                    headers={"User-Agent": USER_AGENT},
                    heartbeat=self._keepalive.ping_every,
                    max_msg_size=MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
        except aiohttp.WSServerHandshakeError as err:
            disconnect = refused_handshake(err)
        except (aiohttp.ClientError, OSError, TimeoutError, BticinoError) as err:
            disconnect = Disconnect(reason=f"no connection: {type(err).__name__}")
        else:
            keep_alive(socket, self._keepalive.keepalive_after)
            return socket
        raise ConnectionEndedError(disconnect)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._on_text(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.counters["binary_frames"] += 1
            else:
                raise ConnectionEndedError(Disconnect(reason="closed", code=socket.close_code))

    def _on_text(self, text: str) -> None:
        """Decode a frame and dispatch it; a bad frame does not affect others."""
        self.counters["frames"] += 1
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
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
        code = error_code(frame)
        if meaning_of(code).refuses_token and self._token is not None:
            self._access = self._access.after_refusal()
            self._auth.invalidate(self._token)
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(frame)
        elif "error" in frame:
            raise ConnectionEndedError(Disconnect(reason="error", code=code))

    async def _keep_subscribed(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._set_state(SocketState.SUBSCRIBING)
        while True:
            self._subscribe_now.clear()
            waiting = len(self._waiters)
            await self._subscribe(socket)
            self._now_online()
            self._resolve_waiters(waiting)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._subscribe_now.wait()

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
        """Subscribe with a valid token; after a refusal, once more with a new token."""
        while True:
            self._token = await self._valid_token()
            reply = await self._request(socket, self._subscription(self._token))
            if "error" not in reply and reply.get("status", "ok") == "ok":
                self._access = _Access.ACCEPTED
                return
            code = error_code(reply)
            if not meaning_of(code).refuses_token or self._access.is_lost:
                raise ConnectionEndedError(Disconnect(reason="subscription refused", code=code))

    async def _valid_token(self) -> str:
        while True:
            try:
                return await self._auth.get_access_token()
            except InvalidCredentialsError:
                self._access = _Access.CREDENTIALS_REFUSED
                disconnect = Disconnect(reason="credentials refused")
            except BticinoError as err:
                disconnect = no_token(err)
            if self.state is not SocketState.ONLINE or self._access is not _Access.ACCEPTED:
                raise ConnectionEndedError(disconnect)
            # The current subscription stays; only the next one has to wait.
            await asyncio.sleep(self._keepalive.stable_after)

    async def _request(
        self, socket: aiohttp.ClientWebSocketResponse, frame: Mapping[str, Any]
    ) -> Frame:
        """Send a subscription and return its reply, which the reader receives."""
        self._reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._keepalive.reply_within):
                await socket.send_str(orjson.dumps(frame).decode())
                return await self._reply
        except TimeoutError:
            disconnect = Disconnect(reason="no answer to the subscription")
        except (aiohttp.ClientError, ConnectionError) as err:
            disconnect = Disconnect(reason=f"closed while sending: {type(err).__name__}")
        finally:
            self._reply = None
        raise ConnectionEndedError(disconnect)

    def _now_online(self) -> None:
        if self._online_since is None:
            self._online_since = asyncio.get_running_loop().time()
        self._set_state(SocketState.ONLINE)
        if self._logged is _Logged.OUTAGE:
            self._logged = _Logged.RECOVERY
            _LOGGER.info("The %s to the cloud is back", self._name)

    def _seconds_to_next(self) -> float:
        """Return the time until the next subscription: before the token expires, or regularly."""
        seconds = min(self._keepalive.resubscribe_every, self._auth.seconds_left)
        return max(seconds, SHORTEST_SUBSCRIPTION)

    async def _pause(self, disconnect: Disconnect) -> None:
        if self._access.is_lost:
            await self._wait_for_credentials(disconnect)
            return
        if self._was_stable():
            self._backoff.reset()
            self._logged = _Logged.NOTHING
        delay = self._backoff.next_delay(
            is_overload=disconnect.is_overload, at_least=disconnect.retry_after
        )
        if self._backoff.failures > 1:
            self._log_outage(disconnect)
        self._set_state(SocketState.WAITING)
        await asyncio.sleep(delay)

    async def _wait_for_credentials(self, disconnect: Disconnect) -> None:
        """Wait for other credentials, because refused ones would be refused again.

        Refused tokens of good credentials are a fault of the cloud; they are tried again after
        an hour.
        """
        self._credentials_changed.clear()
        self._log_outage(disconnect)
        self._set_state(SocketState.AUTH_FAILED)
        is_final = self._access is _Access.CREDENTIALS_REFUSED
        error = InvalidCredentialsError() if is_final else TokenRefusedError()
        self._resolve_waiters(len(self._waiters), error)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if is_final else LONGEST_PAUSE):
                await self._credentials_changed.wait()
        self._access = _Access.ACCEPTED
        self._backoff.reset()

    def _log_outage(self, disconnect: Disconnect) -> None:
        if self._logged is _Logged.NOTHING:
            self._logged = _Logged.OUTAGE
            _LOGGER.warning("The %s to the cloud is lost: %s", self._name, disconnect)

    def _was_stable(self) -> bool:
        if self._online_since is None:
            return False
        online = asyncio.get_running_loop().time() - self._online_since
        return online >= self._keepalive.stable_after

    def _set_state(self, state: SocketState) -> None:
        if state is not self.state:
            self.state = state
            try:
                self._on_state(state)
            except Exception as err:  # noqa: BLE001 - the callback must not stop the socket for good
                self.counters["failed_states"] += 1
                _LOGGER.error("A new state could not be handled: %s", type(err).__name__)  # noqa: TRY400


def _is_reply(frame: Frame) -> bool:
    """Return whether a frame is the reply to a subscription; all other frames have a type."""
    if "push_type" in frame or "type" in frame:
        return False
    return "status" in frame or "error" in frame
