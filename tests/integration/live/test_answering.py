"""Answering a ring: by opening the camera, in a race with others, with the talk button."""

from typing import TYPE_CHECKING, Any

from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.live.departures import RECONNECT_GRACE_SECONDS
from tests.integration.conftest import (
    EventRecorder,
    get_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_until,
)
from tests.integration.live.browser_client import (
    BrowserClient,
    BrowserView,
    offer,
    open_session,
    panel_id,
)
from tests.integration.live.conftest import (
    CALL_EVENT,
    CANDIDATE,
    IN_CALL,
    RINGING,
    call_events,
    let_grace_period_pass,
    ring_and_send_answer,
    ring_and_wait,
)
from tests.simulator import pushes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    import pytest

    from custom_components.bticino_classe.client.webrtc.session import CallSession
    from tests.simulator import Simulator


def last_event(hass: HomeAssistant) -> Mapping[str, Any]:
    """Return the attributes of the last call event at the street."""
    state = hass.states.get(CALL_EVENT)
    assert state is not None
    return state.attributes


async def test_opening_the_camera_answers_the_ring(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """A new call would be busy; the call ends when the viewer leaves."""
    call = await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 1)
    assert call.answered
    await wait_frames(hass, 5)  # offer, incoming, accepted, rescind, besides the subscription
    assert state_of(hass, RINGING) == "off"
    assert state_of(hass, IN_CALL) == "on"
    last = last_event(hass)
    assert last["answered_by"] == "here"
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await let_grace_period_pass(hass)
    assert call_events(events) == ["answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"
    assert simulator.rtc.terminates == 1


async def test_talk_button_continues_the_answered_call(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The player reconnects with a microphone; the events show one call."""
    await ring_and_wait(hass, simulator)
    listening = await browser.watch(offer())
    await listening.close()
    talking = await browser.watch(offer("chromium_talk"))
    await hass.async_block_till_done()
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.terminates) == (1, 1, 1)
    assert simulator.rtc.peak == 1
    assert state_of(hass, IN_CALL) == "on"
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "on"
    assert call_events(events) == ["answered"]
    await talking.close()
    await let_grace_period_pass(hass)
    assert call_events(events)[-1] == "ended"


async def test_call_ends_if_nobody_returns(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """Also if the talk button is pressed and the dialog is closed at once."""
    await ring_and_wait(hass, simulator)
    first = await browser.watch(offer())
    second = await browser.open_view(offer("chromium_talk"))
    await second.close()
    await first.close()
    await let_grace_period_pass(hass)
    assert call_events(events) == ["answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"
    assert simulator.rtc.offers == 0


async def test_intercom_ends_the_answered_call(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """Push and signaling socket both report it: one end."""
    call = await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    simulator.hang_up(call)
    await view.wait_for("error")
    await wait_until(lambda: state_of(hass, IN_CALL) == "off")
    await wait_idle(hass)
    assert view.error_code == "call_over"
    assert len(view.received("error")) == 1
    assert call_events(events) == ["answered", "ended"]


async def test_end_is_reported_by_push_only(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The signaling socket has missed it."""
    call = await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    simulator.push(pushes.end(call, "terminate", simulator.number()))
    await view.wait_for("error")
    assert view.error_code == "call_over"


async def test_ring_is_answered_elsewhere_first(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The viewer gets the reason; the panel is not dialled instead."""
    call, view = await ring_and_send_answer(hass, browser, simulator)
    simulator.rescind(open_session(simulator))
    simulator.rtc.release_acks()
    await view.wait_for("error")
    assert view.error_code == "call_answered_elsewhere"
    simulator.mark_answered(call, rescind=False)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    last = last_event(hass)
    assert last["answered_by"] == "elsewhere"


async def test_ring_ends_while_it_is_being_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """Only the push reports it; the view does not freeze, but ends with an error."""
    call, view = await ring_and_send_answer(hass, browser, simulator)
    simulator.push(pushes.end(call, "terminate", simulator.number()))
    await wait_frames(hass, 4)  # subscription, offer, incoming, terminate
    simulator.rtc.release_acks()
    await view.wait_for("error")
    await hass.async_block_till_done()
    assert call_events(events) == ["answered", "ended"]


async def test_viewer_leaves_while_the_ring_is_being_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The call is terminated, and it does not count as answered."""
    _, view = await ring_and_send_answer(hass, browser, simulator)
    await view.close()
    simulator.rtc.release_acks()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert simulator.rtc.terminates == 1
    assert "answered" not in call_events(events)


async def test_camera_is_reopened_while_the_ring_is_being_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """Leaving has ended the ring, so the second view dials the panel."""
    _, first = await ring_and_send_answer(hass, browser, simulator)
    await first.close()
    simulator.rtc.release_acks()
    await browser.watch(offer(version=2))
    assert (simulator.rtc.answers, simulator.rtc.offers, simulator.rtc.terminates) == (1, 1, 1)
    assert call_events(events) == ["ended"]
    assert get_entry(hass).runtime_data.live.viewers == 1


async def test_viewer_leaves_as_the_answer_arrives(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Held candidates are still being sent at that moment."""
    live = get_entry(hass).runtime_data.live
    notify = live.channel.notify
    views: list[BrowserView] = []

    async def notify_and_leave(session: CallSession, data: Mapping[str, Any]) -> None:
        await notify(session, data)
        for view in views:
            live.async_leave(view.session_id, None)

    monkeypatch.setattr(live.channel, "notify", notify_and_leave)
    await ring_and_wait(hass, simulator)
    simulator.rtc.hold_acks()
    view = await browser.open_view(offer())
    views.append(view)
    await view.send_candidate(CANDIDATE)
    simulator.rtc.release_acks()
    await view.wait_for("answer")
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert simulator.rtc.terminates == 1
    assert call_events(events) == ["ended"]
    assert "Traceback" not in caplog.text


async def test_newer_of_two_rings_is_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The end of the first was lost, and the visitor has rung again."""
    first = await ring_and_wait(hass, simulator)
    simulator.end_silently(first)
    second = await ring_and_wait(hass, simulator)
    calls = get_entry(hass).runtime_data.calls
    await wait_until(lambda: len(calls.ringing) == 2)
    await browser.watch(offer())
    assert second.answered
    assert not first.answered


async def test_new_ring_after_leaving_a_call_is_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """It is not mistaken for the talk button."""
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    second = await ring_and_wait(hass, simulator)
    await browser.watch(offer(version=2))
    assert second.answered
    assert simulator.rtc.offers == 0


async def test_picture_arrives_while_the_ring_is_being_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """It is stored with the call."""
    call, view = await ring_and_send_answer(hass, browser, simulator, status=False)
    simulator._push_incoming(call)
    await wait_frames(hass, 3)  # subscription, offer, incoming
    simulator.rtc.release_acks()
    await view.wait_for("answer")
    street = panel_id(simulator, "Posto esterno strada")
    history = get_entry(hass).runtime_data.history
    await wait_until(lambda: history.last(street, "snapshot") == history.last(street))
    assert history.last(street).outcome == "answered"


async def test_ring_that_ended_unnoticed_is_answered_once(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The first view learns that the ring is over, the second one dials."""
    call = await ring_and_wait(hass, simulator)
    simulator.end_silently(call)
    first = await browser.open_view(offer())
    await first.wait_for("error")
    assert first.error_code == "call_over"
    assert state_of(hass, RINGING) == "off"
    await browser.watch(offer(version=2))


async def test_duration_ends_when_the_viewer_leaves(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The time in which the viewer may return does not count."""
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await view.close()
    freezer.tick(RECONNECT_GRACE_SECONDS + 1)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    last = last_event(hass)
    assert last["event_type"] == "ended"
    assert last["duration"] == 0
