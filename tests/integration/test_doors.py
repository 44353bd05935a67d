"""A person opens a door: once, and honestly."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.core import State
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from tests.integration.conftest import act, look_again, refused, settle, state_of, until
from tests.simulator import Failure, too_many, usage_limit
from tests.simulator.paths import HOMESTATUS, SETSTATE, TOKEN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

CANCELLO = "30000a-0303-aa11bb22cc03"
WAYS = [
    ("lock", "open", "lock.cancello"),
    ("lock", "unlock", "lock.cancello"),
    ("button", "press", "button.cancello_open"),
]
UNCLEAR = [
    Failure(never=True),
    Failure(never=True, executed=True),
    Failure(drop=True),
    Failure(drop=True, executed=True),
    Failure(cut=True, executed=True),
    Failure(status=500),
    Failure(status=504, html=True, executed=True),
    Failure(html=True),
    Failure(wrong_json=True, executed=True),
    Failure(body={"status": "failed"}),
]
CLEAR = [
    (Failure(body={"status": "ok", "errors": [{"code": 5}]}), "command_refused"),
    (Failure(body={"status": "ok", "body": {"errors": [{"code": 6}]}}), "command_unreachable"),
    (Failure(code=9), "command_not_found"),
    (Failure(code=13), "command_forbidden"),
    (Failure(code=21), "command_not_taken"),
    (usage_limit(), "command_too_many_requests"),
    (too_many(retry_after=90), "command_too_many_requests_wait"),
]


@pytest.mark.parametrize(("domain", "service", "entity_id"), WAYS)
@pytest.mark.usefixtures("entry")
async def test_door_opens_once(
    hass: HomeAssistant, simulator: Simulator, domain: str, service: str, entity_id: str
) -> None:
    """One press, one command with all that the cloud wants, one opening."""
    await act(hass, domain, service, entity_id)
    assert [opening.module_id for opening in simulator.openings] == [CANCELLO]
    (command,) = simulator.journal.commands
    assert command.body == {
        "app_type": "app_camera",
        "app_version": "4.1.1.3",
        "home": {
            "id": "64a1b2c3d4e5f60718293a4b",
            "timezone": "Europe/Rome",
            "modules": [{"id": CANCELLO, "bridge": "00:03:50:30:00:0a", "lock": False}],
        },
    }
    assert simulator.violations == []


@pytest.mark.usefixtures("entry")
async def test_lock_shows_the_pulse(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Unlocking while the command is on its way, unlocked for the pulse time, then locked again."""
    changes = async_capture_events(hass, "state_changed")
    await act(hass, "lock", "open", "lock.cancello")
    freezer.tick(timedelta(seconds=4))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert state_of(hass, "lock.cancello") == "unlocked"
    freezer.tick(timedelta(seconds=2))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    seen = [event.data["new_state"] for event in changes]
    states = [s.state for s in seen if isinstance(s, State) and s.entity_id == "lock.cancello"]
    assert states == ["unlocking", "unlocked", "locked"]


