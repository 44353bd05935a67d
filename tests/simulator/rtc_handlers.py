"""Handlers of the rtc frames from clients: offer, answer, candidate, terminate, player."""

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
import uuid

from tests.simulator import rtc_frames
from tests.simulator.intercom import Intercom
from tests.simulator.rtc_frames import MAX_PEERS, UNREACHABLE, RtcError
from tests.simulator.rtc_session import Session
from tests.simulator.scripted import answer_error, sections

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from tests.simulator.connection import Connection
    from tests.simulator.house import Bridge, Json
    from tests.simulator.rtc_session import Peer, Ring

UNKNOWN_SESSION = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An accepted frame: the ids for its acknowledgement, and what to do afterwards."""

    ids: Mapping[str, str] | None = None
    then: Callable[[], Coroutine[Any, Any, None]] | None = None


class RtcHandlers(Intercom):
    """Handles valid frames; each handler acts at once and returns what follows the ack."""

    def handle_offer(self, connection: Connection, frame: Mapping[str, Any]) -> Accepted:
        """Handle an offer: a client calls the intercom."""
        description = frame["data"]["session_description"]
        bridge = self._find_bridge(frame["device_id"])
        if self.settings.refuse_offers is not None:
            raise RtcError(self.settings.refuse_offers)
        if description["type"] == "vod":
            raise RtcError(21, "There is no such video")
        panel_id = self._find_panel(bridge, description)
        if not bridge.reachable:
            raise RtcError(UNREACHABLE)
        _check_offer(description["sdp"])
        busy = self.is_busy(bridge.id)
        tag = base64.b64encode(f"tag-{self.cloud.number()}".encode()).decode()
        session = self._new_session(
            connection, frame, panel_id, session_id=str(uuid.uuid4()), tag_id=tag
        )
        session.holds_slot = not busy
        self.add_session(session)
        ids = {"session_id": session.id, "tag_id": tag}
        return Accepted(ids=ids, then=lambda: self._after_offer(session, busy=busy))

    def handle_answer(self, connection: Connection, frame: Mapping[str, Any]) -> Accepted:
        """Handle an answer to a ring."""
        ring = self._find_ring(frame)
        if frame["session_id"] in self.sessions:
            raise RtcError(21, violation="a second answer to a ring")
        sdp = frame["data"]["session_description"]["sdp"]
        fault = answer_error(ring.offer, sdp)
        if frame["correlation_id"] != ring.call.correlation_id:
            fault = "correlation_id does not match the ring"
        if fault:
            raise RtcError(21, fault, violation=fault)
        call = ring.call
        session = self._new_session(
            connection, frame, call.panel_id, session_id=call.session_id, tag_id=call.tag_id
        )
        session.from_ring, session.device_sdp = True, ring.offer
        session.attach(ring.peer)
        late = not self.can_be_answered(session.id)
        busy = call.answered or self.slots_used(call.bridge_id) >= self.settings.slots
        session.holds_slot = not (late or busy)
        if session.holds_slot:
            call.answered = True
        self.add_session(session)
        return Accepted(then=lambda: self._after_answer(session, late=late, busy=busy))

    def handle_candidate(self, connection: Connection, frame: Mapping[str, Any]) -> Accepted:
        """Handle an ICE candidate."""
        session = self._find_session(connection, frame)
        candidate = frame["data"]["ice_candidate"]
        session.candidates.append(candidate)
        peer = session.peer if session.state == "answered" else None
        return Accepted(then=None if peer is None else lambda: peer.add_candidate(candidate))

    def handle_terminate(self, connection: Connection, frame: Mapping[str, Any]) -> Accepted:
        """Handle the end of a session, or the decline of a ring."""
        if frame["session_id"] in self._rings and frame["session_id"] not in self.sessions:
            self._decline(connection, frame)
        session = self._find_session(connection, frame)
        session.terminates += 1
        if connection.number in session.terminated_on:
            raise RtcError(21, violation="a second terminate on a connection")
        session.terminated_on.add(connection.number)
        self.end(session, "client")
        call = self.cloud.calls.get(session.id)
        if call is not None:
            self.cloud.hang_up(call)
        return Accepted()

    def handle_player(self, connection: Connection, frame: Mapping[str, Any]) -> Accepted:
        """Switch to the next panel."""
        session = self._find_session(connection, frame)
        panels = self.panels(session.device_id)
        if not session.is_open or not panels:
            raise RtcError(21, "There is no next module")
        ids = [each.id for each in panels]
        at = ids.index(session.panel_id) if session.panel_id in ids else -1
        session.panel_id = ids[(at + 1) % len(ids)]
        session.next_modules += 1
        if session.peer is not None:
            self.show(session.peer, session.panel_id, session.device_id)
        return Accepted()

    async def _after_offer(self, session: Session, *, busy: bool) -> None:
        if busy:
            self.device_error(session, MAX_PEERS)
        elif session.sdp_size > self.settings.big_offer_bytes:
            self._reboot(session)
        else:
            self.set_time_limit(session, self.settings.view_seconds)
            if not self.settings.silent_answers:
                await self._answer_offer(session)

    async def _answer_offer(self, session: Session) -> None:
        peer = self.peer()
        session.attach(peer)
        self.show(peer, session.panel_id, session.device_id)
        try:
            session.device_sdp = await peer.answer(session.sdp)
        except ValueError as error:
            self._reject_description(session, error)
            return
        await pause(self.settings.answer_delay)
        if not session.is_open:
            return
        session.state, session.answered_at = "answered", self.cloud.clock()
        for candidate in session.candidates:
            await peer.add_candidate(candidate)
        if self.settings.foreign_frames:
            self._send_foreign_frames(session)
        self._send_answer(
            session, [rtc_frames.candidate(session.id, each) for each in peer.candidates()]
        )

    def _send_answer(self, session: Session, candidates: list[Json]) -> None:
        answers = [rtc_frames.answer(session.id, session.device_sdp)]
        if self.settings.answer_twice:
            answers *= 2
        first = self.settings.candidates_before_answer
        for frame in [*candidates, *answers] if first else [*answers, *candidates]:
            self.send(session, frame)

    def _send_foreign_frames(self, session: Session) -> None:
        """Send frames of a session that does not exist."""
        candidate: Json = {"sdp_m_line_index": 0, "sdp_mid": "0", "candidate": "candidate:9"}
        self.send(session, rtc_frames.answer(UNKNOWN_SESSION, session.device_sdp))
        self.send(session, rtc_frames.candidate(UNKNOWN_SESSION, candidate))
        self.send(session, rtc_frames.terminate(UNKNOWN_SESSION))

    def _reject_description(self, session: Session, error: ValueError) -> None:
        """End a session whose description the intercom cannot use."""
        if session.is_open:
            self.cloud.report_violation(f"the intercom cannot use the description: {error}")
            self.device_error(session, 21, str(error))

    def _reboot(self, session: Session) -> None:
        """Take the bridge offline for a reboot, because the offer is too long."""
        self.cloud.report_violation(f"an offer of {session.sdp_size} bytes reboots the intercom")
        bridge_id, settings = session.device_id, self.settings

        def leave() -> None:
            self.cloud.unplug_bridge(bridge_id)
            self.call_later(settings.reboot_seconds, lambda: self.cloud.plug_bridge(bridge_id))

        self.call_later(settings.reboot_delay, leave)

    async def _after_answer(self, session: Session, *, late: bool, busy: bool) -> None:
        if busy:
            self.device_error(session, MAX_PEERS)
        elif late:
            self.end(session, "device", rtc_frames.terminate(session.id))
        elif session.is_open and session.peer is not None:
            self.set_time_limit(session, self.settings.call_seconds)
            session.state, session.answered_at = "answered", self.cloud.clock()
            await self._connect(session, session.peer)
            self.notify_waiters()

    async def _connect(self, session: Session, peer: Peer) -> None:
        """Connect the ring's peer with the client that answered, and push `accepted_call`."""
        try:
            await peer.set_answer(session.sdp)
        except ValueError as error:
            self._reject_description(session, error)
            return
        for candidate in session.candidates:
            await peer.add_candidate(candidate)
        call = self.cloud.calls.get(session.id)
        if call is not None:
            self.cloud.mark_answered(call, rescind=self.settings.rescind_own)

    def _decline(self, connection: Connection, frame: Mapping[str, Any]) -> None:
        """Add a session for a ring, so that it can be ended."""
        call = self._find_ring(frame).call
        session = self._new_session(
            connection, frame, call.panel_id, session_id=call.session_id, tag_id=call.tag_id
        )
        session.from_ring = True
        session.attach(self._rings[call.session_id].peer)
        self.add_session(session)

    def _new_session(
        self, connection: Connection, frame: Mapping[str, Any], panel_id: str | None, **ids: str
    ) -> Session:
        sdp = frame["data"].get("session_description", {}).get("sdp", "")
        return Session(
            id=ids["session_id"],
            tag_id=ids["tag_id"],
            device_id=frame["device_id"],
            panel_id=panel_id,
            sdp=sdp,
            sdp_size=len(sdp.encode()),
            connection=connection,
            started_at=self.cloud.clock(),
        )

    def _find_session(self, connection: Connection, frame: Mapping[str, Any]) -> Session:
        """Return the session of a frame and move it to this connection."""
        session = self.sessions.get(frame["session_id"])
        if session is None:
            raise RtcError(
                9, "Session not found", violation=f"{frame['data']['type']}: unknown session"
            )
        _check_ids(frame, session.tag_id, session.device_id)
        session.connection = connection
        return session

    def _find_ring(self, frame: Mapping[str, Any]) -> Ring:
        ring = self._rings.get(frame["session_id"])
        if ring is None:
            raise RtcError(
                9, "Session not found", violation=f"{frame['data']['type']}: unknown ring"
            )
        _check_ids(frame, ring.call.tag_id, ring.call.bridge_id)
        return ring

    def _find_bridge(self, device_id: str) -> Bridge:
        found = [each for each in self.cloud.house.bridges() if each.id == device_id]
        if not found:
            raise RtcError(9, violation=f"device_id {device_id} is not a bridge")
        return found[0]

    def _find_panel(self, bridge: Bridge, description: Mapping[str, Any]) -> str | None:
        """Return the requested panel or camera, by default the first; None: the indoor unit."""
        panels = self.cameras(bridge.id)
        wanted = description.get("module_id")
        if wanted == bridge.id:
            return None
        if wanted is None:
            return panels[0].id if panels else None
        found = [each for each in panels if each.id == wanted]
        if not found:
            raise RtcError(9, violation=f"module_id {wanted} is not a panel of {bridge.id}")
        home = self.cloud.house.home_of(wanted)
        if home is None or not home.reaches(found[0]):
            raise RtcError(UNREACHABLE)
        return wanted if isinstance(wanted, str) else None


def _check_offer(sdp: str) -> None:
    try:
        sections(sdp)
    except ValueError as error:
        raise RtcError(21, str(error), violation=str(error)) from None


def _check_ids(frame: Mapping[str, Any], tag_id: str, device_id: str) -> None:
    for name, known in (("tag_id", tag_id), ("device_id", device_id)):
        if frame[name] != known:
            raise RtcError(
                21, violation=f"{frame['data']['type']}: {name} does not match the session"
            )


async def pause(seconds: float) -> None:
    """Sleep unless the time is zero."""
    if seconds:
        await asyncio.sleep(seconds)
