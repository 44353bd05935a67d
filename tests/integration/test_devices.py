"""Devices: complete, linked and named, also when an answer is incomplete."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import (
    call_action,
    forget_house,
    poll,
    reload_entry,
    restart_entry,
    sign_in,
    state_of,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.simulator import Failure, empty_topology, many_modules
from tests.simulator.houses import CASA, HOUSES, SEASIDE
from tests.simulator.paths import GETCONFIGS, HOMESDATA, HOMESTATUS, PUSH, TURN

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator
    from tests.simulator.house import House
    from tests.simulator.houses import Factory

BOX = "30000a-0505-aa11bb22cc05"


def devices(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str | None, str | None]:
    """Return the name of each device with the name of the device that it is linked to."""
    registry = dr.async_get(hass)
    found = dr.async_entries_for_config_entry(registry, entry.entry_id)
    names = {device.id: device.name for device in found}
    return {device.name: names.get(device.via_device_id or "") for device in found}


def get_device(hass: HomeAssistant, entry: ConfigEntry[Any], module_id: str) -> dr.DeviceEntry:
    """Return the device of a module."""
    found = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, module_id), entry.entry_id)
    assert found is not None
    return found


def two_equal_homes(model: str) -> Factory:
    """Return a factory of two homes with the same model and the same names."""

    def build(now: float) -> House:
        house, other = HOUSES[model](now), HOUSES[model](now).homes[0]
        other.id, other.name = SEASIDE, "Casa al mare"
        other.modules = {f"1{key}": module for key, module in other.modules.items()}
        for key, module in other.modules.items():
            module.id, module.bridge = key, module.bridge and f"1{module.bridge}"
        house.homes.append(other)
        return house

    return build


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
async def test_devices_of_every_model(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    house: str,
    bridge: str,
    doors: int,
    children: list[str],
) -> None:
    """One for the intercom and one for each panel, door and light, all of them named."""
    simulator.use_house(house)
    entry = await sign_in(hass, credentials)
    assert devices(hass, entry) == {bridge: None} | dict.fromkeys(children, bridge)
    assert len(hass.states.async_entity_ids("lock")) == doors
    assert simulator.violations == []


async def test_device_information(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Manufacturer, model, model id and firmware of the intercom."""
    device = get_device(hass, entry, "00:03:50:30:00:0a")
    found = (device.manufacturer, device.model, device.model_id, device.sw_version)
    assert found == ("BTicino", "Classe 300X", "BNC3", "1.8.1")


