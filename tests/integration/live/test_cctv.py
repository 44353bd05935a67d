"""CCTV cameras behind an intercom: they can be looked at, and never ring."""

from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.client.answers import RING
from tests.integration.conftest import (
    EventRecorder,
    expect_refused,
    is_watched,
    state_of,
    wait_until,
)
from tests.integration.live.browser_client import BrowserClient, offer, open_session, panel_id

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

RINGING = "binary_sensor.cancello_bell"
GARDEN, GATE = "camera.giardino", "camera.cancello"
pytestmark = pytest.mark.parametrize("house_name", ["cctv"])


@pytest.fixture(name="garden")
async def _garden(
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - whose camera the browser shows
    hass_ws_client: WebSocketGenerator,
) -> BrowserClient:
    """A browser that shows a CCTV camera."""
    return await BrowserClient.connect(hass_ws_client, GARDEN)


async def test_camera_is_dialled(
    hass: HomeAssistant, garden: BrowserClient, simulator: Simulator
) -> None:
    """By its own id; only its camera and the intercom's line are in use."""
    view = await garden.watch(offer())
    session = open_session(simulator)
    assert session.panel_id == panel_id(simulator, "Giardino")
    await wait_until(lambda: is_watched(hass, GARDEN))
    assert state_of(hass, GATE) == "idle"
    assert state_of(hass, "binary_sensor.cancello_line") == "on"
    await view.close()
    await wait_until(lambda: not simulator.rtc.open)


def push_ring(simulator: Simulator, name: str) -> None:
    """Push the offer of a call that names any module."""
    ids = {"device_id": simulator.house.bridges()[0].id, "session_id": "new"}
    extra = {**RING["extra_params"], **ids}
    named = {"type": "call", "sdp": "v=0", "module_id": panel_id(simulator, name)}
    extra["data"] = {"type": "offer", "session_description": named}
    simulator.push({**RING, "push_type": "BNC3-rtc", "extra_params": extra})


@pytest.mark.parametrize("caller", ["Cancello", "Giardino"])
async def test_ring_is_not_answered_by_a_cctv_camera(
    hass: HomeAssistant, garden: BrowserClient, simulator: Simulator, caller: str
) -> None:
    """Neither the ring of a panel nor one that names the camera itself; it goes on ringing."""
    push_ring(simulator, caller)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    assert await expect_refused(hass, DOMAIN, "decline_ring", GARDEN) == "nobody_rings"
    await (await garden.watch(offer())).close()
    assert (simulator.rtc.offers, simulator.rtc.answers) == (1, 0)
    assert state_of(hass, RINGING) == "on"


async def test_ring_that_names_a_cctv_camera(events: EventRecorder, simulator: Simulator) -> None:
    """It is shown at the only panel."""
    push_ring(simulator, "Giardino")
    await wait_until(events.rings)
    assert events.rings() == ["event.cancello_doorbell"]
