"""What appears while an account is being unloaded, which takes until its calls are terminated."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import get_entry, state_of, wait_idle, wait_until
from tests.integration.live.browser_client import STREET, BrowserClient, offer, panel_id
from tests.simulator import Failure
from tests.simulator.paths import BLOB

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

PANEL = "Posto esterno strada"


async def receive_picture(hass: HomeAssistant, simulator: Simulator, held: asyncio.Event) -> str:
    """Receive the first close-up of a panel."""
    history, street = get_entry(hass).runtime_data.history, panel_id(simulator, PANEL)
    held.set()
    await wait_until(lambda: history.last(street, "vignette"))
    return "image.posto_esterno_strada_last_close_up"


async def receive_door(hass: HomeAssistant, simulator: Simulator, _: asyncio.Event) -> str:
    """Receive a door that was not there before."""
    simulator.add_module(name="Nuova porta")
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    return "lock.door_1"  # its name is requested later


@pytest.mark.parametrize("receive", [receive_picture, receive_door])
async def test_nothing_is_added_to_an_account_that_is_being_unloaded(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    receive: Callable[[HomeAssistant, Simulator, asyncio.Event], Awaitable[str]],
) -> None:
    """The next set-up adds it."""
    held, entry = asyncio.Event(), get_entry(hass)
    simulator.fail(BLOB, Failure(until=held), times=2)
    simulator.ring(PANEL)
    await wait_until(lambda: simulator.journal.count(BLOB) == 2)
    await browser.watch(offer())
    simulator.rtc.hold_acks()
    reload = hass.async_create_task(hass.config_entries.async_reload(entry.entry_id))
    await wait_until(lambda: state_of(hass, STREET) == "unavailable")
    added = await receive(hass, simulator, held)
    for _ in range(20):
        await asyncio.sleep(0)
    simulator.rtc.release_acks()
    await reload
    await wait_idle(hass)
    assert "unique ID" not in caplog.text
    assert state_of(hass, added) not in {"unavailable", "unknown"}
