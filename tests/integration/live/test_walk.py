"""Random walks through Home Assistant, connected to two simulated intercoms."""

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.live.browser_client import STREET, BrowserClient
from tests.integration.live.walk import Walk

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

STEPS = 100
VIEWERS = 3
SEEDS = [int(seed) for seed in os.environ.get("WALK_SEEDS", "1 2").split()]


@pytest.mark.parametrize("house_name", ["two_homes"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("ack_mode")
async def test_random_walk(  # noqa: PLR0917 - fixtures
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    caplog: pytest.LogCaptureFixture,
    seed: int,
) -> None:
    """Each ring is reported once and ends once, each press opens once, and nothing is left."""
    browsers = [await BrowserClient.connect(hass_ws_client, STREET) for _ in range(VIEWERS)]
    walk = Walk(
        hass,
        online_entry,
        simulator,
        freezer=freezer,
        browsers=browsers,
        caplog=caplog,
        seed=seed,
    )
    try:
        await walk.run(STEPS)
    except BaseException as err:
        err.add_note(f"seed {seed}, second {hass.loop.time():.2f}: {', '.join(walk.trace)}")
        raise
