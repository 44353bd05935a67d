"""Repair issues about the account: refused app client, usage limit, no intercom."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
import pytest

from custom_components.bticino_classe.client import AuthHandler, Endpoints
from custom_components.bticino_classe.const import RATE_LIMITERS
from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL
from custom_components.bticino_classe.polling import STATUS_INTERVAL
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import (
    advance,
    poll,
    reload_entry,
    sign_in,
    wait_idle,
)
from tests.integration.issues import all_issues, issues_of, texts_of
from tests.integration.test_nothing_rings import ISSUE as NOTHING_RINGS
from tests.simulator import Failure, Simulator, empty_topology, maintenance, usage_limit
from tests.simulator.paths import GETCONFIGS, GETEVENTS, HOMESDATA, HOMESTATUS, TOKEN, TURN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

MINUTE = 60.0
APP_CLIENT, USAGE, NO_INTERCOM = "app_client_refused", "usage_limit", "no_intercom"


@pytest.fixture(name="account")
async def _account(
    freezer: FrozenDateTimeFactory,  # noqa: ARG001 - the clock has to be frozen first
    online_entry: ConfigEntry[Any],
) -> ConfigEntry[Any]:
    """An account whose push connection is online."""
    return online_entry


async def refresh(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Poll now."""
    await entry.runtime_data.coordinator.async_refresh()
    await wait_idle(hass)


def shown(hass: HomeAssistant, entry: ConfigEntry[Any]) -> set[str]:
    """Return the issues of an account, but that of the push connection.

    Its reply may time out when a test lets an hour pass.
    """
    return issues_of(hass, entry).keys() - {NOTHING_RINGS}


# The app client


