"""The repair issue about a push connection that is down for half an hour."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import CoreState
import pytest

from scripts.lib.project_checks import LANGUAGES
from tests.integration.conftest import (
    advance,
    reload_entry,
    skip_backoff,
    wait_online,
    wait_until,
)
from tests.integration.issues import all_issues, issues_of, texts_of
from tests.integration.test_diagnostics import personal_data
from tests.integration.test_push_reason import (
    change_password,
    fail_sign_in,
    push_state,
    reason_of,
    refuse,
    refuse_tokens,
    retire,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

ISSUE = "nothing_rings"
MINUTE = 60.0


@pytest.fixture(name="online")
async def _online(
    freezer: FrozenDateTimeFactory,  # noqa: ARG001 - the clock has to be frozen first
    online_entry: ConfigEntry[Any],
) -> ConfigEntry[Any]:
    """An account whose push connection is online, and comes back without a delay."""
    skip_backoff(online_entry.runtime_data.push)
    return online_entry


async def lose(hass: HomeAssistant, simulator: Simulator, status: int = 502) -> None:
    """Lose the push connection, and refuse new ones."""
    simulator.sockets.handshake_status = status
    simulator.drop_connections()
    await wait_until(lambda: reason_of(hass) in {"outage", "too_many_requests"})


async def restore(hass: HomeAssistant, simulator: Simulator, entry: ConfigEntry[Any]) -> None:
    """Accept connections again, and wait until the push connection is online."""
    simulator.sockets.handshake_status = None
    await wait_until(lambda: push_state(hass).state == "on")
    await wait_online(entry)


async def test_half_an_hour(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """Not before, only once, with the reason of the moment; and it goes by itself."""
    await hass.config.async_set_time_zone("Europe/Rome")
    freezer.move_to("2026-12-01T05:00:30+00:00")
    await lose(hass, simulator)
    await advance(hass, freezer, 29 * MINUTE)
    assert all_issues(hass) == []
    await advance(hass, freezer, MINUTE + 1)
    await wait_until(lambda: reason_of(hass) == "outage")  # the time-out of an attempt may be over
    (issue,) = all_issues(hass)
    assert issue.issue_id == f"{ISSUE}_{online.entry_id}"
    assert issue.severity == "error"
    assert issue.learn_more_url
    assert issue.learn_more_url.endswith("docs/troubleshooting.md#repairs")
    title, description = texts_of(issue)[:2]
    since = "2026-12-01 06:00"
    assert title == f"Nothing rings in Home Assistant since {since}: the cloud has an outage"
    assert online.title in description
    simulator.sockets.handshake_status = 429
    await wait_until(lambda: reason_of(hass) == "too_many_requests")
    await advance(hass, freezer, 40 * MINUTE)
    await wait_until(lambda: reason_of(hass) == "too_many_requests")
    (issue,) = all_issues(hass)
    assert texts_of(issue)[0].endswith(f"since {since}: the cloud accepts no more requests")
    await restore(hass, simulator, online)
    assert all_issues(hass) == []
    await advance(hass, freezer, 40 * MINUTE)
    assert all_issues(hass) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuse(502), "outage"),
        (refuse(429), "too_many_requests"),
        (refuse(404), "refused"),
        (retire, "app_client_refused"),
        (fail_sign_in, "sign_in_failed"),
        (refuse_tokens, "token_refused"),
    ],
)
async def test_reason(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online: ConfigEntry[Any],
    simulator: Simulator,
    fault: Callable[[Simulator], None],
    reason: str,
) -> None:
    """Every reason has its texts; none contains anything secret."""
    fault(simulator)
    simulator.drop_connections()
    await wait_until(lambda: reason_of(hass) == reason)
    for _ in range(31):
        await advance(hass, freezer, MINUTE)
    issue = issues_of(hass, online)[ISSUE]
    shown = [*texts_of(issue), *(issue.translation_placeholders or {}).values()]
    secrets = personal_data(simulator, online) - {online.title, simulator.house.homes[0].name}
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []
    assert len(set(texts_of(issue))) == 2 * len(LANGUAGES)


async def test_refused_credentials(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """Home Assistant itself asks for the password: a second issue would only repeat that."""
    await lose(hass, simulator)
    await advance(hass, freezer, 31 * MINUTE)
    assert issues_of(hass, online).keys() == {ISSUE}
    change_password(simulator)
    simulator.sockets.handshake_status = None
    await wait_until(lambda: reason_of(hass) == "credentials_refused")
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    await advance(hass, freezer, 31 * MINUTE)
    assert issues_of(hass, online) == {}


async def test_connection_between_two_interruptions(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """They do not add up."""
    for _ in range(3):
        await lose(hass, simulator)
        await advance(hass, freezer, 20 * MINUTE)
        assert all_issues(hass) == []
        await restore(hass, simulator, online)
        await advance(hass, freezer, MINUTE)
    assert all_issues(hass) == []


async def test_never_online(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    entry: ConfigEntry[Any],
) -> None:
    """The time counts from the start."""
    await advance(hass, freezer, 29 * MINUTE)
    assert issues_of(hass, entry) == {}
    await advance(hass, freezer, MINUTE + 1)
    assert issues_of(hass, entry).keys() == {ISSUE}
    assert simulator.sockets.handshake_status == 503


@pytest.mark.parametrize("minutes", [20, 31])
async def test_reload(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online: ConfigEntry[Any],
    simulator: Simulator,
    minutes: int,
) -> None:
    """The issue goes with the reload, and the time counts from then."""
    await lose(hass, simulator)
    await advance(hass, freezer, minutes * MINUTE)
    await reload_entry(hass, online)
    assert all_issues(hass) == []
    await advance(hass, freezer, 29 * MINUTE)
    assert all_issues(hass) == []
    await advance(hass, freezer, 2 * MINUTE)
    assert issues_of(hass, online).keys() == {ISSUE}


@pytest.mark.parametrize("minutes", [20, 31])
@pytest.mark.parametrize("removed", [False, True])
async def test_unload(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    online: ConfigEntry[Any],
    simulator: Simulator,
    minutes: int,
    *,
    removed: bool,
) -> None:
    """An account that is not loaded has no such issue."""
    await lose(hass, simulator)
    await advance(hass, freezer, minutes * MINUTE)
    if removed:
        await hass.config_entries.async_remove(online.entry_id)
    else:
        await hass.config_entries.async_unload(online.entry_id)
    assert all_issues(hass) == []
    await advance(hass, freezer, 40 * MINUTE)
    assert all_issues(hass) == []


@pytest.mark.usefixtures("online")
async def test_stop(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator
) -> None:
    """Nothing is reported while Home Assistant stops."""
    await lose(hass, simulator)
    await advance(hass, freezer, 29 * MINUTE)
    hass.set_state(CoreState.stopping)
    await advance(hass, freezer, 2 * MINUTE)
    assert all_issues(hass) == []
    hass.set_state(CoreState.running)


async def test_clock_that_is_set(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    online: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """A machine that gets the time late has not been offline for days."""
    await lose(hass, simulator)
    days, loop_time = timedelta(days=300), hass.loop.time
    monkeypatch.setattr(hass.loop, "time", lambda: loop_time() - days.total_seconds())
    freezer.tick(days)
    simulator.sockets.handshake_status = 429
    await wait_until(lambda: reason_of(hass) == "too_many_requests")
    assert issues_of(hass, online) == {}
