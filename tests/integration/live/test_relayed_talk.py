"""Who may talk and answer through a camera that go2rtc serves: as at the direct one."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.live import audience
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import call_action, get_entry, state_of, wait_until
from tests.integration.live.browser_client import STREET, BrowserClient, offer, open_session
from tests.integration.live.conftest import (
    IN_CALL,
    RINGING,
    ring_and_wait,
)
from tests.integration.live.test_relayed_camera import PAUSE_SECONDS, WATCHING, expect_error
from tests.integration.live.test_relays import Clock

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.integration.live.go2rtc_server import Go2rtcServer
    from tests.simulator import Simulator


@pytest.fixture(name="guest")
async def _guest(
    relayed: BrowserClient,  # noqa: ARG001 - the camera works
    hass_ws_client: WebSocketGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
) -> BrowserClient:
    """The browser of a user who may only watch."""
    hass_read_only_user.groups = []
    hass_read_only_user.mock_policy({"entities": WATCHING})
    return BrowserClient(await hass_ws_client(access_token=hass_read_only_access_token), STREET)


def talk(version: int = 1) -> str:
    """Return an offer with a microphone."""
    return offer("chromium_talk", version=version)


async def test_talking(relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator) -> None:
    """The view can be talked in from its beginning; the button opens it again."""
    view = await relayed.watch(offer())
    assert go2rtc.stream.can_talk
    assert open_session(simulator).sdp.count("m=audio") == 1
    await view.close()
    await wait_until(lambda: not go2rtc.stream.consumers)
    await relayed.watch(talk())
    assert go2rtc.stream.can_talk
    assert (simulator.rtc.offers, simulator.rtc.terminates, simulator.rtc.peak) == (2, 1, 1)


async def test_user_who_may_only_watch(
    hass: HomeAssistant, guest: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """go2rtc gets no offer with a microphone, and its view takes no sound."""
    await expect_error(hass, await guest.open_view(talk()), "call_talk_not_allowed")
    assert simulator.rtc.offers == 0
    await guest.watch(offer())
    assert not go2rtc.stream.can_talk


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=recvonly\r\n", "a=recvonly\r\na=sendrecv\r\n"),
        ("a=recvonly\r\n", "a=recvonly\r\na=sendonly\r\n"),
        ("a=recvonly\r\n", "a=recvonly\r\na=x\ra=sendrecv\r\n"),
        ("a=recvonly\r\n", "a=recvonly\r\n a=sendrecv \r\n"),
        ("a=recvonly\r\n", ""),
    ],
)
async def test_ambiguous_offer_of_who_may_only_watch(
    hass: HomeAssistant, guest: BrowserClient, go2rtc: Go2rtcServer, *, old: str, new: str
) -> None:
    """go2rtc might read another direction in it than Home Assistant."""
    assert old in offer()
    await expect_error(
        hass, await guest.open_view(offer().replace(old, new)), "call_talk_not_allowed"
    )
    assert go2rtc.streams == {}


async def test_user_who_may_only_watch_joins(
    hass: HomeAssistant, relayed: BrowserClient, guest: BrowserClient, go2rtc: Go2rtcServer
) -> None:
    """They hear a conversation, and cannot talk in it."""
    await relayed.watch(talk())
    assert go2rtc.stream.can_talk
    await guest.watch(offer(version=2))
    await expect_error(hass, await guest.open_view(talk(2)), "call_talk_not_allowed")
    assert len(go2rtc.stream.consumers) == 2


async def test_view_that_began_without_talking(
    hass: HomeAssistant,
    relayed: BrowserClient,
    guest: BrowserClient,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
) -> None:
    """Who joins it can watch, and talk when the others have left."""
    view = await guest.watch(offer())
    joined = await relayed.watch(offer(version=2))
    await joined.close()
    await expect_error(hass, await relayed.open_view(talk(2)), "call_relay_silent")
    await view.close()
    await wait_until(lambda: not go2rtc.stream.consumers)
    await relayed.watch(talk(3))
    assert go2rtc.stream.can_talk
    assert (simulator.rtc.offers, simulator.rtc.peak) == (2, 1)


@pytest.mark.parametrize("is_open", [True, False])
async def test_go2rtc_that_connects_by_itself(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
    *,
    is_open: bool,
) -> None:
    """It is a relay; its view takes sound only while somebody has it open who may talk."""
    view = await relayed.watch(offer())
    if is_open:
        simulator.rtc.device_error(open_session(simulator), 0)
    else:
        await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    Clock(hass).ahead = PAUSE_SECONDS
    live = get_entry(hass).runtime_data.live
    await wait_until(lambda: not live.has_viewer(open_panel(hass)))
    assert await go2rtc.pull(go2rtc.stream) is None
    assert go2rtc.stream.can_talk is is_open
    (viewer,) = live._viewers.values()
    assert viewer.relay is not None


def open_panel(hass: HomeAssistant) -> str:
    """Return the id of the street's panel."""
    found: str = next(iter(get_entry(hass).runtime_data.live.go2rtc.chosen))
    return found


