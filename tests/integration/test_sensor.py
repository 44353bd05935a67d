"""The intercom's diagnostic sensors."""

from typing import TYPE_CHECKING, Any

from homeassistant.const import EntityCategory
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest

from tests.integration.conftest import call_action, poll, reload_entry, state_of
from tests.simulator import Failure
from tests.simulator.paths import HOMESTATUS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


async def test_sensors_of_the_intercom(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    entity_registry: er.EntityRegistry,
) -> None:
    """Wi-Fi strength in dBm; rarely needed entities are disabled; all are diagnostic."""
    found = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    of_bridge = {
        e.entity_id: e for e in found if e.entity_id.partition(".")[2].startswith("classe")
    }
    disabled = {key for key, found_entry in of_bridge.items() if found_entry.disabled}
    assert disabled == {
        "binary_sensor.classe_300x_bell_panel_unknown",
        "binary_sensor.classe_300x_line_panel_unknown",
        "camera.classe_300x_call_home",
        "event.classe_300x_call_panel_unknown",
        "event.classe_300x_doorbell_panel_unknown",
        "sensor.classe_300x_do_not_disturb_until",
        "sensor.classe_300x_ip_address",
        "sensor.classe_300x_last_call",
        "sensor.classe_300x_last_restart",
        "sensor.classe_300x_wi_fi_strength",
        "sensor.classe_300x_stream_views",
        "select.classe_300x_professional_studio",
    }
    entity_registry.async_update_entity("sensor.classe_300x_wi_fi_strength", disabled_by=None)
    await reload_entry(hass, entry)
    wifi = hass.states.get("sensor.classe_300x_wi_fi_strength")
    assert wifi is not None
    assert (wifi.state, wifi.attributes["unit_of_measurement"]) == ("-64", "dBm")
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
    """The time stays the same from poll to poll, and changes when the intercom restarts."""
    for sensor in ("last_restart", "ip_address"):
        entity_registry.async_update_entity(f"sensor.classe_300x_{sensor}", disabled_by=None)
    await reload_entry(hass, entry)
    assert state_of(hass, "sensor.classe_300x_ip_address") == "192.0.2.20"
    first = state_of(hass, "sensor.classe_300x_last_restart")
    (bridge,) = simulator.house.bridges()
    for offset in (40, -70, 120):
        bridge.booted_at += offset
        await poll(hass, freezer)
        assert state_of(hass, "sensor.classe_300x_last_restart") == first

    bridge.booted_at = simulator.clock() - 60
    await poll(hass, freezer)
    moved = dt_util.parse_datetime(state_of(hass, "sensor.classe_300x_last_restart"))
    assert moved is not None
    assert abs(moved.timestamp() - bridge.booted_at) < 2


async def test_missing_values_are_unknown(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    entity_registry: er.EntityRegistry,
) -> None:
    """What the cloud does not report is not made up."""
    for sensor in ("last_restart", "wi_fi_strength"):
        entity_registry.async_update_entity(f"sensor.classe_300x_{sensor}", disabled_by=None)
    reported = {"id": "00:03:50:30:00:0a", "type": "BNC3"}
    answer: dict[str, object] = {"status": "ok", "body": {"home": {"modules": [reported]}}}
    simulator.fail(HOMESTATUS, Failure(body=answer))
    await reload_entry(hass, entry)
    assert state_of(hass, "sensor.classe_300x_last_restart") == "unknown"
    assert state_of(hass, "sensor.classe_300x_wi_fi_strength") == "unknown"


@pytest.mark.usefixtures("entry")
async def test_last_start_stays_during_an_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An uptime that was read before the outage is outdated and changes nothing."""
    entity_registry.async_update_entity("sensor.classe_300x_last_restart", disabled_by=None)
    await poll(hass, freezer)  # Home Assistant reloads an entry after an entity was enabled
    first = state_of(hass, "sensor.classe_300x_last_restart")
    simulator.fail(HOMESTATUS, Failure(status=503), times=2)
    await poll(hass, freezer)
    await poll(hass, freezer)
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    assert state_of(hass, "sensor.classe_300x_last_restart") == first
