"""Doors: one press opens once, and an unclear outcome is reported as such."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.aiohttp_client import async_get_clientsession
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from tests.integration.conftest import (
    advance,
    call_action,
    expect_refused,
    get_entry,
    request_values,
    sign_in,
    state_of,
    wait_idle,
    wait_until,
)
from tests.simulator import Failure, too_many, usage_limit
from tests.simulator.paths import GETCONFIGS, HOMESTATUS, SETCONFIGS, SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

CANCELLO = "30000a-0303-aa11bb22cc03"
OPEN_ACTIONS = [
    ("lock", "open", "lock.cancello"),
    ("lock", "unlock", "lock.cancello"),
    ("button", "press", "button.cancello_open"),
]
UNCLEAR_OUTCOMES = [
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
REFUSALS = [
    (Failure(body={"status": "ok", "errors": [{"code": 5}]}), "command_refused"),
    (Failure(body={"status": "ok", "body": {"errors": [{"code": 6}]}}), "command_unreachable"),
    (Failure(code=9), "command_not_found"),
    (Failure(code=13), "command_forbidden"),
    (Failure(code=21), "command_not_taken"),
    (usage_limit(), "command_too_many_requests"),
    (too_many(retry_after=90), "command_too_many_requests_wait"),
]


@pytest.mark.parametrize(
    ("code", "number"),
    [(5, "5"), (9, "9"), (2, "2"), (26, "26"), (-1, "-1"), (777, "777"), (10**9, "?"), ("no", "?")],
)
@pytest.mark.parametrize("place", ["body", "top"])
@pytest.mark.usefixtures("entry")
async def test_refusal_shows_its_number(
    hass: HomeAssistant, simulator: Simulator, code: object, number: str, place: str
) -> None:
    """So it can be looked up; numbers inside a successful answer mean other things."""
    errors = {"errors": [{"code": code}]}
    body: dict[str, object] = {"body": errors} if place == "body" else {**errors}
    simulator.fail(SETSTATE, Failure(body={"status": "ok", **body}))
    with pytest.raises(HomeAssistantError) as caught:
        await call_action(hass, "lock", "open", "lock.cancello")
    assert f"Cancello refused the command (error {number})" in str(caught.value)


@pytest.mark.parametrize(("domain", "service", "entity_id"), OPEN_ACTIONS)
@pytest.mark.usefixtures("entry")
async def test_door_opens_once(
    hass: HomeAssistant, simulator: Simulator, domain: str, service: str, entity_id: str
) -> None:
    """One press sends one complete command and opens the door once."""
    await call_action(hass, domain, service, entity_id)
    assert [opening.module_id for opening in simulator.openings] == [CANCELLO]
    (command,) = simulator.journal.commands
    assert command.body == {
        "app_type": "app_camera",
        "app_version": "26.9.1.0",
        "home": {
            "id": "64a1b2c3d4e5f60718293a4b",
            "timezone": "Europe/Rome",
            "modules": [{"id": CANCELLO, "bridge": "00:03:50:30:00:0a", "lock": False}],
        },
    }
    assert simulator.violations == []


@pytest.mark.usefixtures("entry")
async def test_lock_shows_the_pulse(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Open, then unlocked for the pulse time after the command was accepted, then locked."""
    changes = async_capture_events(hass, "state_changed")
    await call_action(hass, "lock", "open", "lock.cancello")
    await advance(hass, freezer, 4)
    assert state_of(hass, "lock.cancello") == "unlocked"
    await advance(hass, freezer, 2)
    seen = [event.data["new_state"] for event in changes]
    states = [s.state for s in seen if isinstance(s, State) and s.entity_id == "lock.cancello"]
    assert states == ["open", "unlocked", "locked"]
    opened, *_, locked = (
        s for s in seen if isinstance(s, State) and s.entity_id == "lock.cancello"
    )
    assert locked.context.id != opened.context.id, "the relock is nobody's act"


