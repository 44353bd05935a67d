"""What the cloud pushes: read whatever comes, told once, nothing secret kept."""

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
    """Return the frame of a call's end."""
    extra = {"session_id": SESSION, "device_id": BRIDGE, "data": {"type": kind}}
    return {"push_type": "BNC1-rtc", "extra_params": extra}


def presence(kind: str, **extra: object) -> dict[str, Any]:
    """Return the frame of a module that came or went."""
    return {"push_type": f"BNC3-{kind}", "extra_params": {"device_id": BRIDGE, **extra}}


def test_offer_names_the_panel() -> None:
    """Everything that a ring needs, whatever the bridge is called."""
    push = decode(OFFER)
    assert isinstance(push, CallPush)
    told = (push.step, push.session_id, push.bridge_id, push.panel_id, push.home_id, push.expiry)
    assert told == (CallStep.OFFERED, SESSION, BRIDGE, PANEL, HOME, 30)


def test_status_brings_time_and_pictures() -> None:
    """Also of models that send nothing else; a link is in no text of ours."""
    push = decode(STATUS)
    assert isinstance(push, CallPush)
    assert (push.step, push.time, push.panel_id) == (CallStep.INCOMING, 1789999990, None)
    assert push.snapshot is not None
    assert push.snapshot.url.endswith("s3cret")
    assert "s3cret" not in repr(push)


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
    """Each end has a name of its own."""
    push = decode(frame)
    assert isinstance(push, CallPush)
    assert push.step is step


@pytest.mark.parametrize(
    ("frame", "module_id", "reachable"),
    [
        (presence("connection"), BRIDGE, True),
        (presence("websocket_connection"), BRIDGE, True),
        (presence("disconnection"), BRIDGE, False),
        (presence("reachable_module_event"), BRIDGE, None),
        (presence("reachable_module_event", module_id=PANEL, reachable=False), PANEL, False),
        (presence("reachable_module_event", module_id=PANEL, reachable="?"), PANEL, None),
    ],
)
def test_modules_come_and_go(frame: dict[str, Any], module_id: str, reachable: bool | None) -> None:
    """What the cloud does not say is not guessed."""
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
def test_what_cannot_be_used_is_nothing(frame: dict[str, Any]) -> None:
    """Neither an error nor a ring."""
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
]


@given(st.sampled_from(PATHS), JSON, st.sampled_from([OFFER, STATUS]))
def test_any_value_in_any_place_is_borne(path: tuple[str, ...], value: object, frame: Any) -> None:
    """Nothing is raised, and what comes out has the types it says."""
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
