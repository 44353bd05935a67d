"""The sound of a doorbell for speakers: a file that is served without a sign-in."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from homeassistant.components.http import StaticPathConfig

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

CHIME_URL: Final = f"/{DOMAIN}/chime.wav"
CHIME_TYPE: Final = "audio/wav"
CHIME_FILE: Final = Path(__file__).with_name("chime.wav")


async def async_register_chime(hass: HomeAssistant) -> None:
    """Serve the file: speakers fetch it, and cannot sign in."""
    config = StaticPathConfig(CHIME_URL, str(CHIME_FILE), cache_headers=True)
    await hass.http.async_register_static_paths([config])
