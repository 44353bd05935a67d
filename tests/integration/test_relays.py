"""The media relays: at hand before somebody wants to watch, and never with dead credentials."""

from typing import TYPE_CHECKING, Any

from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.live.ice_servers import RETRY_SECONDS
from tests.integration.conftest import settle, sign_in
from tests.simulator import Failure
from tests.simulator.paths import TURN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


async def later(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass."""
    freezer.tick(seconds)
    async_fire_time_changed(hass)
    await settle(hass)


def relays(entry: ConfigEntry[Any]) -> list[Any]:
    """Return the relays that a viewer would be told now."""
    found: list[Any] = entry.runtime_data.live.ice_servers.servers
    return found


async def test_they_are_renewed_before_they_die(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """Whenever somebody comes, the credentials live long enough for a call."""
    entry = await sign_in(hass, credentials)
    first = relays(entry)[0].credential
    simulator.journal.clear()
    await later(hass, freezer, 2900)
    assert simulator.journal.count(TURN) == 0
    assert relays(entry)[0].credential == first
    await later(hass, freezer, 200)
    assert simulator.journal.count(TURN) == 1
    ends = [int(server.username.partition(":")[0]) for server in relays(entry)]
    assert all(end > dt_util.utcnow().timestamp() + 3000 for end in ends)


async def test_dead_ones_are_not_told(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """While the cloud is away viewers in the same network still see; it is asked again soon."""
    entry = await sign_in(hass, credentials)
    simulator.fail(TURN, Failure(status=503), times=3)
    await later(hass, freezer, 3001)
    assert relays(entry), "they still live"
    await later(hass, freezer, 600)
    assert relays(entry) == []
    simulator.clear_failures()
    await later(hass, freezer, RETRY_SECONDS + 1)
    assert relays(entry)


@pytest.mark.parametrize("username", [None, "u", "1:u", "99999999999:u", "٣:u"])
async def test_credentials_that_do_not_say_when_they_die(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
    username: str | None,
) -> None:
    """They are taken for an hour's, as is usual."""
    server = {"urls": ["turn:turn.example:3478"], "credential": "c", "username": username}
    if username is None:
        del server["username"]
    answer: dict[str, object] = {"status": "ok", "body": {"iceServers": [server]}}
    simulator.fail(TURN, Failure(body=answer), times=1)
    entry = await sign_in(hass, credentials)
    simulator.journal.clear()
    assert [found.username for found in relays(entry)] == [username]
    await later(hass, freezer, 2999)
    assert simulator.journal.count(TURN) == 0
    await later(hass, freezer, 2)
    assert simulator.journal.count(TURN) == 1


async def test_set_up_does_not_need_them(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Doors and bell work without."""
    simulator.fail(TURN, Failure(status=500), times=1)
    entry = await sign_in(hass, credentials)
    assert entry.state.value == "loaded"
    assert relays(entry) == []


async def test_nothing_is_asked_after_the_end(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """The timer ends with the entry."""
    entry = await sign_in(hass, credentials)
    await hass.config_entries.async_unload(entry.entry_id)
    simulator.journal.clear()
    await later(hass, freezer, 4000)
    assert simulator.journal.count(TURN) == 0
