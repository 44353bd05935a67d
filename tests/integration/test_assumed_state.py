"""Lights and doors whose state the cloud does not report: shown as assumed, never as unknown."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.core import State
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    mock_restore_cache_with_extra_data,
)

from custom_components.bticino_classe.assumed_lights import ASSUMED_LIGHTS
from custom_components.bticino_classe.const import CONF_LIGHT_TIMER, CONF_LIGHTS_AS_DOORS
from tests.integration.conftest import (
    advance,
    call_action,
    expect_refused,
    poll,
    reload_entry,
    sign_in,
    state_of,
    wait_idle,
    wait_until,
)
from tests.integration.test_options import submit_options
from tests.integration.test_stopped_opening import turn_loop
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

LIGHT, DOOR = "light.staircase_light_1", "lock.door_1"


@pytest.fixture(name="eos")
async def _eos(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> ConfigEntry[Any]:
    """A 300EOS, which reports no states of doors and lights."""
    simulator.use_house("classe_300eos")
    found = await sign_in(hass, credentials)
    simulator.journal.clear()
    return found


def is_assumed(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether a state is marked as assumed."""
    state = hass.states.get(entity_id)
    assert state is not None
    return bool(state.attributes.get("assumed_state"))


async def set_timer(hass: HomeAssistant, entry: ConfigEntry[Any], seconds: int) -> None:
    """Set the off timer in the options."""
    assert await submit_options(hass, entry, **{CONF_LIGHT_TIMER: seconds}) == {}
    assert entry.options[CONF_LIGHT_TIMER] == seconds


@pytest.mark.parametrize("service", ["turn_on", "turn_off"])
@pytest.mark.usefixtures("eos")
async def test_light_is_shown_as_it_was_switched(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, service: str
) -> None:
    """Unknown before the first press, and after it never again."""
    assert state_of(hass, LIGHT) == "unknown"
    assert is_assumed(hass, LIGHT)
    await call_action(hass, "light", service, LIGHT)
    for _ in range(3):
        assert state_of(hass, LIGHT) == service.removeprefix("turn_")
        assert is_assumed(hass, LIGHT)
        await poll(hass, freezer)


@pytest.mark.usefixtures("eos")
async def test_failed_press_changes_nothing(hass: HomeAssistant, simulator: Simulator) -> None:
    """The light is shown as before."""
    await call_action(hass, "light", "turn_on", LIGHT)
    simulator.fail(SETSTATE, Failure(status=500))
    await expect_refused(hass, "light", "turn_off", LIGHT)
    assert state_of(hass, LIGHT) == "on"


@pytest.mark.parametrize("seconds", [2, 30, 3600])
async def test_off_timer(
    hass: HomeAssistant,
    eos: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    seconds: int,
) -> None:
    """The light goes off in Home Assistant; nothing is sent, and nobody did it."""
    await set_timer(hass, eos, seconds)
    await call_action(hass, "light", "turn_on", LIGHT)
    pressed = hass.states.get(LIGHT)
    await advance(hass, freezer, seconds - 1)
    assert state_of(hass, LIGHT) == "on"
    await advance(hass, freezer, 2)
    assert state_of(hass, LIGHT) == "off"
    assert len(simulator.journal.commands) == 1
    ended = hass.states.get(LIGHT)
    assert pressed is not None
    assert ended is not None
    assert ended.context.id != pressed.context.id


