"""A relay that shows a ring at once: it answers the ring, and the household can still answer."""

import asyncio
import re
from typing import TYPE_CHECKING, Final

import pytest

from custom_components.bticino_classe import const
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from custom_components.bticino_classe.live import manager
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import (
    advance,
    call_action,
    device_id_of,
    get_entry,
    reload_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.live.browser_client import STREET, YARD, BrowserClient, offer, open_session
from tests.integration.live.conftest import (
    IN_CALL,
    RINGING,
    call_events,
    let_grace_period_pass,
    ring_and_wait,
    set_timeouts,
)
from tests.integration.live.test_answered_by import answered_by, last_call
from tests.integration.live.test_permissions import READ_STREET, Guest, _guest
from tests.integration.live.test_relays import Clock, _clock, expect_retry
from tests.integration.live.whep_client import Whep, relay_offer, stream_path
from tests.integration.test_options import submit_options
from tests.simulator import pushes, scripted

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import EventRecorder
    from tests.simulator import Simulator
    from tests.simulator.calls import Call

__all__ = ["_clock", "_guest"]  # fixtures

PANEL: Final = "Posto esterno strada"
MISSED: Final = "sensor.classe_300x_missed_calls"


@pytest.fixture(name="ack_mode")
def _ack_mode() -> str:
    """How the cloud acknowledges messages makes no difference here."""
    return "echo"


@pytest.fixture(name="shown")
async def _shown(
    hass: HomeAssistant,
    relay: Whep,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Whep:
    """A relay that shows the rings of the street; the offer of a ring has all candidates."""
    complete = re.sub(r"(a=mid:\S+)", r"\1\r\na=end-of-candidates", pushes.DEVICE_SDP)
    monkeypatch.setattr(scripted, "DEVICE_SDP", complete)
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", HANG_TIMEOUT)
    await show_rings(hass, simulator, PANEL)
    return relay


async def show_rings(hass: HomeAssistant, simulator: Simulator, *panels: str) -> None:
    """Choose the panels whose rings relays show."""
    ids = [simulator.house.find(panel).id for panel in panels]
    streams = {const.CONF_SHOWN_RINGS: ids}
    assert await submit_options(hass, get_entry(hass), streams=streams) == {}
    await set_up(hass)


async def set_up(hass: HomeAssistant) -> None:
    """Wait until the account is connected; a slow machine meets no time-out."""
    await wait_online(get_entry(hass))
    names = ("connected", "acknowledged", "answered", "terminated")
    set_timeouts(get_entry(hass), busy=0.01, **dict.fromkeys(names, HANG_TIMEOUT))


async def ring_and_show(hass: HomeAssistant, relay: Whep, simulator: Simulator) -> tuple[Call, str]:
    """Ring at the street, and let the relay answer it; returns the address of its view."""
    call = await ring_and_wait(hass, simulator)
    location = await relay.watch()
    await wait_frames(hass, 4)  # offer, status, and that the ring was accepted and is over
    return call, location


def states(hass: HomeAssistant) -> tuple[str, str]:
    """Return whether the street rings, and whether it is in a call."""
    return state_of(hass, RINGING), state_of(hass, IN_CALL)


async def test_relay_has_the_picture_while_it_rings(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    shown: Whep,
    simulator: Simulator,
    events: EventRecorder,
) -> None:
    """Nobody seems to have answered, and the call is missed in the end."""
    sent = relay_offer()
    call = await ring_and_wait(hass, simulator)
    response = await shown.post(sent)
    assert response.status == 201
    assert (await response.text()).count("a=sendonly") == 2
    await wait_frames(hass, 4)
    assert call.answered
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 1)
    assert states(hass) == ("on", "on")
    assert call_events(events) == []
    assert await last_call(hass, simulator) == ("ringing", "stream", None)
    await advance(hass, freezer, 46)
    assert state_of(hass, RINGING) == "off"
    assert call_events(events) == ["missed"]
    assert answered_by(hass) == "stream"
    assert await last_call(hass, simulator) == ("missed", "stream", None)
    assert state_of(hass, MISSED) == "1"


async def test_cloud_lists_the_answer(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, shown: Whep, simulator: Simulator
) -> None:
    """In its list of events the ring is accepted; for the history nobody has answered."""
    await ring_and_show(hass, shown, simulator)
    await reload_entry(hass, get_entry(hass))
    await set_up(hass)
    assert await last_call(hass, simulator) == ("ringing", "stream", None)
    await advance(hass, freezer, 46)
    await reload_entry(hass, get_entry(hass))
    await set_up(hass)
    assert await last_call(hass, simulator) == ("missed", "stream", None)
    assert state_of(hass, MISSED) == "1"


async def expect_busy(relay: Whep, simulator: Simulator) -> None:
    """Expect that a relay gets no view, and does not disturb the intercom."""
    before = (simulator.rtc.offers, simulator.rtc.answers)
    await expect_retry(await relay.post(), 409, 1, 60)
    assert (simulator.rtc.offers, simulator.rtc.answers) == before


async def test_off_at_first(hass: HomeAssistant, relay: Whep, simulator: Simulator) -> None:
    """A relay answers no ring by itself."""
    await ring_and_wait(hass, simulator)
    await expect_busy(relay, simulator)
    assert states(hass) == ("on", "off")


async def test_ring_of_another_panel(
    hass: HomeAssistant, shown: Whep, simulator: Simulator
) -> None:
    """Who has the secret sees its panel, and no other."""
    simulator.ring("Posto esterno cortile")
    await wait_until(lambda: state_of(hass, "binary_sensor.posto_esterno_cortile_bell") == "on")
    await expect_busy(shown, simulator)
    yard = Whep(http=shown.http, path=await stream_path(hass, YARD))
    await expect_busy(yard, simulator)


async def test_ring_without_a_panel(hass: HomeAssistant, shown: Whep, simulator: Simulator) -> None:
    """It may be of another one."""
    simulator.ring(simulator.house.bridges()[0].id)
    await wait_until(lambda: state_of(hass, "binary_sensor.classe_300x_bell_panel_unknown") == "on")
    await expect_busy(shown, simulator)


async def test_ring_without_an_offer(
    hass: HomeAssistant, shown: Whep, simulator: Simulator
) -> None:
    """Only a phone can answer it."""
    await ring_and_wait(hass, simulator, offer=False, names_panel=True)
    await expect_busy(shown, simulator)


async def test_simulated_ring(hass: HomeAssistant, shown: Whep, simulator: Simulator) -> None:
    """There is no picture of it."""
    streams = {const.CONF_SHOWN_RINGS: [simulator.house.find(PANEL).id]}
    await submit_options(hass, get_entry(hass), simulated_rings=True, streams=streams)
    await set_up(hass)
    device = get_entry(hass).runtime_data.coordinator.data.modules[simulator.house.find(PANEL).id]
    data = {"device_id": device_id_of(hass, device.name or ""), "seconds": 40}
    await hass.services.async_call(const.DOMAIN, "simulate_ring", data, blocking=True)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await expect_busy(shown, simulator)


@pytest.mark.parametrize("way", ["phone", "missed", "declined"])
async def test_ring_that_is_over(
    hass: HomeAssistant, shown: Whep, simulator: Simulator, way: str
) -> None:
    """A relay calls only an intercom that is free."""
    call = await ring_and_wait(hass, simulator)
    if way == "phone":
        simulator.answer_elsewhere(call)
    elif way == "missed":
        simulator.miss(call)
    else:
        await call_action(hass, const.DOMAIN, "decline_ring", STREET)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    if way == "phone":
        await expect_busy(shown, simulator)
    else:
        await shown.watch()
        assert (simulator.rtc.offers, simulator.rtc.answers) == (1, 0)


async def test_phone_was_faster(
    hass: HomeAssistant, shown: Whep, simulator: Simulator, events: EventRecorder
) -> None:
    """The intercom refuses the second answer, and the ring was answered elsewhere."""
    call = await ring_and_wait(hass, simulator)
    simulator.rtc.hold_acks()
    posting = asyncio.create_task(shown.post())
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    simulator.answer_elsewhere(call)
    simulator.rtc.device_error(open_session(simulator), 1)
    simulator.rtc.release_acks()
    await expect_retry(await posting, 409, 1, 60)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert call_events(events) == ["answered"]
    assert answered_by(hass) == "elsewhere"


async def test_one_relay_and_one_answer(
    hass: HomeAssistant, shown: Whep, user: Whep, simulator: Simulator
) -> None:
    """Others, and the same one later, do not answer the ring again."""
    call = await ring_and_wait(hass, simulator)
    posts = await asyncio.gather(shown.post(), user.post())
    assert {post.status for post in posts} == {201, 409}
    await wait_frames(hass, 4)
    assert simulator.rtc.answers == 1
    assert simulator.rtc.peak == 1
    assert state_of(hass, RINGING) == "on"
    assert call.answered


@pytest.mark.parametrize("goes", [True, False])
async def test_relay_gets_the_picture_again(
    hass: HomeAssistant, shown: Whep, clock: Clock, simulator: Simulator, *, goes: bool
) -> None:
    """By a call to the panel, whose ring is over for the intercom; the limits count."""
    _, location = await ring_and_show(hass, shown, simulator)
    if goes:
        await shown.http.delete(location)
        await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
        await expect_retry(await shown.post(), 503, 1, 10)
        clock.ahead += 11
    await shown.watch()
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.peak) == (1, 1, 1)
    assert states(hass) == ("on", "on")