@pytest.mark.parametrize("failure", [Failure(code=13), Failure(status=503), Failure(drop=True)])
@pytest.mark.usefixtures("entry")
async def test_failed_opening_changes_no_state(
    hass: HomeAssistant, simulator: Simulator, failure: Failure
) -> None:
    """An automation that waits for *locked* must not run."""
    changes = async_capture_events(hass, "state_changed")
    simulator.fail(SETSTATE, failure)
    await expect_refused(hass, "lock", "open", "lock.cancello")
    seen = [c for c in changes if c.data["entity_id"] == "lock.cancello"]
    assert seen == []


async def test_second_opening_restarts_the_pulse(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """The pulse time comes from the options."""
    hass.config_entries.async_update_entry(entry, options={"pulse_time": 20})
    await call_action(hass, "lock", "open", "lock.cancello")
    await advance(hass, freezer, 15)
    await call_action(hass, "lock", "open", "lock.cancello")
    await advance(hass, freezer, 15)
    assert state_of(hass, "lock.cancello") == "unlocked"
    await advance(hass, freezer, 6)
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.usefixtures("entry")
async def test_locking_sends_nothing(hass: HomeAssistant, simulator: Simulator) -> None:
    """The door locks by itself; there is no such command."""
    await call_action(hass, "lock", "open", "lock.cancello")
    await call_action(hass, "lock", "lock", "lock.cancello")
    assert state_of(hass, "lock.cancello") == "unlocked"
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize("failure", UNCLEAR_OUTCOMES, ids=str)
@pytest.mark.parametrize(("domain", "service", "entity_id"), OPEN_ACTIONS[1:])
@pytest.mark.usefixtures("entry")
async def test_unclear_outcome_is_reported_and_not_repeated(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    domain: str,
    service: str,
    entity_id: str,
    failure: Failure,
) -> None:
    """The error says that the door may have opened; the cloud gets exactly one command."""
    simulator.fail(SETSTATE, failure)
    assert await expect_refused(hass, domain, service, entity_id) == "command_outcome_unknown"
    assert len(simulator.journal.commands) == 1
    assert len(simulator.openings) == failure.executed
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.parametrize(("failure", "key"), REFUSALS)
@pytest.mark.usefixtures("entry")
async def test_refusal_is_reported(
    hass: HomeAssistant, simulator: Simulator, failure: Failure, key: str
) -> None:
    """Each refusal has its own message; nothing opens, and nothing is sent again."""
    simulator.fail(SETSTATE, failure)
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == key
    assert len(simulator.journal.commands) == 1
    assert simulator.openings == []
    assert state_of(hass, "lock.cancello") == "locked"


@pytest.mark.parametrize("location", ["body", "top"])
@pytest.mark.usefixtures("entry")
async def test_failure_inside_a_200_is_reported(
    hass: HomeAssistant, simulator: Simulator, location: str
) -> None:
    """The intercom is unplugged: the command fails, and a poll shows why."""
    simulator.command_errors_at = "body" if location == "body" else "top"
    simulator.unplug_bridge()
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == "command_unreachable"
    await wait_idle(hass)
    assert state_of(hass, "lock.cancello") == "unavailable"
    assert state_of(hass, "binary_sensor.classe_300x_intercom_online") == "off"
    assert len(simulator.journal.commands) == 1
    assert simulator.openings == []


@pytest.mark.usefixtures("entry")
async def test_unreachable_door_is_refused_before_sending(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """A second press waits for the first; meanwhile the intercom becomes unreachable."""
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response, executed=True))
    first = hass.async_create_task(call_action(hass, "button", "press", "button.cancello_open"))
    second = hass.async_create_task(expect_refused(hass, "button", "press", "button.portone_open"))
    await wait_until(lambda: simulator.journal.commands)
    simulator.unplug_bridge()
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    response.set()
    await first
    assert await second == "command_unreachable"
    assert len(simulator.journal.commands) == 1


@pytest.mark.usefixtures("entry")
async def test_no_connection_means_not_sent(hass: HomeAssistant, simulator: Simulator) -> None:
    """The error says that nothing was sent."""
    await simulator.stop()
    await wait_until(lambda: not pooled_connections(hass))
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == "command_not_sent"


