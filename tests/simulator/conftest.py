"""A simulator with a clock to turn, and a visitor."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.simulator.server import Simulator
from tests.simulator.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START = 1_790_000_000.0


@dataclass(slots=True)
class Clock:
    """A clock that stands still until somebody turns it."""

    now: float = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the simulator's clock."""
    return Clock()


@pytest.fixture
async def sim(socket_enabled: None, clock: Clock) -> AsyncIterator[Simulator]:
    """Run the house with three doors."""
    del socket_enabled
    simulator = Simulator(clock=clock)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def stranger(sim: Simulator) -> AsyncIterator[Visitor]:
    """Return a visitor who has not signed in."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Visitor(sim, session)


@pytest.fixture
async def visitor(stranger: Visitor) -> Visitor:
    """Return a visitor who has signed in, with a clean journal."""
    await stranger.sign_in()
    stranger.sim.clear_journal()
    return stranger
