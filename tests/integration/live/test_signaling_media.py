"""A client of go2rtc's signaling talks with the panel through Home Assistant, or only listens."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conftest import HANG_TIMEOUT
from tests.go2rtc import VOICE_HERTZ, Go2rtcPeer
from tests.integration.live.browser_client import open_session
from tests.integration.live.conftest import ring_and_wait
from tests.integration.live.signaling_client import watch
from tests.simulator.audio import HERTZ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant

    from tests.integration.live.whep_client import Whep
    from tests.simulator import Simulator


@pytest.fixture(autouse=True)
def intercom(simulator: Simulator) -> None:
    """Give the intercom video and audio; it sends sound once it receives some."""
    simulator.rtc.settings.peer, simulator.rtc.settings.audio_requires = "real", "rtp"


@asynccontextmanager
async def view(client: Whep) -> AsyncIterator[Go2rtcPeer]:
    """View for a while, then close the connection without a word to Home Assistant."""
    peer = Go2rtcPeer("two_way")
    try:
        async with asyncio.timeout(HANG_TIMEOUT):
            await peer.set_answer(await watch(client, await peer.offer()))
            yield peer
    finally:
        await peer.close()


@pytest.mark.parametrize("is_ringing", [True, False])
async def test_two_way_sound(
    hass: HomeAssistant, user: Whep, simulator: Simulator, *, is_ringing: bool
) -> None:
    """Each side hears the other's tone; the WebSocket is closed meanwhile."""
    if is_ringing:
        await ring_and_wait(hass, simulator)
    async with view(user) as peer:
        heard = open_session(simulator).audio
        await peer.hear(lambda audio: audio.packets > 50 and audio.level > 0.1)
        while heard.packets < 50:
            await peer.frame()
        assert peer.audio.hertz == pytest.approx(HERTZ, rel=0.02)
        assert heard.hertz == pytest.approx(VOICE_HERTZ, rel=0.02)
    assert (simulator.rtc.answers, simulator.rtc.offers) == ((1, 0) if is_ringing else (0, 1))


@pytest.mark.parametrize("requires", ["rtp", "sendrecv", "nothing"])
async def test_stream_address_does_not_talk(
    relay: Whep, simulator: Simulator, requires: str
) -> None:
    """Its sound reaches nobody, so an intercom that waits for sound stays silent."""
    simulator.rtc.settings.audio_requires = requires  # type: ignore[assignment] # one of its values
    async with view(relay) as peer:
        session = open_session(simulator)
        await peer.hear(
            lambda audio: audio.packets > 50 and (audio.level > 0.1 or requires == "rtp")
        )
        assert bytes((await peer.frame()).planes[0]) != bytes((await peer.frame()).planes[0])
        assert session.audio.packets == 0
        assert (peer.audio.level > 0.1) is (requires != "rtp")
