"""The kind of a module: kept over answers that do not contain it, and changes of it."""

from typing import TYPE_CHECKING, Any

from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.bticino_classe.client import ModuleKind
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import call_action, poll, reload_entry, sign_in, state_of
from tests.simulator.house import Bridge
from tests.simulator.houses import CCTV, DOOR, GATE, LIGHT, PANEL, VARIANTS, new_module

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

UNKNOWN_TYPE = "BNZZ"
KINDS = {
    DOOR: {"lock", "button"},
    LIGHT: {"light"},
    GATE: set(),
    PANEL: {"camera", "event", "image", "binary_sensor"},
    CCTV: {"camera"},
    "BNC1": {"event", "binary_sensor", "sensor", "button", "camera", "image"},
}


def has_call_home(hass: HomeAssistant, entry: ConfigEntry[Any], module_id: str) -> bool:
    """Whether a module can be called as an indoor unit."""
    entries = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return any(each.unique_id.endswith(f"-{module_id}-call_home") for each in entries)


def domains(hass: HomeAssistant, entry: ConfigEntry[Any], module_id: str) -> set[str]:
    """Return the domains of a module's entities; all but disabled ones have a state."""
    entries = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    found = [each for each in entries if module_id in each.unique_id]
    shown = [each for each in found if each.disabled_by is None]
    assert all(hass.states.get(each.entity_id) for each in shown)
    return {each.domain for each in found}


@pytest.mark.parametrize("variant", VARIANTS.values())
@pytest.mark.parametrize("name", ["Novità", None])
async def test_kind_by_variant_is_kept(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    variant: str,
    name: str | None,
) -> None:
    """A list without the variant changes nothing, however often it comes."""
    module = new_module(
        UNKNOWN_TYPE, module_id="1", bridge=simulator.house.bridges()[0].id, name=name
    )
    module.variant = variant
    simulator.house.homes[0].modules[module.id] = module
    entry = await sign_in(hass, credentials)
    before = entry.runtime_data.coordinator.data.modules[module.id]
    assert before.kind is not ModuleKind.UNKNOWN
    module.variant = None
    for _ in range(2):
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        assert entry.runtime_data.coordinator.data.modules[module.id] == before


@pytest.mark.parametrize("kind", ["BPAC", "BPVC", "BCEPA"])
@pytest.mark.parametrize("module_id", ["00:03:50:00:00:77", "77-01"])
async def test_panel_whose_intercom_is_not_listed_any_more(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    kind: str,
    module_id: str,
) -> None:
    """It stays a panel: one answer without the intercom does not make it one."""
    module = new_module("BPVC", module_id=module_id, bridge="00:03:50:30:00:0a", name="Atrio")
    module.type = kind
    simulator.house.homes[0].modules[module_id] = module
    entry = await sign_in(hass, credentials)
    before = entry.runtime_data.coordinator.data.modules[module_id]
    assert before.kind is ModuleKind.PANEL
    module.bridge = None
    for _ in range(2):
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        assert entry.runtime_data.coordinator.data.modules[module_id] == before


@pytest.mark.parametrize("kind", ["BPAC", "BPVC", "BCEPA"])
async def test_intercom_without_modules_any_more(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    kind: str,
) -> None:
    """It stays an intercom: one answer without its modules does not make it nothing."""
    modules = simulator.house.homes[0].modules
    modules["intercom-77"] = Bridge(id="intercom-77", type=kind, name="Atrio")
    door = new_module(DOOR, module_id="77-01", bridge="intercom-77", name="Atrio")
    modules[door.id] = door
    entry = await sign_in(hass, credentials)
    before = entry.runtime_data.coordinator.data.modules["intercom-77"]
    assert before.kind is ModuleKind.BRIDGE
    door.bridge = None
    for _ in range(2):
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        assert entry.runtime_data.coordinator.data.modules["intercom-77"] == before


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
@pytest.mark.parametrize("is_loaded", [True, False])
async def test_change_of_kind_leaves_no_orphan(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    old: str,
    new: str,
    is_loaded: bool,
) -> None:
    """While Home Assistant runs, and while it does not; there and back again."""
    home = simulator.house.homes[0]
    bridge = simulator.house.bridges()[0].id

    async def change(kind: str) -> None:
        home.modules["77-01"] = new_module(kind, module_id="77-01", bridge=bridge, name="Atrio")
        if is_loaded:
            await poll(hass, freezer, TOPOLOGY_INTERVAL)
        else:
            await reload_entry(hass, entry)

    for kind in (old, new, old, new):
        await change(kind)
        assert domains(hass, entry, "77-01") == KINDS[kind]
        assert has_call_home(hass, entry, "77-01") is (kind == "BNC1")
    assert "does not generate unique IDs" not in caplog.text
    assert "ERROR" not in caplog.text


@pytest.mark.parametrize("kind", [DOOR, LIGHT, GATE])
async def test_light_as_door_becomes_a_door(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """The lock stays the same one, and it opens."""
    light = simulator.house.find("Luce scale")
    hass.config_entries.async_update_entry(entry, options={"lights_as_doors": [light.id]})
    await reload_entry(hass, entry)
    assert domains(hass, entry, light.id) == {"lock", "button"}
    changed = new_module(kind, module_id=light.id, bridge=light.bridge, name=light.name)
    simulator.house.homes[0].modules[light.id] = changed
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert domains(hass, entry, light.id) == {"lock", "button"}
    await call_action(hass, "lock", "open", "lock.luce_scale")
    assert "does not generate unique IDs" not in caplog.text


async def test_module_that_is_gone_for_a_while(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its home was dissolved and is there again: the same entities, none twice."""
    simulator.use_house("two_homes")
    await sign_in(hass, credentials)
    before = set(hass.states.async_entity_ids())
    home = simulator.house.homes.pop(1)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.box") == "unavailable"
    simulator.house.homes.append(home)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.box") == "locked"
    assert state_of(hass, "select.classe_300x_do_not_disturb") == "off"
    assert set(hass.states.async_entity_ids()) == before
    assert "does not generate unique IDs" not in caplog.text
