"""One life of a real Home Assistant core: started on a folder, used, stopped in order."""

import asyncio
from dataclasses import dataclass
import gc
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from aiohttp.resolver import AsyncResolver
from homeassistant import loader
from homeassistant.bootstrap import CORE_INTEGRATIONS, async_load_base_functionality
from homeassistant.config_entries import SOURCE_USER, ConfigEntries, ConfigEntry, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import aiohttp_client, entity_registry as er
from homeassistant.runner import create_event_loop
from homeassistant.setup import async_setup_component

from custom_components.bticino_classe.const import DOMAIN, ENDPOINTS

from .settling import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from custom_components.bticino_classe.client import Endpoints

EXPIRED: Final = 1.0  # seconds since the epoch
ONLY_IN_A_CALL: Final = "-next_panel"  # unavailable by design while nobody watches
# What is set at an intercom is asked for in the background, once the rest is there.
LATER: Final = (
    "-do_not_disturb",
    "-do_not_disturb_duration",
    "-do_not_disturb_until",
    "-professional_studio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds that passed, and seconds of them that a processor worked for this process."""

    passed: float
    worked: float


def live[Result](
    folder: Path, endpoints: Endpoints, act: Callable[[HomeAssistant], Awaitable[Result]]
) -> Result:
    """Start Home Assistant on a configuration folder, let `act` happen, stop it, return the result.

    Its loop is Home Assistant's own. What it remembers is on disk afterwards: the next life on the
    folder is a restart.
    """
    with asyncio.Runner(loop_factory=create_event_loop) as runner:
        return runner.run(_live(folder, endpoints, act))


async def sign_in(hass: HomeAssistant, credentials: dict[str, str]) -> None:
    """Add the account through the config flow, as a person does."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], credentials)
    assert result["type"] == "create_entry", result
    await hass.async_block_till_done()
    _check(hass)
    await settle(hass)


async def set_up(hass: HomeAssistant) -> Spent:
    """Set the stored account up as a start does; return the time until all entities have states."""
    gc.collect()  # what an earlier life left is not this one's to pay for
    began, worked = perf_counter(), process_time()
    await async_setup_component(hass, DOMAIN, {})
    spent = Spent(passed=perf_counter() - began, worked=process_time() - worked)
    _check(hass)
    await settle(hass)
    return spent


async def set_up_late(hass: HomeAssistant) -> Spent:
    """Set the stored account up with an access token that is past its time."""
    entry = entry_of(hass)
    token = {**entry.data["token"], "expires_at": EXPIRED}
    hass.config_entries.async_update_entry(entry, data={**entry.data, "token": token})
    return await set_up(hass)


def entry_of(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the account's config entry."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    return entry


async def _live[Result](
    folder: Path, endpoints: Endpoints, act: Callable[[HomeAssistant], Awaitable[Result]]
) -> Result:
    hass = HomeAssistant(str(folder))
    await _start(hass)
    hass.data[ENDPOINTS] = endpoints
    try:
        return await act(hass)
    finally:
        await hass.async_stop(force=True)


async def _start(hass: HomeAssistant) -> None:
    """Do what Home Assistant's bootstrap does before it comes to the integrations."""
    loader.async_setup(hass)
    hass.config.skip_pip = True
    hass.config_entries = ConfigEntries(hass, {"homeassistant": {}})
    await loader.async_get_custom_components(hass)
    assert await async_load_base_functionality(hass)
    for domain in CORE_INTEGRATIONS:
        assert await async_setup_component(hass, domain, {})
    await async_process_ha_core_config(hass, {})
    # In any real installation somebody else has made the session before. Its resolver would open
    # multicast sockets, and there is no name to resolve.
    with patch.object(aiohttp_client, "_async_make_resolver", lambda _: _Resolver()):
        aiohttp_client.async_get_clientsession(hass)


class _Resolver(AsyncResolver):
    """A resolver without multicast, closed as Home Assistant closes its own."""

    async def real_close(self) -> None:
        """End with Home Assistant."""
        await self.close()


def _check(hass: HomeAssistant) -> None:
    """Fail unless the account is set up and each of its enabled entities is there and available.

    What is there only during a call has to be known, no more; what comes a moment later is left
    out.
    """
    entry = entry_of(hass)
    assert entry.state is ConfigEntryState.LOADED, entry
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    at_once = [entity for entity in entities if not entity.unique_id.endswith(LATER)]
    enabled = [entity for entity in at_once if entity.disabled_by is None]
    assert enabled, "no entity came"
    assert all(hass.states.get(entity.entity_id) for entity in enabled)
    lasting = [e.entity_id for e in enabled if not e.unique_id.endswith(ONLY_IN_A_CALL)]
    missing = [entity_id for entity_id in lasting if not _is_available(hass, entity_id)]
    assert not missing, missing


def _is_available(hass: HomeAssistant, entity_id: str) -> bool:
    state = hass.states.get(entity_id)
    return state is not None and state.state != STATE_UNAVAILABLE