@pytest.mark.parametrize("is_watched", [False, True])
async def test_ring_is_answered(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
    *,
    is_watched: bool,
) -> None:
    """By opening the camera, whether somebody watched it before or not."""
    if is_watched:
        await relayed.watch(offer())
    await ring_and_wait(hass, simulator)
    await relayed.watch(talk())
    assert (simulator.rtc.answers, simulator.rtc.offers) == (1, int(is_watched))
    await wait_until(lambda: state_of(hass, RINGING) == "off")
    assert state_of(hass, IN_CALL) == "on"
    assert go2rtc.stream.can_talk
    assert simulator.rtc.peak == 1


async def test_talk_button_in_an_answered_ring(
    hass: HomeAssistant, relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """The call goes on, as at the direct camera."""
    await ring_and_wait(hass, simulator)
    view = await relayed.watch(offer())
    await view.close()
    await wait_until(lambda: not go2rtc.stream.consumers)
    await relayed.watch(talk())
    assert (simulator.rtc.answers, simulator.rtc.offers) == (1, 1)
    assert state_of(hass, IN_CALL) == "on"
    await call_action(hass, "bticino_classe", "hang_up", STREET)
    await wait_until(lambda: state_of(hass, IN_CALL) == "off")


async def test_ring_and_who_may_only_watch(
    hass: HomeAssistant, guest: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """Their view ends for the ring, and they answer nothing, even if go2rtc tries again."""
    await guest.watch(offer())
    await ring_and_wait(hass, simulator)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await expect_error(hass, await guest.open_view(offer(version=2)), "call_answer_not_allowed")
    assert "wrong answer" in (await go2rtc.pull(go2rtc.stream) or "")
    assert (simulator.rtc.answers, simulator.rtc.offers) == (0, 1)
    assert state_of(hass, RINGING) == "on"


@pytest.mark.parametrize("ending", ["time", "connected"])
async def test_ring_after_the_camera_was_opened(
    hass: HomeAssistant,
    relayed: BrowserClient,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ending: str,
) -> None:
    """What go2rtc does by itself answers nothing: once connected, or some seconds later."""
    seconds = HANG_TIMEOUT if ending == "connected" else 0.0
    monkeypatch.setattr(audience, "OPENING_SECONDS", seconds)
    if ending == "connected":
        await relayed.watch(offer())
        simulator.rtc.device_error(open_session(simulator), 0)
        await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
        await wait_until(lambda: not get_entry(hass).runtime_data.live.viewers)
    await ring_and_wait(hass, simulator)
    if ending == "connected":
        assert "wrong answer" in (await go2rtc.pull(go2rtc.stream) or "")
    else:
        view = await relayed.open_view(offer(version=2))
        assert "wrong answer" in (await view.wait_for("error"))["message"]
    assert simulator.rtc.answers == 0
    assert state_of(hass, RINGING) == "on"


@pytest.mark.parametrize("is_first_guest", [True, False])
async def test_ring_after_somebody_joined_a_view(
    hass: HomeAssistant,
    relayed: BrowserClient,
    guest: BrowserClient,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
    *,
    monkeypatch: pytest.MonkeyPatch,
    is_first_guest: bool,
) -> None:
    """Who joins opens the camera before the ring: go2rtc did not have to connect for them."""
    monkeypatch.setattr(audience, "OPENING_SECONDS", HANG_TIMEOUT)
    await (guest if is_first_guest else relayed).watch(offer())
    await relayed.watch(offer(version=2))
    await ring_and_wait(hass, simulator)
    for session in simulator.rtc.open:
        simulator.rtc.device_error(session, 0)
    await wait_until(lambda: not get_entry(hass).runtime_data.live.viewers)
    assert "wrong answer" in (await go2rtc.pull(go2rtc.stream) or "")
    assert (simulator.rtc.answers, simulator.rtc.offers) == (0, 1)
    assert state_of(hass, RINGING) == "on"
    await relayed.watch(talk(3))
    assert simulator.rtc.answers == 1


async def test_view_of_a_person_ends_with_them(
    relayed: BrowserClient,
    guest: BrowserClient,
    go2rtc: Go2rtcServer,
    simulator: Simulator,
) -> None:
    """Others who only watch keep no conversation open."""
    view = await relayed.watch(offer())
    await guest.watch(offer(version=2))
    await view.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert len(go2rtc.stream.consumers) == 1
    assert simulator.rtc.terminates == 1


async def test_view_of_those_who_may_only_watch_ends_with_the_last(
    guest: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """go2rtc leaves without a word, so the intercom would stay occupied."""
    first, second = await guest.watch(offer()), await guest.watch(offer(version=2))
    await first.close()
    await wait_until(lambda: len(go2rtc.stream.consumers) == 1)
    assert len(simulator.rtc.open) == 1
    await second.close()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 1)


async def test_go2rtc_that_lost_its_connection(
    relayed: BrowserClient, go2rtc: Go2rtcServer, simulator: Simulator
) -> None:
    """Its next view ends the one before, which it has left without a word."""
    await relayed.watch(offer())
    assert await go2rtc.pull(go2rtc.stream) is None
    assert go2rtc.stream.can_talk
    assert (simulator.rtc.offers, simulator.rtc.peak, len(simulator.rtc.open)) == (2, 1, 1)


async def test_browser_that_vanishes(relayed: BrowserClient, simulator: Simulator) -> None:
    """The call ends with its connection to Home Assistant."""
    await relayed.watch(offer())
    await relayed.disconnect()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
