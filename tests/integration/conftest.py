"""Home Assistant with the integration, pointed at the simulated cloud."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.const import CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.bticino_classe.const import DOMAIN, ENDPOINTS
from custom_components.bticino_classe.coordinator import STATUS_INTERVAL
from tests.integration.player import STREET, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import Event, HomeAssistant
    from homeassistant.data_entry_flow import FlowResult
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Entry, Simulator


class Happenings:
    """The events that event entities told, in their order."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._changes: list[Event[Any]] = async_capture_events(hass, "state_changed")

    def told(self) -> list[tuple[str, str]]:
        """Return entity and event type of each."""
        states = [change.data["new_state"] for change in self._changes]
        return [
            (state.entity_id, state.attributes["event_type"])
            for state in states
            if isinstance(state, State)
            and state.domain == "event"
            and state.state != "unknown"
            and state.attributes.get("event_type")
        ]

    def rings(self) -> list[str]:
        """Return the doorbells that rang."""
        return [entity_id for entity_id, kind in self.told() if kind == "ring"]


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """A configuration folder of the test's own."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
def _integration(
    enable_custom_integrations: None,  # noqa: ARG001 - lets Home Assistant find it
    hass: HomeAssistant,
    endpoints: Endpoints,
    simulator: Simulator,
) -> None:
    """Nothing is pushed, so that what is polled can be told apart; the bell's tests change that."""
    hass.data[ENDPOINTS] = endpoints
    simulator.sockets.handshake_status = 503


@pytest.fixture
def credentials(simulator: Simulator) -> dict[str, str]:
    """What a person types to sign in."""
    return {CONF_USERNAME: simulator.email, CONF_PASSWORD: simulator.password}


@pytest.fixture
async def entry(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> ConfigEntry[Any]:
    """An account that was set up through the form; the journal begins after that."""
    found = await sign_in(hass, credentials)
    simulator.journal.clear()
    return found


@pytest.fixture(name="house_name")
def _house_name() -> str:
    return "classe_300x"


@pytest.fixture(name="bell")
async def _bell(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], house_name: str
) -> AsyncIterator[Happenings]:
    """A house that hears pushes, and what it tells from now on."""
    simulator.sockets.handshake_status = None
    simulator.use_house(house_name)
    entry = await sign_in(hass, credentials)
    await online(entry)
    simulator.journal.clear()
    happenings = Happenings(hass)
    yield happenings
    assert simulator.violations == []


@pytest.fixture(name="page")
async def _page(
    hass: HomeAssistant,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    hass_ws_client: WebSocketGenerator,
) -> Page:
    """A page that shows the camera of the street; the intercom's patience is a test's."""
    channel = the_entry(hass).runtime_data.live.channel
    channel.timeouts = replace(
        channel.timeouts, connected=2, acknowledged=1, answered=1, terminated=1, busy=0.01
    )
    return await Page.open(hass_ws_client, STREET)


async def sign_in(hass: HomeAssistant, credentials: dict[str, str]) -> ConfigEntry[Any]:
    """Add the account as a person does, and wait until it is set up."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], credentials)
    assert result["type"] == "create_entry", result
    await settle(hass)
    found: ConfigEntry[Any] = result["result"]
    return found


async def online(entry: ConfigEntry[Any]) -> None:
    """Wait until pushes can come, and what was missed meanwhile has been asked for."""
    await until(lambda: entry.runtime_data.push.is_online)
    await settle(entry.runtime_data.coordinator.hass)


async def restart(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Set the account up anew from what the entry holds, as a restart does."""
    await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)


async def poll(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, interval: timedelta = STATUS_INTERVAL
) -> None:
    """Let time pass until the next poll is over."""
    freezer.tick(interval + timedelta(seconds=1))
    async_fire_time_changed(hass)
    await settle(hass)


async def settle(hass: HomeAssistant) -> None:
    """Wait until nothing is under way but what lasts: the socket that pushes come through."""
    await hass.async_block_till_done()
    while tasks := [t for t in hass._background_tasks if "push socket" not in repr(t)]:
        await asyncio.wait(tasks)
        await hass.async_block_till_done()


async def refused(hass: HomeAssistant, domain: str, service: str, entity_id: str) -> str | None:
    """Call an action that has to fail, and return the key of the text that the person gets."""
    with pytest.raises(HomeAssistantError) as caught:
        await act(hass, domain, service, entity_id)
    assert "{" not in str(caught.value), "a placeholder was not filled in"
    return caught.value.translation_key


async def act(hass: HomeAssistant, domain: str, service: str, entity_id: str) -> None:
    """Call an action on one entity."""
    await hass.services.async_call(domain, service, {"entity_id": entity_id}, blocking=True)


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that has to be there."""
    state = hass.states.get(entity_id)
    assert state is not None, f"no {entity_id} among {hass.states.async_entity_ids()}"
    return state.state


async def until(condition: Callable[[], object]) -> None:
    """Wait until something has happened in the simulator."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0)


async def look_again(hass: HomeAssistant, entity_id: str) -> None:
    """Ask Home Assistant to update an entity now, as a person or automation can."""
    await async_setup_component(hass, "homeassistant", {})
    await act(hass, "homeassistant", "update_entity", entity_id)
    await settle(hass)


def fields(result: FlowResult[Any, Any]) -> dict[str, Any]:
    """Return the fields of a form with what is suggested for each."""
    schema = result["data_schema"]
    assert schema is not None
    return {str(key): key.description for key in schema.schema}


def requested(entries: list[Entry], *path: str) -> list[Any]:
    """Return one part of the body of every request."""
    found = []
    for entry in entries:
        value: Any = entry.body
        for key in path:
            value = value[key]
        found.append(value)
    return found


def the_entry(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the account that is set up."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    return entry


async def heard(hass: HomeAssistant, count: int) -> None:
    """Wait until so many frames have been read, and their effect is there."""
    counters = the_entry(hass).runtime_data.push.socket.counters
    await until(lambda: counters["frames"] >= count)
    await hass.async_block_till_done()
