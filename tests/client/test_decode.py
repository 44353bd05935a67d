"""Decoding of the cloud's answers, valid and invalid."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

import pytest

from custom_components.bticino_classe.client import (
    Account,
    Event,
    Home,
    Module,
    ModuleKind,
    ModuleState,
    Picture,
    decode,
)
from tests.client.answers import (
    BRIDGE,
    DOOR,
    EVENTS,
    HOME,
    HOMES,
    PANEL,
)
from tests.client.signed_in import KINDS, signed_in
from tests.simulator import HOUSES, Failure
from tests.simulator.house import Bridge, Door, Gate, Light
from tests.simulator.paths import GETEVENTS, HOMESDATA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator
    from tests.simulator.house import Home as BuiltHome, Module as Built

UNLISTED = "abcdef-0505-aa11bb22cc37"
UNKNOWN = ModuleKind.UNKNOWN


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """An account that is signed in."""
    async with signed_in(simulator, endpoints) as account:
        yield account


def expected_module(built: Built, home: BuiltHome) -> Module:
    """Return what the topology must contain for a module."""
    known = built.listed
    return Module(
        id=built.id,
        home_id=home.id,
        kind=KINDS.get(built.type, UNKNOWN) if known else UNKNOWN,
        type=built.type if known else "",
        name=built.name if known and home.lists_modules else None,
        bridge_id=built.bridge,
    )


@pytest.mark.parametrize("house", HOUSES)
async def test_topology(account: Account, simulator: Simulator, house: str) -> None:
    """Every home and module: kind, type, name, bridge; unknown types are counted."""
    simulator.use_house(house)
    topology = await account.topology()
    assert topology.user_id == simulator.user_id
    assert topology.homes == {
        home.id: Home(
            id=home.id,
            name=home.name,
            timezone="Europe/Rome",
            modules={each.id: expected_module(each, home) for each in home.modules.values()},
        )
        for home in simulator.house.homes
    }
    modules = [expected_module(m, h) for h in simulator.house.homes for m in h.modules.values()]
    assert topology.unknown_types == Counter(m.type for m in modules if m.kind is UNKNOWN)


@pytest.mark.parametrize("house", HOUSES)
async def test_bridges(account: Account, simulator: Simulator, house: str) -> None:
    """The indoor units, but no relay of a thermostat."""
    simulator.use_house(house)
    found = {b.id for home in (await account.topology()).homes.values() for b in home.bridges}
    assert found == {bridge.id for bridge in simulator.house.bridges()}


async def test_no_device_types_are_requested(account: Account, simulator: Simulator) -> None:
    """They would hide newer models (protocol.md 3.2)."""
    await account.topology()
    sent = simulator.journal[0].body
    assert isinstance(sent, dict)
    assert sent.keys() == {"app_type", "app_version", "sync_measurements"}


def expected_state(simulator: Simulator, home: BuiltHome, built: Built) -> dict[str, object]:
    """Return what the states must contain for a module."""
    now = simulator.clock()
    reports_lock = isinstance(built, Door) and not isinstance(built, Gate)
    facts: dict[str, object] = {
        "type": built.type,
        "bridge_id": built.bridge,
        "reachable": home.reaches(built),
        "on": built.is_on(now) if built.reports_state and isinstance(built, Light) else None,
        "locked": True if built.reports_state and reports_lock else None,
    }
    if isinstance(built, Bridge) and built.is_terse:
        facts |= {"firmware": str(built.firmware_revision), "wifi_strength": None, "uptime": None}
    elif isinstance(built, Bridge):
        facts |= {
            "firmware": built.firmware_name,
            "wifi_strength": -built.wifi_strength,
            "local_address": "192.0.2.20",
        }
    return facts


@pytest.mark.parametrize("house", HOUSES)
async def test_states(account: Account, simulator: Simulator, house: str) -> None:
    """Every module that the cloud reports; without `reachable` it is reachable."""
    simulator.use_house(house)
    for home in simulator.house.homes:
        found = await account.states(home.id)
        reported = [module for module in home.modules.values() if not module.silent]
        assert found.keys() == {module.id for module in reported}
        for module in reported:
            state, facts = found[module.id], expected_state(simulator, home, module)
            assert {name: getattr(state, name) for name in facts} == facts


@pytest.mark.parametrize("shown", ["both", "errors"])
@pytest.mark.parametrize("house", ["classe_300x", "easykit"])
async def test_unreachable_modules(
    account: Account, simulator: Simulator, house: str, shown: Literal["both", "errors"]
) -> None:
    """Listed by the cloud, or named with code 6 only."""
    simulator.use_house(house)
    simulator.unreachable_shown = shown
    simulator.unplug_bridge()
    home = simulator.house.homes[0]
    found = await account.states(home.id)
    assert {state.id for state in found.values() if not state.reachable} == set(home.modules)
    assert {state.type is None for state in found.values()} == {shown == "errors"}


async def test_home_is_completed_from_its_states(account: Account, simulator: Simulator) -> None:
    """A module without an entry gets its type from the states and keeps its bridge."""
    simulator.use_house("strange")
    home = next(iter((await account.topology()).homes.values()))
    door = decode.with_reported_modules(home, await account.states(home.id)).modules[UNLISTED]
    assert (door.kind, door.type, door.bridge_id) == (ModuleKind.DOOR, "BNDL", BRIDGE)
    unknown = await account.states(home.id)
    assert {m.kind for m in home.modules.values() if m.id not in unknown} == {UNKNOWN}


async def test_state_of_a_light(account: Account, simulator: Simulator) -> None:
    """On and off as it is."""
    light, home = simulator.house.lights()[0], simulator.house.homes[0]
    light.lit_at = simulator.clock()
    assert (await account.states(home.id))[light.id].on is True
    light.lit_at = None
    assert (await account.states(home.id))[light.id].on is False


@pytest.mark.parametrize(
    ("wire", "name", "expected"),
    [
        ({"last_seen": 0}, "last_seen", None),
        ({"last_seen": 1790000000}, "last_seen", 1790000000),
        ({"uptime": 812345}, "uptime", 812345),
        ({"uptime": 1.9}, "uptime", 1),
        ({"uptime": True}, "uptime", None),
        ({"uptime": "1"}, "uptime", None),
        ({"uptime": float("inf")}, "uptime", None),
        ({"wifi_strength": 58}, "wifi_strength", -58),
        ({"wifi_strength": -58}, "wifi_strength", -58),
        ({"wifi_strength": 0}, "wifi_strength", None),
        ({"firmware_name": "2.3", "firmware_revision": 1}, "firmware", "2.3"),
        ({"firmware_name": "", "firmware_revision": 203008}, "firmware", "203008"),
        ({"firmware_revision": 30212}, "firmware", "30212"),
        ({"firmware_revision": "30212"}, "firmware", "30212"),
        ({"firmware_revision": 30212.0}, "firmware", "30212"),
        ({"firmware_name": 2.3}, "firmware", "2.3"),
        ({"firmware_name": None, "firmware_revision": -1}, "firmware", None),
        ({"firmware_revision": 10**30}, "firmware", None),
        ({"firmware_revision": True}, "firmware", None),
        ({"use_pincode": True}, "use_pincode", True),
        ({"use_pincode": False}, "use_pincode", False),
        ({"use_pincode": "1234"}, "use_pincode", None),
        ({"use_pincode": 1234}, "use_pincode", None),
        ({}, "use_pincode", None),
        ({}, "firmware", None),
        ({}, "reachable", True),
        ({"reachable": None}, "reachable", True),
        ({"reachable": False}, "reachable", False),
        ({"on": True}, "on", True),
        ({"on": False, "status": "on"}, "on", False),
        ({"on": 1, "status": "on"}, "on", True),
        ({"status": "off"}, "on", False),
        ({"status": "dim"}, "on", None),
        ({"status": ["on"]}, "on", None),
    ],
)
def test_field_of_a_state(wire: dict[str, object], name: str, expected: object) -> None:
    """The cloud's quirks (protocol.md 3.2)."""
    found = decode.states({"home": {"modules": [{"id": DOOR, **wire}]}})
    assert found is not None
    assert getattr(found[DOOR], name) == expected


