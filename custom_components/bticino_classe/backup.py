"""Backups contain a consistent copy of the history."""

from typing import TYPE_CHECKING

from .history.store import async_freeze_histories

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Leave the files of all histories unchanged while they are copied."""
    await async_freeze_histories(hass, frozen=True)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Write to the files again."""
    await async_freeze_histories(hass, frozen=False)
