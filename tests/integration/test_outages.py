"""The cloud is away for a while: what a person sees, and what the log says."""

from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.helpers.update_coordinator import UpdateFailed
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.coordinator import TOLERATED_FAILURES
from tests.integration.conftest import poll, refused, restart, settle, state_of
from tests.simulator import Failure, too_many
from tests.simulator.paths import HOMESDATA, HOMESTATUS, TOKEN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

DOOR = "lock.cancello"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the levels of what the integration logged above debug."""
    records = [r for r in caplog.records if r.name == "custom_components.bticino_classe"]
    return [record.levelname for record in records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.usefixtures("entry")
async def test_long_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    """Three polls are outlasted, the fourth is not; one warning, one info, back by itself."""
    caplog.clear()
    simulator.take_down(status)
    for _ in range(TOLERATED_FAILURES):
        await poll(hass, freezer)
        assert state_of(hass, DOOR) == "locked"
    for _ in range(4):
        await poll(hass, freezer)
        assert state_of(hass, DOOR) == "unavailable"
    assert said(caplog) == ["WARNING"]

    simulator.bring_up()
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    assert said(caplog) == ["WARNING", "INFO"]


@pytest.mark.usefixtures("entry")
async def test_short_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A night's maintenance is one warning and one info; nobody sees a door go."""
    caplog.clear()
    simulator.fail(HOMESTATUS, Failure(status=502, html=True), times=2)
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert said(caplog) == ["WARNING", "INFO"]


@pytest.mark.usefixtures("entry")
async def test_outage_of_the_token_endpoint_is_no_wrong_password(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Tokens run out while the cloud is down: no dialogue, no login, back by itself."""
    simulator.expire_access_tokens()
    simulator.fail(TOKEN, Failure(status=503, html=True), times=5)
    for _ in range(5):
        await poll(hass, freezer)
    assert state_of(hass, DOOR) == "unavailable"
    assert hass.config_entries.flow.async_progress() == []
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    assert simulator.journal.count(TOKEN, grant="password") == 0


async def test_changed_password_is_asked_for_while_running(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The dialogue opens once, and the wrong password is not tried again and again."""
    simulator.change_password("another")
    for _ in range(3):
        await poll(hass, freezer)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert flow["context"]["entry_id"] == entry.entry_id
    assert simulator.journal.count(TOKEN, grant="password") == 1


async def test_limit_of_the_cloud_is_kept(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """After "too many, come back in an hour" nothing is asked, by polls or by new set-ups."""
    simulator.fail(HOMESTATUS, too_many(retry_after=3600))
    for _ in range(3):
        await entry.runtime_data.coordinator.async_refresh()
    assert simulator.journal.count(HOMESTATUS) == 1
    assert state_of(hass, DOOR) == "locked"
    for _ in range(3):
        await restart(hass, entry)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "too_many_requests"
    assert len(simulator.journal) == 1


async def test_pause_that_the_cloud_wants_is_kept_by_the_schedule(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Once nothing is shown any more, the next poll waits as long as the cloud said."""
    simulator.fail(HOMESTATUS, too_many(retry_after=3000))
    for _ in range(TOLERATED_FAILURES + 1):
        await entry.runtime_data.coordinator.async_refresh()
    error = entry.runtime_data.coordinator.last_exception
    assert isinstance(error, UpdateFailed)
    assert 2990 < (error.retry_after or 0) <= 3000
    assert state_of(hass, DOOR) == "unavailable"


@pytest.mark.usefixtures("entry")
async def test_list_of_modules_may_fail_as_long_as_their_states_come(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Half of the cloud is enough to open a door."""
    caplog.clear()
    simulator.fail(HOMESDATA, Failure(status=503, html=True), times=8)
    await poll(hass, freezer, timedelta(hours=1))
    for _ in range(6):
        await poll(hass, freezer)
        assert state_of(hass, DOOR) == "locked"
    assert said(caplog) == []
    assert simulator.journal.count(HOMESDATA) == 7


@pytest.mark.usefixtures("entry")
async def test_wrong_password_is_tried_once_however_often_the_button_is_pressed(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Too many tries might lock the account."""
    simulator.change_password("another")
    for _ in range(5):
        assert await refused(hass, "lock", "open", DOOR) == "command_invalid_auth"
    assert simulator.journal.count(TOKEN, grant="password") == 1


@pytest.mark.usefixtures("entry")
async def test_what_an_idle_hour_asks(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Twelve looks at the state and one at the list of modules."""
    for _ in range(60):
        freezer.tick(timedelta(minutes=1))
        async_fire_time_changed(hass)
        await settle(hass)
    assert 11 <= simulator.journal.count(HOMESTATUS) <= 12
    assert simulator.journal.count(HOMESDATA) <= 1
    assert simulator.journal.count(TOKEN) == 0
