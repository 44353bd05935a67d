"""Set-up, restart, unload: what is asked of the cloud, and what a person reads when it fails."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN, EVENT_HOMEASSISTANT_STOP
import pytest

from tests.integration.conftest import act, restart, state_of, until
from tests.simulator import Failure, empty_topology, too_many, usage_limit
from tests.simulator.paths import GETCONFIGS, HOMESDATA, HOMESTATUS, PUSH, TOKEN, TURN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

NOT_READY = [
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
    """Count the dialogues that ask for a password."""
    flows = hass.config_entries.flow.async_progress()
    return sum(flow["context"]["source"] == SOURCE_REAUTH for flow in flows)


async def test_restart_with_valid_tokens_asks_for_none(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A restart costs two requests, two more in the background, and no login."""
    await restart(hass, entry)
    assert entry.state == ConfigEntryState.LOADED
    paths = [request.path for request in simulator.journal if request.path != PUSH]
    assert paths[:2] == [HOMESDATA, HOMESTATUS]
    assert sorted(paths[2:]) == [TURN, GETCONFIGS]


async def test_restart_with_an_expired_token_refreshes_once(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The new tokens are in the entry, and writing them reloads nothing."""
    simulator.expire_access_tokens()
    old = entry.data[CONF_TOKEN]
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_TOKEN: {**old, "expires_at": 0}}
    )
    await restart(hass, entry)
    assert simulator.journal.count(TOKEN, grant="refresh_token") == 1
    assert simulator.journal.count(TOKEN, grant="password") == 0
    assert simulator.journal.count(HOMESDATA) == 1
    assert entry.data[CONF_TOKEN]["refresh_token"] != old["refresh_token"]

    simulator.journal.clear()
    await restart(hass, entry)
    assert simulator.journal.count(TOKEN) == 0


async def test_token_refused_while_running_is_renewed_without_a_reload(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The person at the door notices nothing."""
    before, data = entry.data[CONF_TOKEN], entry.runtime_data
    simulator.refuse_access_tokens()
    await act(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert entry.data[CONF_TOKEN] != before
    assert entry.runtime_data is data
    assert simulator.journal.count(TOKEN, grant="password") == 0


async def test_revoked_tokens_cost_one_login(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The stored password is used once, and nobody is asked."""
    simulator.revoke()
    await restart(hass, entry)
    assert entry.state == ConfigEntryState.LOADED
    assert simulator.journal.count(TOKEN, grant="refresh_token") == 1
    assert simulator.journal.count(TOKEN, grant="password") == 1
    assert reauth_flows(hass) == 0


async def test_wrong_password_asks_for_it(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Only refused credentials start the dialogue."""
    simulator.change_password("another")
    await restart(hass, entry)
    assert entry.state == ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "invalid_auth"
    assert reauth_flows(hass) == 1


@pytest.mark.parametrize(("path", "failure", "key"), NOT_READY)
async def test_trouble_is_no_question_of_the_password(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    path: str,
    failure: Failure,
    key: str,
) -> None:
    """Set-up is tried again later, with a reason that a person can read."""
    simulator.expire_access_tokens()
    simulator.fail(path, failure)
    await restart(hass, entry)
    assert str(entry.state) == str(ConfigEntryState.SETUP_RETRY)
    assert entry.error_reason_translation_key == key
    assert reauth_flows(hass) == 0
    assert simulator.journal.count(TOKEN, grant="password") == 0

    simulator.clear_failures()
    await restart(hass, entry)
    assert entry.state == ConfigEntryState.LOADED


async def test_unload_leaves_nothing_behind(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Entities go, a running pulse ends; the harness looks for tasks and timers that stay."""
    await act(hass, "lock", "open", "lock.cancello")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert state_of(hass, "lock.cancello") == "unavailable"
    assert entry.state == ConfigEntryState.NOT_LOADED


async def test_removed_account_is_gone(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """No entity stays."""
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.async_entity_ids("lock") == []


@pytest.mark.parametrize("ending", ["stop", "unload"])
async def test_renewal_under_way_is_saved_at_the_end(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator, ending: str
) -> None:
    """The rotated token of a refresh that Home Assistant's end meets is not lost."""
    before = entry.data[CONF_TOKEN]["refresh_token"]
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(delay=0.2, executed=True))
    action = hass.async_create_task(act(hass, "lock", "open", "lock.cancello"))
    await until(lambda: simulator.journal.count(TOKEN))
    if ending == "stop":
        action.cancel()
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await hass.async_block_till_done()
    else:
        action.cancel()
        await hass.config_entries.async_unload(entry.entry_id)
    assert entry.data[CONF_TOKEN]["refresh_token"] != before
    await asyncio.gather(action, return_exceptions=True)


async def test_entry_without_tokens_signs_in(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """E-mail and password are enough to start, and the tokens are stored from then on."""
    without = {key: value for key, value in entry.data.items() if key != CONF_TOKEN}
    hass.config_entries.async_update_entry(entry, data=without)
    await restart(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert simulator.journal.count(TOKEN, grant="password") == 1
    assert entry.data[CONF_TOKEN]["access_token"]


async def test_renewal_that_a_new_sign_in_has_overtaken_is_not_stored(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The tokens of the new password stay."""
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, Failure(delay=0.2, executed=True))
    action = hass.async_create_task(act(hass, "lock", "open", "lock.cancello"))
    await until(lambda: simulator.journal.count(TOKEN))
    new = {"access_token": "new", "refresh_token": "new", "expires_at": 1.0}
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_PASSWORD: "another", CONF_TOKEN: new}
    )
    await action
    assert entry.data[CONF_TOKEN] == new
