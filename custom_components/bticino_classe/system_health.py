"""Whether the cloud can be reached and the bell be heard, for Home Assistant's system page."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.system_health import async_check_can_reach_url
from homeassistant.core import callback

from .client import PRODUCTION
from .const import DOMAIN, ENDPOINTS

if TYPE_CHECKING:
    from homeassistant.components.system_health import SystemHealthRegistration
    from homeassistant.core import HomeAssistant

    from .coordinator import BticinoConfigEntry


@callback
def async_register(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    register: SystemHealthRegistration,
) -> None:
    """Register the page's lines."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    entries: list[BticinoConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    sockets = [entry.runtime_data.bell.channel.socket for entry in entries]
    endings = [
        str(socket.last_disconnect) for socket in sockets if socket.last_disconnect is not None
    ]
    return {
        "can_reach_cloud": async_check_can_reach_url(
            hass, hass.data.get(ENDPOINTS, PRODUCTION).api
        ),
        "accounts": len(entries),
        "polls_failing": sum(entry.runtime_data.failed_polls > 0 for entry in entries),
        "push_connection": ", ".join(socket.state.value for socket in sockets) or None,
        "last_interruption": ", ".join(endings) or None,
    }
