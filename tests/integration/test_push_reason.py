"""Why the push connection is down, and since when: attributes, diagnostics, system health."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    get_system_health_info,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    reload_entry,
    skip_backoff,
    wait_online,
    wait_until,
)
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, State
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

PUSH = "binary_sensor.classe_300x_bell_connection"


def push_state(hass: HomeAssistant) -> State:
    """Return the state of the push connection."""
    state = hass.states.get(PUSH)
    assert state is not None
    return state


def reason_of(hass: HomeAssistant) -> object:
    """Return the reason that the push connection shows."""
    return push_state(hass).attributes.get("reason")


def refuse(status: int) -> Callable[[Simulator], None]:
    """Refuse handshakes."""
    return lambda simulator: setattr(simulator.sockets, "handshake_status", status)


def change_password(simulator: Simulator) -> None:
    """Change the password in the app."""
    simulator.change_password("another")


def retire(simulator: Simulator) -> None:
    """Refuse the app's client when the token has to be renewed."""
    simulator.revoke()
    simulator.retire_client()


def fail_sign_in(simulator: Simulator) -> None:
    """Let the token endpoint fail when the token has to be renewed."""
    simulator.revoke()
    simulator.fail(TOKEN, Failure(status=500), times=1000)


def refuse_tokens(simulator: Simulator) -> None:
    """Refuse every token."""
    simulator.sockets.refuse_subscriptions = 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuse(502), "outage"),
        (refuse(429), "too_many_requests"),
        (refuse(404), "refused"),
        (change_password, "credentials_refused"),
        (retire, "app_client_refused"),
        (fail_sign_in, "sign_in_failed"),
        (refuse_tokens, "token_refused"),
    ],
)
async def test_reason(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    fault: Callable[[Simulator], None],
    reason: str,
) -> None:
    """It and the moment are shown while the connection is down, the same everywhere."""
    assert not {"reason", "since"} & push_state(hass).attributes.keys()
    skip_backoff(online_entry.runtime_data.push)
    freezer.tick(timedelta(minutes=10))
    since = dt_util.utcnow().replace(microsecond=0)
    fault(simulator)
    simulator.drop_connections()
    await wait_until(lambda: reason_of(hass) == reason)
    state = push_state(hass)
    assert (state.state, state.attributes["since"]) == ("off", since)
    report = await get_diagnostics_for_config_entry(hass, hass_client, online_entry)
    shown = {"reason": reason, "since": since.isoformat()}
    assert report["bell"]["offline"] == shown
    assert await async_setup_component(hass, "system_health", {})
    found = await get_system_health_info(hass, DOMAIN)
    assert found["push_connection"].endswith(f" ({reason})")
    await found["can_reach_cloud"]


async def test_attributes_of_an_outage(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """Attempts that fail for the same reason change nothing; back online, both are gone."""
    skip_backoff(online_entry.runtime_data.push)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: reason_of(hass) == "outage")
    since = push_state(hass).attributes["since"]
    changes = async_capture_events(hass, "state_changed")
    counters = online_entry.runtime_data.push.socket.counters
    attempts = counters["connections_ended"]
    freezer.tick(timedelta(minutes=5))
    await wait_until(lambda: counters["connections_ended"] > attempts + 20)
    assert [each for each in changes if each.data["entity_id"] == PUSH] == []
    simulator.sockets.handshake_status = 429
    await wait_until(lambda: reason_of(hass) == "too_many_requests")
    assert push_state(hass).attributes["since"] == since
    simulator.sockets.handshake_status = None
    await wait_until(lambda: push_state(hass).state == "on")
    await wait_online(online_entry)
    assert not {"reason", "since"} & push_state(hass).attributes.keys()


async def test_start_without_the_socket(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A connection that has never been online is off since the start."""
    simulator.sockets.handshake_delay = 3600
    await reload_entry(hass, entry)
    assert reason_of(hass) == "connecting"
    assert push_state(hass).attributes["since"] <= dt_util.utcnow()
