"""A command is sent once, and what is told of it is true."""

from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client import (
    Account,
    ApiError,
    AuthError,
    AuthHandler,
    BticinoError,
    CommandRefusedError,
    ModuleKind,
    NoAnswerError,
    NotFoundError,
    OutcomeUnknownError,
    UnreachableError,
)
from custom_components.bticino_classe.client.const import APP_TYPE, DEFAULT_APP_VERSION
from tests.client.signed_in import home_of, module_of, signed_in
from tests.simulator import Failure, maintenance
from tests.simulator.paths import SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints, Home, Module
    from tests.simulator import Simulator

UNCLEAR = [
    Failure(never=True),
    Failure(cut=True),
    Failure(drop=True),
    *[Failure(status=each) for each in (500, 502, 503, 504)],
    *[maintenance(each) for each in (500, 502, 503, 504)],
    Failure(html=True),
    Failure(wrong_json=True),
    Failure(body={}),
    Failure(body=[]),
    Failure(body={"status": "failed"}),
    Failure(body={"status": ["ok"]}),
    Failure(body={"error": "nonsense"}),
    Failure(status=204),
    Failure(status=302),
]


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """Somebody who is signed in, and does not wait for long."""
    async with signed_in(simulator, replace(endpoints, timeout=0.2)) as account:
        yield account


@pytest.fixture
def home(simulator: Simulator) -> Home:
    """The home of that account."""
    return home_of(simulator)


@pytest.fixture
def door(home: Home) -> Module:
    """A door that opens."""
    return module_of(home, ModuleKind.DOOR)


@pytest.fixture
def light(home: Home) -> Module:
    """A staircase light."""
    return module_of(home, ModuleKind.LIGHT)


async def refusal(account: Account, home: Home, door: Module) -> BticinoError:
    """Return what goes wrong with an unlock."""
    with pytest.raises(BticinoError) as caught:
        await account.unlock(home, door)
    return caught.value


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("failure", UNCLEAR, ids=str)
async def test_unclear_answer(
    account: Account,
    simulator: Simulator,
    *,
    home: Home,
    door: Module,
    failure: Failure,
    executed: bool,
) -> None:
    """Whether the door moved or not: one command, and the honest "unknown"."""
    simulator.fail(SETSTATE, replace(failure, executed=executed), times=3)
    assert type(await refusal(account, home, door)) is OutcomeUnknownError
    assert len(simulator.journal.commands) == 1
    assert [opening.module_id for opening in simulator.openings] == [door.id] * executed


async def test_cloud_that_is_not_there(
    simulator: Simulator, endpoints: Endpoints, home: Home, door: Module
) -> None:
    """What was certainly not sent is no unknown outcome."""
    async with aiohttp.ClientSession() as session:
        auth = AuthHandler("", "", session=session, endpoints=endpoints)
        auth.set_tokens("still", "valid", auth._clock() + 600)
        await simulator.stop()
        error = await refusal(Account(auth), home, door)
    assert isinstance(error, NoAnswerError)
    assert (error.sent, error.reason) == (False, "ClientConnectorError")


@pytest.mark.parametrize(
    "failure", [maintenance(), Failure(drop=True), Failure(html=True)], ids=str
)
async def test_no_token_no_command(
    account: Account, simulator: Simulator, home: Home, door: Module, failure: Failure
) -> None:
    """A sign-in that fails is told as such, for certain nothing was carried out."""
    account.auth.invalidate(await account.auth.get_access_token())
    simulator.fail(TOKEN, failure, times=2)
    assert isinstance(await refusal(account, home, door), AuthError)
    assert simulator.journal.count(SETSTATE) == 0


async def test_no_new_token_no_second_command(
    account: Account, simulator: Simulator, home: Home, door: Module
) -> None:
    """A refused command whose renewal fails was not carried out either."""
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, maintenance(), times=2)
    assert isinstance(await refusal(account, home, door), AuthError)
    assert simulator.journal.commands == []


@pytest.mark.parametrize("at", ["body", "top"])
async def test_lock_of_a_panel(account: Account, simulator: Simulator, home: Home, at: str) -> None:
    """The success that hides code 5 is a refusal, wherever the cloud puts it."""
    simulator.command_errors_at = "body" if at == "body" else "top"
    error = await refusal(account, home, module_of(home, ModuleKind.PANEL))
    assert isinstance(error, CommandRefusedError)
    assert (error.status, error.code, error.retry_after) == (None, 5, None)
    assert len(simulator.journal.commands) == 1


