"""Lists that observers saw at different places of an answer."""

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client import Account, configs, decode
from tests.client.answers import EVENTS, HOMES, STATES, TURN, VALUES
from tests.client.signed_in import home_of, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

CONFIGS: dict[str, Any] = {"home": {"modules": [{"id": "1", "do_not_disturb": {"dnd_mode": 0}}]}}
DECODERS: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
    (decode.topology, HOMES),
    (decode.states, STATES),
    (decode.events, EVENTS),
    (decode.ice_servers, TURN),
    (configs.settings, CONFIGS),
]
LISTED: list[dict[str, Any]] = EVENTS["home"]["events"]
EXPECTED = decode.events(EVENTS)


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """An account that is signed in."""
    async with signed_in(simulator, endpoints) as account:
        yield account


@pytest.mark.parametrize(("decoder", "body"), DECODERS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_part_beside_the_body(
    data: st.DataObject, decoder: Callable[[Any], object], body: dict[str, Any]
) -> None:
    """Each field may stand in the body or beside it, or be null at the other place."""
    answer: dict[str, Any] = {"status": "ok", "body": {}}
    for name, value in body.items():
        places = data.draw(st.sampled_from([(0, 1), (1, 0)]))
        for place, is_there in zip((answer, answer["body"]), places, strict=True):
            if is_there:
                place[name] = value
            elif data.draw(st.booleans()):
                place[name] = None
    assert decoder(decode.body_of(answer)) == decoder(body)


@given(answer=st.dictionaries(st.sampled_from(("body", "errors", "home")), VALUES))
def test_any_answer_has_a_body(answer: dict[str, Any]) -> None:
    """It never raises, and every decoder takes it."""
    body = decode.body_of(answer)
    for decoder, _ in DECODERS:
        decoder(body)


def test_errors_of_a_status_at_both_places() -> None:
    """All of them count."""
    errors = [{"code": 6, "id": "1"}, {"code": 6, "id": "2"}]
    answer = {"body": {"errors": errors[:1]}, "errors": errors[1:]}
    states = decode.states(decode.body_of(answer)) or {}
    assert [state.reachable for state in states.values()] == [False, False]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"events": LISTED}, EXPECTED),
        ({"events": LISTED, "home": {}}, EXPECTED),
        ({"events": LISTED, "home": {"events": None}}, EXPECTED),
        ({"events": LISTED, "home": {"events": []}}, EXPECTED),
        ({"events": [], "home": {"events": LISTED}}, EXPECTED),
        ({"events": "none", "home": {"events": LISTED}}, EXPECTED),
        ({"events": []}, ()),
        ({"events": [], "home": {"events": []}}, ()),
        ({"home": {"events": []}}, ()),
        ({"events": None}, None),
        ({"events": {}, "home": []}, None),
        ({}, None),
    ],
)
def test_events_of_a_home_or_beside_it(body: dict[str, Any], expected: object) -> None:
    """The list that has any counts; without a list there is no answer."""
    assert decode.events(body) == expected


async def test_cloud_with_lists_at_the_other_places(account: Account, simulator: Simulator) -> None:
    """Nothing differs."""
    simulator.unplug_bridge()
    home = home_of(simulator)
    usual = (await account.states(home.id), await account.events(home.id))
    simulator.lists_at, simulator.unreachable_shown = "other", "errors"
    states, events = await account.states(home.id), await account.events(home.id)
    assert {key: state.reachable for key, state in states.items()} == {
        key: state.reachable for key, state in usual[0].items()
    }
    assert events == usual[1]
    assert len(await account.ice_servers()) == 1


@pytest.mark.parametrize("house", ["classe_300x", "strange", "myhome_gateway"])
async def test_cloud_with_objects_as_bridged_modules(
    account: Account, simulator: Simulator, house: str
) -> None:
    """Nothing differs."""
    simulator.use_house(house)
    usual = await account.topology()
    simulator.bridged_as = "objects"
    assert await account.topology() == usual
