"""A socket that runs against a cloud with scripts."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from custom_components.bticino_classe.client.websocket.backoff import Backoff
from custom_components.bticino_classe.client.websocket.connection import (
    Frame,
    ReconnectingSocket,
    SocketState,
)
from custom_components.bticino_classe.client.websocket.keepalive import KeepalivePolicy
from tests.client.lines import Cloud, Refusal, Script
from tests.conftest import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from custom_components.bticino_classe.client.auth import AuthHandler

STEADY = KeepalivePolicy(
    reply_within=HANG_TIMEOUT,
    handshake_within=HANG_TIMEOUT,
    stable_after=HANG_TIMEOUT,
    resubscribe_every=HANG_TIMEOUT,
)
# A connection is stable as soon as it is online.
QUICK = replace(STEADY, stable_after=0)
ONLINE = [SocketState.CONNECTING, SocketState.SUBSCRIBING, SocketState.ONLINE]


class Client:
    """The socket under test and what it reported."""

    def __init__(self, auth: AuthHandler, url: str, keepalive: KeepalivePolicy) -> None:
        self.auth = auth
        self.states: list[SocketState] = []
        self.frames: list[Frame] = []
        self.bounds: list[float] = []
        self.draw = 1.0
        self.backoff = Backoff(first=0.01, longest=0.04, draw=lambda: self.draw)
        self.socket = ReconnectingSocket(
            auth,
            url,
            name="push connection",
            subscription=lambda token: {"action": "Subscribe", "access_token": token},
            on_frame=self.on_frame,
            on_state=self.states.append,
            keepalive=keepalive,
            backoff=self.backoff,
        )

    def on_frame(self, frame: Frame) -> None:
        """Keep a frame, or fail if it asks for that."""
        if "fail" in frame:
            raise ValueError(frame["fail"])
        self.frames.append(frame)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(HANG_TIMEOUT):
        while not condition():  # noqa: ASYNC110 - many things are waited for
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(
    auth: AuthHandler, *scripts: Script | Refusal, keepalive: KeepalivePolicy = STEADY
) -> AsyncIterator[tuple[Client, Cloud]]:
    """Run a client against a cloud with these scripts; no task may be left at the end."""
    async with Cloud(*scripts) as cloud:
        client = Client(auth, cloud.url, keepalive)
        before = asyncio.all_tasks()
        task = asyncio.create_task(client.socket.run())
        try:
            yield client, cloud
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert client.socket.state is SocketState.STOPPED
        assert {t for t in asyncio.all_tasks() - before if "bticino" in t.get_name()} == set()
