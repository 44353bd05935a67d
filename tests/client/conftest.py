"""An account that is signed in to the simulated cloud."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client.auth import AuthHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator


@pytest.fixture
async def simulator(simulator: Simulator) -> AsyncIterator[Simulator]:
    """The cloud; at the end it must have nothing to object to the client's requests."""
    yield simulator
    assert simulator.violations == []


@pytest.fixture
async def auth(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[AuthHandler]:
    """A handler that is signed in."""
    async with aiohttp.ClientSession() as session:
        handler = AuthHandler(
            simulator.email, simulator.password, session=session, endpoints=endpoints
        )
        await handler.authenticate()
        simulator.journal.clear()
        yield handler
        await handler.wait_idle()
