"""A door with a code: nothing opens it without the code, and the code is shown nowhere."""

from contextlib import suppress
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Context
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    intent,
)
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.bticino_classe.const import CONF_HISTORY
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import (
    call_action,
    device_id_of,
    form_fields,
    poll,
    reload_entry,
    state_of,
    wait_idle,
)

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

CANCELLO, PORTONE = "30000a-0303-aa11bb22cc03", "30000a-0404-aa11bb22cc04"
LIGHT = "30000a-0606-aa11bb22cc06"
LOCK, BUTTON = "lock.cancello", "button.cancello_open"
CODE, OTHER = "73519264", "73519265"


async def choose_codes(
    hass: HomeAssistant, entry: ConfigEntry[Any], doors: dict[str, str], **options: Any
) -> list[str]:
    """Choose the doors with a code, entering the code of each; returns the doors asked for."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    given = {CONF_HISTORY: {}, "doors_with_code": list(doors), **options}
    result = await hass.config_entries.options.async_configure(form["flow_id"], given)
    known, asked = entry.options.get("door_codes", {}), []
    for code in (code for door, code in doors.items() if door not in known):
        assert result["step_id"] == "door_code", result
        asked.append((result["description_placeholders"] or {})["door"])
        result = await hass.config_entries.options.async_configure(form["flow_id"], {"code": code})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await wait_idle(hass)
    return asked


@pytest.fixture(name="coded")
async def _coded(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> ConfigEntry[Any]:
    """An account whose door Cancello has a code."""
    assert await choose_codes(hass, entry, {CANCELLO: CODE}) == ["Cancello"]
    simulator.journal.clear()
    return entry


async def open_with(hass: HomeAssistant, service: str, **data: Any) -> None:
    """Call an action of the lock."""
    await hass.services.async_call("lock", service, {"entity_id": LOCK, **data}, blocking=True)


@pytest.mark.parametrize("service", ["open", "unlock"])
@pytest.mark.usefixtures("coded")
async def test_right_code_opens(hass: HomeAssistant, simulator: Simulator, service: str) -> None:
    """Once, as any other door."""
    await open_with(hass, service, code=CODE)
    assert [each.module_id for each in simulator.openings] == [CANCELLO]
    assert state_of(hass, LOCK) == "unlocked"


@pytest.mark.parametrize("service", ["open", "unlock"])
@pytest.mark.parametrize(
    "code",
    [None, "", OTHER, CODE[:-1], CODE[:4], CODE + "0", f" {CODE}", CODE + "\n", "abcd", "٧٣٥١٩٢٦٤"],
)
@pytest.mark.usefixtures("coded")
async def test_wrong_or_missing_code_opens_nothing(
    hass: HomeAssistant, simulator: Simulator, service: str, code: str | None
) -> None:
    """The error is translated and does not contain a code; no command is sent."""
    with pytest.raises(ServiceValidationError) as caught:
        await open_with(hass, service, **({} if code is None else {"code": code}))
    assert caught.value.translation_key in {"wrong_code", "add_default_code"}
    assert CODE not in str(caught.value)
    assert simulator.journal.commands == []
    assert state_of(hass, LOCK) == "locked"


@pytest.mark.usefixtures("coded")
async def test_other_doors_need_no_code(hass: HomeAssistant, simulator: Simulator) -> None:
    """Each door has its own code, or none."""
    await call_action(hass, "lock", "open", "lock.portone")
    await call_action(hass, "button", "press", "button.portone_open")
    assert len(simulator.openings) == 2
    state = hass.states.get("lock.portone")
    assert state is not None
    assert state.attributes.get("code_format") is None


async def test_code_of_one_door_does_not_open_another(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The codes may differ."""
    await choose_codes(hass, entry, {CANCELLO: CODE, PORTONE: OTHER})
    with pytest.raises(ServiceValidationError):
        await open_with(hass, "open", code=OTHER)
    await open_with(hass, "open", code=CODE)
    with pytest.raises(ServiceValidationError):
        await open_with(hass, "open", entity_id="lock.portone", code=CODE)
    assert [each.module_id for each in simulator.openings] == [CANCELLO]


async def test_door_with_a_code_has_no_button(
    hass: HomeAssistant, entry: ConfigEntry[Any], coded: ConfigEntry[Any]
) -> None:
    """A button asks for no code; it comes back with the last code."""
    assert er.async_get(hass).async_get(BUTTON) is None
    assert hass.states.get(BUTTON) is None
    assert hass.states.get("button.portone_open") is not None
    await reload_entry(hass, coded)
    assert er.async_get(hass).async_get(BUTTON) is None
    await choose_codes(hass, entry, {})
    assert hass.states.get(BUTTON) is not None
    state = hass.states.get(LOCK)
    assert state is not None
    assert state.attributes.get("code_format") is None


