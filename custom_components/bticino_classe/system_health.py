"""System health: the cloud and the push connections."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.system_health import async_check_can_reach_url
from homeassistant.core import callback

from .client import PRODUCTION
from .runtime import async_loaded_entries

if TYPE_CHECKING:
    from homeassistant.components.system_health import SystemHealthRegistration
    from homeassistant.core import HomeAssistant

    from .client import ReconnectingSocket


@callback
def async_register(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    register: SystemHealthRegistration,
) -> None:
    """Register the information."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    runtimes = [entry.runtime_data for entry in async_loaded_entries(hass)]
    sockets = [runtime.push.socket for runtime in runtimes]
    disconnects = [str(s.last_disconnect) for s in sockets if s.last_disconnect is not None]
    return {
        "can_reach_cloud": async_check_can_reach_url(hass, PRODUCTION.api),
        "accounts": len(runtimes),
        "polls_failing": sum(runtime.coordinator.failed_polls > 0 for runtime in runtimes),
        "push_connection": ", ".join(map(_state, sockets)) or None,
        "last_interruption": ", ".join(disconnects) or None,
    }


def _state(socket: ReconnectingSocket) -> str:
    state, offline = socket.state.value, socket.offline
    return state if offline is None else f"{state} ({offline.reason})"
