"""The time from a browser's offer to its first picture, step by step."""

import asyncio
from contextlib import contextmanager
from itertools import count, pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from custom_components.bticino_classe.client import CallSession, ReconnectingSocket

from .support.home_assistant import Installation, set_up
from .support.report import median_ms
from .support.viewer import Viewer, camera_of, wait_terminated
from .support.waiting import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from aiortc import RTCPeerConnection
    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud
    from .support.report import Figure

STEPS: Final = ("begin", "configuration", "offer", "ack", "answer", "connected", "picture")
TEXTS: Final = {
    "configuration": "client configuration, before the offer",
    "offer": "offer sent",
    "ack": "offer acknowledged",
    "answer": "answer with the viewer",
    "connected": "peers connected",
    "picture": "first picture decoded",
}
LOCALHOST: Final = "127.0.0.1"

type Steps = Mapping[str, float]  # when each was reached


def measure(cloud: Cloud, folder: Path, times: int) -> Iterator[Figure]:
    """View twice in a new Home Assistant, many times, with an intercom that sends media."""
    installation = Installation.create(cloud, folder, "panels_1")
    cloud.configure_calls(peer="real")
    installation.run(_view_twice)  # warm-up
    views = [installation.run(_view_twice) for _ in range(times)]
    cloud.configure_calls(peer="scripted")
    yield from _figures("view_first", "first view", [first for first, _ in views])
    yield from _figures("view_next", "next view", [after for _, after in views])


def _figures(key: str, text: str, views: list[Steps]) -> Iterator[Figure]:
    for before, step in pairwise(STEPS):
        seconds = [steps[step] - steps[before] for steps in views]
        yield median_ms(f"{key}.{step}_ms", f"{text}: {TEXTS[step]}", seconds)
    total = [steps["picture"] - steps["configuration"] for steps in views]
    yield median_ms(f"{key}.total_ms", f"{text}: from offer to picture", total)


async def _view_twice(hass: HomeAssistant) -> tuple[Steps, Steps]:
    await set_up(hass)
    return await _view(hass), await _view(hass)


async def _view(hass: HomeAssistant) -> Steps:
    """View until there is a picture; the browser's work on its offer is not timed."""
    # Imported late, so that no other measurement has it in memory.
    from aiortc import RTCPeerConnection  # noqa: PLC0415

    with patch("aioice.ice.get_host_addresses", lambda **_: [LOCALHOST]):
        browser = RTCPeerConnection()
        for kind in ("audio", "video"):
            browser.addTransceiver(kind, direction="recvonly")
        await browser.setLocalDescription(await browser.createOffer())
        with _record_signaling() as steps:
            await _watch(hass, browser, steps)
        await browser.close()
    await wait_terminated(hass)
    return steps


async def _watch(hass: HomeAssistant, browser: RTCPeerConnection, steps: dict[str, float]) -> None:
    from aiortc import RTCSessionDescription  # noqa: PLC0415 - as above

    connected = asyncio.Event()
    browser.on("connectionstatechange", lambda: _on_state(browser, connected, steps))
    steps["begin"] = perf_counter()
    camera_of(hass).async_get_webrtc_client_configuration()
    steps["configuration"] = perf_counter()
    async with (
        Viewer(hass, browser.localDescription.sdp) as viewer,
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        answer = await viewer.answer()
        steps["answer"] = perf_counter()
        await browser.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        adding = asyncio.create_task(_add_candidates(browser, viewer))
        await connected.wait()
        (track,) = [r.track for r in browser.getReceivers() if r.track.kind == "video"]
        await track.recv()
        steps["picture"] = perf_counter()
        adding.cancel()


async def _add_candidates(browser: RTCPeerConnection, viewer: Viewer) -> None:
    """Add the intercom's ICE candidates, which arrive at any time after the answer."""
    from aiortc.sdp import candidate_from_sdp  # noqa: PLC0415 - as above

    for number in count():
        received = await viewer.candidate(number)
        candidate = candidate_from_sdp(received.candidate.removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = received.sdp_mid, received.sdp_m_line_index
        await browser.addIceCandidate(candidate)


def _on_state(
    browser: RTCPeerConnection, connected: asyncio.Event, steps: dict[str, float]
) -> None:
    if browser.connectionState == "connected":
        steps["connected"] = perf_counter()
        connected.set()


@contextmanager
def _record_signaling() -> Iterator[dict[str, float]]:
    """Record when the offer is sent and when it is acknowledged."""
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
