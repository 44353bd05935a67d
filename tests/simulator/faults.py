"""What can go wrong on the way, and which request it will happen to."""

from collections import defaultdict, deque
from dataclasses import dataclass, fields
import json

from aiohttp import web

from tests.simulator.paths import ERRORS

MAINTENANCE_PAGE = """<!doctype html><html><head><title>Maintenance</title></head>
<body><h1>We'll be back soon</h1><p>Our servers are having a nap.</p></body></html>"""
BROKEN_JSON = '{"status": "ok", "body": {"home": '
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One thing that goes wrong with one request.

    What says nothing of the answer (`delay`, `cut` or `executed` alone) keeps the right answer and
    only makes it late or broken. A cut without `executed` carries nothing out. Delays are seconds.
    """

    status: int | None = None
    body: dict[str, object] | list[object] | str | None = None
    #: The API's form of an error: {"error": {"code": …, "message": …}}.
    code: int | None = None
    #: OAuth's form of an error: {"error": "…"}.
    error: str | None = None
    delay: float = 0.0
    never: bool = False
    #: Half of the answer, then the connection is cut.
    cut: bool = False
    #: The connection is cut without any answer.
    drop: bool = False
    html: bool = False
    #: JSON by its header, but broken off.
    wrong_json: bool = False
    retry_after: int | str | None = None
    #: The request is carried out first; only the answer suffers.
    executed: bool = False

    @property
    def answers(self) -> bool:
        """Tell whether it brings an answer of its own."""
        given = (self.status, self.body, self.code, self.error, self.retry_after)
        return self.html or self.wrong_json or any(value is not None for value in given)

    def response(self) -> web.Response:
        """Return the answer of its own."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        text, content_type = self._content()
        return web.Response(
            status=self._status(), text=text, content_type=content_type, headers=headers
        )

    def __str__(self) -> str:
        """Return only what differs from nothing wrong."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        usual = {each.name: each.default for each in fields(self)}
        return ", ".join(f"{name}={value}" for name, value in said.items() if value != usual[name])

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
    """Failures that wait for requests, used up in order; a path's own come before those of `*`."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[Failure]] = defaultdict(deque)

    def add(self, path: str, failure: Failure, times: int = 1) -> None:
        """Queue a failure for the next requests of a path, or of any path (`*`)."""
        self._waiting[path].extend([failure] * times)

    def take(self, path: str) -> Failure | None:
        """Return what happens to this request."""
        for queue in (self._waiting[path], self._waiting[EVERYWHERE]):
            if queue:
                return queue.popleft()
        return None

    def clear(self) -> None:
        """Let nothing more go wrong."""
        self._waiting.clear()

    def waiting(self) -> dict[str, list[str]]:
        """Return what is still to come, path by path."""
        return {
            path: [str(each) for each in queue] for path, queue in self._waiting.items() if queue
        }


def usage_limit(*, status: int = 403, retry_after: int | str | None = None) -> Failure:
    """Make the vendor's limit (code 26), which comes as 403 and as 429."""
    return Failure(status=status, code=26, retry_after=retry_after)


def too_many(*, retry_after: int | str | None = None) -> Failure:
    """Make the front's own 429, whose error is a bare string."""
    return Failure(status=429, error="too_many_connections", retry_after=retry_after)


def concurrency() -> Failure:
    """Make the 429 of two requests at once (code 11)."""
    return Failure(code=11)


def maintenance(status: int = 503) -> Failure:
    """Make the HTML page of an outage."""
    return Failure(status=status, html=True)


def empty_topology() -> Failure:
    """Make a homesdata that is in order and knows no home."""
    return Failure(body={"status": "ok", "body": {"homes": []}})
