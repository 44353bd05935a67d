"""A browser without the intercom's codecs is told so, and the intercom is not dialled."""

from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.errors import async_load_error_translations
from tests.integration.conftest import get_entry, state_of
from tests.integration.live.browser_client import BrowserClient, offer
from tests.integration.live.conftest import ring_and_wait

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

MESSAGES = {
    "en": "This browser or program does not support a codec that the intercom needs",
    "it": "Questo browser o programma non supporta un codec necessario al videocitofono",
}
OFFERS = {
    "Firefox without OpenH264": offer("firefox_watch_without_h264"),
    "with a microphone": offer("firefox_talk_without_h264"),
    "with a data channel": offer("firefox_data_gathered_without_h264"),
    "Chromium without H.264": offer("chromium_watch").replace("H264/90000", "H265/90000"),
    "Safari without Opus": offer("safari_watch_shaped").replace("opus/48000", "speex/48000"),
}


@pytest.mark.parametrize("language", MESSAGES)
@pytest.mark.parametrize("rings", [False, True], ids=["view", "ring"])
@pytest.mark.parametrize("sdp", OFFERS.values(), ids=OFFERS)
async def test_browser_without_a_codec(
    hass: HomeAssistant,
    browser: BrowserClient,
    simulator: Simulator,
    *,
    sdp: str,
    rings: bool,
    language: str,
) -> None:
    """The message says why; a ring goes on, and another browser may answer it."""
    hass.config.language = language
    await async_load_error_translations(hass)
    if rings:
        await ring_and_wait(hass, simulator)
    view = await browser.open_view(sdp)
    error = await view.wait_for("error")
    assert error["code"] == "call_codec_missing"
    assert error["message"].startswith(MESSAGES[language])
    assert (simulator.rtc.offers, simulator.rtc.answers, simulator.rtc.terminates) == (0, 0, 0)
    assert get_entry(hass).runtime_data.live.viewers == 0
    assert state_of(hass, "binary_sensor.posto_esterno_strada_bell") == ("on" if rings else "off")
    await browser.watch(offer("chromium_talk"))
    assert (simulator.rtc.offers, simulator.rtc.answers) == ((0, 1) if rings else (1, 0))


async def test_offer_of_sound_alone(browser: BrowserClient, simulator: Simulator) -> None:
    """It needs no H.264."""
    session, _, audio = (
        offer("chromium_talk").replace("BUNDLE 0 1", "BUNDLE 0").partition("m=audio")
    )
    await browser.watch(session + "m=audio" + audio.partition("m=video")[0])
    assert simulator.rtc.offers == 1
