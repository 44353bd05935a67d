from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE, TURN

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Visitor

STRANGE_HOME = "64a1b2c3d4e5f60718290000"


async def test_homesdata_has_the_written_shape(visitor: Visitor, sim: Simulator) -> None:
    """The topology has exactly the fields of the protocol."""
    sim.use_house("classe_100x")
    answer = await visitor.api(HOMESDATA, sync_measurements=False)
    (home,) = answer.json["body"]["homes"]
    assert home.pop("modules") == _modules_of_the_100x()
    assert answer.json | {"body": None} == {
        "status": "ok",
        "time_server": int(START),
        "body": None,
    }
    assert answer.json["body"]["user"] == {"email": sim.email, "id": sim.user_id}
    assert home == {
        "id": "64a1b2c3d4e5f60718293a4b",
        "name": "Casa",
        "timezone": "Europe/Rome",
        "coordinates": [9.1, 45.4],
        "country": "IT",
    }


def _modules_of_the_100x() -> list[dict[str, Any]]:
    ids = [f"abcdef-{n:02}{n:02}-aa11bb22cc0{n}" for n in (1, 2, 3)]
    bridge = {
        "id": "00:03:50:ab:cd:ef",
        "type": "BNC1",
        "name": "Classe 100X",
        "setup_date": 1_650_000_000,
        "modules_bridged": ids,
    }
    return [
        bridge,
        _child(ids[0], "BNEU", "BNEU:bneu_external_unit", "Cancello"),
        _child(ids[1], "BNDL", "BNDL:bndl_doorlock", "Porta"),
        _child(ids[2], "BNSL", "BNSL:bnsl_staircase_light", "Scale"),
    ]


def _child(module_id: str, kind: str, variant: str, name: str) -> dict[str, str]:
    return {
        "id": module_id,
        "type": kind,
        "variant": variant,
        "name": name,
        "bridge": "00:03:50:ab:cd:ef",
    }


async def test_homestatus_has_the_written_shape(
    visitor: Visitor, sim: Simulator, clock: Clock
) -> None:
    """The state has exactly the fields of the protocol, and uptime grows."""
    sim.use_house("classe_100x")
    clock.now += 60
    bridge, panel, door, light = (await visitor.status())["home"]["modules"]
    assert bridge == {
        "id": "00:03:50:ab:cd:ef",
        "type": "BNC1",
        "firmware_name": "2.3.8",
        "firmware_revision": 203_008,
        "uptime": 812_405,
        "wifi_strength": 58,
        "websocket_connected": True,
        "local_ipv4": "192.0.2.20",
        "busy": False,
        "reachable": True,
        "last_seen": int(START) + 60,
    }
    assert sorted(panel) == ["bridge", "id", "reachable", "type"]
    assert sorted(door) == ["bridge", "id", "lock", "reachable", "type"]
    assert door["lock"] is True
    assert light["status"] == "off"


async def test_odd_times_of_the_300x(visitor: Visitor) -> None:
    """`last_seen` may be 0 and `last_configs_update` long ago."""
    bridge = (await visitor.status())["home"]["modules"][0]
    assert bridge["last_seen"] == 0
    assert bridge["last_configs_update"] == 1_530_000_000_000


@pytest.mark.parametrize("scheme", ["", "Basic abc", "bearer x"])
async def test_no_bearer(visitor: Visitor, sim: Simulator, scheme: str) -> None:
    """A request without a bearer is turned away as one with a bad token."""
    answer = await visitor.post(HOMESDATA, json={}, headers={"Authorization": scheme})
    assert (answer.status, answer.code) == (403, 2)
    assert sim.journal[0].bad_token
    assert sim.violations == [f"{HOMESDATA}: code 2: no bearer"]


@pytest.mark.parametrize(
    ("path", "fields", "status", "code"),
    [
        (HOMESDATA, {"app_type": None}, 403, 13),
        (HOMESDATA, {"app_type": "app_security"}, 403, 13),
        (HOMESDATA, {"app_version": None}, 400, 21),
        (HOMESDATA, {"app_version": 4}, 400, 21),
        (HOMESDATA, {"sync_measurements": 0}, 400, 21),
        (HOMESDATA, {"home_id": "x"}, 400, 21),
        (HOMESTATUS, {}, 400, 21),
        (HOMESTATUS, {"home_id": 4}, 400, 21),
        (GETEVENTS, {"home_id": "x"}, 400, 21),
        (GETEVENTS, {"home_id": "64a1b2c3d4e5f60718293a4b", "size": 0}, 400, 21),
        (GETEVENTS, {"home_id": "64a1b2c3d4e5f60718293a4b", "size": True}, 400, 21),
        (TURN, {}, 400, 21),
        (TURN, {"client_type": "device"}, 400, 21),
        (SETSTATE, {}, 400, 21),
    ],
)
async def test_bad_fields_are_refused_and_noted(
    visitor: Visitor, sim: Simulator, *, path: str, fields: dict[str, Any], status: int, code: int
) -> None:
    """Missing, unknown and badly typed fields get the cloud's code."""
    answer = await visitor.api(path, **fields)
    assert (answer.status, answer.code) == (status, code)
    assert len(sim.violations) == 1
    assert sim.journal[0].status == status


