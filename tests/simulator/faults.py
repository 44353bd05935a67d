"""Failures to inject, and the requests they apply to."""

from collections import defaultdict, deque
from dataclasses import dataclass, fields
import json
from typing import TYPE_CHECKING

from aiohttp import web

from tests.simulator.paths import ERRORS

if TYPE_CHECKING:
    import asyncio

MAINTENANCE_PAGE = """<!doctype html><html><head><title>Maintenance</title></head>
<body><h1>We'll be back soon</h1><p>Our servers are having a nap.</p></body></html>"""
BROKEN_JSON = '{"status": "ok", "body": {"home": '
ANY_PATH = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure of one request; delays are in seconds.

    A failure without a response of its own (`delay`, `until`, `cut` or `executed` alone) keeps the
    regular response and only delays or breaks it. A cut without `executed` does not run the
    request.
    """

    status: int | None = None
    body: dict[str, object] | list[object] | str | None = None
    #: An error in the API's format: {"error": {"code": …, "message": …}}.
    code: int | None = None
    #: An error in OAuth's format: {"error": "…"}.
    error: str | None = None
    delay: float = 0.0
    #: The response waits until this is set.
    until: asyncio.Event | None = None
    never: bool = False
    #: Half of the response is sent, then the connection is dropped.
    cut: bool = False
    #: The connection is dropped without a response.
    drop: bool = False
    html: bool = False
    #: Declared as JSON, but truncated.
    wrong_json: bool = False
    retry_after: int | str | None = None
    #: The request is run first; only its response fails.
    executed: bool = False

    @property
    def has_response(self) -> bool:
        """Return whether the failure replaces the response."""
        given = (self.status, self.body, self.code, self.error, self.retry_after)
        return self.html or self.wrong_json or any(value is not None for value in given)

    def response(self) -> web.Response:
        """Return the replacement response."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        text, content_type = self._content()
        return web.Response(
            status=self._status(), text=text, content_type=content_type, headers=headers
        )

    def __str__(self) -> str:
        """Return the fields that differ from their defaults."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        defaults = {each.name: each.default for each in fields(self)}
        changed = [(name, value) for name, value in values.items() if value != defaults[name]]
        return ", ".join(f"{name}={value}" for name, value in changed)

    def _status(self) -> int:
        if self.status is not None:
            return self.status
        if self.code is not None:
            return ERRORS.get(self.code, (400, ""))[0]
        if self.error is not None:
            return 400
        return 200 if self.html or self.wrong_json or self.body is not None else 429

    def _content(self) -> tuple[str, str]:
        if self.html:
            return MAINTENANCE_PAGE, "text/html"
        if self.wrong_json:
            return BROKEN_JSON, "application/json"
        if isinstance(self.body, str):
            return self.body, "text/plain"
        return json.dumps(self._json()), "application/json"

    def _json(self) -> object:
        if self.body is not None:
            return self.body
        if self.error is not None:
            return {"error": self.error}
        if self.code is not None:
            message = ERRORS.get(self.code, (400, "Unknown error"))[1]
            return {"error": {"code": self.code, "message": message}}
        return {}


class Faults:
    """Queued failures, used in order; those of a path come before those of any path (`*`)."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, deque[Failure]] = defaultdict(deque)

    def add(self, path: str, failure: Failure, times: int = 1) -> None:
        """Queue a failure for the next requests of a path, or of any path (`*`)."""
        self._queues[path].extend([failure] * times)

    def next_failure(self, path: str) -> Failure | None:
        """Remove and return the failure for a request to this path, if any."""
        for queue in (self._queues[path], self._queues[ANY_PATH]):
            if queue:
                return queue.popleft()
        return None

    def clear(self) -> None:
        """Drop all queued failures."""
        self._queues.clear()

    def pending(self) -> dict[str, list[str]]:
        """Return the queued failures by path."""
        return {
            path: [str(each) for each in queue] for path, queue in self._queues.items() if queue
        }


def usage_limit(*, status: int = 403, retry_after: int | str | None = None) -> Failure:
    """Return the vendor's usage limit error (code 26), sent as 403 or 429."""
    return Failure(status=status, code=26, retry_after=retry_after)


def too_many(*, retry_after: int | str | None = None) -> Failure:
    """Return the front end's 429, whose error is a plain string."""
    return Failure(status=429, error="too_many_connections", retry_after=retry_after)


def concurrency() -> Failure:
    """Return the 429 for two simultaneous requests (code 11)."""
    return Failure(code=11)


def maintenance(status: int = 503) -> Failure:
    """Return an outage with an HTML page."""
    return Failure(status=status, html=True)


def empty_topology() -> Failure:
    """Return a valid homesdata response without any home."""
    return Failure(body={"status": "ok", "body": {"homes": []}})
