"""The simulated cloud in a process of its own, so that its work is not counted as ours."""

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

ROOT: Final = Path(__file__).parents[1]
TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
TOPOLOGY_PATH: Final = "/api/homesdata"
STATUS_PATH: Final = "/syncapi/v1/homestatus"
EVENTS_PATH: Final = "/api/getevents"
RELAYS_PATH: Final = "/api/getcredentials"
SETTINGS_PATH: Final = "/syncapi/v1/getconfigs"
PUSH_PATH: Final = "/ws/"
SIGNALING_PATH: Final = "/appws/"
PICTURE_PATH: Final = "/blob/"  # of all pictures: the store is no part of the API
PATIENCE: Final = 60.0  # seconds
MANY: Final = 1000  # attempts
SAID: Final = {"FRAME", "PUSH", "DEVICE"}  # what the journal holds besides requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What arrived at the cloud: requests by path, the handshakes of sockets among them.

    Frames are those of calls by kind, on the signaling socket; subscriptions are of either socket.
    """

    by_path: Counter[str]
    logins: int
    subscribed: Counter[str]
    frames: Counter[str]

    @property
    def tokens(self) -> int:
        """Requests to the token endpoint."""
        return self.by_path[TOKEN_PATH]

    @property
    def refreshes(self) -> int:
        """Requests to the token endpoint that are no login."""
        return self.tokens - self.logins

    @property
    def topologies(self) -> int:
        """Requests for the list of modules."""
        return self.by_path[TOPOLOGY_PATH]

    @property
    def statuses(self) -> int:
        """Requests for the states of a home."""
        return self.by_path[STATUS_PATH]

    @property
    def events(self) -> int:
        """Requests for what happened lately in a home."""
        return self.by_path[EVENTS_PATH]

    @property
    def relays(self) -> int:
        """Requests for media relays."""
        return self.by_path[RELAYS_PATH]

    @property
    def settings(self) -> int:
        """Requests for what is set at the intercoms themselves."""
        return self.by_path[SETTINGS_PATH]

    @property
    def pictures(self) -> int:
        """Downloads of pictures of calls."""
        return self.by_path[PICTURE_PATH]

    @property
    def handshakes(self) -> int:
        """Attempts to open the push socket."""
        return self.by_path[PUSH_PATH]

    @property
    def subscriptions(self) -> int:
        """Subscriptions on the push socket."""
        return self.subscribed[PUSH_PATH]

    @property
    def others(self) -> int:
        """All the rest: the list of modules, states, and whatever nobody expects."""
        counted = self.tokens + self.events + self.handshakes + self.relays + self.settings
        return self.by_path.total() - counted


class Cloud:
    """A running simulator, driven through its operator's interface."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.simulator", "--port", "0"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        if said[:1] != ["Cloud:"]:
            self._end()
            raise RuntimeError("the simulator did not start")
        self._url = said[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)

    @property
    def endpoints(self) -> Endpoints:
        """Where the client finds it."""
        sockets = self._url.replace("http", "ws", 1)
        return Endpoints(
            api=self._url,
            turn=self._url,
            push=f"{sockets}/ws/",
            signaling=f"{sockets}/appws/",
            timeout=PATIENCE,
        )

    @property
    def credentials(self) -> dict[str, str]:
        """What a person types to sign in."""
        account = self._ask("state")["account"]
        return {"username": account["email"], "password": account["password"]}

    @property
    def url(self) -> str:
        """Where it is itself."""
        return self._url

    def move(self, house: str) -> None:
        """Move into another house, as new."""
        self._ask("house", {"name": house})

    def cut(self) -> None:
        """Cut the open sockets; they may come again at once."""
        self._ask("drop_connections", {})

    def take_down(self) -> None:
        """Cut the open sockets and answer everything with 503."""
        self._ask("down", {})

    def drop_handshakes(self) -> None:
        """Cut the open sockets, and end every attempt to open one without a word."""
        self._ask("fail", {"path": PUSH_PATH, "times": MANY, "drop": True})
        self.cut()

    def bring_up(self) -> None:
        """End all outages."""
        self._ask("up", {})
        self._ask("clear_failures", {})

    def ring(self, *, pictures: bool) -> None:
        """Press the bell of the first panel."""
        self._ask("ring", {"pictures": pictures})

    def miss(self) -> None:
        """Let the newest call be missed."""
        self._ask("miss", {})

    def refuse_pictures(self, times: int) -> None:
        """Take the next links to pictures for dead."""
        self._ask("fail", {"path": PICTURE_PATH, "times": times, "status": 403})

    def fatten_pictures(self, size: int) -> None:
        """Give every picture so many bytes at least."""
        self._ask("pictures", {"size": size})

    def note_pushes(self, *, on: bool) -> None:
        """Write every push into the journal, or not: ten thousand rings do not need it."""
        self._ask("journal_pushes", {"on": on})

    def rings(self) -> dict[str, float]:
        """When each ring since `forget` was given to the socket, by session, in epoch seconds."""
        pushes = [entry for entry in self._ask("journal")["entries"] if entry["method"] == "PUSH"]
        rings = [entry for entry in pushes if entry["body"]["kind"] == "offer"]
        return {entry["body"]["session"]: entry["at"] for entry in rings}

    def frames_sent(self) -> int:
        """Count the frames sent on the open push socket, replies to subscriptions among them."""
        connections = self._ask("state")["connections"]
        return sum(each["frames_sent"] for each in connections if each["path"] == PUSH_PATH)

    def refuse_sockets(self, status: int | None) -> None:
        """Answer handshakes with a status; None lets them be opened."""
        self._ask("sockets", {"handshake_status": status})

    def forget(self) -> None:
        """Begin the count of requests anew."""
        self._ask("clear_journal", {})

    def requests(self) -> Requests:
        """Count what arrived since `forget`; a request that the cloud found odd ends it all."""
        notes = self._ask("state")["violations"]["last"]
        assert not notes, notes
        entries = self._ask("journal")["entries"]
        arrived = [entry for entry in entries if entry["method"] not in SAID]
        spoken = [entry for entry in entries if entry["method"] == "FRAME"]
        calls = [entry["body"] for entry in spoken if entry["body"]["action"] == "rtc"]
        return Requests(
            by_path=Counter(entry["path"] for entry in arrived),
            logins=sum(entry["grant"] == "password" for entry in arrived),
            subscribed=Counter(e["path"] for e in spoken if e["body"]["action"] != "rtc"),
            frames=Counter(body["data"]["type"] for body in calls),
        )

    def calls(self) -> dict[str, Any]:
        """Return what the intercom knows of calls: numbers, and the newest sessions."""
        known: dict[str, Any] = self._ask("state")["rtc"]
        return known

    def set_calls(self, **settings: object) -> None:
        """Have the intercom behave so in calls from now on."""
        self._ask("rtc", settings)

    def _ask(self, what: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        data = None if arguments is None else json.dumps(arguments).encode()
        request = Request(  # noqa: S310 - our own child
            f"{self._url}/operator/{what}", data, {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - our own child
            content: dict[str, Any] = json.load(answer)
            return content
