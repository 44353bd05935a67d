"""Decoding of pushes, valid and invalid."""

import json
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client.push import (
    CallPush,
    CallStep,
    ReachabilityPush,
    decode,
)
from custom_components.bticino_classe.client.redaction import shape_of

BRIDGE, PANEL, HOME = "00:03:50:ab:cd:ef", "abcdef-0101-aa11bb22cc33", "64a1b2c3d4e5f60718293a4b"
SESSION = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
OFFER: dict[str, Any] = {
    "type": "Websocket",
    "push_type": "BNC1-rtc",
    "category": "rtc",
    "expiry": 30,
    "_id": "a1",
    "extra_params": {
        "session_id": SESSION,
        "tag_id": "dGFnLW9uZQ==",
        "correlation_id": 9223372036854770001,
        "device_id": BRIDGE,
        "home_id": HOME,
        "data": {
            "type": "offer",
            "session_description": {"type": "call", "sdp": "v=0\r\ns3cret", "module_id": PANEL},
        },
    },
}
STATUS: dict[str, Any] = {
    "push_type": "BDIY-incoming_call",
    "extra_params": {
        "event_type": "incoming_call",
        "device_id": BRIDGE,
        "home_id": HOME,
        "timestamp": 1789999990,
        "session_id": SESSION,
        "snapshot_url": "https://blob.example/snap.jpg?sig=s3cret",
    },
}


def end(kind: str) -> dict[str, Any]:
    """Return the push that ends a call."""
    extra = {"session_id": SESSION, "device_id": BRIDGE, "data": {"type": kind}}
    return {"push_type": "BNC1-rtc", "extra_params": extra}


def reachability(kind: str, **extra: object) -> dict[str, Any]:
    """Return the push of a module that went online or offline."""
    return {"push_type": f"BNC3-{kind}", "extra_params": {"device_id": BRIDGE, **extra}}


def test_offer_names_the_panel() -> None:
    """It has everything a ring needs, for any bridge type."""
    push = decode(OFFER)
    assert isinstance(push, CallPush)
    found = (push.step, push.session_id, push.bridge_id, push.panel_id, push.home_id, push.expiry)
    assert found == (CallStep.OFFERED, SESSION, BRIDGE, PANEL, HOME, 30)


def test_status_has_time_and_pictures() -> None:
    """Some models send nothing else; links are in no `repr`."""
    push = decode(STATUS)
    assert isinstance(push, CallPush)
    assert (push.step, push.time, push.panel_id) == (CallStep.INCOMING, 1789999990, None)
    assert push.snapshot is not None
    assert push.snapshot.url.endswith("s3cret")
    assert "s3cret" not in repr(push)


@pytest.mark.parametrize("kind", ["incoming_call", "accepted_call", "missed_call"])
@pytest.mark.parametrize(
    ("module_id", "panel_id"),
    [
        (PANEL, PANEL),
        (PANEL.upper(), PANEL),
        (BRIDGE, None),
        (BRIDGE.upper(), None),
        ("", None),
        (5, None),
        (None, None),
        ([PANEL], None),
    ],
)
def test_status_may_name_a_module(kind: str, module_id: object, panel_id: str | None) -> None:
    """The intercom's own id is no panel."""
    extra = {**STATUS["extra_params"], "module_id": module_id}
    push = decode({"push_type": f"BNCX-{kind}", "extra_params": extra})
    assert isinstance(push, CallPush)
    assert (push.panel_id, push.bridge_id) == (panel_id, BRIDGE)


@pytest.mark.parametrize(
    ("frame", "step"),
    [
        (end("rescind"), CallStep.RESCINDED),
        (end("terminate"), CallStep.TERMINATED),
        ({**STATUS, "push_type": "BNC1-missed_call"}, CallStep.MISSED),
        ({**STATUS, "push_type": "BNCX-accepted_call"}, CallStep.ACCEPTED),
    ],
)
def test_steps_of_a_call(frame: dict[str, Any], step: CallStep) -> None:
    """Each end has its own step."""
    push = decode(frame)
    assert isinstance(push, CallPush)
    assert push.step is step


@pytest.mark.parametrize(
    ("frame", "module_id", "reachable"),
    [
        (reachability("connection"), BRIDGE, True),
        (reachability("websocket_connection"), BRIDGE, True),
        (reachability("disconnection"), BRIDGE, False),
        (reachability("reachable_module_event"), BRIDGE, None),
        (reachability("reachable_module_event", module_id=PANEL, reachable=False), PANEL, False),
        (reachability("reachable_module_event", module_id=PANEL, reachable="?"), PANEL, None),
    ],
)
def test_reachability_of_modules(
    frame: dict[str, Any], module_id: str, reachable: bool | None
) -> None:
    """Missing values are not guessed."""
    push = decode(frame)
    assert isinstance(push, ReachabilityPush)
    assert (push.module_id, push.reachable) == (module_id, reachable)


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"push_type": "BNC1-new_user"},
        {"push_type": 5},
        {"push_type": "BNC1-rtc", "extra_params": {"data": {"type": "candidate"}}},
        {"push_type": "BNC1-incoming_call", "extra_params": {"device_id": BRIDGE}},
        {"push_type": "BNC1-incoming_call", "extra_params": {"session_id": SESSION}},
        {"push_type": "BNC1-connection", "extra_params": []},
    ],
)
def test_invalid_pushes_are_ignored(frame: dict[str, Any]) -> None:
    """They are neither an error nor a ring."""
    assert decode(frame) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    ("push_type",),
    ("expiry",),
    ("extra_params",),
    *(("extra_params", key) for key in OFFER["extra_params"]),
    ("extra_params", "data", "type"),
    ("extra_params", "data", "session_description"),
    ("extra_params", "timestamp"),
    ("extra_params", "module_id"),
]


@given(st.sampled_from(PATHS), JSON, st.sampled_from([OFFER, STATUS]))
def test_any_value_at_any_place(path: tuple[str, ...], value: object, frame: Any) -> None:
    """Nothing is raised, and the data has the declared types."""
    broken = json.loads(json.dumps(frame))
    place = broken
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    push = decode(broken)
    if isinstance(push, CallPush):
        assert isinstance(push.session_id, str)
        assert 0 < push.expiry <= 120
    shape_of(broken)
