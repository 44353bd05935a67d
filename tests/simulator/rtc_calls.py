"""What clients do with calls: dial, answer, decline, end, look at the next panel."""

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
import uuid

from tests.simulator import rtc_frames
from tests.simulator.intercom import Intercom
from tests.simulator.rtc_frames import MAX_PEERS, UNREACHABLE, Refused
from tests.simulator.rtc_session import Session
from tests.simulator.scripted import fault_in_answer, sections

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from tests.simulator.connection import Connection
    from tests.simulator.house import Bridge, Json
    from tests.simulator.rtc_session import Peer, Ring

NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A frame that was taken: the ids for its acknowledgement, and what follows that."""

    ids: Mapping[str, str] | None = None
    then: Callable[[], Coroutine[Any, Any, None]] | None = None


class Calls(Intercom):
    """Takes frames that are well formed; each method acts at once and says what is to follow."""

    def offered(self, connection: Connection, frame: Mapping[str, Any]) -> Taken:
        """Take an offer: the intercom is dialled."""
        description = frame["data"]["session_description"]
        bridge = self._bridge(frame["device_id"])
        if self.settings.refuse_offers is not None:
            raise Refused(self.settings.refuse_offers)
        if description["type"] == "vod":
            raise Refused(21, "There is no such video")
        panel_id = self._panel(bridge, description)
        if not bridge.reachable:
            raise Refused(UNREACHABLE)
        _check_offer(description["sdp"])
        busy = self.is_ringing(bridge.id) or self.taken(bridge.id) >= self.settings.slots
        tag = base64.b64encode(f"tag-{self.cloud.number()}".encode()).decode()
        session = self._session(
            connection, frame, panel_id, session_id=str(uuid.uuid4()), tag_id=tag
        )
        session.holds_slot = not busy
        self.begin(session)
        ids = {"session_id": session.id, "tag_id": tag}
        return Taken(ids=ids, then=lambda: self._after_offer(session, busy=busy))

    def answered(self, connection: Connection, frame: Mapping[str, Any]) -> Taken:
        """Take an answer to a ring."""
        ring = self._ring(frame)
        if frame["session_id"] in self.sessions:
            raise Refused(21, noted="a second answer to a ring")
        sdp = frame["data"]["session_description"]["sdp"]
        fault = fault_in_answer(ring.offer, sdp)
        if frame["correlation_id"] != ring.call.correlation_id:
            fault = "correlation_id is not that of the ring"
        if fault:
            raise Refused(21, fault, noted=fault)
        call = ring.call
        session = self._session(
            connection, frame, call.panel_id, session_id=call.session_id, tag_id=call.tag_id
        )
        session.rang, session.device_sdp = True, ring.offer
        session.given_to(ring.peer)
        late = not self.may_answer(session.id)
        busy = call.answered or self.taken(call.bridge_id) >= self.settings.slots
        session.holds_slot = not (late or busy)
        if session.holds_slot:
            call.answered = True
        self.begin(session)
        return Taken(then=lambda: self._after_answer(session, late=late, busy=busy))

    def candidate(self, connection: Connection, frame: Mapping[str, Any]) -> Taken:
        """Take an address of the client's."""
        session = self._known(connection, frame)
        found = frame["data"]["ice_candidate"]
        session.candidates.append(found)
        peer = session.peer if session.state == "answered" else None
        return Taken(then=None if peer is None else lambda: peer.take_candidate(found))

    def terminate(self, connection: Connection, frame: Mapping[str, Any]) -> Taken:
        """Take the end of a call, or that a ring is declined."""
        if frame["session_id"] in self._rings and frame["session_id"] not in self.sessions:
            self._decline(connection, frame)
        session = self._known(connection, frame)
        session.terminates += 1
        if session.terminates > 1:
            raise Refused(21, noted="a second terminate")
        self.end(session, "client")
        call = self.cloud.calls.get(session.id)
        if call is not None:
            self.cloud.hang_up(call)
        return Taken()

    def player(self, connection: Connection, frame: Mapping[str, Any]) -> Taken:
        """Show the next panel."""
        session = self._known(connection, frame)
        panels = self.panels(session.device_id)
        if not session.is_open or not panels:
            raise Refused(21, "There is no next module")
        ids = [each.id for each in panels]
        at = ids.index(session.panel_id) if session.panel_id in ids else -1
        session.panel_id = ids[(at + 1) % len(ids)]
        session.next_modules += 1
        if session.peer is not None:
            self.show(session.peer, session.panel_id, session.device_id)
        return Taken()

    async def _after_offer(self, session: Session, *, busy: bool) -> None:
        if busy:
            self.device_error(session, MAX_PEERS)
        elif session.sdp_size > self.settings.big_offer_bytes:
            self._overwhelm(session)
        else:
            self.limit(session, self.settings.view_seconds)
            if not self.settings.silent_answers:
                await self._give_answer(session)

    async def _give_answer(self, session: Session) -> None:
        peer = self.peer()
        session.given_to(peer)
        self.show(peer, session.panel_id, session.device_id)
        try:
            session.device_sdp = await peer.answer(session.sdp)
        except ValueError as error:
            self._complain(session, error)
            return
        await pause(self.settings.answer_delay)
        if not session.is_open:
            return
        session.state, session.answered_at = "answered", self.cloud.clock()
        for found in session.candidates:
            await peer.take_candidate(found)
        if self.settings.foreign_frames:
            self._speak_of_others(session)
        self._send_answer(
            session, [rtc_frames.candidate(session.id, each) for each in peer.candidates()]
        )

    def _send_answer(self, session: Session, candidates: list[Json]) -> None:
        answers = [rtc_frames.answer(session.id, session.device_sdp)]
        if self.settings.answer_twice:
            answers *= 2
        first = self.settings.candidates_before_answer
        for frame in [*candidates, *answers] if first else [*answers, *candidates]:
            self.tell(session, frame)

    def _speak_of_others(self, session: Session) -> None:
        """Send what belongs to a call that nobody has."""
        found: Json = {"sdp_m_line_index": 0, "sdp_mid": "0", "candidate": "candidate:9"}
        self.tell(session, rtc_frames.answer(NOBODY, session.device_sdp))
        self.tell(session, rtc_frames.candidate(NOBODY, found))
        self.tell(session, rtc_frames.terminate(NOBODY))

    def _complain(self, session: Session, error: ValueError) -> None:
        """End a call whose description the intercom cannot make anything of."""
        if session.is_open:
            self.cloud.report_violation(f"the intercom cannot take it: {error}")
            self.device_error(session, 21, str(error))

    def _overwhelm(self, session: Session) -> None:
        """Let the bridge leave the cloud because of a description that is too long, and boot."""
        self.cloud.report_violation(f"an offer of {session.sdp_size} bytes: the intercom boots")
        bridge_id, settings = session.device_id, self.settings

        def leave() -> None:
            self.cloud.unplug_bridge(bridge_id)
            self.later(settings.reboot_seconds, lambda: self.cloud.plug_bridge(bridge_id))

        self.later(settings.reboot_delay, leave)

    async def _after_answer(self, session: Session, *, late: bool, busy: bool) -> None:
        if busy:
            self.device_error(session, MAX_PEERS)
        elif late:
            self.end(session, "device", rtc_frames.terminate(session.id))
        elif session.is_open and session.peer is not None:
            self.limit(session, self.settings.call_seconds)
            session.state, session.answered_at = "answered", self.cloud.clock()
            await self._join(session, session.peer)
            self.changed()

    async def _join(self, session: Session, peer: Peer) -> None:
        """Connect who rang with who answers, and tell the others."""
        try:
            await peer.take_answer(session.sdp)
        except ValueError as error:
            self._complain(session, error)
            return
        for found in session.candidates:
            await peer.take_candidate(found)
        call = self.cloud.calls.get(session.id)
        if call is not None:
            self.cloud.accepted(call, rescind=self.settings.rescind_own)

    def _decline(self, connection: Connection, frame: Mapping[str, Any]) -> None:
        """Have a call of a ring that is only there to be ended."""
        call = self._ring(frame).call
        session = self._session(
            connection, frame, call.panel_id, session_id=call.session_id, tag_id=call.tag_id
        )
        session.rang = True
        session.given_to(self._rings[call.session_id].peer)
        self.begin(session)

    def _session(
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

    def _known(self, connection: Connection, frame: Mapping[str, Any]) -> Session:
        """Return the call that a frame is about, which goes on from there on this connection."""
        session = self.sessions.get(frame["session_id"])
        if session is None:
            raise Refused(9, "Session not found", noted=f"{frame['data']['type']}: unknown session")
        _check_ids(frame, session.tag_id, session.device_id)
        session.connection = connection
        return session

    def _ring(self, frame: Mapping[str, Any]) -> Ring:
        ring = self._rings.get(frame["session_id"])
        if ring is None:
            raise Refused(9, "Session not found", noted=f"{frame['data']['type']}: unknown ring")
        _check_ids(frame, ring.call.tag_id, ring.call.bridge_id)
        return ring

    def _bridge(self, device_id: str) -> Bridge:
        found = [each for each in self.cloud.house.bridges() if each.id == device_id]
        if not found:
            raise Refused(9, noted=f"device_id {device_id} is no bridge")
        return found[0]

    def _panel(self, bridge: Bridge, description: Mapping[str, Any]) -> str | None:
        """Return which panel is wanted: the first if none is named; None: the unit itself."""
        panels = self.panels(bridge.id)
        wanted = description.get("module_id")
        if wanted == bridge.id:
            return None
        if wanted is None:
            return panels[0].id if panels else None
        found = [each for each in panels if each.id == wanted]
        if not found:
            raise Refused(9, noted=f"module_id {wanted} is no panel of {bridge.id}")
        home = self.cloud.house.home_of(wanted)
        if home is None or not home.reaches(found[0]):
            raise Refused(UNREACHABLE)
        return wanted if isinstance(wanted, str) else None


def _check_offer(sdp: str) -> None:
    try:
        sections(sdp)
    except ValueError as error:
        raise Refused(21, str(error), noted=str(error)) from None


def _check_ids(frame: Mapping[str, Any], tag_id: str, device_id: str) -> None:
    for name, known in (("tag_id", tag_id), ("device_id", device_id)):
        if frame[name] != known:
            raise Refused(21, noted=f"{frame['data']['type']}: {name} is not that of the call")


async def pause(seconds: float) -> None:
    """Let time pass, if there is any to pass."""
    if seconds:
        await asyncio.sleep(seconds)
