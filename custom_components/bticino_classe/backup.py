"""Backups: a copy of the history that is whole."""

from typing import TYPE_CHECKING

from .history.history import async_freeze_histories

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Leave the files of all histories as they are while they are copied."""
    await async_freeze_histories(hass, frozen=True)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Write into the files again."""
    await async_freeze_histories(hass, frozen=False)