def test_invalid_parts_of_a_status() -> None:
    """They do not affect other modules."""
    modules = [{"type": "BNDL"}, None, {"id": DOOR}]
    body = {"home": {"modules": modules}, "errors": [{"code": 6}, None, {"id": 5}]}
    assert decode.states(body) == {DOOR: ModuleState(id=DOOR)}


@pytest.mark.parametrize("home", [None, {}, {"id": HOME}])
def test_status_with_errors_only(home: object) -> None:
    """All modules can be unreachable; without errors it is no answer."""
    lost = {DOOR: ModuleState(id=DOOR, reachable=False)}
    assert decode.states({"home": home, "errors": [{"code": 6, "id": DOOR}]}) == lost
    assert decode.states({"home": home, "errors": [{"code": 26}]}) is None


@pytest.mark.parametrize("child", ["BNDL", "BNSL", "BNEU", "BCEPL", "BFIO", "BNTVCC"])
def test_bridge_of_an_unknown_type(child: str) -> None:
    """A module that others belong to is an intercom, in topology and states."""
    new, part = {"id": BRIDGE, "type": "BNZZ"}, {"id": DOOR, "type": child, "bridge": BRIDGE}
    topology = decode.topology({"homes": [{"id": HOME, "modules": [new, part]}]})
    assert topology is not None
    assert [bridge.id for bridge in topology.homes[HOME].bridges] == [BRIDGE]
    empty = Home(id=HOME, name=None, timezone=None, modules={})
    states = decode.states({"home": {"modules": [new, part]}})
    assert states is not None
    assert [bridge.id for bridge in decode.with_reported_modules(empty, states).bridges] == [BRIDGE]


