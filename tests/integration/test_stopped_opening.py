"""An opening that nobody waits for any more: not sent later, and never sent twice."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.setup import async_setup_component
import pytest

from tests.integration.conftest import call_action, get_entry, wait_idle, wait_until
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE, TOKEN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

LOOP_TURNS = 20
SCRIPT = {
    "sequence": [{"action": "lock.open", "target": {"entity_id": "lock.cancello"}}],
    "mode": "restart",
}


async def turn_loop() -> None:
    """Let the loop handle what is ready."""
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)


def opened_doors(simulator: Simulator) -> list[str]:
    """Return the names of the doors that opened, in order."""
    return [simulator.house.find(each.module_id).name or "?" for each in simulator.openings]


@pytest.fixture(name="released")
def _released() -> asyncio.Event:
    """What the cloud waits for before it answers."""
    return asyncio.Event()


@pytest.mark.parametrize("press", [("lock", "open"), ("lock", "unlock"), ("button", "press")])
@pytest.mark.usefixtures("entry")
async def test_queued_opening_is_not_sent_after_its_caller_is_cancelled(
    hass: HomeAssistant, simulator: Simulator, released: asyncio.Event, press: tuple[str, str]
) -> None:
    """It waits for another door of the home; that one opens, and the next press is a new one."""
    simulator.fail(SETSTATE, Failure(until=released))
    first = hass.async_create_task(call_action(hass, "lock", "open", "lock.portone"))
    await wait_until(lambda: simulator.journal.commands)
    entity_id = "button.cancello_open" if press[0] == "button" else "lock.cancello"
    queued = hass.async_create_task(call_action(hass, *press, entity_id))
    await turn_loop()
    queued.cancel()
    await turn_loop()
    released.set()
    await first
    await wait_idle(hass)
    assert opened_doors(simulator) == ["Portone"]
    assert len(simulator.journal.commands) == 1
    await call_action(hass, *press, entity_id)
    assert opened_doors(simulator) == ["Portone", "Cancello"]


@pytest.mark.usefixtures("entry")
async def test_several_doors_of_one_action(
    hass: HomeAssistant, simulator: Simulator, released: asyncio.Event
) -> None:
    """The door whose command was sent opens, those in the queue do not."""
    simulator.fail(SETSTATE, Failure(until=released))
    doors = {"entity_id": ["lock.portone", "lock.cancello", "lock.box"]}
    action = hass.async_create_task(hass.services.async_call("lock", "open", doors, blocking=True))
    await wait_until(lambda: simulator.journal.commands)
    await turn_loop()
    action.cancel()
    await turn_loop()
    released.set()
    await wait_idle(hass)
    await wait_until(lambda: simulator.openings)
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    assert len(opened_doors(simulator)) == 1


@pytest.mark.parametrize("hanging", ["refresh", "token after refusal"])
@pytest.mark.usefixtures("entry")
async def test_opening_that_waits_for_a_token(
    hass: HomeAssistant, simulator: Simulator, released: asyncio.Event, hanging: str
) -> None:
    """Nothing was carried out yet, so nothing is sent once the token is there."""
    if hanging == "refresh":
        auth = get_entry(hass).runtime_data.account.auth
        auth.invalidate(auth._access_token)
    else:
        simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(until=released))
    press = hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.journal.of(TOKEN))
    press.cancel()
    await turn_loop()
    released.set()
    await wait_idle(hass)
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    assert opened_doors(simulator) == []


@pytest.mark.usefixtures("entry")
async def test_stopped_script_opens_nothing_later(
    hass: HomeAssistant, simulator: Simulator, released: asyncio.Event
) -> None:
    """Also when a person stops the script by its own action."""
    assert await async_setup_component(hass, "script", {"script": {"gate": SCRIPT}})
    simulator.fail(SETSTATE, Failure(until=released))
    first = hass.async_create_task(call_action(hass, "lock", "open", "lock.portone"))
    await wait_until(lambda: simulator.journal.commands)
    await hass.services.async_call("script", "turn_on", {"entity_id": "script.gate"})
    await turn_loop()
    await call_action(hass, "script", "turn_off", "script.gate")
    await turn_loop()
    released.set()
    await first
    await wait_idle(hass)
    assert opened_doors(simulator) == ["Portone"]


@pytest.mark.parametrize("is_sent", [False, True])
@pytest.mark.usefixtures("entry")
async def test_restarted_script_opens_once(
    hass: HomeAssistant, simulator: Simulator, released: asyncio.Event, *, is_sent: bool
) -> None:
    """The second run joins a command that was sent, and replaces one that was not."""
    assert await async_setup_component(hass, "script", {"script": {"gate": SCRIPT}})
    simulator.fail(SETSTATE, Failure(until=released))
    other: asyncio.Task[Any] | None = None
    if not is_sent:
        other = hass.async_create_task(call_action(hass, "lock", "open", "lock.portone"))
        await wait_until(lambda: simulator.journal.commands)
    for _ in range(3):
        await hass.services.async_call("script", "turn_on", {"entity_id": "script.gate"})
        await turn_loop()
    await wait_until(lambda: simulator.journal.commands)
    released.set()
    await hass.async_block_till_done()
    await wait_until(lambda: "Cancello" in opened_doors(simulator))
    await wait_idle(hass)
    assert opened_doors(simulator) == (["Cancello"] if is_sent else ["Portone", "Cancello"])
    if other is not None:
        await other


@pytest.mark.parametrize("first_leaves", [False, True])
@pytest.mark.usefixtures("entry")
async def test_one_caller_that_stays_is_enough(
    hass: HomeAssistant, simulator: Simulator, released: asyncio.Event, *, first_leaves: bool
) -> None:
    """Two presses wait for the same queued opening; one of them is cancelled."""
    simulator.fail(SETSTATE, Failure(until=released))
    other = hass.async_create_task(call_action(hass, "lock", "open", "lock.portone"))
    await wait_until(lambda: simulator.journal.commands)
    presses = [
        hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello")),
        hass.async_create_task(call_action(hass, "button", "press", "button.cancello_open")),
    ]
    await turn_loop()
    leaving, staying = presses if first_leaves else reversed(presses)
    leaving.cancel()
    await turn_loop()
    released.set()
    await asyncio.gather(other, staying)
    assert opened_doors(simulator) == ["Portone", "Cancello"]
