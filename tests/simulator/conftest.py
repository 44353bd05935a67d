"""Fixtures: a simulator with a manual clock, and a client."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.simulator.http_client import HttpClient
from tests.simulator.server import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START = 1_790_000_000.0


@dataclass(slots=True)
class Clock:
    """A clock that only moves when a test sets it."""

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
    """Run a simulator with the default house, which has three doors."""
    del socket_enabled
    simulator = Simulator(clock=clock)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def anonymous(sim: Simulator) -> AsyncIterator[HttpClient]:
    """Return a client that is not signed in."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield HttpClient(sim, session)


@pytest.fixture
async def client(anonymous: HttpClient) -> HttpClient:
    """Return a client that is signed in, with an empty journal."""
    await anonymous.sign_in()
    anonymous.sim.clear_journal()
    return anonymous
