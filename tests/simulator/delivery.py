"""The open WebSocket connections, and pushes to the subscribed ones."""

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

#: First id to assign; lower ones are used by the initial events of the houses.
FIRST_NUMBER = 0x1000


class PushDelivery:
    """Sends pushes to all connections; a slow client delays no other."""

    account: Account
    journal: Journal
    #: Whether pushes are recorded in the journal; benchmarks turn it off.
    journal_pushes = True

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        #: The open connections of both sockets.
        self.connections: set[Connection] = set()
        self.sockets: SocketSettings = SocketSettings()
        self._numbers = itertools.count(FIRST_NUMBER)

    def push(self, frame: Mapping[str, object], *, home: str | None = None) -> None:
        """Push any frame; `home` is added unless the frame has a home id."""
        if home is not None:
            extra = frame.get("extra_params")
            named = {"home_id": home} | (extra if isinstance(extra, dict) else {})
            frame = {**frame, "extra_params": named}
        if "_id" not in frame:
            frame = {**frame, "_id": f"{self.number():x}"}
        payload = json.dumps(frame).encode()
        self._deliver(Frame(payload=payload), pushes.kind_of(frame), pushes.session_of(frame))

    def push_raw(self, data: str | bytes) -> None:
        """Push text or bytes unchanged."""
        if isinstance(data, str):
            self._deliver(Frame(payload=data.encode()), "raw text")
        else:
            self._deliver(Frame(payload=data, kind=WSMsgType.BINARY), "raw bytes")

    @property
    def is_push_open(self) -> bool:
        """Return whether any push socket is subscribed."""
        return any(each.subscribed for each in self.connections if each.path == PUSH)

    def receives_pushes(self, connection: Connection, kind: str = "") -> bool:
        """Return whether a connection receives pushes of a kind."""
        if not connection.subscribed or connection.path != PUSH or connection.stalled:
            return False
        if connection.filtered and kind in pushes.CALL_KINDS:
            return False
        return not self.sockets.pushes_stop_with_token or self.account.allows_pushes(
            connection.token
        )

    def drop_connections(self) -> None:
        """Drop all open connections; clients may reconnect."""
        for connection in self.connections:
            connection.drop()

    def close_connections(self, code: int = 1001) -> None:
        """Close all open connections with a close frame."""
        for connection in self.connections:
            connection.close(code)

    def stall_connections(self) -> None:
        """Make every open connection half open, as a router restart does; new ones work."""
        for connection in self.connections:
            connection.half_open = True

    def number(self) -> int:
        """Return the next unused number."""
        return next(self._numbers)

    def _deliver(self, frame: Frame, kind: str, session_id: str | None = None) -> None:
        receivers = [each for each in self.connections if self.receives_pushes(each, kind)]
        for connection in receivers:
            connection.send(frame)
        if self.journal_pushes:
            body: Json = {"kind": kind, "session": session_id, "connections": len(receivers)}
            entry = self.journal.add(at=self.clock(), method="PUSH", path=PUSH, body=body)
            entry.status = 200
