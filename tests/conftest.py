"""The simulated cloud, for every test that asks for it."""

import time
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client import Endpoints
from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 1.0  # seconds that the client waits for an answer in tests


@pytest.fixture
async def simulator(
    socket_enabled: None,  # noqa: ARG001 - lets sockets of this machine be opened
) -> AsyncIterator[Simulator]:
    """A cloud with a Classe 300X behind it."""
    cloud = Simulator(house="classe_300x", clock=_now)
    await cloud.start()
    yield cloud
    await cloud.stop()


def _now() -> float:
    """Return the time that a test has set, looked up anew at every call."""
    return time.time()


@pytest.fixture
def endpoints(simulator: Simulator) -> Endpoints:
    """Where the simulated cloud is."""
    return Endpoints(
        api=simulator.url,
        turn=simulator.url,
        push=simulator.push_url,
        signaling=simulator.signaling_url,
        timeout=PATIENCE,
    )
