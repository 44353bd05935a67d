"""Calls as people have them: answered rings, the talk button, two viewers, what goes wrong."""

import asyncio
from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.calls.answers import RECONNECT_GRACE_SECONDS
from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    Happenings,
    act,
    heard,
    refused,
    settle,
    state_of,
    the_entry,
    until,
)
from tests.integration.player import COURT, STREET, Page, offer, open_session, panel_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from custom_components.bticino_classe.client.webrtc.session import CallSession
    from tests.simulator import Simulator
    from tests.simulator.calls import Call

IN_CALL = "binary_sensor.posto_esterno_strada_in_call"
RINGING = "binary_sensor.posto_esterno_strada_ringing"
EVENT = "event.posto_esterno_strada_call"
NEXT_PANEL = "button.classe_300x_next_panel"


async def ring(hass: HomeAssistant, simulator: Simulator, **how: Any) -> Call:
    """Ring at the street, and wait until Home Assistant knows."""
    call = simulator.ring("Posto esterno strada", **how)
    await until(lambda: state_of(hass, RINGING) == "on")
    return call


def steps(bell: Happenings) -> list[str]:
    """Return what was told of calls at the street."""
    return [kind for at, kind in bell.told() if at == EVENT]


def last_step(hass: HomeAssistant) -> Mapping[str, Any]:
    """Return what was told last of a call at the street."""
    told = hass.states.get(EVENT)
    assert told is not None
    return told.attributes


async def handover_is_over(hass: HomeAssistant) -> None:
    """Let the time pass in which a viewer may come back."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=RECONNECT_GRACE_SECONDS + 1))
    await hass.async_block_till_done()


async def test_camera_that_is_opened_while_it_rings_answers(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """The intercom would call a second caller busy; the visitor is talked to, and then let go."""
    call = await ring(hass, simulator)
    view = await page.watch(offer())
    await hass.async_block_till_done()
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 1)
    assert call.answered
    await heard(hass, 5)  # offer, incoming, accepted, rescind, besides the subscription
    assert state_of(hass, RINGING) == "off"
    assert state_of(hass, IN_CALL) == "on"
    told = last_step(hass)
    assert told["answered_by"] == "here"
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await handover_is_over(hass)
    assert steps(bell) == ["incoming", "answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"
    assert simulator.rtc.terminates == 1


async def test_talk_button_goes_on_with_the_call_that_rang(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """The player leaves and comes back with a microphone; to the house it is one call."""
    await ring(hass, simulator)
    listening = await page.watch(offer())
    await listening.close()
    talking = await page.watch(offer("chromium_talk"))
    await hass.async_block_till_done()
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.terminates) == (1, 1, 1)
    assert simulator.rtc.peak == 1
    assert state_of(hass, IN_CALL) == "on"
    await handover_is_over(hass)
    assert state_of(hass, IN_CALL) == "on"
    assert steps(bell) == ["incoming", "answered"]
    await talking.close()
    await handover_is_over(hass)
    assert steps(bell)[-1] == "ended"


async def test_talk_button_whose_leaving_comes_late(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The new offer may overtake it: it waits a moment, and then for the intercom's word."""
    first = await page.watch(offer())
    second = await page.view(offer("chromium_talk"))
    await first.close()
    await second.wait_for("answer")
    assert simulator.rtc.peak == 1
    assert simulator.rtc.terminates == 1
    assert second.received("error") == []
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "streaming"


