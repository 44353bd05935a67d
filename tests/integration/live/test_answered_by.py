"""Who answered and who ended a call, in the events and in the history."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.services import SIMULATE_RING
from tests.integration.conftest import (
    call_action,
    call_entity,
    device_id_of,
    expect_refused,
    get_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_until,
)
from tests.integration.live.browser_client import (
    STREET,
    BrowserClient,
    BrowserView,
    offer,
    open_session,
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
    set_timeouts,
)
from tests.simulator import pushes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.client.webrtc.session import CallSession
    from tests.integration.conftest import EventRecorder
    from tests.simulator import Simulator
    from tests.simulator.calls import Call

    type End = Callable[[HomeAssistant, Simulator, Call, BrowserView], Awaitable[None]]


async def leave(
    _hass: HomeAssistant, _simulator: Simulator, _call: Call, view: BrowserView
) -> None:
    """The viewer closes the player."""
    await view.close()


async def hang_up(hass: HomeAssistant, _sim: Simulator, _call: Call, _view: BrowserView) -> None:
    """An automation hangs up."""
    await call_action(hass, DOMAIN, "hang_up", STREET)


async def turn_off(hass: HomeAssistant, _sim: Simulator, _call: Call, _view: BrowserView) -> None:
    """An automation turns the camera off."""
    await call_action(hass, "camera", "turn_off", STREET)


async def intercom(_hass: HomeAssistant, sim: Simulator, call: Call, view: BrowserView) -> None:
    """The intercom ends the call, as after its time limit."""
    sim.hang_up(call)
    await view.wait_for("error")


async def push_only(_hass: HomeAssistant, sim: Simulator, call: Call, view: BrowserView) -> None:
    """Only a push reports the end."""
    sim.push(pushes.end(call, "terminate", sim.number()))
    await view.wait_for("error")


async def fault(_hass: HomeAssistant, sim: Simulator, _call: Call, view: BrowserView) -> None:
    """The intercom ends the call because of an error."""
    sim.device_error(open_session(sim), 41)
    await view.wait_for("error")


async def last_call(
    hass: HomeAssistant, simulator: Simulator
) -> tuple[str, str | None, str | None]:
    """Return the outcome of the last call in the history, who answered, and who ended it."""
    await wait_idle(hass)
    call = get_entry(hass).runtime_data.history.last(simulator.house.bridges()[0].id)
    assert call is not None
    return call.outcome, call.answered_by, call.ended_by


def answered_by(hass: HomeAssistant, event: str = CALL_EVENT) -> str | None:
    """Return who answered according to the last event of a panel."""
    state = hass.states.get(event)
    assert state is not None
    found: str | None = state.attributes.get("answered_by")
    return found


@pytest.mark.parametrize(
    ("end", "ended_by"),
    [
        (leave, "here"),
        (hang_up, "here"),
        (turn_off, "here"),
        (intercom, "elsewhere"),
        (push_only, "elsewhere"),
        (fault, "elsewhere"),
    ],
)
async def test_end_of_an_answered_call(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    end: End,
    ended_by: str,
) -> None:
    """Answered here; ended here or by the intercom."""
    call = await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    await end(hass, simulator, call, view)
    await let_grace_period_pass(hass)
    assert await last_call(hass, simulator) == ("answered", "here", ended_by)
    assert call_events(events) == ["answered", "ended"]
    assert answered_by(hass) == "here"


async def test_call_reaches_its_time_limit(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """Home Assistant ends it, because its end at the intercom may have been lost."""
    set_timeouts(get_entry(hass), max_call=100)
    await ring_and_wait(hass, simulator)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=101))
    error = await view.wait_for("error")
    assert error["code"] == "call_limit"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    assert await last_call(hass, simulator) == ("answered", "here", "here")


@pytest.mark.parametrize(
    ("end", "ended_by"),
    [(leave, "here"), (hang_up, "here"), ("device", "elsewhere")],
)
async def test_end_after_the_talk_button(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    end: End | str,
    ended_by: str,
) -> None:
    """The second session is not that of the ring."""
    call = await ring_and_wait(hass, simulator)
    await (await browser.watch(offer())).close()
    view = await browser.watch(offer("chromium_talk"))
    if isinstance(end, str):
        simulator.end_view(open_session(simulator))
        await view.wait_for("error")
    else:
        await end(hass, simulator, call, view)
    await let_grace_period_pass(hass)
    assert await last_call(hass, simulator) == ("answered", "here", ended_by)


async def test_view_that_cannot_start_again(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, events: EventRecorder
) -> None:
    """The call ended here, when its viewer left."""
    await ring_and_wait(hass, simulator)
    await (await browser.watch(offer())).close()
    simulator.rtc.settings.refuse_offers = 41
    again = await browser.open_view(offer("chromium_talk"))
    await again.wait_for("error")
    await let_grace_period_pass(hass)
    assert await last_call(hass, simulator) == ("answered", "here", "here")
    assert call_events(events) == ["answered", "ended"]
    assert state_of(hass, IN_CALL) == "off"


async def test_ring_that_ends_while_it_is_being_answered(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The intercom has ended it, and nobody has answered."""
    call = await ring_and_wait(hass, simulator)
    simulator.end_silently(call)
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert await last_call(hass, simulator) == ("ended", None, "elsewhere")