async def test_limits_do_not_hide_a_ring(
    hass: HomeAssistant, shown: Whep, clock: Clock, simulator: Simulator
) -> None:
    """A ring is no retry of the relay; it counts as a view all the same."""
    for _ in range(const.DEFAULT_VIEWS_PER_HOUR):
        location = await shown.watch()
        clock.ahead += 11
    await shown.http.delete(location)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_retry(await shown.post(), 429, 1000, 3600)
    await ring_and_show(hass, shown, simulator)
    await expect_retry(await shown.post(), 429, 1000, 3600)


@pytest.mark.parametrize("moment", ["shown", "sending", "left"])
async def test_person_takes_over(
    hass: HomeAssistant,
    shown: Whep,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    moment: str,
) -> None:
    """The relay's call ends and the panel is called; it is one call, answered by a person."""
    await set_up(hass)
    if moment == "sending":
        await ring_and_wait(hass, simulator)
        simulator.rtc.hold_acks()
        posting = asyncio.create_task(shown.post())
        await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    else:
        _, location = await ring_and_show(hass, shown, simulator)
    if moment == "left":
        await shown.http.delete(location)
        await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert states(hass)[0] == "on"
    opening = asyncio.create_task(browser.watch(offer("chromium_talk")))
    if moment == "sending":
        live = get_entry(hass).runtime_data.live
        await wait_until(lambda: not any(each.relay for each in live._viewers.values()))
        simulator.rtc.release_acks()
        await expect_retry(await posting, 409, 1, 60)
    view = await opening
    assert view.received("error") == []
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.peak) == (1, 1, 1)
    assert (simulator.rtc.terminates, simulator.violations) == (1, [])
    await expect_answered_here(hass, simulator, events)
    await expect_busy(shown, simulator)
    await view.close()
    await let_grace_period_pass(hass)
    assert await last_call(hass, simulator) == ("answered", "here", "here")
    assert call_events(events) == ["answered", "ended"]