async def test_call_that_nobody_comes_back_to_ends(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """Also when the talk button is pressed and the dialogue closed at once."""
    await ring(hass, simulator)
    first = await page.watch(offer())
    second = await page.view(offer("chromium_talk"))
    await second.close()
    await first.close()
    await handover_is_over(hass)
    assert steps(bell) == ["incoming", "answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"
    assert simulator.rtc.offers == 0


@pytest.mark.parametrize("camera", [STREET, COURT])
async def test_second_viewer_is_told_that_the_line_is_busy(
    hass: HomeAssistant,
    page: Page,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    *,
    camera: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is thrown out of a conversation, and the intercom is not bothered with it."""
    monkeypatch.setattr("custom_components.bticino_classe.live.manager.BUSY_WAIT_SECONDS", 0.05)
    first = await page.watch(offer())
    second = await (await Page.open(hass_ws_client, camera)).view(offer("firefox_watch_shaped"))
    error = await second.wait_for("error")
    assert error["code"] == "call_busy"
    assert error["message"] == (
        "Somebody else is on the line with this intercom. Try again in a moment."
    )
    assert simulator.rtc.offers == 1
    assert first.received("error") == []
    await second.close()
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "streaming"


async def test_texts_are_in_the_language_of_the_house(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The player shows what it is given, and translates nothing."""
    hass.config.language = "it"
    await hass.config_entries.async_reload(the_entry(hass).entry_id)
    simulator.rtc.settings.refuse_offers = 41
    view = await page.view(offer())
    error = await view.wait_for("error")
    assert error["message"] == "Al momento il videocitofono non è connesso al cloud."


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"refuse_offers": 41}, "call_unreachable"),
        ({"refuse_offers": 26}, "too_many_requests"),
        ({"refuse_offers": 99}, "call_failed"),
        ({"silent_acks": True}, "call_no_answer"),
        ({"silent_answers": True}, "call_no_answer"),
        ({"slots": 0}, "call_busy"),
    ],
)
async def test_viewer_learns_why_there_are_no_pictures(
    hass: HomeAssistant, page: Page, simulator: Simulator, settings: dict[str, Any], error: str
) -> None:
    """One message, then nothing is left of the view."""
    for name, value in settings.items():
        setattr(simulator.rtc.settings, name, value)
    view = await page.view(offer())
    await view.wait_for("error")
    assert view.error == error
    await view.close()
    await hass.async_block_till_done()
    assert [message["type"] for message in view.messages] == ["session", "error"]
    assert state_of(hass, STREET) == "idle"
    assert the_entry(hass).runtime_data.live.viewers == 0


