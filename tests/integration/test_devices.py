"""The house as devices: complete, linked, named, and never thinned out by a poor answer."""

from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.coordinator import TOPOLOGY_INTERVAL
from tests.integration.conftest import act, poll, restart, sign_in, state_of
from tests.simulator import Failure, empty_topology, many_modules
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

BOX = "30000a-0505-aa11bb22cc05"


def devices(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str | None, str | None]:
    """Return the name of every device and that of the device that it is linked to."""
    registry = dr.async_get(hass)
    found = dr.async_entries_for_config_entry(registry, entry.entry_id)
    names = {device.id: device.name for device in found}
    return {device.name: names.get(device.via_device_id or "") for device in found}


@pytest.mark.parametrize(
    ("house", "bridge", "doors", "children"),
    [
        ("classe_100x", "Classe 100X", 1, ["Cancello", "Porta", "Scale"]),
        (
            "classe_300x",
            "Classe 300X",
            3,
            [
                *("Posto esterno strada", "Posto esterno cortile"),
                *("Cancello", "Portone", "Box", "Luce scale"),
            ],
        ),
        (
            "classe_300eos",
            "Classe 300EOS",
            2,
            ["Entrance panel 1", "Door 1", "Door 2", "Staircase light 1"],
        ),
        ("easykit", "EasyKit", 1, ["Entrance panel 1", "Door 1"]),
    ],
)
async def test_every_model_is_shown_whole(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    house: str,
    bridge: str,
    doors: int,
    children: list[str],
) -> None:
    """A device for the bridge and one for each panel, door and light, with a name in any case."""
    simulator.use_house(house)
    entry = await sign_in(hass, credentials)
    assert devices(hass, entry) == {bridge: None} | dict.fromkeys(children, bridge)
    assert len(hass.states.async_entity_ids("lock")) == doors
    assert simulator.notes == []


async def test_bridge_tells_what_it_is(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Maker, model, the vendor's code for it and its firmware."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, "00:03:50:30:00:0a"), entry.entry_id
    )
    assert device is not None
    told = (device.manufacturer, device.model, device.model_id, device.sw_version)
    assert told == ("BTicino", "Classe 300X", "BNC3", "1.8.1")


async def test_two_homes_of_one_account(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Both are set up by one sign-in, each with its own bridge."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    found = devices(hass, entry)
    assert found["Porta"] == "Classe 100X"
    assert found["Portone"] == "Classe 300X"
    assert simulator.account.logins == 1


async def test_one_home_that_is_refused_leaves_the_other(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Where the account may no longer see one home, the other goes on."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    simulator.fail(HOMESTATUS, Failure(code=13))
    await restart(hass, entry)
    assert state_of(hass, "lock.porta") == "unavailable"
    assert state_of(hass, "lock.portone") == "locked"


async def test_strange_house(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A door that only the status knows opens; what nobody knows is left out, not raised."""
    simulator.use_house("strange")
    entry = await sign_in(hass, credentials)
    assert set(devices(hass, entry)) == {"Classe 100X", "Cancello", "Porta", "Scale", "Door 1"}
    await act(hass, "lock", "open", "lock.door_1")
    assert len(simulator.openings) == 1


async def test_new_module_appears_by_itself(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The next poll shows the door, the one after knows its name."""
    simulator.add_module(name="Cantina")
    await poll(hass, freezer)
    assert len(hass.states.async_entity_ids("lock")) == 4
    await poll(hass, freezer)
    assert "Cantina" in devices(hass, entry)
    assert len(hass.states.async_entity_ids("lock")) == 4


async def test_answer_that_says_little_removes_nothing(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Neither an empty list of homes nor a status of no modules takes anything away."""
    before = devices(hass, entry)
    simulator.fail(HOMESDATA, empty_topology())
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.box") == "locked"
    simulator.fail(HOMESTATUS, Failure(body={"status": "ok", "body": {"home": {"modules": []}}}))
    await poll(hass, freezer)
    assert state_of(hass, "lock.box") == "locked"
    assert devices(hass, entry) == before


async def test_removed_module_can_be_deleted_by_hand_only(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """A device stays until a person deletes it, and comes back when the module does."""
    await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, BOX), entry.entry_id)
    assert device is not None
    removal = (await client.remove_device(device.id))["success"]
    assert not removal, "the cloud still knows it"

    simulator.remove_module(BOX)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert "Box" in devices(hass, entry)
    assert (await client.remove_device(device.id))["success"]
    await hass.async_block_till_done()
    assert "Box" not in devices(hass, entry)
    await poll(hass, freezer)
    assert "Box" not in devices(hass, entry)

    simulator.add_module(module_id=BOX, name="Box")
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.box") == "locked"


async def test_hundreds_of_modules_cost_no_more_requests(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A house of any size is two requests."""
    simulator.use_house(many_modules(101))
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    await restart(hass, entry)
    assert len(simulator.journal) == 2
    assert len(devices(hass, entry)) == 101


async def test_two_accounts_of_one_house(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """Two people of the same house may both add their account; neither takes the other's doors."""
    simulator.account.user_id, simulator.account.email = "second", "second@example.org"
    second = await sign_in(hass, {**credentials, "username": "second@example.org"})
    assert len(hass.states.async_entity_ids("lock")) == 6
    assert devices(hass, second) == devices(hass, entry)
    await hass.config_entries.async_remove(second.entry_id)
    await hass.async_block_till_done()
    assert len(hass.states.async_entity_ids("lock")) == 3
    assert len(devices(hass, entry)) == 7
