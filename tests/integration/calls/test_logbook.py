"""A ring appears in the logbook of its panel's device."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest

from tests.integration.conftest import device_id_of, wait_frames

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        RecorderInstanceContextManager,
        WebSocketGenerator,
    )

    from tests.simulator import Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"


@pytest.fixture
async def mock_recorder_before_hass(
    async_test_recorder: RecorderInstanceContextManager,
) -> None:
    """Set up the recorder before Home Assistant."""


async def logbook_events(
    hass: HomeAssistant, ws_client: WebSocketGenerator, device_id: str
) -> list[tuple[str, str]]:
    """Return the events of the last minute in the logbook of a device: entity and type."""
    entities = er.async_entries_for_device(er.async_get(hass), device_id)
    request = {
        "type": "logbook/get_events",
        "start_time": (dt_util.utcnow() - timedelta(minutes=1)).isoformat(),
        "entity_ids": [each.entity_id for each in entities],
        "device_ids": [device_id],
    }
    socket = await ws_client()
    await socket.send_json_auto_id(request)
    lines: list[Any] = (await socket.receive_json())["result"]
    return [
        (line["entity_id"], line["attributes"]["event_type"])
        for line in lines
        if line["entity_id"].startswith("event.")
    ]


@pytest.mark.usefixtures("recorder_mock", "online_entry")
async def test_ring_is_in_the_logbook_of_its_panel(
    hass: HomeAssistant, simulator: Simulator, hass_ws_client: WebSocketGenerator
) -> None:
    """The panel's own entities show it; the other panel's logbook does not."""
    hass.config.components.add("frontend")  # its files are not installed, and not needed
    assert await async_setup_component(hass, "logbook", {})
    await hass.async_block_till_done()
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    await get_instance(hass).async_block_till_done()
    assert await logbook_events(hass, hass_ws_client, device_id_of(hass, STREET)) == [
        ("event.posto_esterno_strada_doorbell", "ring"),
        ("event.posto_esterno_strada_call", "missed"),
    ]
    assert await logbook_events(hass, hass_ws_client, device_id_of(hass, YARD)) == []
