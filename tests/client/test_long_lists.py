"""Lists in an answer have an end, whatever the cloud sends."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import count
import sys
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client import (
    ModuleKind,
    Topology,
    configs,
    decode,
    limited_homes,
)
from tests.client.answers import BRIDGE, HOME
from tests.client.signed_in import home_of as home_of_account, signed_in
from tests.simulator import Failure
from tests.simulator.paths import GETCONFIGS, GETEVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

MANY = 5000
DOORS = [{"id": f"d{n}", "type": "BNDL", "bridge": BRIDGE} for n in range(1500)]
INTERCOM = {"id": BRIDGE, "type": "BNC1"}


def event(number: int, **fields: Any) -> dict[str, Any]:
    """Return an event; later numbers are newer."""
    return {"id": str(number), "type": "outdoor", "time": number, **fields}


def topology(*homes: dict[str, Any]) -> Topology:
    """Return the decoded topology of an answer."""
    found = decode.topology({"homes": list(homes)})
    assert found is not None
    return found


def home_of(*modules: dict[str, Any], home_id: str = HOME) -> dict[str, Any]:
    """Return a home as the cloud lists it."""
    return {"id": home_id, "modules": list(modules)}


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("order", [1, -1], ids=["oldest-first", "newest-first"])
async def test_more_events_than_requested(
    endpoints: Endpoints, simulator: Simulator, size: int, order: int
) -> None:
    """The newest are taken, as many as requested; no others are decoded."""
    listed = [event(number) for number in range(1, MANY)][::order]
    answer: dict[str, object] = {"body": {"home": {"events": [None, *listed, "x", {"time": "x"}]}}}
    simulator.fail(GETEVENTS, Failure(body=answer))
    async with signed_in(simulator, endpoints) as account:
        found = await account.events(HOME, size=size)
    assert sorted(int(each.id) for each in found) == list(range(MANY - size, MANY))


def test_parts_of_an_event() -> None:
    """Their number is limited."""
    parts = [event(number) for number in range(MANY)]
    found = decode.events({"home": {"events": [event(1, subevents=parts)]}})
    assert found is not None
    assert len(found[0].parts) == 32


@pytest.mark.parametrize("listed", [[INTERCOM, *DOORS], [*DOORS, INTERCOM]], ids=["first", "last"])
def test_too_many_doors(listed: list[dict[str, Any]]) -> None:
    """Some are left out, the intercom is not."""
    found = topology(home_of(*listed))
    kept = found.homes[HOME].modules
    assert found.is_cut
    assert len(kept) == 600
    assert BRIDGE in kept


def test_too_many_doors_in_many_homes() -> None:
    """The limit is that of the account."""
    homes = [
        home_of({"id": f"b{n}", "type": "BNC1"}, *DOORS[n * 50 : n * 50 + 50], home_id=f"h{n}")
        for n in range(30)
    ]
    found = topology(*homes)
    assert found.is_cut
    assert sum(len(home.modules) for home in found.homes.values()) == 600
    assert all(home.bridges for home in found.homes.values())


def test_too_many_homes() -> None:
    """Those with an intercom come first; only such a one is missed."""
    empty = [home_of(home_id=f"e{n}") for n in range(100)]
    assert not topology(*empty, home_of(INTERCOM)).is_cut
    assert HOME in topology(*empty, home_of(INTERCOM)).homes
    full = [home_of({"id": f"b{n}", "type": "BNC1"}, home_id=f"h{n}") for n in range(100)]
    assert topology(*full).is_cut
    assert len(topology(*full).homes) == 64


def test_many_modules_of_other_kinds() -> None:
    """They have no entities: the account is not cut because of them."""
    others = [{"id": f"o{n}", "type": "NLPM"} for n in range(MANY)]
    placeholders = [f"p{n}" for n in range(MANY)]
    found = topology(home_of(*others, {**INTERCOM, "modules_bridged": placeholders}, *DOORS[:50]))
    kinds = [module.kind for module in found.homes[HOME].modules.values()]
    assert not found.is_cut
    assert kinds.count(ModuleKind.DOOR) == 50
    assert kinds.count(ModuleKind.BRIDGE) == 1
    assert len(kinds) == 1051


def test_known_modules_are_kept() -> None:
    """Whatever a later answer lists before them."""
    known = topology(home_of(INTERCOM, *DOORS[-5:])).homes
    later = topology(home_of(INTERCOM, *DOORS)).homes
    merged = {HOME: replace(later[HOME], modules={**later[HOME].modules, **known[HOME].modules})}
    homes, is_cut = limited_homes(merged, known)
    assert is_cut
    assert homes[HOME].modules.keys() >= known[HOME].modules.keys()
    assert len(homes[HOME].modules) == 600


ENTRIES = 30_000


def entries(kind: str | None, **fields: Any) -> list[dict[str, Any]]:
    """Return many entries of a list, as modules, homes, events and errors have them."""
    return [{"id": f"m{n}", "type": kind, "time": n, **fields} for n in range(ENTRIES)]


def bridged(many: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return intercoms that name many modules, each of them only a few."""
    return [{**INTERCOM, "id": f"b{n}", "modules_bridged": many[n : n + 50]} for n in range(2000)]