async def test_intercom_ends_the_call_as_the_answer_arrives(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Held candidates are still being sent at that moment."""
    live = get_entry(hass).runtime_data.live
    notify = live.channel.notify

    async def notify_and_end(session: CallSession, data: Mapping[str, Any]) -> None:
        await notify(session, data)
        simulator.end_view(open_session(simulator))
        await wait_until(lambda: not live.viewers)

    monkeypatch.setattr(live.channel, "notify", notify_and_end)
    _, view = await ring_and_send_answer(hass, browser, simulator)
    await view.send_candidate(CANDIDATE)
    simulator.rtc.release_acks()
    await view.wait_for("error")
    assert await last_call(hass, simulator) == ("ended", None, "elsewhere")


@pytest.mark.usefixtures("browser")
async def test_call_of_a_phone(hass: HomeAssistant, simulator: Simulator) -> None:
    """Answered and ended elsewhere."""
    call = await ring_and_wait(hass, simulator)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await wait_until(lambda: state_of(hass, IN_CALL) == "off" and state_of(hass, RINGING) == "off")
    assert await last_call(hass, simulator) == ("answered", "elsewhere", "elsewhere")
    assert answered_by(hass) == "elsewhere"


@pytest.mark.usefixtures("browser")
async def test_declined_ring(hass: HomeAssistant, simulator: Simulator) -> None:
    """Ended here, answered by nobody."""
    await ring_and_wait(hass, simulator)
    await call_action(hass, DOMAIN, "decline_ring", STREET)
    assert await last_call(hass, simulator) == ("ended", None, "here")


def entities_of(house_name: str) -> tuple[str, str, str]:
    """Return the camera to open, and the sensor and the event that show the ring."""
    location = "easykit" if house_name == "easykit_three_panels" else "entrance_panel_1"
    camera = "camera.entrance_panel_2" if location == "easykit" else "camera.entrance_panel_1"
    return (
        camera,
        call_entity("binary_sensor", location, "bell"),
        call_entity("event", location, "call"),
    )


WITHOUT_OFFERS = ["easykit", "classe_300eos", "easykit_three_panels"]


@pytest.mark.parametrize("house_name", WITHOUT_OFFERS)
@pytest.mark.parametrize(("is_ended_by_device", "ended_by"), [(False, "here"), (True, "elsewhere")])
async def test_ringing_panel_is_dialled(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    house_name: str,
    is_ended_by_device: bool,
    ended_by: str,
) -> None:
    """Models that send no offers: opening the camera answers the ring, too."""
    browser.camera, ringing, event = entities_of(house_name)
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, ringing) == "on")
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert state_of(hass, ringing) == "off"
    assert answered_by(hass, event) == "here"
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    simulator.miss(call)  # the cloud does not know that it was answered
    await wait_frames(hass, frames + 1)
    if is_ended_by_device:
        simulator.end_view(open_session(simulator))
        await view.wait_for("error")
    else:
        await view.close()
    await let_grace_period_pass(hass)
    assert await last_call(hass, simulator) == ("answered", "here", ended_by)
    kinds = [kind for entity_id, kind in events.recorded() if entity_id == event]
    assert kinds == ["answered", "ended"]


@pytest.mark.parametrize("house_name", WITHOUT_OFFERS)
async def test_talk_button_after_dialling_the_ringing_panel(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    events: EventRecorder,
    *,
    house_name: str,
) -> None:
    """One call, with one end."""
    browser.camera, ringing, event = entities_of(house_name)
    simulator.ring()
    await wait_until(lambda: state_of(hass, ringing) == "on")
    await (await browser.watch(offer())).close()
    view = await browser.watch(offer("chromium_talk"))
    await let_grace_period_pass(hass)
    kinds = [kind for entity_id, kind in events.recorded() if entity_id == event]
    assert kinds == ["answered"]
    await view.close()
    await let_grace_period_pass(hass)
    assert await last_call(hass, simulator) == ("answered", "here", "here")


@pytest.mark.parametrize("house_name", WITHOUT_OFFERS)
@pytest.mark.parametrize("refusal", [{"slots": 0}, {"refuse_offers": 41}])
async def test_ringing_panel_cannot_be_dialled(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    house_name: str,
    refusal: dict[str, int],
) -> None:
    """The ring goes on, and a phone can answer it."""
    browser.camera, ringing, event = entities_of(house_name)
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, ringing) == "on")
    for name, value in refusal.items():
        setattr(simulator.rtc.settings, name, value)
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert state_of(hass, ringing) == "on"
    simulator.answer_elsewhere(call)
    await wait_until(lambda: state_of(hass, ringing) == "off")
    assert answered_by(hass, event) == "elsewhere"


@pytest.mark.parametrize("house_name", WITHOUT_OFFERS)
@pytest.mark.parametrize("is_answered", [False, True])
async def test_viewer_leaves_before_the_ringing_panel_answers(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    house_name: str,
    is_answered: bool,
) -> None:
    """The ring goes on; a phone may have answered it meanwhile."""
    browser.camera, ringing, event = entities_of(house_name)
    call = simulator.ring()
    await wait_until(lambda: state_of(hass, ringing) == "on")
    simulator.rtc.hold_acks()
    view = await browser.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    if is_answered:
        frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
        simulator.answer_elsewhere(call)
        await wait_frames(hass, frames + 1)
    await view.close()
    simulator.rtc.release_acks()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    await let_grace_period_pass(hass)
    assert state_of(hass, ringing) == ("off" if is_answered else "on")
    assert answered_by(hass, event) == ("elsewhere" if is_answered else None)


async def test_simulated_ring_is_answered(
    hass: HomeAssistant, browser: BrowserClient, events: EventRecorder
) -> None:
    """It has no offer either, so automations can be tried out with it."""
    hass.config_entries.async_update_entry(
        get_entry(hass), options={**get_entry(hass).options, "simulated_rings": True}
    )
    await wait_idle(hass)
    data = {"device_id": device_id_of(hass, "Posto esterno strada"), "seconds": 40}
    await hass.services.async_call(DOMAIN, SIMULATE_RING, data, blocking=True)
    await wait_until(lambda: state_of(hass, RINGING) == "on")
    await browser.watch(offer())
    await hass.async_block_till_done()
    assert call_events(events) == ["answered"]
    assert await expect_refused(hass, DOMAIN, "decline_ring", STREET) == "nobody_rings"
