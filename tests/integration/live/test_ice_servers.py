"""TURN servers: requested before a viewer needs them, never with expired credentials."""

from typing import TYPE_CHECKING, Any

from homeassistant.util import dt as dt_util
import pytest

from custom_components.bticino_classe.live.ice_servers import RETRY_SECONDS
from tests.integration.conftest import advance, reload_entry, sign_in
from tests.simulator import Failure
from tests.simulator.paths import TURN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


def ice_servers(entry: ConfigEntry[Any]) -> list[Any]:
    """Return the servers that a viewer would get now."""
    found: list[Any] = entry.runtime_data.live.ice_servers.servers
    return found


async def test_credentials_are_renewed_before_they_expire(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """At any time they are valid for long enough for a call."""
    entry = await sign_in(hass, credentials)
    first = ice_servers(entry)[0].credential
    simulator.journal.clear()
    await advance(hass, freezer, 2900)
    assert simulator.journal.count(TURN) == 0
    assert ice_servers(entry)[0].credential == first
    await advance(hass, freezer, 200)
    assert simulator.journal.count(TURN) == 1
    expiries = [int(server.username.partition(":")[0]) for server in ice_servers(entry)]
    assert all(expiry > dt_util.utcnow().timestamp() + 3000 for expiry in expiries)


async def test_expired_credentials_are_not_used(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """Viewers in the same network can still watch without; the request is retried soon."""
    entry = await sign_in(hass, credentials)
    simulator.fail(TURN, Failure(status=503), times=3)
    await advance(hass, freezer, 3001)
    assert ice_servers(entry), "they are still valid"
    await advance(hass, freezer, 600)
    assert ice_servers(entry) == []
    simulator.clear_failures()
    await advance(hass, freezer, RETRY_SECONDS + 1)
    assert ice_servers(entry)


@pytest.mark.parametrize("username", [None, "u", "1:u", "99999999999:u", "٣:u"])
async def test_credentials_without_an_expiry(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
    username: str | None,
) -> None:
    """They are assumed to be valid for an hour."""
    server: dict[str, object] = {
        "urls": ["turn:turn.example:3478"],
        "credential": "c",
        "username": username,
    }
    if username is None:
        server = {"urls": ["stun:stun.example"]}
    answer: dict[str, object] = {"status": "ok", "body": {"iceServers": [server]}}
    simulator.fail(TURN, Failure(body=answer), times=1)
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    assert [found.username for found in ice_servers(entry)] == [username]
    await advance(hass, freezer, 2999)
    assert simulator.journal.count(TURN) == 0
    await advance(hass, freezer, 2)
    assert simulator.journal.count(TURN) == 1


@pytest.mark.parametrize("code", [13, 9, 21])
async def test_forbidden_credentials_are_requested_rarely(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
    code: int,
) -> None:
    """After 1, 5, 15 and then 60 minutes. A reload requests them at once."""
    simulator.fail(TURN, Failure(code=code), times=1000)
    entry = await sign_in(hass, credentials)
    for _ in range(180):
        await advance(hass, freezer, 60)
    assert 5 <= simulator.journal.count(TURN) <= 7
    simulator.clear_failures()
    await reload_entry(hass, entry)
    assert ice_servers(entry)


async def test_setup_without_ice_servers(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Doors and doorbell work without them."""
    simulator.fail(TURN, Failure(status=500), times=1)
    entry = await sign_in(hass, credentials)
    assert entry.state.value == "loaded"
    assert ice_servers(entry) == []


async def test_no_request_after_unload(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """The timer ends with the entry."""
    entry = await sign_in(hass, credentials)
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.journal.clear()
    await advance(hass, freezer, 4000)
    assert simulator.journal.count(TURN) == 0
