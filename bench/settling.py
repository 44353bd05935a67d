"""Waiting until Home Assistant has nothing left to do but to wait for the cloud."""

import asyncio
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client.websocket.connection import SocketState
from custom_components.bticino_classe.const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant

PUSH_SOCKET: Final = "bticino_classe push socket"  # the task that lasts
BUSY: Final = (SocketState.CONNECTING, SocketState.SUBSCRIBING)
TURNS: Final = 10  # of the loop, from a timer that fires to the task that it wakes, and on
LOOK_SECONDS: Final = 0.001


async def settle(hass: HomeAssistant) -> None:
    """Return once the socket waits, for a push or for its next attempt, and all else is done."""
    while True:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        await hass.async_block_till_done()
        tasks = [t for t in hass._background_tasks if not _is_push_socket(t)]
        if tasks:
            await asyncio.wait(tasks)
        elif _a_socket_is_busy(hass):
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return


async def look_again(until: Callable[[], bool]) -> None:
    """Wait for what nobody tells of."""
    while not until():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(LOOK_SECONDS)


def _is_push_socket(task: asyncio.Future[object]) -> bool:
    return isinstance(task, asyncio.Task) and task.get_name() == PUSH_SOCKET


def _a_socket_is_busy(hass: HomeAssistant) -> bool:
    """Whether a socket connects, or awaits the answer to a subscription."""
    entries = hass.config_entries.async_loaded_entries(DOMAIN)
    sockets = [entry.runtime_data.push.socket for entry in entries]
    return any(socket.state in BUSY or socket._reply is not None for socket in sockets)
