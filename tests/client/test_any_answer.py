"""Answers of any shape raise only the client's errors and never give data of a wrong type."""

from itertools import count
import json
import re
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client import (
    Account,
    BticinoError,
    Event,
    Home,
    IceServer,
    ModuleKind,
    ModuleState,
    RateLimiter,
    Topology,
    decode,
    push,
    values,
)
from tests.client.answers import (
    EVENTS,
    HOMES,
    RING,
    STATES,
    TURN as RELAYS,
    VALUES,
    damaged,
    spoiled,
)
from tests.client.decoded import unclean_in, wrong_in
from tests.client.signed_in import home_of, module_of, signed_in
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS, HOMESDATA, HOMESTATUS, SETSTATE, TOKEN, TURN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

GOOD: dict[str, dict[str, Any]] = {
    HOMESDATA: HOMES,
    HOMESTATUS: STATES,
    GETEVENTS: EVENTS,
    TURN: RELAYS,
    SETSTATE: {"errors": [{"code": 5, "command": "lock"}]},
}
DECODERS: list[tuple[Callable[[Any], object], str, type]] = [
    (decode.topology, HOMESDATA, Topology),
    (decode.states, HOMESTATUS, dict),
    (decode.events, GETEVENTS, tuple),
    (decode.ice_servers, TURN, tuple),
]
GOOD_READS = [path for _, path, _ in DECODERS]
ITEMS: dict[str, type] = {HOMESTATUS: ModuleState, GETEVENTS: Event, TURN: IceServer}
ICE_URL = re.compile(
    r"(stun|turns?):([0-9A-Za-z.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?(\?transport=\w+)?"
)
STATUSES = st.sampled_from((200, 200, 200, 201, 400, 401, 403, 404, 418, 429, 500, 503))
QUICK = settings(max_examples=60, deadline=None)
ON_THE_WIRE = settings(
    max_examples=25,
    deadline=None,
    # The cloud is the same for all examples; each uses up the failure that it set.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(("decoder", "path", "kind"), DECODERS, ids=GOOD_READS)
@given(data=st.data())
@QUICK
def test_decoder(
    data: st.DataObject, decoder: Callable[[Any], object], path: str, kind: type
) -> None:
    """It returns None or data with the right type in every field."""
    body = data.draw(VALUES.map(values.as_mapping) | damaged(GOOD[path]).map(values.as_mapping))
    found = decoder(body)
    assert found is None or isinstance(found, kind)
    assert wrong_in(found) == []
    if isinstance(found, dict | tuple):
        inside = found.values() if isinstance(found, dict) else found
        assert {type(item) for item in inside} <= {ITEMS[path]}


@pytest.mark.parametrize(
    ("decoder", "path"), [(decoder, path) for decoder, path, _ in DECODERS], ids=GOOD_READS
)
@given(data=st.data())
@QUICK
def test_texts_of_an_answer(
    data: st.DataObject, decoder: Callable[[Any], object], path: str
) -> None:
    """Whatever they are, the data are clean: one line, bounded, ids that are no paths."""
    found = decoder(spoiled(GOOD[path], data.draw))
    assert wrong_in(found) == []
    assert unclean_in(found) == []
    servers = found if path == TURN and isinstance(found, tuple) else ()
    for server in servers:
        assert all(ICE_URL.fullmatch(url) for url in server.urls)
        assert not any(host in url for url in server.urls for host in ("127.", ".local"))
        assert server.credential or all(url.startswith("stun:") for url in server.urls)


@given(frame=st.data())
@QUICK
def test_texts_of_a_push(frame: st.DataObject) -> None:
    """Whatever they are, the push is clean or unknown."""
    sent = frame.draw(st.booleans()) and frame.draw(damaged(RING) | VALUES)
    found = push.decode(values.as_mapping(sent or spoiled(RING, frame.draw)))
    assert wrong_in(found) == []
    assert unclean_in(found) == []


@pytest.mark.parametrize(("decoder", "path", "kind"), DECODERS, ids=GOOD_READS)
def test_valid_answers_are_decoded(decoder: Callable[[Any], object], path: str, kind: type) -> None:
    """The answers that the other tests damage are valid."""
    found = decoder(GOOD[path])
    assert isinstance(found, kind)
    assert found


@given(
    home=VALUES.map(values.as_mapping) | damaged(HOMES).map(values.as_mapping),
    states=damaged(STATES),
)
@QUICK
def test_home_with_reported_modules(home: Mapping[str, Any], states: object) -> None:
    """Any topology and any states together make a home."""
    topology = decode.topology(home)
    found = decode.states(values.as_mapping(states)) or {}
    for each in topology.homes.values() if topology else ():
        done = decode.with_reported_modules(each, found)
        assert isinstance(done, Home)
        assert wrong_in(done) == []
        assert each.modules.keys() <= done.modules.keys()


@given(answer=damaged({"status": "ok", "errors": [], "body": {"errors": [{"code": 5}]}}))
@QUICK
def test_command_errors(answer: object) -> None:
    """A tuple, which is empty only if neither place has errors."""
    given_answer = values.as_mapping(answer)
    found = decode.command_errors(given_answer)
    assert isinstance(found, tuple)
    there = given_answer.get("errors") or values.as_mapping(given_answer.get("body")).get("errors")
    assert bool(found) == bool(there)


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """An account whose pauses end at once."""
    limiter = RateLimiter(clock=count(step=86_400).__next__)
    async with signed_in(simulator, endpoints, limiter=limiter) as account:
        yield account


def request_to(account: Account, simulator: Simulator, path: str) -> Awaitable[object]:
    """Return the call that requests a path."""
    home = home_of(simulator)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        HOMESDATA: account.topology,
        HOMESTATUS: lambda: account.states(home.id),
        GETEVENTS: lambda: account.events(home.id),
        TURN: account.ice_servers,
        SETSTATE: lambda: account.unlock(home, module_of(home, ModuleKind.DOOR)),
    }
    return calls[path]()


@pytest.mark.parametrize("path", GOOD)
@given(data=st.data())
@ON_THE_WIRE
async def test_answer_on_the_wire(
    account: Account, simulator: Simulator, path: str, data: st.DataObject
) -> None:
    """Data of the right type or an error of the client; a command is never sent twice."""
    good = {"status": "ok", "body": GOOD[path]}
    answer = json.dumps(data.draw(VALUES | damaged(good)))
    simulator.clear_failures()
    account.auth.limiter.refused_tokens.reset()
    await account.auth.get_access_token()  # the last example may have had two tokens refused
    simulator.fail(path, Failure(body=answer, status=data.draw(STATUSES)), times=2)
    simulator.journal.clear()
    try:
        found = await request_to(account, simulator, path)
    except BticinoError:
        found = None
    assert wrong_in(found) == []
    refused = simulator.journal.count(TOKEN)
    assert simulator.journal.count(path) == 1 + refused
    assert refused <= 1