def calls_in(work: Callable[[], object]) -> int:
    """Return how many calls some work needs, which does not depend on the machine."""
    calls = count()
    sys.setprofile(lambda *_: next(calls) and None)
    try:
        work()
    finally:
        sys.setprofile(None)
    return next(calls)


ANSWERS: dict[str, Callable[[list[Any]], dict[str, Any]]] = {
    "modules": lambda many: {"homes": [home_of(*many)]},
    "modules of many homes": lambda many: {"homes": [home_of(*many[n::40]) for n in range(40)]},
    "bridged": lambda many: {"homes": [home_of({**INTERCOM, "modules_bridged": many})]},
    "bridged ids": lambda many: {
        "homes": [home_of({**INTERCOM, "modules_bridged": [each["id"] for each in many]})]
    },
    "odd bridged ids": lambda many: {
        "homes": [home_of({**INTERCOM, "modules_bridged": [f"/{each['id']}" for each in many]})]
    },
    "bridged by many": lambda many: {"homes": [home_of(*bridged([each["id"] for each in many]))]},
    "homes": lambda many: {"homes": many},
    "states": lambda many: {"home": {"modules": many}},
    "failed states": lambda many: {"home": {"modules": []}, "errors": many},
    "events": lambda many: {"home": {"events": many}},
    "parts": lambda many: {"home": {"events": [event(1, subevents=many)]}},
    "ICE servers": lambda many: {"iceServers": many},
    "links": lambda many: {"iceServers": [{"urls": [each["id"] for each in many]}]},
    "settings": lambda many: {"home": {"modules": [{**m, "do_not_disturb": m} for m in many]}},
}
DECODERS: list[Callable[[Any], object]] = [
    decode.topology,
    decode.states,
    lambda body: decode.events(body, 100),
    decode.ice_servers,
    decode.command_errors,
    configs.settings,
]


@pytest.mark.parametrize("kind", ["BNDL", "BNC1", "NLPM", None])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_work_of_an_endless_list(
    answer: Callable[[list[Any]], dict[str, Any]], kind: str | None
) -> None:
    """The event loop is not blocked: only so many entries are decoded, and the rest is skipped."""
    body = answer(entries(kind))
    for decoder in DECODERS:
        assert calls_in(partial(decoder, body)) < 40 * ENTRIES


def test_intercoms_among_endless_modules() -> None:
    """They are found wherever they are, and so are doors among modules of other kinds."""
    others = [*entries("NLPM"), *DOORS[:50], INTERCOM]
    found = topology({"id": "other", "modules": others}, home_of(INTERCOM, DOORS[60]))
    assert BRIDGE in found.homes[HOME].modules
    kinds = Counter(m.kind for home in found.homes.values() for m in home.modules.values())
    assert kinds[ModuleKind.DOOR] == 51


async def test_settings_of_intercoms_that_were_not_requested(
    endpoints: Endpoints, simulator: Simulator
) -> None:
    """They are ignored."""
    async with signed_in(simulator, endpoints) as account:
        home = home_of_account(simulator)
        (bridge,) = home.bridges
        setting = {"do_not_disturb": {"dnd_mode": 0}}
        modules: list[dict[str, object]] = [{"id": f"x{n}", **setting} for n in range(500)]
        modules.append({"id": bridge.id, **setting})
        answer: dict[str, object] = {"body": {"home": {"modules": modules}}}
        simulator.fail(GETCONFIGS, Failure(body=answer), times=2)
        assert list(await account.settings(home)) == [bridge.id]
        assert list(await account.settings(home, bridge=bridge)) == [bridge.id]


@pytest.mark.parametrize("level", ["top", "body"])
def test_failed_modules_of_a_large_house(level: str) -> None:
    """Each of them is unreachable."""
    errors = [{"id": f"d{n}", "code": 6} for n in range(600)]
    answer: dict[str, Any] = {"body": {"home": {"modules": []}}}
    (answer if level == "top" else answer["body"])["errors"] = errors
    found = decode.states(decode.body_of(answer))
    assert found is not None
    assert [each.reachable for each in found.values()] == [False] * 600
