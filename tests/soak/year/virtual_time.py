"""One time for two processes: it stands still while either works, and jumps to the next timer.

The leader (the story and the simulated cloud) and the follower (Home Assistant) each have an event
loop whose selector asks, once nothing is left to do, whether the other has anything left. If not,
both get the time of the earliest timer of both. So nothing depends on the speed of the machine.

While Home Assistant starts or stops, which it partly does outside its event loop, time runs.
"""

from abc import abstractmethod
import asyncio
from contextlib import contextmanager, suppress
from enum import IntEnum
import math
import random
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Final

import time_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

type Events = list[tuple[selectors.SelectorKey, int]]

#: `time.monotonic()` at the start of the story.
FIRST_MONOTONIC: Final = 1_000.0
NOW: Final = 0.0
PASSED: Final = 1e-6  # seconds after a timer, so that rounding leaves none behind
TICK: Final = 0.05  # longest real wait while time runs, in seconds


class Order(IntEnum):
    """What the leader sends; each comes with a number."""

    ASK = 1  # answer as soon as nothing is left to do
    SET = 2  # the time in seconds, monotonic
    SHIFT = 3  # set the wall clock alone forward or back, in seconds
    RUN = 4  # 1: let time run; 0: stop it


ORDER: Final = struct.Struct("<Bd")
#: The monotonic time, that of the next timer, and how often there was something to do.
ANSWER: Final = struct.Struct("<ddQ")


class VirtualClock:
    """The time of this process; `install` replaces the real one for everything in it."""

    def __init__(self, wall: float, monotonic: float) -> None:
        self._real = time.monotonic
        self._monotonic = monotonic
        self._since: float | None = None
        self._traveller = time_machine.travel(wall, tick=False).start()

    def install(self) -> None:
        """Replace `time.monotonic`; must be called before Home Assistant is imported."""
        time.monotonic = self.monotonic
        time.monotonic_ns = lambda: int(self.monotonic() * 1e9)
        # asyncio takes timers that are due within the clock's resolution. Half a year after the
        # start, that of the real clock is too small to change the number, and time stands still.
        clock = time.get_clock_info("monotonic")
        clock.resolution = PASSED
        setattr(time, "get_clock_info", lambda _: clock)  # noqa: B010 - a function cannot be assigned to

    @property
    def is_running(self) -> bool:
        """Whether time runs at the real rate."""
        return self._since is not None

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return self._monotonic + (0.0 if self._since is None else self._real() - self._since)

    def run(self, run: bool, since: float | None = None) -> None:
        """Let time run, also from a moment of the past in seconds of the real clock, or stop it."""
        self.catch_up()
        self._since = (self._real() if since is None else since) if run else None
        self.catch_up()

    def catch_up(self) -> float:
        """Set the wall clock to where running time has come; return the time of the real clock."""
        real = self._real()
        if self._since is not None:
            self._advance(real - self._since)
            self._since = real
        return real

    def set(self, monotonic: float) -> None:
        """Jump forward to a time; one of the past is ignored."""
        self.catch_up()
        self._advance(max(0.0, monotonic - self._monotonic))

    def shift(self, seconds: float) -> None:
        """Set the wall clock alone."""
        self._traveller.shift(seconds)

    def _advance(self, seconds: float) -> None:
        self._monotonic += seconds
        self._traveller.shift(seconds)


