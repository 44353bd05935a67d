"""Points BTicino Classe at the simulator; installed on development servers only."""

from functools import partialmethod
from typing import TYPE_CHECKING, Final

import voluptuous as vol
from yarl import URL

from custom_components.bticino_classe import system_health
from custom_components.bticino_classe.client import AuthHandler, Endpoints

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

DOMAIN: Final = "bticino_classe_dev"


def _local_url(value: object) -> str:
    """Accept this machine, and names that are never on the internet (RFC 6761)."""
    host = URL(value).host if isinstance(value, str) else None
    if host is None or not (host == "127.0.0.1" or host.endswith(".test")):
        raise vol.Invalid("the host must be 127.0.0.1 or end with .test")
    return str(value)


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


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001 - Home Assistant's signature
    """Replace the vendor's endpoints before the integration is set up.

    The integration itself has no option for other hosts, so their defaults are replaced.
    """
    simulator = config[DOMAIN]
    endpoints = Endpoints(
        api=simulator["url"],
        turn=simulator["url"],
        push=simulator["push_url"],
        signaling=simulator["signaling_url"],
    )
    constructor = partialmethod(AuthHandler.__init__, endpoints=endpoints)
    setattr(AuthHandler, "__init__", constructor)  # noqa: B010 - a method cannot be assigned to
    vars(system_health)["PRODUCTION"] = endpoints
    return True
