"""The push and signaling sockets: handshake, subscription and frames."""

import asyncio
from contextlib import asynccontextmanager
import itertools
import json
import logging
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.connection import Connection, Frame
from tests.simulator.errors import field_error
from tests.simulator.middleware import ENTRY, wait
from tests.simulator.paths import BAD_TOKEN_CODES, ERRORS, PUSH, SIGNALING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.simulator.house import Json
    from tests.simulator.journal import Entry

_LOGGER = logging.getLogger(__name__)

#: Seconds to wait for the client's close frame.
CLOSE_SECONDS = 1.0
SUBSCRIBE: Mapping[str, Mapping[str, str | None]] = {
    PUSH: {"action": "Subscribe", "app_type": "app_camera", "platform": "Android", "version": None},
    SIGNALING: {
        "action": "subscribe",
        "app_type": "app_security",
        "platform": "android",
        "version": "1.0",
    },
}
OPTIONAL: Mapping[str, Mapping[str, type]] = {PUSH: {"filter": str}, SIGNALING: {}}
_numbers = itertools.count(1)


async def socket(request: web.Request) -> web.StreamResponse:
    """Serve one WebSocket connection."""
    cloud = request.app[CLOUD]
    refused = await _handshake(cloud, request)
    if refused is not None:
        return refused
    response = web.WebSocketResponse(
        timeout=CLOSE_SECONDS, autoclose=False, autoping=False, compress=False
    )
    await response.prepare(request)
    request[ENTRY].status = response.status
    connection = Connection(
        number=next(_numbers),
        path=request.path,
        socket=response,
        transport=request.transport,
        settings=cloud.sockets,
        opened_at=cloud.clock(),
    )
    async with _registered(cloud, connection):
        await _serve(cloud, connection)
    return response


async def _handshake(cloud: Cloud, request: web.Request) -> web.Response | None:
    """Wait for the configured delay; return the response that refuses the handshake, if any."""
    settings = cloud.sockets
    await wait(request, settings.handshake_delay)
    if settings.handshake_status is None:
        return None
    request[ENTRY].fault = "the handshake is refused"
    after = settings.handshake_retry_after
    headers = {} if after is None else {"Retry-After": str(after)}
    return web.Response(status=settings.handshake_status, headers=headers)


@asynccontextmanager
async def _registered(cloud: Cloud, connection: Connection) -> AsyncIterator[None]:
    """Register a connection and run its writer and monitor tasks."""
    writer = asyncio.create_task(connection.write())
    monitor = asyncio.create_task(connection.monitor())
    cloud.connections.add(connection)
    try:
        yield
    except ConnectionError:
        _LOGGER.debug("The connection was lost while a response was sent")
    finally:
        cloud.connections.discard(connection)
        monitor.cancel()
        if not connection.closing:
            writer.cancel()
        await asyncio.gather(writer, monitor, return_exceptions=True)


async def _serve(cloud: Cloud, connection: Connection) -> None:
    settings = cloud.sockets
    if settings.accept_then_close == "handshake":
        connection.close(settings.close_code)
    async for message in connection.socket:
        if message.type is WSMsgType.TEXT:
            _handle_frame(cloud, connection, message.data)
        elif message.type is WSMsgType.PING:
            await _handle_ping(connection, message.data)
        elif message.type is WSMsgType.PONG:
            connection.pongs += 1
    if connection.stalled:
        await connection.wait_closed()


async def _handle_ping(connection: Connection, data: bytes) -> None:
    connection.pinged()
    if connection.stalled:
        return
    if connection.settings.drop_clients_that_ping:
        connection.close(connection.settings.close_code)
    else:
        await connection.socket.pong(data)


def _handle_frame(cloud: Cloud, connection: Connection, text: str) -> None:
    """Record one frame in the journal, and handle it unless the connection is stalled."""
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    entry = cloud.journal.add(at=cloud.clock(), method="FRAME", path=connection.path, body=frame)
    if connection.stalled:
        entry.fault = "the connection is half open"
        return
    if connection.path == SIGNALING and isinstance(frame, dict) and frame.get("action") == "rtc":
        cloud.rtc.handle(connection, frame, entry)
        return
    answer = _subscribe(cloud, connection, frame, entry)
    if answer is None:
        entry.fault = "no answer"
        return
    entry.status = 200
    connection.send(Frame(payload=json.dumps(answer).encode()))
    if "error" not in answer and cloud.sockets.accept_then_close == "subscribed":
        connection.close(cloud.sockets.close_code)


def _subscribe(cloud: Cloud, connection: Connection, frame: object, entry: Entry) -> Json | None:
    """Return the response to a subscription, if any."""
    given = frame if isinstance(frame, dict) else {}
    fault = _subscribe_error(connection.path, given)
    if fault:
        cloud.report_violation(f"{connection.path}: {fault}")
        return _refuse(entry, 21, fault, fault)
    code = cloud.sockets.refusal(again=connection.subscriptions > 0)
    if code is not None:
        return _refuse(entry, code, "refused by the socket settings")
    if cloud.sockets.ignore_subscriptions:
        return None
    if cloud.account.token_error(given["access_token"]) is not None:
        return _refuse(entry, 2, "the access token is not valid")
    if "filter" in given:
        cloud.report_violation(f"{connection.path}: filter suppresses calls")
    connection.subscribed, connection.filtered = True, "filter" in given
    connection.subscriptions += 1
    connection.token = given["access_token"]
    return {"status": "ok"}


def _refuse(entry: Entry, code: int, reason: str, message: str | None = None) -> Json:
    usual = ERRORS.get(code, (400, "Unknown error"))[1]
    entry.refused, entry.bad_token = reason, code in BAD_TOKEN_CODES
    return {"error": {"code": code, "message": message or usual}}


def _subscribe_error(path: str, given: Mapping[str, object]) -> str | None:
    """Return a message about an invalid subscribe frame, if any."""
    wanted = SUBSCRIBE[path]
    fault = field_error(given, {"access_token": str, **dict.fromkeys(wanted, str)}, OPTIONAL[path])
    if fault:
        return fault
    wrong = [name for name, value in wanted.items() if value not in (None, given[name])]
    return f"{wrong[0]} is {given[wrong[0]]}" if wrong else None
