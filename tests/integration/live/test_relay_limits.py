"""The limits of relays: what the options allow, and what does not reset them."""

import asyncio
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe import const
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from custom_components.bticino_classe.live import manager
from custom_components.bticino_classe.live.relays import RELAY_LIMITS, RelayOptions
from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.integration.conftest import get_entry, reload_entry, wait_idle, wait_until
from tests.integration.live.conftest import set_timeouts
from tests.integration.live.test_relays import Clock, expect_retry, wait_gone
from tests.integration.test_config_flow import start_reauth
from tests.integration.test_options import submit_options

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.integration.live.whep_client import Whep
    from tests.simulator import Simulator

VIEWS: Final = 3
SENSOR: Final = "sensor.classe_300x_stream_views"
LIMITS: Final = ("view_seconds", "pause_seconds", "views_per_hour")


@pytest.fixture(name="entry_with_limits")
async def _entry_with_limits(hass: HomeAssistant, relay: Whep) -> ConfigEntry[Any]:  # noqa: ARG001 - it is set up
    """An account whose relays have few views."""
    entry = get_entry(hass)
    assert await choose(hass, entry, views_per_hour=VIEWS, pause_seconds=100) == {}
    return entry


@pytest.fixture(name="clock")
def _clock(hass: HomeAssistant, entry_with_limits: ConfigEntry[Any]) -> Clock:  # noqa: ARG001 - its limits
    """The clock of the limits."""
    return Clock(hass)


async def choose(hass: HomeAssistant, entry: ConfigEntry[Any], **limits: int) -> dict[str, str]:
    """Choose limits in the options; returns the errors of the form."""
    errors = await submit_options(hass, entry, **{const.CONF_STREAMS: limits})
    names = ("connected", "acknowledged", "answered", "terminated")
    set_timeouts(entry, busy=0.01, **dict.fromkeys(names, HANG_TIMEOUT))
    return errors


async def set_up_again(
    hass: HomeAssistant, entry: ConfigEntry[Any], way: str, credentials: dict[str, str]
) -> None:
    """Let the account be set up again."""
    manager = hass.config_entries
    if way == "reload":
        await reload_entry(hass, entry)
    elif way == "unload":
        await manager.async_unload(entry.entry_id)
        await manager.async_setup(entry.entry_id)
    elif way == "disable":
        await manager.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
        await manager.async_set_disabled_by(entry.entry_id, None)
    elif way == "options":
        limits = {"views_per_hour": VIEWS, "pause_seconds": 100}
        assert await submit_options(hass, entry, pulse_time=9, streams=limits) == {}
    else:
        flow_id = await start_reauth(hass, entry)
        password = {"password": credentials["password"]}
        await manager.flow.async_configure(flow_id, password)
    await wait_idle(hass)


@pytest.mark.parametrize("way", ["reload", "unload", "disable", "options", "reauth"])
async def test_new_set_up_resets_no_limit(
    hass: HomeAssistant,
    relay: Whep,
    clock: Clock,
    entry_with_limits: ConfigEntry[Any],
    *,
    credentials: dict[str, str],
    simulator: Simulator,
    way: str,
) -> None:
    """Neither the views, nor the pauses, nor what was refused; a client that retries gets none."""
    await relay.watch()
    await set_up_again(hass, entry_with_limits, way, credentials)
    await expect_retry(await relay.post(), 503, 95, 100)
    simulator.rtc.settings.refuse_offers = 41
    clock.ahead += 100
    assert (await relay.post()).status == 503
    simulator.rtc.settings.refuse_offers = None
    await set_up_again(hass, entry_with_limits, way, credentials)
    await expect_retry(await relay.post(), 503, 50, 100)
    for _ in range(VIEWS - 1):
        clock.ahead += 200
        await relay.watch()
        await set_up_again(hass, entry_with_limits, way, credentials)
    clock.ahead += 200
    await expect_retry(await relay.post(), 429, 2000, 3600)
    found = await async_get_config_entry_diagnostics(hass, entry_with_limits)
    assert found["calls"]["relays"] == {"views_in_the_last_hour": VIEWS, "refused": 3}
    clock.ahead += 3600
    await relay.watch()


