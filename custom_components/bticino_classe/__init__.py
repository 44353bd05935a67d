"""BTicino Classe video intercoms in Home Assistant."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import (
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
    EVENT_HOMEASSISTANT_STOP,
    Platform,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .client import PRODUCTION, Account, AuthHandler, RateLimiter
from .const import DOMAIN, ENDPOINTS, RATE_LIMITERS
from .coordinator import BticinoConfigEntry, BticinoCoordinator
from .devices import async_cleanup_registry, async_sync_devices
from .history.history import async_remove_history
from .history.http import PictureView
from .services import async_setup_services
from .texts import async_load_error_translations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import Event, HomeAssistant
    from homeassistant.helpers.device_registry import DeviceEntry
    from homeassistant.helpers.typing import ConfigType

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.CAMERA,
    Platform.EVENT,
    Platform.IMAGE,
    Platform.LIGHT,
    Platform.LOCK,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
)


CONFIG_SCHEMA: Final = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001 - Home Assistant's signature
    """Register the actions and the way to the pictures."""
    async_setup_services(hass)
    hass.http.register_view(PictureView())
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BticinoConfigEntry) -> bool:
    """Set up an account: tokens from the entry, the house from the cloud, then the platforms."""
    auth = _auth_handler(hass, entry)
    entry.async_on_unload(auth.wait_idle)
    _settle_at_stop(hass, entry, auth)
    coordinator = BticinoCoordinator(hass, entry, Account(auth))
    await coordinator.bell.history.async_remove_unwanted()
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    async_cleanup_registry(hass, entry)
    async_sync_devices(hass, entry)
    await coordinator.bell.history.async_load(coordinator.data.intercom_of)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await async_load_error_translations(hass)
    coordinator.bell.async_start()
    coordinator.intercom.async_start()
    coordinator.pictures.async_start()
    coordinator.settings.async_start()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BticinoConfigEntry) -> bool:
    """Unload the platforms and end the calls; what else was started ends with the entry."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.intercom.async_close()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Remove what is kept of the account beside the entry: its history of calls, its budget."""
    await async_remove_history(hass, entry.entry_id)
    hass.data.get(RATE_LIMITERS, {}).pop(entry.entry_id, None)


async def async_remove_config_entry_device(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    device: DeviceEntry,
) -> bool:
    """Let a device be deleted by hand once the cloud no longer lists its module."""
    modules = {key for domain, key in device.identifiers if domain == DOMAIN}
    coordinator: BticinoCoordinator | None = getattr(entry, "runtime_data", None)
    # While the account is not connected, nobody knows what the cloud lists.
    if coordinator is None or any(coordinator.is_known(module) for module in modules):
        return False
    for module in modules:
        coordinator.async_forget(module)
    return True


def _auth_handler(hass: HomeAssistant, entry: BticinoConfigEntry) -> AuthHandler:
    auth = AuthHandler(
        entry.data[CONF_USERNAME],
        entry.data[CONF_PASSWORD],
        session=async_get_clientsession(hass),
        token_callback=_token_saver(hass, entry),
        endpoints=hass.data.get(ENDPOINTS, PRODUCTION),
        limiter=_budget(hass, entry),
    )
    if token := entry.data.get(CONF_TOKEN):
        auth.set_tokens(**token)
    return auth


def _budget(hass: HomeAssistant, entry: BticinoConfigEntry) -> RateLimiter:
    """Return the account's budget: a pause that the cloud asked for outlives a failed set-up."""
    return hass.data.setdefault(RATE_LIMITERS, {}).setdefault(entry.entry_id, RateLimiter())


def _token_saver(
    hass: HomeAssistant, entry: BticinoConfigEntry
) -> Callable[[dict[str, Any]], Awaitable[None]]:
    credentials = _credentials(entry)

    async def save(tokens: dict[str, Any]) -> None:
        """Write new tokens into the entry, from where the next start takes them; no reload.

        Those of a renewal that a new sign-in has overtaken are worth less than the new ones.
        """
        if credentials == _credentials(entry):
            data = {**entry.data, CONF_TOKEN: tokens}
            hass.config_entries.async_update_entry(entry, data=data)

    return save


def _credentials(entry: BticinoConfigEntry) -> tuple[str, str]:
    return entry.data[CONF_USERNAME], entry.data[CONF_PASSWORD]


def _settle_at_stop(hass: HomeAssistant, entry: BticinoConfigEntry, auth: AuthHandler) -> None:
    """Entries are not unloaded when Home Assistant stops: let a renewal end and be saved first."""

    async def settle(_event: Event) -> None:
        await auth.wait_idle()

    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, settle))
