"""Records the traffic of an account as redacted lines of JSON."""

from collections import Counter
import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from .pseudonyms import RandomPseudonyms
from .redactor import MessageRedactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..traffic import Traffic, TrafficTap

FORMAT: Final = "bticino_classe recording"
FORMAT_VERSION: Final = 1


class TrafficRecorder:
    """Passes each message as a redacted line to `write`; nothing unredacted leaves the client.

    `known` are names and ids of the account with their kinds. `clock` is in seconds since 1970,
    `timer` counts seconds.
    """

    def __init__(
        self,
        tap: TrafficTap,
        write: Callable[[bytes], None],
        *,
        known: Iterable[tuple[str, str]] = (),
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tap = tap
        self._write = write
        self._timer = timer
        self._started = timer()
        pseudonyms = RandomPseudonyms()
        for identifier, kind in known:
            pseudonyms.name(identifier, kind)
        self._redactor = MessageRedactor(pseudonyms, started_at=clock())
        self.messages: Counter[str] = Counter()

    @property
    def redacted(self) -> Mapping[str, int]:
        """How many values were replaced, by kind."""
        return self._redactor.redacted

    def start(self, **facts: str) -> None:
        """Write the first line, with these facts about the software, then all traffic."""
        self._write_line({"format": FORMAT, "version": FORMAT_VERSION, **facts})
        self._tap.observer = self._on_traffic

    def stop(self, reason: str) -> None:
        """Record nothing more, and write the last line: why it ended, and what was redacted."""
        self._tap.observer = None
        counts = {"messages": dict(self.messages), "redacted": dict(self.redacted)}
        self._write_line({"end": reason, "seconds": self.seconds, **counts})

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return round(self._timer() - self._started, 3)

    def _on_traffic(self, traffic: Traffic) -> None:
        self.messages[traffic.channel] += 1
        line = {
            "n": self.messages.total(),
            "t": self.seconds,
            "channel": traffic.channel,
            "kind": traffic.kind.value,
            "request": traffic.request,
            "path": traffic.path,
            "status": traffic.status,
            "text": traffic.text,
            "size": traffic.size,
            "body": self._redactor.redact(traffic.body),
        }
        self._write_line({key: value for key, value in line.items() if value is not None})

    def _write_line(self, line: Mapping[str, Any]) -> None:
        self._write(orjson.dumps(line) + b"\n")
