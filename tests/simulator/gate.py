"""What each request passes on its way in and out: journal, outage, faults, refusals."""

import asyncio
from collections.abc import Awaitable, Callable
import json
import re

from aiohttp import web

from tests.simulator.cloud import CLOUD
from tests.simulator.faults import Failure, maintenance
from tests.simulator.journal import Entry, readable
from tests.simulator.paths import BAD_TOKEN_CODES, BLOB, PUSH, SIGNALING
from tests.simulator.refusal import Refusal

#: Set when the simulator ends: whatever hangs lets go.
STOPPING = web.AppKey("stopping", asyncio.Event)
ENTRY = web.RequestKey("entry", Entry)
OPERATOR = "/operator"
USER_AGENT = re.compile(r"NetatmoApp\(Security/v\d+(\.\d+)+/\d+\) Android\([^()]+\)")

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dropped(Exception):  # noqa: N818 - a connection that ends, not an error of ours
    """The connection was cut without an answer."""


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Carry out a request of the cloud's as its state of the moment has it."""
    if request.path == "/" or request.path.startswith(OPERATOR):
        return await handler(request)
    entry = await _arrive(request)
    try:
        response = await _meet(request, entry, handler)
    except Dropped:
        _abort_connection(request)
        return web.Response(status=503)
    entry.status = response.status
    return response


async def wait(request: web.Request, seconds: float | None) -> None:
    """Let time pass, for ever if None; the connection is cut when the simulator ends meanwhile."""
    if seconds == 0:
        return
    try:
        async with asyncio.timeout(seconds):
            await request.app[STOPPING].wait()
    except TimeoutError:
        return
    raise Dropped


async def _arrive(request: web.Request) -> Entry:
    """Write the request into the journal before anything can happen to it."""
    cloud = request.app[CLOUD]
    body = readable(await request.read(), request.content_type)
    path = _place(request)
    if path == BLOB:
        body = request.path.removeprefix(BLOB)
    entry = cloud.journal.add(at=cloud.clock(), method=request.method, path=path, body=body)
    request[ENTRY] = entry
    agent = request.headers.get("User-Agent", "none")
    if path not in (PUSH, SIGNALING, BLOB) and not USER_AGENT.fullmatch(agent):
        cloud.report_violation(f"{request.path}: User-Agent is not the app's but {agent}")
    return entry


async def _meet(request: web.Request, entry: Entry, handler: Handler) -> web.StreamResponse:
    cloud = request.app[CLOUD]
    if cloud.down is not None:
        entry.fault = "the cloud is down"
        status, html = cloud.down
        return (maintenance(status) if html else Failure(status=status, body="")).response()
    failure = cloud.faults.take(_place(request))
    if failure is None:
        return await _carry_out(request, entry, handler)
    entry.fault = str(failure)
    return await _fail(request, entry, handler, failure)


async def _carry_out(request: web.Request, entry: Entry, handler: Handler) -> web.StreamResponse:
    """Let the handler answer, and put its refusals into their form."""
    try:
        return await handler(request)
    except Refusal as refusal:
        entry.refused, entry.bad_token = refusal.reason, refusal.bad_token
        if refusal.noted:
            request.app[CLOUD].report_violation(f"{request.path}: {refusal.reason}")
        return web.json_response(refusal.body, status=refusal.status)
    except web.HTTPException as refusal:
        entry.refused = f"{request.method} {request.path}: {refusal.reason}"
        request.app[CLOUD].report_violation(entry.refused)
        return web.Response(status=refusal.status, text=refusal.reason)


async def _fail(
    request: web.Request, entry: Entry, handler: Handler, failure: Failure
) -> web.StreamResponse:
    """Play a failure on a request."""
    done = await _carry_out(request, entry, handler) if failure.executed else None
    await wait(request, None if failure.never else failure.delay)
    if failure.drop:
        raise Dropped
    if failure.answers:
        entry.bad_token = failure.code in BAD_TOKEN_CODES and not failure.executed
        done = failure.response()
    if failure.cut:
        return await _half(request, entry, done)
    return await _carry_out(request, entry, handler) if done is None else done


async def _half(
    request: web.Request, entry: Entry, whole: web.StreamResponse | None
) -> web.StreamResponse:
    """Send the first half of an answer and cut the connection."""
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


def _place(request: web.Request) -> str:
    """Return the path that a request is counted under; all pictures are one."""
    return BLOB if request.path.startswith(BLOB) else request.path


def _abort_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
