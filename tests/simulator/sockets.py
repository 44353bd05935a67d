"""The doors of the two sockets: the subscribe handshake, and an open line after it."""

import json
import logging
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.gate import ENTRY
from tests.simulator.lines import Line
from tests.simulator.paths import PUSH, SIGNALING
from tests.simulator.refusal import fault_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.house import Json

_LOGGER = logging.getLogger(__name__)

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


async def socket(request: web.Request) -> web.WebSocketResponse:
    """Hold one line open and answer its frames."""
    cloud, response = request.app[CLOUD], web.WebSocketResponse()
    await response.prepare(request)
    request[ENTRY].status = response.status
    line = Line(path=request.path, socket=response, transport=request.transport)
    cloud.lines.add(line)
    try:
        async for message in response:
            if message.type is WSMsgType.TEXT:
                await response.send_json(_answer(cloud, line, message.data))
    except ConnectionError:
        _LOGGER.debug("The line was lost while it was being answered")
    finally:
        cloud.lines.discard(line)
    return response


def _answer(cloud: Cloud, line: Line, text: str) -> Json:
    """Answer one frame, and write it into the journal."""
    path = line.path
    try:
        frame = json.loads(text)
    except ValueError:
        frame = None
    entry = cloud.journal.add(at=cloud.clock(), method="FRAME", path=path, body=frame)
    entry.status = 200
    fault = _fault(path, frame)
    if fault:
        cloud.note(f"{path}: {fault}")
        entry.refused = fault
        return _error(21, fault)
    if cloud.account.trouble(frame["access_token"]) is not None:
        entry.refused, entry.bad_token = "the access token is no good", True
        return _error(2, "Invalid access token")
    if "filter" in frame:
        cloud.note(f"{path}: filter hides the calls")
    line.subscribed = True
    return {"status": "ok"}


def _fault(path: str, frame: object) -> str | None:
    """Return what is wrong with a subscribe frame, in words."""
    given = frame if isinstance(frame, dict) else {}
    wanted = SUBSCRIBE[path]
    fault = fault_in(given, {"access_token": str, **dict.fromkeys(wanted, str)}, OPTIONAL[path])
    if fault:
        return fault
    wrong = [name for name, value in wanted.items() if value not in (None, given[name])]
    return f"{wrong[0]} is {given[wrong[0]]}" if wrong else None


def _error(code: int, message: str) -> Json:
    return {"error": {"code": code, "message": message}}