async def expect_answered_here(
    hass: HomeAssistant, simulator: Simulator, events: EventRecorder
) -> None:
    """Expect one call that a person in Home Assistant has answered."""
    await wait_idle(hass)
    assert states(hass) == ("off", "on")
    assert call_events(events) == ["answered"]
    assert answered_by(hass) == "here"
    assert await last_call(hass, simulator) == ("answered", "here", None)


async def test_intercom_refuses_the_person(
    hass: HomeAssistant,
    shown: Whep,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
) -> None:
    """It is told so, and can try again while it rings; nobody has answered until then."""
    await set_up(hass)
    await ring_and_show(hass, shown, simulator)
    simulator.rtc.settings.refuse_offers = 1
    view = await browser.open_view(offer("chromium_talk"))
    await view.wait_for("error")
    assert view.error_code == "call_busy"
    await wait_idle(hass)
    assert states(hass) == ("on", "off")
    assert call_events(events) == []
    simulator.rtc.settings.refuse_offers = None
    again = await browser.watch(offer("chromium_talk", version=2))
    assert again.received("error") == []
    assert call_events(events) == ["answered"]
    assert await last_call(hass, simulator) == ("answered", "here", None)


async def test_person_who_may_not_answer(
    hass: HomeAssistant,
    shown: Whep,
    guest: Guest,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The relay keeps the picture."""
    await set_up(hass)
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    watcher = await guest(READ_STREET)
    _, location = await ring_and_show(hass, shown, simulator)
    view = await watcher.open_view(offer())
    await view.wait_for("error")
    assert view.error_code == "call_busy"
    assert (await shown.http.get(location)).status == 204
    assert states(hass) == ("on", "on")


async def test_person_at_another_panel(
    hass: HomeAssistant, shown: Whep, browser: BrowserClient, simulator: Simulator
) -> None:
    """Goes first as well; the ring can still be answered after that."""
    await set_up(hass)
    await ring_and_show(hass, shown, simulator)
    browser.camera = YARD
    view = await browser.watch(offer("chromium_talk"))
    assert view.received("error") == []
    assert state_of(hass, RINGING) == "on"
    browser.camera = STREET
    await browser.watch(offer("chromium_talk", version=2))
    assert states(hass) == ("off", "on")
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.peak) == (1, 2, 1)


@pytest.mark.parametrize("way", ["delete", "time", "intercom", "push", "hang_up"])
async def test_ring_goes_on_without_the_relay(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    shown: Whep,
    simulator: Simulator,
    events: EventRecorder,
    *,
    way: str,
) -> None:
    """Programs come and go; for the household it rings for its time, and is missed."""
    call, location = await ring_and_show(hass, shown, simulator)
    if way == "delete":
        await shown.http.delete(location)
    elif way == "time":
        next(iter(get_entry(hass).runtime_data.live._viewers.values())).call._handle_max_call()
    elif way == "hang_up":
        await call_action(hass, const.DOMAIN, "hang_up", STREET)
    elif way == "push":
        simulator.push(pushes.end(call, "terminate", simulator.number()))
    else:
        simulator.hang_up(call)
    await wait_until(lambda: get_entry(hass).runtime_data.live.viewers == 0)
    await wait_idle(hass)
    assert states(hass) == ("on", "off")
    assert call_events(events) == []
    await advance(hass, freezer, 46)
    assert call_events(events) == ["missed"]
    assert await last_call(hass, simulator) == ("missed", "stream", None)


async def test_declined(
    hass: HomeAssistant, shown: Whep, simulator: Simulator, events: EventRecorder
) -> None:
    """The ring ends for everybody; it was answered, so nothing else is sent."""
    await ring_and_show(hass, shown, simulator)
    await call_action(hass, const.DOMAIN, "decline_ring", STREET)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    assert states(hass) == ("off", "off")
    assert call_events(events) == ["ended"]
    assert await last_call(hass, simulator) == ("ended", "stream", "here")


async def test_acknowledgement_is_lost(
    hass: HomeAssistant, shown: Whep, browser: BrowserClient, simulator: Simulator
) -> None:
    """The answer is terminated; the panel is called by the person who answers."""
    await set_up(hass)
    set_timeouts(get_entry(hass), acknowledged=0.05)
    await ring_and_wait(hass, simulator)
    simulator.rtc.settings.silent_acks = True
    response = await shown.post()
    assert response.status == 503
    simulator.rtc.settings.silent_acks = False
    await set_up(hass)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert state_of(hass, RINGING) == "on"
    view = await browser.watch(offer("chromium_talk"))
    assert view.received("error") == []
    assert (simulator.rtc.answers, simulator.rtc.offers) == (1, 1)


async def test_next_ring(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, shown: Whep, simulator: Simulator
) -> None:
    """It is shown as well, and a ring of another panel ends the view."""
    await ring_and_show(hass, shown, simulator)
    await advance(hass, freezer, 46)
    simulator.ring("Posto esterno cortile")
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_busy(shown, simulator)


async def test_diagnostics(hass: HomeAssistant, shown: Whep, simulator: Simulator) -> None:
    """They name no panel."""
    found = await async_get_config_entry_diagnostics(hass, get_entry(hass))
    (panel,) = found["entry"]["options"][const.CONF_STREAMS][const.CONF_SHOWN_RINGS]
    assert "panel" in panel
    assert simulator.house.find(PANEL).id not in str(found)
    assert shown.path


async def test_ring_that_was_shown_before_a_reload(
    hass: HomeAssistant, shown: Whep, clock: Clock, simulator: Simulator
) -> None:
    """It is not shown again, so the limits count."""
    await ring_and_show(hass, shown, simulator)
    await reload_entry(hass, get_entry(hass))
    await set_up(hass)
    clock.ahead += 1
    assert states(hass)[0] == "on"
    await expect_retry(await shown.post(), 503, 1, 60)
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 1)
