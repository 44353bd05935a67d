"""Relays of a type whose purpose is unknown (BNOT): gates if their owner says so, else nothing."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.bticino_classe.const import CONF_GATES, CONF_LIGHTS_AS_DOORS, DOMAIN
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from tests.integration.conftest import (
    call_action,
    expect_refused,
    form_fields,
    poll,
    reload_entry,
    request_values,
    sign_in,
    state_of,
    wait_idle,
)
from tests.integration.test_door_code import CODE, choose_codes
from tests.integration.test_options import submit_options
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

BRIDGE, GATE = "00:03:50:e0:5a:02", "e05a02-0303-aa11bb22cc03"
LOCK, BUTTON = "lock.gate_1", "button.gate_1_open"


@pytest.fixture(name="eos")
async def _eos(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> ConfigEntry[Any]:
    """A 300EOS with such a relay, of which nothing was said."""
    simulator.use_house("classe_300eos_gate")
    found = await sign_in(hass, credentials)
    simulator.journal.clear()
    return found


def module_ids(hass: HomeAssistant, entry: ConfigEntry[Any]) -> set[str]:
    """Return the ids of the modules with a device."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return {key for device in devices for _, key in device.identifiers}


def entity_ids(hass: HomeAssistant) -> set[str]:
    """Return the entities of the relay."""
    registry = er.async_get(hass)
    return {key for key, each in registry.entities.items() if GATE in each.unique_id}


async def test_relay_is_left_out(hass: HomeAssistant, eos: ConfigEntry[Any]) -> None:
    """It may be anything: no device and no entity."""
    assert GATE not in module_ids(hass, eos)
    assert entity_ids(hass) == set()
    assert hass.states.async_entity_ids("light") == []
    report = await async_get_config_entry_diagnostics(hass, eos)
    assert report["counters"]["unknown_types"] == {}


@pytest.mark.parametrize(
    "press", [("lock", "open", LOCK), ("lock", "unlock", LOCK), ("button", "press", BUTTON)]
)
async def test_declared_gate_opens(
    hass: HomeAssistant, eos: ConfigEntry[Any], simulator: Simulator, press: tuple[str, str, str]
) -> None:
    """By the command of a light, once; it is a door like any other."""
    assert await submit_options(hass, eos, **{CONF_GATES: [GATE]}) == {}
    assert entity_ids(hass) == {LOCK, BUTTON}
    assert state_of(hass, LOCK) == "locked"
    await call_action(hass, *press)
    assert [each.module_id for each in simulator.openings] == [GATE]
    sent = request_values(simulator.journal.commands, "home", "modules")
    assert sent == [[{"id": GATE, "bridge": BRIDGE, "on": True}]]
    assert state_of(hass, LOCK) == "unlocked"
    assert simulator.violations == []


async def test_gate_that_refuses_the_command(
    hass: HomeAssistant, eos: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The command is only tried: a refusal is reported and not repeated."""
    await submit_options(hass, eos, **{CONF_GATES: [GATE]})
    body: dict[str, object] = {"status": "ok", "body": {"errors": [{"code": 5, "id": GATE}]}}
    simulator.fail(SETSTATE, Failure(body=body))
    assert await expect_refused(hass, "lock", "open", LOCK) == "command_refused"
    assert len(simulator.journal.commands) == 1
    assert state_of(hass, LOCK) == "locked"


async def test_gate_with_a_code(
    hass: HomeAssistant, eos: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It has no button, opens only with the code, and stays a door while it has one."""
    await submit_options(hass, eos, **{CONF_GATES: [GATE]})
    assert await choose_codes(hass, eos, {GATE: CODE}, **{CONF_GATES: [GATE]}) == ["Gate 1"]
    assert entity_ids(hass) == {LOCK}
    with pytest.raises(ServiceValidationError):
        await call_action(hass, "lock", "open", LOCK)
    target = {"entity_id": LOCK, "code": CODE}
    await hass.services.async_call("lock", "open", target, blocking=True)
    assert len(simulator.openings) == 1
    assert await choose_codes(hass, eos, {GATE: CODE}) == []
    assert entity_ids(hass) == {LOCK}


async def test_gate_that_is_none_any_more(
    hass: HomeAssistant, eos: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """Device and entities are gone, and come back the same."""
    await submit_options(hass, eos, **{CONF_GATES: [GATE]})
    await submit_options(hass, eos, **{CONF_GATES: []})
    assert GATE not in module_ids(hass, eos)
    assert entity_ids(hass) == set()
    await poll(hass, freezer)
    assert GATE not in module_ids(hass, eos)
    await submit_options(hass, eos, **{CONF_GATES: [GATE]})
    await reload_entry(hass, eos)
    assert entity_ids(hass) == {LOCK, BUTTON}


@pytest.mark.parametrize("gates", [[], [GATE]])
@pytest.mark.parametrize("has_light", [True, False])
async def test_sign_in_asks_for_gates(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    gates: list[str],
    *,
    has_light: bool,
) -> None:
    """Beside the lights, if there are any; before anything could switch it."""
    simulator.use_house("classe_300eos_gate")
    if has_light:
        simulator.add_module(kind="BNSL", name="Scale")
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    form = await hass.config_entries.flow.async_configure(flow["flow_id"], credentials)
    assert form["step_id"] == "lights"
    assert list(form_fields(form)) == [CONF_LIGHTS_AS_DOORS] * has_light + [CONF_GATES]
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {CONF_GATES: gates})
    assert result["options"][CONF_GATES] == gates
    await wait_idle(hass)
    assert entity_ids(hass) == ({LOCK, BUTTON} if gates else set())
