"""Relays give way to people and rings, and call an intercom only so often."""

import asyncio
from typing import TYPE_CHECKING

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
import pytest

from custom_components.bticino_classe import const
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from custom_components.bticino_classe.live import manager, relays, whep
from custom_components.bticino_classe.live.stream_address import WHEP_PATH
from tests.conftest import HANG_TIMEOUT, advance_loop
from tests.integration.conftest import (
    call_action,
    expect_refused,
    get_entry,
    is_watched,
    state_of,
    wait_idle,
    wait_until,
)
from tests.integration.live.browser_client import STREET, YARD, BrowserClient, offer
from tests.integration.live.conftest import RINGING, quiet, ring_and_wait
from tests.integration.live.whep_client import Whep, expect_problem, stream_path, talk_offer

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


@pytest.fixture(name="ack_mode")
def _ack_mode() -> str:
    """How the cloud acknowledges messages makes no difference here."""
    return "echo"


class Clock:
    """The clock of the limits, which a test puts forward."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._now = hass.loop.time
        self.ahead = 0.0
        get_entry(hass).runtime_data.live.relays.limits._clock = self

    def __call__(self) -> float:
        """Return the time."""
        return self._now() + self.ahead


@pytest.fixture(name="clock")
def _clock(hass: HomeAssistant, relay: Whep) -> Clock:  # noqa: ARG001 - the account is set up
    """The clock of the limits."""
    return Clock(hass)


async def wait_gone(relay: Whep, simulator: Simulator, location: str) -> None:
    """Wait until a view has ended, at the intercom as well."""
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    async with asyncio.timeout(HANG_TIMEOUT):
        while (await relay.http.get(location)).status != 404:
            pass


async def expect_retry(response: ClientResponse, status: int, low: int, high: int) -> None:
    """Expect an error that says in how many seconds to try again."""
    await expect_problem(response, status)
    assert low <= int(response.headers["Retry-After"]) <= high


@pytest.mark.parametrize("camera", [STREET, YARD])
@pytest.mark.parametrize("is_connected", [True, False])
async def test_person_comes_first(
    relay: Whep,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    camera: str,
    is_connected: bool,
) -> None:
    """The relay's call is terminated before the person's, whatever panel they watch."""
    simulator.rtc.settings.silent_answers = not is_connected
    posting = asyncio.create_task(relay.post())
    if is_connected:
        location = (await posting).headers["Location"]
    else:
        await simulator.rtc.wait_for(lambda: simulator.rtc.open)
        simulator.rtc.settings.silent_answers = False
    browser.camera = camera
    view = await browser.watch(offer())
    assert (simulator.rtc.peak, simulator.rtc.offers, simulator.rtc.terminates) == (1, 2, 1)
    if is_connected:
        await expect_problem(await relay.http.get(location), 404)
    else:
        await expect_retry(await posting, 409, 1, 60)
    assert view.received("error") == []
    await expect_retry(await relay.post(), 409, 1, 60)
    assert simulator.rtc.offers == 2


async def test_relay_waits_for_who_may_return(
    hass: HomeAssistant, relay: Whep, browser: BrowserClient, simulator: Simulator
) -> None:
    """The player's talk button closes the view for a moment."""
    view = await browser.watch(offer())
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_retry(await relay.post(), 409, 1, 60)
    again = await browser.watch(offer("chromium_talk"))
    assert again.received("error") == []
    assert simulator.rtc.peak == 1
    assert is_watched(hass, STREET)


@pytest.mark.parametrize("panel", ["Posto esterno strada", "Posto esterno cortile"])
@pytest.mark.parametrize("is_connected", [True, False])
async def test_ring_comes_first(
    hass: HomeAssistant,
    relay: Whep,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    panel: str,
    is_connected: bool,
) -> None:
    """It ends the view of any panel; the household can answer, and no relay does."""
    simulator.rtc.settings.silent_answers = not is_connected
    posting = asyncio.create_task(relay.post())
    await simulator.rtc.wait_for(lambda: simulator.rtc.open)
    location = (await posting).headers["Location"] if is_connected else None
    call = simulator.ring(panel)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    if location is None:
        await expect_retry(await posting, 409, 1, 60)
    else:
        await expect_problem(await relay.http.get(location), 404)
    await expect_retry(await relay.post(), 409, 1, 60)
    assert (simulator.rtc.offers, simulator.rtc.answers) == (1, 0)
    browser.camera = STREET if "strada" in panel else YARD
    await browser.watch(offer("chromium_talk"))
    assert simulator.rtc.answers == 1
    await expect_retry(await relay.post(), 409, 1, 60)
    simulator.hang_up(call)
    await hass.async_block_till_done()