async def test_button_that_is_still_there(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Options that were stored without a reload hold at once."""
    hass.config_entries.async_update_entry(entry, options={"door_codes": {CANCELLO: CODE}})
    for action in (("button", "press", BUTTON), ("lock", "open", LOCK)):
        with pytest.raises(ServiceValidationError) as caught:
            await call_action(hass, *action)
        assert caught.value.translation_key == "wrong_code"
    assert simulator.journal.commands == []


@pytest.mark.usefixtures("coded")
async def test_scene_opens_nothing(hass: HomeAssistant, simulator: Simulator) -> None:
    """Scenes have no code: neither one of the configuration, nor one taken while it was open."""
    scene = {"name": "Guests", "entities": {LOCK: "unlocked"}}
    assert await async_setup_component(hass, "scene", {"scene": [scene]})
    await hass.async_block_till_done()
    await open_with(hass, "open", code=CODE)
    data = {"scene_id": "before", "snapshot_entities": [LOCK]}
    await hass.services.async_call("scene", "create", data, blocking=True)
    await reload_entry(hass, hass.config_entries.async_entries("bticino_classe")[0])
    hass.states.async_set(LOCK, "locked")
    simulator.journal.clear()
    actions: list[tuple[str, dict[str, Any]]] = [
        ("turn_on", {"entity_id": "scene.guests"}),
        ("turn_on", {"entity_id": "scene.before"}),
        ("apply", {"entities": {LOCK: "open"}}),
        ("apply", {"entities": {LOCK: "unlocked"}}),
    ]
    for service, target in actions:
        with pytest.raises(HomeAssistantError):
            await hass.services.async_call("scene", service, target, blocking=True)
    assert simulator.journal.commands == []


async def turn_off(hass: HomeAssistant, slots: dict[str, str], *, exposed: bool) -> None:
    """Say *turn off* to an assistant, with the lock in the garden."""
    for component in ("homeassistant", "intent"):
        assert await async_setup_component(hass, component, {})
    area = ar.async_get(hass).async_create("Garden")
    dr.async_get(hass).async_update_device(device_id_of(hass, "Cancello"), area_id=area.id)
    async_expose_entity(hass, "conversation", LOCK, exposed)
    given = {key: {"value": value} for key, value in slots.items()}
    await intent.async_handle(hass, "test", intent.INTENT_TURN_OFF, given, assistant="conversation")
    await wait_idle(hass)


TARGETS = [{"name": "Cancello"}, {"area": "Garden"}]


@pytest.mark.parametrize("slots", TARGETS)
@pytest.mark.usefixtures("coded")
async def test_spoken_turn_off_opens_nothing(
    hass: HomeAssistant, simulator: Simulator, slots: dict[str, str]
) -> None:
    """To assistants *turn off* means *unlock*, also for everything in an area."""
    with suppress(HomeAssistantError):  # for an area the answer names what failed
        await turn_off(hass, slots, exposed=True)
    await wait_idle(hass)
    assert simulator.journal.commands == []


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("slots", TARGETS)
@pytest.mark.usefixtures("entry")
async def test_spoken_turn_off_of_a_door_without_a_code(
    hass: HomeAssistant, simulator: Simulator, slots: dict[str, str], *, exposed: bool
) -> None:
    """It opens a lock that was exposed, as the documents warn; no other one."""
    if exposed:
        await turn_off(hass, slots, exposed=True)
    else:
        with pytest.raises((HomeAssistantError, intent.IntentError)):
            await turn_off(hass, slots, exposed=False)
    assert len(simulator.openings) == exposed


async def test_code_is_shown_nowhere(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in the form of the options, a state, the registry, the log or the diagnostics."""
    caplog.set_level(logging.DEBUG, logger="custom_components.bticino_classe")
    await choose_codes(hass, entry, {CANCELLO: CODE})
    with pytest.raises(ServiceValidationError):
        await open_with(hass, "open", code=OTHER)
    await open_with(hass, "open", code=CODE)
    await wait_idle(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["entry"]["options"]["door_codes"] == ["door-1"]
    ours = [each for each in caplog.records if each.name.startswith("custom_components")]
    shown = [
        *(str(state.as_dict()) for state in hass.states.async_all()),
        *(str(each) for each in er.async_get(hass).entities.values()),
        *(each.getMessage() for each in ours),
        str(report),
        str(form_fields(form)),
        repr(entry.runtime_data.commands.__dict__),
    ]
    assert [each for each in shown if CODE in each or OTHER in each] == []


@pytest.mark.parametrize(
    "wrong", ["", "1", "123", "12345678901", "12 34", "abcd", "1234\n", "١٢٣٤"]
)
async def test_invalid_code_is_not_stored(
    hass: HomeAssistant, entry: ConfigEntry[Any], wrong: str
) -> None:
    """The form says what is expected."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    given = {CONF_HISTORY: {}, "doors_with_code": [CANCELLO]}
    await hass.config_entries.options.async_configure(form["flow_id"], given)
    result = await hass.config_entries.options.async_configure(form["flow_id"], {"code": wrong})
    assert result["errors"] == {"code": "invalid_code"}
    assert "door_codes" not in entry.options
    result = await hass.config_entries.options.async_configure(form["flow_id"], {"code": "1234"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options["door_codes"] == {CANCELLO: "1234"}
    await wait_idle(hass)


async def test_codes_are_kept_and_changed(hass: HomeAssistant, coded: ConfigEntry[Any]) -> None:
    """Only new doors are asked for; a door that is removed and added again gets a new code."""
    assert await choose_codes(hass, coded, {CANCELLO: "", PORTONE: OTHER}) == ["Portone"]
    assert coded.options["door_codes"] == {CANCELLO: CODE, PORTONE: OTHER}
    await choose_codes(hass, coded, {PORTONE: ""})
    assert coded.options["door_codes"] == {PORTONE: OTHER}
    assert await choose_codes(hass, coded, {CANCELLO: "1234", PORTONE: ""}) == ["Cancello"]
    assert coded.options["door_codes"] == {CANCELLO: "1234", PORTONE: OTHER}


async def test_door_that_is_not_listed_keeps_its_code(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> None:
    """It cannot be chosen, and is not opened without its code once it is back."""
    codes = {"gone": CODE}
    hass.config_entries.async_update_entry(entry, options={"door_codes": codes})
    await choose_codes(hass, entry, {CANCELLO: OTHER})
    assert entry.options["door_codes"] == {"gone": CODE, CANCELLO: OTHER}


async def test_light_relay_that_is_a_door(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It can have a code once it is a door."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    schema = form["data_schema"]
    assert schema is not None
    (offered,) = [
        [each["value"] for each in selector.config["options"]]
        for key, selector in schema.schema.items()
        if key == "doors_with_code"
    ]
    assert LIGHT not in offered
    hass.config_entries.async_update_entry(entry, options={"lights_as_doors": [LIGHT]})
    await choose_codes(hass, entry, {LIGHT: CODE}, lights_as_doors=[LIGHT])
    assert er.async_get(hass).async_get("button.luce_scale_open") is None
    with pytest.raises(ServiceValidationError):
        await open_with(hass, "open", entity_id="lock.luce_scale")
    await open_with(hass, "open", entity_id="lock.luce_scale", code=CODE)
    assert simulator.lights == {LIGHT: True}


async def test_door_with_a_code_that_is_reported_as_a_light(
    hass: HomeAssistant,
    coded: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It stays a door with a code, until its code is removed; no light switches it without one."""
    simulator.house.find(CANCELLO).type = "BNSL"
    simulator.house.find(CANCELLO).variant = "BNSL:bnsl_staircase_light"
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert "light.cancello" not in hass.states.async_entity_ids()
    with pytest.raises(ServiceValidationError):
        await open_with(hass, "open")
    assert simulator.journal.commands == []
    await choose_codes(hass, coded, {})
    assert "light.cancello" in hass.states.async_entity_ids()


async def test_account_that_is_unloaded_while_the_code_is_entered(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> None:
    """Nothing is stored."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    given = {CONF_HISTORY: {}, "doors_with_code": [CANCELLO]}
    await hass.config_entries.options.async_configure(form["flow_id"], given)
    await hass.config_entries.async_unload(entry.entry_id)
    result = await hass.config_entries.options.async_configure(form["flow_id"], {"code": CODE})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"
    assert "door_codes" not in entry.options
    assert entry.state is ConfigEntryState.NOT_LOADED


@pytest.mark.usefixtures("coded")
async def test_default_code_of_the_owner(hass: HomeAssistant, simulator: Simulator) -> None:
    """Home Assistant adds the one that its owner stored in the lock's settings, if it is right."""
    registry = er.async_get(hass)
    registry.async_update_entity_options(LOCK, "lock", {"default_code": OTHER})
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            "lock", "open", {"entity_id": LOCK}, blocking=True, context=Context()
        )
    assert caught.value.translation_key == "wrong_code"
    assert simulator.journal.commands == []
    registry.async_update_entity_options(LOCK, "lock", {"default_code": CODE})
    await call_action(hass, "lock", "open", LOCK)
    assert len(simulator.openings) == 1


async def test_name_of_a_door_with_markdown(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """The form shows it as it is, and loads nothing from it."""
    device_id = device_id_of(hass, "Cancello")
    dr.async_get(hass).async_update_device(device_id, name_by_user="![x](//evil.example) <b>_c_")
    asked = await choose_codes(hass, entry, {CANCELLO: CODE})
    assert asked == [r"\!\[x\]\(\/\/evil\.example\) \<b\>\_c\_"]