@pytest.mark.parametrize("at", ["body", "top"])
async def test_unplugged_intercom(
    account: Account, simulator: Simulator, home: Home, door: Module, at: str
) -> None:
    """Code 6: nothing moved."""
    simulator.command_errors_at = "body" if at == "body" else "top"
    simulator.unplug_bridge()
    error = await refusal(account, home, door)
    assert isinstance(error, UnreachableError)
    assert error.code == 6
    assert simulator.openings == []


async def test_module_that_is_gone(
    account: Account, simulator: Simulator, home: Home, door: Module
) -> None:
    """Code 9 comes with a status of its own."""
    simulator.remove_module(door.id)
    error = await refusal(account, home, door)
    assert isinstance(error, NotFoundError)
    assert (error.status, error.code) == (404, 9)


@pytest.mark.parametrize("place", ["top", "body"])
@pytest.mark.parametrize(
    ("errors", "kind", "code"),
    [
        ([{"code": 5}], CommandRefusedError, 5),
        ([{"code": 6}], UnreachableError, 6),
        ([{"code": 9}], CommandRefusedError, 9),
        ([{"code": 26}], CommandRefusedError, 26),
        ([{"code": 777}], CommandRefusedError, 777),
        ([{"code": 6}, {"code": 5}], UnreachableError, 6),
        ([{}], CommandRefusedError, None),
        ([{"code": "5"}], CommandRefusedError, None),
        ([None], CommandRefusedError, None),
        (["door"], CommandRefusedError, None),
        ([[6]], CommandRefusedError, None),
        ({"code": 6}, UnreachableError, 6),
        ("no", CommandRefusedError, None),
        (True, CommandRefusedError, None),
    ],
)
async def test_errors_inside_of_a_success(
    account: Account,
    simulator: Simulator,
    *,
    home: Home,
    door: Module,
    place: str,
    errors: object,
    kind: type[ApiError],
    code: int | None,
) -> None:
    """Whatever stands in `errors`, at the top or in the body, the command did not succeed."""
    found: dict[str, object] = {"errors": errors}
    body = {"status": "ok", **(found if place == "top" else {"body": found})}
    simulator.fail(SETSTATE, Failure(body=body))
    error = await refusal(account, home, door)
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert error.code == code


@pytest.mark.parametrize("errors", [[], None, {}, "", 0, False])
async def test_no_errors_inside_of_a_success(
    account: Account, simulator: Simulator, home: Home, door: Module, errors: object
) -> None:
    """An empty list of complaints is none."""
    body: dict[str, object] = {"status": "ok", "errors": errors, "body": {"errors": errors}}
    simulator.fail(SETSTATE, Failure(body=body))
    await account.unlock(home, door)
    assert len(simulator.journal.commands) == 1


async def test_door_opens(account: Account, simulator: Simulator, home: Home, door: Module) -> None:
    """That one, once."""
    await account.unlock(home, door)
    assert [opening.module_id for opening in simulator.openings] == [door.id]
    assert len(simulator.journal.commands) == 1


async def test_light_goes_on_and_off(
    account: Account, simulator: Simulator, home: Home, light: Module
) -> None:
    """As it is told."""
    await account.switch_light(home, light, on=True)
    assert simulator.lights == {light.id: True}
    await account.switch_light(home, light, on=False)
    assert simulator.lights == {light.id: False}


@pytest.mark.parametrize("change", [{"lock": False}, {"on": True}, {"on": False}])
async def test_body_of_a_command(
    account: Account,
    simulator: Simulator,
    *,
    home: Home,
    door: Module,
    light: Module,
    change: dict[str, bool],
) -> None:
    """That of protocol.md 3.4, and nothing else."""
    target = door if "lock" in change else light
    if target is door:
        await account.unlock(home, door)
    else:
        await account.switch_light(home, light, on=change["on"])
    module = {"id": target.id, "bridge": target.bridge_id, **change}
    assert simulator.journal[0].body == {
        "app_type": APP_TYPE,
        "app_version": DEFAULT_APP_VERSION,
        "home": {"id": home.id, "timezone": "Europe/Rome", "modules": [module]},
    }


async def test_what_is_not_known_is_left_out(
    account: Account, simulator: Simulator, home: Home, door: Module
) -> None:
    """A home without timezone, a module without bridge: no null goes out."""
    simulator.fail(SETSTATE, Failure(body={"status": "ok"}))
    await account.unlock(replace(home, timezone=None), replace(door, bridge_id=None))
    assert simulator.journal[0].body == {
        "app_type": APP_TYPE,
        "app_version": DEFAULT_APP_VERSION,
        "home": {"id": home.id, "modules": [{"id": door.id, "lock": False}]},
    }
