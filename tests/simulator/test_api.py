from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE, TURN

if TYPE_CHECKING:
    from tests.simulator.http_client import HttpClient
    from tests.simulator.server import Simulator

STRANGE_HOME = "64a1b2c3d4e5f60718290000"


async def test_homesdata_fields(client: HttpClient, sim: Simulator) -> None:
    """Homesdata returns exactly the documented fields."""
    sim.use_house("classe_100x")
    answer = await client.api(HOMESDATA, sync_measurements=False)
    (home,) = answer.json["body"]["homes"]
    assert home.pop("modules") == _modules_of_100x()
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


def _modules_of_100x() -> list[dict[str, Any]]:
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


async def test_homestatus_fields(client: HttpClient, sim: Simulator, clock: Clock) -> None:
    """Homestatus returns exactly the documented fields, and the uptime increases."""
    sim.use_house("classe_100x")
    clock.now += 60
    bridge, panel, door, light = (await client.status())["home"]["modules"]
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


async def test_odd_times_of_300x(client: HttpClient) -> None:
    """`last_seen` is 0 and `last_configs_update` is years old."""
    bridge = (await client.status())["home"]["modules"][0]
    assert bridge["last_seen"] == 0
    assert bridge["last_configs_update"] == 1_530_000_000_000


@pytest.mark.parametrize("scheme", ["", "Basic abc", "bearer x"])
async def test_missing_bearer_token(client: HttpClient, sim: Simulator, scheme: str) -> None:
    """A request without a bearer token is refused like one with an invalid token."""
    answer = await client.post(HOMESDATA, json={}, headers={"Authorization": scheme})
    assert (answer.status, answer.code) == (403, 2)
    assert sim.journal[0].bad_token
    assert sim.violations == [f"{HOMESDATA}: code 2: no bearer token"]


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
async def test_invalid_fields_are_violations(
    client: HttpClient,
    sim: Simulator,
    *,
    path: str,
    fields: dict[str, Any],
    status: int,
    code: int,
) -> None:
    """Missing, unknown and mistyped fields get the cloud's error code."""
    answer = await client.api(path, **fields)
    assert (answer.status, answer.code) == (status, code)
    assert len(sim.violations) == 1
    assert sim.journal[0].status == status


@pytest.mark.parametrize("path", [HOMESTATUS, GETEVENTS])
async def test_home_of_other_account(client: HttpClient, path: str) -> None:
    """A home of another account is forbidden."""
    size = {"size": 5} if path == GETEVENTS else {}
    answer = await client.api(path, home_id=STRANGE_HOME, **size)
    assert (answer.status, answer.code) == (403, 13)


@pytest.mark.parametrize(
    "kind",
    [{"data": {"app_type": "app_camera"}}, {"data": b"{", "headers": "json"}, {"json": [1]}],
)
async def test_body_must_be_json_object(
    client: HttpClient, sim: Simulator, kind: dict[str, Any]
) -> None:
    """Any other body is refused."""
    headers = dict(client.bearer)
    if kind.pop("headers", None):
        headers["Content-Type"] = "application/json"
    answer = await client.post(HOMESDATA, headers=headers, **kind)
    assert (answer.status, answer.code) == (400, 21)
    assert len(sim.violations) == 1


async def test_wrong_method_and_unknown_path_are_violations(
    client: HttpClient, sim: Simulator
) -> None:
    """GET gets 405, an unknown path 404."""
    async with client.session.get(sim.url + HOMESDATA, headers=client.headers) as response:
        assert response.status == 405
    assert (await client.api("/turn")).status == 404
    assert len(sim.violations) == 2


async def test_other_user_agent_is_violation(client: HttpClient, sim: Simulator) -> None:
    """The request is served nevertheless."""
    client.headers = {"User-Agent": "okhttp/4"}
    assert (await client.api(HOMESDATA)).status == 200
    assert sim.violations == [f"{HOMESDATA}: User-Agent is okhttp/4, not the app's"]


async def test_device_types_leaves_out_300x(client: HttpClient, sim: Simulator) -> None:
    """With `device_types`, homesdata leaves out a BNC3, as the real cloud does."""
    answer = await client.api(HOMESDATA, device_types=["BNC1"])
    modules = answer.json["body"]["homes"][0]["modules"]
    assert {module["type"] for module in modules} == {"BNEU", "BNDL", "BNSL"}
    assert len(sim.violations) == 1


