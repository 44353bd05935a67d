from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.paths import GETCONFIGS, SETCONFIGS

if TYPE_CHECKING:
    from tests.simulator.http_client import Answer, HttpClient
    from tests.simulator.server import Simulator

NOW = int(START * 1000)
#: getconfigs and setconfigs identify the app by another field than the rest of the API.
APP = {"app_type": None, "app_version": None, "app_identifier": "app_camera"}
QUIET = {"dnd_enabled": True, "dnd_mode": 3, "dnd_duration": 60, "dnd_end_time_duration": NOW}


async def read(client: HttpClient, **fields: Any) -> Answer:
    """Request the settings of the first home's intercom; fields can be overridden."""
    home = client.sim.house.homes[0]
    usual = {"home_id": home.id, "module_ids": [home.bridges()[0].id]}
    return await client.api(GETCONFIGS, **(APP | usual | fields))


async def write(client: HttpClient, **fields: Any) -> Answer:
    """Change settings of that intercom; fields that are None are left out."""
    home = client.sim.house.homes[0]
    bridge = home.bridges()[0]
    usual = {"id": bridge.id, "type": bridge.type, "last_configs_update": NOW}
    one = {key: value for key, value in (usual | fields).items() if value is not None}
    return await client.api(SETCONFIGS, **APP, home={"id": home.id, "modules": [one]})


async def test_300x_has_settings(client: HttpClient, sim: Simulator) -> None:
    """Getconfigs returns both settings with all their fields."""
    answer = (await read(client)).json
    (module,) = answer["body"]["home"]["modules"]
    assert (module["id"], module["type"]) == (sim.bridges()[0].id, "BNC3")
    assert module["do_not_disturb"]["dnd_mode"] == 0
    assert module["professional_studio"]["ps_enabled"] is True
    assert sim.violations == []


@pytest.mark.parametrize("house", ["classe_100x", "classe_300eos", "easykit"])
async def test_other_models_have_no_settings(
    client: HttpClient, sim: Simulator, house: str
) -> None:
    """They are listed without settings, unless an operator adds one."""
    sim.use_house(house)
    (module,) = (await read(client)).json["body"]["home"]["modules"]
    assert module.keys() == {"id", "type"}
    await client.operate("configs", do_not_disturb={"dnd_mode": 0})
    (module,) = (await read(client)).json["body"]["home"]["modules"]
    assert module["do_not_disturb"] == {"dnd_mode": 0}


async def test_change_is_applied(client: HttpClient, sim: Simulator, clock: Clock) -> None:
    """The new setting is read back, and homestatus has the time of the change."""
    clock.now += 5
    assert (await write(client, do_not_disturb=QUIET)).json["status"] == "ok"
    (module,) = (await read(client)).json["body"]["home"]["modules"]
    assert module["do_not_disturb"] == QUIET
    assert module["professional_studio"]["ps_mode"] == 0
    bridge = (await client.status())["home"]["modules"][0]
    assert bridge["last_configs_update"] == NOW + 5000
    assert sim.violations == []


async def test_operator_changes_settings(client: HttpClient, sim: Simulator) -> None:
    """An operator can set single fields, even to unknown modes, and remove a setting."""
    await client.operate("configs", do_not_disturb={"dnd_mode": 7}, professional_studio=None)
    (module,) = (await read(client)).json["body"]["home"]["modules"]
    assert module["do_not_disturb"]["dnd_mode"] == 7
    assert module["do_not_disturb"]["dnd_duration"] == 60
    assert "professional_studio" not in module
    assert (await client.operate("configs", bridge="nobody")).status == 404
    assert sim.violations == []


@pytest.mark.parametrize(("code", "status"), [(9, 404), (13, 403), (21, 400)])
async def test_both_paths_can_be_refused(
    client: HttpClient, sim: Simulator, code: int, status: int
) -> None:
    """Models without settings in the cloud may do so."""
    await client.operate("configs", refused=code)
    assert (await read(client)).status == status
    assert (await write(client, do_not_disturb=QUIET)).code == code
    await client.operate("configs", refused=None)
    assert (await read(client)).status == 200
    assert sim.violations == []


