"""Polling: reachability, outages, rate limits."""

import asyncio
from datetime import timedelta
import logging
from math import ceil
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.helpers.update_coordinator import UpdateFailed
import pytest

from custom_components.bticino_classe.client import RateLimitError
from tests.integration.conftest import (
    advance,
    call_action,
    expect_refused,
    get_entry,
    poll,
    reload_entry,
    state_of,
    wait_until,
)
from tests.simulator import Failure, too_many
from tests.simulator.paths import (
    GETCONFIGS,
    GETEVENTS,
    HOMESDATA,
    HOMESTATUS,
    PUSH,
    SETSTATE,
    TOKEN,
    TURN,
)

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

    from tests.simulator import Simulator

DOOR = "lock.cancello"
CONNECTION = "binary_sensor.classe_300x_intercom_online"


def logged_levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the levels of the integration's log messages above debug."""
    records = [r for r in caplog.records if r.name == "custom_components.bticino_classe"]
    return [record.levelname for record in records if record.levelno > logging.DEBUG]


@pytest.mark.usefixtures("entry")
async def test_unplugged_intercom_makes_its_doors_unavailable(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """*Intercom online* shows why; everything returns with the intercom."""
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


async def test_doors_follow_their_intercom(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A status that lists the intercom alone decides about its doors, too."""
    for reachable, shown in ((False, "unavailable"), (True, "locked")):
        bridge = {"id": "00:03:50:30:00:0a", "type": "BNC3", "reachable": reachable}
        body: dict[str, object] = {"status": "ok", "body": {"home": {"modules": [bridge]}}}
        simulator.fail(HOMESTATUS, Failure(body=body))
        await entry.runtime_data.coordinator.async_refresh()
        assert state_of(hass, "lock.cancello") == shown


async def test_push_during_the_list_of_modules(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The states that are requested after the push are newer, and they are shown."""
    released, coordinator = asyncio.Event(), online_entry.runtime_data.coordinator
    coordinator.known_homes.async_expire()
    simulator.fail(HOMESDATA, Failure(until=released))
    poll = asyncio.create_task(coordinator.async_refresh())
    await simulator.journal.wait_for(HOMESDATA)
    module = simulator.house.find("Box")
    simulator.set_reachable(module, False)
    await wait_until(lambda: state_of(hass, "lock.box") == "unavailable")
    module.reachable = True  # without a push
    released.set()
    await poll
    await hass.async_block_till_done()
    assert state_of(hass, "lock.box") == "locked"


@pytest.mark.parametrize(
    "outage",
    [Failure(status=status, html=True) for status in (400, 403, 404, 500, 503)]
    + [Failure(drop=True), Failure(html=True)],
    ids=str,
)
@pytest.mark.usefixtures("entry")
async def test_long_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    outage: Failure,
) -> None:
    """Entities keep their values for a quarter of an hour; one warning, one info."""
    get_entry(hass).runtime_data.push.socket.stop()  # it would log the outage, sooner or later
    caplog.clear()
    simulator.fail("*", outage, times=40)
    for _ in range(2):
        await poll(hass, freezer)
        assert state_of(hass, DOOR) == "locked"
    for _ in range(4):
        await poll(hass, freezer)
        assert state_of(hass, DOOR) == "unavailable"
    assert logged_levels(caplog) == ["WARNING"]

    simulator.faults.clear()
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    assert logged_levels(caplog) == ["WARNING", "INFO"]


async def test_many_failed_polls_are_no_long_outage(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Time decides, however often somebody polls."""
    simulator.take_down(503)
    for _ in range(20):
        freezer.tick(40)
        await entry.runtime_data.coordinator.async_refresh()
        assert state_of(hass, DOOR) == "locked"
    freezer.tick(101)
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, DOOR) == "unavailable"


async def test_first_failed_poll_after_a_long_interval(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The push connection showed until now that the cloud is there: the quarter begins here."""
    simulator.fail(HOMESTATUS, Failure(status=503, html=True), times=9)
    freezer.tick(29 * 60)
    for seconds in (0, 600):
        freezer.tick(seconds)
        await online_entry.runtime_data.coordinator.async_refresh()
        assert state_of(hass, DOOR) == "locked"
    freezer.tick(301)
    await online_entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, DOOR) == "unavailable"
    simulator.faults.clear()


async def test_answered_command_proves_that_the_cloud_is_there(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A door that opens, or is refused by its module, keeps the entities available."""
    simulator.fail(HOMESTATUS, Failure(status=503, html=True), times=9)
    for answer in (None, Failure(body={"status": "ok", "errors": [{"code": 5}]})):
        freezer.tick(7 * 60)
        if answer:
            simulator.fail(SETSTATE, answer)
            assert await expect_refused(hass, "lock", "open", DOOR) == "command_refused"
        else:
            await call_action(hass, "lock", "open", DOOR)
        freezer.tick(7 * 60)
        await entry.runtime_data.coordinator.async_refresh()
        assert state_of(hass, DOOR) != "unavailable"
    freezer.tick(9 * 60)
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, DOOR) == "unavailable"


async def test_poll_that_our_own_limiter_refuses_counts_for_nothing(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No request, no verdict: nothing becomes unavailable, and nothing is logged."""
    caplog.clear()
    limiter = entry.runtime_data.account.auth.limiter
    limiter.note(RateLimitError(status=429, retry_after=3600))
    for _ in range(9):
        freezer.tick(300)
        await entry.runtime_data.coordinator.async_refresh()
        assert state_of(hass, DOOR) == "locked"
    assert entry.runtime_data.coordinator.failed_polls == 0
    assert logged_levels(caplog) == []
    assert len(simulator.journal) == 0


async def test_refused_poll_does_not_end_an_outage(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What was unavailable stays so, and the next poll waits until the pause is over."""
    coordinator = entry.runtime_data.coordinator
    simulator.fail(HOMESTATUS, Failure(status=503, html=True))
    freezer.tick(16 * 60)
    await coordinator.async_refresh()
    assert state_of(hass, DOOR) == "unavailable"
    coordinator.account.auth.limiter.note(RateLimitError(status=429, retry_after=3000))
    await coordinator.async_refresh()
    assert state_of(hass, DOOR) == "unavailable"
    assert isinstance(coordinator.last_exception, UpdateFailed)
    assert 2990 < (coordinator.last_exception.retry_after or 0) <= 3001


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.usefixtures("entry")
async def test_page_without_a_code_is_no_verdict(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory, status: int
) -> None:
    """One such page, of states or of settings, takes nothing away."""
    simulator.fail(HOMESTATUS, Failure(status=status, html=True))
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    simulator.fail(GETCONFIGS, Failure(status=status, html=True))
    await poll(hass, freezer, timedelta(hours=1))
    assert state_of(hass, "select.classe_300x_do_not_disturb") != "unavailable"
    reads = simulator.journal.count(GETCONFIGS)
    await poll(hass, freezer)
    assert simulator.journal.count(GETCONFIGS) > reads


@pytest.mark.usefixtures("entry")
async def test_short_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Entities keep their values; one warning, one info."""
    caplog.clear()
    simulator.fail(HOMESTATUS, Failure(status=502, html=True), times=2)
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert logged_levels(caplog) == ["WARNING", "INFO"]


@pytest.mark.usefixtures("entry")
async def test_token_endpoint_outage_starts_no_reauth(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Tokens expire while the cloud is down: no dialog, no sign-in, automatic recovery."""
    simulator.expire_access_tokens()
    simulator.fail(TOKEN, Failure(status=503, html=True), times=5)
    for _ in range(5):
        await poll(hass, freezer)
    assert state_of(hass, DOOR) == "unavailable"
    assert hass.config_entries.flow.async_progress() == []
    await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"
    assert simulator.journal.count(TOKEN, grant="password") == 0


@pytest.mark.usefixtures("entry")
async def test_failing_sign_ins_are_rare(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Each sends the owner an e-mail; the tokens were revoked, and the sign-in is out of order."""
    simulator.revoke()
    simulator.fail(TOKEN, Failure(error="invalid_grant"))
    simulator.fail(TOKEN, Failure(status=500), times=1000)
    for _ in range(24):
        await poll(hass, freezer)
    assert state_of(hass, DOOR) == "unavailable"
    assert 4 <= simulator.journal.count(TOKEN) <= 6
    simulator.clear_failures()
    for _ in range(12):
        await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"


@pytest.mark.usefixtures("entry")
async def test_refused_new_tokens_are_rare(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """The cloud refuses every token for two hours; nobody is asked for the password."""
    simulator.journal.clear()
    for path in (HOMESTATUS, HOMESDATA, GETEVENTS, GETCONFIGS, TURN):
        simulator.fail(path, Failure(code=2), times=1000)
    for _ in range(24):
        await poll(hass, freezer)
    assert state_of(hass, DOOR) == "unavailable"
    assert 4 <= simulator.journal.count(TOKEN) <= 6
    assert hass.config_entries.flow.async_progress() == []
    simulator.clear_failures()
    for _ in range(12):
        await poll(hass, freezer)
    assert state_of(hass, DOOR) == "locked"


async def test_changed_password_is_tried_once(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """One dialog opens, and the refused password is not tried again."""
    simulator.change_password("another")
    for _ in range(3):
        await poll(hass, freezer)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert flow["context"]["entry_id"] == entry.entry_id
    assert simulator.journal.count(TOKEN, grant="password") == 1


async def test_rate_limit_is_respected(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """After a Retry-After of an hour neither polls nor reloads send a request to the API."""
    simulator.fail(HOMESTATUS, too_many(retry_after=3600))
    for _ in range(3):
        await entry.runtime_data.coordinator.async_refresh()
    assert simulator.journal.count(HOMESTATUS) == 1
    assert state_of(hass, DOOR) == "locked"
    for _ in range(3):
        await reload_entry(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, DOOR) == "unavailable"
    assert [request.path for request in simulator.journal if request.path != PUSH] == [HOMESTATUS]


async def test_next_poll_waits_for_retry_after(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Once the entities are unavailable, the next poll waits as long as the cloud asked for."""
    simulator.fail(HOMESTATUS, too_many(retry_after=3000))
    freezer.tick(16 * 60)
    await entry.runtime_data.coordinator.async_refresh()
    error = entry.runtime_data.coordinator.last_exception
    assert isinstance(error, UpdateFailed)
    assert 2990 < (error.retry_after or 0) <= 3001
    assert state_of(hass, DOOR) == "unavailable"


@pytest.mark.parametrize("seconds", [0, 0.2, 1, 2.5])
@pytest.mark.parametrize("is_ours", [True, False])
async def test_next_poll_comes_after_a_short_wait(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    *,
    seconds: float,
    is_ours: bool,
) -> None:
    """The base class counts from the last whole second; it must not poll at once, over and over."""
    coordinator = entry.runtime_data.coordinator
    pause = RateLimitError(status=429, retry_after=seconds)
    refused = Failure(status=429, retry_after=ceil(seconds))
    freezer.tick(16 * 60)
    simulator.fail(HOMESTATUS, Failure(status=503), 1)
    await coordinator.async_refresh()
    if is_ours:
        coordinator.account.auth.limiter.note(pause)
    else:
        simulator.fail(HOMESTATUS, refused, 100)
    began = hass.loop.time()
    await coordinator.async_refresh()
    assert next_poll(coordinator) >= began + max(seconds, 1)


def next_poll(coordinator: DataUpdateCoordinator[Any]) -> float:
    """When the base class polls again, in the loop's time."""
    cancel: Any = coordinator._unsub_refresh
    when: float = cancel.__self__.when()
    return when


@pytest.mark.usefixtures("entry")
async def test_failed_list_of_modules_is_no_outage(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Entities stay available while their states can be read."""
    caplog.clear()
    simulator.fail(HOMESDATA, Failure(status=503, html=True), times=8)
    await poll(hass, freezer, timedelta(hours=1))
    for _ in range(6):
        await poll(hass, freezer)
        assert state_of(hass, DOOR) == "locked"
    assert logged_levels(caplog) == []
    assert simulator.journal.count(HOMESDATA) == 7


@pytest.mark.usefixtures("entry")
async def test_repeated_commands_try_a_wrong_password_once(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """More attempts could lock the account."""
    simulator.change_password("another")
    for _ in range(5):
        assert await expect_refused(hass, "lock", "open", DOOR) == "command_invalid_auth"
    assert simulator.journal.count(TOKEN, grant="password") == 1


@pytest.mark.usefixtures("entry")
async def test_requests_of_an_idle_hour(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Without push: twelve status requests and one list of modules."""
    for _ in range(60):
        await advance(hass, freezer, 60)
    assert 11 <= simulator.journal.count(HOMESTATUS) <= 12
    assert simulator.journal.count(HOMESDATA) <= 1
    assert simulator.journal.count(TOKEN) == 0
