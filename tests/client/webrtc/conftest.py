"""The ways in which the cloud may acknowledge a message."""

from typing import TYPE_CHECKING

import pytest

from tests.client.webrtc import scripted_intercom

if TYPE_CHECKING:
    from collections.abc import Mapping

# What happens to the correlation id of a message (protocol.md 3.8: observers differ).
ACK_MODES: Mapping[str, Mapping[str, object]] = {
    "echo": {},
    "null": {"correlation_id": None},
    "absent": {"correlation_id": "absent"},
}


@pytest.fixture(params=ACK_MODES)
def ack_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once for each way in which the intercom acknowledges messages."""
    mode: str = request.param
    monkeypatch.setattr(scripted_intercom, "ACK_CHANGES", ACK_MODES[mode])
    return mode
