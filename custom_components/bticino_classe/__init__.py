"""BTicino Classe video intercoms in Home Assistant."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
    EVENT_HOMEASSISTANT_STOP,
    Platform,
)
from homeassistant.core import callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.loader import async_get_loaded_integration

from .assumed_lights import ASSUMED_LIGHTS
from .calls.events import async_forget_calls
from .chime import async_register_chime
from .client import Account, AuthHandler, RateLimiter
from .const import DOMAIN, RATE_LIMITERS
from .devices import async_sync_devices
from .errors import async_load_error_translations
from .history.http import PictureView
from .history.store import async_remove_history
from .issues import async_delete_issues
from .live.relays import RELAY_LIMITS
from .live.signaling import SignalingView
from .live.stream_address import async_hide_secrets, async_remove_stream_secret
from .live.whep import WhepSessionView, WhepView
from .pulses import DOOR_PULSES
from .recording.file import async_remove_recording
from .runtime import BticinoConfigEntry, RuntimeData, async_runtime
from .service_helpers import async_picture_source, async_whep_camera
from .services import async_setup_services
from .stored_house import async_remove_stored_house

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
)


CONFIG_SCHEMA: Final = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001 - Home Assistant's signature
    """Register the actions, the view of the pictures, the WHEP endpoint, and the chime."""
    async_setup_services(hass)
    async_hide_secrets()
    for view in (
        PictureView(async_picture_source),
        WhepView(async_whep_camera),
        WhepSessionView(async_whep_camera),
        SignalingView(async_whep_camera),
    ):
        hass.http.register_view(view)
    await async_register_chime(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BticinoConfigEntry) -> bool:
    """Set up an account from what is stored; only the first set-up waits for the cloud."""
    auth = _auth_handler(hass, entry)
    entry.async_on_unload(auth.wait_idle)
    _wait_at_stop(hass, entry, auth.wait_idle)
    account = Account(auth)
    runtime = RuntimeData.build(hass, entry, account)
    _wait_at_stop(hass, entry, runtime.commands.async_settle)
    runtime.watch.async_start()
    await runtime.history.async_remove_unwanted()
    await runtime.coordinator.async_load()
    entry.runtime_data = runtime
    async_sync_devices(hass, entry)
    await runtime.history.async_load(runtime.calls.ringing)
    await async_load_error_translations(hass)
    await _set_up_platforms(hass, entry)
    runtime.async_start(hass, entry)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BticinoConfigEntry) -> bool:
    """Finish openings, unload the platforms, end the views; the rest ends with the entry."""
    runtime = entry.runtime_data
    await runtime.commands.async_settle()
    runtime.calls.async_pause()
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await runtime.commands.async_settle()  # a door may have been opened meanwhile
        await runtime.live.async_close()
    else:
        runtime.calls.async_resume()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Remove the account's history of calls, its stored house, and what outlives its reloads."""
    async_forget_calls(hass, entry.entry_id)
    await async_remove_history(hass, entry.entry_id)
    await async_remove_stored_house(hass, entry.entry_id)
    await async_remove_recording(hass, entry.entry_id)
    async_delete_issues(hass, entry.entry_id, is_removed=True)
    hass.data.get(RATE_LIMITERS, {}).pop(entry.entry_id, None)
    hass.data.get(RELAY_LIMITS, {}).pop(entry.entry_id, None)
    hass.data.get(DOOR_PULSES, {}).pop(entry.entry_id, None)
    hass.data.get(ASSUMED_LIGHTS, {}).pop(entry.entry_id, None)


async def async_remove_config_entry_device(
    hass: HomeAssistant,
    entry: BticinoConfigEntry,
    device: DeviceEntry,
) -> bool:
    """Allow a device to be deleted once the cloud no longer lists its module."""
    modules = {key for domain, key in device.identifiers if domain == DOMAIN}
    runtime = async_runtime(entry)
    # Before the cloud has answered, it is not known what it lists.
    if runtime is None or not all(
        runtime.coordinator.known_homes.is_gone(module) for module in modules
    ):
        return False
    for module in modules:
        runtime.coordinator.async_remove_module(module)
        async_remove_stream_secret(hass, entry, module)
    return True


async def _set_up_platforms(hass: HomeAssistant, entry: BticinoConfigEntry) -> None:
    """Set up the platforms in turns of the event loop: all at once, a large house keeps it long."""
    await async_get_loaded_integration(hass, DOMAIN).async_get_platforms(PLATFORMS)
    for platform in PLATFORMS:
        await hass.config_entries.async_forward_entry_setups(entry, (platform,))
        await asyncio.sleep(0)


def _auth_handler(hass: HomeAssistant, entry: BticinoConfigEntry) -> AuthHandler:
    auth = AuthHandler(
        entry.data[CONF_USERNAME],
        entry.data.get(CONF_PASSWORD),
        session=async_get_clientsession(hass),
        token_callback=_token_saver(hass, entry),
        limiter=_rate_limiter(hass, entry),
    )
    if token := entry.data.get(CONF_TOKEN):
        auth.set_tokens(**token)
    return auth


def _rate_limiter(hass: HomeAssistant, entry: BticinoConfigEntry) -> RateLimiter:
    """Return the account's rate limiter; a pause outlives a failed set-up."""
    limiters = hass.data.setdefault(RATE_LIMITERS, {})
    if (limiter := limiters.get(entry.entry_id)) is None:
        limiter = limiters[entry.entry_id] = RateLimiter(clock=hass.loop.time)
        entry.async_on_state_change(partial(_on_state_change, hass, entry, limiter))
    return limiter


@callback
def _on_state_change(hass: HomeAssistant, entry: BticinoConfigEntry, limiter: RateLimiter) -> None:
    """Delete the issues of an account that is unloaded, and let a reload by a person skip pauses.

    Retries of a failed set-up do not unload the entry.
    """
    if entry.state is ConfigEntryState.NOT_LOADED:
        async_delete_issues(hass, entry.entry_id, is_removed=False)
        limiter.skip_pauses()


def _token_saver(
    hass: HomeAssistant, entry: BticinoConfigEntry
) -> Callable[[dict[str, Any]], Awaitable[None]]:
    stored = entry.data.get(CONF_TOKEN)

    async def save(tokens: dict[str, Any]) -> None:
        """Store new tokens in the entry, without a reload.

        Tokens of a renewal that a new sign-in has overtaken are dropped.
        """
        nonlocal stored
        if stored == entry.data.get(CONF_TOKEN):
            stored = tokens
            data = {**entry.data, CONF_TOKEN: tokens}
            hass.config_entries.async_update_entry(entry, data=data)

    return save


def _wait_at_stop(
    hass: HomeAssistant, entry: BticinoConfigEntry, wait: Callable[[], Awaitable[None]]
) -> None:
    """Let something finish when Home Assistant stops: entries are not unloaded then."""

    async def on_stop(_event: Event) -> None:
        await wait()

    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, on_stop))
