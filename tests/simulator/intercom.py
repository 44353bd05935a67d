"""The intercom's side of calls: its places, its rings, and what it says of its own accord."""

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
    from tests.simulator.house import Bridge, Json, Panel
    from tests.simulator.rtc_session import Ender, Peer, Session

_LOGGER = logging.getLogger(__name__)

#: Calls of clients, and rings, that are remembered.
REMEMBERED_SESSIONS = 1000
REMEMBERED_RINGS = 50


class Intercom:
    """All calls of the simulator's life; tasks and timers of theirs end with `close`."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.settings: RtcSettings = RtcSettings()
        #: By id, oldest first; those that ended stay.
        self.sessions: dict[str, Session] = {}
        #: The most calls that ever held a place at once.
        self.peak = 0
        self._rings: dict[str, Ring] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._news = asyncio.Event()

    @property
    def open(self) -> list[Session]:
        """The calls that go on, oldest first."""
        return [each for each in self.sessions.values() if each.is_open]

    @property
    def held_slots(self) -> int:
        """How many calls hold a place at this moment."""
        return sum(each.holds_slot for each in self.sessions.values())

    def use_peer(self, peer: Literal["scripted", "real"]) -> None:
        """Let it answer calls from now on, and load at once what it takes to do so."""
        self.settings.peer = peer
        self.dismiss(self.peer())

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something is so that calls can bring about."""
        while not condition():
            await self._news.wait()

    async def close(self) -> None:
        """End all calls without a word, and everything that was under way."""
        self._drop()
        while self._tasks or self._closing:
            await asyncio.gather(*self._tasks, *self._closing, return_exceptions=True)

    def forget(self) -> None:
        """End all calls and rings without a word, and forget them: the house is another."""
        self._drop()
        self.sessions.clear()

    def end_view(self, session: Session, by: Ender = "device") -> None:
        """Let the intercom end a call, as it does when a view has lasted long enough."""
        call = self.cloud.calls.get(session.id)
        if call is None:
            self.end(session, by, rtc_frames.terminate(session.id))
        else:
            self.cloud.hang_up(call, by)

    def device_error(self, session: Session, code: int, message: str | None = None) -> None:
        """Let the intercom end a call with an error."""
        session.error = code
        self.end(session, "device", rtc_frames.terminate(session.id, code, message))

    def rescind(self, session: Session) -> None:
        """Say that somebody else has answered; a call that was answered here goes on."""
        if session.state == "answered":
            self.tell(session, rtc_frames.rescind(session.id))
        else:
            self.end(session, "device", rtc_frames.rescind(session.id))

    def rang(self, call: Call, announce: Callable[[str], None]) -> None:
        """Have an offer for a ring, and announce it then; a scripted one is there at once."""
        peer = self.peer()
        if isinstance(peer, ScriptedPeer):
            self._announce(call, peer, peer.text, announce)
        else:
            self.spawn(self._offer(call, peer, announce))

    def call_over(self, call: Call, by: Ender, *, told: bool) -> None:
        """Let what hangs on a call be over, with a word on its connection or without."""
        ring = self._rings.get(call.session_id)
        session = self.sessions.get(call.session_id)
        if session is not None:
            self.end(session, by, rtc_frames.terminate(session.id) if told else None)
        elif ring is not None:
            self.dismiss(ring.peer)

    def power_lost(self, bridge: Bridge) -> None:
        """End the calls of a bridge without a word: it has no power."""
        for session in self.open:
            if session.device_id == bridge.id:
                self.end(session, "power")

    def end(self, session: Session, by: Ender, frame: Json | None = None) -> None:
        """End a call if it goes on, and say so on its connection if there is something to say."""
        if not session.is_open:
            return
        session.state, session.ended_by, session.ended_at = "ended", by, self.cloud.clock()
        if session.limit is not None:
            session.limit.cancel()
            self._timers.discard(session.limit)
        if frame is not None:
            self.tell(session, frame)
        if session.peer is not None:
            self.dismiss(session.peer)
            session.peer = None
        lingers = self.settings.slot_lingers if by == "client" else 0
        if lingers and session.holds_slot:
            self.later(lingers, lambda: self._free(session))
        else:
            self._free(session)

    def tell(self, session: Session, frame: Json) -> None:
        """Send a frame of the intercom's to those who get it."""
        data = frame["data"]
        kind = data["type"] if isinstance(data, dict) else None
        listening = [
            connection for connection in self.cloud.connections if self._hears(connection, session)
        ]
        for connection in listening:
            connection.send(Frame(payload=json.dumps(frame).encode()))
        told: Json = {"kind": kind, "session": frame["session_id"], "connections": len(listening)}
        at = self.cloud.clock()
        self.cloud.journal.add(at=at, method="DEVICE", path=SIGNALING, body=told).status = 200
        self.changed()

    def is_ringing(self, bridge_id: str) -> bool:
        """Tell whether a bridge rings at the moment, and nobody has answered."""
        return any(self.may_answer(each) for each in self._rings if self._at(each) == bridge_id)

    def may_answer(self, session_id: str) -> bool:
        """Tell whether a ring still waits for an answer."""
        call, ring = self.cloud.calls.get(session_id), self._rings[session_id]
        return call is not None and not call.answered and self.cloud.clock() < ring.until

    def taken(self, bridge_id: str) -> int:
        """Return how many of a bridge's places are taken."""
        holding = [each for each in self.sessions.values() if each.holds_slot]
        return sum(each.device_id == bridge_id for each in holding)

    def begin(self, session: Session) -> None:
        """Write a call down."""
        self.sessions[session.id] = session
        self.peak = max(self.peak, self.held_slots)
        if len(self.sessions) > REMEMBERED_SESSIONS:
            self._forget_oldest()
        self.changed()

    def limit(self, session: Session, seconds: float) -> None:
        """Let the intercom end a call after some time."""
        session.limit = self.later(seconds, lambda: self.end_view(session, "limit"))

    def peer(self) -> Peer:
        """Return somebody new who speaks for the intercom."""
        if self.settings.peer == "scripted":
            return ScriptedPeer()
        # Loading it takes a second, which most tests need not spend.
        from tests.simulator.peer import RealPeer  # noqa: PLC0415

        return RealPeer(self.settings)

    def show(self, peer: Peer, panel_id: str | None, bridge_id: str) -> None:
        """Let a peer show a panel, or the intercom unit where none is known."""
        panels = self.panels(bridge_id)
        names = {each.id: each.name or each.id for each in panels}
        number = [*names].index(panel_id) + 1 if panel_id in names else 0
        unit = next((each.name for each in self.cloud.house.bridges() if each.id == bridge_id), "")
        peer.show(names.get(panel_id or "", unit or bridge_id), number)

    def panels(self, bridge_id: str) -> list[Panel]:
        """Return the panels of a bridge, in the order in which they are gone round."""
        return [each for each in self.cloud.house.panels() if each.bridge == bridge_id]

    def later(self, seconds: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        """Do something after some time, unless all ends before."""

        def fire() -> None:
            self._timers.discard(timer)
            do()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)
        return timer

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background, unless all ends before."""
        self._start(work, self._tasks)

    def dismiss(self, peer: Peer) -> None:
        """End what a peer does, whatever else ends."""
        self._start(peer.close(), self._closing)

    def changed(self) -> None:
        """Wake up who waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    def _start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(_survive(work), name="simulated intercom")
        among.add(task)
        task.add_done_callback(among.discard)
        # A task that is cancelled before it runs never gets to what it should have done.
        task.add_done_callback(lambda _: work.close())

    def _drop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._timers.clear()
        for session in self.sessions.values():
            self.end(session, "operator")
            session.holds_slot = False
        for ring in self._rings.values():
            self.dismiss(ring.peer)
        self._rings.clear()

    async def _offer(self, call: Call, peer: Peer, announce: Callable[[str], None]) -> None:
        try:
            offer = await peer.offer()
        except BaseException:
            self.dismiss(peer)
            raise
        self._announce(call, peer, offer, announce)
        self.later(call.expiry, lambda: self._expire(call, peer))

    def _expire(self, call: Call, peer: Peer) -> None:
        if call.session_id not in self.sessions:
            self.dismiss(peer)

    def _announce(
        self, call: Call, peer: Peer, offer: str, announce: Callable[[str], None]
    ) -> None:
        self.show(peer, call.panel_id, call.bridge_id)
        until = self.cloud.clock() + call.expiry
        self._rings[call.session_id] = Ring(call=call, until=until, offer=offer, peer=peer)
        if len(self._rings) > REMEMBERED_RINGS:
            del self._rings[next(iter(self._rings))]
        announce(offer)

    def _at(self, session_id: str) -> str:
        return self._rings[session_id].call.bridge_id

    def _hears(self, connection: Connection, session: Session) -> bool:
        if connection.path != SIGNALING or not connection.subscribed or connection.dead:
            return False
        return self.settings.frames_to_all or connection is session.connection

    def _free(self, session: Session) -> None:
        session.holds_slot = False
        self.changed()

    def _forget_oldest(self) -> None:
        over = (key for key, each in self.sessions.items() if not each.is_open)
        oldest = next(over, None)
        if oldest is not None:
            del self.sessions[oldest]


async def _survive(work: Coroutine[Any, Any, None]) -> None:
    """Let what goes wrong in a call be heard of, and nothing else suffer."""
    try:
        await work
    except Exception:
        _LOGGER.exception("The simulated intercom is at fault")
