"""Commands are sent once, and their outcome is reported truthfully."""

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
    """An account."""
    async with signed_in(simulator, endpoints) as account:
        yield account


@pytest.fixture
def home(simulator: Simulator) -> Home:
    """The home of the account."""
    return home_of(simulator)


@pytest.fixture
def door(home: Home) -> Module:
    """A door."""
    return module_of(home, ModuleKind.DOOR)


@pytest.fixture
def light(home: Home) -> Module:
    """A staircase light."""
    return module_of(home, ModuleKind.LIGHT)


async def refusal(account: Account, home: Home, door: Module) -> BticinoError:
    """Return the error of an unlock."""
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
    """The command was sent once, and its outcome is unknown, whether the door moved or not."""
    simulator.fail(SETSTATE, replace(failure, executed=executed), times=3)
    assert type(await refusal(account, home, door)) is OutcomeUnknownError
    assert len(simulator.journal.commands) == 1
    assert [opening.module_id for opening in simulator.openings] == [door.id] * executed


async def test_cloud_that_cannot_be_reached(
    simulator: Simulator, endpoints: Endpoints, home: Home, door: Module
) -> None:
    """If nothing was sent, the outcome is known."""
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
async def test_failed_sign_in_sends_no_command(
    account: Account, simulator: Simulator, home: Home, door: Module, failure: Failure
) -> None:
    """The error is that of the sign-in."""
    account.auth.invalidate(await account.auth.get_access_token())
    simulator.fail(TOKEN, failure, times=2)
    assert isinstance(await refusal(account, home, door), AuthError)
    assert simulator.journal.count(SETSTATE) == 0


async def test_failed_renewal_sends_no_second_command(
    account: Account, simulator: Simulator, home: Home, door: Module
) -> None:
    """The refused command was not carried out."""
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, maintenance(), times=2)
    assert isinstance(await refusal(account, home, door), AuthError)
    assert simulator.journal.commands == []


@pytest.mark.parametrize("at", ["body", "top"])
async def test_unlock_of_a_panel(
    account: Account, simulator: Simulator, home: Home, at: str
) -> None:
    """Code 5 in a successful answer is a refusal, at both places."""
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


async def test_module_that_was_removed(
    account: Account, simulator: Simulator, home: Home, door: Module
) -> None:
    """Code 9 with an error status."""
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
        ([{"code": 1e300}], CommandRefusedError, None),
        ([{"code": 10**18}], CommandRefusedError, None),
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
async def test_errors_in_a_successful_answer(
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
    """Any errors, in the body or at the top, mean that the command failed."""
    found: dict[str, object] = {"errors": errors}
    body = {"status": "ok", **(found if place == "top" else {"body": found})}
    simulator.fail(SETSTATE, Failure(body=body))
    error = await refusal(account, home, door)
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert error.code == code


@pytest.mark.parametrize("errors", [[], None, {}, "", 0, False])
async def test_empty_errors_in_a_successful_answer(
    account: Account, simulator: Simulator, home: Home, door: Module, errors: object
) -> None:
    """An empty list is not an error."""
    body: dict[str, object] = {"status": "ok", "errors": errors, "body": {"errors": errors}}
    simulator.fail(SETSTATE, Failure(body=body))
    await account.unlock(home, door)
    assert len(simulator.journal.commands) == 1


async def test_door_opens(account: Account, simulator: Simulator, home: Home, door: Module) -> None:
    """That door, once."""
    await account.unlock(home, door)
    assert [opening.module_id for opening in simulator.openings] == [door.id]
    assert len(simulator.journal.commands) == 1


async def test_light_goes_on_and_off(
    account: Account, simulator: Simulator, home: Home, light: Module
) -> None:
    """As commanded."""
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
    """As in protocol.md 3.4, nothing else."""
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


async def test_missing_fields_are_left_out(
    account: Account, simulator: Simulator, home: Home, door: Module
) -> None:
    """Without time zone or bridge, no null is sent."""
    simulator.fail(SETSTATE, Failure(body={"status": "ok"}))
    await account.unlock(replace(home, timezone=None), replace(door, bridge_id=None))
    assert simulator.journal[0].body == {
        "app_type": APP_TYPE,
        "app_version": DEFAULT_APP_VERSION,
        "home": {"id": home.id, "modules": [{"id": door.id, "lock": False}]},
    }
