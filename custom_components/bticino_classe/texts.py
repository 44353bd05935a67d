"""Errors' texts in the language of the house, for where a page shows what it is given."""

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers.translation import (
    async_get_cached_translations,
    async_get_translations,
)

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


async def async_load_error_translations(hass: HomeAssistant) -> None:
    """Have the texts at hand that `spoken` returns."""
    await async_get_translations(hass, hass.config.language, "exceptions", {DOMAIN})


@callback
def spoken(hass: HomeAssistant, key: str) -> str:
    """Return an error's text in the language of the house, where only a text can be shown."""
    texts = async_get_cached_translations(hass, hass.config.language, "exceptions", DOMAIN)
    return texts.get(f"component.{DOMAIN}.exceptions.{key}.message", key)
