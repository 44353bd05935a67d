"""No password, token or location in a log, a state or an error."""

from dataclasses import replace
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import call_action, expect_refused, reload_entry, sign_in
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE, TOKEN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    import pytest

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator


def secrets_of(entry: ConfigEntry[Any], simulator: Simulator) -> set[str]:
    """Return the values that must not appear anywhere."""
    tokens = {value for value in entry.data[CONF_TOKEN].values() if isinstance(value, str)}
    parts = {part for token in tokens for part in token.split("|")[1:]}
    position = {str(number) for number in simulator.house.homes[0].coordinates}
    return {entry.data[CONF_PASSWORD], *tokens, *parts, *position}


async def test_no_secret_in_logs_and_states(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Sign-in, commands, token renewals, outages and a changed password, with debug logging."""
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    simulator.house.homes[0].coordinates = (9.18273, 45.46427)
    entry = await sign_in(hass, credentials)
    hidden = secrets_of(entry, simulator)
    await call_action(hass, "lock", "open", "lock.cancello")
    simulator.refuse_access_tokens()
    await call_action(hass, "light", "turn_on", "light.luce_scale")
    hidden |= secrets_of(entry, simulator)
    for failure in (Failure(never=True), Failure(html=True), Failure(code=21), Failure(cut=True)):
        simulator.fail(SETSTATE, failure)
        await expect_refused(hass, "lock", "open", "lock.cancello")
    simulator.revoke()
    simulator.fail(TOKEN, Failure(error=simulator.password), times=2)
    await reload_entry(hass, entry)
    await reload_entry(hass, entry)
    hidden |= secrets_of(entry, simulator)
    simulator.change_password("another")
    await reload_entry(hass, entry)

    assert "The cloud refused the refresh token" in caplog.text
    assert [secret for secret in hidden if secret in caplog.text] == []
    states = str([state.as_dict() for state in hass.states.async_all()])
    assert [secret for secret in hidden if secret in states] == []


async def test_other_hosts_in_the_data_of_home_assistant(
    hass: HomeAssistant, simulator: Simulator, endpoints: Endpoints, credentials: dict[str, str]
) -> None:
    """Another integration cannot redirect the password: only the client's own hosts are asked."""
    elsewhere = replace(endpoints, api="http://127.0.0.1:1", turn="http://127.0.0.1:1")
    for name in ("endpoints", "client", "api", "host"):
        hass.data[f"{DOMAIN}_{name}"] = elsewhere
    entry = await sign_in(hass, credentials)
    await reload_entry(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    assert simulator.journal.count(TOKEN) == 1
    assert entry.runtime_data.account.auth.endpoints == endpoints