async def test_events_are_limited_to_size(client: HttpClient, sim: Simulator) -> None:
    """Getevents returns the newest `size` events."""
    home = sim.house.homes[0].id
    body = (await client.api(GETEVENTS, home_id=home, size=1)).json["body"]
    assert body["home"]["id"] == home
    assert [event["type"] for event in body["home"]["events"]] == ["outdoor"]
    more = (await client.api(GETEVENTS, home_id=home, size=30)).json["body"]["home"]["events"]
    assert [event["type"] for event in more] == ["outdoor", "connection"]


async def test_turn_credentials(client: HttpClient) -> None:
    """TURN credentials are valid for an hour and need no app fields."""
    answer = await client.post(TURN, json={"client_type": "user"}, headers=client.bearer)
    (server,) = answer.json["body"]["iceServers"]
    assert server["urls"] == ["turn:turn.example:3478?transport=udp"]
    assert server["username"] == f"{int(START) + 3600}:u"
    assert server["credentialType"] == "password"


async def test_usage_limit_is_sliding_window(
    client: HttpClient, sim: Simulator, clock: Clock
) -> None:
    """Requests above the limit get code 26 until the window has moved on."""
    sim.limit = (2, 10.0)
    codes = [(await client.api(HOMESDATA)).status for _ in range(3)]
    assert codes == [200, 200, 403]
    assert (await client.api(HOMESDATA)).code == 26
    clock.now += 10
    assert (await client.api(HOMESDATA)).status == 200


async def test_bridge_without_power(client: HttpClient, sim: Simulator, clock: Clock) -> None:
    """An unplugged bridge and its modules are unreachable; the uptime restarts with the power."""
    sim.unplug_bridge()
    clock.now += 100
    body = await client.status()
    modules = body["home"]["modules"]
    assert {module["reachable"] for module in modules} == {False}
    assert modules[0]["uptime"] == 812_345
    assert modules[0]["websocket_connected"] is False
    assert body["errors"] == [{"code": 6, "id": module["id"]} for module in modules]
    sim.unreachable_shown = "errors"
    assert (await client.status())["home"]["modules"] == []
    sim.plug_bridge(sim.house.bridges()[0].id)
    clock.now += 5
    back = await client.status()
    assert "errors" not in back
    assert back["home"]["modules"][0]["uptime"] == 5


async def test_lists_at_the_other_place(client: HttpClient, sim: Simulator) -> None:
    """Events beside the home, TURN servers and errors beside the body."""
    sim.lists_at = "other"
    sim.unplug_bridge()
    home_id = sim.house.homes[0].id
    events = (await client.api(GETEVENTS, home_id=home_id, size=5)).json["body"]
    assert (list(events), events["home"]) == (["home", "events"], {"id": home_id})
    status = (await client.api(HOMESTATUS, home_id=home_id)).json
    assert "errors" not in status["body"]
    assert {error["code"] for error in status["errors"]} == {6}
    assert list((await client.api(TURN, client_type="user")).json) == ["iceServers"]


async def test_bridged_modules_as_objects(client: HttpClient, sim: Simulator) -> None:
    """Each with its id."""
    sim.bridged_as = "objects"
    home = (await client.api(HOMESDATA)).json["body"]["homes"][0]
    bridge, *others = home["modules"]
    assert bridge["modules_bridged"] == [{"id": module["id"]} for module in others]


async def test_unplugging_one_of_two_bridges(client: HttpClient, sim: Simulator) -> None:
    """The other home is not affected."""
    sim.use_house("two_homes")
    city, seaside = sim.house.homes
    sim.unplug_bridge(seaside.bridges()[0].id)
    assert "errors" not in (await client.api(HOMESTATUS, home_id=city.id)).json["body"]
    assert "errors" in (await client.api(HOMESTATUS, home_id=seaside.id)).json["body"]
    with pytest.raises(KeyError):
        sim.unplug_bridge("00:00:00:00:00:00")


async def test_unreachable_module(client: HttpClient, sim: Simulator) -> None:
    """A single module can be unreachable."""
    door = sim.house.find("Portone")
    door.reachable = False
    assert (await client.status())["errors"] == [{"code": 6, "id": door.id}]
