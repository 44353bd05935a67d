"""The simulated cloud in a separate process, so that its work is not measured."""

from collections import Counter
from dataclasses import dataclass
import json
from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.request import Request, urlopen

from custom_components.bticino_classe.client import Endpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
TOPOLOGY_PATH: Final = "/api/homesdata"
STATUS_PATH: Final = "/syncapi/v1/homestatus"
EVENTS_PATH: Final = "/api/getevents"
TURN_PATH: Final = "/api/getcredentials"
SETTINGS_PATH: Final = "/syncapi/v1/getconfigs"
PUSH_PATH: Final = "/ws/"
SIGNALING_PATH: Final = "/appws/"
PICTURE_PATH: Final = "/blob/"
TIMEOUT_SECONDS: Final = 60.0
ALL_ATTEMPTS: Final = 1000
NO_REQUESTS: Final = {"FRAME", "PUSH", "DEVICE"}  # other entries of the simulator's journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What the cloud received: requests and handshakes, subscriptions, frames of calls.

    Requests and subscriptions are counted by path, frames by type.
    """

    by_path: Counter[str]
    logins: int
    subscribed: Counter[str]
    frames: Counter[str]

    @property
    def tokens(self) -> int:
        """Requests for tokens."""
        return self.by_path[TOKEN_PATH]

    @property
    def events(self) -> int:
        """Requests for lists of events."""
        return self.by_path[EVENTS_PATH]

    @property
    def turn_servers(self) -> int:
        """Requests for TURN servers."""
        return self.by_path[TURN_PATH]

    @property
    def settings(self) -> int:
        """Requests for the settings of an intercom."""
        return self.by_path[SETTINGS_PATH]

    @property
    def pictures(self) -> int:
        """Downloads of pictures."""
        return self.by_path[PICTURE_PATH]

    @property
    def handshakes(self) -> int:
        """Attempts to open the push socket."""
        return self.by_path[PUSH_PATH]

    @property
    def others(self) -> int:
        """All but requests for tokens and what follows a set-up in the background."""
        counted = self.tokens + self.events + self.handshakes + self.turn_servers + self.settings
        return self.by_path.total() - counted


class Cloud:
    """A running simulator, controlled through its operator interface.

    With the `url` of one, it is used and not ended.
    """

    _process: subprocess.Popen[str] | None = None

    def __init__(self, url: str | None = None) -> None:
        self.url = url or self._start()

    def _start(self) -> str:
        command = [sys.executable, "-m", "tests.simulator", "--port", "0"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        assert self._process.stdout is not None
        started = self._process.stdout.readline().split()
        if started[:1] != ["Cloud:"]:
            self._end()
            raise RuntimeError("the simulator did not start")
        return started[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        self._process.communicate(timeout=TIMEOUT_SECONDS)

    @property
    def endpoints(self) -> Endpoints:
        """The addresses for the client."""
        sockets = self.url.replace("http", "ws", 1)
        return Endpoints(
            api=self.url,
            turn=self.url,
            push=f"{sockets}/ws/",
            signaling=f"{sockets}/appws/",
            timeout=TIMEOUT_SECONDS,
        )

    @property
    def credentials(self) -> dict[str, str]:
        """The user name and password of the account."""
        account = self._request("state")["account"]
        return {"username": account["email"], "password": account["password"]}

    def load_house(self, house: str) -> None:
        """Replace the house by a new one."""
        self._request("house", {"name": house})

    def drop_connections(self) -> None:
        """Drop the open sockets; they may reconnect at once."""
        self._request("drop_connections", {})

    def take_down(self) -> None:
        """Drop the open sockets and answer everything with 503."""
        self._request("down", {})

    def slow_down(self, seconds: float) -> None:
        """Delay every answer."""
        self._request("fail", {"path": "*", "times": ALL_ATTEMPTS, "delay": seconds})

    def stop_answering(self) -> None:
        """Drop the open push sockets and every attempt to open one, without an answer."""
        self._request("fail", {"path": PUSH_PATH, "times": ALL_ATTEMPTS, "drop": True})
        self.drop_connections()

    def bring_up(self) -> None:
        """End all outages."""
        self._request("up", {})
        self._request("clear_failures", {})

    def ring(self, *, pictures: bool) -> None:
        """Ring at the first panel."""
        self._request("ring", {"pictures": pictures})

    def miss(self) -> None:
        """End the newest call as missed."""
        self._request("miss", {})

    def expire_links(self, count: int) -> None:
        """Refuse the next downloads of pictures, as with expired links."""
        self._request("fail", {"path": PICTURE_PATH, "times": count, "status": 403})

    def set_picture_size(self, size: int) -> None:
        """Set the minimum size of pictures, in bytes."""
        self._request("pictures", {"size": size})

    def record_pushes(self, *, on: bool) -> None:
        """Record pushes in the journal, which `rings` reads, or leave them out."""
        self._request("journal_pushes", {"on": on})

    def rings(self) -> dict[str, float]:
        """Return when each ring since `reset` was sent: epoch seconds by session."""
        pushes = [
            entry for entry in self._request("journal")["entries"] if entry["method"] == "PUSH"
        ]
        rings = [entry for entry in pushes if entry["body"]["kind"] == "offer"]
        return {entry["body"]["session"]: entry["at"] for entry in rings}

    def pushes_sent(self) -> int:
        """Count the frames sent on the open push socket, including replies."""
        connections = self._request("state")["connections"]
        sent = [each["frames_sent"] for each in connections if each["path"] == PUSH_PATH]
        return int(sent[-1]) if sent else 0

    def refuse_sockets(self, status: int | None) -> None:
        """Answer handshakes with a status; None accepts them again."""
        self._request("sockets", {"handshake_status": status})

    def reset(self) -> None:
        """Clear what `requests` and `rings` return."""
        self._request("clear_journal", {})

    def requests(self) -> Requests:
        """Count what arrived since `reset`; fail if the real cloud would reject any of it."""
        violations = self._request("state")["violations"]["last"]
        assert not violations, violations
        entries = self._request("journal")["entries"]
        arrived = [entry for entry in entries if entry["method"] not in NO_REQUESTS]
        frames = [entry for entry in entries if entry["method"] == "FRAME"]
        calls = [entry["body"] for entry in frames if entry["body"]["action"] == "rtc"]
        return Requests(
            by_path=Counter(entry["path"] for entry in arrived),
            logins=sum(entry["grant"] == "password" for entry in arrived),
            subscribed=Counter(e["path"] for e in frames if e["body"]["action"] != "rtc"),
            frames=Counter(body["data"]["type"] for body in calls),
        )

    def calls(self) -> dict[str, Any]:
        """Return the numbers of calls at the intercom, and the newest sessions."""
        calls: dict[str, Any] = self._request("state")["rtc"]
        return calls

    def configure_calls(self, **settings: object) -> None:
        """Change how the intercom behaves in calls."""
        self._request("rtc", settings)

    def _request(self, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        data = None if arguments is None else json.dumps(arguments).encode()
        request = Request(  # noqa: S310 - our own child
            f"{self.url}/operator/{name}", data, {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own child
            content: dict[str, Any] = json.load(answer)
            return content