@pytest.mark.usefixtures("browser")
async def test_user_who_only_watches_answers_no_ring(
    hass: HomeAssistant, user: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may be behind it; who talks is a person, and answers."""
    monkeypatch.setattr(whep, "GATHER_SECONDS", 0.01)  # the offer of a ring has all candidates
    await ring_and_wait(hass, simulator)
    await expect_retry(await user.post(), 409, 1, 60)
    assert state_of(hass, RINGING) == "on"
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)
    assert (await user.post(talk_offer())).status == 201
    assert simulator.rtc.answers == 1


async def test_new_view_replaces_the_former(relay: Whep, simulator: Simulator) -> None:
    """A relay does not say when it has gone; the former call ends before the next."""
    locations = [await relay.watch() for _ in range(4)]
    assert len(set(locations)) == 4
    assert (simulator.rtc.peak, simulator.rtc.offers, simulator.rtc.terminates) == (1, 4, 3)
    for location in locations[:-1]:
        await expect_problem(await relay.http.get(location), 404)
    assert (await relay.http.get(locations[-1])).status == 204


async def test_same_relay_several_times_at_once(relay: Whep, simulator: Simulator) -> None:
    """The last one gets the view."""
    responses = await asyncio.gather(*(relay.post() for _ in range(5)))
    statuses = [response.status for response in responses]
    assert statuses.count(201) == 1
    assert set(statuses) <= {201, 409}
    assert simulator.rtc.peak == 1
    assert len(simulator.rtc.open) == 1


async def test_two_relays(
    hass: HomeAssistant,
    relay: Whep,
    user: Whep,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They do not push each other away, whatever panel they watch."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    location = await relay.watch()
    yard = Whep(http=relay.http, path=await stream_path(hass, YARD))
    for other in (user, yard):
        await expect_retry(await other.post(), 409, 1, 60)
    assert (await relay.http.get(location)).status == 204
    assert simulator.rtc.offers == 1


async def test_longest_view(
    relay: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the intercom does not end it."""
    simulator.rtc.settings.view_seconds = 10_000
    location = await relay.watch()
    advance_loop(monkeypatch, const.DEFAULT_VIEW_SECONDS - 5)
    await asyncio.sleep(0.01)
    assert len(simulator.rtc.open) == 1
    advance_loop(monkeypatch, 6)
    await wait_gone(relay, simulator, location)


@pytest.mark.parametrize("ends", ["intercom", "delete"])
async def test_pause_between_views(
    hass: HomeAssistant, relay: Whep, clock: Clock, simulator: Simulator, ends: str
) -> None:
    """Nothing is sent to the intercom before it is over."""
    location = await relay.watch()
    if ends == "delete":
        await relay.http.delete(location)
    else:
        (session,) = simulator.rtc.open
        simulator.rtc.device_error(session, 0)
    await wait_gone(relay, simulator, location)
    pause = const.DEFAULT_PAUSE_SECONDS
    await expect_retry(await relay.post(), 503, pause - 5, pause)
    assert simulator.rtc.offers == 1
    clock.ahead = pause
    await relay.watch()
    await hass.async_block_till_done()


async def test_pause_after_a_failure(relay: Whep, clock: Clock, simulator: Simulator) -> None:
    """It is longer, and does not count as a view."""
    simulator.rtc.settings.refuse_offers = 41
    for number in range(1, const.DEFAULT_VIEWS_PER_HOUR + 2):
        await expect_problem(await relay.post(), 503)
        assert simulator.rtc.offers == number
        pause = int(relays.RELAY_FAILURE_PAUSE_SECONDS)
        await expect_retry(await relay.post(), 503, pause - 5, pause)
        clock.ahead += pause
    simulator.rtc.settings.refuse_offers = None
    await relay.watch()


async def test_views_per_hour(relay: Whep, clock: Clock, simulator: Simulator) -> None:
    """A relay that is asked for a picture all the time is refused for the rest of the hour."""
    for number in range(const.DEFAULT_VIEWS_PER_HOUR):
        location = await relay.watch()
        clock.ahead = 60.0 * number
    await expect_retry(await relay.post(), 429, 1200, 3600)
    assert (await relay.http.get(location)).status == 204, "the view goes on"
    assert simulator.rtc.offers == const.DEFAULT_VIEWS_PER_HOUR
    clock.ahead = 3700
    await relay.watch()


async def test_person_is_not_limited(
    relay: Whep, browser: BrowserClient, clock: Clock, simulator: Simulator
) -> None:
    """The limits are those of relays."""
    for _ in range(const.DEFAULT_VIEWS_PER_HOUR):
        await relay.watch()
        clock.ahead += 11
    await expect_retry(await relay.post(), 429, 1200, 3600)
    await browser.watch(offer())
    assert simulator.rtc.peak == 1


async def test_client_that_retries_for_ever(
    hass: HomeAssistant, relay: Whep, clock: Clock, simulator: Simulator
) -> None:
    """In an hour it gets its views, and every refusal says when to try again."""
    statuses: list[int] = []
    while clock.ahead < 3600:
        response = await relay.post()
        statuses.append(response.status)
        if response.status == 201:
            await relay.http.delete(response.headers["Location"])
            await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
        else:
            clock.ahead += int(response.headers["Retry-After"])
    assert statuses.count(201) <= const.DEFAULT_VIEWS_PER_HOUR + 1
    assert set(statuses) == {201, 503, 429}
    found = await async_get_config_entry_diagnostics(hass, get_entry(hass))
    report = found["calls"]["relays"]
    assert report["views_in_the_last_hour"] <= const.DEFAULT_VIEWS_PER_HOUR
    assert report["refused"] == len(statuses) - statuses.count(201)


@pytest.mark.parametrize("way", ["action", "stop", "unload", "remove"])
async def test_ends(hass: HomeAssistant, relay: Whep, simulator: Simulator, way: str) -> None:
    """A view ends with the account, with Home Assistant, and when somebody hangs up."""
    await relay.watch()
    entry = get_entry(hass)
    if way == "action":
        await call_action(hass, "bticino_classe", "hang_up", STREET)
    elif way == "stop":
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    elif way == "unload":
        await hass.config_entries.async_unload(entry.entry_id)
    else:
        await hass.config_entries.async_remove(entry.entry_id)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    await wait_idle(hass)


async def test_next_panel_is_not_shown_to_relays(
    hass: HomeAssistant, relay: Whep, simulator: Simulator
) -> None:
    """Who has the secret sees its panel, and no other."""
    await relay.watch()
    assert await expect_refused(hass, "bticino_classe", "next_panel", STREET) == "no_call"
    (session,) = simulator.rtc.open
    assert session.next_modules == 0


async def test_rude_clients(
    hass: HomeAssistant,
    relay: Whep,
    clock: Clock,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 200 who go at any moment without a word, nothing is left."""
    monkeypatch.setattr(whep, "QUIET_SECONDS", quiet(0.001))
    live = get_entry(hass).runtime_data.live
    for number in range(200):
        clock.ahead += relays.RELAY_FAILURE_PAUSE_SECONDS * 2
        posting = asyncio.create_task(relay.post())
        async with asyncio.timeout(HANG_TIMEOUT):
            await asyncio.wait({posting}, timeout=(number % 20) / 500)
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
    (await relay.post()).close()
    await wait_until(lambda: live.viewers <= 1)
    for session in simulator.rtc.open:
        simulator.rtc.device_error(session, 0)
    await wait_until(lambda: live.viewers == 0 and not simulator.rtc.open)
    await wait_until(lambda: not live.channel._sessions and not live.channel._waiting)
    assert simulator.rtc.peak == 1
    assert simulator.rtc.held_slots == 0
    assert simulator.violations == []


async def test_relay_of_a_user_is_its_own(
    hass: HomeAssistant, relay: Whep, user: Whep, clock: Clock, simulator: Simulator
) -> None:
    """A renewed address ends the views of the secret only."""
    location = await user.watch()
    await stream_path(hass, renew=True)
    assert (await user.http.get(location)).status == 204
    await user.http.delete(location)
    clock.ahead += 60
    relay = Whep(http=relay.http, path=f"{WHEP_PATH}/{STREET}?auth=0")
    await expect_problem(await relay.post(), 401)
    assert simulator.rtc.offers == 1