@pytest.mark.parametrize("path", [HOMESTATUS, GETEVENTS])
async def test_home_of_somebody_else(visitor: Visitor, path: str) -> None:
    """A home of another account is forbidden."""
    size = {"size": 5} if path == GETEVENTS else {}
    answer = await visitor.api(path, home_id=STRANGE_HOME, **size)
    assert (answer.status, answer.code) == (403, 13)


@pytest.mark.parametrize(
    "kind",
    [{"data": {"app_type": "app_camera"}}, {"data": b"{", "headers": "json"}, {"json": [1]}],
)
async def test_no_json_object(visitor: Visitor, sim: Simulator, kind: dict[str, Any]) -> None:
    """Only a JSON object is taken."""
    headers = dict(visitor.bearer)
    if kind.pop("headers", None):
        headers["Content-Type"] = "application/json"
    answer = await visitor.post(HOMESDATA, headers=headers, **kind)
    assert (answer.status, answer.code) == (400, 21)
    assert len(sim.violations) == 1


async def test_get_and_unknown_paths_are_noted(visitor: Visitor, sim: Simulator) -> None:
    """Everything is POST, and what does not exist is not there."""
    async with visitor.session.get(sim.url + HOMESDATA, headers=visitor.headers) as response:
        assert response.status == 405
    assert (await visitor.api("/turn")).status == 404
    assert len(sim.violations) == 2


async def test_foreign_user_agent_is_noted(visitor: Visitor, sim: Simulator) -> None:
    """Another User-Agent is served, but noted."""
    visitor.headers = {"User-Agent": "okhttp/4"}
    assert (await visitor.api(HOMESDATA)).status == 200
    assert sim.violations == [f"{HOMESDATA}: User-Agent is not the app's but okhttp/4"]


async def test_device_types_hides_the_300x(visitor: Visitor, sim: Simulator) -> None:
    """The field that hides a BNC3 in reality hides it here."""
    answer = await visitor.api(HOMESDATA, device_types=["BNC1"])
    modules = answer.json["body"]["homes"][0]["modules"]
    assert {module["type"] for module in modules} == {"BNEU", "BNDL", "BNSL"}
    assert len(sim.violations) == 1


async def test_events_newest_first_up_to_size(visitor: Visitor, sim: Simulator) -> None:
    """`size` cuts the list of events."""
    home = sim.house.homes[0].id
    body = (await visitor.api(GETEVENTS, home_id=home, size=1)).json["body"]
    assert body["home"]["id"] == home
    assert [event["type"] for event in body["home"]["events"]] == ["outdoor"]
    more = (await visitor.api(GETEVENTS, home_id=home, size=30)).json["body"]["home"]["events"]
    assert [event["type"] for event in more] == ["outdoor", "connection"]


async def test_turn_credentials(visitor: Visitor) -> None:
    """Relays are given for an hour, without app fields."""
    answer = await visitor.post(TURN, json={"client_type": "user"}, headers=visitor.bearer)
    (server,) = answer.json["body"]["iceServers"]
    assert server["urls"] == ["turn:turn.example:3478?transport=udp"]
    assert server["username"] == f"{int(START) + 3600}:u"
    assert server["credentialType"] == "password"


async def test_usage_limit_slides(visitor: Visitor, sim: Simulator, clock: Clock) -> None:
    """Over the limit is code 26, until the window has moved on."""
    sim.limit = (2, 10.0)
    codes = [(await visitor.api(HOMESDATA)).status for _ in range(3)]
    assert codes == [200, 200, 403]
    assert (await visitor.api(HOMESDATA)).code == 26
    clock.now += 10
    assert (await visitor.api(HOMESDATA)).status == 200


async def test_bridge_without_power(visitor: Visitor, sim: Simulator, clock: Clock) -> None:
    """Nothing behind a bridge without power is reachable; with power it boots."""
    sim.unplug_bridge()
    clock.now += 100
    body = await visitor.status()
    modules = body["home"]["modules"]
    assert {module["reachable"] for module in modules} == {False}
    assert modules[0]["uptime"] == 812_345
    assert modules[0]["websocket_connected"] is False
    assert body["errors"] == [{"code": 6, "id": module["id"]} for module in modules]
    sim.unreachable_shown = "errors"
    assert (await visitor.status())["home"]["modules"] == []
    sim.plug_bridge(sim.house.bridges()[0].id)
    clock.now += 5
    back = await visitor.status()
    assert "errors" not in back
    assert back["home"]["modules"][0]["uptime"] == 5


async def test_one_of_two_bridges(visitor: Visitor, sim: Simulator) -> None:
    """Unplugging one bridge leaves the other home alone."""
    sim.use_house("two_homes")
    city, seaside = sim.house.homes
    sim.unplug_bridge(seaside.bridges()[0].id)
    assert "errors" not in (await visitor.api(HOMESTATUS, home_id=city.id)).json["body"]
    assert "errors" in (await visitor.api(HOMESTATUS, home_id=seaside.id)).json["body"]
    with pytest.raises(KeyError):
        sim.unplug_bridge("00:00:00:00:00:00")


async def test_one_module_out_of_reach(visitor: Visitor, sim: Simulator) -> None:
    """A single module can be lost."""
    door = sim.house.find("Portone")
    door.reachable = False
    assert (await visitor.status())["errors"] == [{"code": 6, "id": door.id}]
