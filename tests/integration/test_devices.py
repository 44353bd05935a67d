"""The house as devices: complete, linked, named, and never thinned out by a poor answer."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL, TOPOLOGY_INTERVAL
from tests.integration.conftest import act, online, poll, restart, sign_in, state_of, until
from tests.simulator import Failure, empty_topology, many_modules
from tests.simulator.houses import CASA
from tests.simulator.paths import GETCONFIGS, HOMESDATA, HOMESTATUS, PUSH, TURN

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
    assert simulator.violations == []


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
    """A house of any size is two requests; the relays and the intercom's settings one each."""
    simulator.use_house(many_modules(101))
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    await restart(hass, entry)
    once = (HOMESDATA, HOMESTATUS, TURN, GETCONFIGS)
    assert [simulator.journal.count(path) for path in once] == [1, 1, 1, 1]
    assert {entry.path for entry in simulator.journal} == {*once, PUSH}
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


async def test_number_of_a_door_is_kept(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """Doors without names are known by their numbers: a new one does not push them on."""
    simulator.use_house("classe_300eos")
    entry = await sign_in(hass, credentials)
    first = simulator.house.doors()[0].id
    simulator.add_module(module_id="000000-0000-aa11bb22cc00", name=None)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await restart(hass, entry)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, first), entry.entry_id)
    assert device is not None
    assert device.name == "Door 1"
    assert "Door 3" in devices(hass, entry)


async def test_poor_list_at_start_is_no_empty_house(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A home without modules is an answer that cannot be right: set-up is tried again."""
    home = {"id": CASA, "name": "Casa", "timezone": "Europe/Rome", "modules": []}
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": [home]}}))
    await restart(hass, entry)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "unexpected_answer"


async def test_partial_list_costs_no_name_no_time_zone_no_link(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What an answer leaves out stays as it was known, and the door still opens."""
    before = devices(hass, entry)
    bare = [{"id": m.id, "type": m.type} for m in simulator.house.homes[0].modules.values()]
    bare[2].pop("type")
    home: dict[str, object] = {"id": CASA, "modules": bare[:4]}
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": [home]}}))
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert devices(hass, entry) == before
    await act(hass, "lock", "open", "lock.cancello")
    await act(hass, "lock", "open", "lock.box")
    assert len(simulator.openings) == 2
    assert simulator.violations == []


async def test_placeholder_that_turns_out_to_be_a_door(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """A module whose kind comes later gets its lock then, without a reload."""
    simulator.use_house("strange")
    hidden = next(m for m in simulator.house.doors() if not m.listed)
    hidden.silent = True
    await sign_in(hass, credentials)
    assert hass.states.async_entity_ids("lock") == ["lock.porta"]
    hidden.silent = False
    await poll(hass, freezer)
    assert hass.states.async_entity_ids("lock") == ["lock.porta", "lock.door_1"]


async def test_bridge_that_was_deleted_by_hand_comes_back(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """Its doors are still looked after, and nothing is added twice."""
    await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    (bridge,) = simulator.house.bridges()
    home = simulator.house.homes[0]
    del home.modules[bridge.id]
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, bridge.id), entry.entry_id)
    assert device is not None
    assert (await client.remove_device(device.id))["success"]
    await hass.async_block_till_done()
    await poll(hass, freezer)
    assert [r.path for r in simulator.journal if r.path != PUSH][-1] == HOMESTATUS

    home.modules[bridge.id] = bridge
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await poll(hass, freezer)
    assert state_of(hass, "lock.cancello") == "locked"
    assert state_of(hass, "binary_sensor.classe_300x_cloud_connection") == "on"


async def test_device_cannot_be_deleted_while_the_account_is_not_connected(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """Nobody knows then what the cloud lists."""
    await async_setup_component(hass, "config", {})
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, BOX), entry.entry_id)
    assert device is not None
    simulator.take_down()
    await restart(hass, entry)
    answer = await (await hass_ws_client(hass)).remove_device(device.id)
    assert not answer["success"]
    assert answer["error"]["code"] == "home_assistant_error"


async def test_device_that_is_deleted_during_a_poll_stays_away(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The answer of a poll that began before knows it no more than the one after."""
    simulator.remove_module(BOX)
    entry.runtime_data.coordinator._topology_until = None
    await entry.runtime_data.coordinator.async_refresh()
    assert BOX in entry.runtime_data.coordinator.data.modules
    simulator.fail(HOMESTATUS, Failure(delay=0.1))
    simulator.journal.clear()
    refresh = hass.async_create_task(entry.runtime_data.coordinator.async_refresh())
    await until(lambda: simulator.journal.count(HOMESTATUS))
    entry.runtime_data.coordinator.async_remove_module(BOX)
    await refresh
    assert BOX not in entry.runtime_data.coordinator.data.modules


async def test_module_that_nobody_knows_any_more_is_unavailable(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The doors of an intercom that was replaced do not look as if they could be opened."""
    assert entry.runtime_data.coordinator.is_listed(BOX)
    simulator.remove_module(BOX)
    await poll(hass, freezer)
    assert state_of(hass, "lock.box") == "locked"
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.box") == "unavailable"
    assert state_of(hass, "lock.cancello") == "locked"


async def test_all_homes_refused_is_an_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An account that may see nothing any more is said to, and forgets no firmware."""
    simulator.sockets.handshake_status = None
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    await online(entry)
    simulator.fail(HOMESTATUS, Failure(code=13), times=2)
    await poll(hass, freezer, SAFETY_INTERVAL)
    assert "does not answer properly" in caplog.text
    assert state_of(hass, "lock.porta") == "locked"
    bridge = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, "00:03:50:ab:cd:ef"), entry.entry_id
    )
    assert bridge is not None
    assert bridge.sw_version == "2.3.8"
