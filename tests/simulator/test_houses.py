from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import HOUSES, many_modules
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

type Modules = list[dict[str, Any]]


async def seen(visitor: Visitor, home: int = 0) -> tuple[Modules, Modules]:
    """Return a home's modules as homesdata and as homestatus name them."""
    described = (await visitor.api(HOMESDATA)).json["body"]["homes"][home]
    status = await visitor.api(HOMESTATUS, home_id=described["id"])
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
        ("no_intercom", ["NAPlug", "NATherm1", "NACamera"]),
    ],
)
async def test_what_is_built_in(
    visitor: Visitor, sim: Simulator, house: str, types: list[str]
) -> None:
    """Topology and state name the same modules."""
    sim.use_house(house)
    described, status = await seen(visitor)
    assert [module["type"] for module in described] == types
    assert [module["type"] for module in status] == types


@pytest.mark.parametrize("house", ["classe_300eos", "easykit", "easykit_three_panels"])
async def test_modules_without_name_variant_and_reachable(
    visitor: Visitor, sim: Simulator, house: str
) -> None:
    """The newer models say as little as reported."""
    sim.use_house(house)
    described, status = await seen(visitor)
    assert {tuple(module) for module in described[1:]} == {("id", "type", "bridge")}
    assert not any("reachable" in module for module in status[1:])
    sim.unplug_bridge()
    assert {module["reachable"] for module in (await seen(visitor))[1]} == {False}


async def test_two_homes_share_no_module(visitor: Visitor, sim: Simulator) -> None:
    """Two homes of one account have different ids."""
    sim.use_house("two_homes")
    city, seaside = (await seen(visitor, 0))[0], (await seen(visitor, 1))[0]
    assert not {module["id"] for module in city} & {module["id"] for module in seaside}


async def test_empty_account(visitor: Visitor, sim: Simulator) -> None:
    """An account may have no home."""
    sim.use_house("empty")
    assert (await visitor.api(HOMESDATA)).json["body"]["homes"] == []


async def test_strange_house(visitor: Visitor, sim: Simulator) -> None:
    """Unknown types, and bridged ids that only the state knows, or nobody."""
    sim.use_house("strange")
    described, status = await seen(visitor)
    bridged = set(described[0]["modules_bridged"])
    entries, states = ({module["id"] for module in each} for each in (described, status))
    assert len(bridged - entries) == 2
    assert len(bridged - entries - states) == 1
    assert "BNZZ" in {module["type"] for module in status}


@pytest.mark.parametrize("count", [4, 51, 501])
async def test_many_modules(visitor: Visitor, sim: Simulator, count: int) -> None:
    """Big houses have as many modules as they say."""
    sim.use_house(many_modules(count))
    described, status = await seen(visitor)
    assert len({module["id"] for module in described}) == len(status) == count
    assert f"modules_{count}" in HOUSES


@pytest.mark.parametrize("count", [1, 10, 100])
async def test_many_panels(visitor: Visitor, sim: Simulator, count: int) -> None:
    """Each of many panels has a bell."""
    sim.use_house(f"panels_{count}")
    described, _ = await seen(visitor)
    panels = [module["id"] for module in described if module["type"] == "BNEU"]
    assert [sim.ring(panel).panel_id for panel in panels] == panels
    assert len(set(panels)) == count


async def test_modules_come_and_go(visitor: Visitor, sim: Simulator) -> None:
    """A module can be built in, used and taken out."""
    door = sim.add_module(name="Cantina")
    assert (await seen(visitor))[0][-1] | {"name": "Cantina", "type": "BNDL"} == (
        await seen(visitor)
    )[0][-1]
    assert door.id in (await seen(visitor))[0][0]["modules_bridged"]
    await visitor.command(door, lock=False)
    assert [opening.module_id for opening in sim.openings] == [door.id]
    sim.remove_module(door.id)
    assert door.id not in str(await seen(visitor))
    again = sim.add_module(sim.house.homes[0].id, kind="BNSL", name=None)
    assert again.id in sim.lights
    assert "name" not in (await seen(visitor))[0][-1]


async def test_what_is_not_there(sim: Simulator) -> None:
    """What does not exist is a KeyError."""
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
