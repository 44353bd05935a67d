"""What the cloud sends becomes clean names, ids and addresses, or nothing."""

import re
from typing import TYPE_CHECKING, Any
import unicodedata

import pytest

from custom_components.bticino_classe.client import Home, Module, ModuleState, decode, push
from tests.client.answers import BRIDGE, HOME, SESSION

if TYPE_CHECKING:
    from custom_components.bticino_classe.client import CallPush

ODD_IDS = [
    "..",
    ".",
    ".hidden",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "~",
    "a b",
    "{{ states }}",
    "<b>",
    "%2e%2e",
    "x" * 65,
    "x" * 300,
    "ä" * 100,
]
NO_IDS = ["", "a\nb", "a\x00b", "a\u202eb", "\ud800", "x" * 2000, 5, None, [], {}, True]


def home_with(**module: Any) -> Home:
    """Return the home of an answer with one module."""
    topology = decode.topology({"homes": [{"id": HOME, "modules": [module]}]})
    assert topology is not None
    return topology.homes[HOME]


def module_with(**fields: Any) -> Module:
    """Return the only module of an answer."""
    (module,) = home_with(**{"id": BRIDGE, **fields}).modules.values()
    return module


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("Cancello", "Cancello"),
        ("  Casa \t di\r\nMario ", "Casa di Mario"),
        ("Ingresso è aperto? 1° piano", "Ingresso è aperto? 1° piano"),
        ("門口 🚪", "門口 🚪"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("\u202egpj.exe\u202c", "gpj.exe"),
        ("\u2066a\u2069\u200f\u061c", "a"),
        ("a\u200bb\ufeff", "ab"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("a\ud800", "a"),
        ("\u202e\u200b \n", None),
        ("x" * 5000, "x" * 100),
        ("x" * 99 + "  y", "x" * 99),
        ("", None),
        (5, None),
        (["a"], None),
    ],
)
def test_name(sent: object, name: str | None) -> None:
    """One line of visible characters, at most 100, in modules and homes."""
    assert module_with(name=sent).name == name
    topology = decode.topology({"homes": [{"id": HOME, "name": sent}]})
    assert topology is not None
    assert topology.homes[HOME].name == name


@pytest.mark.parametrize("sent", ["BN\u202eC1\n", "B" * 500, "<script>\x00"])
def test_type_and_version(sent: str) -> None:
    """They are short and visible as well."""
    states = decode.states({"home": {"modules": [{"id": BRIDGE, "type": sent}]}})
    firmware = decode.states({"home": {"modules": [{"id": BRIDGE, "firmware_name": sent}]}})
    assert states is not None
    assert firmware is not None
    for found in (module_with(type=sent).type, states[BRIDGE].type, firmware[BRIDGE].firmware):
        assert found
        assert len(found) <= 64
        assert not any(unicodedata.category(each).startswith("C") for each in found)


@pytest.mark.parametrize("sent", ODD_IDS)
def test_odd_id_of_a_module(sent: str) -> None:
    """It is no path and not long, the same in every answer; requests contain the cloud's."""
    home = home_with(id=sent, type="BNEU", bridge=sent)
    (module,) = home.modules.values()
    assert re.fullmatch(r"[0-9a-z][0-9a-z:._-]{0,63}", module.id)
    assert (module.sent_id, module.sent_bridge_id) == (sent, sent)
    assert module.bridge_id == module.id
    states = decode.states({"home": {"modules": [{"id": sent}]}, "errors": [{"id": sent}]})
    assert states is not None
    assert [(s.id, s.reachable) for s in states.values()] == [(module.id, False)]
    events = decode.events({"home": {"events": [event_of(sent)]}})
    assert events is not None
    assert events[0].module_id == module.id
    call = ring(device_id=sent)
    assert call is not None
    assert call.bridge_id == module.id


def test_odd_ids_differ() -> None:
    """Each is a module of its own."""
    listed = [{"id": each} for each in ODD_IDS]
    topology = decode.topology({"homes": [{"id": HOME, "modules": listed}]})
    assert topology is not None
    assert len(topology.homes[HOME].modules) == len(ODD_IDS)


@pytest.mark.parametrize("sent", NO_IDS)
def test_no_id(sent: object) -> None:
    """What has none is left out."""
    assert home_with(id=sent).modules == {}
    assert module_with(bridge=sent).bridge_id is None
    assert module_with(bridge=sent).cloud_bridge_id is None
    assert decode.states({"home": {"modules": [{"id": sent}]}}) == {}
    assert decode.topology({"homes": [{"id": sent}]}) == decode.topology({"homes": []})
    assert decode.events({"home": {"events": [{**event_of(BRIDGE), "id": sent}]}}) == ()
    assert ring(device_id=sent) is None
    assert ring(session_id=sent) is None


@pytest.mark.parametrize("session", ["..", ".hidden", "x" * 300, "a/b"])
def test_odd_id_of_a_session(session: str) -> None:
    """It rings, and the id is returned to the cloud unchanged."""
    call = ring(session_id=session)
    assert call is not None
    assert call.session_id == session


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ("192.0.2.20", "192.0.2.20"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0\n<b>", "fe80::1"),
        ("192.0.2", None),
        ("intercom.local", None),
        ("192.0.2.20\n", None),
        (3221226004, None),
        (None, None),
    ],
)
def test_address_of_an_intercom(sent: object, address: str | None) -> None:
    """An IP address or none."""
    states = decode.states({"home": {"modules": [{"id": BRIDGE, "local_ipv4": sent}]}})
    assert states == {BRIDGE: ModuleState(id=BRIDGE, local_address=address)}


@pytest.mark.parametrize("sent", ["Europe/Rome\n", "../x y", "x" * 500, "\u202e", 5])
def test_invalid_timezone(sent: object) -> None:
    """A home without a usable time zone has none."""
    topology = decode.topology({"homes": [{"id": HOME, "timezone": sent}]})
    assert topology is not None
    assert topology.homes[HOME].timezone is None


@pytest.mark.parametrize("url", ["https://a/\r\nHost: b", "https://a/ b", "x" * 9000, "a\u202eb"])
def test_invalid_link(url: str) -> None:
    """A picture without a usable link is none."""
    events = decode.events({"home": {"events": [{**event_of(BRIDGE), "snapshot": {"url": url}}]}})
    assert events is not None
    assert events[0].snapshot is None
    call = ring(snapshot_url=url)
    assert call is not None
    assert call.snapshot is None


def event_of(module_id: str) -> dict[str, object]:
    """Return an event at a module."""
    return {"id": "e", "type": "outdoor", "time": 5, "module_id": module_id}


def ring(**fields: object) -> CallPush | None:
    """Return the decoded push of a ring."""
    extra = {"device_id": BRIDGE, "session_id": SESSION, **fields}
    found = push.decode({"push_type": "BNC1-incoming_call", "extra_params": extra})
    assert not isinstance(found, push.ReachabilityPush)
    return found
