"""A real Home Assistant core on a configuration folder: started, used, stopped."""

import asyncio
from dataclasses import dataclass
from functools import partialmethod
import gc
import logging
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final, Self
from unittest.mock import patch

from aiohttp.resolver import AsyncResolver
from homeassistant import loader
from homeassistant.bootstrap import CORE_INTEGRATIONS, async_load_base_functionality
from homeassistant.config_entries import SOURCE_USER, ConfigEntries, ConfigEntry, ConfigEntryState
from homeassistant.const import ATTR_RESTORED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import aiohttp_client, entity_registry as er
from homeassistant.runner import create_event_loop
from homeassistant.setup import async_setup_component

from custom_components.bticino_classe.client import AuthHandler
from custom_components.bticino_classe.const import DOMAIN

from .waiting import wait_idle, wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from custom_components.bticino_classe.client import Endpoints
    from custom_components.bticino_classe.runtime import RuntimeData

    from .cloud import Cloud

EXPIRED: Final = 1.0  # seconds since the epoch
# Once the push connection is up, which happens in the background.
AVAILABLE_LATER: Final = ("-ringing", "-in_call")
# Settings of the intercom, which are requested in the background after the set-up.
REQUESTED_LATER: Final = (
    "-do_not_disturb",
    "-do_not_disturb_duration",
    "-do_not_disturb_until",
)


def silence_loggers() -> None:
    """Leave out the warnings that every run would print."""
    logging.basicConfig(level=logging.WARNING)
    # They warn about every custom integration, about the missing isal, and about the outages.
    for name in (
        "homeassistant.loader",
        "aiohttp_fast_zlib",
        "custom_components.bticino_classe",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpTime:
    """Seconds until all entities are there, also of this process's processor; until available."""

    elapsed: float
    processor: float
    available: float


@dataclass(frozen=True, slots=True)
class Installation:
    """A configuration folder whose account is in the simulated cloud."""

    cloud: Cloud
    folder: Path

    @classmethod
    def create(cls, cloud: Cloud, folder: Path, house: str) -> Self:
        """Have the cloud load a house, and sign in on a new folder."""
        cloud.load_house(house)
        folder.mkdir(parents=True)
        installation = cls(cloud, folder)
        installation.run(installation.sign_in)
        return installation

    def run[Result](
        self,
        act: Callable[[HomeAssistant], Awaitable[Result]],
        *,
        endpoints: Endpoints | None = None,
    ) -> Result:
        """Start Home Assistant with its own event loop, run `act`, stop; return its result.

        What Home Assistant stores is on disk afterwards, so the next run is a restart. `endpoints`
        are other addresses than those of the cloud.
        """
        with asyncio.Runner(loop_factory=create_event_loop) as runner:
            return runner.run(self._run(act, endpoints or self.cloud.endpoints))

    async def sign_in(self, hass: HomeAssistant) -> None:
        """Add the account through the config flow."""
        flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        credentials = self.cloud.credentials
        result = await hass.config_entries.flow.async_configure(flow["flow_id"], credentials)
        if result.get("step_id") == "lights":
            result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
        assert result["type"] == "create_entry", result
        await hass.async_block_till_done()
        check_set_up(hass)
        _check_availability(hass)
        await wait_idle(hass)

    async def _run[Result](
        self, act: Callable[[HomeAssistant], Awaitable[Result]], endpoints: Endpoints
    ) -> Result:
        hass = HomeAssistant(str(self.folder))
        await _start(hass)
        constructor = partialmethod(AuthHandler.__init__, endpoints=endpoints)
        try:
            with patch.object(AuthHandler, "__init__", constructor):
                return await act(hass)
        finally:
            await hass.async_stop(force=True)


async def set_up(hass: HomeAssistant) -> SetUpTime:
    """Set up the stored account, and wait until the cloud has answered; return the times."""
    start, processor_start = await begin_set_up(hass)
    elapsed, processor = perf_counter() - start, process_time() - processor_start
    check_set_up(hass)
    coordinator = runtime_of(hass).coordinator
    await wait_until(
        lambda: coordinator.known_homes.is_confirmed and bool(coordinator.answered_homes)
    )
    taken = SetUpTime(elapsed=elapsed, processor=processor, available=perf_counter() - start)
    await wait_idle(hass)
    _check_availability(hass)
    return taken


async def begin_set_up(hass: HomeAssistant) -> tuple[float, float]:
    """Set up the stored account until all entities are there; return the times of the start."""
    gc.collect()  # so that garbage of an earlier run is not collected while it is measured
    started = perf_counter(), process_time()
    await async_setup_component(hass, DOMAIN, {})
    return started


async def set_up_with_expired_token(hass: HomeAssistant) -> None:
    """Set up the stored account after its access token has expired."""
    entry = entry_of(hass)
    token = {**entry.data["token"], "expires_at": EXPIRED}
    hass.config_entries.async_update_entry(entry, data={**entry.data, "token": token})
    await set_up(hass)


def entry_of(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the account's config entry."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    return entry


def runtime_of(hass: HomeAssistant) -> RuntimeData:
    """Return the parts of the account, which has to be set up."""
    runtime: RuntimeData = entry_of(hass).runtime_data
    return runtime


def check_set_up(hass: HomeAssistant) -> None:
    """Fail unless the account is loaded and every enabled entity is there.

    What is requested later is left out.
    """
    assert entry_of(hass).state is ConfigEntryState.LOADED, entry_of(hass)
    states = [hass.states.get(entity.entity_id) for entity in _enabled_entities(hass)]
    assert states, "no entity was added"
    assert all(state and not state.attributes.get(ATTR_RESTORED) for state in states)


async def _start(hass: HomeAssistant) -> None:
    """Do what Home Assistant's bootstrap does before it sets up integrations."""
    loader.async_setup(hass)
    hass.config.skip_pip = True
    hass.config_entries = ConfigEntries(hass, {"homeassistant": {}})
    await loader.async_get_custom_components(hass)
    assert await async_load_base_functionality(hass)
    for domain in CORE_INTEGRATIONS:
        assert await async_setup_component(hass, domain, {})
    await async_process_ha_core_config(hass, {})
    # In a real installation another integration has created the session before. Its resolver would
    # open multicast sockets, and there is no name to resolve.
    with patch.object(aiohttp_client, "_async_make_resolver", lambda _: _Resolver()):
        aiohttp_client.async_get_clientsession(hass)


class _Resolver(AsyncResolver):
    """A resolver without multicast, closed the way Home Assistant closes its own."""

    async def real_close(self) -> None:
        """Close the resolver."""
        await self.close()


def _check_availability(hass: HomeAssistant) -> None:
    """Fail unless every entity is available, but for what needs pushes."""
    lasting = [
        entity.entity_id
        for entity in _enabled_entities(hass)
        if not entity.unique_id.endswith(AVAILABLE_LATER)
    ]
    unavailable = [each for each in lasting if hass.states.is_state(each, STATE_UNAVAILABLE)]
    assert not unavailable, unavailable


def _enabled_entities(hass: HomeAssistant) -> list[er.RegistryEntry]:
    """Return the enabled entities, without those of what is requested later."""
    registry = er.async_get(hass)
    return [
        entity
        for entity in er.async_entries_for_config_entry(registry, entry_of(hass).entry_id)
        if entity.disabled_by is None and not entity.unique_id.endswith(REQUESTED_LATER)
    ]
