"""Browsers see, hear and talk through Home Assistant's go2rtc, by one call."""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import HANG_TIMEOUT
from tests.go2rtc import VOICE_HERTZ
from tests.go2rtc.browser import Browser
from tests.go2rtc.server import Go2rtc
from tests.integration.conftest import state_of, wait_until
from tests.integration.live.browser_client import STREET, BrowserClient, open_session, panel_id
from tests.integration.live.conftest import IN_CALL, ring_and_wait
from tests.integration.live.go2rtc_server import choose_cameras, set_up_go2rtc
from tests.simulator.audio import ToneTrack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.test_utils import TestClient
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator


@pytest.fixture(name="client")
async def _client(
    hass: HomeAssistant,
    loopback: TestClient[Any, Any],  # noqa: ARG001 - go2rtc reaches Home Assistant
    hass_ws_client: WebSocketGenerator,
    simulator: Simulator,
) -> AsyncIterator[BrowserClient]:
    """A signed-in page with the street's camera; the intercom sends sound once it receives some."""
    simulator.rtc.settings.peer, simulator.rtc.settings.audio_requires = "real", "rtp"
    server = Go2rtc(retry_delay=lambda _: 0.01)
    await server.start()
    await set_up_go2rtc(hass, server)
    await choose_cameras(hass, panel_id(simulator, "Posto esterno strada"))
    yield await BrowserClient.connect(hass_ws_client, STREET)
    await server.stop()


@asynccontextmanager
async def watching(client: BrowserClient, *, talks: bool = False) -> AsyncIterator[Browser]:
    """Show the camera in a browser, whose microphone may be on."""
    browser = Browser(ToneTrack(lambda: True, VOICE_HERTZ) if talks else None)
    try:
        async with asyncio.timeout(HANG_TIMEOUT):
            view = await client.open_view(await browser.offer())
            await browser.set_answer((await view.wait_for("answer"))["answer"])
            candidate = await view.wait_for("candidate")
            await browser.add_candidate(candidate["candidate"]["candidate"])
            yield browser
        await view.close()
    finally:
        await browser.close()


async def expect_voice(browser: Browser, simulator: Simulator) -> None:
    """Wait until the intercom hears the microphone, and the browser the intercom."""
    heard = open_session(simulator).audio
    while heard.packets < 50:
        await browser.see()
    assert heard.hertz == pytest.approx(VOICE_HERTZ, rel=0.02)
    await browser.hear()


async def test_two_browsers(client: BrowserClient, simulator: Simulator) -> None:
    """Both hear the intercom as soon as one of them talks."""
    async with watching(client) as first:
        await first.see()
        assert open_session(simulator).audio.packets == 0
        assert first.audio.level < 0.1
        async with watching(client, talks=True) as second:
            await expect_voice(second, simulator)
            await first.hear()
        await first.see()
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 1)


async def test_ring(hass: HomeAssistant, client: BrowserClient, simulator: Simulator) -> None:
    """It is answered by opening the camera with the microphone."""
    await ring_and_wait(hass, simulator)
    async with watching(client, talks=True) as browser:
        await expect_voice(browser, simulator)
        assert state_of(hass, IN_CALL) == "on"
    assert (simulator.rtc.answers, simulator.rtc.offers) == (1, 0)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await wait_until(lambda: state_of(hass, IN_CALL) == "on")
