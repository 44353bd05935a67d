from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.house import STAIRCASE_SECONDS, Opening
from tests.simulator.paths import SETSTATE
from tests.simulator.socket_client import open_socket

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator


async def test_unlock_opens_door_once(client: HttpClient, sim: Simulator) -> None:
    """`lock: false` opens the door; the reported state stays locked."""
    door = sim.house.find("Portone")
    answer = await client.command(door, lock=False)
    assert answer.json == {"status": "ok", "time_server": int(START)}
    assert sim.openings == [Opening(module_id=door.id, at=START)]
    status = next(
        each for each in (await client.status())["home"]["modules"] if each["id"] == door.id
    )
    assert status["lock"] is True
    assert status["last_user_interaction"] == int(START)
    assert sim.violations == []


async def test_lock_true_has_no_effect(client: HttpClient, sim: Simulator) -> None:
    """`lock: true` is accepted and opens nothing."""
    answer = await client.command(sim.house.find("Portone"), lock=True)
    assert "errors" not in answer.text
    assert sim.openings == []


async def test_light_with_timer(client: HttpClient, sim: Simulator, clock: Clock) -> None:
    """A light is switched with `on`, read as `status`, and switched off by its timer."""
    light = sim.house.lights()[0]
    await client.command(light, on=True)
    assert sim.lights == {light.id: True}
    assert (await client.status())["home"]["modules"][-1]["status"] == "on"
    clock.now += STAIRCASE_SECONDS
    assert sim.lights == {light.id: False}
    await client.command(light, on=True)
    await client.command(light, on=False)
    assert sim.lights == {light.id: False}


@pytest.mark.parametrize("place", ["body", "top"])
@pytest.mark.parametrize(
    ("name", "command"),
    [("Posto esterno strada", "lock"), ("Luce scale", "lock"), ("Portone", "on")],
)
async def test_unsupported_command(
    client: HttpClient, sim: Simulator, place: Any, name: str, command: str
) -> None:
    """A command that a module does not support is code 5 inside a 200, in either place."""
    sim.command_errors_at = place
    module = sim.house.find(name)
    answer = await client.command(module, **{command: False})
    assert answer.status == 200
    where = answer.json["body"] if place == "body" else answer.json
    assert where["errors"] == [{"code": 5, "command": command, "id": module.id}]
    assert sim.openings == []
    assert sim.journal[0].refused


async def test_unreachable_module(client: HttpClient, sim: Simulator) -> None:
    """A command to an unplugged bridge is code 6 and has no effect, not even later."""
    door = sim.house.find("Portone")
    sim.unplug_bridge()
    answer = await client.command(door, lock=False)
    assert answer.json["body"]["errors"] == [{"code": 6, "command": "lock", "id": door.id}]
    assert sim.openings == []
    sim.plug_bridge()
    await client.command(door, lock=False)
    assert len(sim.openings) == 1


async def test_wrong_bridge(client: HttpClient, sim: Simulator) -> None:
    """A command with the wrong bridge id is not run."""
    door = sim.house.find("Portone")
    answer = await client.command(door, lock=False, bridge="00:03:50:00:00:00")
    assert answer.json["body"]["errors"][0]["code"] == 6
    assert sim.openings == []


async def test_unknown_device(client: HttpClient, sim: Simulator) -> None:
    """An unknown module id is 404 code 9."""
    door = sim.house.find("Portone")
    answer = await client.command(door, lock=False, id="30000a-0909-aa11bb22cc09")
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
async def test_malformed_command(
    client: HttpClient, sim: Simulator, fields: dict[str, Any]
) -> None:
    """A command needs an id, a bridge and exactly one command of the right type."""
    answer = await client.command(sim.house.find("Portone"), **fields)
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
    client: HttpClient, sim: Simulator, change: dict[str, Any], status: int, code: int
) -> None:
    """The home of a command needs an id, a time zone and modules."""
    door, home = sim.house.find("Portone"), sim.house.homes[0]
    command = {"id": door.id, "bridge": door.bridge, "lock": False}
    sent = {"id": home.id, "timezone": home.timezone, "modules": [command]} | change
    wire = {key: value for key, value in sent.items() if value is not None}
    answer = await client.api(SETSTATE, home=wire)
    assert (answer.status, answer.code) == (status, code)
    assert sim.openings == []


async def test_wrong_timezone_is_violation(client: HttpClient, sim: Simulator) -> None:
    """The command is run nevertheless."""
    sim.house.homes[0].timezone = "Europe/Athens"
    door, home = sim.house.find("Portone"), sim.house.homes[0]
    command = {"id": door.id, "bridge": door.bridge, "lock": False}
    sent = {"id": home.id, "timezone": "Europe/Rome", "modules": [command]}
    assert (await client.api(SETSTATE, home=sent)).status == 200
    assert len(sim.violations) == 1
    assert len(sim.openings) == 1


async def test_several_commands_in_one_request(client: HttpClient, sim: Simulator) -> None:
    """Each command of a request succeeds or fails on its own."""
    home, panel = sim.house.homes[0], sim.house.find("Posto esterno strada")
    modules = [
        {"id": each.id, "bridge": each.bridge, "lock": False}
        for each in (*sim.house.doors(), panel)
    ]
    sent = {"id": home.id, "timezone": home.timezone, "modules": modules}
    answer = await client.api(SETSTATE, home=sent)
    assert [error["id"] for error in answer.json["body"]["errors"]] == [panel.id]
    assert len(sim.openings) == 3


async def test_journal_commands_leave_out_refused_tokens(
    client: HttpClient, sim: Simulator
) -> None:
    """A command with an expired token was surely not run; in an outage it may have been."""
    door = sim.house.find("Portone")
    sim.expire_access_tokens()
    await client.command(door, lock=False)
    await client.renew()
    await client.command(door, lock=False)
    assert sim.journal.count(SETSTATE) == 2
    assert [entry.status for entry in sim.journal.commands] == [200]
    sim.take_down()
    await client.command(door, lock=False)
    assert len(sim.journal.commands) == 2


async def test_module_that_refuses(client: HttpClient, sim: Simulator) -> None:
    """With any number, inside a successful response; nothing moves."""
    door = sim.house.find("Portone")
    await client.operate("refuse_commands", id="Portone", code=9)
    answer = await client.command(door, lock=False)
    expected = [{"code": 9, "command": "lock", "id": door.id}]
    assert (answer.status, answer.json["body"]["errors"]) == (200, expected)
    assert sim.openings == []
    await client.operate("refuse_commands", id="Portone", code=None)
    await client.command(door, lock=False)
    assert len(sim.openings) == 1


async def test_command_without_push_socket(client: HttpClient, sim: Simulator) -> None:
    """It runs, or is refused with code 6 of the bridge: observers differ."""
    door = sim.house.find("Portone")
    sim.commands_without_push = "refused"
    answer = await client.command(door, lock=False)
    assert answer.json["body"]["errors"] == [{"code": 6, "id": door.bridge}]
    async with open_socket(client):
        await client.command(door, lock=False)
    assert len(sim.openings) == 1
    sim.commands_without_push = "run"
    await client.command(door, lock=False)
    assert len(sim.openings) == 2