async def test_removed_account(hass: HomeAssistant, entry_with_limits: ConfigEntry[Any]) -> None:
    """Nothing of it is kept."""
    await hass.config_entries.async_remove(entry_with_limits.entry_id)
    assert hass.data[RELAY_LIMITS] == {}


async def test_changed_limits(
    hass: HomeAssistant, relay: Whep, clock: Clock, entry_with_limits: ConfigEntry[Any]
) -> None:
    """They apply at once, also to the views before."""
    for _ in range(VIEWS):
        await relay.watch()
    await expect_retry(await relay.post(), 429, 3000, 3600)
    await choose(hass, entry_with_limits, views_per_hour=VIEWS + 1, pause_seconds=50)
    await expect_retry(await relay.post(), 503, 45, 50)
    clock.ahead += 50
    await relay.watch()
    await choose(hass, entry_with_limits, views_per_hour=1, pause_seconds=5)
    await expect_retry(await relay.post(), 429, 3000, 3600)


async def test_longest_view(
    hass: HomeAssistant, relay: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As chosen, if the intercom does not end it before."""
    simulator.rtc.settings.view_seconds = 10_000
    await choose(hass, get_entry(hass), view_seconds=300, views_per_hour=6)
    location = await relay.watch()
    advance_loop(monkeypatch, 295)
    await asyncio.sleep(0.01)
    assert len(simulator.rtc.open) == 1
    advance_loop(monkeypatch, 6)
    await wait_gone(relay, simulator, location)


async def test_client_that_replaces_calls_before_they_are_set_up(
    relay: Whep, clock: Clock, simulator: Simulator
) -> None:
    """It gets no more calls than one that waits for its views."""
    simulator.rtc.settings.silent_answers = True
    requests = [asyncio.create_task(relay.post())]
    for number in range(1, VIEWS + 1):
        await simulator.rtc.wait_for(lambda: simulator.rtc.offers == number)  # noqa: B023 - awaited here
        clock.ahead += 1
        requests.append(asyncio.create_task(relay.post()))
        await expect_retry(await requests[number - 1], 409, 1, 60)
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers == VIEWS + 1)
    await expect_retry(await relay.post(), 429, 3000, 3600)
    assert simulator.rtc.offers == VIEWS + 1
    requests[-1].cancel()
    await asyncio.gather(requests[-1], return_exceptions=True)


@pytest.mark.parametrize("ending", ["leaves", "refused"])
@pytest.mark.parametrize("is_last_view", [False, True])
async def test_relay_that_waits_for_another(
    hass: HomeAssistant,
    relay: Whep,
    user: Whep,
    clock: Clock,
    simulator: Simulator,
    *,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    is_last_view: bool,
) -> None:
    """The pause and the number of views count for both, also for one that came before them."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", HANG_TIMEOUT)
    for _ in range(VIEWS - 1 if is_last_view else 0):
        await relay.http.delete(await relay.watch())
        clock.ahead += 200
    live = get_entry(hass).runtime_data.live
    await wait_until(lambda: not live.channel.in_use)
    simulator.rtc.hold_acks()
    simulator.rtc.settings.refuse_offers = 41 if ending == "refused" else None
    first = asyncio.create_task(relay.post())
    before = simulator.rtc.offers
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers > before)
    second = asyncio.create_task(user.post())
    await wait_until(lambda: live.viewers == 2)
    simulator.rtc.release_acks()
    simulator.rtc.settings.refuse_offers = None
    if ending == "leaves":
        await relay.http.delete((await first).headers["Location"])
    else:
        assert (await first).status == 503
    is_over = is_last_view and ending == "leaves"
    await expect_retry(await second, 429 if is_over else 503, 50, 3600)
    assert simulator.rtc.offers == before + 1


async def test_relay_that_replaces_its_view_while_another_waits(
    hass: HomeAssistant,
    relay: Whep,
    user: Whep,
    clock: Clock,  # noqa: ARG001 - there is a pause
    simulator: Simulator,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on watching, as if nobody waited."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", HANG_TIMEOUT)
    await relay.watch()
    second = asyncio.create_task(user.post())
    live = get_entry(hass).runtime_data.live
    await wait_until(lambda: live.viewers == 2)
    await relay.watch()
    await expect_retry(await second, 409, 1, 60)
    assert simulator.rtc.offers == 2


