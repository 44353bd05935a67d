"""Home Assistant with the integration, connected to the simulated cloud."""

import asyncio
from functools import partialmethod
from typing import TYPE_CHECKING, Any

from freezegun.api import real_monotonic
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.const import CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity import Entity
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from bench.support.leaks import integration_tasks, integration_timers
from custom_components.bticino_classe import commands, system_health
from custom_components.bticino_classe.calls.events import HANDED_OVER
from custom_components.bticino_classe.client import AuthHandler
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.polling import STATUS_INTERVAL
from custom_components.bticino_classe.stored_house import async_remove_stored_house
from tests.conftest import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime, timedelta

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import Event, HomeAssistant
    from homeassistant.data_entry_flow import FlowResult

    from custom_components.bticino_classe.client import Endpoints, PushChannel, SignalingChannel
    from tests.simulator import Entry, Simulator


LOOP_TURNS = 10  # in which cancelled tasks end


class EventRecorder:
    """Records what the event entities fire, in order."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._changes: list[Event[Any]] = async_capture_events(hass, "state_changed")

    def recorded(self) -> list[tuple[str, str]]:
        """Return the entity and the type of each event."""
        states = [change.data["new_state"] for change in self._changes]
        return [
            (state.entity_id, state.attributes["event_type"])
            for state in states
            if isinstance(state, State)
            and state.domain == "event"
            and state.state != "unknown"
            and state.attributes.get("event_type")
        ]

    def simulated(self) -> list[object]:
        """Return the mark of simulated rings of each event."""
        states = [change.data["new_state"] for change in self._changes]
        return [
            state.attributes.get("simulated")
            for state in states
            if isinstance(state, State) and state.attributes.get("event_type")
        ]

    def rings(self) -> list[str]:
        """Return the doorbells that rang."""
        return [entity_id for entity_id, kind in self.recorded() if kind == "ring"]


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """A configuration folder for this test only."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
async def _integration(
    enable_custom_integrations: None,  # noqa: ARG001 - lets Home Assistant find it
    hass: HomeAssistant,
    endpoints: Endpoints,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[None]:
    """Use the simulated cloud, without pushes and without waiting for them before a command.

    `online_entry` turns pushes on.
    A task or timer that outlives its account fails the test; Home Assistant's end would hide it.
    """
    constructor = partialmethod(AuthHandler.__init__, endpoints=endpoints)
    monkeypatch.setattr(AuthHandler, "__init__", constructor)
    monkeypatch.setattr(system_health, "PRODUCTION", endpoints)
    simulator.sockets.handshake_status = 503
    monkeypatch.setattr(commands, "PUSH_WAIT_SECONDS", 0.0)
    yield
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    assert leftovers() == []


@pytest.fixture
def credentials(simulator: Simulator) -> dict[str, str]:
    """The user input of the sign-in form."""
    return {CONF_USERNAME: simulator.email, CONF_PASSWORD: simulator.password}


@pytest.fixture
async def entry(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> ConfigEntry[Any]:
    """An account that was set up through the form; the journal is empty."""
    found = await sign_in(hass, credentials)
    simulator.journal.clear()
    return found


@pytest.fixture(name="all_entities")
def _all_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable every entity, also those that are disabled by default."""
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", property(lambda _: True))


@pytest.fixture(name="house_name")
def _house_name() -> str:
    return "classe_300x"


@pytest.fixture(name="online_entry")
async def _online_entry(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], house_name: str
) -> AsyncIterator[ConfigEntry[Any]]:
    """An account whose push connection is online; the journal is empty."""
    simulator.sockets.handshake_status = None
    simulator.use_house(house_name)
    entry = await sign_in(hass, credentials)
    await wait_online(entry)
    simulator.journal.clear()
    yield entry
    assert simulator.violations == []


@pytest.fixture(name="events")
def _events(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - whose events are recorded
) -> EventRecorder:
    """The events of an account whose push connection is online."""
    return EventRecorder(hass)


def leftovers() -> list[object]:
    """Return the tasks and timers of the integration."""
    return [*integration_tasks(), *integration_timers(asyncio.get_running_loop())]


async def sign_in(hass: HomeAssistant, credentials: dict[str, Any]) -> ConfigEntry[Any]:
    """Add the account as a user does, and wait until it is set up."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], credentials)
    if result.get("step_id") == "lights":
        result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["type"] == "create_entry", result
    await wait_idle(hass)
    found: ConfigEntry[Any] = result["result"]
    return found


def get_entry(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the only account."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    return entry


async def reload_entry(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Set the account up again; calls under way go on."""
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_idle(hass)


async def restart_entry(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Set the account up again from what is stored, as a restart does."""
    await hass.config_entries.async_unload(entry.entry_id)
    hass.data[HANDED_OVER].clear()
    await hass.config_entries.async_setup(entry.entry_id)
    await wait_idle(hass)


async def forget_house(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Unload the account and remove its stored house: the next set-up waits for the cloud."""
    await hass.config_entries.async_unload(entry.entry_id)
    await async_remove_stored_house(hass, entry.entry_id)


async def advance(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass, and wait until the timers that are due have been handled."""
    freezer.tick(seconds)
    async_fire_time_changed(hass)
    await wait_idle(hass)


async def poll(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, interval: timedelta = STATUS_INTERVAL
) -> None:
    """Let time pass until the next poll is over."""
    await advance(hass, freezer, interval.total_seconds() + 1)


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; time may be frozen."""
    deadline = real_monotonic() + HANG_TIMEOUT
    while not condition():  # there is no event to wait for
        assert real_monotonic() < deadline, "the test hangs"
        await asyncio.sleep(0)


async def wait_idle(hass: HomeAssistant) -> None:
    """Wait until no task is running except the push connection."""
    await hass.async_block_till_done()
    while tasks := [t for t in hass._background_tasks if "push socket" not in repr(t)]:
        await asyncio.wait(tasks)
        await hass.async_block_till_done()


async def wait_online(entry: ConfigEntry[Any]) -> None:
    """Wait until the push connection is online and missed events are caught up."""
    await wait_until(lambda: entry.runtime_data.push.is_online)
    await wait_idle(entry.runtime_data.coordinator.hass)


async def wait_frames(hass: HomeAssistant, count: int) -> None:
    """Wait until the push connection has read and processed a total number of frames."""
    counters = get_entry(hass).runtime_data.push.socket.counters
    await wait_until(lambda: counters["frames"] >= count)
    await hass.async_block_till_done()


def skip_backoff(channel: PushChannel | SignalingChannel) -> None:
    """Let a channel reconnect without a delay."""
    channel.socket._backoff.draw = lambda: 0.0


async def call_action(hass: HomeAssistant, domain: str, service: str, entity_id: str) -> None:
    """Call an action on one entity."""
    await hass.services.async_call(domain, service, {"entity_id": entity_id}, blocking=True)


async def expect_refused(
    hass: HomeAssistant, domain: str, service: str, entity_id: str
) -> str | None:
    """Call an action that has to fail; returns the translation key of the error."""
    with pytest.raises(HomeAssistantError) as caught:
        await call_action(hass, domain, service, entity_id)
    assert "{" not in str(caught.value), "a placeholder was not filled in"
    return caught.value.translation_key


async def update_entity(hass: HomeAssistant, entity_id: str) -> None:
    """Call Home Assistant's own action to update an entity now."""
    await async_setup_component(hass, "homeassistant", {})
    await call_action(hass, "homeassistant", "update_entity", entity_id)
    await wait_idle(hass)


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that has to exist."""
    state = hass.states.get(entity_id)
    assert state is not None, f"no {entity_id} among {hass.states.async_entity_ids()}"
    return state.state


def time_of_last_call(hass: HomeAssistant) -> datetime:
    """Return the time that *Last call* of the 300X shows."""
    state = hass.states.get("sensor.classe_300x_last_call")
    assert state is not None
    time: datetime = state.attributes["time"]
    return time


def call_entity(platform: str, location: str, name: str) -> str:
    """Return the entity of a location that shows calls; those of intercoms are of unknown panels.

    The houses' panels have no names of intercoms.
    """
    is_intercom = location in {"classe_300x", "easykit"}
    return f"{platform}.{location}_{name}{'_panel_unknown' if is_intercom else ''}"


def is_watched(hass: HomeAssistant, camera: str) -> bool:
    """Whether a camera says that somebody watches."""
    state = hass.states.get(camera)
    assert state is not None
    watched: bool = state.attributes["watched"]
    return watched


def device_id_of(hass: HomeAssistant, name: str) -> str:
    """Return the id of the device with a name."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), get_entry(hass).entry_id)
    (found,) = [each.id for each in devices if each.name == name]
    return found


def form_fields(result: FlowResult[Any, Any]) -> dict[str, Any]:
    """Return the fields of a form with their suggested values."""
    schema = result["data_schema"]
    assert schema is not None
    return {str(key): key.description for key in schema.schema}


def request_values(entries: list[Entry], *path: str) -> list[Any]:
    """Return one part of the body of each request."""
    found = []
    for entry in entries:
        value: Any = entry.body
        for key in path:
            value = value[key]
        found.append(value)
    return found
