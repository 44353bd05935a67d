"""A door that is being opened while its account is reloaded: opened once, and its caller knows."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import call_action, get_entry, wait_until
from tests.integration.test_stopped_opening import opened_doors, turn_loop
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

RELOAD_TURNS = 200
PRESSES = [("lock", "open", "lock.cancello"), ("button", "press", "button.cancello_open")]


@pytest.mark.parametrize("second", PRESSES)
@pytest.mark.parametrize("first", PRESSES)
@pytest.mark.usefixtures("entry")
async def test_second_press_during_a_reload_joins(
    hass: HomeAssistant,
    simulator: Simulator,
    first: tuple[str, str, str],
    second: tuple[str, str, str],
) -> None:
    """The reload waits for the cloud's answer, so no part of the account forgets the opening."""
    released = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=released, executed=True))
    presses = [hass.async_create_task(call_action(hass, *first))]
    await wait_until(lambda: simulator.journal.commands)
    reload = hass.async_create_task(hass.config_entries.async_reload(get_entry(hass).entry_id))
    for _ in range(RELOAD_TURNS):  # in which a reload that does not wait would be over
        await turn_loop()
    presses.append(hass.async_create_task(call_action(hass, *second)))
    await turn_loop()
    released.set()
    await asyncio.gather(reload, *presses)
    assert opened_doors(simulator) == ["Cancello"]
    assert len(simulator.journal.commands) == 1


@pytest.mark.usefixtures("entry")
async def test_queued_door_is_opened_before_the_reload(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """It waits for another door of the home; both open, each once."""
    released = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=released, executed=True))
    presses = [hass.async_create_task(call_action(hass, "lock", "open", "lock.portone"))]
    await wait_until(lambda: simulator.journal.commands)
    presses.append(hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello")))
    reload = hass.async_create_task(hass.config_entries.async_reload(get_entry(hass).entry_id))
    await turn_loop()
    released.set()
    await asyncio.gather(reload, *presses)
    assert opened_doors(simulator) == ["Portone", "Cancello"]
    assert len(simulator.journal.commands) == 2
