from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import HOUSES, many_modules
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

type Modules = list[dict[str, Any]]


async def modules_of(client: HttpClient, home: int = 0) -> tuple[Modules, Modules]:
    """Return a home's modules from homesdata and from homestatus."""
    described = (await client.api(HOMESDATA)).json["body"]["homes"][home]
    status = await client.api(HOMESTATUS, home_id=described["id"])
    return described["modules"], status.json["body"]["home"]["modules"]


@pytest.mark.parametrize(
    ("house", "types"),
    [
        ("classe_100x", ["BNC1", "BNEU", "BNDL", "BNSL"]),
        ("classe_300x", ["BNC3", "BNEU", "BNEU", "BNDL", "BNDL", "BNDL", "BNSL"]),
        ("classe_300eos", ["BNCX", "BNEU", "BNDL", "BNDL", "BNSL"]),
        ("easykit", ["BDIY", "BNEU", "BNDL"]),
        ("three_panels", ["BNC3", "BNEU", "BNEU", "BNEU", "BNDL", "BNDL", "BNDL"]),
        ("easykit_three_panels", ["BDIY", "BNEU", "BNEU", "BNEU", "BNDL"]),
        ("voice_only", ["BNC1", "BNEU", "BNDL"]),
        ("home_control", ["BNCX", "BNEU", "BNDL", "BNLO"]),
        ("hybrid", ["BNHY", "BNEU", "BNDL"]),
        ("ip_units", ["BFII", "BFIO", "BFIO", "BNDL", "BNSL"]),
        ("connected_panel", ["BNC1", "BCEPL", "BNDL"]),
        ("bpac", ["BPAC", "BNEU", "BNDL"]),
        ("bcepa", ["BCEPA"]),
        ("bpvc", ["BNC3", "BPVC", "BNDL"]),
        ("cctv", ["BNC3", "BNEU", "BNDL", "BNTVCC", "BNTVCC"]),
        ("no_intercom", ["NAPlug", "NATherm1", "NACamera"]),
    ],
)
async def test_modules_of_house(
    client: HttpClient, sim: Simulator, house: str, types: list[str]
) -> None:
    """Homesdata and homestatus list the same modules."""
    sim.use_house(house)
    described, status = await modules_of(client)
    assert [module["type"] for module in described] == types
    assert [module["type"] for module in status] == types


@pytest.mark.parametrize("house", ["classe_300eos", "easykit", "easykit_three_panels"])
async def test_modules_without_optional_fields(
    client: HttpClient, sim: Simulator, house: str
) -> None:
    """Newer models report neither name, variant nor `reachable`."""
    sim.use_house(house)
    described, status = await modules_of(client)
    assert {tuple(module) for module in described[1:]} == {("id", "type", "bridge")}
    assert not any("reachable" in module for module in status[1:])
    sim.unplug_bridge()
    assert {module["reachable"] for module in (await modules_of(client))[1]} == {False}


async def test_gateway(client: HttpClient, sim: Simulator) -> None:
    """Dozens of modules of another system; homesdata lacks some, homestatus lacks others."""
    sim.use_house("myhome_gateway")
    described, status = await modules_of(client)
    bridged = set(described[0]["modules_bridged"])
    entries, states = ({module["id"] for module in each} for each in (described, status))
    assert len(bridged) == 73
    assert bridged - entries
    assert bridged - states
    assert bridged <= entries | states


@pytest.mark.parametrize("house", ["classe_300eos", "home_control", "myhome_gateway"])
async def test_terse_status(client: HttpClient, sim: Simulator, house: str) -> None:
    """A 300EOS reports a revision and whether it uses a PIN, and nothing else."""
    sim.use_house(house)
    (bridge, *_), fields = (await modules_of(client))[1], {"id", "type", "reachable"}
    assert bridge.keys() == fields | {"firmware_revision", "use_pincode"}
    assert bridge["firmware_revision"] == 30212


async def test_two_homes_share_no_module(client: HttpClient, sim: Simulator) -> None:
    """Two homes of one account have different ids."""
    sim.use_house("two_homes")
    city, seaside = (await modules_of(client, 0))[0], (await modules_of(client, 1))[0]
    assert not {module["id"] for module in city} & {module["id"] for module in seaside}


async def test_empty_account(client: HttpClient, sim: Simulator) -> None:
    """An account can have no home."""
    sim.use_house("empty")
    assert (await client.api(HOMESDATA)).json["body"]["homes"] == []


async def test_strange_house(client: HttpClient, sim: Simulator) -> None:
    """There are unknown types, and bridged ids that only homestatus or no response lists."""
    sim.use_house("strange")
    described, status = await modules_of(client)
    bridged = set(described[0]["modules_bridged"])
    entries, states = ({module["id"] for module in each} for each in (described, status))
    assert len(bridged - entries) == 2
    assert len(bridged - entries - states) == 1
    assert "BNZZ" in {module["type"] for module in status}


@pytest.mark.parametrize("count", [4, 51, 501])
async def test_many_modules(client: HttpClient, sim: Simulator, count: int) -> None:
    """A house with many modules has the requested number."""
    sim.use_house(many_modules(count))
    described, status = await modules_of(client)
    assert len({module["id"] for module in described}) == len(status) == count
    assert f"modules_{count}" in HOUSES


@pytest.mark.parametrize("count", [1, 10, 100])
async def test_many_panels(client: HttpClient, sim: Simulator, count: int) -> None:
    """Each of many panels can ring."""
    sim.use_house(f"panels_{count}")
    described, _ = await modules_of(client)
    panels = [module["id"] for module in described if module["type"] == "BNEU"]
    assert [sim.ring(panel).panel_id for panel in panels] == panels
    assert len(set(panels)) == count


async def test_add_and_remove_module(client: HttpClient, sim: Simulator) -> None:
    """A module can be added, used and removed."""
    door = sim.add_module(name="Cantina")
    assert (await modules_of(client))[0][-1] | {"name": "Cantina", "type": "BNDL"} == (
        await modules_of(client)
    )[0][-1]
    assert door.id in (await modules_of(client))[0][0]["modules_bridged"]
    await client.command(door, lock=False)
    assert [opening.module_id for opening in sim.openings] == [door.id]
    sim.remove_module(door.id)
    assert door.id not in str(await modules_of(client))
    again = sim.add_module(sim.house.homes[0].id, kind="BNSL", name=None)
    assert again.id in sim.lights
    assert "name" not in (await modules_of(client))[0][-1]


async def test_unknown_names(sim: Simulator) -> None:
    """Unknown names raise KeyError."""
    with pytest.raises(KeyError):
        sim.remove_module("nothing")
    with pytest.raises(KeyError):
        sim.use_house("castle")
    with pytest.raises(KeyError):
        sim.house.find("Cantina")
    sim.use_house("empty")
    with pytest.raises(KeyError):
        sim.add_module()
    sim.use_house("no_intercom")
    with pytest.raises(KeyError):
        sim.add_module()
