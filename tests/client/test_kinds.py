"""The kind of a module whose type alone does not tell it."""

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client import Home, Module, ModuleKind, decode
from tests.client.answers import BRIDGE, DOOR, HOME, PANEL, VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

EITHER = ("BPAC", "BPVC", "BCEPA")
NOT_A_MAC = "abcdef-0707-aa11bb22cc39"
BRIDGE_KIND, PANEL_KIND, UNKNOWN = ModuleKind.BRIDGE, ModuleKind.PANEL, ModuleKind.UNKNOWN
NAMED_CHILD = {"id": DOOR, "type": "BNDL", "name": "Porta"}


def listed(*modules: dict[str, Any]) -> Mapping[str, Module]:
    """Return the decoded modules of a home."""
    found = decode.topology({"homes": [{"id": HOME, "modules": list(modules)}]})
    assert found is not None
    return found.homes[HOME].modules


def completed(status: list[dict[str, Any]], *modules: dict[str, Any]) -> Mapping[str, Module]:
    """Return the decoded modules of a home, completed from its status."""
    home = Home(id=HOME, name=None, timezone=None, modules=listed(*modules))
    states = decode.states({"home": {"modules": status}})
    assert states is not None
    return decode.with_reported_modules(home, states).modules


@pytest.mark.parametrize("wire_type", EITHER)
@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ({"id": BRIDGE}, BRIDGE_KIND),
        ({"id": BRIDGE.upper()}, BRIDGE_KIND),
        ({"id": BRIDGE, "modules_bridged": [DOOR]}, BRIDGE_KIND),
        ({"id": BRIDGE, "modules_bridged": [{"id": DOOR}]}, BRIDGE_KIND),
        ({"id": BRIDGE, "modules_bridged": []}, BRIDGE_KIND),
        ({"id": NOT_A_MAC, "modules_bridged": [DOOR]}, BRIDGE_KIND),
        ({"id": NOT_A_MAC, "modules_bridged": []}, BRIDGE_KIND),
        ({"id": NOT_A_MAC, "bridge": BRIDGE}, PANEL_KIND),
        ({"id": NOT_A_MAC, "bridge": BRIDGE, "modules_bridged": []}, PANEL_KIND),
        ({"id": "00:03:50:00:00:02", "bridge": BRIDGE}, PANEL_KIND),
        ({"id": NOT_A_MAC}, UNKNOWN),
        ({"id": NOT_A_MAC, "bridge": None, "modules_bridged": None}, UNKNOWN),
        ({"id": "00:03:50:00:00"}, UNKNOWN),
    ],
)
def test_kind_by_what_a_module_carries(
    wire_type: str, module: dict[str, Any], kind: ModuleKind
) -> None:
    """It is an intercom if modules are behind it, a panel if it is behind one."""
    found = listed({"type": wire_type, **module})
    assert found[module["id"].lower()].kind is kind


