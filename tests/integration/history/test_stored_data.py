"""A stored history that is damaged or from another version."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import (
    EventRecorder,
    get_entry,
    state_of,
    wait_frames,
    wait_online,
)
from tests.simulator import Failure
from tests.simulator.paths import GETEVENTS

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

STREET = "Posto esterno strada"
LAST, OUTCOME = "sensor.classe_300x_last_call", "sensor.classe_300x_outcome_of_the_last_call"
MISSED = "sensor.classe_300x_missed_calls"
DOORBELL, CALL = "event.posto_esterno_strada_doorbell", "event.posto_esterno_strada_call"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "stored",
    [
        {"last": [{"session_id": "x"}, "nonsense", None], "missed": "nonsense"},
        {"last": 5, "missed": [{"session_id": "x", "unknown": 1}]},
        {"begun_at": True, "calls": [{"id": 7}, {"id": "x", "time": "?"}, None], "deleted": [1]},
        {"begun_at": "x", "calls": {"id": 7}, "deleted": {"x": "y"}, "deleted_until": None},
        ["nonsense"],
        {},
    ],
)
async def test_damaged_history_does_not_stop_setup(
    hass: HomeAssistant, hass_storage: dict[str, Any], stored: dict[str, Any]
) -> None:
    """The account is set up with an empty history."""
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[f"bticino_classe.{entry.entry_id}"]["data"] = stored
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("online_entry")
async def test_history_of_a_newer_version_is_discarded(
    hass: HomeAssistant, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """After a downgrade the account is set up, and the log says that the history is gone."""
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[f"bticino_classe.{entry.entry_id}"]["version"] = 99
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert "begins anew" in caplog.text
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("online_entry")
async def test_unknown_fields_of_the_history_are_ignored(
    hass: HomeAssistant, simulator: Simulator, hass_storage: dict[str, Any]
) -> None:
    """The fields that are known are kept."""
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    entry = get_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    data = hass_storage[f"bticino_classe.{entry.entry_id}"]["data"]
    for each in data["calls"]:
        each["weather"] = "x"
    simulator.fail(GETEVENTS, Failure(status=503, html=True), times=5)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_online(entry)
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")


async def test_removing_the_account_deletes_the_history(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, hass_storage: dict[str, Any]
) -> None:
    """The stored calls are deleted with the account."""
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    entry = get_entry(hass)
    await asyncio.sleep(0)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert f"bticino_classe.{entry.entry_id}" not in hass_storage
    assert events.rings() == [DOORBELL]
