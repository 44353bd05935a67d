"""From a browser's offer to its first picture, step by step."""

import asyncio
from contextlib import contextmanager
from functools import partial
from itertools import count, pairwise
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from custom_components.bticino_classe.client.webrtc.session import CallSession
from custom_components.bticino_classe.client.websocket.connection import ReconnectingSocket

from .figures import Figure
from .home import entry_of, live, set_up, sign_in
from .viewing import PATIENCE, View, camera_of, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from aiortc import RTCPeerConnection
    from homeassistant.core import HomeAssistant

    from .cloud import Cloud

MS: Final = 1000.0  # per second
STEPS: Final = ("begin", "configuration", "offer", "ack", "answer", "connected", "picture")
TEXTS: Final = {
    "configuration": "client configuration",
    "offer": "until the offer is sent",
    "ack": "until it is acknowledged",
    "answer": "until the answer is with the viewer",
    "connected": "until both are connected",
    "picture": "until the first picture is decoded",
}
HERE: Final = "127.0.0.1"

type Steps = Mapping[str, float]


def measure(cloud: Cloud, folder: Path, times: int) -> Iterator[Figure]:
    """See so often, each time in a Home Assistant of its own, and once more after it."""
    cloud.move("panels_1")
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    cloud.set_calls(peer="real")
    # What is only slow the first time is over then.
    live(folder, cloud.endpoints, _see_twice)
    found = [live(folder, cloud.endpoints, _see_twice) for _ in range(times)]
    cloud.set_calls(peer="scripted")
    yield from _figures("sight_first", "first view", [first for first, _ in found])
    yield from _figures("sight_next", "next view", [after for _, after in found])


def _figures(key: str, text: str, found: list[Steps]) -> Iterator[Figure]:
    for before, step in pairwise(STEPS):
        taken = [(steps[step] - steps[before]) * MS for steps in found]
        yield _figure(f"{key}.{step}_ms", f"{text}: {TEXTS[step]}", taken)
    whole = [(steps[STEPS[-1]] - steps["configuration"]) * MS for steps in found]
    yield _figure(f"{key}.all_ms", f"{text}: from offer to picture", whole)


def _figure(key: str, text: str, samples: list[float]) -> Figure:
    return Figure(key=key, text=text, value=median(samples), unit="ms", samples=samples)


async def _see_twice(hass: HomeAssistant) -> tuple[Steps, Steps]:
    await set_up(hass)
    return await _see(hass), await _see(hass)


async def _see(hass: HomeAssistant) -> Steps:
    """Watch until there is a picture; the browser's own work on its offer is not timed."""
    # Only now: no other measured process should hold it.
    from aiortc import RTCPeerConnection  # noqa: PLC0415

    with patch("aioice.ice.get_host_addresses", lambda **_: [HERE]):
        browser = RTCPeerConnection()
        for kind in ("audio", "video"):
            browser.addTransceiver(kind, direction="recvonly")
        await browser.setLocalDescription(await browser.createOffer())
        with _noting() as steps:
            await _watch(hass, browser, steps)
        await browser.close()
    await quiet(entry_of(hass).runtime_data.live.channel)
    return steps


async def _watch(hass: HomeAssistant, browser: RTCPeerConnection, steps: dict[str, float]) -> None:
    from aiortc import RTCSessionDescription  # noqa: PLC0415 - as above

    connected = asyncio.Event()
    browser.on("connectionstatechange", lambda: _on_state(browser, connected, steps))
    steps["begin"] = perf_counter()
    camera_of(hass).async_get_webrtc_client_configuration()
    steps["configuration"] = perf_counter()
    async with View(hass, browser.localDescription.sdp) as view, asyncio.timeout(PATIENCE):
        answer = await view.answered()
        steps["answer"] = perf_counter()
        await browser.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        feeding = asyncio.create_task(_feed(browser, view))
        await connected.wait()
        (track,) = [r.track for r in browser.getReceivers() if r.track.kind == "video"]
        await track.recv()
        steps["picture"] = perf_counter()
        feeding.cancel()


async def _feed(browser: RTCPeerConnection, view: View) -> None:
    """Give the browser the intercom's addresses, which come at any time after the answer."""
    from aiortc.sdp import candidate_from_sdp  # noqa: PLC0415 - as above

    for number in count():
        found = await view.candidate(number)
        candidate = candidate_from_sdp(found.candidate.removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = found.sdp_mid, found.sdp_m_line_index
        await browser.addIceCandidate(candidate)


def _on_state(
    browser: RTCPeerConnection, connected: asyncio.Event, steps: dict[str, float]
) -> None:
    if browser.connectionState == "connected":
        steps["connected"] = perf_counter()
        connected.set()


@contextmanager
def _noting() -> Iterator[dict[str, float]]:
    """Note when the offer goes out, and when its acknowledgement is there."""
    steps: dict[str, float] = {}
    send, handle = ReconnectingSocket.send, CallSession._handle_offer_ack

    async def sent(self: ReconnectingSocket, frame: Mapping[str, Any]) -> None:
        await send(self, frame)
        steps.setdefault("offer", perf_counter())

    def handled(self: CallSession, ack: Mapping[str, Any]) -> None:
        steps.setdefault("ack", perf_counter())
        handle(self, ack)

    with (
        patch.object(ReconnectingSocket, "send", sent),
        patch.object(CallSession, "_handle_offer_ack", handled),
    ):
        yield steps
