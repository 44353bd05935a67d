from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.conftest import START, Clock
from tests.simulator.paths import GETCONFIGS, SETCONFIGS

if TYPE_CHECKING:
    from tests.simulator.server import Simulator
    from tests.simulator.visitor import Answer, Visitor

NOW = int(START * 1000)
#: These two name the app in another way than the rest of the API.
APP = {"app_type": None, "app_version": None, "app_identifier": "app_camera"}
QUIET = {"dnd_enabled": True, "dnd_mode": 3, "dnd_duration": 60, "dnd_end_time_duration": NOW}


async def read(visitor: Visitor, **fields: Any) -> Answer:
    """Ask for the settings of the first home's intercom; fields may be overridden."""
    home = visitor.sim.house.homes[0]
    usual = {"home_id": home.id, "module_ids": [home.bridges()[0].id]}
    return await visitor.api(GETCONFIGS, **(APP | usual | fields))


async def write(visitor: Visitor, **fields: Any) -> Answer:
    """Change settings of that intercom; what is None is left out."""
    home = visitor.sim.house.homes[0]
    bridge = home.bridges()[0]
    usual = {"id": bridge.id, "type": bridge.type, "last_configs_update": NOW}
    one = {key: value for key, value in (usual | fields).items() if value is not None}
    return await visitor.api(SETCONFIGS, **APP, home={"id": home.id, "modules": [one]})


async def test_a_300x_tells_its_settings(visitor: Visitor, sim: Simulator) -> None:
    """Both settings come with everything that belongs to them."""
    answer = (await read(visitor)).json
    (module,) = answer["body"]["home"]["modules"]
    assert (module["id"], module["type"]) == (sim.bridges()[0].id, "BNC3")
    assert module["do_not_disturb"]["dnd_mode"] == 0
    assert module["professional_studio"]["ps_enabled"] is True
    assert sim.violations == []


@pytest.mark.parametrize("house", ["classe_100x", "classe_300eos", "easykit"])
async def test_other_models_have_none_until_given_some(
    visitor: Visitor, sim: Simulator, house: str
) -> None:
    """They are listed without a key; a key can be given to any of them."""
    sim.use_house(house)
    (module,) = (await read(visitor)).json["body"]["home"]["modules"]
    assert module.keys() == {"id", "type"}
    await visitor.operate("configs", do_not_disturb={"dnd_mode": 0})
    (module,) = (await read(visitor)).json["body"]["home"]["modules"]
    assert module["do_not_disturb"] == {"dnd_mode": 0}


async def test_a_change_is_carried_out_and_seen(
    visitor: Visitor, sim: Simulator, clock: Clock
) -> None:
    """The new setting is read back, and the status tells when that was."""
    clock.now += 5
    assert (await write(visitor, do_not_disturb=QUIET)).json["status"] == "ok"
    (module,) = (await read(visitor)).json["body"]["home"]["modules"]
    assert module["do_not_disturb"] == QUIET
    assert module["professional_studio"]["ps_mode"] == 0
    bridge = (await visitor.status())["home"]["modules"][0]
    assert bridge["last_configs_update"] == NOW + 5000
    assert sim.violations == []


async def test_the_owner_changes_it_in_the_app(visitor: Visitor, sim: Simulator) -> None:
    """An operator sets single fields, to modes that nobody knows too, and takes a key away."""
    await visitor.operate("configs", do_not_disturb={"dnd_mode": 7}, professional_studio=None)
    (module,) = (await read(visitor)).json["body"]["home"]["modules"]
    assert module["do_not_disturb"]["dnd_mode"] == 7
    assert module["do_not_disturb"]["dnd_duration"] == 60
    assert "professional_studio" not in module
    assert (await visitor.operate("configs", bridge="nobody")).status == 404
    assert sim.violations == []


@pytest.mark.parametrize(("code", "status"), [(9, 404), (13, 403), (21, 400)])
async def test_both_can_be_refused_altogether(
    visitor: Visitor, sim: Simulator, code: int, status: int
) -> None:
    """As a model may that has no settings in the cloud; and answered again."""
    await visitor.operate("configs", refused=code)
    assert (await read(visitor)).status == status
    assert (await write(visitor, do_not_disturb=QUIET)).code == code
    await visitor.operate("configs", refused=None)
    assert (await read(visitor)).status == 200
    assert sim.violations == []


async def test_an_unplugged_intercom_changes_nothing(visitor: Visitor, sim: Simulator) -> None:
    """It is named among the errors, in an answer that looks well."""
    bridge = sim.bridges()[0]
    sim.unplug_bridge()
    lost = [{"code": 6, "id": bridge.id}]
    answer = (await read(visitor)).json["body"]
    assert (answer["home"]["modules"], answer["errors"]) == ([], lost)
    assert (await write(visitor, do_not_disturb=QUIET)).json["body"]["errors"] == lost
    assert bridge.configs["do_not_disturb"]["dnd_mode"] == 0


async def test_a_setting_that_it_does_not_have_is_refused(visitor: Visitor, sim: Simulator) -> None:
    """Code 5 inside a 200, as with commands."""
    sim.use_house("classe_100x")
    answer = await write(visitor, do_not_disturb=QUIET)
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
async def test_malformed_reading(
    visitor: Visitor, sim: Simulator, fields: dict[str, Any], status: int, code: int
) -> None:
    """The app's usual fields are wrong here, and only intercoms have settings."""
    answer = await read(visitor, **fields)
    assert (answer.status, answer.code) == (status, code)
    assert len(sim.violations) == 1


async def test_what_is_not_there(visitor: Visitor) -> None:
    """A home or module of somebody else's is the API's usual refusal."""
    assert (await read(visitor, home_id="64a1b2c3d4e5f60718290000")).code == 13
    assert (await read(visitor, module_ids=["00:03:50:00:00:00"])).code == 9


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
async def test_malformed_change(visitor: Visitor, sim: Simulator, fields: dict[str, Any]) -> None:
    """An intercom with its type, the time, and settings of known fields and types."""
    answer = await write(visitor, **fields)
    assert (answer.status, answer.code) == (400, 21)
    assert len(sim.violations) == 1
    assert sim.bridges()[0].configs["do_not_disturb"]["dnd_mode"] == 0


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"dnd_mode": 7}, "none that anybody has seen"),
        ({"dnd_mode": 1}, "is not ahead"),
        ({"dnd_mode": 1, "dnd_end_time_duration": NOW + 7_200_000}, "not 60 minutes"),
        ({"dnd_duration": None}, "dnd_duration was read and is not sent back"),
    ],
)
async def test_odd_changes_are_noted(
    visitor: Visitor, sim: Simulator, fields: dict[str, Any], note: str
) -> None:
    """They are carried out: nobody knows that the real cloud would mind."""
    sent = {key: value for key, value in (QUIET | fields).items() if value is not None}
    assert (await write(visitor, do_not_disturb=sent)).status == 200
    assert len(sim.violations) == 1
    assert note in sim.violations[0]


async def test_overwriting_an_unknown_mode_is_noted(visitor: Visitor, sim: Simulator) -> None:
    """Whoever does so has not looked; so has who tells another time than it is."""
    bridge = sim.bridges()[0]
    bridge.configure("do_not_disturb", {"dnd_mode": 7}, START)
    await write(visitor, do_not_disturb=QUIET, last_configs_update=1)
    assert len(sim.violations) == 2
    assert "mode 7 was overwritten" in sim.violations[1]
