"""What the house shows of itself: lights, the intercom's connection, its sensors."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.const import EntityCategory
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest

from tests.integration.conftest import act, poll, refused, restart, state_of, until
from tests.simulator import Failure
from tests.simulator.paths import HOMESTATUS, SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

LIGHT = "30000a-0606-aa11bb22cc06"
CONNECTION = "binary_sensor.classe_300x_cloud_connection"


@pytest.mark.usefixtures("entry")
async def test_light_is_switched_and_read(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """It shows what was switched at once, and what the cloud says with the next poll."""
    await act(hass, "light", "turn_on", "light.luce_scale")
    assert simulator.lights == {LIGHT: True}
    assert state_of(hass, "light.luce_scale") == "on"
    await act(hass, "light", "turn_off", "light.luce_scale")
    assert simulator.lights == {LIGHT: False}
    assert state_of(hass, "light.luce_scale") == "off"

    await act(hass, "light", "turn_on", "light.luce_scale")
    freezer.tick(timedelta(hours=1))
    await poll(hass, freezer)
    assert simulator.lights == {LIGHT: False}, "the panel's timer has switched it off"
    assert state_of(hass, "light.luce_scale") == "off"


@pytest.mark.usefixtures("entry")
async def test_light_that_was_not_switched_does_not_shine(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """An unclear outcome leaves the light as it was shown."""
    simulator.fail(SETSTATE, Failure(status=500))
    assert await refused(hass, "light", "turn_on", "light.luce_scale") == "command_outcome_unknown"
    assert state_of(hass, "light.luce_scale") == "off"
    assert len(simulator.journal.commands) == 1


@pytest.mark.usefixtures("entry")
async def test_unplugged_intercom_takes_its_doors_along(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """The connection says why; all is back when the plug is."""
    for shown in ("both", "errors"):
        simulator.unreachable_shown = "both" if shown == "both" else "errors"
        simulator.unplug_bridge()
        await poll(hass, freezer)
        assert state_of(hass, CONNECTION) == "off"
        for gone in ("lock.cancello", "button.cancello_open", "light.luce_scale"):
            assert state_of(hass, gone) == "unavailable"
        simulator.plug_bridge()
        await poll(hass, freezer)
        assert state_of(hass, CONNECTION) == "on"
        assert state_of(hass, "lock.cancello") == "locked"


async def test_sensors_of_the_intercom(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    entity_registry: er.EntityRegistry,
) -> None:
    """Wi-Fi in dBm with its sign; what few need is there, but disabled; all are diagnostic."""
    wifi = hass.states.get("sensor.classe_300x_wi_fi_strength")
    assert wifi is not None
    assert (wifi.state, wifi.attributes["unit_of_measurement"]) == ("-64", "dBm")
    found = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    of_bridge = {
        e.entity_id: e for e in found if e.entity_id.partition(".")[2].startswith("classe")
    }
    disabled = {key for key, found_entry in of_bridge.items() if found_entry.disabled}
    assert disabled == {"sensor.classe_300x_last_start", "sensor.classe_300x_local_address"}
    own = {key: e.entity_category for key, e in of_bridge.items() if "call" not in key}
    own = {
        key: category
        for key, category in own.items()
        if not any(word in key for word in ("ring", "bell", "panel", "disturb", "studio"))
    }
    assert set(own.values()) == {EntityCategory.DIAGNOSTIC}


async def test_last_start_does_not_drift(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The moment stays from poll to poll, and moves when the intercom really restarted."""
    for sensor in ("last_start", "local_address"):
        entity_registry.async_update_entity(f"sensor.classe_300x_{sensor}", disabled_by=None)
    await restart(hass, entry)
    assert state_of(hass, "sensor.classe_300x_local_address") == "192.0.2.20"
    first = state_of(hass, "sensor.classe_300x_last_start")
    (bridge,) = simulator.house.bridges()
    for offset in (40, -70, 120):
        bridge.booted_at += offset
        await poll(hass, freezer)
        assert state_of(hass, "sensor.classe_300x_last_start") == first

    bridge.booted_at = simulator.clock() - 60
    await poll(hass, freezer)
    moved = dt_util.parse_datetime(state_of(hass, "sensor.classe_300x_last_start"))
    assert moved is not None
    assert abs(moved.timestamp() - bridge.booted_at) < 2


async def test_intercom_that_does_not_tell_its_uptime(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    entity_registry: er.EntityRegistry,
) -> None:
    """What is not told is unknown, not made up."""
    entity_registry.async_update_entity("sensor.classe_300x_last_start", disabled_by=None)
    told = {"id": "00:03:50:30:00:0a", "type": "BNC3"}
    answer: dict[str, object] = {"status": "ok", "body": {"home": {"modules": [told]}}}
    simulator.fail(HOMESTATUS, Failure(body=answer))
    await restart(hass, entry)
    assert state_of(hass, "sensor.classe_300x_last_start") == "unknown"
    assert state_of(hass, "sensor.classe_300x_wi_fi_strength") == "unknown"


@pytest.mark.usefixtures("entry")
async def test_last_start_stays_while_nothing_new_is_reported(
    hass: HomeAssistant,
    simulator: Simulator,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An uptime that was read before an outage has aged, and moves nothing."""
    entity_registry.async_update_entity("sensor.classe_300x_last_start", disabled_by=None)
    await poll(hass, freezer)  # Home Assistant reloads by itself what had an entity enabled
    first = state_of(hass, "sensor.classe_300x_last_start")
    simulator.fail(HOMESTATUS, Failure(status=503), times=2)
    await poll(hass, freezer)
    await poll(hass, freezer)
    await act(hass, "light", "turn_on", "light.luce_scale")
    assert state_of(hass, "sensor.classe_300x_last_start") == first


async def test_answer_that_was_asked_for_before_does_not_undo_a_switch(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A poll is under way while the light is switched: the switch is newer."""
    off = {"id": LIGHT, "type": "BNSL", "status": "off", "bridge": "00:03:50:30:00:0a"}
    body: dict[str, object] = {"status": "ok", "body": {"home": {"modules": [off]}}}
    simulator.fail(HOMESTATUS, Failure(delay=0.2, body=body))
    refresh = hass.async_create_task(entry.runtime_data.coordinator.async_refresh())
    await until(lambda: simulator.journal.count(HOMESTATUS))
    await act(hass, "light", "turn_on", "light.luce_scale")
    await refresh
    assert state_of(hass, "light.luce_scale") == "on"
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "light.luce_scale") == "on"


async def test_bridge_alone_that_is_away_takes_its_doors_along(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The cloud may well say nothing of the doors; what it does not mention is reachable."""
    for reachable, shown in ((False, "unavailable"), (True, "locked")):
        bridge = {"id": "00:03:50:30:00:0a", "type": "BNC3", "reachable": reachable}
        body: dict[str, object] = {"status": "ok", "body": {"home": {"modules": [bridge]}}}
        simulator.fail(HOMESTATUS, Failure(body=body))
        await entry.runtime_data.coordinator.async_refresh()
        assert state_of(hass, "lock.cancello") == shown
