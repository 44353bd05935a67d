"""What a person sees in Home Assistant and presses there, over the connection of its frontend."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
import itertools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    type Json = dict[str, Any]

CONNECTION: Final = "binary_sensor.classe_300x_bell_connection"
BELL: Final = "binary_sensor.posto_esterno_strada_bell"
DOORBELL: Final = "event.posto_esterno_strada_doorbell"
LOCK: Final = "lock.cancello"
LIMIT: Final = 180.0  # seconds, for what should appear


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A state that was shown, and when by the loop's clock."""

    at: float
    entity: str
    state: str
    attributes: Json


class Screen:
    """Follows all states, and calls actions."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._results: dict[int, asyncio.Future[Json]] = {}
        self._changed = asyncio.Event()
        self.seen: list[Seen] = []
        self.now: dict[str, Seen] = {}

    async def follow(self) -> None:
        """Read until cancelled."""
        async for message in self._socket:
            frame = message.json()
            if frame["type"] == "event":
                self._on_event(frame["event"]["data"])
            elif (result := self._results.pop(frame.get("id"), None)) is not None:
                result.set_result(frame)

    async def start(self) -> None:
        """Take the states as they are, and follow them from now on."""
        await self.command("subscribe_events", event_type="state_changed")
        for state in (await self.command("get_states"))["result"]:
            if state["entity_id"] not in self.now:  # what has changed meanwhile is newer
                self._on_event({"entity_id": state["entity_id"], "new_state": state})

    async def command(self, command: str, **fields: object) -> Json:
        """Send a command and return its whole result."""
        number = next(self._numbers)
        result: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._results[number] = result
        await self._socket.send_json({"id": number, "type": command, **fields})
        return await result

    async def open_door(self) -> str:
        """Press open; return "opened", or the message that is shown."""
        domain, action = "lock", "open"
        target = {"entity_id": LOCK}
        result = await self.command("call_service", domain=domain, service=action, target=target)
        return "opened" if result["success"] else str(result["error"]["message"])

    async def until(
        self, entity: str, condition: Callable[[Seen], bool], limit: float = LIMIT
    ) -> Seen | None:
        """Wait until an entity is in a state, and return it; None if it does not come in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while entity not in self.now or not condition(self.now[entity]):
                    self._changed.clear()
                    await self._changed.wait()
                return self.now[entity]
        return None

    def first_since(self, at: float, entity: str, state: str) -> Seen | None:
        """The first time since a moment that an entity came into a state."""
        fitting = (each for each in self.seen if (each.entity, each.state) == (entity, state))
        return next((each for each in fitting if each.at >= at), None)

    async def wait_for_ring(self, since: float, limit: float) -> Seen | None:
        """Wait until a ring is shown, and return it; None if none is in time."""
        await self.until(DOORBELL, lambda _: bool(self.rings_since(since)), limit)
        return next(iter(self.rings_since(since)), None)

    def rings_since(self, at: float) -> list[Seen]:
        """The rings that were shown at the doorbell since a moment."""
        no_event = {"unknown", "unavailable"}
        return [
            each
            for each in self.seen
            if each.entity == DOORBELL and each.at >= at and each.state not in no_event
        ]

    def _on_event(self, data: Json) -> None:
        state = data["new_state"]
        if state is None:
            return
        at = asyncio.get_running_loop().time()
        seen = Seen(
            at=at,
            entity=data["entity_id"],
            state=state["state"],
            attributes=state["attributes"],
        )
        if (before := self.now.get(seen.entity)) is None or before.state != seen.state:
            self.seen.append(seen)
        self.now[seen.entity] = seen
        self._changed.set()
