"""Set-up, restart and unload: the requests they send, the reason when they fail."""

import asyncio
from collections import defaultdict
from functools import partial
import threading
from typing import TYPE_CHECKING, Any

from aiohttp import CookieJar
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.const import (
    CONF_PASSWORD,
    CONF_TOKEN,
    EVENT_HOMEASSISTANT_STOP,
    EVENT_STATE_CHANGED,
)
from homeassistant.core import HassJob, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.event import async_call_later
import pytest
from yarl import URL

from tests.integration.conftest import (
    advance,
    call_action,
    forget_house,
    leftovers,
    reload_entry,
    sign_in,
    state_of,
    wait_online,
    wait_until,
)
from tests.simulator import Failure, empty_topology, too_many, usage_limit
from tests.simulator.paths import BLOB, GETCONFIGS, HOMESDATA, HOMESTATUS, PUSH, TOKEN, TURN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import Event, EventStateChangedData, HomeAssistant

    from tests.simulator import Simulator

SETUP_FAILURES = [
    (TOKEN, Failure(status=500), "cannot_connect"),
    (TOKEN, Failure(never=True), "cannot_connect"),
    (TOKEN, Failure(drop=True), "cannot_connect"),
    (TOKEN, Failure(html=True), "cannot_connect"),
    (TOKEN, too_many(retry_after=0), "too_many_requests"),
    (TOKEN, Failure(error="invalid_client"), "app_client_refused"),
    (HOMESDATA, Failure(status=503, html=True), "cannot_connect"),
    (HOMESDATA, Failure(cut=True, executed=True), "cannot_connect"),
    (HOMESDATA, usage_limit(retry_after=0), "too_many_requests"),
    (HOMESDATA, Failure(wrong_json=True), "unexpected_answer"),
    (HOMESDATA, empty_topology(), "unexpected_answer"),
    (HOMESTATUS, Failure(never=True), "cannot_connect"),
    (HOMESTATUS, Failure(code=13), "forbidden"),
    (HOMESTATUS, Failure(body={"status": "ok"}), "unexpected_answer"),
]


def reauth_flows(hass: HomeAssistant) -> int:
    """Return the number of re-authentication flows in progress."""
    flows = hass.config_entries.flow.async_progress()
    return sum(flow["context"]["source"] == SOURCE_REAUTH for flow in flows)


async def test_shared_session_shares_no_cookies(
    hass: HomeAssistant, credentials: dict[str, str], simulator: Simulator
) -> None:
    """Home Assistant's session may hold those of another integration, or of another account."""
    simulator.cookie, simulator.sockets.handshake_status = "of-this-account", None
    session = async_get_clientsession(hass)
    session._cookie_jar = jar = CookieJar(unsafe=True)  # an IP address may have cookies
    jar.update_cookies({"session": "of-another"}, URL(simulator.url))
    entry = await sign_in(hass, credentials)
    await wait_online(entry)
    assert entry.runtime_data.account.auth.session is session
    simulator.ring()
    await wait_until(lambda: simulator.journal.count(BLOB))
    assert {each.value for each in jar} == {"of-another"}
    assert simulator.violations == []


async def test_restart_reuses_valid_tokens(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Four requests in the background, and no sign-in."""
    await reload_entry(hass, entry)
    assert entry.state == ConfigEntryState.LOADED
    paths = [request.path for request in simulator.journal if request.path != PUSH]
    assert sorted(paths) == sorted([HOMESDATA, HOMESTATUS, TURN, GETCONFIGS])


async def test_restart_refreshes_an_expired_token_once(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The new tokens are stored in the entry, without reloading it."""
    simulator.expire_access_tokens()
    old = entry.data[CONF_TOKEN]
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_TOKEN: {**old, "expires_at": 0}}
    )
    await reload_entry(hass, entry)
    assert simulator.journal.count(TOKEN, grant="refresh_token") == 1
    assert simulator.journal.count(TOKEN, grant="password") == 0
    assert simulator.journal.count(HOMESDATA) == 1
    assert entry.data[CONF_TOKEN]["refresh_token"] != old["refresh_token"]

    simulator.journal.clear()
    await reload_entry(hass, entry)
    assert simulator.journal.count(TOKEN) == 0