async def test_intercom_ends_the_view(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """As it does after half a minute; a new one can be opened."""
    view = await page.watch(offer())
    simulator.end_view(open_session(simulator))
    error = await view.wait_for("error")
    assert error["code"] == "call_over"
    assert state_of(hass, STREET) == "idle"
    assert simulator.rtc.terminates == 0
    await page.watch(offer(version=2))


async def test_intercom_ends_the_answered_call(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """The push and the signaling socket both say so: one end."""
    call = await ring(hass, simulator)
    view = await page.watch(offer())
    await hass.async_block_till_done()
    simulator.hang_up(call)
    await view.wait_for("error")
    await until(lambda: state_of(hass, IN_CALL) == "off")
    await settle(hass)
    assert view.error == "call_over"
    assert len(view.received("error")) == 1
    assert steps(bell) == ["incoming", "answered", "ended"]


async def test_end_of_an_answered_call_that_only_the_push_tells(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The signaling socket was away just then."""
    call = await ring(hass, simulator)
    view = await page.watch(offer())
    await hass.async_block_till_done()
    simulator._push_end(call, "terminate")
    await view.wait_for("error")
    assert view.error == "call_over"


async def test_somebody_else_was_quicker(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The call that is answered elsewhere is not dialled into by surprise."""
    call = await ring(hass, simulator)
    simulator.rtc.settings.ack_delay = 0.2
    viewing = asyncio.create_task(page.view(offer()))
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    view = await viewing
    simulator.rescind(open_session(simulator))
    await view.wait_for("error")
    assert view.error == "call_answered_elsewhere"
    simulator._push_status(call, "accepted_call")
    await until(lambda: state_of(hass, RINGING) == "off")
    told = last_step(hass)
    assert told["answered_by"] == "elsewhere"


async def test_visitor_who_leaves_while_our_answer_is_under_way(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """Only the push tells it: the viewer does not look at a frozen picture."""
    call = await ring(hass, simulator)
    simulator.rtc.settings.ack_delay = 0.1
    viewing = asyncio.create_task(page.view(offer()))
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    simulator._push_end(call, "terminate")
    view = await viewing
    await view.wait_for("error")
    await hass.async_block_till_done()
    assert steps(bell) == ["incoming", "answered", "ended"]


async def test_viewer_who_leaves_while_our_answer_is_under_way(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """The visitor is let go."""
    await ring(hass, simulator)
    simulator.rtc.settings.ack_delay = 0.1
    view = await page.view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    await view.close()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    await until(lambda: state_of(hass, RINGING) == "off")
    assert simulator.rtc.terminates == 1
    assert "answered" not in steps(bell)


async def test_camera_that_is_opened_again_while_it_is_answered(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """Leaving has sent the visitor away; the second look dials the panel, and comes about."""
    await ring(hass, simulator)
    simulator.rtc.settings.ack_delay = 0.2
    first = await page.view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    await first.close()
    await page.watch(offer(version=2))
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.terminates) == (1, 1, 1)
    assert steps(bell) == ["incoming", "ended"]
    assert the_entry(hass).runtime_data.live.viewers == 1


async def test_viewer_who_leaves_with_the_answer(
    hass: HomeAssistant,
    page: Page,
    simulator: Simulator,
    bell: Happenings,
    *,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the addresses that were held are still being sent."""
    intercom = the_entry(hass).runtime_data.live
    sent = intercom.channel.notify

    async def tell(session: CallSession, data: Mapping[str, Any]) -> None:
        await sent(session, data)
        for viewer_id in tuple(intercom._viewers):
            intercom.async_leave(viewer_id)

    monkeypatch.setattr(intercom.channel, "notify", tell)
    await ring(hass, simulator)
    simulator.rtc.settings.ack_delay = 0.1
    view = await page.view(offer())
    await view.candidate(USEFUL_NOWHERE)
    await view.wait_for("answer")
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await until(lambda: state_of(hass, RINGING) == "off")
    assert simulator.rtc.terminates == 1
    assert steps(bell) == ["incoming", "ended"]
    assert "Traceback" not in caplog.text


async def test_newer_of_two_rings_is_answered(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The end of the first was lost, and the visitor has rung again."""
    first = await ring(hass, simulator)
    simulator.end_silently(first)
    second = await ring(hass, simulator)
    book = the_entry(hass).runtime_data.calls._tracker
    await until(lambda: len(book.ringing) == 2)
    await page.watch(offer())
    assert second.answered
    assert not first.answered


async def test_new_ring_is_answered_though_another_was_just_left(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """It is not taken for the talk button."""
    await ring(hass, simulator)
    view = await page.watch(offer())
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    second = await ring(hass, simulator)
    await page.watch(offer(version=2))
    assert second.answered
    assert simulator.rtc.offers == 0


async def test_picture_that_comes_while_we_answer(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """It is the visitor's all the same."""
    call = await ring(hass, simulator, status=False)
    simulator.rtc.settings.ack_delay = 0.2
    viewing = asyncio.create_task(page.view(offer()))
    await simulator.rtc.wait_for(lambda: simulator.rtc.answers)
    simulator._push_incoming(call)
    view = await viewing
    await view.wait_for("answer")
    street = panel_id(simulator, "Posto esterno strada")
    await until(lambda: the_entry(hass).runtime_data.history.last(street, "snapshot"))


async def test_ring_is_declined_once(hass: HomeAssistant, page: Page, simulator: Simulator) -> None:
    """However often it is pressed."""
    await ring(hass, simulator)
    simulator.rtc.settings.ack_delay = 0.1
    first = asyncio.create_task(act(hass, DOMAIN, "decline_ring", STREET))
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    assert await refused(hass, DOMAIN, "decline_ring", STREET) == "nobody_rings"
    await first
    assert simulator.rtc.terminates == 1
    assert page.camera == STREET


async def test_visitor_who_left_long_ago_is_not_answered_again_and_again(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The end of the ring was lost: the first look learns it, the second one dials."""
    call = await ring(hass, simulator)
    simulator.end_silently(call)
    first = await page.view(offer())
    await first.wait_for("error")
    assert first.error == "call_over"
    assert state_of(hass, RINGING) == "off"
    await page.watch(offer(version=2))


async def test_call_lasts_until_the_viewer_leaves(
    hass: HomeAssistant, page: Page, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """The moment in which one may come back is no part of it."""
    await ring(hass, simulator)
    view = await page.watch(offer())
    await view.close()
    freezer.tick(RECONNECT_GRACE_SECONDS + 1)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    told = last_step(hass)
    assert told["event_type"] == "ended"
    assert told["duration"] == 0


async def test_talker_comes_before_whoever_waits(
    page: Page, simulator: Simulator, hass_ws_client: WebSocketGenerator
) -> None:
    """Pressing talk leaves the line for a moment, which is not for others to take."""
    watching = await page.watch(offer())
    waiting = await (await Page.open(hass_ws_client, STREET)).view(offer(version=2))
    await watching.close()
    await page.watch(offer("chromium_talk", version=3))
    await waiting.wait_for("error")
    assert waiting.error == "call_busy"
    assert simulator.rtc.peak == 1


async def test_whoever_waits_comes_next(
    page: Page, simulator: Simulator, hass_ws_client: WebSocketGenerator
) -> None:
    """If nobody comes back."""
    watching = await page.watch(offer())
    waiting = await (await Page.open(hass_ws_client, STREET)).view(offer(version=2))
    await watching.close()
    await waiting.wait_for("answer")
    assert simulator.rtc.peak == 1


async def test_hanging_up_while_the_cloud_is_away(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The camera stays available for as long as somebody is on the line."""
    await page.watch(offer())
    the_entry(hass).runtime_data.coordinator.async_set_update_error(TimeoutError())
    await hass.async_block_till_done()
    assert state_of(hass, COURT) == "unavailable"
    assert state_of(hass, STREET) == "streaming"
    await act(hass, DOMAIN, "hang_up", STREET)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "unavailable"


async def test_fault_of_ours_leaves_nobody_waiting(
    hass: HomeAssistant, page: Page, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is told, the line is free, and the intercom too."""

    def fail(*_: str) -> str:
        raise ZeroDivisionError

    name = "custom_components.bticino_classe.client.webrtc.session.device_answer_for_viewer"
    monkeypatch.setattr(name, fail)
    view = await page.view(offer())
    await view.wait_for("error")
    assert view.error == "call_failed"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert the_entry(hass).runtime_data.live.viewers == 0


async def test_new_view_waits_for_the_end_of_one_that_was_never_seen(
    page: Page, simulator: Simulator
) -> None:
    """Left before the acknowledgement, which tells only then what to end."""
    simulator.rtc.settings.ack_delay = 0.2
    first = await page.view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    await first.close()
    await page.watch(offer(version=2))
    assert (simulator.rtc.offers, simulator.rtc.terminates, simulator.rtc.peak) == (2, 1, 1)


async def test_browser_that_is_closed_without_a_word(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """Home Assistant knows, so the intercom learns it: once for each view."""
    await page.watch(offer())
    await page.leave()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    await until(lambda: state_of(hass, STREET) == "idle")


async def test_browser_that_is_closed_before_the_answer(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The acknowledgement comes to nobody: it still tells what to end."""
    simulator.rtc.settings.ack_delay = 0.1
    await page.view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    await page.leave()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    await until(lambda: not simulator.rtc.open)
    assert state_of(hass, STREET) == "idle"


async def test_offer_that_home_assistant_repeats_is_not_dialled(
    page: Page, simulator: Simulator
) -> None:
    """After a lost connection the page sends its old one: its browser would ignore the answer."""
    view = await page.watch(offer())
    await view.close()
    again = await page.view(offer())
    await again.wait_for("error")
    assert again.error == "call_interrupted"
    assert simulator.rtc.offers == 1


async def test_browser_that_begins_anew_by_itself(page: Page, simulator: Simulator) -> None:
    """After a change of network it offers again, and never ends what it had: we do."""
    await page.watch(offer())
    lines = offer().split("\r\n")
    origin = lines[1].split(" ")
    origin[2] = str(int(origin[2]) + 1)
    await page.watch("\r\n".join([lines[0], " ".join(origin), *lines[2:]]))
    assert simulator.rtc.terminates == 1
    assert simulator.rtc.peak == 1


async def test_cut_line_in_mid_call(hass: HomeAssistant, page: Page, simulator: Simulator) -> None:
    """Pictures do not pass through it; the end is told on the next line."""
    view = await page.watch(offer())
    for connection in simulator.connections:
        if connection.path.endswith("appws/"):
            connection.drop()
    channel = the_entry(hass).runtime_data.live.channel
    channel.socket._backoff.draw = lambda: 0.0
    await until(lambda: channel.socket.counters["connections_ended"])
    assert state_of(hass, STREET) == "streaming"
    await view.close()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    assert view.received("error") == []


@pytest.mark.parametrize(
    # A page that is still open has a timer of Home Assistant's own.
    ("how", "expected_lingering_timers"),
    [("unload", False), ("stop", True)],
)
async def test_nothing_outlives_the_entry(
    hass: HomeAssistant, page: Page, simulator: Simulator, how: str
) -> None:
    """The intercom is told before the line closes; the viewer learns it too."""
    view = await page.watch(offer())
    entry = the_entry(hass)
    channel = entry.runtime_data.live.channel
    if how == "unload":
        await hass.config_entries.async_unload(entry.entry_id)
    else:
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await until(lambda: channel.is_idle)
    assert simulator.rtc.terminates == 1
    assert channel.is_idle
    if how == "unload":
        await view.wait_for("error")
        assert view.error == "call_hung_up"
    await page.leave()


async def test_hanging_up(hass: HomeAssistant, page: Page, simulator: Simulator) -> None:
    """From an automation or another room; without a call it is no use."""
    assert await refused(hass, DOMAIN, "hang_up", STREET) == "no_call"
    view = await page.watch(offer())
    assert await refused(hass, DOMAIN, "hang_up", COURT) == "no_call"
    await act(hass, DOMAIN, "hang_up", STREET)
    await view.wait_for("error")
    assert view.error == "call_hung_up"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1


async def test_declining_a_ring(
    hass: HomeAssistant, page: Page, simulator: Simulator, bell: Happenings
) -> None:
    """It ends for everybody; nobody was answered."""
    assert await refused(hass, DOMAIN, "decline_ring", STREET) == "nobody_rings"
    await ring(hass, simulator)
    assert await refused(hass, DOMAIN, "decline_ring", COURT) == "nobody_rings"
    await act(hass, DOMAIN, "decline_ring", STREET)
    assert state_of(hass, RINGING) == "off"
    await heard(hass, 4)
    assert (simulator.rtc.answers, simulator.rtc.terminates) == (0, 1)
    assert steps(bell) == ["incoming", "ended"]
    assert page.camera == STREET


async def test_declining_that_the_cloud_does_not_take(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The person who declined learns that it still rings."""
    await ring(hass, simulator)
    simulator.sockets.handshake_status = 503
    assert await refused(hass, DOMAIN, "decline_ring", STREET) == "cannot_connect"
    assert state_of(hass, RINGING) == "on"
    assert page.camera == STREET


@pytest.mark.parametrize("house_name", ["easykit"])
async def test_ring_that_cannot_be_declined(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Where the cloud sends no offer, there is nothing to say it with."""
    simulator.ring()
    await until(bell.rings)
    (camera,) = hass.states.async_entity_ids("camera")
    assert await refused(hass, DOMAIN, "decline_ring", camera) == "cannot_decline"


async def test_next_panel_while_somebody_watches(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The button is there for as long; the action says why it cannot."""
    assert state_of(hass, NEXT_PANEL) == "unavailable"
    assert await refused(hass, DOMAIN, "next_panel", STREET) == "no_call"
    await page.watch(offer())
    await hass.async_block_till_done()
    assert state_of(hass, NEXT_PANEL) == "unknown"
    await act(hass, "button", "press", NEXT_PANEL)
    court = panel_id(simulator, "Posto esterno cortile")
    assert open_session(simulator).panel_id == court
    await act(hass, DOMAIN, "next_panel", STREET)
    assert open_session(simulator).next_modules == 2


async def test_password_that_was_changed(
    hass: HomeAssistant, page: Page, simulator: Simulator
) -> None:
    """The viewer learns it, and somebody is asked to sign in."""
    simulator.change_password("another")
    view = await page.view(offer())
    await view.wait_for("error")
    assert view.error == "invalid_auth"
    assert [f["context"]["source"] for f in hass.config_entries.flow.async_progress()] == ["reauth"]


async def test_nothing_secret_is_logged(
    hass: HomeAssistant, page: Page, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """At no level: no description, no ICE password, no address, no relay's credentials, no id."""
    for name in ("custom_components.bticino_classe", "aiohttp"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.clear()
    await ring(hass, simulator)
    view = await page.view(offer())
    await view.candidate(USEFUL_NOWHERE)
    answer = await view.wait_for("answer")
    session = open_session(simulator)
    await view.close()
    again = await page.watch(offer(version=3))
    simulator.device_error(open_session(simulator), 41)
    await again.wait_for("error")
    result = await page.request({"type": "camera/webrtc/get_client_config", "entity_id": STREET})
    secrets = [session.id, session.tag_id, USEFUL_NOWHERE, "203.0.113.77"]
    secrets += [line for line in answer["answer"].splitlines() if "ice-pwd" in line]
    secrets += [line for line in offer().splitlines() if "ice-pwd" in line or "fingerprint" in line]
    secrets += [
        server["credential"] for server in result["result"]["configuration"]["iceServers"][:1]
    ]
    ours = "\n".join(
        record.getMessage() for record in caplog.records if "homeassistant" not in record.name
    )
    assert [secret for secret in secrets if secret in ours] == []


USEFUL_NOWHERE = "candidate:7 1 udp 2122260223 203.0.113.77 50000 typ host"