@pytest.mark.usefixtures("entry")
async def test_failed_token_refresh_means_not_sent(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The error says that nothing was sent."""
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(status=503, html=True))
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == "command_not_sent"
    assert simulator.journal.commands == []


@pytest.mark.parametrize("failure", ["expire_access_tokens", "refuse_access_tokens", "revoke"])
@pytest.mark.usefixtures("entry")
async def test_refused_token_is_renewed_and_the_door_opens_once(
    hass: HomeAssistant, simulator: Simulator, failure: str
) -> None:
    """A clean refusal of the token is the only case in which a command is repeated."""
    getattr(simulator, failure)()
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert len(simulator.journal.commands) == 1
    assert simulator.journal.count(SETSTATE) == 2


@pytest.mark.usefixtures("entry")
async def test_changed_password_is_reported_and_starts_reauth(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The error names the reason, and no command is sent."""
    simulator.change_password("another")
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == "command_invalid_auth"
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert simulator.journal.commands == []


@pytest.mark.usefixtures("entry")
async def test_commands_are_sent_one_at_a_time(hass: HomeAssistant, simulator: Simulator) -> None:
    """Two doors in one action are two consecutive commands."""
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    doors = ["lock.cancello", "lock.portone"]
    action = hass.async_create_task(
        hass.services.async_call("lock", "open", {"entity_id": doors}, blocking=True)
    )
    await wait_until(lambda: simulator.journal.commands)
    # A second command would have arrived before this poll is over.
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    assert len(simulator.journal.commands) == 1
    response.set()
    await action
    assert len(simulator.openings) == 2


async def test_renamed_lock_keeps_its_pulse(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """A lock that is renamed while it is open still locks at the end of the pulse."""
    assert entry.runtime_data is not None
    await call_action(hass, "lock", "open", "lock.cancello")
    er.async_get(hass).async_update_entity("lock.cancello", new_entity_id="lock.gate")
    await hass.async_block_till_done()
    await advance(hass, freezer, 6)
    assert state_of(hass, "lock.gate") == "locked"


@pytest.mark.usefixtures("entry")
async def test_commands_of_all_platforms_are_sent_one_at_a_time(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """A lock, a button and a light are three consecutive commands."""
    responses = [asyncio.Event() for _ in range(3)]
    for response in responses:
        simulator.fail(SETSTATE, Failure(until=response))
    actions = [
        hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello")),
        hass.async_create_task(call_action(hass, "button", "press", "button.portone_open")),
        hass.async_create_task(call_action(hass, "light", "turn_on", "light.luce_scale")),
    ]
    for count, response in enumerate(responses, start=1):
        await wait_until(lambda: len(simulator.journal.commands) == count)  # noqa: B023 - at once
        answered = [command for command in simulator.journal.commands if command.status]
        assert len(answered) == count - 1
        response.set()
    await asyncio.gather(*actions)


@pytest.mark.usefixtures("entry")
async def test_error_does_not_wait_for_the_poll(hass: HomeAssistant, simulator: Simulator) -> None:
    """It is raised at once although the poll that follows is not answered."""
    simulator.unplug_bridge()
    simulator.fail(HOMESTATUS, Failure(until=asyncio.Event()))
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == "command_unreachable"
    assert all(request.status is None for request in simulator.journal.of(HOMESTATUS))


async def test_unload_waits_for_a_door_that_is_being_opened(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The door opens once, and the caller gets the outcome; no timer of the pulse is left."""
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    action = hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.journal.commands)
    unload = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
    await asyncio.sleep(0)
    response.set()
    assert await unload
    await action
    assert len(simulator.openings) == 1


DO_NOT_DISTURB = {"entity_id": "select.classe_300x_do_not_disturb", "option": "always"}


async def pass_deadline(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let the time for a command pass, without waiting for what hangs."""
    freezer.tick(16)
    async_fire_time_changed(hass)
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("hanging", ["other door", "refresh", "sign-in", "token after refusal"])
@pytest.mark.usefixtures("entry")
async def test_command_that_is_late_is_never_sent(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory, hanging: str
) -> None:
    """Whatever the press waits for: after its deadline the error says so, and nothing is sent."""
    released = asyncio.Event()
    other: asyncio.Task[Any] | None = None
    if hanging == "other door":
        simulator.fail(SETSTATE, Failure(until=released))
        other = hass.async_create_task(expect_refused(hass, "lock", "open", "lock.portone"))
        await wait_until(lambda: simulator.journal.commands)
    elif hanging == "sign-in":
        simulator.revoke()
        simulator.fail(TOKEN, Failure(error="invalid_grant"))
        simulator.fail(TOKEN, Failure(until=released))
        expire_token(hass)
    else:
        if hanging == "refresh":
            expire_token(hass)
        else:
            simulator.refuse_access_tokens()
        simulator.fail(TOKEN, Failure(until=released))
    press = hass.async_create_task(expect_refused(hass, "button", "press", "button.cancello_open"))
    await wait_until(lambda: other or simulator.journal.of(TOKEN))
    await pass_deadline(hass, freezer)
    assert await press == "command_too_late"
    released.set()
    if other is not None:
        assert await other == "command_outcome_unknown"
    await wait_idle(hass)
    sent = request_values(simulator.journal.commands, "home", "modules")
    assert CANCELLO not in [module["id"] for (module,) in sent]
    assert CANCELLO not in [each.module_id for each in simulator.openings]


@pytest.mark.usefixtures("entry")
async def test_command_without_an_answer_at_its_deadline(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """It was sent, so its outcome is unknown; the next press is a new command."""
    simulator.fail(SETSTATE, Failure(until=asyncio.Event(), executed=True))
    press = hass.async_create_task(expect_refused(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.openings)
    await pass_deadline(hass, freezer)
    assert await press == "command_outcome_unknown"
    assert len(simulator.journal.commands) == 1
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 2


@pytest.mark.parametrize("failure", [None, Failure(body={"status": "ok", "errors": [{"code": 5}]})])
@pytest.mark.usefixtures("entry")
async def test_presses_at_the_same_door_join(
    hass: HomeAssistant, simulator: Simulator, failure: Failure | None
) -> None:
    """Lock and button, pressed repeatedly while the door is being opened: one command."""
    response = asyncio.Event()
    body = failure.body if failure else None
    simulator.fail(SETSTATE, Failure(until=response, body=body))
    presses = [
        hass.async_create_task(outcome(hass, domain, service, entity_id))
        for domain, service, entity_id in [*OPEN_ACTIONS, *OPEN_ACTIONS]
    ]
    await wait_until(lambda: simulator.journal.commands)
    for _ in range(20):
        await asyncio.sleep(0)
    response.set()
    expected = "command_refused" if failure else None
    assert await asyncio.gather(*presses) == [expected] * 6
    assert len(simulator.journal.commands) == 1
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.journal.commands) == 2


@pytest.mark.usefixtures("entry")
async def test_cancelled_press_does_not_affect_the_one_that_joined(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """A script that is restarted presses again: the door opens once."""
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    first = hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.journal.commands)
    first.cancel()
    second = hass.async_create_task(outcome(hass, "lock", "open", "lock.cancello"))
    await asyncio.sleep(0)
    response.set()
    assert await second is None
    assert len(simulator.journal.commands) == len(simulator.openings) == 1


@pytest.mark.parametrize("path", [GETCONFIGS, SETCONFIGS])
@pytest.mark.usefixtures("entry")
async def test_door_does_not_wait_for_a_hanging_setting(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory, path: str
) -> None:
    """The door opens within seconds; the outcome of the setting is unknown if it was sent."""
    simulator.fail(path, Failure(until=asyncio.Event()), times=2)
    setting = hass.async_create_task(choose_do_not_disturb(hass))
    await wait_until(lambda: simulator.journal.of(path))
    press = hass.async_create_task(outcome(hass, "lock", "open", "lock.cancello"))
    for _ in range(20):
        await asyncio.sleep(0)
    freezer.tick(4)
    async_fire_time_changed(hass)
    assert await press is None
    assert len(simulator.openings) == 1
    if path == SETCONFIGS:
        assert await setting == "command_outcome_unknown"
    else:
        await pass_deadline(hass, freezer)
        assert await setting in {"command_too_late", "command_not_sent"}
        assert simulator.journal.of(SETCONFIGS) == []


async def test_door_pressed_as_a_setting_gets_its_turn(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """By a script that switches a light and then opens the door: it waits some seconds only."""
    light = simulator.add_module(kind="BNSL", name="Scale")
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    simulator.fail(SETCONFIGS, Failure(until=asyncio.Event()))
    runtime = entry.runtime_data
    modules = runtime.coordinator.data.modules

    async def script() -> None:
        await runtime.commands.async_switch_light(modules[light.id], on=True)
        await runtime.commands.async_open(modules[CANCELLO])

    running = hass.async_create_task(script())
    await wait_until(lambda: simulator.journal.commands)
    setting = hass.async_create_task(choose_do_not_disturb(hass))
    await wait_until(lambda: [e for e in simulator.journal.of(GETCONFIGS) if e.status])
    for _ in range(20):
        await asyncio.sleep(0)
    response.set()
    await wait_until(lambda: simulator.journal.of(SETCONFIGS))
    freezer.tick(4)
    async_fire_time_changed(hass)
    await running
    assert len(simulator.openings) == 1
    assert await setting == "command_outcome_unknown"


@pytest.mark.usefixtures("entry")
async def test_doors_overtake_settings(hass: HomeAssistant, simulator: Simulator) -> None:
    """While a door is being opened, a setting waits first, but another door is next."""
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    first = hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.journal.commands)
    setting = hass.async_create_task(choose_do_not_disturb(hass))
    await wait_until(lambda: [e for e in simulator.journal.of(GETCONFIGS) if e.status])
    for _ in range(20):
        await asyncio.sleep(0)
    second = hass.async_create_task(call_action(hass, "lock", "open", "lock.portone"))
    for _ in range(20):
        await asyncio.sleep(0)
    response.set()
    await asyncio.gather(first, second)
    assert await setting is None
    paths = [e.path for e in simulator.journal if e.path in {SETSTATE, SETCONFIGS}]
    assert paths == [SETSTATE, SETSTATE, SETCONFIGS]


async def test_other_home_never_waits(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A door of one home hangs; that of another home opens at once."""
    simulator.use_house("two_homes")
    await sign_in(hass, credentials)
    first, *_, last = sorted(hass.states.async_entity_ids("lock"), key=home_of(hass))
    assert home_of(hass)(first) != home_of(hass)(last)
    response = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=response))
    press = hass.async_create_task(call_action(hass, "lock", "open", first))
    await wait_until(lambda: simulator.journal.commands)
    await call_action(hass, "lock", "open", last)
    assert len(simulator.openings) == 1
    response.set()
    await press


def home_of(hass: HomeAssistant) -> Callable[[str], str]:
    """Return what finds the home of an entity's module."""
    modules = get_entry(hass).runtime_data.coordinator.data.modules

    def find(entity_id: str) -> str:
        entity = er.async_get(hass).async_get(entity_id)
        assert entity is not None
        return str(next(m.home_id for m in modules.values() if f"-{m.id}-" in entity.unique_id))

    return find


def expire_token(hass: HomeAssistant) -> None:
    """Let the next request renew the token first."""
    auth = get_entry(hass).runtime_data.account.auth
    auth.invalidate(auth._access_token)


async def outcome(hass: HomeAssistant, domain: str, service: str, entity_id: str) -> str | None:
    """Call an action; returns the translation key of its error, None if it succeeded."""
    try:
        await call_action(hass, domain, service, entity_id)
    except HomeAssistantError as err:
        return err.translation_key
    return None


async def choose_do_not_disturb(hass: HomeAssistant) -> str | None:
    """Choose a mode; returns the translation key of the error, None if it succeeded."""
    try:
        await hass.services.async_call("select", "select_option", DO_NOT_DISTURB, blocking=True)
    except HomeAssistantError as err:
        return err.translation_key
    return None


def pooled_connections(hass: HomeAssistant) -> list[object]:
    """Return the open connections that the session keeps for its next request."""
    connector = async_get_clientsession(hass).connector
    assert connector is not None
    pooled = [each for pool in connector._conns.values() for each, _ in pool]
    return [each for each in pooled if each.is_connected()]