async def test_pulse_time_is_an_option_and_begins_anew(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """A second opening within the pulse makes it last from then on."""
    hass.config_entries.async_update_entry(entry, options={"pulse_time": 20})
    await act(hass, "lock", "open", "lock.cancello")
    freezer.tick(timedelta(seconds=15))
    async_fire_time_changed(hass)
    await act(hass, "lock", "open", "lock.cancello")
    freezer.tick(timedelta(seconds=15))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert state_of(hass, "lock.cancello") == "unlocked"
    freezer.tick(timedelta(seconds=6))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.usefixtures("entry")
async def test_locking_sends_nothing(hass: HomeAssistant, simulator: Simulator) -> None:
    """The door locks itself: there is no such command, and none is pretended."""
    await act(hass, "lock", "open", "lock.cancello")
    await act(hass, "lock", "lock", "lock.cancello")
    assert state_of(hass, "lock.cancello") == "unlocked"
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize("failure", UNCLEAR, ids=str)
@pytest.mark.parametrize(("domain", "service", "entity_id"), WAYS[1:])
@pytest.mark.usefixtures("entry")
async def test_unclear_outcome_is_told_and_never_sent_again(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    domain: str,
    service: str,
    entity_id: str,
    failure: Failure,
) -> None:
    """The person reads that it may have opened; the cloud got exactly one command."""
    simulator.fail(SETSTATE, failure)
    assert await refused(hass, domain, service, entity_id) == "command_outcome_unknown"
    assert len(simulator.journal.commands) == 1
    assert len(simulator.openings) == failure.executed
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.parametrize(("failure", "key"), CLEAR)
@pytest.mark.usefixtures("entry")
async def test_clear_refusal_is_told(
    hass: HomeAssistant, simulator: Simulator, failure: Failure, key: str
) -> None:
    """Each refusal has its own words; nothing opened, nothing was sent again."""
    simulator.fail(SETSTATE, failure)
    assert await refused(hass, "lock", "open", "lock.cancello") == key
    assert len(simulator.journal.commands) == 1
    assert simulator.openings == []
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.parametrize("place", ["body", "top"])
@pytest.mark.usefixtures("entry")
async def test_unplugged_intercom_is_told_and_seen(
    hass: HomeAssistant, simulator: Simulator, place: str
) -> None:
    """A 200 that hides the failure is no success, and the house is looked at again."""
    simulator.command_errors_at = "body" if place == "body" else "top"
    simulator.unplug_bridge()
    assert await refused(hass, "lock", "open", "lock.cancello") == "command_unreachable"
    await settle(hass)
    assert state_of(hass, "lock.cancello") == "unavailable"
    assert state_of(hass, "binary_sensor.classe_300x_cloud_connection") == "off"
    assert len(simulator.journal.commands) == 1
    assert simulator.openings == []


@pytest.mark.usefixtures("entry")
async def test_unreachable_door_is_refused_before_sending(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """A second press that waits for the first one learns in time that the intercom has gone."""
    simulator.fail(SETSTATE, Failure(delay=0.3, executed=True))
    first = hass.async_create_task(act(hass, "button", "press", "button.cancello_open"))
    second = hass.async_create_task(refused(hass, "button", "press", "button.portone_open"))
    await until(lambda: simulator.journal.commands)
    simulator.unplug_bridge()
    await look_again(hass, "lock.cancello")
    await first
    assert await second == "command_unreachable"
    assert len(simulator.journal.commands) == 1


@pytest.mark.usefixtures("entry")
async def test_cloud_that_is_away_gets_nothing(hass: HomeAssistant, simulator: Simulator) -> None:
    """Where no line could be had, the person knows that nothing was sent."""
    await simulator.stop()
    await asyncio.sleep(0.05)  # the lines that the pool keeps are seen to be dead
    assert await refused(hass, "lock", "open", "lock.cancello") == "command_not_sent"


@pytest.mark.usefixtures("entry")
async def test_no_token_no_command(hass: HomeAssistant, simulator: Simulator) -> None:
    """A sign-in that fails on the way keeps the command from being sent."""
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(status=503, html=True))
    assert await refused(hass, "lock", "open", "lock.cancello") == "command_not_sent"
    assert simulator.journal.commands == []


@pytest.mark.parametrize("trouble", ["expire_access_tokens", "refuse_access_tokens", "revoke"])
@pytest.mark.usefixtures("entry")
async def test_dead_token_is_renewed_and_the_door_opens_once(
    hass: HomeAssistant, simulator: Simulator, trouble: str
) -> None:
    """The one repeat that is allowed follows a clean refusal of the token."""
    getattr(simulator, trouble)()
    await act(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert len(simulator.journal.commands) == 1
    assert simulator.journal.count(SETSTATE) == 2


@pytest.mark.usefixtures("entry")
async def test_changed_password_asks_for_it_at_the_door(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The press says why nothing happens, and the dialogue waits in the settings."""
    simulator.change_password("another")
    assert await refused(hass, "lock", "open", "lock.cancello") == "command_invalid_auth"
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert simulator.journal.commands == []


@pytest.mark.usefixtures("entry")
async def test_commands_go_one_at_a_time(hass: HomeAssistant, simulator: Simulator) -> None:
    """Two doors in one action are two commands, one after the other."""
    simulator.fail(SETSTATE, Failure(delay=0.1), times=2)
    doors = ["lock.cancello", "lock.portone"]
    action = hass.async_create_task(
        hass.services.async_call("lock", "open", {"entity_id": doors}, blocking=True)
    )
    await until(lambda: simulator.journal.commands)
    await asyncio.sleep(0.05)
    assert len(simulator.journal.commands) == 1
    await action
    assert len(simulator.openings) == 2


async def test_renamed_lock_keeps_its_pulse(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """A door that is renamed while it is open still falls back into its lock."""
    assert entry.runtime_data is not None
    await act(hass, "lock", "open", "lock.cancello")
    er.async_get(hass).async_update_entity("lock.cancello", new_entity_id="lock.gate")
    await hass.async_block_till_done()
    freezer.tick(timedelta(seconds=6))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert state_of(hass, "lock.gate") == "locked"


@pytest.mark.usefixtures("entry")
async def test_every_platform_waits_its_turn(hass: HomeAssistant, simulator: Simulator) -> None:
    """A lock, a button and a light at once are three commands, one after the other."""
    simulator.fail(SETSTATE, Failure(delay=0.1), times=3)
    actions = [
        hass.async_create_task(act(hass, "lock", "open", "lock.cancello")),
        hass.async_create_task(act(hass, "button", "press", "button.portone_open")),
        hass.async_create_task(act(hass, "light", "turn_on", "light.luce_scale")),
    ]
    for count in (1, 2, 3):
        await until(lambda: len(simulator.journal.commands) == count)  # noqa: B023 - at once
        answered = [command for command in simulator.journal.commands if command.status]
        assert len(answered) == count - 1
    await asyncio.gather(*actions)


@pytest.mark.usefixtures("entry")
async def test_person_does_not_wait_for_the_look_at_the_house(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The error comes at once, although the cloud does not answer what is asked next."""
    simulator.unplug_bridge()
    simulator.fail(HOMESTATUS, Failure(never=True))
    assert await refused(hass, "lock", "open", "lock.cancello") == "command_unreachable"
    assert all(request.status is None for request in simulator.journal.of(HOMESTATUS))


async def test_account_that_is_reloaded_during_a_command_leaves_no_timer(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The door opens once, and the harness finds nothing that was left behind."""
    simulator.fail(SETSTATE, Failure(delay=0.2))
    action = hass.async_create_task(act(hass, "lock", "open", "lock.cancello"))
    await until(lambda: simulator.journal.commands)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await action
    assert len(simulator.openings) == 1
