"""The integration's part of the system information."""

from typing import TYPE_CHECKING

from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import get_system_health_info

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import EventRecorder, get_entry, state_of, wait_until

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


async def test_system_health(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The cloud and the push connection at a glance."""
    assert await async_setup_component(hass, "system_health", {})
    found = await get_system_health_info(hass, DOMAIN)
    assert await found.pop("can_reach_cloud") == "ok"
    assert found == {
        "accounts": 1,
        "polls_failing": 0,
        "push_connection": "online",
        "last_interruption": None,
    }
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: state_of(hass, "binary_sensor.classe_300x_bell_connection") == "off")
    socket = get_entry(hass).runtime_data.push.socket
    await wait_until(lambda: socket.last_disconnect and socket.last_disconnect.code == 502)
    found = await get_system_health_info(hass, DOMAIN)
    assert found["push_connection"] != "online"
    assert found["last_interruption"] == "handshake refused (502)"
    await found["can_reach_cloud"]
    assert events.recorded() == []


async def test_system_health_without_an_account(hass: HomeAssistant, simulator: Simulator) -> None:
    """It works before anybody has signed in, and while the cloud is down."""
    assert await async_setup_component(hass, DOMAIN, {})
    assert await async_setup_component(hass, "system_health", {})
    simulator.take_down()
    found = await get_system_health_info(hass, DOMAIN)
    assert found["accounts"] == 0
    assert found["push_connection"] is None
    await found["can_reach_cloud"]
