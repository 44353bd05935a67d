"""The chime that speakers play."""

import io
from typing import TYPE_CHECKING
import wave

from homeassistant.components.media_source import async_resolve_media
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.chime import CHIME_FILE
from scripts.lib.make_chime import RATE, SECONDS, samples

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator


@pytest.mark.usefixtures("online_entry")
async def test_speaker_fetches_the_chime(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """Without a sign-in, as a file that every player knows."""
    assert await async_setup_component(hass, "media_source", {})
    media = await async_resolve_media(hass, "media-source://bticino_classe/chime", None)
    assert (media.mime_type, media.path) == ("audio/wav", CHIME_FILE)
    answer = await (await hass_client_no_auth()).get(media.url)
    assert answer.status == 200
    with wave.open(io.BytesIO(await answer.read())) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, RATE)
        assert sound.getnframes() / RATE == pytest.approx(SECONDS)


def test_chime_is_made_by_the_script() -> None:
    """Up to rounding; it is neither silent nor clipped."""
    with wave.open(str(CHIME_FILE)) as sound:
        stored = memoryview(sound.readframes(sound.getnframes())).cast("h")
    made = samples()
    assert len(stored) == len(made)
    assert max(abs(one - other) for one, other in zip(stored, made, strict=True)) <= 1
    assert 15_000 < max(made) < 32_767
