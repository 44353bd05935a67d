"""The file with the house: what is in it, when it is written, and when it cannot be used."""

import json
from pathlib import Path
import stat
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_TOKEN
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
    storage,
)
from homeassistant.util.file import WriteError
import pytest

from custom_components.bticino_classe.client import decode
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import advance, poll, restart_entry, sign_in, state_of, wait_idle
from tests.simulator import Failure
from tests.simulator.houses import CASA, SEASIDE
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

BRIDGE, BOX = "00:03:50:30:00:0a", "30000a-0505-aa11bb22cc05"
DOOR = "lock.cancello"

type Stored = dict[str, Any]


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Let Home Assistant store in real files, in this test's folder; its plugin has none."""
    return {}


def path_of(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Path:
    """Return the file of an account."""
    return Path(hass.config.path(storage.STORAGE_DIR, f"bticino_classe.{entry.entry_id}.house"))


def read(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Stored:
    """Return what is in the file of an account."""
    found: Stored = json.loads(path_of(hass, entry).read_text())
    return found


def modules(stored: Stored) -> dict[str, Stored]:
    """Return the stored modules by id."""
    return {each["id"]: each for home in stored["data"]["homes"] for each in home["modules"]}


async def restart_with(hass: HomeAssistant, entry: ConfigEntry[Any], content: str) -> None:
    """Restart the account with this in its file."""
    await hass.config_entries.async_unload(entry.entry_id)
    path_of(hass, entry).write_text(content)
    await restart_entry(hass, entry)


def registered(hass: HomeAssistant, entry: ConfigEntry[Any]) -> tuple[set[str], set[str]]:
    """Return the devices and the entities of an account."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {str(each.name) for each in devices}, {each.entity_id for each in entities}


def device_of(hass: HomeAssistant, entry: ConfigEntry[Any], module_id: str) -> dr.DeviceEntry:
    """Return the device of a module."""
    found = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, module_id), entry.entry_id)
    assert found is not None
    return found


def lock_of(hass: HomeAssistant, entry: ConfigEntry[Any], door_id: str) -> str:
    """Return the lock of a door."""
    unique_id = f"{entry.unique_id}-{door_id}-lock"
    found = er.async_get(hass).async_get_entity_id("lock", DOMAIN, unique_id)
    assert found is not None
    return found


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the integration has logged as a warning or an error."""
    ours = [each for each in caplog.records if each.name.startswith("custom_components.bticino")]
    return [each.getMessage() for each in ours if each.levelname in {"WARNING", "ERROR"}]


async def test_content(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Ids, kinds, types and names; nobody else can read it."""
    simulator.use_house("two_homes")
    simulator.house.homes[0].coordinates = (9.18273, 45.46427)
    entry = await sign_in(hass, credentials)
    stored = read(hass, entry)
    assert [set(home) for home in stored["data"]["homes"]] == [
        {"id", "name", "timezone", "modules"}
    ] * 2
    assert set(modules(stored)) == {module.id for module in simulator.house.modules()}
    assert {key for module in modules(stored).values() for key in module} == {
        *("id", "kind", "type", "name", "bridge_id", "cloud_id", "cloud_bridge_id")
    }
    assert stat.S_IMODE(path_of(hass, entry).stat().st_mode) == 0o600
    text = path_of(hass, entry).read_text()
    secrets = {simulator.email, simulator.password, "9.18", "45.46", "192.0.2"}
    secrets |= {value for value in entry.data[CONF_TOKEN].values() if isinstance(value, str)}
    assert [secret for secret in secrets if secret in text] == []


async def test_it_is_written_when_the_house_changes(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """And only then: neither by polls nor by states nor by a restart."""
    path = path_of(hass, entry)
    before = path.stat().st_ino  # another file replaces it
    simulator.unplug_bridge()
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    simulator.plug_bridge()
    await poll(hass, freezer)
    await restart_entry(hass, entry)
    assert path.stat().st_ino == before
    simulator.house.find(BOX).name = "Garage"
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert modules(read(hass, entry))[BOX]["name"] == "Garage"


def add(simulator: Simulator) -> None:
    """Add a door."""
    simulator.add_module(module_id="30000a-0909-aa11bb22cc09", name="Cantina")


def rename(simulator: Simulator) -> None:
    """Rename a door."""
    simulator.house.find(BOX).name = "Garage"


def remove(simulator: Simulator) -> None:
    """Remove a door."""
    simulator.remove_module(BOX)


def replace_intercom(simulator: Simulator) -> None:
    """Replace the intercom: it and what is behind it have other ids."""
    (home,) = simulator.house.homes
    own = list(home.modules.values())
    home.modules.clear()
    for module in own:
        module.id = module.id.replace("30:00:0a", "30:00:0b").replace("30000a", "30000b")
        module.bridge = module.bridge and module.bridge.replace("30:00:0a", "30:00:0b")
        home.modules[module.id] = module


@pytest.mark.parametrize("change", [add, rename, remove, replace_intercom])
async def test_house_that_changed_while_home_assistant_was_off(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    change: Callable[[Simulator], None],
) -> None:
    """The first answer counts; what is gone is unavailable, and forgotten in the next run."""
    await hass.config_entries.async_unload(entry.entry_id)
    change(simulator)
    simulator.take_down()
    await restart_entry(hass, entry)
    before = registered(hass, entry)
    simulator.bring_up()
    await advance(hass, freezer, 11)
    gone = "lock.box" if change is remove else DOOR if change is replace_intercom else None
    for _ in range(2):
        names = [device_of(hass, entry, door.id).name for door in simulator.house.doors()]
        assert ("Garage" in names) is (change is rename)
        locks = [lock_of(hass, entry, door.id) for door in simulator.house.doors()]
        assert {state_of(hass, lock) for lock in locks} == {"locked"}
        assert gone is None or state_of(hass, gone) == "unavailable"
        assert len(registered(hass, entry)[0]) >= len(before[0])
        await restart_entry(hass, entry)
    stored = read(hass, entry)
    assert modules(stored).keys() == {module.id for module in simulator.house.modules()}
    assert stored["data"]["gone"] == []
    assert simulator.violations == []


async def test_module_that_one_answer_lacks(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It is there at the next start, whatever the cloud does then; so is its kind."""
    box = simulator.house.homes[0].modules.pop(BOX)
    await restart_entry(hass, entry)
    assert read(hass, entry)["data"]["gone"] == [BOX]
    simulator.take_down()
    await restart_entry(hass, entry)
    state = hass.states.get("lock.box")
    assert state is not None
    assert not state.attributes.get("restored")
    simulator.bring_up()
    box.type = "BNXX"
    simulator.house.homes[0].modules[BOX] = box
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert state_of(hass, "lock.box") == "locked"
    assert read(hass, entry)["data"]["gone"] == []


def with_data(data: object) -> str:
    """Return the content of a file with this in the place of the homes."""
    return json.dumps({"version": 1, "minor_version": 1, "data": data})


def with_home(*modules: object) -> str:
    """Return the content of a file with one home that has these modules."""
    home = {"id": CASA, "name": "Casa", "timezone": "Europe/Rome", "modules": modules}
    return with_data({"homes": [home], "gone": []})


INTERCOM: Stored = {"id": BRIDGE, "kind": "bridge", "type": "BNC3"}
DATA: list[Any] = [None, 5, "text", [], {}, {"homes": None}, {"homes": {}}]
DATA += [{"homes": [], "gone": []}, {"homes": [5], "gone": []}, {"homes": [{}], "gone": []}]
FIELDS: list[Stored] = [{"id": ""}, {"id": None}, {"id": 5}, {"id": "x" * 2000}, {"id": "a\nb"}]
FIELDS += [{"kind": None}, {"kind": []}, {"type": None}, {"name": 5}, {"bridge_id": {}}]
DAMAGED = {
    "empty file": "",
    "half": '{"version": 1, "minor_version": 1, "data": {"homes": [{"id": "64a1',
    "not JSON": "\x00\x01",
    "null": "null",
    "number": "5",
    "text": '"text"',
    "list": "[]",
    "list with something": "[1]",
    "empty object": "{}",
    "foreign": '{"homes": []}',
    "no data": '{"version": 1, "minor_version": 1}',
    "older": '{"version": 0, "minor_version": 1, "data": {}}',
    "odd version": '{"version": "1", "data": {}}',
    "version of nothing": '{"version": null, "data": {}}',
    "home without modules": with_home(),
    "home without an intercom": with_home(INTERCOM | {"kind": "door"}),
    "empty module": with_home({}),
    **{f"data {data}": with_data(data) for data in DATA},
    **{f"module {fields}": with_home(INTERCOM | fields) for fields in FIELDS},
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
async def test_damaged_file(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    content: str,
) -> None:
    """It counts as none, is reported once at the most, and is replaced with the first answer."""
    before, whole = registered(hass, entry), read(hass, entry)
    simulator.take_down()
    caplog.clear()
    await restart_with(hass, entry, content)
    for _ in range(3):
        assert entry.state is ConfigEntryState.SETUP_RETRY
        await advance(hass, freezer, 120)
    reports = [each for each in warnings(caplog) if "stored list of modules" in each]
    assert len(reports) <= 1
    simulator.bring_up()
    await advance(hass, freezer, 900)
    assert str(entry.state) == str(ConfigEntryState.LOADED)
    assert state_of(hass, DOOR) == "locked"
    assert registered(hass, entry) == before
    assert read(hass, entry) == whole


async def test_file_that_is_a_folder(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It is not used, and nothing else suffers."""
    await hass.config_entries.async_unload(entry.entry_id)
    path = path_of(hass, entry)
    path.unlink()
    path.mkdir()
    await restart_entry(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, DOOR) == "locked"
    assert simulator.violations == []
    path.rmdir()


async def test_file_of_a_newer_version(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is not used and stays as it is, so that the newer version finds it."""
    newer = json.dumps(read(hass, entry) | {"version": 2})
    await restart_with(hass, entry, newer)
    assert entry.state is ConfigEntryState.LOADED
    rename(simulator)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert state_of(hass, DOOR) == "locked"
    assert path_of(hass, entry).read_text() == newer
    await restart_entry(hass, entry)
    assert path_of(hass, entry).read_text() == newer
    assert len([each for each in warnings(caplog) if "a newer version" in each]) == 1


async def test_file_of_a_later_minor_version(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Fields and kinds that are not known are left out; nothing is removed because of them."""
    before, whole = registered(hass, entry), read(hass, entry)
    later = json.loads(json.dumps(whole)) | {"minor_version": 7}
    later["data"]["more"] = 1
    for module in modules(later).values():
        module["more"] = [1]
        if module["kind"] in {"door", "light"}:
            module["kind"] = "gate"
    simulator.take_down()
    await restart_with(hass, entry, json.dumps(later))
    assert entry.state is ConfigEntryState.LOADED
    assert registered(hass, entry) == before
    assert state_of(hass, "sensor.classe_300x_missed_calls") == "0"
    simulator.bring_up()
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert registered(hass, entry) == before
    assert state_of(hass, DOOR) == "locked"


async def test_nothing_is_removed_on_the_strength_of_the_file(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A stored house with other kinds and without most modules removes no device or entity."""
    before, whole = registered(hass, entry), read(hass, entry)
    (home,) = whole["data"]["homes"]
    home["modules"] = [each for each in home["modules"] if each["kind"] in {"bridge", "door"}]
    for module in home["modules"]:
        module["kind"] = "panel" if module["kind"] == "door" else "bridge"
    simulator.take_down()
    await restart_with(hass, entry, json.dumps(whole))
    assert entry.state is ConfigEntryState.LOADED
    found = registered(hass, entry)
    assert found[0] == before[0]
    assert found[1] >= before[1]
    simulator.bring_up()
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert registered(hass, entry) == before
    assert state_of(hass, DOOR) == "locked"


async def test_kind_that_later_answers_lack(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It is known from what is stored."""
    await hass.config_entries.async_unload(entry.entry_id)
    for module in simulator.house.doors():
        module.type = "BNXX"
    await restart_entry(hass, entry)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert len(hass.states.async_entity_ids("lock")) == 3
    await restart_entry(hass, entry)
    assert len(hass.states.async_entity_ids("lock")) == 3


async def test_refused_home_without_a_new_list_of_homes(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Only the list says that a home no longer exists."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.fail(HOMESDATA, Failure(status=503, html=True))
    simulator.fail(HOMESTATUS, Failure(code=13))
    await restart_entry(hass, entry)
    assert set(entry.runtime_data.coordinator.known_homes.homes) == {CASA, SEASIDE}
    assert [home["id"] for home in read(hass, entry)["data"]["homes"]] == [CASA, SEASIDE]


async def test_surplus_without_a_new_list_of_modules(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Modules that came with too many others are not taken for gone; their issue stays."""
    monkeypatch.setattr(decode, "MAX_MODULES", 10)
    for number in range(9):
        simulator.add_module(module_id=f"30000a-1{number}-aa11bb22cc09", name=f"Porta {number}")
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    before = registered(hass, entry)
    issue_id = f"too_many_modules_{entry.entry_id}"
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.fail(HOMESDATA, Failure(status=503, html=True), times=100)
    for door in simulator.house.doors():
        door.silent = True
    await restart_entry(hass, entry)
    assert registered(hass, entry) == before
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue_id) == issue


@pytest.mark.parametrize("error", [WriteError("full"), OSError(28, "No space left on device")])
async def test_full_disk(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """It is logged, and the poll goes on."""
    write, path = storage.write_utf8_file_atomic, str(path_of(hass, online_entry))

    def fail(name: str, *arguments: Any, **options: Any) -> None:
        if name == path:
            raise error
        write(name, *arguments, **options)

    caplog.clear()
    door = simulator.add_module(name="Cantina")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_utf8_file_atomic", fail)
        await poll(hass, freezer, SAFETY_INTERVAL)
    assert state_of(hass, lock_of(hass, online_entry, door.id)) == "locked"
    assert online_entry.runtime_data.coordinator.last_update_success
    logged = [each for each in caplog.records if each.levelname in {"WARNING", "ERROR"}]
    assert len(logged) == 1
    await restart_entry(hass, online_entry)
    assert door.id in path_of(hass, online_entry).read_text()


async def test_it_goes_with_the_account(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """With damaged copies; that of another account stays."""
    simulator.account.user_id, simulator.account.email = "second", "second@example.org"
    second = await sign_in(hass, {**credentials, "username": "second@example.org"})
    await restart_with(hass, entry, "{")
    first = path_of(hass, entry)
    assert len(list(first.parent.glob(f"{first.name}*"))) == 2
    await hass.config_entries.async_remove(entry.entry_id)
    assert list(first.parent.glob(f"{first.name}*")) == []
    simulator.take_down()
    await restart_entry(hass, second)
    assert second.state is ConfigEntryState.LOADED
    assert state_of(hass, "sensor.classe_300x_missed_calls_2") == "0"


async def test_module_whose_device_was_deleted(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It does not return with a restart."""
    simulator.remove_module(BOX)
    coordinator = entry.runtime_data.coordinator
    coordinator.async_expect_modules("unknown")
    await wait_idle(hass)
    assert read(hass, entry)["data"]["gone"] == [BOX]
    coordinator.async_remove_module(BOX)
    await hass.async_block_till_done()
    assert BOX not in path_of(hass, entry).read_text()
