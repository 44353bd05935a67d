"""A WHEP client that acts as go2rtc does sees the panel and hears it, through Home Assistant."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.live import whep
from tests.conftest import HANG_TIMEOUT
from tests.go2rtc import VOICE_HERTZ, Go2rtcPeer
from tests.integration.live.browser_client import open_session
from tests.integration.live.conftest import ring_and_wait
from tests.simulator.audio import HERTZ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant

    from tests.integration.live.whep_client import Whep
    from tests.simulator import Simulator


@pytest.fixture(autouse=True)
def intercom(
    simulator: Simulator,
    quick_candidates: None,  # noqa: ARG001 - sets the same constant
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Give the intercom video and audio, which needs no sound of the viewer.

    In a test there are only loopback addresses, which no viewer gets: wait for no candidates.
    """
    simulator.rtc.settings.peer, simulator.rtc.settings.audio_requires = "real", "sendrecv"
    monkeypatch.setattr(whep, "GATHER_SECONDS", 0.01)


@asynccontextmanager
async def view(relay: Whep, name: str = "whep") -> AsyncIterator[Go2rtcPeer]:
    """Watch for a while, then close the connection without a word to Home Assistant."""
    peer = Go2rtcPeer(name)
    try:
        async with asyncio.timeout(HANG_TIMEOUT):
            response = await relay.post(await peer.offer())
            assert response.status == 201
            await peer.set_answer(await response.text())
            yield peer
    finally:
        await peer.close()


async def see_and_hear(peer: Go2rtcPeer) -> None:
    """Receive two different pictures, and the tone of the intercom."""
    assert bytes((await peer.frame()).planes[0]) != bytes((await peer.frame()).planes[0])
    await peer.hear(lambda audio: audio.packets > 50 and audio.level > 0.1)
    assert peer.audio.hertz == pytest.approx(HERTZ, rel=0.02)


async def test_relay_sees_and_hears(relay: Whep, simulator: Simulator) -> None:
    """And again after it has gone without a word: the former call ends first."""
    for number in range(1, 3):
        async with view(relay) as peer:
            await see_and_hear(peer)
        assert simulator.rtc.offers == number
    assert (simulator.rtc.peak, simulator.rtc.terminates) == (1, 1)
    assert len(simulator.rtc.open) == 1


@pytest.mark.parametrize("is_fixed", [True, False])
async def test_both_readings_of_the_payload_types(
    relay: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *, is_fixed: bool
) -> None:
    """Whether intercoms send as negotiated, or always 111 and 109."""
    simulator.rtc.settings.fixed_payload_types = is_fixed
    monkeypatch.setattr(whep, "FIXED_PAYLOAD_TYPES", is_fixed)
    async with view(relay) as peer:
        await see_and_hear(peer)
        answer = peer.connection.remoteDescription.sdp
    audio, video = ("111", "109") if is_fixed else ("101", "96")
    assert f"a=rtpmap:{audio} opus" in answer
    assert f"a=rtpmap:{video} H264" in answer


async def test_call_that_the_intercom_ends(relay: Whep, simulator: Simulator) -> None:
    """It stops sending; the session is gone."""
    async with view(relay) as peer:
        await peer.frame()
        session = open_session(simulator)
        simulator.rtc.device_error(session, 0)
        await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 0


@pytest.mark.parametrize("is_ringing", [True, False])
async def test_client_that_talks(
    hass: HomeAssistant, user: Whep, simulator: Simulator, *, is_ringing: bool
) -> None:
    """Its offer has a section for each direction of sound; the intercom has one for both.

    The intercom sends sound once it receives some.
    """
    simulator.rtc.settings.audio_requires = "rtp"
    if is_ringing:
        await ring_and_wait(hass, simulator)
    async with view(user, "two_way") as peer:
        heard = open_session(simulator).audio
        await see_and_hear(peer)
        while heard.packets < 50:
            await peer.frame()
        assert heard.hertz == pytest.approx(VOICE_HERTZ, rel=0.02)
    assert (simulator.rtc.answers, simulator.rtc.offers) == ((1, 0) if is_ringing else (0, 1))
