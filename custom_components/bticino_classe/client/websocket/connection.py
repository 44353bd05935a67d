"""A socket to the cloud that stays subscribed; it knows nothing about doors."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from http import HTTPStatus
import logging
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from ..const import USER_AGENT
from ..errors import BticinoError, InvalidCredentialsError, NoAnswerError, TokenRefusedError
from ..http import error_code, is_reply
from .backoff import Backoff
from .disconnect import (
    CREDENTIALS_REFUSED,
    LONGEST_WAIT,
    ConnectionEndedError,
    Disconnect,
    first_ending,
    no_token,
    refused_handshake,
)
from .keepalive import KeepalivePolicy, keep_alive

if TYPE_CHECKING:
    from ..auth import AuthHandler

type Frame = Mapping[str, Any]

_LOGGER = logging.getLogger(__name__)

MAX_FRAME_BYTES: Final = 256 * 1024
CLOSE_SECONDS: Final = 1.0
SHORTEST_SUBSCRIPTION: Final = 5.0  # seconds
TOKEN_REFUSALS: Final = (2, 3, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class SocketState(StrEnum):
    """Where a socket is on its way; ONLINE means that the cloud confirmed the subscription."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    ONLINE = "online"
    WAITING = "waiting"
    AUTH_FAILED = "auth_failed"