@pytest.mark.parametrize(
    ("wire_type", "variant", "kind"),
    [
        ("BNHY", None, ModuleKind.BRIDGE),
        ("BFII", None, ModuleKind.BRIDGE),
        ("BFIO", None, ModuleKind.PANEL),
        ("BNTVCC", None, ModuleKind.CAMERA),
        ("BCEPL", None, ModuleKind.PANEL),
        ("BNOT", None, ModuleKind.RELAY),
        ("BNOT", "BNOT:bndl_doorlock", ModuleKind.RELAY),
        ("BNZZ", "BNZZ:bndl_doorlock", ModuleKind.DOOR),
        ("BNZZ", "bnsl_staircase_light", ModuleKind.LIGHT),
        ("BNZZ", "BNZZ:bneu_external_unit", ModuleKind.PANEL),
        ("BNDL", "BNDL:bnsl_staircase_light", ModuleKind.DOOR),
        ("BNZZ", "BNZZ:bnzz_news", UNKNOWN),
        (5, 5, UNKNOWN),
    ],
)
def test_kind_of_a_module(wire_type: object, variant: object, kind: ModuleKind) -> None:
    """The type decides; the variant is used for unknown types."""
    module = {"id": DOOR, "type": wire_type, "variant": variant}
    topology = decode.topology({"homes": [{"id": HOME, "modules": [module]}]})
    assert topology is not None
    assert topology.homes[HOME].modules[DOOR].kind is kind


def test_states_do_not_replace_the_topology() -> None:
    """Type, name and bridge stay; a state without a type adds nothing."""
    topology = decode.topology(HOMES)
    assert topology is not None
    home = topology.homes[HOME]
    named = replace(home.modules[PANEL], name="Strada")
    home = replace(home, modules={**home.modules, PANEL: named})
    states = (
        ModuleState(id=PANEL, type="BNEU"),
        ModuleState(id=DOOR, type="BNSL", bridge_id="x"),
        ModuleState(id="silent"),
    )
    done = decode.with_reported_modules(home, {state.id: state for state in states})
    assert done.modules == {
        **home.modules,
        PANEL: replace(named, kind=ModuleKind.PANEL, type="BNEU"),
    }


async def test_events(account: Account, simulator: Simulator) -> None:
    """A call with its parts in the cloud's order, and an event without parts."""
    home = simulator.house.homes[0]
    call, connection = await account.events(home.id)
    assert [part.type for part in call.parts] == ["missed_call", "incoming_call"]
    assert {part.session_id for part in call.parts} == {"7c9e6679-7425-40de-944b-e07fc1f90ae7"}
    assert (call.type, call.time, call.module_id) == (
        "outdoor",
        home.events[0]["time"],
        bridge_id_of(home),
    )
    assert (connection.type, connection.parts, connection.video_id) == ("connection", (), None)