async def test_second_press_restarts_the_timer(
    hass: HomeAssistant, eos: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """As it restarts that of the relay; switching off ends it."""
    await set_timer(hass, eos, 60)
    await call_action(hass, "light", "turn_on", LIGHT)
    await advance(hass, freezer, 40)
    await call_action(hass, "light", "turn_on", LIGHT)
    await advance(hass, freezer, 40)
    assert state_of(hass, LIGHT) == "on"
    await call_action(hass, "light", "turn_off", LIGHT)
    changes = async_capture_events(hass, "state_changed")
    await advance(hass, freezer, 40)
    assert [each for each in changes if each.data["entity_id"] == LIGHT] == []


@pytest.mark.usefixtures("eos")
async def test_no_timer_by_default(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """The light stays on until it is switched off."""
    await call_action(hass, "light", "turn_on", LIGHT)
    await advance(hass, freezer, 86_400)
    assert state_of(hass, LIGHT) == "on"


async def test_reload_during_the_timer(
    hass: HomeAssistant, eos: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """The light stays on for the rest of it, also with a new timer in the options."""
    await set_timer(hass, eos, 60)
    await call_action(hass, "light", "turn_on", LIGHT)
    await advance(hass, freezer, 40)
    await set_timer(hass, eos, 600)
    assert state_of(hass, LIGHT) == "on"
    await advance(hass, freezer, 21)
    assert state_of(hass, LIGHT) == "off"


async def test_timer_that_ends_while_the_account_is_not_loaded(
    hass: HomeAssistant, eos: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """The light is off when the account is back."""
    await set_timer(hass, eos, 60)
    await call_action(hass, "light", "turn_on", LIGHT)
    await hass.config_entries.async_unload(eos.entry_id)
    await advance(hass, freezer, 61)
    await hass.config_entries.async_setup(eos.entry_id)
    await wait_idle(hass)
    assert state_of(hass, LIGHT) == "off"


async def test_reload_while_the_light_is_switched(
    hass: HomeAssistant, eos: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The reload waits for the command, and the light is shown as it was switched."""
    released = asyncio.Event()
    simulator.fail(SETSTATE, Failure(until=released))
    pressed = hass.async_create_task(call_action(hass, "light", "turn_on", LIGHT))
    await wait_until(lambda: simulator.journal.commands)
    reloading = hass.async_create_task(hass.config_entries.async_reload(eos.entry_id))
    await turn_loop()
    released.set()
    await asyncio.gather(pressed, reloading)
    await wait_idle(hass)
    assert state_of(hass, LIGHT) == "on"


@pytest.mark.parametrize(
    ("seconds", "now", "later"),
    [(None, "on", "on"), (60, "on", "off"), (-1, "off", "off")],
    ids=["no timer", "in the middle of it", "after its end"],
)
async def test_restart(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    eos: ConfigEntry[Any],
    freezer: FrozenDateTimeFactory,
    seconds: float | None,
    now: str,
    later: str,
) -> None:
    """The light is shown as before, for the rest of its timer."""
    await hass.config_entries.async_unload(eos.entry_id)
    hass.data[ASSUMED_LIGHTS].clear()
    off_at = None if seconds is None else dt_util.utcnow().timestamp() + seconds
    stored = (State(LIGHT, "on"), {"on": True, "off_at": off_at})
    mock_restore_cache_with_extra_data(hass, [stored])
    await hass.config_entries.async_setup(eos.entry_id)
    await wait_idle(hass)
    assert state_of(hass, LIGHT) == now
    await advance(hass, freezer, 61)
    assert state_of(hass, LIGHT) == later


@pytest.mark.parametrize(
    "data", [{}, {"on": True}, {"on": "yes", "off_at": None}, {"on": True, "off_at": "soon"}]
)
async def test_restart_with_damaged_data(
    hass: HomeAssistant, eos: ConfigEntry[Any], data: dict[str, Any]
) -> None:
    """The light is there, and can be switched."""
    await hass.config_entries.async_unload(eos.entry_id)
    hass.data[ASSUMED_LIGHTS].clear()
    mock_restore_cache_with_extra_data(hass, [(State(LIGHT, "on"), data)])
    await hass.config_entries.async_setup(eos.entry_id)
    await wait_idle(hass)
    assert state_of(hass, LIGHT) in {"on", "unknown"}
    await call_action(hass, "light", "turn_off", LIGHT)
    assert state_of(hass, LIGHT) == "off"


@pytest.mark.parametrize("timer", [0, 60])
async def test_what_a_restart_needs_is_stored(
    hass: HomeAssistant, eos: ConfigEntry[Any], timer: int
) -> None:
    """What one set-up stores, the next one understands."""
    await set_timer(hass, eos, timer)
    await call_action(hass, "light", "turn_on", LIGHT)
    await hass.config_entries.async_unload(eos.entry_id)
    hass.data[ASSUMED_LIGHTS].clear()
    await hass.config_entries.async_setup(eos.entry_id)
    await wait_idle(hass)
    assert state_of(hass, LIGHT) == "on"


async def test_reported_state_wins(
    hass: HomeAssistant, eos: ConfigEntry[Any], simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Neither the timer nor an old press replaces what the cloud reports."""
    await set_timer(hass, eos, 600)
    await call_action(hass, "light", "turn_on", LIGHT)
    (light,) = simulator.house.lights()
    light.reports_state, light.seconds = True, 86_400.0
    await poll(hass, freezer)
    assert not is_assumed(hass, LIGHT)
    await advance(hass, freezer, 600)
    assert state_of(hass, LIGHT) == "on", "that is what the cloud reports"
    light.lit_at = None
    await poll(hass, freezer)
    assert state_of(hass, LIGHT) == "off"


@pytest.mark.parametrize("reported", [True, False])
async def test_answer_without_a_state_after_a_press(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    *,
    reported: bool,
) -> None:
    """The light is as it was switched or reported last; it never becomes unknown."""
    assert entry.runtime_data.coordinator.last_update_success
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    (light,) = simulator.house.lights()
    light.lit_at, light.seconds = (light.lit_at if reported else None), 86_400.0
    for is_reported in (True, False, False):
        light.reports_state = is_reported
        await poll(hass, freezer)
        assert is_assumed(hass, "light.luce_scale") is not is_reported
        assert state_of(hass, "light.luce_scale") == ("on" if reported else "off")


async def test_timer_is_for_assumed_lights_only(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """A reported light is shown as the cloud reports it."""
    await set_timer(hass, entry, 10)
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    assert not is_assumed(hass, "light.luce_scale")
    await advance(hass, freezer, 20)
    assert state_of(hass, "light.luce_scale") == "on"


@pytest.mark.usefixtures("eos")
async def test_door_without_a_reported_state(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """It is assumed; before and after an opening it is locked, never unknown."""
    assert is_assumed(hass, DOOR)
    assert state_of(hass, DOOR) == "locked"
    await call_action(hass, "lock", "open", DOOR)
    assert state_of(hass, DOOR) == "unlocked"
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    assert is_assumed(hass, DOOR)


async def test_door_with_a_reported_state(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Its lock is not assumed; that of a light's relay is."""
    light = "30000a-0606-aa11bb22cc06"
    assert await submit_options(hass, entry, **{CONF_LIGHTS_AS_DOORS: [light]}) == {}
    assert not is_assumed(hass, "lock.cancello")
    assert is_assumed(hass, "lock.luce_scale")
    await reload_entry(hass, entry)
    assert not is_assumed(hass, "lock.cancello")
