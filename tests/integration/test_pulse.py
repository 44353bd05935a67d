"""A door's state: open once per opening, unlocked for the pulse time, never without cause."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.core import Context, State
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockUser, async_capture_events

from tests.integration.conftest import (
    advance,
    call_action,
    expect_refused,
    reload_entry,
    state_of,
    wait_idle,
    wait_until,
)
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from tests.simulator import Simulator

LOCK = "lock.cancello"
OPEN_ACTIONS = [
    ("lock", "open", LOCK),
    ("lock", "unlock", LOCK),
    ("button", "press", "button.cancello_open"),
]


class LockStates:
    """Records the states of one lock."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._changes: list[Event[Any]] = async_capture_events(hass, "state_changed")

    @property
    def found(self) -> list[State]:
        """The new states, in order."""
        new = [change.data["new_state"] for change in self._changes]
        return [each for each in new if isinstance(each, State) and each.entity_id == LOCK]

    @property
    def names(self) -> list[str]:
        """What they say."""
        return [each.state for each in self.found]


async def automate(hass: HomeAssistant, *triggers: str) -> list[Event[Any]]:
    """Fire an event on each of some of the lock's triggers; returns those events."""
    automations = [
        {
            "alias": trigger,
            "triggers": [{"trigger": trigger, "target": {"entity_id": LOCK}}],
            "actions": [{"event": "triggered", "event_data": {"by": trigger}}],
        }
        for trigger in triggers
    ]
    assert await async_setup_component(hass, "automation", {"automation": automations})
    await hass.async_block_till_done()
    fired: list[Event[Any]] = async_capture_events(hass, "triggered")
    return fired


@pytest.mark.parametrize(("domain", "service", "entity_id"), OPEN_ACTIONS)
@pytest.mark.usefixtures("freezer", "entry")
async def test_triggers_of_the_lock(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    domain: str,
    service: str,
    entity_id: str,
) -> None:
    """*Lock opened*, *unlocked* and *locked* fire once per opening, whatever opened the door."""
    fired = await automate(hass, "lock.opened", "lock.unlocked", "lock.locked")
    for count in (1, 2):
        await call_action(hass, domain, service, entity_id)
        await advance(hass, freezer, 6)
        expected = ["lock.opened", "lock.unlocked", "lock.locked"] * count
        assert [each.data["by"] for each in fired] == expected


@pytest.mark.usefixtures("freezer", "entry")
async def test_opening_within_the_pulse_is_an_opening(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """The door is opened again, and locks at the end of the second pulse."""
    states = LockStates(hass)
    await call_action(hass, "lock", "open", LOCK)
    await advance(hass, freezer, 3)
    await call_action(hass, "lock", "open", LOCK)
    await advance(hass, freezer, 3)
    assert states.names == ["open", "unlocked"] * 2
    await advance(hass, freezer, 3)
    assert states.names == [*["open", "unlocked"] * 2, "locked"]


@pytest.mark.usefixtures("entry")
async def test_joined_presses_are_one_opening(hass: HomeAssistant, simulator: Simulator) -> None:
    """The door opened once, so it is reported once."""
    states, response = LockStates(hass), asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    presses = [hass.async_create_task(call_action(hass, *action)) for action in OPEN_ACTIONS]
    await wait_until(lambda: simulator.journal.commands)
    response.set()
    await asyncio.gather(*presses)
    assert states.names == ["open", "unlocked"]


@pytest.mark.parametrize(("domain", "service", "entity_id"), OPEN_ACTIONS)
@pytest.mark.usefixtures("freezer", "entry")
async def test_person_opened_and_nobody_locked(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    domain: str,
    service: str,
    entity_id: str,
) -> None:
    """The opening is an act of the person; the end of the pulse is not."""
    anna = MockUser(is_owner=True).add_to_hass(hass)
    states, person = LockStates(hass), Context(user_id=anna.id)
    await hass.services.async_call(
        domain, service, {"entity_id": entity_id}, blocking=True, context=person
    )
    await advance(hass, freezer, 6)
    *opened, locked = states.found
    assert [each.context.id for each in opened] == [person.id] * 2
    assert (locked.state, locked.context.user_id, locked.context.parent_id) == (
        "locked",
        None,
        None,
    )
    assert locked.context.id != person.id


@pytest.mark.parametrize("way", ["reload", "rename", "unload"])
async def test_reload_within_the_pulse(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory, way: str
) -> None:
    """The door is not locked before its pulse has ended, and at its end it is."""
    hass.config_entries.async_update_entry(entry, options={"pulse_time": 30})
    states = LockStates(hass)
    await call_action(hass, "lock", "open", LOCK)
    await advance(hass, freezer, 10)
    if way == "reload":
        await reload_entry(hass, entry)
    elif way == "unload":
        await hass.config_entries.async_unload(entry.entry_id)
        await advance(hass, freezer, 10)
        await hass.config_entries.async_setup(entry.entry_id)
        await wait_idle(hass)
    else:
        registry = er.async_get(hass)
        registry.async_update_entity(LOCK, new_entity_id="lock.gate")
        await hass.async_block_till_done()
        registry.async_update_entity("lock.gate", new_entity_id=LOCK)
        await hass.async_block_till_done()
    assert state_of(hass, LOCK) == "unlocked"
    assert "locked" not in states.names
    await advance(hass, freezer, 21)
    assert state_of(hass, LOCK) == "locked"
    assert states.found[-1].context.user_id is None


async def test_pulse_that_ended_while_unloaded(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """The door is locked again."""
    await call_action(hass, "lock", "open", LOCK)
    await hass.config_entries.async_unload(entry.entry_id)
    await advance(hass, freezer, 6)
    await hass.config_entries.async_setup(entry.entry_id)
    await wait_idle(hass)
    assert state_of(hass, LOCK) == "locked"


async def test_reload_during_an_opening(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The reload waits for the answer; the new entity shows the rest of the pulse.

    It is there before the cloud has answered, and unavailable until then.
    """
    states, response = LockStates(hass), asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    press = hass.async_create_task(call_action(hass, "lock", "open", LOCK))
    await wait_until(lambda: simulator.journal.commands)
    reload = hass.async_create_task(hass.config_entries.async_reload(entry.entry_id))
    await asyncio.sleep(0)
    response.set()
    await asyncio.gather(press, reload)
    await wait_idle(hass)
    assert state_of(hass, LOCK) == "unlocked"
    await advance(hass, freezer, 6)
    unavailable = ["unavailable", "unavailable"]
    assert states.names == ["open", "unlocked", *unavailable, "unlocked", "locked"]
    assert len(simulator.openings) == 1


@pytest.mark.parametrize(("domain", "service", "entity_id"), OPEN_ACTIONS)
@pytest.mark.parametrize("failure", [Failure(code=13), Failure(status=503), Failure(drop=True)])
@pytest.mark.usefixtures("entry")
async def test_failed_opening_fires_no_trigger(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    failure: Failure,
    domain: str,
    service: str,
    entity_id: str,
) -> None:
    """A door that was not opened, or may not have been, changes no state."""
    fired = await automate(hass, "lock.opened", "lock.unlocked", "lock.locked")
    states = LockStates(hass)
    simulator.fail(SETSTATE, failure)
    await expect_refused(hass, domain, service, entity_id)
    await wait_idle(hass)
    assert states.names == []
    assert fired == []