def bridge_id_of(home: BuiltHome) -> str:
    """Return the id of the home's intercom."""
    return home.bridges()[0].id


async def test_number_of_events(account: Account, simulator: Simulator) -> None:
    """At most as many as requested; the default is large enough for a home with poor Wi-Fi."""
    home = simulator.house.homes[0]
    assert len(await account.events(home.id, size=1)) == 1
    await account.events(home.id)
    assert [cast("dict[str, object]", e.body)["size"] for e in simulator.journal] == [1, 100]


async def test_pictures_of_an_event(account: Account, simulator: Simulator) -> None:
    """Link and expiry; the expiry can be missing, and a file name is no link."""
    simulator.fail(GETEVENTS, Failure(body={"body": EVENTS}))
    (call,) = await account.events(HOME)
    (part,) = call.parts
    assert part.snapshot == Picture(url="https://blob.example/s", expires_at=1790003590.0)
    assert part.vignette == Picture(url="https://blob.example/v", expires_at=None)
    assert call.snapshot is None


@pytest.mark.parametrize("oddity", [{"id": None}, {"type": 5}, {"time": "now"}, {"time": None}])
def test_invalid_event_is_left_out(oddity: dict[str, object]) -> None:
    """The next one is not."""
    event = {"id": "1", "type": "outdoor", "time": 5}
    body = {"home": {"events": [{**event, **oddity}, "?", event, {**event, "subevents": 5}]}}
    assert decode.events(body) == (Event(id="1", type="outdoor", time=5.0),) * 2


@pytest.mark.parametrize("picture", [None, "url", {"filename": "a.jpg"}, {"url": ""}, {"url": 5}])
def test_invalid_picture_is_none(picture: object) -> None:
    """The event stays; parts are read one level deep."""
    part = {"id": "2", "type": "x", "time": 6, "subevents": [{"id": "3", "type": "y", "time": 7}]}
    event = {"id": "1", "type": "o", "time": 5, "snapshot": picture, "subevents": [part]}
    inner = Event(id="2", type="x", time=6.0)
    expected = Event(id="1", type="o", time=5.0, parts=(inner,))
    assert decode.events({"home": {"events": [event]}}) == (expected,)


async def test_ice_servers(account: Account) -> None:
    """The cloud's server with its credentials."""
    (server,) = await account.ice_servers()
    assert server.urls == ("turn:turn.example:3478?transport=udp",)
    assert server.username
    assert server.credential


async def test_home_without_an_id_is_left_out(account: Account, simulator: Simulator) -> None:
    """So are modules without one, and invalid ids of bridged modules."""
    bridge = {"id": BRIDGE, "modules_bridged": [None, 5, ""]}
    homes = [{"name": "?"}, 5, {"id": HOME, "modules": [{"type": "BNDL"}, None, bridge]}]
    simulator.fail(HOMESDATA, Failure(body={"body": {"homes": homes}}))
    topology = await account.topology()
    assert topology.user_id is None
    assert [(h.id, list(h.modules)) for h in topology.homes.values()] == [(HOME, [BRIDGE])]


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["uptime", "wifi_strength", "last_seen", "last_configs_update"])
def test_number_beyond_all_limits_is_none(name: str, number: float) -> None:
    """Nothing can be computed with it."""
    found = decode.states({"home": {"modules": [{"id": BRIDGE, name: number}]}})
    assert found == {BRIDGE: ModuleState(id=BRIDGE)}


def test_id_in_capital_letters() -> None:
    """The cloud's spelling is kept for requests."""
    home = {"id": HOME, "modules": [{"id": DOOR.upper(), "type": "BNDL", "bridge": "AB:CD"}]}
    topology = decode.topology({"homes": [home]})
    assert topology is not None
    (found,) = topology.homes[HOME].modules.values()
    assert (found.id, found.bridge_id) == (DOOR, "ab:cd")
    assert (found.sent_id, found.sent_bridge_id) == (DOOR.upper(), "AB:CD")