class _Selector(selectors.EpollSelector):
    """Counts the work of an event loop, and knows its next timer.

    What the other process sends is handled before the events of this one: what the leader did after
    it set the time happens at that time.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.activity = 0
        self._jobs = 0
        self._other: socket.socket | None = None

    def select(self, timeout: float | None = None) -> Events:
        """Return what is ready; without anything, wait for a timer in virtual time."""
        if timeout is not None and timeout <= 0:
            found = self._poll(NOW)
        elif self.clock.is_running:
            found = self._run(timeout)
        else:
            due = math.inf if timeout is None else self.clock.monotonic() + timeout
            found = self._wait(due)
        self.activity += 1
        return found

    def count_jobs(self) -> None:
        """Count what runs in threads for the event loops of this process."""
        run = asyncio.BaseEventLoop.run_in_executor

        def run_counted(loop: Any, *arguments: Any) -> asyncio.Future[Any]:
            job: asyncio.Future[Any] = run(loop, *arguments)
            self._jobs += 1
            job.add_done_callback(self._on_job_done)
            return job

        setattr(asyncio.BaseEventLoop, "run_in_executor", run_counted)  # noqa: B010 - a method cannot be assigned to

    def use_for_next_loop(self) -> None:
        """Make the next event loop use this selector."""
        default = selectors.DefaultSelector

        def use_once() -> selectors.BaseSelector:
            setattr(selectors, "DefaultSelector", default)  # noqa: B010 - a class cannot be assigned to
            return self

        setattr(selectors, "DefaultSelector", use_once)  # noqa: B010 - a class cannot be assigned to

    @property
    def is_working(self) -> bool:
        """Whether something runs in a thread."""
        return self._jobs > 0

    def _on_job_done(self, _: object) -> None:
        self._jobs -= 1

    def attach(self, other: socket.socket) -> None:
        """Share the time with another process."""
        self.register(other, selectors.EVENT_READ)
        self._other = other

    def _poll(self, timeout: float | None) -> Events:
        found = super().select(timeout)
        ours = [event for event in found if event[0].fileobj is not self._other]
        if len(ours) < len(found):
            self._receive()
        return ours

    def _send(self, data: bytes) -> None:
        if self._other is not None:
            with suppress(BrokenPipeError):  # it has ended; the next poll notices that
                self._other.send(data)

    def _run(self, timeout: float | None) -> Events:
        found = self._poll(TICK if timeout is None else min(timeout, TICK))
        self.clock.catch_up()
        return found

    @abstractmethod
    def _receive(self) -> None:
        """Handle what the other process has sent."""

    @abstractmethod
    def _wait(self, due: float) -> Events:
        """Return what is ready before a time, in seconds; time stands still."""


class Follower(_Selector):
    """The selector of Home Assistant's event loop."""

    _is_asked = False

    def _wait(self, due: float) -> Events:
        while True:
            if found := self._poll(NOW):
                return found
            if self._is_asked and not self.is_working:
                self._is_asked = False
                self._send(ANSWER.pack(self.clock.monotonic(), due, self.activity))
            found = self._poll(None)
            if found or self.clock.is_running or self.clock.monotonic() >= due:
                return found

    def _receive(self) -> None:
        assert self._other is not None
        with suppress(BlockingIOError):
            while data := self._other.recv(ORDER.size, socket.MSG_DONTWAIT):
                order, number = ORDER.unpack(data)
                match Order(order):
                    case Order.ASK:
                        self._is_asked = True
                    case Order.SET:
                        self.clock.set(number)
                    case Order.SHIFT:
                        self.clock.shift(number)
                    case Order.RUN:
                        self.clock.run(bool(number))
            raise SystemExit("the story has ended")


class Leader(_Selector):
    """The selector of the story's event loop; it decides how late it is."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self._is_asking = False
        self._answer: tuple[float, float, int] | None = None
        #: How often both processes were given a new time.
        self.jumps = 0

    def detach(self) -> None:
        """Go on alone."""
        if self._other is not None:
            self.unregister(self._other)
            self._other.close()
            self._other = self._answer = None
            self._is_asking = False

    def order(self, order: Order, number: float = 0.0) -> None:
        """Send an order to the follower, if there is one."""
        self._send(ORDER.pack(order, number))

    def run(self, run: bool) -> None:
        """Let time run in both processes, or stop it in both."""
        self.order(Order.RUN, run)
        self.clock.run(run)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let time run in a block."""
        self.run(True)
        try:
            yield
        finally:
            self.run(False)

    def _receive(self) -> None:
        assert self._other is not None
        try:
            data = self._other.recv(ANSWER.size)
        except ConnectionResetError:
            data = b""  # it was killed before it had read everything
        if not data:
            self.detach()
            return
        self._answer, self._is_asking = ANSWER.unpack(data), False
        # It stops a little later than this process when running time ends.
        self.clock.set(self._answer[0])

    def _wait(self, due: float) -> Events:
        known: tuple[float, float, int] | None = None
        while True:
            if found := self._poll(NOW):
                return found
            if self.is_working:
                return self._poll(None)
            if self._other is None:
                return self._jump_alone(due)
            answer = self._ask()
            if answer is None:
                continue
            if known is None or answer[2] != known[2]:
                known = answer
                continue
            target, known = min(due, answer[1]), None
            if math.isinf(target):
                return self._poll(None)
            self.jumps += 1
            self.clock.set(target + PASSED)
            self.order(Order.SET, self.clock.monotonic())
            if self.clock.monotonic() >= due:
                return []

    def _jump_alone(self, due: float) -> Events:
        if math.isinf(due):
            return self._poll(None)
        self.clock.set(due + PASSED)
        return []

    def _ask(self) -> tuple[float, float, int] | None:
        """Wait until the follower has nothing left to do; None: something is to do here."""
        if not self._is_asking:
            self._answer, self._is_asking = None, True
            self.order(Order.ASK)
        while self._other is not None and self._answer is None:
            if self._poll(None):
                return None  # the next poll returns the same again
        return self._answer


def lead(wall: float) -> Leader:
    """Replace the time of this process and return what leads it; for the next event loop."""
    clock = VirtualClock(wall, FIRST_MONOTONIC)
    clock.install()
    leader = Leader(clock)
    leader.count_jobs()
    leader.use_for_next_loop()
    return leader


def follow(
    wall: float, monotonic: float, since: float, orders: socket.socket, seed: int
) -> Follower:
    """Replace the time of this process, in which it runs until the leader stops it.

    Both clocks are those of the leader at a time of the real one, so that they agree.
    """
    clock = VirtualClock(wall, monotonic)
    clock.install()
    clock.run(True, since)
    random.seed(seed)
    follower = Follower(clock)
    follower.attach(orders)
    follower.count_jobs()
    follower.use_for_next_loop()
    return follower