async def test_refused_app_client(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """From the first refusal until the cloud gives a token again; an outage is no acceptance."""
    simulator.retire_client()
    await refresh(hass, account)
    assert shown(hass, account) == set()
    simulator.revoke()
    await refresh(hass, account)
    issue = issues_of(hass, account)[APP_CLIENT]
    assert issue.severity == "error"
    assert account.title in texts_of(issue)[1]
    simulator.restore_client()
    simulator.fail(TOKEN, maintenance(), times=1000)
    await poll(hass, freezer)
    assert APP_CLIENT in issues_of(hass, account)
    simulator.clear_failures()
    for _ in range(3):
        await advance(hass, freezer, 3600)
        await refresh(hass, account)
    assert APP_CLIENT not in issues_of(hass, account)


async def test_refused_app_client_at_a_start(
    hass: HomeAssistant, account: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Also while the account is not loaded; the issue goes when it is removed."""
    simulator.revoke()
    simulator.retire_client()
    for _ in range(2):
        await reload_entry(hass, account)
        assert issues_of(hass, account).keys() == {APP_CLIENT}
    await hass.config_entries.async_remove(account.entry_id)
    assert all_issues(hass) == []


@pytest.mark.parametrize(
    "failure",
    [Failure(error="invalid_scope"), maintenance(), Failure(code=26), Failure(drop=True)],
    ids=str,
)
async def test_other_failures_of_the_sign_in(
    hass: HomeAssistant, account: ConfigEntry[Any], simulator: Simulator, failure: Failure
) -> None:
    """They say nothing about the app client."""
    simulator.revoke()
    simulator.fail(TOKEN, failure, times=100)
    await refresh(hass, account)
    assert shown(hass, account) == set()


# The usage limit


async def accept(entry: ConfigEntry[Any], simulator: Simulator) -> None:
    """Let the cloud accept requests again, and send one that a person wants."""
    simulator.clear_failures()
    await entry.runtime_data.account.topology(urgent=True)


async def limited(hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator) -> None:
    """Let the cloud report the usage limit from now on, and poll."""
    for path in (HOMESDATA, HOMESTATUS, GETEVENTS, GETCONFIGS, TURN):
        simulator.fail(path, usage_limit(), times=1000)
    await refresh(hass, entry)
    assert entry.runtime_data.account.auth.limiter.usage_limit_since is not None


async def test_usage_limit(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """After a quarter of an hour, not before; until the cloud accepts a request."""
    await limited(hass, account, simulator)
    await advance(hass, freezer, 14 * MINUTE)
    assert shown(hass, account) == set()
    await advance(hass, freezer, MINUTE + 1)
    issue = issues_of(hass, account)[USAGE]
    assert account.title in texts_of(issue)[1]
    await advance(hass, freezer, 20 * MINUTE)
    assert issues_of(hass, account)[USAGE] == issue
    await accept(account, simulator)
    assert shown(hass, account) == set()
    await advance(hass, freezer, 20 * MINUTE)
    assert shown(hass, account) == set()


async def test_usage_limit_ends_with_the_hour(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """The first poll after the pause ends it."""
    await limited(hass, account, simulator)
    await advance(hass, freezer, 16 * MINUTE)
    assert shown(hass, account) == {USAGE}
    simulator.clear_failures()
    for _ in range(8):
        await advance(hass, freezer, STATUS_INTERVAL.total_seconds() * 2)
    assert shown(hass, account) == set()


async def test_two_bursts(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """With an accepted request between them they are not one."""
    for _ in range(3):
        await limited(hass, account, simulator)
        await advance(hass, freezer, 10 * MINUTE)
        await accept(account, simulator)
        await advance(hass, freezer, 3600)
        assert shown(hass, account) == set()


@pytest.mark.parametrize("is_new_process", [False, True], ids=["reload", "restart"])
async def test_usage_limit_over_a_start(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
    *,
    is_new_process: bool,
) -> None:
    """A reload does not end it; after a restart, it counts from the first refusal."""
    await limited(hass, account, simulator)
    await advance(hass, freezer, 16 * MINUTE)
    assert shown(hass, account) == {USAGE}
    await hass.config_entries.async_unload(account.entry_id)
    assert all_issues(hass) == []
    if is_new_process:
        hass.data[RATE_LIMITERS].clear()
    await hass.config_entries.async_setup(account.entry_id)
    assert (USAGE in issues_of(hass, account)) is not is_new_process
    await refresh(hass, account)  # in the background of a start
    await advance(hass, freezer, 16 * MINUTE)
    await reload_entry(hass, account)
    assert USAGE in issues_of(hass, account)
    await hass.config_entries.async_remove(account.entry_id)
    assert all_issues(hass) == []


# No intercom


def empty_list(simulator: Simulator) -> None:
    """List no home, although the states of the old one can be requested."""
    simulator.fail(HOMESDATA, empty_topology(), times=1000)
    simulator.fail(HOMESTATUS, Failure(code=13), times=1000)


def remove_home(simulator: Simulator) -> None:
    """Remove the account from its home."""
    simulator.house.homes.clear()


def remove_modules(simulator: Simulator) -> None:
    """Remove the intercom and all that belongs to it from the home."""
    simulator.house.homes[0].modules.clear()


@pytest.mark.parametrize("remove", [empty_list, remove_home, remove_modules])
async def test_no_intercom(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
    remove: Callable[[Simulator], None],
) -> None:
    """An hour after the first answer without one, not before; until one is listed again."""
    homes = list(simulator.house.homes)
    modules = dict(homes[0].modules)
    remove(simulator)
    account.runtime_data.coordinator.known_homes.async_expire()
    await refresh(hass, account)
    for _ in range(11):
        await poll(hass, freezer)
        await refresh(hass, account)
        assert NO_INTERCOM not in issues_of(hass, account)
    for _ in range(3):
        await poll(hass, freezer)
        await refresh(hass, account)
    issue = issues_of(hass, account)[NO_INTERCOM]
    assert account.title in texts_of(issue)[1]
    simulator.clear_failures()
    simulator.house.homes[:] = homes
    homes[0].modules.update(modules)
    await poll(hass, freezer, SAFETY_INTERVAL)
    await poll(hass, freezer, SAFETY_INTERVAL)
    assert shown(hass, account) == set()


async def test_one_incomplete_list(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """It is no proof, whether a complete one or an outage follows."""
    simulator.fail(HOMESDATA, empty_topology())
    account.runtime_data.coordinator.known_homes.async_expire()
    await refresh(hass, account)
    simulator.fail(HOMESDATA, maintenance(), times=1000)
    simulator.fail(HOMESTATUS, maintenance(), times=1000)
    for _ in range(20):
        await poll(hass, freezer)
    assert shown(hass, account) == set()
    simulator.clear_failures()
    await poll(hass, freezer)
    simulator.fail(HOMESDATA, empty_topology())
    for _ in range(20):
        await poll(hass, freezer)
    assert shown(hass, account) == set()


async def test_intercom_in_the_states_only(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """Some lists have no modules; the states show that they are there."""
    for module in simulator.house.homes[0].modules.values():
        module.listed = False
    account.runtime_data.coordinator.known_homes.async_expire()
    for _ in range(20):
        await poll(hass, freezer)
        await refresh(hass, account)
    assert shown(hass, account) == set()


async def test_no_intercom_and_unload(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """The issue goes with the account."""
    remove_modules(simulator)
    account.runtime_data.coordinator.known_homes.async_expire()
    for _ in range(20):
        await poll(hass, freezer)
        await refresh(hass, account)
    assert NO_INTERCOM in issues_of(hass, account)
    await hass.config_entries.async_unload(account.entry_id)
    assert account.state is ConfigEntryState.NOT_LOADED
    assert all_issues(hass) == []


# Two accounts


@pytest.fixture(name="other_cloud")
async def _other_cloud(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """The cloud of a second account."""
    cloud = Simulator(
        "classe_300eos", email="other@example.org", user_id="5f00aa11bb22cc33dd44ee66"
    )
    await cloud.start()
    endpoints = Endpoints(
        api=cloud.url,
        turn=cloud.url,
        push=cloud.push_url,
        signaling=cloud.signaling_url,
        timeout=HANG_TIMEOUT,
    )
    sign_in_first = AuthHandler.__init__

    def construct(self: AuthHandler, username: str, password: str, **parts: Any) -> None:
        if username == cloud.email:
            parts["endpoints"] = endpoints
        sign_in_first(self, username, password, **parts)

    monkeypatch.setattr(AuthHandler, "__init__", construct)
    yield cloud
    await cloud.stop()


async def test_two_accounts(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: ConfigEntry[Any],
    other_cloud: Simulator,
    simulator: Simulator,
) -> None:
    """Each has its own issues, which the other does not change."""
    other_cloud.sockets.handshake_status = 503
    credentials = {"username": other_cloud.email, "password": other_cloud.password}
    other = await sign_in(hass, credentials)
    await limited(hass, account, simulator)
    await limited(hass, other, other_cloud)
    await advance(hass, freezer, 31 * MINUTE)
    assert shown(hass, account) == {USAGE}
    assert issues_of(hass, other).keys() == {USAGE, "nothing_rings"}
    await accept(account, simulator)
    assert shown(hass, account) == set()
    assert issues_of(hass, other).keys() == {USAGE, "nothing_rings"}
    await hass.config_entries.async_unload(account.entry_id)
    assert issues_of(hass, other).keys() == {USAGE, "nothing_rings"}
    await hass.config_entries.async_remove(other.entry_id)
    assert all_issues(hass) == []
