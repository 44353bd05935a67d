"""Several homes of one account: modules that move, homes that are dissolved or fail."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
import pytest

from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from custom_components.bticino_classe.polling import STATUS_INTERVAL
from tests.integration.conftest import (
    advance,
    call_action,
    poll,
    request_values,
    sign_in,
    state_of,
    wait_until,
)
from tests.simulator import Failure, usage_limit
from tests.simulator.house import House
from tests.simulator.houses import CASA, HOUSES, SEASIDE
from tests.simulator.paths import HOMESDATA, HOMESTATUS, SETSTATE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator
    from tests.simulator.house import Home

CITY_DOOR, CITY_BRIDGE = "lock.porta", "00:03:50:ab:cd:ef"
SEASIDE_DOORS = ("lock.cancello", "lock.portone", "lock.box")


@pytest.fixture(name="homes")
async def _homes(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> ConfigEntry[Any]:
    """An account with a home in the city and one at the seaside; the journal is empty."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    return entry


def move(modules: Iterable[str], source: Home, target: Home) -> None:
    """Move modules to another home, as the app does."""
    for module_id in list(modules):
        target.modules[module_id] = source.modules.pop(module_id)


def commanded_homes(simulator: Simulator) -> list[str]:
    """Return the homes to which commands were sent."""
    found = request_values(simulator.journal.of(SETSTATE), "home", "id")
    return [str(each) for each in found]


@pytest.mark.parametrize("interval", [STATUS_INTERVAL, TOPOLOGY_INTERVAL])
@pytest.mark.parametrize("is_back", [False, True])
async def test_moved_intercom_is_commanded_in_its_new_home(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    interval: timedelta,
    is_back: bool,
) -> None:
    """With the next poll; entities and devices stay the same."""
    before = set(hass.states.async_entity_ids())
    city, seaside = simulator.house.homes
    moves = [(city, seaside), (seaside, city)] if is_back else [(city, seaside)]
    for source, target in moves:
        move([m for m in source.modules if "abcdef" in m or m == CITY_BRIDGE], source, target)
        await poll(hass, freezer, interval)
        await call_action(hass, "lock", "open", CITY_DOOR)
        assert commanded_homes(simulator)[-1] == target.id
        house = homes.runtime_data.coordinator.data
        assert {m.home_id for m in house.modules.values() if "abcdef" in m.id} == {target.id}
    assert len(simulator.openings) == len(moves)
    assert set(hass.states.async_entity_ids()) - before <= {"calendar.casa_calls"}
    assert simulator.violations == []


