"""The middleware of every request: journal, outage, injected failures, error responses."""

import asyncio
from collections.abc import Awaitable, Callable
import json
import re

from aiohttp import web

from tests.simulator.cloud import CLOUD
from tests.simulator.errors import ErrorResponse
from tests.simulator.faults import Failure, maintenance
from tests.simulator.journal import Entry, decode_body
from tests.simulator.paths import BAD_TOKEN_CODES, BLOB, PUSH, SIGNALING

#: Set when the simulator stops; ends all pending waits.
STOPPING = web.AppKey("stopping", asyncio.Event)
ENTRY = web.RequestKey("entry", Entry)
OPERATOR = "/operator"
USER_AGENT = re.compile(r"NetatmoApp\(Security/v\d+(\.\d+)+/\d+\) Android\([^()]+\)")

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ConnectionDropped(Exception):  # noqa: N818 - a simulated event, not an error
    """The connection is dropped without a response."""


@web.middleware
async def cloud_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Record a request and handle it according to the cloud's current state."""
    if request.path == "/" or request.path.startswith(OPERATOR):
        return await handler(request)
    entry = await _record(request)
    try:
        response = await _apply_faults(request, entry, handler)
    except ConnectionDropped:
        _abort_connection(request)
        return web.Response(status=503)
    entry.status = response.status
    return response


async def set_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Set the cloud's cookie, if there is one."""
    if (value := request.app[CLOUD].cookie) is not None:
        response.set_cookie("session", value)


async def wait(request: web.Request, seconds: float | None) -> None:
    """Wait, for ever if None; drop the connection if the simulator stops meanwhile."""
    if seconds == 0:
        return
    try:
        async with asyncio.timeout(seconds):
            await request.app[STOPPING].wait()
    except TimeoutError:
        return
    raise ConnectionDropped


async def wait_for_event(request: web.Request, event: asyncio.Event) -> None:
    """Wait for an event; drop the connection if the simulator stops before."""
    tasks = [asyncio.create_task(each.wait()) for each in (event, request.app[STOPPING])]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    if not event.is_set():
        raise ConnectionDropped


async def _record(request: web.Request) -> Entry:
    """Record the request in the journal before it is handled."""
    cloud = request.app[CLOUD]
    body = decode_body(await request.read(), request.content_type)
    path = _journal_path(request)
    if path == BLOB:
        body = request.path.removeprefix(BLOB)
    entry = cloud.journal.add(at=cloud.clock(), method=request.method, path=path, body=body)
    request[ENTRY] = entry
    if request.cookies:
        cloud.report_violation(f"{request.path}: a cookie was sent")
    agent = request.headers.get("User-Agent", "none")
    if path not in (PUSH, SIGNALING, BLOB) and not USER_AGENT.fullmatch(agent):
        cloud.report_violation(f"{request.path}: User-Agent is {agent}, not the app's")
    return entry


async def _apply_faults(request: web.Request, entry: Entry, handler: Handler) -> web.StreamResponse:
    cloud = request.app[CLOUD]
    if cloud.down is not None:
        entry.fault = "the cloud is down"
        status, html = cloud.down
        return (maintenance(status) if html else Failure(status=status, body="")).response()
    failure = cloud.faults.next_failure(_journal_path(request))
    if failure is None:
        return await _handle(request, entry, handler)
    entry.fault = str(failure)
    return await _apply_failure(request, entry, handler, failure)


async def _handle(request: web.Request, entry: Entry, handler: Handler) -> web.StreamResponse:
    """Run the handler and turn its errors into responses."""
    try:
        return await handler(request)
    except ErrorResponse as error:
        entry.refused, entry.bad_token = error.reason, error.bad_token
        if error.violation:
            request.app[CLOUD].report_violation(f"{request.path}: {error.reason}")
        return web.json_response(error.body, status=error.status)
    except web.HTTPException as error:
        entry.refused = f"{request.method} {request.path}: {error.reason}"
        request.app[CLOUD].report_violation(entry.refused)
        return web.Response(status=error.status, text=error.reason)


async def _apply_failure(
    request: web.Request, entry: Entry, handler: Handler, failure: Failure
) -> web.StreamResponse:
    """Apply an injected failure to a request."""
    response = await _handle(request, entry, handler) if failure.executed else None
    if failure.never and (on_hang := request.app[CLOUD].on_hang) is not None:
        on_hang()
    await wait(request, None if failure.never else failure.delay)
    if failure.until is not None:
        await wait_for_event(request, failure.until)
    if failure.drop:
        raise ConnectionDropped
    if failure.has_response:
        entry.bad_token = failure.code in BAD_TOKEN_CODES and not failure.executed
        response = failure.response()
    if failure.cut:
        return await _send_half(request, entry, response)
    return await _handle(request, entry, handler) if response is None else response


async def _send_half(
    request: web.Request, entry: Entry, whole: web.StreamResponse | None
) -> web.StreamResponse:
    """Send the first half of a response and drop the connection."""
    raw = whole.body if isinstance(whole, web.Response) else None
    content = raw if isinstance(raw, bytes) else json.dumps({"status": "ok", "body": {}}).encode()
    status = 200 if whole is None else whole.status
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.content_length = len(content) or 1
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    entry.status = status
    if request.transport is not None:
        request.transport.close()
    return response


def _journal_path(request: web.Request) -> str:
    """Return the path to record; all pictures share one."""
    return BLOB if request.path.startswith(BLOB) else request.path


def _abort_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
