"""Events that somebody else sends while the blueprint waits for a button."""

import asyncio
from typing import TYPE_CHECKING

from homeassistant.core import Context
import pytest

from tests.integration.blueprints.conftest import (
    LOOP_TURNS,
    STREET,
    STREET_DOORBELL,
    Automate,
    Phone,
    opened_doors,
    running_count,
    wait_finished,
)
from tests.integration.conftest import get_entry, reload_entry, wait_online, wait_until

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


async def notify_anna(automate: Automate, anna: Phone) -> None:
    """Create an automation that offers one door to one phone."""
    await automate(
        "ring_notification",
        doorbells=[STREET_DOORBELL],
        phones=[anna.device_id],
        doors=["lock.cancello"],
    )


async def test_home_without_persons(
    hass: HomeAssistant, automate: Automate, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Nobody may open: not everybody, and not the events of no user."""
    for person in ("person.anna_s_phone", "person.bruno"):
        hass.states.async_remove(person)
    hass.states.async_set("person.guest", "home", {"user_id": None})
    await notify_anna(automate, anna)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    for user_id in (None, "", "None", "[]", anna.user.id, bruno.user.id):
        hass.bus.async_fire(
            "mobile_app_notification_action",
            {"action": anna.button("Open Cancello")},
            context=Context(user_id=user_id),
        )
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    assert (opened_doors(simulator), running_count(hass)) == ([], 1)


@pytest.mark.parametrize(
    "typed", [{}, [], {"a": 1}, ["1234"], 5, True, "{{ 1 }}", "\x00", "x" * 9999]
)
async def test_any_reply(
    hass: HomeAssistant, automate: Automate, simulator: Simulator, anna: Phone, typed: object
) -> None:
    """What an app sends as the code is text, and no template; a wrong one opens nothing."""
    entry, door = get_entry(hass), simulator.house.find("Cancello").id
    hass.config_entries.async_update_entry(entry, options={"door_codes": {door: "1234"}})
    await reload_entry(hass, entry)
    await wait_online(entry)
    await notify_anna(automate, anna)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    await anna.tap(anna.button("Open Cancello"), reply_text=typed)  # type: ignore[arg-type]
    await wait_finished(hass)
    assert opened_doors(simulator) == []
    assert anna.texts[-1].startswith("Cancello may not have opened")