@pytest.mark.parametrize("wire_type", EITHER)
@pytest.mark.parametrize(
    ("module_id", "bridge", "kind"),
    [(BRIDGE, None, BRIDGE_KIND), (PANEL, BRIDGE, PANEL_KIND), (PANEL, None, UNKNOWN)],
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_kind_by_what_a_status_carries(
    wire_type: str, module_id: str, bridge: str | None, kind: ModuleKind, is_listed: bool
) -> None:
    """Its entry may be missing, or lack the bridge."""
    entry = [{"id": module_id, "type": wire_type}] if is_listed else []
    found = completed([{"id": module_id, "type": wire_type, "bridge": bridge}], *entry)
    assert (found[module_id].kind, found[module_id].bridge_id) == (kind, bridge)


@pytest.mark.parametrize("wire_type", EITHER)
def test_bridge_of_its_children_only(wire_type: str) -> None:
    """Its own entry says nothing."""
    found = listed({"id": NOT_A_MAC, "type": wire_type}, {**NAMED_CHILD, "bridge": NOT_A_MAC})
    assert found[NOT_A_MAC].kind is BRIDGE_KIND


@pytest.mark.parametrize("wire_type", EITHER)
@pytest.mark.parametrize("other", ["NLP", "BNDL"])
def test_intercom_among_too_many_modules(wire_type: str, other: str) -> None:
    """It is decoded, however late it is listed."""
    others = [{"id": f"m{n}", "type": other} for n in range(5000)]
    assert listed(*others, {"id": BRIDGE, "type": wire_type})[BRIDGE].kind is BRIDGE_KIND


@given(module=st.fixed_dictionaries({}, optional={"bridge": VALUES, "modules_bridged": VALUES}))
@settings(max_examples=60, deadline=None)
def test_kind_of_any_module(module: dict[str, Any]) -> None:
    """It is one of three, and a panel always has its intercom."""
    for wire_type in EITHER:
        found = listed({"id": NOT_A_MAC, "type": wire_type, **module})[NOT_A_MAC]
        assert found.kind in {BRIDGE_KIND, PANEL_KIND, UNKNOWN}
        assert found.kind is not PANEL_KIND or found.bridge_id


@pytest.mark.parametrize("wire_type", ["BNLO", "BNMH", "BNFC", "BNAS", "NLP", "BNZZ"])
def test_module_of_another_system(wire_type: str) -> None:
    """Its type is kept, in its entry and in its state; it makes nothing an intercom."""
    foreign = {"id": DOOR, "type": wire_type, "bridge": BRIDGE}
    for modules in (
        listed({"id": BRIDGE, "type": "NLG"}, foreign),
        completed([foreign], {"id": BRIDGE, "type": "NLG", "modules_bridged": [DOOR]}),
        completed([foreign], {"id": BRIDGE, "type": "NLG"}, foreign),
    ):
        assert {m.kind for m in modules.values()} == {UNKNOWN}
        assert (modules[DOOR].type, modules[DOOR].bridge_id) == (wire_type, BRIDGE)


@pytest.mark.parametrize(
    "child",
    [
        NAMED_CHILD,
        {**NAMED_CHILD, "bridge": BRIDGE},
        {**NAMED_CHILD, "bridge": BRIDGE.upper()},
        {**NAMED_CHILD, "bridge": None},
        {**NAMED_CHILD, "variant": "BNDL:bndl_doorlock"},
    ],
)
def test_bridged_modules_as_objects(child: dict[str, Any]) -> None:
    """What an object contains counts, unless the module has an entry of its own."""
    intercom = {"id": BRIDGE, "type": "BNCX", "modules_bridged": [child, None, 5, {"type": "BNEU"}]}
    door = listed(intercom)[DOOR]
    assert (door.kind, door.name, door.bridge_id) == (ModuleKind.DOOR, "Porta", BRIDGE)
    entry = {"id": DOOR, "type": "BNSL", "name": "Scale", "bridge": BRIDGE}
    light = listed(intercom, entry)[DOOR]
    assert (light.kind, light.name) == (ModuleKind.LIGHT, "Scale")
    assert listed(intercom).keys() == {BRIDGE, DOOR}


@pytest.mark.parametrize("child", [DOOR, {"id": DOOR}, {"id": DOOR, "type": None, "name": ""}])
def test_bridged_module_without_a_type(child: object) -> None:
    """Its state says what it is; it has no name."""
    intercom = {"id": BRIDGE, "type": "BNCX", "modules_bridged": [child]}
    assert listed(intercom)[DOOR].kind is UNKNOWN
    door = completed([{"id": DOOR, "type": "BNDL"}], intercom)[DOOR]
    assert (door.kind, door.bridge_id, door.name) == (ModuleKind.DOOR, BRIDGE, None)


@given(children=VALUES | st.lists(VALUES | st.dictionaries(st.just("id"), VALUES), max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_bridged_modules(children: object) -> None:
    """They never raise, and each belongs to the intercom."""
    found = listed({"id": BRIDGE, "type": "BNCX", "modules_bridged": children})
    assert found[BRIDGE].kind is BRIDGE_KIND
    assert all(m.bridge_id is not None for m in found.values() if m.id != BRIDGE)
