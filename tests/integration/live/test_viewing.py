"""Live view: Home Assistant's player, the cloud and the intercom."""

from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.live import manager
from tests.integration.conftest import get_entry, is_watched, skip_backoff, state_of, wait_until
from tests.integration.live.browser_client import (
    STREET,
    YARD,
    BrowserClient,
    offer,
    open_session,
    panel_id,
)
from tests.integration.live.conftest import (
    CANDIDATE,
    IN_CALL,
    let_grace_period_pass,
    ring_and_wait,
    set_timeouts,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        WebSocketGenerator,
    )

    from tests.simulator import Simulator


async def test_view(hass: HomeAssistant, browser: BrowserClient, simulator: Simulator) -> None:
    """Video is shown, the states follow, and the intercom gets one terminate."""
    assert state_of(hass, STREET) == "idle"
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert is_watched(hass, STREET)
    assert state_of(hass, YARD) == "idle"
    assert state_of(hass, IN_CALL) == "on"
    assert state_of(hass, "binary_sensor.classe_300x_line_panel_unknown") == "off"
    assert state_of(hass, "binary_sensor.posto_esterno_cortile_line") == "off"
    assert open_session(simulator).panel_id == panel_id(simulator, "Posto esterno strada")
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await hass.async_block_till_done()
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 1)
    assert state_of(hass, STREET) == "idle"
    await let_grace_period_pass(hass)
    assert state_of(hass, IN_CALL) == "off"


async def test_view_with_a_faulty_listener(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The fault is logged; the view and the states of all entities are not affected."""

    def fail(_: object) -> None:
        raise ValueError

    get_entry(hass).runtime_data.live._listeners._listeners.insert(0, fail)
    view = await browser.watch(offer())
    await hass.async_block_till_done()
    assert is_watched(hass, STREET)
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await hass.async_block_till_done()
    assert state_of(hass, STREET) == "idle"
    assert "ValueError" in caplog.text


async def test_candidates_are_exchanged(browser: BrowserClient, simulator: Simulator) -> None:
    """Only those that the intercom can reach; its own come after its answer."""
    simulator.rtc.settings.candidates_before_answer = True
    view = await browser.open_view(offer())
    await view.send_candidate(CANDIDATE, "1", 1)
    await view.send_candidate(CANDIDATE.replace("udp", "tcp"))
    await view.send_candidate(CANDIDATE.replace("203.0.113.77", "127.0.0.1"))
    await view.send_candidate("")
    await view.wait_for("candidate")
    kinds = [message["type"] for message in view.messages]
    assert kinds.index("answer") < kinds.index("candidate")
    assert set(view.received("candidate")[0]["candidate"]) >= {
        "candidate",
        "sdpMid",
        "sdpMLineIndex",
    }
    await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)
    await view.send_candidate(CANDIDATE)
    await simulator.rtc.wait_for(lambda: len(open_session(simulator).candidates) == 2)
    assert open_session(simulator).candidates == [
        {"candidate": CANDIDATE, "sdp_mid": "1", "sdp_m_line_index": 1},
        {"candidate": CANDIDATE, "sdp_mid": "0", "sdp_m_line_index": 0},
    ]


@pytest.mark.parametrize(
    "captured",
    [
        "chromium_watch",
        "chromium_talk",
        "chromium_data_gathered",
        "firefox_watch_shaped",
        "firefox_talk_shaped",
        "firefox_esr153_watch",
        "firefox_esr153_talk",
        "safari_watch_shaped",
        "safari_talk_shaped",
        "desktop_shaped",
    ],
)
async def test_offers_of_all_browsers(
    browser: BrowserClient, simulator: Simulator, captured: str
) -> None:
    """The reduced offer is small enough for the intercom and asks for audio both ways."""
    view = await browser.open_view(offer(captured))
    answer = await view.wait_for("answer")
    session = open_session(simulator)
    assert session.sdp_size <= 8000
    assert "a=sendrecv" in session.sdp
    assert answer["answer"].count("\r\nm=") == offer(captured).count("\r\nm=")


async def test_client_configuration_has_the_ice_servers(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """Home Assistant cannot wait for them, so they are requested beforehand."""
    await async_setup_component(hass, "web_rtc", {})
    result = await browser.request({"type": "camera/webrtc/get_client_config", "entity_id": STREET})
    servers = result["result"]["configuration"]["iceServers"]
    assert servers[0]["urls"][0].startswith("turn:")
    assert servers[0]["credential"]
    assert simulator.journal.count("/api/getcredentials") == 0, "not for each view"


async def test_talk_button_before_the_old_view_is_closed(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The new offer waits until the old view has ended."""
    first = await browser.watch(offer())
    second = await browser.open_view(offer("chromium_talk"))
    await first.close()
    await second.wait_for("answer")
    assert simulator.rtc.peak == 1
    assert simulator.rtc.terminates == 1
    assert second.received("error") == []
    await hass.async_block_till_done()
    assert is_watched(hass, STREET)


@pytest.mark.parametrize("camera", [STREET, YARD])
async def test_second_viewer_gets_a_busy_message(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    *,
    camera: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is cut off, and no request is sent to the intercom."""
    monkeypatch.setattr(manager, "BUSY_WAIT_SECONDS", 0.05)
    first = await browser.watch(offer())
    second = await (await BrowserClient.connect(hass_ws_client, camera)).open_view(
        offer("firefox_watch_shaped")
    )
    error = await second.wait_for("error")
    assert error["code"] == "call_busy"
    assert error["message"] == (
        "Somebody else is on the line with this intercom. Try again in a moment."
    )
    assert simulator.rtc.offers == 1
    assert first.received("error") == []
    await second.close()
    await hass.async_block_till_done()
    assert is_watched(hass, STREET)


async def test_returning_viewer_comes_before_a_waiting_one(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The talk button closes the view for a moment, in which nobody else may take over."""
    monkeypatch.setattr(manager, "RETURN_PRIORITY_SECONDS", 20)
    watching = await browser.watch(offer())
    waiting = await (await BrowserClient.connect(hass_ws_client, STREET)).open_view(
        offer(version=2)
    )
    await watching.close()
    returning = await browser.open_view(offer("chromium_talk", version=3))
    monkeypatch.setattr(manager, "RETURN_PRIORITY_SECONDS", 0.01)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=21))
    await waiting.wait_for("error")
    assert waiting.error_code == "call_busy"
    await returning.wait_for("answer")
    assert simulator.rtc.peak == 1


