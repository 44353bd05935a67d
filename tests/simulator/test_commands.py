from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.house import STAIRCASE_SECONDS, Opening
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor


async def test_unlock_moves_that_door_once(visitor: Visitor, sim: Simulator) -> None:
    """`lock: false` opens, and the state goes on saying locked."""
    door = sim.house.find("Portone")
    answer = await visitor.command(door, lock=False)
    assert answer.json == {"status": "ok", "time_server": int(START)}
    assert sim.openings == [Opening(module_id=door.id, at=START)]
    status = next(
        each for each in (await visitor.status())["home"]["modules"] if each["id"] == door.id
    )
    assert status["lock"] is True
    assert status["last_user_interaction"] == int(START)
    assert sim.violations == []


async def test_lock_true_moves_nothing(visitor: Visitor, sim: Simulator) -> None:
    """`lock: true` is taken and moves nothing."""
    answer = await visitor.command(sim.house.find("Portone"), lock=True)
    assert "errors" not in answer.text
    assert sim.openings == []


async def test_light_and_its_timer(visitor: Visitor, sim: Simulator, clock: Clock) -> None:
    """A light is written as `on`, read as `status`, and puts itself out."""
    light = sim.house.lights()[0]
    await visitor.command(light, on=True)
    assert sim.lights == {light.id: True}
    assert (await visitor.status())["home"]["modules"][-1]["status"] == "on"
    clock.now += STAIRCASE_SECONDS
    assert sim.lights == {light.id: False}
    await visitor.command(light, on=True)
    await visitor.command(light, on=False)
    assert sim.lights == {light.id: False}


@pytest.mark.parametrize("place", ["body", "top"])
@pytest.mark.parametrize(
    ("name", "command"),
    [("Posto esterno strada", "lock"), ("Luce scale", "lock"), ("Portone", "on")],
)
async def test_module_refuses_in_a_200(
    visitor: Visitor, sim: Simulator, place: Any, name: str, command: str
) -> None:
    """What a module cannot do is code 5 inside a 200, in either place."""
    sim.command_errors_at = place
    module = sim.house.find(name)
    answer = await visitor.command(module, **{command: False})
    assert answer.status == 200
    where = answer.json["body"] if place == "body" else answer.json
    assert where["errors"] == [{"code": 5, "command": command, "id": module.id}]
    assert sim.openings == []
    assert sim.journal[0].refused


async def test_unreachable(visitor: Visitor, sim: Simulator) -> None:
    """A command to a bridge without power is code 6 and moves nothing, not even later."""
    door = sim.house.find("Portone")
    sim.unplug_bridge()
    answer = await visitor.command(door, lock=False)
    assert answer.json["body"]["errors"] == [{"code": 6, "command": "lock", "id": door.id}]
    assert sim.openings == []
    sim.plug_bridge()
    await visitor.command(door, lock=False)
    assert len(sim.openings) == 1


async def test_wrong_bridge(visitor: Visitor, sim: Simulator) -> None:
    """A command through another bridge does not arrive."""
    door = sim.house.find("Portone")
    answer = await visitor.command(door, lock=False, bridge="00:03:50:00:00:00")
    assert answer.json["body"]["errors"][0]["code"] == 6
    assert sim.openings == []


async def test_unknown_device(visitor: Visitor, sim: Simulator) -> None:
    """A module that is not there is 404 code 9."""
    door = sim.house.find("Portone")
    answer = await visitor.command(door, lock=False, id="30000a-0909-aa11bb22cc09")
    assert (answer.status, answer.code) == (404, 9)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lock": False, "on": True},
        {"lock": 0},
        {"lock": "false"},
        {"status": "on"},
        {"lock": False, "timezone": "Europe/Rome"},
        {"lock": False, "bridge": None},
        {"lock": False, "id": None},
    ],
)
async def test_malformed_command(visitor: Visitor, sim: Simulator, fields: dict[str, Any]) -> None:
    """A command has an id, a bridge and exactly one order of the right type."""
    answer = await visitor.command(sim.house.find("Portone"), **fields)
    assert (answer.status, answer.code) == (400, 21)
    assert sim.openings == []
    assert len(sim.violations) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"timezone": None}, 400, 21),
        ({"modules": []}, 400, 21),
        ({"modules": ["x"]}, 400, 21),
        ({"name": "Casa"}, 400, 21),
        ({"id": "64a1b2c3d4e5f60718290000"}, 403, 13),
    ],
)
async def test_malformed_home(
    visitor: Visitor, sim: Simulator, change: dict[str, Any], status: int, code: int
) -> None:
    """The home of a command has an id, a time zone and modules."""
    door, home = sim.house.find("Portone"), sim.house.homes[0]
    command = {"id": door.id, "bridge": door.bridge, "lock": False}
    sent = {"id": home.id, "timezone": home.timezone, "modules": [command]} | change
    wire = {key: value for key, value in sent.items() if value is not None}
    answer = await visitor.api(SETSTATE, home=wire)
    assert (answer.status, answer.code) == (status, code)
    assert sim.openings == []


async def test_timezone_of_elsewhere_is_noted(visitor: Visitor, sim: Simulator) -> None:
    """Another time zone than the home's is carried out, but noted."""
    sim.house.homes[0].timezone = "Europe/Athens"
    door, home = sim.house.find("Portone"), sim.house.homes[0]
    command = {"id": door.id, "bridge": door.bridge, "lock": False}
    sent = {"id": home.id, "timezone": "Europe/Rome", "modules": [command]}
    assert (await visitor.api(SETSTATE, home=sent)).status == 200
    assert len(sim.violations) == 1
    assert len(sim.openings) == 1


async def test_several_commands_at_once(visitor: Visitor, sim: Simulator) -> None:
    """Each command of a request stands for itself."""
    home, panel = sim.house.homes[0], sim.house.find("Posto esterno strada")
    modules = [
        {"id": each.id, "bridge": each.bridge, "lock": False}
        for each in (*sim.house.doors(), panel)
    ]
    sent = {"id": home.id, "timezone": home.timezone, "modules": modules}
    answer = await visitor.api(SETSTATE, home=sent)
    assert [error["id"] for error in answer.json["body"]["errors"]] == [panel.id]
    assert len(sim.openings) == 3


async def test_commands_leave_out_what_was_turned_away(visitor: Visitor, sim: Simulator) -> None:
    """An expired token stops a command, an outage may not have."""
    door = sim.house.find("Portone")
    sim.expire_access_tokens()
    await visitor.command(door, lock=False)
    await visitor.renew()
    await visitor.command(door, lock=False)
    assert sim.journal.count(SETSTATE) == 2
    assert [entry.status for entry in sim.journal.commands] == [200]
    sim.take_down()
    await visitor.command(door, lock=False)
    assert len(sim.journal.commands) == 2
