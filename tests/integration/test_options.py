"""The options flow."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.bticino_classe.const import (
    CONF_DOORS_WITH_CODE,
    CONF_EXCLUDED_HOMES,
    CONF_HISTORY,
    CONF_LIGHT_TIMER,
    CONF_LIGHTS_AS_DOORS,
    CONF_PULSE_TIME,
    CONF_SIMULATED_RINGS,
    CONF_STREAMS,
)
from tests.integration.conftest import (
    call_action,
    forget_house,
    form_fields,
    reload_entry,
    request_values,
    sign_in,
    state_of,
    wait_idle,
)
from tests.simulator import Failure
from tests.simulator.house import Door
from tests.simulator.houses import CASA, SEASIDE
from tests.simulator.paths import HOMESTATUS

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

LIGHT = "30000a-0606-aa11bb22cc06"


async def submit_options(
    hass: HomeAssistant, entry: ConfigEntry[Any], **chosen: Any
) -> dict[str, str]:
    """Submit the options; returns the errors of the form."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert form["type"] is FlowResultType.FORM
    result = await hass.config_entries.options.async_configure(
        form["flow_id"], {CONF_HISTORY: {}} | chosen
    )
    await wait_idle(hass)
    errors: dict[str, str] = result.get("errors") or {}
    return errors


@pytest.mark.parametrize("failure", [Failure(code=13), Failure(status=503, html=True)])
async def test_excluded_home_without_an_answer(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], failure: Failure
) -> None:
    """It stays excluded, with what its options say, after starts without its modules."""
    simulator.use_house("two_homes")
    home = simulator.house.homes[1]
    home.lists_modules = False
    entry = await sign_in(hass, credentials)
    chosen = {CONF_EXCLUDED_HOMES: [home.id], CONF_DOORS_WITH_CODE: []}
    door = next(module.id for module in home.modules.values() if isinstance(module, Door))
    assert await submit_options(hass, entry, **chosen) == {}
    for _ in range(2):
        await hass.config_entries.async_unload(entry.entry_id)
        simulator.fail(HOMESTATUS, failure)  # of the home that is listed without modules
        await hass.config_entries.async_setup(entry.entry_id)
        await wait_idle(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert form["data_schema"] is not None
    doors = form["data_schema"].schema[CONF_DOORS_WITH_CODE].config["options"]
    assert door in {each["value"] for each in doors}
    assert await submit_options(hass, entry, **chosen) == {}
    assert entry.options[CONF_EXCLUDED_HOMES] == [home.id]
    assert not hass.states.get("calendar.casa_al_mare_calls")
    assert await submit_options(hass, entry, excluded_homes=[]) == {}
    assert hass.states.get("calendar.casa_al_mare_calls")


async def test_one_home(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """There is no field for homes."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert list(form_fields(form)) == [
        CONF_PULSE_TIME,
        CONF_LIGHT_TIMER,
        CONF_LIGHTS_AS_DOORS,
        CONF_DOORS_WITH_CODE,
        CONF_SIMULATED_RINGS,
        CONF_HISTORY,
        CONF_STREAMS,
    ]


async def test_house_without_a_light(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """There is no field for lights."""
    simulator.use_house("easykit")
    entry = await sign_in(hass, credentials)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert list(form_fields(form)) == [
        CONF_PULSE_TIME,
        CONF_DOORS_WITH_CODE,
        CONF_SIMULATED_RINGS,
        CONF_HISTORY,
        CONF_STREAMS,
    ]


async def test_staircase_light_becomes_a_door_and_a_light_again(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The relay gets a lock and a button instead of the light, and back."""
    assert await submit_options(hass, entry, pulse_time=3, lights_as_doors=[LIGHT]) == {}
    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("light.luce_scale") is None
    await call_action(hass, "lock", "open", "lock.luce_scale")
    await call_action(hass, "button", "press", "button.luce_scale_open")
    sent = request_values(simulator.journal.commands, "home", "modules")
    assert sent == [[{"id": LIGHT, "bridge": "00:03:50:30:00:0a", "on": True}]] * 2

    await submit_options(hass, entry, pulse_time=3, lights_as_doors=[])
    assert state_of(hass, "light.luce_scale") == "on"
    assert hass.states.async_entity_ids("lock") == ["lock.cancello", "lock.portone", "lock.box"]
    assert hass.states.get("button.luce_scale_open") is None


async def test_homes_are_excluded(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Nothing is requested about an excluded home; it can be included again."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    assert entry.title == "Casa, Casa al mare"
    assert await submit_options(hass, entry, pulse_time=5, excluded_homes=[CASA, SEASIDE]) == {
        CONF_EXCLUDED_HOMES: "all_homes_excluded"
    }
    simulator.journal.clear()
    assert await submit_options(hass, entry, pulse_time=5, excluded_homes=[SEASIDE]) == {}
    assert request_values(simulator.journal.of(HOMESTATUS), "home_id") == [CASA]
    assert state_of(hass, "lock.porta") == "locked"
    assert hass.states.get("lock.portone") is None

    await submit_options(hass, entry, pulse_time=5, excluded_homes=[])
    assert state_of(hass, "lock.portone") == "locked"


async def test_options_need_a_loaded_entry(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Before the first answer of the cloud there is nothing to choose from."""
    await forget_house(hass, entry)
    simulator.take_down()
    await reload_entry(hass, entry)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"


async def test_choices_have_the_names_of_their_devices(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A light without a name in the app is listed by its device's name."""
    simulator.use_house("classe_300eos")
    entry = await sign_in(hass, credentials)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    schema = form["data_schema"]
    assert schema is not None
    (labels,) = [
        [option["label"] for option in selector.config["options"]]
        for key, selector in schema.schema.items()
        if key == CONF_LIGHTS_AS_DOORS
    ]
    assert labels == ["Staircase light 1"]


async def test_removed_module_does_not_block_the_form(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> None:
    """The suggested values can be saved as they are."""
    hass.config_entries.async_update_entry(
        entry, options={CONF_PULSE_TIME: 7, CONF_LIGHTS_AS_DOORS: [LIGHT, "gone"]}
    )
    form = await hass.config_entries.options.async_init(entry.entry_id)
    suggested = {key: value["suggested_value"] for key, value in form_fields(form).items() if value}
    assert suggested == {CONF_PULSE_TIME: 7, CONF_LIGHTS_AS_DOORS: [LIGHT]}
    assert await submit_options(hass, entry, **suggested) == {}
