"""A random walk through Home Assistant: viewers, rings, doors, reloads and lost connections."""

import asyncio
from collections import Counter, deque
import random
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.client import SocketState
from custom_components.bticino_classe.client.calls import BACKLOG_SECONDS, STATUS_WAIT_SECONDS
from custom_components.bticino_classe.const import CONF_HISTORY, CONF_PULSE_TIME, DOMAIN
from custom_components.bticino_classe.entity import unique_id
from tests.integration.conftest import call_action, skip_backoff, wait_until
from tests.integration.history.stored import calls_of
from tests.integration.live.browser_client import offer
from tests.integration.live.walk_model import (
    Model,
    Presses,
    Reported,
    Ring,
    View,
    logged_errors,
)
from tests.simulator.paths import PUSH, SIGNALING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    import pytest

    from custom_components.bticino_classe.runtime import RuntimeData
    from tests.integration.live.browser_client import BrowserClient
    from tests.simulator import Session, Simulator

QUIET_EVERY = 12  # steps
TICK_SECONDS = 0.25
WAITS = (0.0, 0.0, 0.1, 0.8, 2.1, 3.1, 6.0, 12.0)  # seconds
BARRIER = {"type": "Websocket", "push_type": "BNC1-barrier", "extra_params": {}}


class Walk:
    """One walk with a seed; raises AssertionError at the first thing that must not be.

    Time is frozen and passes only where the walk lets it.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        simulator: Simulator,
        *,
        freezer: FrozenDateTimeFactory,
        browsers: list[BrowserClient],
        caplog: pytest.LogCaptureFixture,
        seed: int,
    ) -> None:
        self._hass, self._entry, self._simulator = hass, entry, simulator
        self._freezer, self._browsers, self._caplog = freezer, browsers, caplog
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        # Time limits would hide that a call was not terminated.
        simulator.rtc.settings.view_seconds = simulator.rtc.settings.call_seconds = 3600.0
        self._model = Model(reported=Reported(hass))
        self.trace = deque[str](maxlen=20)  # the latest actions
        self._last_runtime: RuntimeData = entry.runtime_data
        self._tasks: list[asyncio.Task[None]] = []
        self._is_disturbed = False  # the connection for pushes, or the account, was interrupted
        self._step_actions: set[str] = set()
        self._may_stay_open: set[str] = set()  # sessions whose terminate may have been lost
        self._step_rings: list[Ring] = []
        self._step_ends: list[Ring] = []
        self._step_presses: Counter[str] = Counter()
        self._offers = 0
        self._rang_at: dict[str, float] = {}
        self._online_since = hass.loop.time()
        panels, doors = simulator.house.panels(), simulator.house.doors()
        self._cameras = [self._entity_id("camera", each.id, "camera") for each in panels]
        self._locks = {self._entity_id("lock", each.id, "lock"): each.id for each in doors}
        self._unavailable = self._unavailable_entities()

    async def run(self, steps: int) -> None:
        """Do so many steps, and check that everything ends every now and then."""
        for step in range(1, steps + 1):
            for _ in range(self._rng.choice((1, 1, 2, 3))):
                action = self._rng.choices(*zip(*self._actions(), strict=True))[0]
                self.trace.append(action.__name__)
                self._step_actions.add(action.__name__)
                await action()
                await self._run_loop()
            self.trace.append("settle")
            await self._settle()
            self._check_always()
            await self._pass_time(self._rng.choice(WAITS))
            if step % QUIET_EVERY == 0 or step == steps:
                await self._quiet_down()

    def _actions(self) -> list[tuple[Callable[[], Awaitable[None]], int]]:
        return [
            (self._ring, 10),
            (self._end_ring, 6),
            (self._repeat_ring, 2),
            (self._open_view, 12),
            (self._close_view, 6),
            (self._end_view_at_intercom, 2),
            (self._act_on_camera, 4),
            (self._open_door, 5),
            (self._cut_push, 2),
            (self._cut_signaling, 3),
            (self._change_intercom, 2),
            (self._reload, 2),
            (self._change_option, 1),
        ]

    async def _ring(self) -> None:
        """Ring at a panel; each push may be missing, doubled, late or out of order."""
        choose = self._rng.choice
        panel = choose(self._simulator.house.panels())
        has_offer, has_status = choose(((True, True), (True, True), (True, False), (False, True)))
        late = choose((0.0, 0.0, 0.0, 1800.0)) if has_status else 0.0
        doorbell = self._doorbell(panel.id, has_offer=has_offer)
        now = self._hass.loop.time()
        if now - self._rang_at.get(doorbell, 0.0) < 3.0 or len(self._simulator.calls) > 3:
            return  # of two events in the same moment, only one can be counted
        self._rang_at[doorbell] = now
        call = self._simulator.ring(
            panel.id,
            offer=has_offer,
            status=has_status,
            status_first=bool(late) or choose((True, False)),
            receivers=choose((1, 2)),
            pictures=choose((True, False)),
            late=late,
        )
        is_dated = has_status or now - self._online_since > BACKLOG_SECONDS
        ring = Ring(
            call=call, doorbell=doorbell, must_ring=is_dated and not late, may_ring=not late
        )
        self._model.rings.append(ring)
        self._step_rings.append(ring)

    async def _end_ring(self) -> None:
        """A phone answers, or the call ends, with or without a push."""
        ring = self._open_ring()
        if ring is None:
            return
        call, simulator = ring.call, self._simulator
        kind = self._rng.choice(("answer", "answer", "hang_up", "miss", "silence"))
        if kind == "answer":
            simulator.answer_elsewhere(call)
        elif kind == "hang_up":
            self._hang_up_at_intercom(ring)
        elif kind == "miss" and not call.answered:
            ring.is_missed = True
            self._step_ends.append(ring)
            simulator.miss(call)
        elif kind == "silence" and not call.answered:
            simulator.end_silently(call)

    async def _repeat_ring(self) -> None:
        """Push the ring of an earlier call again."""
        if self._model.rings:
            call = self._rng.choice(self._model.rings).call
            if call.announced:
                self._simulator._push_incoming(call)

    async def _open_view(self) -> None:
        browser = self._rng.choice(self._browsers)
        browser.camera = self._rng.choice(self._cameras)
        self._offers += 100  # far from the versions in the captured offers
        name = self._rng.choice(("chromium_watch", "chromium_talk"))
        sdp = offer(name, version=self._offers)
        view = await browser.try_view(sdp)
        if view is not None:
            origin = sdp.splitlines()[1]
            self._model.views.append(View(origin=origin, messages=view.messages, browser_view=view))

    async def _close_view(self) -> None:
        if views := self._model.open_views:
            await self._leave(self._rng.choice(views))

    async def _leave(self, view: View) -> None:
        await view.browser_view.close()
        view.left_after = len(view.messages)

    async def _end_view_at_intercom(self) -> None:
        if sessions := self._simulator.rtc.open:
            self._simulator.rtc.end_view(self._rng.choice(sessions))

    async def _act_on_camera(self) -> None:
        """Hang up, decline or switch the panel; refused where there is no call."""
        action = self._rng.choice(("hang_up", "decline_ring", "next_panel"))
        self._start(self._try_action(DOMAIN, action, self._rng.choice(self._cameras)))

    async def _open_door(self) -> None:
        """Press once, or twice at the same moment."""
        lock = self._rng.choice([*self._locks])
        self._model.presses.setdefault(lock, Presses()).at_most += 1
        for _ in range(self._rng.choice((1, 2))):
            self._start(self._press(lock))

    async def _press(self, lock: str) -> None:
        if await self._try_action("lock", "open", lock):
            self._step_presses[lock] += 1

    async def _try_action(self, domain: str, action: str, entity_id: str) -> bool:
        try:
            await call_action(self._hass, domain, action, entity_id)
        except HomeAssistantError:
            return False
        return True

    async def _cut_push(self) -> None:
        self._is_disturbed = True
        await self._cut(PUSH)

    async def _cut_signaling(self) -> None:
        await self._cut(SIGNALING)

    async def _cut(self, path: str) -> None:
        """Cut the connections, and wait until both sides have noticed it."""
        for connection in tuple(self._simulator.connections):
            if connection.path == path:
                connection.drop()
                await wait_until(lambda: connection not in self._simulator.connections)  # noqa: B023 - awaited here

    async def _change_intercom(self) -> None:
        settings, choose = self._simulator.rtc.settings, self._rng.choice
        settings.ack_delay = choose((0.0, 0.0, 1.0, 12.0))
        settings.answer_delay = choose((0.0, 0.0, 3.0, 26.0))
        settings.refuse_offers = choose((None, None, None, 41))
        settings.answer_twice = choose((False, True))
        settings.broadcast_frames = choose((False, True))

    async def _reload(self) -> None:
        self._is_disturbed = True
        if self._entry.state is ConfigEntryState.LOADED:
            self._start(self._hass.config_entries.async_reload(self._entry.entry_id))

    async def _change_option(self) -> None:
        """Save the form of the options, which reloads the account."""
        self._is_disturbed = True
        if self._entry.state is not ConfigEntryState.LOADED:
            return
        options = self._hass.config_entries.options
        form = await options.async_init(self._entry.entry_id)
        chosen = {CONF_HISTORY: {}, CONF_PULSE_TIME: self._rng.randrange(2, 9)}
        self._start(options.async_configure(form["flow_id"], chosen))

    async def _run_loop(self) -> None:
        for _ in range(self._rng.randrange(40)):
            await asyncio.sleep(0)

    def _start(self, work: Coroutine[Any, Any, object]) -> None:
        async def run() -> None:
            await work

        self._tasks.append(self._hass.loop.create_task(run()))

    async def _settle(self) -> None:
        """Wait until the account is connected and has received everything; update the model."""
        await self._until(lambda: all(task.done() for task in self._tasks) and self._is_online)
        await self._until(lambda: self._runtime.live.viewers == len(self._model.open_views))
        for task in self._tasks:
            task.result()
        self._tasks.clear()
        if self._is_disturbed:
            self._online_since = self._hass.loop.time()
            for ring in self._step_rings:
                ring.must_ring = False
        else:
            for ring in self._step_ends:
                ring.is_end_pushed = True
        for lock, count in self._step_presses.items():
            opened = self._openings()[lock]
            presses = self._model.presses[lock]
            presses.at_least = min(opened, presses.at_most)
            assert self._is_disturbed or count == 0 or opened
        if "_cut_signaling" in self._step_actions and self._is_disturbed:
            # A reload waits only a moment for the terminates that need a new connection.
            self._may_stay_open |= {session.id for session in self._simulator.rtc.open}
        self._is_disturbed = False
        for collection in (
            self._step_actions,
            self._step_rings,
            self._step_ends,
            self._step_presses,
        ):
            collection.clear()

    def _unterminated(self) -> list[Session]:
        """Return the open sessions, except those whose ids were lost with a connection."""
        answered = [view.origin for view in self._model.views if "answer" in view.kinds]
        return [
            session
            for session in self._simulator.rtc.open
            if session.id not in self._may_stay_open
            and (
                session.connection in self._simulator.connections
                or any(origin in session.sdp for origin in answered)
            )
        ]

    async def _until(
        self, condition: Callable[[], object], *, tick: float = TICK_SECONDS, ticks: int = 400
    ) -> None:
        """Let time pass, but no faster than frames arrive, until a condition holds."""
        for _ in range(ticks):
            await self._deliver()
            if condition():
                return
            if self._needs_time:
                self._tick(tick)
            else:
                await wait_until(lambda: self._needs_time)
        raise AssertionError("the condition does not come true")

    @property
    def _needs_time(self) -> bool:
        """Whether something may wait for time to pass; a reload waits only for its calls' ends."""
        is_loaded = self._entry.state is ConfigEntryState.LOADED
        return is_loaded or self._runtime.live.channel.in_use

    async def _pass_time(self, seconds: float) -> None:
        self._tick(seconds)
        await self._deliver()

    def _tick(self, seconds: float) -> None:
        self._freezer.tick(seconds)
        async_fire_time_changed(self._hass)

    async def _deliver(self) -> None:
        """Wait until the frames on all connections have been handled."""
        for browser in self._browsers:
            await browser.request({"type": "ping"})
        if self._entry.state is not ConfigEntryState.LOADED:
            return
        push = self._runtime.push
        skip_backoff(push)
        skip_backoff(self._runtime.live.channel)
        busy = {SocketState.CONNECTING, SocketState.SUBSCRIBING}
        await wait_until(lambda: push.socket.state not in busy)
        if self._is_online:
            seen = push.counters["unknown"]
            self._simulator.push(BARRIER)
            await wait_until(lambda: push.counters["unknown"] > seen or not push.is_online)

    @property
    def _runtime(self) -> RuntimeData:
        """The parts of the account; during a reload, those from before."""
        self._last_runtime = getattr(self._entry, "runtime_data", self._last_runtime)
        return self._last_runtime

    @property
    def _is_online(self) -> bool:
        if self._entry.state is not ConfigEntryState.LOADED or not self._runtime.push.is_online:
            return False
        return any(map(self._simulator.receives_pushes, self._simulator.connections))

    def _check_always(self) -> None:
        assert logged_errors(self._caplog.records) == []
        assert self._simulator.violations == []
        self._model.check_rings(is_quiet=False)
        self._model.check_doors(self._openings())
        for view in self._model.views:
            view.check()
        counters = self._runtime.push.socket.counters + self._runtime.push.counters
        assert not counters["failed_frames"] + counters["failed_listeners"] + counters["faults"]

    async def _quiet_down(self) -> None:
        """Let everything end, and check that it did."""
        self._simulator.rtc.settings.ack_delay = 0.0
        for view in self._model.open_views:
            await self._leave(view)
        for ring in self._model.rings:
            if ring.call.session_id in self._simulator.calls:
                self._hang_up_at_intercom(ring)
        await self._settle()
        live = self._runtime.live
        await self._until(lambda: not (live.channel.in_use or self._unterminated()))
        await self._until_calls_end()
        await self._until(lambda: not self._background_tasks)
        await self._hass.async_block_till_done()
        self._check_always()
        self._model.check_rings(is_quiet=True)
        self._model.check_ends()
        self._model.check_history(await calls_of(self._hass))
        assert self._unavailable_entities() == self._unavailable

    async def _until_calls_end(self) -> None:
        """Calls whose end was pushed end soon, the others in the end; some wait for a push."""
        pushed = {r.call.session_id for r in self._model.rings if r.is_end_pushed}
        await self._until(lambda: not pushed & self._in_progress, ticks=40)
        await self._until(lambda: not self._in_progress, tick=10.0)
        await self._pass_time(STATUS_WAIT_SECONDS + 1)

    @property
    def _in_progress(self) -> set[str]:
        return {call.session_id for call in self._runtime.calls.in_progress}

    @property
    def _background_tasks(self) -> list[asyncio.Future[Any]]:
        return [t for t in self._hass._background_tasks if "push socket" not in repr(t)]

    def _hang_up_at_intercom(self, ring: Ring) -> None:
        self._step_ends.append(ring)
        self._simulator.hang_up(ring.call)

    def _open_ring(self) -> Ring | None:
        open_ = [r for r in self._model.rings if r.call.session_id in self._simulator.calls]
        return self._rng.choice(open_) if open_ else None

    def _doorbell(self, panel_id: str, *, has_offer: bool) -> str:
        """Return the event entity of a ring; only an offer names one of several panels."""
        (bridge_id,) = [p.bridge for p in self._simulator.house.panels() if p.id == panel_id]
        is_known = has_offer or len(self._simulator.rtc.panels(str(bridge_id))) == 1
        return self._entity_id("event", panel_id if is_known else str(bridge_id), "doorbell")

    def _openings(self) -> Counter[str]:
        opened = Counter(opening.module_id for opening in self._simulator.openings)
        return Counter({lock: opened[door_id] for lock, door_id in self._locks.items()})

    def _unavailable_entities(self) -> list[str]:
        states = self._hass.states.async_all()
        return sorted(each.entity_id for each in states if each.state == "unavailable")

    def _entity_id(self, domain: str, module_id: str, key: str) -> str:
        registry = er.async_get(self._hass)
        found = registry.async_get_entity_id(domain, DOMAIN, unique_id(self._entry, module_id, key))
        assert found is not None
        return found
