"""Homes that the cloud lists without modules: their status is asked before there is nothing."""

from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client import (
    Account,
    BticinoError,
    ModuleKind,
    NoAnswerError,
    RateLimitError,
    ServerError,
)
from tests.client.answers import BRIDGE, HOME
from tests.client.signed_in import signed_in
from tests.simulator import Failure, maintenance
from tests.simulator.houses import SEASIDE
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints, Topology
    from tests.simulator import Simulator

WITHOUT = [{}, {"modules": None}, {"modules": []}, {"modules": "none"}, {"modules": [None, {}]}]
REFUSALS = [Failure(code=13), Failure(code=9), Failure(code=21)]
OUTAGES = [
    (Failure(drop=True), NoAnswerError),
    (maintenance(), ServerError),
    (Failure(status=403), ServerError),
    (Failure(code=26), RateLimitError),
]


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """An account that is signed in."""
    async with signed_in(simulator, endpoints) as account:
        yield account


def bridges_of(topology: Topology) -> dict[str, list[str]]:
    """Return the intercoms of each home."""
    return {key: [bridge.id for bridge in home.bridges] for key, home in topology.homes.items()}


@pytest.mark.parametrize("listed", WITHOUT)
async def test_modules_of_the_status(
    account: Account, simulator: Simulator, listed: dict[str, Any]
) -> None:
    """Whatever stands in place of the modules, those of the status count."""
    simulator.use_house("classe_100x")
    home = {"id": HOME, "name": "Casa", "timezone": "Europe/Rome", **listed}
    simulator.fail(HOMESDATA, Failure(body={"body": {"homes": [home]}}))
    (found,) = (await account.topology()).homes.values()
    assert (found.name, found.timezone) == ("Casa", "Europe/Rome")
    kinds = [module.kind for module in found.modules.values()]
    assert kinds == [ModuleKind.BRIDGE, ModuleKind.PANEL, ModuleKind.DOOR, ModuleKind.LIGHT]
    assert {m.bridge_id for m in found.modules.values()} == {None, BRIDGE}
    assert simulator.journal.count(HOMESTATUS) == 1


@pytest.mark.parametrize("house", ["classe_300x", "two_homes", "no_intercom", "strange", "empty"])
async def test_listed_modules_need_no_status(
    account: Account, simulator: Simulator, house: str
) -> None:
    """Only homes without modules are asked about."""
    simulator.use_house(house)
    await account.topology()
    assert simulator.journal.count(HOMESTATUS) == 0


@pytest.mark.parametrize("unlisted", [0, 1])
async def test_one_of_two_homes(account: Account, simulator: Simulator, unlisted: int) -> None:
    """The other one needs no status."""
    simulator.use_house("two_homes")
    expected = bridges_of(await account.topology())
    simulator.house.homes[unlisted].lists_modules = False
    assert bridges_of(await account.topology()) == expected
    assert simulator.journal.count(HOMESTATUS) == 1


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_home_without_a_status(
    account: Account, simulator: Simulator, refusal: Failure
) -> None:
    """There is nothing in it."""
    simulator.use_house("unlisted_modules")
    simulator.fail(HOMESTATUS, refusal)
    assert bridges_of(await account.topology()) == {HOME: []}


@pytest.mark.parametrize("body", [{}, {"home": {"id": HOME}}, {"home": {"modules": []}}])
async def test_status_without_modules(
    account: Account, simulator: Simulator, body: dict[str, object]
) -> None:
    """There is nothing in the home."""
    simulator.use_house("unlisted_modules")
    simulator.fail(HOMESTATUS, Failure(body={"status": "ok", "body": body}))
    assert bridges_of(await account.topology()) == {HOME: []}


@pytest.mark.parametrize(("failure", "error"), OUTAGES, ids=str)
async def test_status_that_fails(
    account: Account, simulator: Simulator, failure: Failure, error: type[BticinoError]
) -> None:
    """Nobody says that there is no intercom because the cloud has an outage."""
    simulator.use_house("unlisted_modules")
    simulator.fail(HOMESTATUS, failure, times=2)
    with pytest.raises(error):
        await account.topology()


@pytest.mark.parametrize("failure", [failure for failure, _ in OUTAGES], ids=str)
async def test_status_that_fails_beside_an_intercom(
    account: Account, simulator: Simulator, failure: Failure
) -> None:
    """The other home is not affected."""
    simulator.use_house("two_homes")
    simulator.house.homes[1].lists_modules = False
    simulator.fail(HOMESTATUS, failure)
    found = bridges_of(await account.topology())
    assert found[SEASIDE] == []
    assert len(found[HOME]) == 1


async def test_too_many_modules_in_a_status(account: Account, simulator: Simulator) -> None:
    """An account has no more than elsewhere."""
    simulator.use_house("unlisted_modules")
    doors = [{"id": f"d{n}", "type": "BNDL", "bridge": BRIDGE} for n in range(1500)]
    intercom = {"id": BRIDGE, "type": "BNC1"}
    body = {"home": {"id": HOME, "modules": [*doors, intercom]}}
    simulator.fail(HOMESTATUS, Failure(body={"status": "ok", "body": body}))
    found = await account.topology()
    assert found.is_cut
    assert len(found.homes[HOME].modules) == 600
    assert bridges_of(found) == {HOME: [BRIDGE]}