async def test_two_homes_of_one_account(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """One sign-in sets up both, each with its own intercom."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    found = devices(hass, entry)
    assert found["Porta"] == "Classe 100X"
    assert found["Portone"] == "Classe 300X"
    assert simulator.account.logins == 1


async def test_refused_home_does_not_affect_the_other(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The account has lost access to one of its homes."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    simulator.fail(HOMESTATUS, Failure(code=13))
    await reload_entry(hass, entry)
    assert state_of(hass, "lock.porta") == "unavailable"
    assert state_of(hass, "lock.portone") == "locked"


async def test_incomplete_house(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A door that only the status lists can be opened; modules of unknown kind are left out."""
    simulator.use_house("strange")
    entry = await sign_in(hass, credentials)
    assert set(devices(hass, entry)) == {"Classe 100X", "Cancello", "Porta", "Scale", "Door 1"}
    await call_action(hass, "lock", "open", "lock.door_1")
    assert len(simulator.openings) == 1


async def test_new_module_is_added(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The next poll adds the door, the one after that its name."""
    simulator.add_module(name="Cantina")
    await poll(hass, freezer)
    assert len(hass.states.async_entity_ids("lock")) == 4
    await poll(hass, freezer)
    assert "Cantina" in devices(hass, entry)
    assert len(hass.states.async_entity_ids("lock")) == 4


async def test_incomplete_answers_remove_nothing(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Neither an empty list of homes nor a status without modules removes a device."""
    before = devices(hass, entry)
    simulator.fail(HOMESDATA, empty_topology())
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.box") == "locked"
    simulator.fail(HOMESTATUS, Failure(body={"status": "ok", "body": {"home": {"modules": []}}}))
    await poll(hass, freezer)
    assert state_of(hass, "lock.box") == "locked"
    assert devices(hass, entry) == before


async def test_device_of_a_removed_module(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """It stays until a person deletes it, and returns if the module does."""
    await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    device = get_device(hass, entry, BOX)
    removal = (await client.remove_device(device.id))["success"]
    assert not removal, "the cloud still lists it"

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


async def test_large_house_needs_no_more_requests(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """One request each for modules, states, TURN servers and settings."""
    simulator.use_house(many_modules(101))
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    await reload_entry(hass, entry)
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
    """Two people add their own accounts; each account has its own entities."""
    simulator.account.user_id, simulator.account.email = "second", "second@example.org"
    second = await sign_in(hass, {**credentials, "username": "second@example.org"})
    assert len(hass.states.async_entity_ids("lock")) == 6
    assert devices(hass, second) == devices(hass, entry)
    await hass.config_entries.async_remove(second.entry_id)
    await hass.async_block_till_done()
    assert len(hass.states.async_entity_ids("lock")) == 3
    assert len(devices(hass, entry)) == 7


async def test_door_keeps_its_number(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """A new door does not renumber the doors without names."""
    simulator.use_house("classe_300eos")
    entry = await sign_in(hass, credentials)
    first = simulator.house.doors()[0].id
    simulator.add_module(module_id="000000-0000-aa11bb22cc00", name=None)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await reload_entry(hass, entry)
    device = get_device(hass, entry, first)
    assert device.name == "Door 1"
    assert "Door 3" in devices(hass, entry)


async def test_home_without_modules_at_the_first_start(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The answer cannot be right, so set-up is retried."""
    await forget_house(hass, entry)
    home = {"id": CASA, "name": "Casa", "timezone": "Europe/Rome", "modules": []}
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": [home]}}))
    simulator.fail(HOMESTATUS, Failure(body={"status": "ok", "body": {"home": {"id": CASA}}}))
    await reload_entry(hass, entry)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "unexpected_answer"


async def test_home_without_modules_at_start(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The answer cannot be right, so what is stored counts."""
    before = devices(hass, entry)
    home = {"id": CASA, "name": "Casa", "timezone": "Europe/Rome", "modules": []}
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": [home]}}))
    await reload_entry(hass, entry)
    assert devices(hass, entry) == before
    assert state_of(hass, "lock.cancello") == "locked"


async def test_modules_of_the_status_only(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A list without the home's modules takes nothing away, at start and later, nor their names."""
    before = devices(hass, entry)
    simulator.house.homes[0].lists_modules = False
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert devices(hass, entry) == before
    await restart_entry(hass, entry)
    assert devices(hass, entry) == before
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1


async def test_partial_answer_keeps_what_is_known(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Names, time zone and links stay, and the doors can still be opened."""
    before = devices(hass, entry)
    bare = [{"id": m.id, "type": m.type} for m in simulator.house.homes[0].modules.values()]
    bare[2].pop("type")
    home: dict[str, object] = {"id": CASA, "modules": bare[:4]}
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": [home]}}))
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert devices(hass, entry) == before
    await call_action(hass, "lock", "open", "lock.cancello")
    await call_action(hass, "lock", "open", "lock.box")
    assert len(simulator.openings) == 2
    assert simulator.violations == []


async def test_module_whose_kind_is_reported_later(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """Its lock is added without a reload."""
    simulator.use_house("strange")
    hidden = next(m for m in simulator.house.doors() if not m.listed)
    hidden.silent = True
    await sign_in(hass, credentials)
    assert hass.states.async_entity_ids("lock") == ["lock.porta"]
    hidden.silent = False
    await poll(hass, freezer)
    assert hass.states.async_entity_ids("lock") == ["lock.porta", "lock.door_1"]


async def test_deleted_intercom_returns(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """Its doors are still polled in the meantime, and nothing is added twice."""
    await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    (bridge,) = simulator.house.bridges()
    home = simulator.house.homes[0]
    del home.modules[bridge.id]
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    device = get_device(hass, entry, bridge.id)
    assert (await client.remove_device(device.id))["success"]
    await hass.async_block_till_done()
    await poll(hass, freezer)
    assert [r.path for r in simulator.journal if r.path != PUSH][-1] == HOMESTATUS

    home.modules[bridge.id] = bridge
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await poll(hass, freezer)
    assert state_of(hass, "lock.cancello") == "locked"
    assert state_of(hass, "binary_sensor.classe_300x_intercom_online") == "on"


async def test_device_cannot_be_deleted_without_a_connection(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """It is not known then which modules the cloud lists."""
    await async_setup_component(hass, "config", {})
    device = get_device(hass, entry, BOX)
    simulator.take_down()
    await reload_entry(hass, entry)
    answer = await (await hass_ws_client(hass)).remove_device(device.id)
    assert not answer["success"]
    assert answer["error"]["code"] == "home_assistant_error"


async def test_device_deleted_during_a_poll(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The answer of a poll that began before does not add it again."""
    simulator.remove_module(BOX)
    entry.runtime_data.coordinator.async_expect_modules("unknown")
    await wait_idle(hass)
    assert BOX in entry.runtime_data.coordinator.data.modules
    response = asyncio.Event()
    simulator.fail(HOMESTATUS, Failure(until=response))
    simulator.journal.clear()
    refresh = hass.async_create_task(entry.runtime_data.coordinator.async_refresh())
    await wait_until(lambda: simulator.journal.count(HOMESTATUS))
    entry.runtime_data.coordinator.async_remove_module(BOX)
    response.set()
    await refresh
    assert BOX not in entry.runtime_data.coordinator.data.modules


async def test_module_that_is_no_longer_listed_is_unavailable(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The doors of a replaced intercom do not look as if they could be opened."""
    assert entry.runtime_data.coordinator.known_homes.is_listed(BOX)
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
    """Entities and device information stay, and the loss of access is logged."""
    simulator.sockets.handshake_status = None
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    await wait_online(entry)
    simulator.fail(HOMESTATUS, Failure(code=13), times=2)
    await poll(hass, freezer, SAFETY_INTERVAL)
    assert "does not answer properly" in caplog.text
    assert state_of(hass, "lock.porta") == "locked"
    bridge = get_device(hass, entry, "00:03:50:ab:cd:ef")
    assert bridge.sw_version == "2.3.8"


async def test_number_of_a_removed_door_is_not_given_again(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """Not while its device is there, also if a person or the cloud gave that name."""
    simulator.use_house("classe_300eos")
    entry = await sign_in(hass, credentials)
    registry = dr.async_get(hass)
    removed, renamed = (door.id for door in simulator.house.doors())
    simulator.remove_module(removed)
    registry.async_update_device(get_device(hass, entry, renamed).id, name_by_user="Door 3")
    simulator.add_module(module_id="000000-0000-aa11bb22cc01", name="Door 4")
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await reload_entry(hass, entry)
    simulator.add_module(module_id="000000-0000-aa11bb22cc02", name=None)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert get_device(hass, entry, "000000-0000-aa11bb22cc02").name == "Door 5"
    assert get_device(hass, entry, renamed).name == "Door 2"


async def test_number_given_in_another_language(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """A door that got its number in Italian keeps it, and no other gets the same."""
    hass.config.language = "it"
    simulator.use_house("easykit")
    entry = await sign_in(hass, credentials)
    hass.config.language = "en"
    simulator.add_module(module_id="000000-0000-aa11bb22cc00", name=None)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert get_device(hass, entry, "000000-0000-aa11bb22cc00").name == "Door 2"


@pytest.mark.parametrize("model", ["easykit", "classe_300eos", "classe_100x"])
async def test_equal_houses_get_different_names(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], model: str
) -> None:
    """With several homes, names contain the home's name where they would be equal."""
    simulator.use_house(two_equal_homes(model))
    entry = await sign_in(hass, credentials)
    modules = list(simulator.house.modules())
    names = {get_device(hass, entry, module.id).name for module in modules}
    assert len(names) == len(modules)
    numbered = [name or "" for name in names if (name or "").startswith("Door ")]
    assert all(name.endswith(("(Casa)", "(Casa al mare)")) for name in numbered)
    before = dict(devices(hass, entry))
    await reload_entry(hass, entry)
    assert devices(hass, entry) == before


async def test_equal_names_in_one_home(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The second device gets a number, and keeps it; a name of its own replaces it."""
    twin = simulator.add_module(name="Box")
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert get_device(hass, entry, twin.id).name == "Box 2"
    simulator.house.find(BOX).name = "Garage"
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert get_device(hass, entry, BOX).name == "Garage"
    assert get_device(hass, entry, twin.id).name == "Box 2"
    twin.name = "Cantina"
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert get_device(hass, entry, twin.id).name == "Cantina"


def respell(simulator: Simulator, spell: Callable[[str], str]) -> None:
    """Let the cloud write all ids in another way."""
    for home in simulator.house.homes:
        for module in home.modules.values():
            module.id, module.bridge = spell(module.id), module.bridge and spell(module.bridge)
        home.modules = {module.id: module for module in home.modules.values()}


@pytest.mark.parametrize("house_name", ["classe_300x", "classe_300eos", "easykit"])
@pytest.mark.parametrize("first", [str.lower, str.upper])
async def test_ids_in_capital_letters(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    house_name: str,
    first: Callable[[str], str],
) -> None:
    """They are the same modules; requests contain the spelling of the newest list."""
    simulator.use_house(house_name)
    respell(simulator, first)
    entry = await sign_in(hass, credentials)
    (door, *_) = hass.states.async_entity_ids("lock")
    before = (hass.states.async_entity_ids(), devices(hass, entry))
    for spell in (str.upper, str.lower, str.upper):
        respell(simulator, spell)
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        assert (hass.states.async_entity_ids(), devices(hass, entry)) == before
        assert state_of(hass, door) == "locked"
        await call_action(hass, "lock", "open", door)
    assert len(simulator.openings) == 3
    await reload_entry(hass, entry)
    assert devices(hass, entry) == before[1]
    assert simulator.violations == []


@pytest.mark.parametrize("name", [" ", "\t\n", "\u00a0\u2003", "\u200b", "", None, 7, []])
async def test_name_that_cannot_be_seen(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], name: Any
) -> None:
    """It is none, for a module as for a home."""
    simulator.house.homes[0].name = name
    for module in simulator.house.modules():
        module.name = name
    entry = await sign_in(hass, credentials)
    assert entry.title == "BTicino Classe"
    assert {"Classe 300X", "Door 1", "Door 2", "Door 3"} < devices(hass, entry).keys()
    assert hass.states.get("calendar.bticino_calls")


ABSURD: list[Any] = [1e300, -1e300, 10**30, -5, "", "12", [], {}, True, None, 1.5]


@pytest.mark.parametrize(
    "field",
    [
        *("uptime", "wifi_strength", "last_seen", "firmware_revision", "last_configs_update"),
        *("firmware_name", "local_ipv4", "reachable", "type", "bridge"),
    ],
)
async def test_absurd_values_of_a_status(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    field: str,
) -> None:
    """They harm nothing, neither in a poll nor at a start."""
    registry = er.async_get(hass)
    for known in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(known.entity_id, disabled_by=None)
    await reload_entry(hass, entry)
    caplog.clear()
    for value in ABSURD:
        simulator.bridges()[0].extra = {field: value}
        await poll(hass, freezer)
        assert state_of(hass, "lock.cancello") == "locked"
        assert state_of(hass, "binary_sensor.classe_300x_intercom_online") == "on"
    for value in ABSURD[:2]:
        simulator.bridges()[0].extra = {field: value}
        await reload_entry(hass, entry)
        assert state_of(hass, "lock.cancello") == "locked"
    assert not [r for r in caplog.records if r.levelname == "ERROR"]