class ReconnectingSocket:
    """Connects, subscribes, reads, and begins anew whenever that ends.

    `name` is what log lines call it. `subscription` builds the frame to subscribe with from a
    token. `on_frame` gets every other frame, `on_state` every change of state; both are called
    within the reader, so they must return at once. `run` lasts until it is cancelled.
    """

    _reply: asyncio.Future[Frame] | None = None
    _token: str | None = None
    _online_since: float | None = None
    _socket: aiohttp.ClientWebSocketResponse | None = None

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        auth: AuthHandler,
        url: str,
        *,
        name: str,
        subscription: Callable[[str], Mapping[str, Any]],
        on_frame: Callable[[Frame], None],
        on_state: Callable[[SocketState], None] = lambda _: None,
        liveness: KeepalivePolicy | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._auth = auth
        self._url = url
        self._name = name
        self._subscription = subscription
        self._on_frame = on_frame
        self._on_state = on_state
        self._liveness = liveness or KeepalivePolicy()
        self._backoff = backoff or Backoff()
        self._refusals = 0
        self._outage_logged = self._recovery_logged = False
        self._credentials_changed = asyncio.Event()
        self._renew_now = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._stopped = False
        self.state = SocketState.STOPPED
        self.last_disconnect: Disconnect | None = None
        self.counters: Counter[str] = Counter()

    @property
    def outage_logged(self) -> bool:
        """Whether the log's last word on the connection is that it is lost."""
        return self._outage_logged and not self._recovery_logged

    async def run(self) -> None:
        """Stay connected until cancelled; call `stop` before. May be called again after that."""
        self._stopped = False
        try:
            while not self._stopped:
                self.last_disconnect = await self._connection()
                self.counters["connections_ended"] += 1
                if not self._stopped:
                    await self._pause(self.last_disconnect)
        finally:
            self._set_state(SocketState.STOPPED)
            self._answer_waiters(len(self._waiters), NoAnswerError(reason="stopped"))

    def stop(self) -> None:
        """Begin no new connection: a time-out in the same moment may swallow a cancellation."""
        self._stopped = True

    def credentials_changed(self) -> None:
        """Wake a socket that has given up because its token or credentials were refused."""
        self._credentials_changed.set()

    async def resubscribe(self) -> None:
        """Return once a subscription is confirmed that began after this call.

        Lasts as long as the cloud is away; AuthError or ApiError: it refuses to be asked again.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._renew_now.set()
        await waiter

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame, once; NoAnswerError if there is no connection, or it ends meanwhile."""
        if self._socket is None or self.state is not SocketState.ONLINE:
            raise NoAnswerError(reason="no connection")
        try:
            await self._socket.send_str(orjson.dumps(frame).decode())
        except (aiohttp.ClientError, ConnectionError) as err:
            raise NoAnswerError(sent=True, reason=type(err).__name__) from err

    async def _connection(self) -> Disconnect:
        """Hold one connection for as long as it lasts, and say why it ended."""
        self._set_state(SocketState.CONNECTING)
        self._online_since = None
        ending = Disconnect(reason="unexpected")
        try:
            async with await self._open() as socket, asyncio.TaskGroup() as tasks:
                self._socket = socket
                tasks.create_task(self._read(socket), name="bticino read")
                tasks.create_task(self._keep_subscribed(socket), name="bticino subscribe")
        except* ConnectionEndedError as group:
            ending = first_ending(group)
        except* Exception as group:  # noqa: BLE001 - a fault of ours must not end the socket for good
            self.counters["faults"] += 1
            names = [type(err).__name__ for err in group.exceptions]
            _LOGGER.error("The connection ended by a fault: %s", ", ".join(names))  # noqa: TRY400
        self._socket = None
        return ending

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(self._liveness.handshake_within):
                socket = await self._auth.session.ws_connect(
                    self._url,
                    headers={"User-Agent": USER_AGENT},
                    heartbeat=self._liveness.ping_every,
                    max_msg_size=MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
        except aiohttp.WSServerHandshakeError as err:
            ending = refused_handshake(err)
        except (aiohttp.ClientError, OSError, TimeoutError, BticinoError) as err:
            ending = Disconnect(reason=f"no connection: {type(err).__name__}")
        else:
            keep_alive(socket, self._liveness.keepalive_after)
            return socket
        raise ConnectionEndedError(ending)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.counters["binary_frames"] += 1
            else:
                raise ConnectionEndedError(Disconnect(reason="closed", code=socket.close_code))

    def _take(self, text: str) -> None:
        """Give a frame to whom it is for; one that cannot be handled costs no other."""
        self.counters["frames"] += 1
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
        if not isinstance(frame, dict):
            self.counters["unreadable_frames"] += 1
        elif is_reply(frame):
            self._take_reply(frame)
        else:
            self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        try:
            self._on_frame(frame)
        except Exception as err:  # noqa: BLE001 - foreign code; its text might hold the frame
            self.counters["failed_frames"] += 1
            _LOGGER.error("A frame could not be handled: %s", type(err).__name__)  # noqa: TRY400

    def _take_reply(self, frame: Frame) -> None:
        """Note the answer to a subscription; an error that nobody waits for ends the connection."""
        code = error_code(frame)
        if code in TOKEN_REFUSALS and self._token is not None:
            self._refusals += 1
            self._auth.invalidate(self._token)
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(frame)
        elif "error" in frame:
            raise ConnectionEndedError(Disconnect(reason="error", code=code))

    async def _keep_subscribed(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._set_state(SocketState.SUBSCRIBING)
        while True:
            self._renew_now.clear()
            waiting = len(self._waiters)
            await self._subscribe(socket)
            self._now_online()
            self._answer_waiters(waiting)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._renew_now.wait()

    def _answer_waiters(self, count: int, error: BticinoError | None = None) -> None:
        """Tell the first so many who wait for a subscription that it is there, or will not be."""
        for waiter in self._waiters[:count]:
            if waiter.done():
                continue  # whoever waited has gone
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
        del self._waiters[:count]

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Subscribe with a valid token; one that is refused is renewed once."""
        while True:
            self._token = await self._valid_token()
            reply = await self._ask(socket, self._subscription(self._token))
            if "error" not in reply and reply.get("status", "ok") == "ok":
                self._refusals = 0
                return
            if error_code(reply) not in TOKEN_REFUSALS or self._refusals > 1:
                raise ConnectionEndedError(
                    Disconnect(reason="subscription refused", code=error_code(reply))
                )

    async def _valid_token(self) -> str:
        while True:
            try:
                return await self._auth.get_access_token()
            except InvalidCredentialsError:
                self._refusals = 2
                ending = Disconnect(reason=CREDENTIALS_REFUSED)
            except BticinoError as err:
                ending = no_token(err)
            if self.state is not SocketState.ONLINE or self._refusals:
                raise ConnectionEndedError(ending)
            # What is subscribed goes on; only the next subscription has to wait.
            await asyncio.sleep(self._liveness.stable_after)

    async def _ask(
        self, socket: aiohttp.ClientWebSocketResponse, frame: Mapping[str, Any]
    ) -> Frame:
        """Send a subscription and return its answer, which the reader brings."""
        self._reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._liveness.reply_within):
                await socket.send_str(orjson.dumps(frame).decode())
                return await self._reply
        except TimeoutError:
            ending = Disconnect(reason="no answer to the subscription")
        except (aiohttp.ClientError, ConnectionError) as err:
            ending = Disconnect(reason=f"closed while sending: {type(err).__name__}")
        finally:
            self._reply = None
        raise ConnectionEndedError(ending)

    def _now_online(self) -> None:
        if self._online_since is None:
            self._online_since = asyncio.get_running_loop().time()
        self._set_state(SocketState.ONLINE)
        if self._outage_logged and not self._recovery_logged:
            self._recovery_logged = True
            _LOGGER.info("The %s to the cloud is back", self._name)

    def _seconds_to_next(self) -> float:
        """Subscribe anew before the token ends, and once in a while in any case."""
        seconds = min(self._liveness.resubscribe_every, self._auth.seconds_left)
        return max(seconds, SHORTEST_SUBSCRIPTION)

    async def _pause(self, ending: Disconnect) -> None:
        if self._refusals > 1:
            await self._give_up(ending)
            return
        if self._was_stable():
            self._backoff.reset()
            self._outage_logged = self._recovery_logged = False
        delay = self._backoff.next_delay(overloaded=ending.overloaded, at_least=ending.retry_after)
        if self._backoff.failures > 1:
            self._log_outage(ending)
        self._set_state(SocketState.WAITING)
        await asyncio.sleep(delay)

    async def _give_up(self, ending: Disconnect) -> None:
        """Wait for other credentials; asking again with refused ones helps nobody.

        Credentials that are good, and tokens that are refused all the same, are tried again after
        an hour: that is the cloud's own trouble, and it may have passed.
        """
        self._credentials_changed.clear()
        self._log_outage(ending)
        self._set_state(SocketState.AUTH_FAILED)
        no_credentials = ending.reason == CREDENTIALS_REFUSED
        error = InvalidCredentialsError() if no_credentials else TokenRefusedError()
        self._answer_waiters(len(self._waiters), error)
        patience = None if no_credentials else LONGEST_WAIT
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._credentials_changed.wait()
        self._refusals = 0
        self._backoff.reset()

    def _log_outage(self, ending: Disconnect) -> None:
        if not self._outage_logged:
            self._outage_logged = True
            _LOGGER.warning("The %s to the cloud is lost: %s", self._name, ending)

    def _was_stable(self) -> bool:
        if self._online_since is None:
            return False
        online = asyncio.get_running_loop().time() - self._online_since
        return online >= self._liveness.stable_after

    def _set_state(self, state: SocketState) -> None:
        if state is not self.state:
            self.state = state
            try:
                self._on_state(state)
            except Exception as err:  # noqa: BLE001 - foreign code must not end the socket for good
                self.counters["failed_states"] += 1
                _LOGGER.error("A state could not be handled: %s", type(err).__name__)  # noqa: TRY400