async def test_unplugged_intercom(client: HttpClient, sim: Simulator) -> None:
    """It is listed in `errors[]` of a 200 and not changed."""
    bridge = sim.bridges()[0]
    sim.unplug_bridge()
    lost = [{"code": 6, "id": bridge.id}]
    answer = (await read(client)).json["body"]
    assert (answer["home"]["modules"], answer["errors"]) == ([], lost)
    assert (await write(client, do_not_disturb=QUIET)).json["body"]["errors"] == lost
    assert bridge.configs["do_not_disturb"]["dnd_mode"] == 0


async def test_missing_setting_is_refused(client: HttpClient, sim: Simulator) -> None:
    """The error is code 5 inside a 200, as with commands."""
    sim.use_house("classe_100x")
    answer = await write(client, do_not_disturb=QUIET)
    assert answer.json["body"]["errors"] == [{"code": 5, "id": sim.bridges()[0].id}]
    assert sim.bridges()[0].configs == {}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"app_type": "app_camera"}, 400, 21),
        ({"app_version": "4.1.1.3"}, 400, 21),
        ({"app_identifier": None}, 403, 13),
        ({"app_identifier": "app_magellan"}, 403, 13),
        ({"module_ids": None}, 400, 21),
        ({"module_ids": []}, 400, 21),
        ({"module_ids": ["30000a-0303-aa11bb22cc03"]}, 400, 21),
        ({"home_id": 5}, 400, 21),
    ],
)
async def test_malformed_getconfigs(
    client: HttpClient, sim: Simulator, fields: dict[str, Any], status: int, code: int
) -> None:
    """The usual app fields are invalid here, and only intercoms have settings."""
    answer = await read(client, **fields)
    assert (answer.status, answer.code) == (status, code)
    assert len(sim.violations) == 1


async def test_unknown_home_and_module(client: HttpClient) -> None:
    """They get the usual error codes of the API."""
    assert (await read(client, home_id="64a1b2c3d4e5f60718290000")).code == 13
    assert (await read(client, module_ids=["00:03:50:00:00:00"])).code == 9


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": None, "do_not_disturb": QUIET},
        {"type": "BNC1", "do_not_disturb": QUIET},
        {"last_configs_update": None, "do_not_disturb": QUIET},
        {"do_not_disturb": QUIET | {"dnd_mode": "3"}},
        {"do_not_disturb": QUIET | {"mode": 3}},
        {"do_not_disturb": 3},
        {"ringer": {"volume": 5}},
    ],
)
async def test_malformed_setconfigs(
    client: HttpClient, sim: Simulator, fields: dict[str, Any]
) -> None:
    """A change needs id, type, time, and settings with known fields and types."""
    answer = await write(client, **fields)
    assert (answer.status, answer.code) == (400, 21)
    assert len(sim.violations) == 1
    assert sim.bridges()[0].configs["do_not_disturb"]["dnd_mode"] == 0


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"dnd_mode": 7}, "was never observed"),
        ({"dnd_mode": 1}, "is not in the future"),
        ({"dnd_mode": 1, "dnd_end_time_duration": NOW + 7_200_000}, "not in 60 minutes"),
        ({"dnd_enabled": None}, "dnd_enabled was read but not sent back"),
    ],
)
async def test_implausible_changes_are_violations(
    client: HttpClient, sim: Simulator, fields: dict[str, Any], note: str
) -> None:
    """They are applied, because the real cloud may accept them."""
    sent = {key: value for key, value in (QUIET | fields).items() if value is not None}
    assert (await write(client, do_not_disturb=sent)).status == 200
    assert len(sim.violations) == 1
    assert note in sim.violations[0]


async def test_studio_of_an_intercom_without_it_is_violation(
    client: HttpClient, sim: Simulator
) -> None:
    """`ps_enabled` says whether the intercom has the function; writing it may not give it one."""
    sim.bridges()[0].configure("professional_studio", {"ps_enabled": False}, START)
    await write(client, professional_studio={"ps_enabled": True, "ps_mode": 0})
    assert sim.violations == [
        "setconfigs: professional_studio: an intercom without the studio got one"
    ]


async def test_overwriting_unknown_mode_is_violation(client: HttpClient, sim: Simulator) -> None:
    """So is a wrong time of the change."""
    bridge = sim.bridges()[0]
    bridge.configure("do_not_disturb", {"dnd_mode": 7}, START)
    await write(client, do_not_disturb=QUIET, last_configs_update=1)
    assert len(sim.violations) == 2
    assert "mode 7 was overwritten" in sim.violations[1]
