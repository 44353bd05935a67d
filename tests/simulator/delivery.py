"""The cloud's open connections, and whatever it pushes to those who have subscribed."""

import itertools
import json
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

from tests.simulator import pushes
from tests.simulator.connection import Connection, Frame
from tests.simulator.paths import PUSH
from tests.simulator.socket_settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulator.account import Account
    from tests.simulator.house import Json
    from tests.simulator.journal import Journal

#: The first of the ids that are given out; lower ones belong to the past of the houses.
FIRST_NUMBER = 0x1000


class Delivery:
    """Sends at once and to all; whoever is slow holds up nobody else."""

    account: Account
    journal: Journal
    #: Whether each push is written into the journal; 10 000 rings do not need it.
    journal_pushes = True

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        #: The clients that hold a socket open.
        self.connections: set[Connection] = set()
        self.sockets: SocketSettings = SocketSettings()
        self._numbers = itertools.count(FIRST_NUMBER)

    def push(self, frame: Mapping[str, object], *, home: str | None = None) -> None:
        """Push any frame; `home` is put into it where it names none."""
        if home is not None:
            extra = frame.get("extra_params")
            named = {"home_id": home} | (extra if isinstance(extra, dict) else {})
            frame = {**frame, "extra_params": named}
        if "_id" not in frame:
            frame = {**frame, "_id": f"{self.number():x}"}
        payload = json.dumps(frame).encode()
        self._deliver(Frame(payload=payload), pushes.kind_of(frame), pushes.session_of(frame))

    def push_raw(self, data: str | bytes) -> None:
        """Push text or bytes as they are."""
        if isinstance(data, str):
            self._deliver(Frame(payload=data.encode()), "raw text")
        else:
            self._deliver(Frame(payload=data, kind=WSMsgType.BINARY), "raw bytes")

    def hears(self, connection: Connection, kind: str = "") -> bool:
        """Tell whether a connection gets what is pushed."""
        if not connection.subscribed or connection.path != PUSH or connection.dead:
            return False
        if connection.filtered and kind in pushes.CALL_KINDS:
            return False
        return not self.sockets.pushes_stop_with_token or self.account.carries(connection.token)

    def drop_connections(self) -> None:
        """Cut all open sockets; they may come again."""
        for connection in self.connections:
            connection.drop()

    def close_connections(self, code: int = 1001) -> None:
        """Close all open sockets in due form."""
        for connection in self.connections:
            connection.close(code)

    def stall_connections(self) -> None:
        """Make every open connection half open, as a router restart does; new ones work."""
        for connection in self.connections:
            connection.half_open = True

    def number(self) -> int:
        """Return a number that was not given out before."""
        return next(self._numbers)

    def _deliver(self, frame: Frame, kind: str, session_id: str | None = None) -> None:
        listening = [connection for connection in self.connections if self.hears(connection, kind)]
        for connection in listening:
            connection.send(frame)
        if self.journal_pushes:
            told: Json = {"kind": kind, "session": session_id, "connections": len(listening)}
            entry = self.journal.add(at=self.clock(), method="PUSH", path=PUSH, body=told)
            entry.status = 200
