"""Points BTicino Classe at the simulator; installed on development servers only."""

from typing import TYPE_CHECKING, Final

import voluptuous as vol
from yarl import URL

from custom_components.bticino_classe.client.const import Endpoints
from custom_components.bticino_classe.const import ENDPOINTS

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

DOMAIN: Final = "bticino_classe_dev"


def _local_url(value: object) -> str:
    if not isinstance(value, str) or URL(value).host != "127.0.0.1":
        raise vol.Invalid("the host must be 127.0.0.1")
    return value


CONFIG_SCHEMA: Final = vol.Schema(
    {
        vol.Required(DOMAIN): {
            vol.Required("url"): _local_url,
            vol.Required("push_url"): _local_url,
            vol.Required("signaling_url"): _local_url,
        }
    },
    extra=vol.ALLOW_EXTRA,
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set the endpoints before the integration is set up."""
    simulator = config[DOMAIN]
    hass.data[ENDPOINTS] = Endpoints(
        api=simulator["url"],
        turn=simulator["url"],
        push=simulator["push_url"],
        signaling=simulator["signaling_url"],
    )
    return True
