"""Waiting until a condition holds, or until Home Assistant only waits for the cloud."""

import asyncio
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import SocketState
from custom_components.bticino_classe.const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant

TIMEOUT_SECONDS: Final = 60.0  # only to end a bench that hangs
PUSH_TASK: Final = "bticino_classe push socket"  # runs as long as the account is set up
BUSY: Final = (SocketState.CONNECTING, SocketState.SUBSCRIBING)
LOOP_TURNS: Final = 10  # enough for a timer that fires to wake a task, and that task another
POLL_SECONDS: Final = 0.001


async def wait_idle(hass: HomeAssistant) -> None:
    """Wait until no work is pending and the push socket waits for a push or to reconnect."""
    while True:
        for _ in range(LOOP_TURNS):
            await asyncio.sleep(0)
        await hass.async_block_till_done()
        tasks = [task for task in hass._background_tasks if not _is_push_task(task)]
        if tasks:
            await asyncio.wait(tasks)
        elif _is_socket_busy(hass):
            await asyncio.sleep(POLL_SECONDS)
        else:
            return


async def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition that has no event; TimeoutError if it never holds."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(POLL_SECONDS)


def _is_push_task(task: asyncio.Future[object]) -> bool:
    return isinstance(task, asyncio.Task) and task.get_name() == PUSH_TASK


def _is_socket_busy(hass: HomeAssistant) -> bool:
    """Return whether a push socket connects, or waits for the reply to a subscription."""
    entries = hass.config_entries.async_loaded_entries(DOMAIN)
    sockets = [entry.runtime_data.push.socket for entry in entries]
    return any(socket.state in BUSY or socket._reply is not None for socket in sockets)
