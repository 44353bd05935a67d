"""Commands to a home's modules: one at a time per home, doors first, nothing late."""

import asyncio
from bisect import insort
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING, Final

from homeassistant.core import Context, HomeAssistant, callback

from .client import (
    BticinoError,
    CommandRefusedError,
    Deadline,
    DeadlineExpiredError,
    Home,
    Module,
    ModuleKind,
    OutcomeUnknownError,
    UnreachableError,
)
from .const import CONF_DOOR_CODES, CONF_PULSE_TIME, DEFAULT_PULSE_TIME
from .errors import refused
from .pulses import DoorPulses

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
    from contextlib import AbstractAsyncContextManager

    from homeassistant.config_entries import ConfigEntry

    from .client import PushChannel
    from .coordinator import BticinoCoordinator

    type SettingChange = Callable[
        [Home, Module, Deadline, AbstractAsyncContextManager[None]], Awaitable[None]
    ]

COMMAND_SECONDS: Final = 15.0  # from the press until the answer; nothing is sent after it
PUSH_WAIT_SECONDS: Final = 5.0  # for which a door or a light waits for the push connection
SETTING_GRACE_SECONDS: Final = 3.0  # for which a door waits while a setting is being written


def door_code(entry: ConfigEntry, door_id: str) -> str | None:
    """Return the code without which a door is not opened; None if it has none."""
    code: str | None = entry.options.get(CONF_DOOR_CODES, {}).get(door_id)
    return code


class Commands:
    """Sends every command of an account, each once and before its deadline.

    The cloud refuses two commands for one home at the same time. Methods raise BticinoError;
    DeadlineExpiredError means that nothing was sent.
    """

    def __init__(
        self, hass: HomeAssistant, coordinator: BticinoCoordinator, push: PushChannel
    ) -> None:
        self._hass = hass
        self._coordinator = coordinator
        self._push = push
        self._queues: defaultdict[str, _HomeQueue] = defaultdict(_HomeQueue)
        self._setting_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._openings: dict[str, _Opening] = {}
        self._in_progress: set[asyncio.Future[None]] = set()
        self.pulses = DoorPulses.of(hass, coordinator.config_entry.entry_id)

    async def async_open(
        self, door: Module, *, code: str | None = None, context: Context | None = None
    ) -> None:
        """Open a door; a press while the same door is being opened joins that opening.

        ServiceValidationError: the door has another code than the one given.
        Without callers an opening that was not sent yet is withdrawn; one that was sent goes on, so
        that another press cannot open twice.
        """
        self._check_code(door, code)
        opening = self._openings.get(door.id)
        if opening is None or opening.task.done():
            opening = self._openings[door.id] = self._begin_opening(door, context)
        opening.callers += 1
        try:
            await asyncio.wait([opening.task])
        finally:
            opening.callers -= 1
            if not opening.callers and not opening.task.done() and opening.deadline.withdraw():
                del self._openings[door.id]
                opening.task.cancel()
        opening.task.result()

    async def async_settle(self) -> None:
        """Wait until no command is on its way: after a reload, a relay may be a door.

        The outcome of an opening would be unknown then.
        """
        while self._in_progress:
            await asyncio.wait(self._in_progress)

    async def async_switch_light(self, light: Module, *, on: bool) -> None:
        """Switch a staircase light."""
        deadline, account = self._deadline(), self._coordinator.account
        with self._command_in_progress():
            await self._wait_for_push()
            async with self._turn(light, _Priority.LIGHT, deadline):
                home, light = self._target(light)
                with self._outcome():
                    await account.switch_light(home, light, on=on, deadline=deadline)

    async def async_change_setting(self, bridge: Module, change: SettingChange) -> None:
        """Change a setting; doors wait only while it is being written, and not for long.

        `change` gets the home, the intercom, the deadline and a lock to hold while it writes.
        """
        deadline = self._deadline()
        async with _locked(self._setting_locks[bridge.home_id], deadline):
            home, bridge = self._target(bridge)
            with self._outcome():
                await change(home, bridge, deadline, self._write_lock(bridge, deadline))

    def _check_code(self, door: Module, code: str | None) -> None:
        expected = door_code(self._coordinator.config_entry, door.id)
        if expected is not None and not compare_digest(expected.encode(), (code or "").encode()):
            raise refused("wrong_code")

    def _begin_opening(self, door: Module, context: Context | None) -> _Opening:
        deadline = self._deadline()
        task = self._hass.async_create_task(
            self._async_open(door, deadline, context), f"bticino_classe open {door.id}"
        )
        task.add_done_callback(_retrieve_exception)
        return _Opening(task=task, deadline=deadline)

    async def _async_open(self, door: Module, deadline: Deadline, context: Context | None) -> None:
        with self._command_in_progress():
            await self._wait_for_push()
            async with self._turn(door, _Priority.DOOR, deadline):
                home, door = self._target(door)
                with self._outcome():
                    await self._send_opening(home, door, deadline)
            options = self._coordinator.config_entry.options
            seconds = options.get(CONF_PULSE_TIME, DEFAULT_PULSE_TIME)
            self.pulses.async_begin(door.id, seconds, context)

    async def _send_opening(self, home: Home, door: Module, deadline: Deadline) -> None:
        account = self._coordinator.account
        if door.kind is ModuleKind.DOOR:
            await account.unlock(home, door, deadline=deadline)
        else:  # a relay that is wired to a door
            await account.switch_light(home, door, on=True, deadline=deadline)

    @contextmanager
    def _command_in_progress(self) -> Iterator[None]:
        """Let `async_settle` wait for the end of this context."""
        done = self._hass.loop.create_future()
        self._in_progress.add(done)
        try:
            yield
        finally:
            self._in_progress.remove(done)
            done.set_result(None)

    async def _wait_for_push(self) -> None:
        """Wait a moment for the push connection, then go on without it.

        Without one, the cloud was seen to refuse commands (protocol.md 3.4).
        """
        if self._hass.is_stopping:  # the connection has ended for good
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PUSH_WAIT_SECONDS):
                await self._push.wait_online()

    @asynccontextmanager
    async def _turn(
        self, module: Module, priority: _Priority, deadline: Deadline
    ) -> AsyncGenerator[_HomeQueue]:
        """Hold the queue of a module's home; waiting for it ends with the deadline."""
        async with _in_time(deadline):
            queue = await self._acquire(module, priority)
        try:
            yield queue
        finally:
            queue.release()

    async def _acquire(self, module: Module, priority: _Priority) -> _HomeQueue:
        """Wait for the queue of the home that a module is in by then."""
        while True:
            queue = self._queue_of(module)
            await queue.acquire(priority)
            if queue is self._queue_of(module):
                return queue
            queue.release()

    def _queue_of(self, module: Module) -> _HomeQueue:
        return self._queues[self._coordinator.data.modules.get(module.id, module).home_id]

    @asynccontextmanager
    async def _write_lock(self, bridge: Module, deadline: Deadline) -> AsyncGenerator[None]:
        """Hold a home's queue while a setting is written; a door that waits cuts it short."""
        async with self._turn(bridge, _Priority.SETTING, deadline) as queue:
            try:
                async with asyncio.timeout(None) as timeout:
                    queue.set_interruptible(timeout)
                    yield
            except TimeoutError:
                raise OutcomeUnknownError from None

    def _target(self, module: Module) -> tuple[Home, Module]:
        """Return a module and its home as they are now; UnreachableError if it is offline."""
        house = self._coordinator.data
        module = house.modules.get(module.id, module)
        home = house.homes.get(module.home_id)
        if home is None or not house.reachable(module.id):
            raise UnreachableError
        return home, module

    @contextmanager
    def _outcome(self) -> Generator[None]:
        """Pass a command's outcome to the coordinator."""
        try:
            yield
        except BticinoError as err:
            if isinstance(err, CommandRefusedError | UnreachableError):
                self._coordinator.async_note_answer()
            self._coordinator.async_handle_error(err)
            raise
        self._coordinator.async_note_answer()

    def _deadline(self) -> Deadline:
        return Deadline(self._hass.loop.time() + COMMAND_SECONDS)


