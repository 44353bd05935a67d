"""The logbook: its lines of a ring belong to the panel at which somebody rang."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest

from tests.integration.conftest import heard
from tests.integration.test_services import device

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
    """Let Home Assistant be one that records."""


async def told(
    hass: HomeAssistant, page: WebSocketGenerator, device_id: str
) -> list[tuple[str, str]]:
    """Return what the logbook on a device's page tells of the last minute: events by entity."""
    entities = er.async_entries_for_device(er.async_get(hass), device_id)
    asked = {
        "type": "logbook/get_events",
        "start_time": (dt_util.utcnow() - timedelta(minutes=1)).isoformat(),
        "entity_ids": [each.entity_id for each in entities],
        "device_ids": [device_id],
    }
    socket = await page()
    await socket.send_json_auto_id(asked)
    lines: list[Any] = (await socket.receive_json())["result"]
    return [
        (line["entity_id"], line["attributes"]["event_type"])
        for line in lines
        if line["entity_id"].startswith("event.")
    ]


@pytest.mark.usefixtures("recorder_mock", "bell")
async def test_ring_is_in_the_logbook_of_its_panel(
    hass: HomeAssistant, simulator: Simulator, hass_ws_client: WebSocketGenerator
) -> None:
    """By the panel's own entities, which say what happened, and in that of no other panel."""
    hass.config.components.add("frontend")  # whose files are not installed here, nor needed
    assert await async_setup_component(hass, "logbook", {})
    await hass.async_block_till_done()
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 4)
    await get_instance(hass).async_block_till_done()
    assert await told(hass, hass_ws_client, device(hass, STREET)) == [
        ("event.posto_esterno_strada_doorbell", "ring"),
        ("event.posto_esterno_strada_call", "incoming"),
        ("event.posto_esterno_strada_call", "missed"),
    ]
    assert await told(hass, hass_ws_client, device(hass, YARD)) == []
