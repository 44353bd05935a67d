"""Lights: switched, polled, and shown as last reported."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import (
    call_action,
    expect_refused,
    poll,
    state_of,
    wait_until,
)
from tests.integration.test_stopped_opening import turn_loop
from tests.simulator import Failure
from tests.simulator.paths import HOMESTATUS, SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

LIGHT = "30000a-0606-aa11bb22cc06"


@pytest.mark.usefixtures("entry")
async def test_light_is_switched_and_polled(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """The new state is shown at once, the reported one after the next poll."""
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    assert simulator.lights == {LIGHT: True}
    assert state_of(hass, "light.luce_scale") == "on"
    await call_action(hass, "light", "turn_off", "light.luce_scale")
    assert simulator.lights == {LIGHT: False}
    assert state_of(hass, "light.luce_scale") == "off"

    await call_action(hass, "light", "turn_on", "light.luce_scale")
    freezer.tick(timedelta(hours=1))
    await poll(hass, freezer)
    assert simulator.lights == {LIGHT: False}, "the panel's timer has switched it off"
    assert state_of(hass, "light.luce_scale") == "off"


@pytest.mark.usefixtures("entry")
async def test_unclear_outcome_keeps_the_shown_state(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """A command with an unknown outcome does not change the light's state."""
    simulator.fail(SETSTATE, Failure(status=500))
    assert (
        await expect_refused(hass, "light", "turn_on", "light.luce_scale")
        == "command_outcome_unknown"
    )
    assert state_of(hass, "light.luce_scale") == "off"
    assert len(simulator.journal.commands) == 1


async def test_switching_wins_over_an_earlier_poll(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A poll that was requested before the command does not undo it."""
    off = {"id": LIGHT, "type": "BNSL", "status": "off", "bridge": "00:03:50:30:00:0a"}
    body: dict[str, object] = {"status": "ok", "body": {"home": {"modules": [off]}}}
    response = asyncio.Event()
    simulator.fail(HOMESTATUS, Failure(until=response, body=body))
    refresh = hass.async_create_task(entry.runtime_data.coordinator.async_refresh())
    await wait_until(lambda: simulator.journal.count(HOMESTATUS))
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    response.set()
    await refresh
    assert state_of(hass, "light.luce_scale") == "on"
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "light.luce_scale") == "on"


@pytest.mark.usefixtures("online_entry")
async def test_light_is_polled_soon_after_switching(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """Its timer switches it off without a push; after that, polls are rare again."""
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    (light,) = simulator.lights
    simulator.lights[light] = False
    await poll(hass, freezer)
    assert state_of(hass, "light.luce_scale") == "off"
    before = simulator.journal.count(HOMESTATUS)
    await poll(hass, freezer)
    assert simulator.journal.count(HOMESTATUS) == before


async def test_reload_while_a_light_is_switched(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The reload waits for the command; no poll is planned for the account that is gone."""
    released, coordinator = asyncio.Event(), online_entry.runtime_data.coordinator
    simulator.fail(SETSTATE, Failure(until=released))
    switching = asyncio.create_task(call_action(hass, "light", "turn_on", "light.luce_scale"))
    await simulator.journal.wait_for(SETSTATE)
    unloading = asyncio.create_task(hass.config_entries.async_unload(online_entry.entry_id))
    await turn_loop()
    released.set()
    await asyncio.gather(switching, unloading)
    assert simulator.lights == {LIGHT: True}
    assert coordinator._unsub_refresh is None
