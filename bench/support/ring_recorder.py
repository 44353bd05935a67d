"""Rings, and when each reaches Home Assistant's states."""

import asyncio
from asyncio.subprocess import PIPE
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
import sys
import time
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from aiohttp.client_proto import ResponseHandler
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er

from custom_components.bticino_classe.client import CallEventType

from .cloud import ROOT
from .home_assistant import entry_of, runtime_of
from .waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import Event, EventStateChangedData, HomeAssistant

    from custom_components.bticino_classe.client import CallChange

    from .cloud import Cloud

POLL_SECONDS: Final = 0.01
LOST_AFTER_SECONDS: Final = 60.0  # without another ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A ring in Home Assistant, in epoch seconds.

    `read`: the event loop read the bytes from the socket. `shown`: the doorbell's state was
    written. `done`: the states of all entities were written.
    """

    read: float
    shown: float
    done: float


class RingRecorder:
    """Rings at the simulated panels, and records the rings that reach Home Assistant."""

    def __init__(self, hass: HomeAssistant, cloud: Cloud) -> None:
        entities = er.async_entries_for_config_entry(er.async_get(hass), entry_of(hass).entry_id)
        self._doorbells = {e.entity_id for e in entities if e.unique_id.endswith("-doorbell")}
        self._cloud = cloud
        self._frames_read = runtime_of(hass).push.socket.counters
        self._shown = self._read = 0.0
        self._missed = 0
        self.state_changes = 0
        self.rings: dict[str, Ring] = {}

    def clear(self) -> None:
        """Forget the rings so far, here and at the cloud."""
        self.rings.clear()
        self.state_changes = 0
        self._cloud.reset()

    async def ring(self, *, pictures: bool) -> None:
        """Ring once and wait for the ring; from a thread, as starting a process blocks the loop."""
        expected = len(self.rings) + 1
        await asyncio.to_thread(partial(self._cloud.ring, pictures=pictures))
        await wait_until(lambda: len(self.rings) >= expected)

    async def miss(self) -> None:
        """End the call as missed, and wait for that."""
        expected = self._missed + 1
        await asyncio.to_thread(self._cloud.miss)
        await wait_until(lambda: self._missed >= expected)

    async def generate(self, count: int, *options: str) -> float:
        """Ring from a separate process, wait for the rings; return the seconds it took to ring."""
        expected = len(self.rings) + count
        command = ("-m", "bench.support.ring_generator", self._cloud.url, "--rings", str(count))
        generator = await asyncio.create_subprocess_exec(
            sys.executable, *command, *options, cwd=ROOT, stdout=PIPE
        )
        output, _ = await generator.communicate()
        assert generator.returncode == 0, output
        await self._wait_for_rings(expected)
        await self.read_all()
        return float(output)

    async def read_all(self) -> None:
        """Wait until all sent pushes have been read, so that the work they cause has begun."""
        sent = await asyncio.to_thread(self._cloud.pushes_sent)
        await wait_until(lambda: self._frames_read["frames"] >= sent)

    async def _wait_for_rings(self, expected: int) -> None:
        """Wait until the expected number of rings has arrived, or no more arrive."""
        found, since = len(self.rings), time.monotonic()
        while found < expected and time.monotonic() - since < LOST_AFTER_SECONDS:
            await asyncio.sleep(POLL_SECONDS)
            if len(self.rings) > found:
                found, since = len(self.rings), time.monotonic()

    @callback
    def on_state(self, event: Event[EventStateChangedData]) -> None:
        """Record when the state of a doorbell changed."""
        if event.data["entity_id"] in self._doorbells:
            self._shown = time.time()
            self.state_changes += 1

    @callback
    def on_change(self, change: CallChange) -> None:
        """Record a ring or a missed call; entities have handled it, as they listened before."""
        if change.type is CallEventType.RING:
            ring = Ring(read=self._read, shown=self._shown, done=time.time())
            self.rings[change.call.session_id] = ring
        self._missed += change.type is CallEventType.MISSED

    def on_bytes(self) -> None:
        """Record when bytes arrived at a socket."""
        self._read = time.time()


@contextmanager
def record_rings(hass: HomeAssistant, cloud: Cloud) -> Iterator[RingRecorder]:
    """Record rings; the account has to be set up."""
    recorder, receive = RingRecorder(hass, cloud), ResponseHandler.data_received

    def data_received(self: ResponseHandler, data: bytes) -> None:
        recorder.on_bytes()
        receive(self, data)

    with patch.object(ResponseHandler, "data_received", data_received):
        stop_states = hass.bus.async_listen(EVENT_STATE_CHANGED, recorder.on_state)
        stop_calls = runtime_of(hass).calls.async_listen(recorder.on_change)
        try:
            yield recorder
        finally:
            stop_states()
            stop_calls()
