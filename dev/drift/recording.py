"""Reads a recording, or diagnostics that contain one; the file may be cut, or made up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "bticino_classe recording"
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_MESSAGES: Final = 100_000
PUSH: Final = "push connection"
SIGNALING: Final = "signaling connection"
API: Final = "api"


class NotARecordingError(Exception):
    """The file is not a recording, or cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A recorded message; `time` is in seconds from the start, `body` is redacted."""

    number: int
    time: float
    channel: str
    kind: str
    request: int | None
    path: str
    status: int | None
    text: str
    size: int | None
    body: Any = field(repr=False)

    @property
    def data(self) -> Mapping[str, Any]:
        """The body if it is an object, else an empty one."""
        return self.body if isinstance(self.body, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request with its answer, if one came."""

    request: Message
    answer: Message | None

    @property
    def path(self) -> str:
        """The path of the request."""
        return self.request.path

    @property
    def data(self) -> Mapping[str, Any]:
        """The answer's object, empty if there is none."""
        return {} if self.answer is None else self.answer.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording; `end` is empty if it was cut, `damaged` counts lines that cannot be read."""

    software: Mapping[str, str]
    messages: tuple[Message, ...]
    end: str
    damaged: int

    def of(self, channel: str, kind: str) -> list[Message]:
        """Return the messages of a channel and a kind."""
        return [each for each in self.messages if (each.channel, each.kind) == (channel, kind)]

    def exchanges(self, path: str | None = None) -> list[Exchange]:
        """Return the requests, or those of a path, with their answers."""
        answers = {each.request: each for each in self.of(API, "answer")}
        requests = [each for each in self.of(API, "request") if path in {None, each.path}]
        return [Exchange(request=each, answer=answers.get(each.request)) for each in requests]


def read(path: Path) -> Recording:
    """Read a file; NotARecordingError: it is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as err:
        raise NotARecordingError(f"it cannot be read: {err.strerror}") from err
    if len(raw) > MAX_FILE_BYTES:
        raise NotARecordingError(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
    lines = _lines_of_diagnostics(raw)
    return _recording(map(_parse, raw.splitlines()) if lines is None else lines)


def _lines_of_diagnostics(raw: bytes) -> list[Any] | None:
    """Return the lines of a recording inside of diagnostics; None: it is no diagnostics file."""
    whole = _parse(raw)
    for name in ("data", "recording"):
        whole = whole.get(name) if isinstance(whole, dict) and name in whole else whole
    lines = whole.get("lines") if isinstance(whole, dict) else None
    return lines if isinstance(lines, list) else None


def _parse(raw: bytes) -> Any:
    """Return the value of a text of JSON; None if it is none, or nested too deeply."""
    try:
        return json.loads(raw)
    except ValueError, RecursionError:
        return None


def _recording(lines: Iterable[Any]) -> Recording:
    software: dict[str, str] | None = None
    messages: list[Message] = []
    end, damaged = "", 0
    for line in lines:
        if not isinstance(line, dict):
            damaged += 1
        elif line.get("format") == FORMAT:
            facts = (name for name in ("integration", "home_assistant") if name in line)
            software = {name: str(line[name])[:40] for name in facts}
        elif "end" in line:
            end = str(line["end"])[:40]
        elif (message := _message(line)) is not None and len(messages) < MAX_MESSAGES:
            messages.append(message)
        else:
            damaged += 1
    if software is None:
        raise NotARecordingError("it does not begin like a recording")
    return Recording(software=software, messages=tuple(messages), end=end, damaged=damaged)


def _message(line: Mapping[str, Any]) -> Message | None:
    number, time = _whole(line.get("n")), line.get("t")
    if number is None or isinstance(time, bool) or not isinstance(time, int | float):
        return None
    texts = {name: line.get(name, "") for name in ("channel", "kind", "path", "text")}
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    return Message(
        number=number,
        time=float(max(-1e9, min(time, 1e9))),
        request=_whole(line.get("request")),
        status=_whole(line.get("status")),
        size=_whole(line.get("size")),
        body=line.get("body"),
        **texts,
    )


def _whole(value: object) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, int) and is_whole and abs(value) < 10**12 else None


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of a message with its value, at any depth."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, Mapping):
            yield from current.items()
            pending += current.values()
        elif isinstance(current, list):
            pending += current