@dataclass(slots=True, kw_only=True)
class _Opening:
    """A door that is being opened, and how many callers wait for it."""

    task: asyncio.Task[None]
    deadline: Deadline
    callers: int = 0


class _Priority(IntEnum):
    """What waits for a home is sent in this order."""

    DOOR = 0
    LIGHT = 1
    SETTING = 2


class _HomeQueue:
    """A lock whose waiters get it by priority, then in their order."""

    def __init__(self) -> None:
        self._interruptible: asyncio.Timeout | None = None
        self._is_held = False
        self._numbers = count()
        self._waiting: list[tuple[_Priority, int, asyncio.Future[None]]] = []

    async def acquire(self, priority: _Priority) -> None:
        """Wait for the lock; a door shortens the wait for a setting."""
        if not self._is_held:
            self._is_held = True
            return
        if priority is _Priority.DOOR:
            self._interrupt_soon()
        loop = asyncio.get_running_loop()
        waiter = (priority, next(self._numbers), loop.create_future())
        insort(self._waiting, waiter)
        try:
            await waiter[2]
        except asyncio.CancelledError:
            if not waiter[2].cancelled():
                self.release()  # it was handed over just before the cancellation
            raise

    def release(self) -> None:
        """Hand the lock over to the next waiter."""
        self._interruptible = None
        while self._waiting:
            *_, turn = self._waiting.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._is_held = False

    def set_interruptible(self, timeout: asyncio.Timeout) -> None:
        """Let doors shorten the holder's work, also one that waits already."""
        self._interruptible = timeout
        if any(priority is _Priority.DOOR for priority, *_ in self._waiting):
            self._interrupt_soon()

    def _interrupt_soon(self) -> None:
        timeout, loop = self._interruptible, asyncio.get_running_loop()
        if timeout is not None and timeout.when() is None:
            timeout.reschedule(loop.time() + SETTING_GRACE_SECONDS)


@asynccontextmanager
async def _in_time(deadline: Deadline) -> AsyncGenerator[None]:
    """Raise DeadlineExpiredError if the deadline passes in the block, where nothing is sent."""
    try:
        async with asyncio.timeout_at(deadline.at):
            yield
    except TimeoutError:
        raise DeadlineExpiredError from None


@asynccontextmanager
async def _locked(lock: asyncio.Lock, deadline: Deadline) -> AsyncGenerator[None]:
    async with _in_time(deadline):
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()


@callback
def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Mark the exception as retrieved; all callers may have been cancelled."""
    if not task.cancelled():
        task.exception()