async def test_moved_door_alone(
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It belongs to the home that lists it, whatever the homes' order; its name stays."""
    city, seaside = simulator.house.homes
    box = simulator.house.find("Box")
    box.bridge = CITY_BRIDGE
    move([box.id], seaside, city)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert homes.runtime_data.coordinator.data.homes[CASA].modules[box.id].name == "Box"
    assert box.id not in homes.runtime_data.coordinator.data.homes[SEASIDE].modules
    await call_action(hass, "lock", "open", "lock.box")
    assert commanded_homes(simulator) == [CASA]
    assert simulator.violations == []


async def test_unlisted_door_follows_its_intercom(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """Only the status contains it."""
    simulator.use_house("two_homes")
    city, seaside = simulator.house.homes
    door = simulator.house.find("Porta")
    door.listed = False
    await sign_in(hass, credentials)
    move(list(city.modules), city, seaside)
    door.silent = True
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    (name,) = set(hass.states.async_entity_ids("lock")) - set(SEASIDE_DOORS)
    await call_action(hass, "lock", "open", name)
    assert commanded_homes(simulator) == [SEASIDE]


@pytest.mark.parametrize("failure", [Failure(code=13), Failure(code=9)], ids=str)
async def test_dissolved_home(
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    failure: Failure,
) -> None:
    """Its modules are no longer there, and the cloud is not asked about it again."""
    city = simulator.house.homes.pop(0)
    simulator.fail(HOMESTATUS, failure)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    coordinator = homes.runtime_data.coordinator
    assert not city.modules.keys() & coordinator.data.modules.keys()
    assert {*coordinator.data.homes, *coordinator.known_homes.homes} == {SEASIDE}
    assert state_of(hass, CITY_DOOR) == "unavailable"
    assert state_of(hass, "lock.box") == "locked"
    simulator.journal.clear()
    await poll(hass, freezer)
    assert request_values(simulator.journal.of(HOMESTATUS), "home_id") == [SEASIDE]
    assert simulator.journal.count(SETSTATE) == 0


async def test_dissolved_home_whose_intercom_moved(
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """One look is enough, although the list of modules was not due."""
    city, seaside = simulator.house.homes
    move(list(city.modules), city, seaside)
    simulator.house.homes.remove(city)
    await poll(hass, freezer)
    await poll(hass, freezer)
    await call_action(hass, "lock", "open", CITY_DOOR)
    assert commanded_homes(simulator) == [SEASIDE]
    assert set(homes.runtime_data.coordinator.data.homes) == {SEASIDE}


async def test_home_that_one_answer_lacks(
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Its states are still reported, so it was not dissolved."""
    city = simulator.house.homes[0]
    home = {"id": SEASIDE, "modules": [{"id": "00:03:50:30:00:0a", "type": "BNC3"}]}
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": [home]}}))
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert city.modules.keys() <= homes.runtime_data.coordinator.data.modules.keys()
    await call_action(hass, "lock", "open", CITY_DOOR)
    assert commanded_homes(simulator) == [CASA]


async def test_lists_that_disagree_are_not_requested_again_and_again(
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A status that is ahead of the list of modules costs one request."""
    city, seaside = simulator.house.homes
    door = simulator.house.find("Porta")
    move([door.id], city, seaside)
    old = {"id": door.id, "type": door.type, "name": door.name, "bridge": CITY_BRIDGE}
    listed = [{"id": CASA, "modules": [old, {"id": CITY_BRIDGE, "type": "BNC1"}]}]
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": {"homes": listed}}), times=9)
    for _ in range(5):
        await poll(hass, freezer)
    assert simulator.journal.count(HOMESDATA) == 1
    assert homes.runtime_data.coordinator.data.modules[door.id].home_id == CASA


OUTAGES = [
    *(Failure(status=status, html=True) for status in (400, 403, 404, 500, 502, 503)),
    *(Failure(html=True), Failure(wrong_json=True), Failure(drop=True), usage_limit()),
]


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
@pytest.mark.usefixtures("homes")
async def test_outage_of_one_home(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory, outage: Failure
) -> None:
    """The other home stays up to date, and this one keeps its values."""
    box = simulator.house.find("Box")
    for is_reachable, shown in ((False, "unavailable"), (True, "locked")):
        box.reachable = is_reachable
        simulator.fail(HOMESTATUS, outage)
        await poll(hass, freezer)
        assert state_of(hass, "lock.box") == shown or outage == usage_limit()
        assert state_of(hass, CITY_DOOR) == "locked"


async def test_long_outage_of_one_home(
    hass: HomeAssistant,
    homes: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A quarter of an hour, as for the whole cloud; logged once, and its end as well."""
    caplog.clear()
    coordinator, page = homes.runtime_data.coordinator, Failure(status=502, html=True)
    for shown in ("locked", "locked", "unavailable", "unavailable"):
        # The home that has waited longest is requested first.
        simulator.fail(HOMESTATUS, page)
        await poll(hass, freezer)
        assert state_of(hass, CITY_DOOR) == shown
        assert state_of(hass, "lock.box") == "locked"
    assert caplog.text.count("does not answer properly for the home Casa: ") == 1
    assert coordinator.failed_polls == 0
    await poll(hass, freezer)
    assert state_of(hass, CITY_DOOR) == "locked"
    assert "answers again for the home Casa" in caplog.text


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_outage_of_one_home_while_pushes_come(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The quarter of an hour begins with the first failed request, and polls become frequent."""
    assert online_entry.runtime_data.coordinator.update_interval == SAFETY_INTERVAL
    simulator.fail(HOMESTATUS, Failure(status=502, html=True))
    await poll(hass, freezer, SAFETY_INTERVAL)
    assert state_of(hass, CITY_DOOR) == "locked"
    assert online_entry.runtime_data.coordinator.update_interval == STATUS_INTERVAL
    await poll(hass, freezer)
    assert online_entry.runtime_data.coordinator.update_interval == SAFETY_INTERVAL


def forty_homes(now: float) -> House:
    """Build forty homes with an intercom, a panel and a door each."""
    homes = []
    for number in range(40):
        (home,) = HOUSES["easykit"](now).homes
        home.id, home.name = f"{CASA[:-2]}{number:02}", f"Casa {number}"
        home.modules = {f"{number}-{key}": module for key, module in home.modules.items()}
        for key, module in home.modules.items():
            module.id, module.bridge = key, module.bridge and f"{number}-{module.bridge}"
        homes.append(home)
    return House(homes=homes)


async def test_forty_homes(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """They are set up although our own budget refuses a request; that home follows."""
    simulator.use_house(forty_homes)
    entry = await sign_in(hass, credentials)
    assert entry.state is ConfigEntryState.LOADED
    assert len(hass.states.async_entity_ids("lock")) == 40
    states = [state_of(hass, each) for each in hass.states.async_entity_ids("lock")]
    assert states.count("unavailable") == 1
    limiter = entry.runtime_data.account.auth.limiter
    before = limiter._clock
    limiter._clock = lambda: before() + 11
    await advance(hass, freezer, 11)
    states = [state_of(hass, each) for each in hass.states.async_entity_ids("lock")]
    assert states.count("unavailable") == 0
    assert simulator.violations == []


async def test_cloud_that_does_not_answer_at_all(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A poll ends after two requests without an answer, each of which may hang for long."""
    simulator.use_house(forty_homes)
    entry = await sign_in(hass, credentials)
    entry.runtime_data.account.auth.limiter._sent.clear()
    simulator.journal.clear()
    simulator.fail(HOMESTATUS, Failure(drop=True), times=40)
    await entry.runtime_data.coordinator.async_refresh()
    assert simulator.journal.count(HOMESTATUS) == 2
    assert entry.runtime_data.coordinator.failed_polls == 1
    simulator.faults.clear()


async def test_door_that_moves_while_it_waits(
    hass: HomeAssistant, homes: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It waits for the commands to its new home too."""
    city, seaside = simulator.house.homes
    responses = [asyncio.Event(), asyncio.Event()]
    presses = []
    for door, response in zip(("lock.cancello", CITY_DOOR), responses, strict=True):
        simulator.fail(SETSTATE, Failure(until=response))
        presses.append(hass.async_create_task(call_action(hass, "lock", "open", door)))
        await wait_until(lambda: len(simulator.journal.commands) == len(presses))
    presses.append(hass.async_create_task(call_action(hass, "lock", "open", "lock.box")))
    box = simulator.house.find("Box")
    box.bridge = CITY_BRIDGE
    move([box.id], seaside, city)
    homes.runtime_data.coordinator.async_expect_modules("unknown")
    await wait_until(lambda: box.id in homes.runtime_data.coordinator.data.homes[CASA].modules)
    responses[0].set()
    await presses[0]
    for _ in range(50):
        await asyncio.sleep(0)
    assert commanded_homes(simulator) == [SEASIDE, CASA]
    responses[1].set()
    await asyncio.gather(*presses)
    assert commanded_homes(simulator) == [SEASIDE, CASA, CASA]
    assert len(simulator.openings) == 3
