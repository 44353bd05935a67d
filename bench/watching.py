"""Rings that are pressed in one process and watched for in Home Assistant's states."""

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

from custom_components.bticino_classe.client.calls import CallEventType

from .cloud import ROOT
from .home import entry_of
from .settling import look_again

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import Event, EventStateChangedData, HomeAssistant

    from custom_components.bticino_classe.client.calls import CallChange

    from .cloud import Cloud

LOOK_SECONDS: Final = 0.01
LOST_AFTER: Final = 60.0  # seconds without any further ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One ring in Home Assistant, all in epoch seconds.

    `read` is when the event loop took the bytes from the socket, `shown` when the doorbell's state
    was in the state machine, `done` when every entity had written what the ring changes.
    """

    read: float
    shown: float
    done: float


class Watcher:
    """Notes every ring that reaches the state machine, by session."""

    def __init__(self, hass: HomeAssistant) -> None:
        entry = entry_of(hass)
        entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        self._doorbells = {e.entity_id for e in entities if e.unique_id.endswith("-doorbell")}
        self._shown = self._read = 0.0
        self.states = self.missed = 0
        self.seen: dict[str, Seen] = {}
        self._counters = entry.runtime_data.push.socket.counters

    async def all_read(self, cloud: Cloud) -> None:
        """Wait until every push that was sent has been read, and its effects have begun."""
        sent = await asyncio.to_thread(cloud.frames_sent)
        await look_again(lambda: self._counters["frames"] >= sent)

    @callback
    def on_state(self, event: Event[EventStateChangedData]) -> None:
        """Note the moment at which a doorbell's state changed."""
        if event.data["entity_id"] in self._doorbells:
            self._shown = time.time()
            self.states += 1

    @callback
    def on_change(self, change: CallChange) -> None:
        """Note a ring or its end, after all entities: they listened before."""
        if change.type is CallEventType.RING:
            self.seen[change.call.session_id] = Seen(
                read=self._read, shown=self._shown, done=time.time()
            )
        self.missed += change.type is CallEventType.MISSED

    def on_bytes(self) -> None:
        """Note the moment at which bytes came from a socket."""
        self._read = time.time()


@contextmanager
def watching(hass: HomeAssistant) -> Iterator[Watcher]:
    """Watch; the entities have to be there already."""
    watcher, receive = Watcher(hass), ResponseHandler.data_received

    def data_received(self: ResponseHandler, data: bytes) -> None:
        watcher.on_bytes()
        receive(self, data)

    with patch.object(ResponseHandler, "data_received", data_received):
        stop = hass.bus.async_listen(EVENT_STATE_CHANGED, watcher.on_state)
        forget = entry_of(hass).runtime_data.calls.async_listen(watcher.on_change)
        try:
            yield watcher
        finally:
            stop()
            forget()


async def ring(hass: HomeAssistant, cloud: Cloud, watcher: Watcher, *, pictures: bool) -> None:
    """Ring once, from a thread: to start a process would hold the event loop; wait for the ring."""
    wanted = len(watcher.seen) + 1
    await hass.async_add_executor_job(partial(cloud.ring, pictures=pictures))
    await look_again(lambda: len(watcher.seen) >= wanted)


async def miss(hass: HomeAssistant, cloud: Cloud, watcher: Watcher) -> None:
    """Let the call be missed, and wait until it is known."""
    wanted = watcher.missed + 1
    await hass.async_add_executor_job(cloud.miss)
    await look_again(lambda: watcher.missed >= wanted)


async def press(cloud: Cloud, watcher: Watcher, rings: int, *options: str) -> float:
    """Press the bell so often, wait for the rings, and return the seconds the pressing took."""
    command = ("-m", "bench.presser", cloud.url, "--rings", str(rings), *options)
    wanted = len(watcher.seen) + rings
    presser = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stdout=PIPE)
    said, _ = await presser.communicate()
    assert presser.returncode == 0, said
    await _arrival(watcher, wanted)
    await watcher.all_read(cloud)
    return float(said)


async def _arrival(watcher: Watcher, wanted: int) -> None:
    """Wait until so many rings have been seen, or no more come."""
    found, since = len(watcher.seen), time.monotonic()
    while found < wanted and time.monotonic() - since < LOST_AFTER:
        await asyncio.sleep(LOOK_SECONDS)
        if len(watcher.seen) > found:
            found, since = len(watcher.seen), time.monotonic()
