"""No password, token or place reaches a log, a state or the text of an error."""

import logging
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_PASSWORD, CONF_TOKEN

from tests.integration.conftest import act, refused, restart, sign_in
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE, TOKEN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    import pytest

    from tests.simulator import Simulator


def secrets_of(entry: ConfigEntry[Any], simulator: Simulator) -> set[str]:
    """Return what must not be read anywhere."""
    tokens = {value for value in entry.data[CONF_TOKEN].values() if isinstance(value, str)}
    parts = {part for token in tokens for part in token.split("|")[1:]}
    position = {str(number) for number in simulator.house.homes[0].coordinates}
    return {entry.data[CONF_PASSWORD], *tokens, *parts, *position}


async def test_a_day_with_all_its_troubles_shows_no_secret(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Sign-in, doors, renewals, outages and a changed password, with every logger at debug."""
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    simulator.house.homes[0].coordinates = (9.18273, 45.46427)
    entry = await sign_in(hass, credentials)
    hidden = secrets_of(entry, simulator)
    await act(hass, "lock", "open", "lock.cancello")
    simulator.refuse_access_tokens()
    await act(hass, "light", "turn_on", "light.luce_scale")
    hidden |= secrets_of(entry, simulator)
    for failure in (Failure(never=True), Failure(html=True), Failure(code=21), Failure(cut=True)):
        simulator.fail(SETSTATE, failure)
        await refused(hass, "lock", "open", "lock.cancello")
    simulator.revoke()
    simulator.fail(TOKEN, Failure(error=simulator.password), times=2)
    await restart(hass, entry)
    await restart(hass, entry)
    hidden |= secrets_of(entry, simulator)
    simulator.change_password("another")
    await restart(hass, entry)

    assert "The cloud refused the refresh token" in caplog.text
    assert [secret for secret in hidden if secret in caplog.text] == []
    states = str([state.as_dict() for state in hass.states.async_all()])
    assert [secret for secret in hidden if secret in states] == []
