"""The intercom's side of sessions: peer slots, rings, and the frames that it sends by itself."""

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Literal

from tests.simulator import rtc_frames
from tests.simulator.connection import Frame
from tests.simulator.paths import SIGNALING
from tests.simulator.rtc_session import Ring
from tests.simulator.rtc_settings import RtcSettings
from tests.simulator.scripted import ScriptedPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.simulator.calls import Call
    from tests.simulator.cloud import Cloud
    from tests.simulator.connection import Connection
    from tests.simulator.house import Bridge, CctvCamera, Json, Panel
    from tests.simulator.rtc_session import EndedBy, Peer, Session

_LOGGER = logging.getLogger(__name__)

#: How many sessions and rings are kept.
MAX_SESSIONS = 1000
MAX_RINGS = 50


class Intercom:
    """All sessions and rings; `close` ends their tasks and timers."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.settings: RtcSettings = RtcSettings()
        #: Sessions by id, oldest first, including ended ones.
        self.sessions: dict[str, Session] = {}
        #: The most slots ever held at once.
        self.peak = 0
        self._rings: dict[str, Ring] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._changed = asyncio.Event()

    @property
    def open(self) -> list[Session]:
        """The open sessions, oldest first."""
        return [each for each in self.sessions.values() if each.is_open]

    @property
    def held_slots(self) -> int:
        """The number of slots held at the moment."""
        return sum(each.holds_slot for each in self.sessions.values())

    def use_peer(self, peer: Literal["scripted", "real"]) -> None:
        """Select the peer for new calls, and import its modules now."""
        self.settings.peer = peer
        self.close_peer(self.peer())

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on sessions holds."""
        while not condition():
            await self._changed.wait()

    async def close(self) -> None:
        """End all sessions without a frame, and all tasks and timers."""
        self._end_all()
        while self._tasks or self._closing:
            await asyncio.gather(*self._tasks, *self._closing, return_exceptions=True)

    def reset(self) -> None:
        """End and remove all sessions and rings without a frame."""
        self._end_all()
        self.sessions.clear()

    def end_view(self, session: Session, by: EndedBy = "device") -> None:
        """Terminate a session, as the intercom does at its time limit."""
        call = self.cloud.calls.get(session.id)
        if call is None:
            self.end(session, by, rtc_frames.terminate(session.id))
        else:
            self.cloud.hang_up(call, by)

    def device_error(self, session: Session, code: int, message: str | None = None) -> None:
        """Terminate a session with an error."""
        session.error = code
        self.end(session, "device", rtc_frames.terminate(session.id, code, message))

    def rescind(self, session: Session) -> None:
        """Send `rescind`; this ends a session unless it is answered."""
        if session.state == "answered":
            self.send(session, rtc_frames.rescind(session.id))
        else:
            self.end(session, "device", rtc_frames.rescind(session.id))

    def announce_ring(self, call: Call, announce: Callable[[str], None]) -> None:
        """Create the offer of a ring and announce it; with a scripted peer at once."""
        peer = self.peer()
        if isinstance(peer, ScriptedPeer):
            self._announce(call, peer, peer.offer_sdp, announce)
        else:
            self.spawn(self._offer(call, peer, announce))

    def call_ended(self, call: Call, by: EndedBy, *, notify: bool) -> None:
        """End the session or ring of a call; `notify` sends a `terminate`."""
        ring = self._rings.get(call.session_id)
        session = self.sessions.get(call.session_id)
        if session is not None:
            self.end(session, by, rtc_frames.terminate(session.id) if notify else None)
        elif ring is not None:
            self.close_peer(ring.peer)

    def power_lost(self, bridge: Bridge) -> None:
        """End the sessions of a bridge without a frame."""
        for session in self.open:
            if session.device_id == bridge.id:
                self.end(session, "power")

    def end(self, session: Session, by: EndedBy, frame: Json | None = None) -> None:
        """End a session if it is open, and send the frame if there is one."""
        if not session.is_open:
            return
        session.state, session.ended_by, session.ended_at = "ended", by, self.cloud.clock()
        if session.limit is not None:
            session.limit.cancel()
            self._timers.discard(session.limit)
        if frame is not None:
            self.send(session, frame)
        if session.peer is not None:
            self.close_peer(session.peer)
            session.peer = None
        delay = self.settings.slot_release_delay if by == "client" else 0
        if delay and session.holds_slot:
            self.call_later(delay, lambda: self._release_slot(session))
        else:
            self._release_slot(session)

    def send(self, session: Session, frame: Json) -> None:
        """Send a frame of the intercom to the session's connection, or to all."""
        data = frame["data"]
        kind = data["type"] if isinstance(data, dict) else None
        receivers = [each for each in self.cloud.connections if self._receives(each, session)]
        for connection in receivers:
            connection.send(Frame(payload=json.dumps(frame).encode()))
        body: Json = {"kind": kind, "session": frame["session_id"], "connections": len(receivers)}
        at = self.cloud.clock()
        self.cloud.journal.add(at=at, method="DEVICE", path=SIGNALING, body=body).status = 200
        self.notify_waiters()

    def is_busy(self, bridge_id: str) -> bool:
        """Return whether a bridge accepts no offer: it rings, or its slots are held."""
        without_offer = self.settings.busy_while_ringing and self._has_call(bridge_id)
        is_full = self.slots_used(bridge_id) >= self.settings.slots
        return self.is_ringing(bridge_id) or without_offer or is_full

    def is_ringing(self, bridge_id: str) -> bool:
        """Return whether a bridge has a ring that can be answered."""
        return any(
            self.can_be_answered(each) for each in self._rings if self._bridge_of(each) == bridge_id
        )

    def can_be_answered(self, session_id: str) -> bool:
        """Return whether a ring is neither answered, ended nor expired."""
        call, ring = self.cloud.calls.get(session_id), self._rings[session_id]
        return call is not None and not call.answered and self.cloud.clock() < ring.until

    def slots_used(self, bridge_id: str) -> int:
        """Return how many of a bridge's slots are held."""
        holding = [each for each in self.sessions.values() if each.holds_slot]
        return sum(each.device_id == bridge_id for each in holding)

    def add_session(self, session: Session) -> None:
        """Add a session."""
        self.sessions[session.id] = session
        self.peak = max(self.peak, self.held_slots)
        if len(self.sessions) > MAX_SESSIONS:
            self._drop_oldest_session()
        self.notify_waiters()

    def set_time_limit(self, session: Session, seconds: float) -> None:
        """Terminate a session after some time."""
        session.limit = self.call_later(seconds, lambda: self.end_view(session, "limit"))

    def peer(self) -> Peer:
        """Return a new peer of the selected kind."""
        if self.settings.peer == "scripted":
            return ScriptedPeer()
        # Importing it takes a second, and most tests do not need it.
        from tests.simulator.peer import RealPeer  # noqa: PLC0415

        return RealPeer(self.settings)

    def show(self, peer: Peer, panel_id: str | None, bridge_id: str) -> None:
        """Make a peer show a panel, or the indoor unit if the panel is unknown."""
        panels = self.cameras(bridge_id)
        names = {each.id: each.name or each.id for each in panels}
        number = [*names].index(panel_id) + 1 if panel_id in names else 0
        unit = next((each.name for each in self.cloud.house.bridges() if each.id == bridge_id), "")
        peer.show(names.get(panel_id or "", unit or bridge_id), number)

    def panels(self, bridge_id: str) -> list[Panel]:
        """Return the panels of a bridge in cycling order."""
        return [each for each in self.cloud.house.panels() if each.bridge == bridge_id]

    def cameras(self, bridge_id: str) -> list[Panel | CctvCamera]:
        """Return what can be called behind a bridge, the panels first."""
        cctv = self.cloud.house.cctv_cameras()
        return [*self.panels(bridge_id), *(each for each in cctv if each.bridge == bridge_id)]

    def call_later(self, seconds: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        """Schedule a call; `close` cancels it."""

        def fire() -> None:
            self._timers.discard(timer)
            do()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)
        return timer

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background; `close` cancels it."""
        self._start(work, self._tasks)

    def close_peer(self, peer: Peer) -> None:
        """Close a peer in the background; `close` waits for it."""
        self._start(peer.close(), self._closing)

    def notify_waiters(self) -> None:
        """Wake everything that waits in `wait_for`."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(
            _log_exceptions(work), name="simulated intercom"
        )
        among.add(task)
        task.add_done_callback(among.discard)
        # A task cancelled before its first step never closes its coroutine.
        task.add_done_callback(lambda _: work.close())

    def _end_all(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._timers.clear()
        for session in self.sessions.values():
            self.end(session, "operator")
            session.holds_slot = False
        for ring in self._rings.values():
            self.close_peer(ring.peer)
        self._rings.clear()

    async def _offer(self, call: Call, peer: Peer, announce: Callable[[str], None]) -> None:
        try:
            offer = await peer.offer()
        except BaseException:
            self.close_peer(peer)
            raise
        self._announce(call, peer, offer, announce)
        self.call_later(call.expiry, lambda: self._expire(call, peer))

    def _expire(self, call: Call, peer: Peer) -> None:
        if call.session_id not in self.sessions:
            self.close_peer(peer)

    def _announce(
        self, call: Call, peer: Peer, offer: str, announce: Callable[[str], None]
    ) -> None:
        self.show(peer, call.panel_id, call.bridge_id)
        until = self.cloud.clock() + call.expiry
        self._rings[call.session_id] = Ring(call=call, until=until, offer=offer, peer=peer)
        if len(self._rings) > MAX_RINGS:
            del self._rings[next(iter(self._rings))]
        announce(offer)

    def _has_call(self, bridge_id: str) -> bool:
        """Return whether a call without an offer is ringing, or is answered by another receiver."""
        now = self.cloud.clock()
        calls = [each for each in self.cloud.calls.values() if each.bridge_id == bridge_id]
        return any(
            not call.offered and (call.answered or now < call.at + call.expiry) for call in calls
        )

    def _bridge_of(self, session_id: str) -> str:
        return self._rings[session_id].call.bridge_id

    def _receives(self, connection: Connection, session: Session) -> bool:
        if connection.path != SIGNALING or not connection.subscribed or connection.stalled:
            return False
        return self.settings.broadcast_frames or connection is session.connection

    def _release_slot(self, session: Session) -> None:
        session.holds_slot = False
        self.notify_waiters()

    def _drop_oldest_session(self) -> None:
        oldest = next((key for key, each in self.sessions.items() if not each.is_open), None)
        if oldest is not None:
            del self.sessions[oldest]


async def _log_exceptions(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine and log its exceptions."""
    try:
        await work
    except Exception:
        _LOGGER.exception("Unexpected error in the simulated intercom")