async def test_refused_token_is_replaced_without_a_reload(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The command is sent with the new token."""
    before, data = entry.data[CONF_TOKEN], entry.runtime_data
    simulator.refuse_access_tokens()
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert entry.data[CONF_TOKEN] != before
    assert entry.runtime_data is data
    assert simulator.journal.count(TOKEN, grant="password") == 0


async def test_revoked_tokens_cause_one_sign_in(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The stored password is used once, without re-authentication."""
    simulator.revoke()
    await reload_entry(hass, entry)
    assert entry.state == ConfigEntryState.LOADED
    assert simulator.journal.count(TOKEN, grant="refresh_token") == 1
    assert simulator.journal.count(TOKEN, grant="password") == 1
    assert reauth_flows(hass) == 0


async def test_wrong_password_starts_reauth(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Only refused credentials start re-authentication; here, nothing was stored yet."""
    await forget_house(hass, entry)
    simulator.change_password("another")
    await reload_entry(hass, entry)
    assert entry.state == ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "invalid_auth"
    assert reauth_flows(hass) == 1


@pytest.mark.parametrize(("path", "failure", "key"), SETUP_FAILURES)
async def test_failed_first_setup_is_retried_without_reauth(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    path: str,
    failure: Failure,
    key: str,
) -> None:
    """Nothing was stored yet, so it waits for the cloud; the entry shows a translated reason."""
    await forget_house(hass, entry)
    simulator.expire_access_tokens()
    simulator.fail(path, failure)
    await reload_entry(hass, entry)
    assert str(entry.state) == str(ConfigEntryState.SETUP_RETRY)
    assert entry.error_reason_translation_key == key
    assert reauth_flows(hass) == 0
    assert simulator.journal.count(TOKEN, grant="password") == 0

    simulator.clear_failures()
    await reload_entry(hass, entry)
    assert entry.state == ConfigEntryState.LOADED


async def test_unload_leaves_nothing_behind(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Entities become unavailable, a pulse ends; the harness fails on leftover tasks and timers."""
    await call_action(hass, "lock", "open", "lock.cancello")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert state_of(hass, "lock.cancello") == "unavailable"
    assert entry.state == ConfigEntryState.NOT_LOADED


async def test_removing_the_account_removes_its_entities(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> None:
    """No lock is left."""
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.async_entity_ids("lock") == []


@pytest.mark.parametrize("ending", ["stop", "unload"])
async def test_token_refresh_in_progress_is_saved_at_exit(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator, ending: str
) -> None:
    """The rotated token is stored although Home Assistant stops or unloads the entry."""
    before = entry.data[CONF_TOKEN]["refresh_token"]
    response = asyncio.Event()
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(until=response, executed=True))
    action = hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.journal.count(TOKEN))
    action.cancel()
    if ending == "stop":
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    else:
        hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
    response.set()
    await hass.async_block_till_done()
    assert entry.data[CONF_TOKEN]["refresh_token"] != before
    await asyncio.gather(action, return_exceptions=True)


async def test_entry_without_tokens_signs_in(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """E-mail and password are enough to set up; the tokens are stored afterwards."""
    without = {key: value for key, value in entry.data.items() if key != CONF_TOKEN}
    hass.config_entries.async_update_entry(entry, data=without)
    await reload_entry(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert simulator.journal.count(TOKEN, grant="password") == 1
    assert entry.data[CONF_TOKEN]["access_token"]


@pytest.mark.parametrize(
    "failure", [Failure(status=500), Failure(drop=True, executed=True), Failure(code=13)], ids=str
)
@pytest.mark.parametrize("is_stored", [True, False])
async def test_failing_sign_ins_of_a_setup_are_rare(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    failure: Failure,
    is_stored: bool,
) -> None:
    """Each sends the owner an e-mail. A reload by a person is one attempt, at once."""
    if not is_stored:
        await forget_house(hass, entry)
    without = {key: value for key, value in entry.data.items() if key != CONF_TOKEN}
    hass.config_entries.async_update_entry(entry, data=without)
    simulator.fail(TOKEN, failure, times=1000)
    await reload_entry(hass, entry)
    for _ in range(120):
        await advance(hass, freezer, 60)
    assert (entry.state is ConfigEntryState.LOADED) is is_stored
    assert 4 <= simulator.journal.count(TOKEN, grant="password") <= 6
    count = simulator.journal.count(TOKEN)
    await reload_entry(hass, entry)
    assert simulator.journal.count(TOKEN) == count + 1
    simulator.clear_failures()
    await reload_entry(hass, entry)
    assert entry.state is ConfigEntryState.LOADED


async def test_outdated_token_refresh_is_not_stored(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The tokens of a newer sign-in are kept."""
    response = asyncio.Event()
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(until=response, executed=True))
    action = hass.async_create_task(call_action(hass, "lock", "open", "lock.cancello"))
    await wait_until(lambda: simulator.journal.count(TOKEN))
    new = {"access_token": "new", "refresh_token": "new", "expires_at": 1.0}
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_PASSWORD: "another", CONF_TOKEN: new}
    )
    response.set()
    await action
    assert entry.data[CONF_TOKEN] == new


async def test_leftovers_are_found(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """The check at the end of each test finds tasks, and timers however they were started."""
    coordinator = entry.runtime_data.coordinator
    assert await hass.config_entries.async_unload(entry.entry_id)
    look = partial(coordinator.async_expect_modules, None)
    cancel = async_call_later(hass, 3600, HassJob(look))
    timer = hass.loop.call_later(3600, look)
    task = hass.async_create_background_task(coordinator._async_update_data(), "poll")
    assert len(leftovers()) == 3
    cancel()
    timer.cancel()
    assert leftovers() == [task]
    await task
    assert leftovers() == []


async def test_setup_that_fails_after_the_platforms(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task, timer or thread is left."""
    forward = hass.config_entries.async_forward_entry_setups

    async def fail(*arguments: Any) -> None:
        await forward(*arguments)
        raise OSError

    await hass.config_entries.async_unload(online_entry.entry_id)
    monkeypatch.setattr(hass.config_entries, "async_forward_entry_setups", fail)
    assert not await hass.config_entries.async_setup(online_entry.entry_id)
    assert online_entry.state is ConfigEntryState.SETUP_ERROR
    assert leftovers() == []
    assert not [each for each in threading.enumerate() if "bticino" in each.name]


@pytest.mark.parametrize("house_name", ["panels_10"])
async def test_platforms_are_set_up_in_turns_of_their_own(
    hass: HomeAssistant, online_entry: ConfigEntry[Any]
) -> None:
    """In a large house, the entities of all platforms would keep the event loop too long."""
    turn, added, is_over = 0, defaultdict[int, set[str]](set), False

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        if not is_over:
            hass.loop.call_soon(next_turn)

    @callback
    def on_state(event: Event[EventStateChangedData]) -> None:
        added[turn].add(event.data["entity_id"].partition(".")[0])

    await hass.config_entries.async_unload(online_entry.entry_id)
    next_turn()
    stop = hass.bus.async_listen(EVENT_STATE_CHANGED, on_state)
    assert await hass.config_entries.async_setup(online_entry.entry_id)
    stop()
    is_over = True
    assert {"event", "camera", "lock"} <= set[str]().union(*added.values())
    assert max(map(len, added.values())) == 1, added
