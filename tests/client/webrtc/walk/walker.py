"""A random walk: viewers, rings and faults, and what must hold after every step."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, fields
import random
from typing import TYPE_CHECKING, Any, Literal, override

from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.errors import BticinoError
from custom_components.bticino_classe.client.models import Candidate, RingOffer
from custom_components.bticino_classe.client.webrtc.call_state import SessionState
from custom_components.bticino_classe.client.webrtc.session import CallSession
from custom_components.bticino_classe.client.webrtc.signaling import SignalingChannel
from custom_components.bticino_classe.client.websocket.backoff import Backoff
from tests.client.webrtc.scripted_intercom import OFFER, USEFUL, Recorder
from tests.client.webrtc.walk.faulty_line import Faults, FaultySession
from tests.simulator.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.client.webrtc.walk.virtual_time import VirtualTimeLoop
    from tests.simulator.calls import Call

type AckMode = Literal["echo", "null", "absent"]

EPOCH = 1_790_000_000.0
QUIET_SECONDS = 600.0
WAITS = (0.0, 0.0, 0.01, 0.03, 0.5, 2.0, 6.0, 12.0, 31.0)


@dataclass(eq=False)
class Viewer(Recorder):
    """A viewer and its call; `offer` is its own, so that answers can be told apart."""

    number: int
    ring: RingOffer | None = None
    has_left: bool = False
    failed: bool = False
    session: CallSession = field(init=False)
    task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def offer(self) -> str:
        """The offer, with an origin of its own."""
        return OFFER.replace("o=- 42", f"o=- {self.number:06}")

    @override
    def ended(self, error: BticinoError) -> None:
        assert not self.has_left, "the end was reported to a viewer who has left"
        super().ended(error)


class Walk:
    """One walk with a seed; raises AssertionError at the first thing that must not be."""

    def __init__(self, loop: VirtualTimeLoop, seed: int, ack_mode: AckMode) -> None:
        self._loop, self._rng = loop, random.Random(seed)  # noqa: S311 - no secret
        self.faults = Faults()
        self.cloud = Cloud("two_homes", token_lifetime=10**9, clock=lambda: EPOCH + loop.time())
        self.cloud.rtc.settings.ack_echo = ack_mode
        self.wire = FaultySession(self.cloud, self._rng, self.faults)
        self._viewers: list[Viewer] = []
        self._actions: list[asyncio.Task[None]] = []
        self._declined: set[str] = set()
        self._reported: set[str] = set()
        self._count = 0
        self._channels: list[SignalingChannel] = []
        self.channel = self._new_channel()

    async def run(self, steps: int, *, quiet_every: int = 40) -> None:
        """Do so many steps, and check that nothing is left every now and then."""
        for step in range(1, steps + 1):
            await self._rng.choices(*zip(*self._steps(), strict=True))[0]()
            await self._pass_time()
            self._check_always()
            if step % quiet_every == 0:
                await self._quiet_down()
        await self._quiet_down()
        await self.channel.close()

    def _steps(self) -> list[tuple[Callable[[], Coroutine[Any, Any, None]], int]]:
        return [
            (self._dial, 8),
            (self._ring, 4),
            (self._answer, 6),
            (self._decline, 1),
            (self._end_ring, 3),
            (self._leave, 6),
            (self._cancel, 3),
            (self._use, 4),
            (self._end_at_intercom, 3),
            (self._cut, 2),
            (self._change_faults, 3),
            (self._change_intercom, 2),
            (self._reload, 1),
        ]

    def _new_channel(self) -> SignalingChannel:
        session: Any = self.wire
        auth = AuthHandler("", "", session=session, clock=self.cloud.clock)
        tokens = self.cloud.account.log_in()
        auth.set_tokens(str(tokens["access_token"]), str(tokens["refresh_token"]), EPOCH + 10**9)
        channel = SignalingChannel(auth, backoff=Backoff(draw=self._rng.random))
        self._channels.append(channel)
        return channel

    async def _pass_time(self) -> None:
        """Let some callbacks run, or some time pass."""
        for _ in range(self._rng.randrange(12)):
            await asyncio.sleep(0)
        await asyncio.sleep(self._rng.choice(WAITS))

    async def _dial(self) -> None:
        panel = self._rng.choice(self.cloud.house.panels())
        viewer = self._new_viewer(str(panel.bridge), panel.id)
        self._start(viewer, viewer.session.dial(viewer.offer))

    async def _ring(self) -> None:
        if len(self.cloud.calls) < 3:
            self.cloud.ring(self._rng.choice(self.cloud.house.panels()).id, pictures=False)

    async def _answer(self) -> None:
        call = self._a_call()
        if call is None or self._answered_by_us(call):
            return
        viewer = self._new_viewer(call.bridge_id, None, ring=_offer_of(self.cloud, call))
        assert viewer.ring is not None
        self._start(viewer, viewer.session.answer(viewer.ring, viewer.offer))

    async def _decline(self) -> None:
        call = self._a_call()
        if call is None or self._answered_by_us(call):
            return
        self._declined.add(call.session_id)
        viewer = self._new_viewer(call.bridge_id, None)
        self._do(viewer.session.decline(_offer_of(self.cloud, call)))

    async def _end_ring(self) -> None:
        """Somebody else answers, or the call ends; a push reports it in most cases."""
        call = self._a_call()
        if call is None:
            return
        end = self._rng.choice((self.cloud.answer_elsewhere, self.cloud.hang_up, self.cloud.miss))
        end(call)
        if self._rng.random() < 0.8:
            self._report_end(call.session_id)

    async def _leave(self) -> None:
        if self._viewers:
            self._hang_up(self._rng.choice(self._viewers))

    async def _cancel(self) -> None:
        """Cancel whatever a viewer waits for, as a lost browser does."""
        if self._viewers:
            viewer = self._rng.choice(self._viewers)
            viewer.task.cancel()
            self._hang_up(viewer)

    async def _use(self) -> None:
        if not self._viewers:
            return
        session = self._rng.choice(self._viewers).session
        candidate = Candidate(candidate=USEFUL, mid="0", index=0)
        self._do(session.add_candidate(candidate))
        if self._rng.random() < 0.3:
            self._do(session.next_panel())

    async def _end_at_intercom(self) -> None:
        sessions = self.cloud.rtc.open
        if sessions:
            session = self._rng.choice(sessions)
            self.cloud.end_view(session)
            if self._rng.random() < 0.5:
                self._report_end(session.id)

    async def _cut(self) -> None:
        self.wire.cut()

    async def _change_faults(self) -> None:
        for each in fields(Faults):
            likely = self._rng.choice((0.0, 0.0, 0.05, 0.3))
            setattr(self.faults, each.name, likely)

    async def _change_intercom(self) -> None:
        settings, choose = self.cloud.rtc.settings, self._rng.choice
        settings.slots = choose((1, 1, 2))
        settings.ack_delay = choose((0.0, 0.0, 1.0, 12.0))
        settings.answer_delay = choose((0.0, 0.0, 3.0, 26.0))
        settings.refuse_offers = choose((None, None, None, 41, 9))
        settings.silent_answers = choose((False, False, True))
        settings.answer_twice = choose((False, True))
        settings.candidates_before_answer = choose((False, True))
        settings.foreign_frames = choose((False, True))
        settings.broadcast_frames = choose((False, True))

    async def _reload(self) -> None:
        await self.channel.close()
        for viewer in self._viewers:
            viewer.has_left = True
        await asyncio.sleep(1)  # callers notice it
        assert self.channel.is_idle
        self.channel = self._new_channel()

    def _new_viewer(
        self, bridge_id: str, panel_id: str | None, *, ring: RingOffer | None = None
    ) -> Viewer:
        self._count += 1
        viewer = Viewer(self._count, ring)
        viewer.session = CallSession(self.channel, viewer, bridge_id=bridge_id, panel_id=panel_id)
        return viewer

    def _start(self, viewer: Viewer, call: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await call
            except BticinoError:
                viewer.failed = True
                assert viewer.session.state is SessionState.ENDED

        self._viewers.append(viewer)
        viewer.task = self._do(run())

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def run() -> None:
            with suppress(BticinoError):
                await work

        task = self._loop.create_task(run())
        task.add_done_callback(lambda _: work.close())
        self._actions.append(task)
        return task

    def _hang_up(self, viewer: Viewer) -> None:
        viewer.has_left = True
        viewer.session.hang_up()

    def _report_end(self, session_id: str) -> None:
        """Report an end as the push socket does."""
        self._reported.add(session_id)
        for viewer in self._viewers:
            viewer.session.end_if(session_id)

    def _a_call(self) -> Call | None:
        calls = list(self.cloud.calls.values())
        return self._rng.choice(calls) if calls else None

    def _answered_by_us(self, call: Call) -> bool:
        """Whether an answer or a decline is under way or was sent; there is only one."""
        ours = (viewer for viewer in self._viewers if viewer.ring is not None)
        active = {v.ring.session_id for v in ours if v.ring and not v.task.done()}
        return call.session_id in active | self._declined | self._sent("answer")

    def _sent(self, kind: str) -> set[str]:
        """Return the sessions for which the client has written a message of this kind."""
        return set(self._written(kind))

    def _written(self, kind: str) -> list[str]:
        """Return the session of each message of this kind."""
        frames = (frame for frame in self.wire.log.written if frame["action"] == "rtc")
        return [str(each.get("session_id")) for each in frames if each["data"]["type"] == kind]

    def _check_always(self) -> None:
        assert self._loop.errors == []
        for task in self._actions:
            if task.done() and not task.cancelled():
                task.result()
        self._actions = [task for task in self._actions if not task.done()]
        counters = self.channel.socket.counters
        assert not any(counters[name] for name in ("failed_frames", "failed_states", "faults"))
        for viewer in self._viewers:
            self._check_viewer(viewer)
        self._check_terminates()
        self.cloud.journal.clear()

    def _check_viewer(self, viewer: Viewer) -> None:
        assert viewer.events.count("answer") <= 1
        assert viewer.events.count("end") <= (0 if viewer.failed else 1)
        assert "end" not in viewer.events[:-1]
        ids = viewer.session.ids
        if "answer" in viewer.events and viewer.ring is None and ids is not None:
            session = self.cloud.rtc.sessions[ids.session_id]
            own = f"o=- {viewer.number:06}"
            assert own in session.sdp, "a viewer got the answer to another one's offer"

    def _check_terminates(self) -> None:
        """A ring is ended by us only if it was answered or declined here before."""
        rings = {call_id for call_id in self._sent("terminate") if self._is_ring(call_id)}
        assert rings <= self._sent("answer") | self._declined

    def _is_ring(self, session_id: str) -> bool:
        session = self.cloud.rtc.sessions.get(session_id)
        return session is not None and session.from_ring

    async def _quiet_down(self) -> None:
        """Let everything end, and check that it did."""
        for each in fields(Faults):
            setattr(self.faults, each.name, 0.0)
        for call in tuple(self.cloud.calls.values()):
            self.cloud.hang_up(call)
        for viewer in self._viewers:
            self._hang_up(viewer)
        await asyncio.sleep(QUIET_SECONDS)
        self._check_always()
        self._check_nothing_is_left()
        self._check_every_call_ended()
        self._viewers.clear()
        self._channels = [self.channel]
        self.wire.log.written.clear()
        self.wire.log.delivered.clear()

    def _check_nothing_is_left(self) -> None:
        assert self.channel.is_idle
        assert len(self.channel._pending) == 0
        assert self._actions == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self._loop.timers() == []
        assert all(viewer.session.state is SessionState.ENDED for viewer in self._viewers)
        assert self.cloud.violations == []

    def _check_every_call_ended(self) -> None:
        """Each call that the client knew was terminated, or its end was reported.

        The client counts the terminates that it could not send, because no connection came.
        """
        assert self.cloud.rtc.open == []
        known = {viewer.session.ids.session_id for viewer in self._viewers if viewer.session.ids}
        sessions = self.cloud.rtc.sessions
        terminated = {key for key in known if key in sessions and sessions[key].terminates}
        open_ = known - self._delivered_ends() - self._reported - terminated
        # Nothing arrived in two attempts, or no connection came.
        once = [key for key in open_ if self._written("terminate").count(key) < 2]
        counters = Counter[str]()
        for channel in self._channels:
            counters += channel.counters
            channel.counters.clear()
        lost, unacknowledged = (counters[f"terminates_{k}"] for k in ("lost", "unacknowledged"))
        assert len(once) <= lost, f"calls without an end: {once}"
        assert len(open_) <= lost + unacknowledged, f"calls without an end: {open_}"

    def _delivered_ends(self) -> set[str]:
        """Return the sessions whose end the intercom has reported to the client."""
        return {
            str(frame["session_id"])
            for frame in self.wire.log.delivered
            if frame.get("data", {}).get("type") in {"terminate", "rescind"}
        }


def _offer_of(cloud: Cloud, call: Call) -> RingOffer:
    return RingOffer(
        session_id=call.session_id,
        tag_id=call.tag_id,
        correlation_id=call.correlation_id,
        sdp=cloud.rtc._rings[call.session_id].offer,
    )