async def test_sensor(
    hass: HomeAssistant,
    relay: Whep,
    clock: Clock,
    entry_with_limits: ConfigEntry[Any],
    simulator: Simulator,
) -> None:
    """It shows the views, the refusals, and when the next view is possible."""
    er.async_get(hass).async_update_entity(SENSOR, disabled_by=None)
    await reload_entry(hass, entry_with_limits)
    assert stream_views(hass) == ("0", VIEWS, 0, None)
    for number in range(1, VIEWS + 1):
        await relay.http.delete(await relay.watch())
        await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
        state, _, refused, wait = stream_views(hass)
        assert (state, refused) == (str(number), number - 1)
        assert wait is not None
        assert wait <= 100 if number < VIEWS else wait > 3000
        await expect_retry(await relay.post(), 429 if number == VIEWS else 503, 90, 3600)
        assert stream_views(hass)[2] == number
        await let_pass(hass, clock, 101)
    assert stream_views(hass)[3] is not None
    await let_pass(hass, clock, 3600 - 101 * VIEWS)  # the first one is an hour ago
    assert stream_views(hass) == (str(VIEWS - 1), VIEWS, VIEWS, None)
    await let_pass(hass, clock, 3600)
    assert stream_views(hass) == ("0", VIEWS, VIEWS, None)


def stream_views(hass: HomeAssistant) -> tuple[str, int, int, float | None]:
    """Return the sensor's state, limit, refusals, and the seconds until the next view."""
    state = hass.states.get(SENSOR)
    assert state is not None
    found = state.attributes
    next_view = found["next_view"]
    wait = None if next_view is None else (next_view - dt_util.utcnow()).total_seconds()
    return state.state, found["limit"], found["refused"], wait


async def let_pass(hass: HomeAssistant, clock: Clock, seconds: float) -> None:
    """Put the clock forward, and let the timers run."""
    clock.ahead += seconds
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=2))
    await hass.async_block_till_done()


@pytest.mark.parametrize(
    "limits",
    [
        {"view_seconds": 61},
        {"views_per_hour": 31},
        {"view_seconds": 600, "views_per_hour": 4},
        {"view_seconds": 31, "views_per_hour": 60},
    ],
)
async def test_occupied_intercom(
    hass: HomeAssistant, entry: ConfigEntry[Any], limits: dict[str, int]
) -> None:
    """No values keep it occupied for more than half of an hour."""
    assert await submit_options(hass, entry, streams=limits) == {"base": "too_much_streaming"}
    assert const.CONF_STREAMS not in entry.options


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"view_seconds": 10, "views_per_hour": 60, "pause_seconds": 5},
        {"view_seconds": 600, "views_per_hour": 3, "pause_seconds": 3600},
        {"view_seconds": 30, "views_per_hour": 60},
    ],
)
async def test_values(hass: HomeAssistant, entry: ConfigEntry[Any], limits: dict[str, int]) -> None:
    """Defaults complete what is chosen, and are what applies without a choice."""
    before = RelayOptions.of(entry)
    assert await submit_options(hass, entry, streams=limits) == {}
    after = RelayOptions.of(entry)
    for name in LIMITS:
        assert getattr(after, name) == limits.get(name, getattr(before, name))
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert form["data_schema"] is not None
    shown = form["data_schema"].schema[const.CONF_STREAMS].schema
    assert [str(key) for key in shown.schema][-3:] == list(LIMITS)


@pytest.mark.parametrize(
    "limits",
    [{name: value} for name, value in product(LIMITS, (-1, 0, 3601, 1e9))],
)
async def test_values_out_of_range(
    hass: HomeAssistant, entry: ConfigEntry[Any], limits: dict[str, int]
) -> None:
    """They are refused."""
    with pytest.raises(Exception, match="Schema validation"):
        await submit_options(hass, entry, streams=limits)