async def test_waiting_viewer_is_next(
    browser: BrowserClient, simulator: Simulator, hass_ws_client: WebSocketGenerator
) -> None:
    """If the first viewer does not return."""
    watching = await browser.watch(offer())
    waiting = await (await BrowserClient.connect(hass_ws_client, STREET)).open_view(
        offer(version=2)
    )
    await watching.close()
    await waiting.wait_for("answer")
    assert simulator.rtc.peak == 1


async def test_messages_are_in_the_configured_language(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The player shows messages as they are and translates nothing."""
    hass.config.language = "it"
    await hass.config_entries.async_reload(get_entry(hass).entry_id)
    simulator.rtc.settings.refuse_offers = 41
    view = await browser.open_view(offer())
    error = await view.wait_for("error")
    assert error["message"] == "Al momento il videocitofono non è connesso al cloud."


@pytest.mark.parametrize(
    ("settings", "timeouts", "error"),
    [
        ({"refuse_offers": 41}, {}, "call_unreachable"),
        ({"refuse_offers": 26}, {}, "too_many_requests"),
        ({"refuse_offers": 99}, {}, "call_failed"),
        ({"silent_acks": True}, {"acknowledged": 0.05}, "call_no_answer"),
        ({"silent_answers": True}, {"answered": 0.05}, "call_no_answer"),
        ({"slots": 0}, {}, "call_busy"),
    ],
)
async def test_viewer_gets_the_reason_of_a_failure(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    settings: dict[str, Any],
    timeouts: dict[str, float],
    error: str,
) -> None:
    """One message, and nothing is left of the view."""
    for name, value in settings.items():
        setattr(simulator.rtc.settings, name, value)
    set_timeouts(get_entry(hass), **timeouts)
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert view.error_code == error
    await view.close()
    await hass.async_block_till_done()
    assert [message["type"] for message in view.messages] == ["session", "error"]
    assert state_of(hass, STREET) == "idle"
    assert get_entry(hass).runtime_data.live.viewers == 0


async def test_intercom_ends_the_view(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """As it does after 30 seconds; a new view can be opened."""
    view = await browser.watch(offer())
    simulator.end_view(open_session(simulator))
    error = await view.wait_for("error")
    assert error["code"] == "call_over"
    assert state_of(hass, STREET) == "idle"
    assert simulator.rtc.terminates == 0
    await browser.watch(offer(version=2))


async def test_unexpected_error_ends_the_view(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The viewer is notified, and the intercom is free again."""

    def fail(*_: str) -> str:
        raise ZeroDivisionError

    name = "custom_components.bticino_classe.client.webrtc.session.device_answer_for_viewer"
    monkeypatch.setattr(name, fail)
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert view.error_code == "call_failed"
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert get_entry(hass).runtime_data.live.viewers == 0


async def test_view_closed_before_its_acknowledgement(
    browser: BrowserClient, simulator: Simulator
) -> None:
    """Only the acknowledgement says which session to end; the next view waits for it."""
    simulator.rtc.hold_acks()
    first = await browser.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    await first.close()
    simulator.rtc.release_acks()
    await browser.watch(offer(version=2))
    assert (simulator.rtc.offers, simulator.rtc.terminates, simulator.rtc.peak) == (2, 1, 1)


async def test_browser_disconnects(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The intercom gets one terminate for each view."""
    await browser.watch(offer())
    await browser.disconnect()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    await wait_until(lambda: state_of(hass, STREET) == "idle")


async def test_browser_disconnects_before_the_answer(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The acknowledgement still says which session to end."""
    simulator.rtc.hold_acks()
    await browser.open_view(offer())
    await simulator.rtc.wait_for(lambda: simulator.rtc.offers)
    await browser.disconnect()
    simulator.rtc.release_acks()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    await wait_until(lambda: not simulator.rtc.open)
    assert state_of(hass, STREET) == "idle"


async def test_repeated_offer_is_not_dialled(browser: BrowserClient, simulator: Simulator) -> None:
    """After a lost connection the frontend repeats an offer, whose answer would be ignored."""
    view = await browser.watch(offer())
    await view.close()
    again = await browser.open_view(offer())
    await again.wait_for("error")
    assert again.error_code == "call_interrupted"
    assert simulator.rtc.offers == 1


async def test_ice_restart(browser: BrowserClient, simulator: Simulator) -> None:
    """After a change of network the browser offers again without ending the old session."""
    await browser.watch(offer())
    lines = offer().split("\r\n")
    origin = lines[1].split(" ")
    origin[2] = str(int(origin[2]) + 1)
    await browser.watch("\r\n".join([lines[0], " ".join(origin), *lines[2:]]))
    assert simulator.rtc.terminates == 1
    assert simulator.rtc.peak == 1


async def test_lost_signaling_connection(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """Media does not pass through it; the terminate is sent on the next connection."""
    view = await browser.watch(offer())
    for connection in simulator.connections:
        if connection.path.endswith("appws/"):
            connection.drop()
    channel = get_entry(hass).runtime_data.live.channel
    skip_backoff(channel)
    await wait_until(lambda: channel.socket.counters["connections_ended"])
    assert is_watched(hass, STREET)
    await view.close()
    await simulator.rtc.wait_for(lambda: simulator.rtc.terminates)
    assert view.received("error") == []


@pytest.mark.parametrize(
    # A browser that is still connected has a timer of Home Assistant's own.
    ("how", "expected_lingering_timers"),
    [("unload", False), ("stop", True)],
)
async def test_unload_ends_the_view(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator, how: str
) -> None:
    """The terminate is sent before the connection closes; the viewer is notified."""
    view = await browser.watch(offer())
    entry = get_entry(hass)
    channel = entry.runtime_data.live.channel
    if how == "unload":
        await hass.config_entries.async_unload(entry.entry_id)
    else:
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await wait_until(lambda: channel.is_idle)
    assert simulator.rtc.terminates == 1
    assert channel.is_idle
    if how == "unload":
        await view.wait_for("error")
        assert view.error_code == "call_hung_up"
    await browser.disconnect()


async def test_changed_password(
    hass: HomeAssistant, browser: BrowserClient, simulator: Simulator
) -> None:
    """The viewer gets the reason, and re-authentication starts."""
    simulator.change_password("another")
    view = await browser.open_view(offer())
    await view.wait_for("error")
    assert view.error_code == "invalid_auth"
    assert [f["context"]["source"] for f in hass.config_entries.flow.async_progress()] == ["reauth"]


async def test_nothing_secret_is_logged(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No SDP, ICE password, address, TURN credential or id, at any level."""
    for name in ("custom_components.bticino_classe", "aiohttp"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.clear()
    await ring_and_wait(hass, simulator)
    view = await browser.open_view(offer())
    await view.send_candidate(CANDIDATE)
    answer = await view.wait_for("answer")
    session = open_session(simulator)
    await view.close()
    again = await browser.watch(offer(version=3))
    simulator.device_error(open_session(simulator), 41)
    await again.wait_for("error")
    result = await browser.request({"type": "camera/webrtc/get_client_config", "entity_id": STREET})
    secrets = [session.id, session.tag_id, CANDIDATE, "203.0.113.77"]
    secrets += [line for line in answer["answer"].splitlines() if "ice-pwd" in line]
    secrets += [line for line in offer().splitlines() if "ice-pwd" in line or "fingerprint" in line]
    secrets += [
        server["credential"] for server in result["result"]["configuration"]["iceServers"][:1]
    ]
    ours = "\n".join(
        record.getMessage() for record in caplog.records if "homeassistant" not in record.name
    )
    assert [secret for secret in secrets if secret in ours] == []
