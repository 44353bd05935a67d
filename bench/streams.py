"""Requests of a view by WHEP, what clients who vanish leave behind, and times to the picture."""

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
import tracemalloc
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from aiohttp import TCPConnector
from aiohttp.test_utils import TestClient, TestServer

from custom_components.bticino_classe.client import ReconnectingSocket, SessionState
from custom_components.bticino_classe.live import whep
from custom_components.bticino_classe.live.stream_address import AUTH_PARAMETER, WHEP_PATH
from custom_components.bticino_classe.service_helpers import async_whep_camera

from .support.home_assistant import Installation, runtime_of, set_up
from .support.leaks import Snapshot, growth_figures, take_snapshot
from .support.report import Figure, counts, median_ms
from .support.viewer import camera_of, offer_of, wait_terminated
from .support.waiting import TIMEOUT_SECONDS, wait_idle, wait_until
from .views import request_figures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from aiohttp import ClientResponse
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.live.manager import LiveViewManager

    from .support.cloud import Cloud, Requests

HOUSE: Final = "panels_1"
OFFER: Final = "go2rtc_whep"
HEADERS: Final = {"Content-Type": "application/sdp"}
CREATED: Final = 201
HOUR_SECONDS: Final = 3600.0
LOCALHOST: Final = "127.0.0.1"
SLOW_SECONDS: Final = 0.02  # long enough for a client to vanish in each stage
# What each client in turn waits for before it vanishes; None is the response.
STAGES: Final = (SessionState.OFFERED, SessionState.ACKED, SessionState.ANSWERED, None)

type Steps = Mapping[str, float]  # when each was reached


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterClients:
    """What exists after a number of clients, and how their calls ended."""

    clients: int
    snapshot: Snapshot
    calls: Mapping[str, int]
    sessions: int


def measure(cloud: Cloud, folder: Path, first: int, last: int) -> Iterator[Figure]:
    """View at one panel, whose intercom only plays a script; then let clients vanish."""
    installation = Installation.create(cloud, folder, HOUSE)
    first_view, next_view = installation.run(partial(_view_twice, cloud=cloud))
    yield from request_figures("stream_first", "first view by WHEP", first_view, handshakes=1)
    yield from request_figures("stream_next", "next view by WHEP", next_view, handshakes=0)
    cloud.configure_calls(ack_delay=SLOW_SECONDS, answer_delay=SLOW_SECONDS)
    results = installation.run(partial(_vanish, cloud=cloud, stops=(first, last)))
    cloud.configure_calls(ack_delay=0.0, answer_delay=0.0)
    yield from _vanished_figures(*results)


def measure_times(cloud: Cloud, folder: Path, times: int) -> Iterator[Figure]:
    """View many times by WHEP, each in a new Home Assistant, at an intercom that sends media."""
    installation = Installation.create(cloud, folder, HOUSE)
    cloud.configure_calls(peer="real")
    installation.run(_watch)  # warm-up
    own = [installation.run(_watch) for _ in range(times)]
    # An intercom with a TURN server sends its relayed candidate last.
    cloud.configure_calls(relayed_candidate=True)
    views = [installation.run(_watch) for _ in range(times)]
    cloud.configure_calls(peer="scripted", relayed_candidate=False)
    yield from _view_figures("stream", "view by WHEP", views)
    yield from _view_figures("stream_host", "view by WHEP, no TURN server", own)


def _view_figures(key: str, text: str, views: list[Steps]) -> Iterator[Figure]:
    for name, part, seconds in (
        ("created", "POST to 201", [v["created"] - v["post"] for v in views]),
        ("ours", "POST to 201, without cloud and candidates", [_ours(v) for v in views]),
        ("gathering", "candidates awaited", [v["gathered"] - v["answer"] for v in views]),
        ("picture", "POST to first picture", [v["picture"] - v["post"] for v in views]),
    ):
        yield median_ms(f"{key}.{name}_ms", f"{text}: {part}", seconds)


def _ours(steps: Steps) -> float:
    return steps["offer"] - steps["post"] + steps["created"] - steps["gathered"]


def _vanished_figures(first: AfterClients, last: AfterClients) -> Iterator[Figure]:
    text = f"{last.clients} WHEP clients who vanish"
    calls = last.calls
    unended = abs(calls["offers"] - calls["terminates"])
    yield from counts(
        "vanished",
        text,
        ("offers", "calls that reached the intercom", calls["offers"], None),
        ("peak", "calls at the same time", calls["peak"], 1),
        ("sessions", "sessions left", last.sessions, 0),
        ("held_slots", "calls still open at the intercom", calls["held_slots"], 0),
        ("unended", "calls not ended exactly once", unended, 0),
    )
    text = f"{text}, from {first.clients} to {last.clients}"
    yield from growth_figures("vanished", text, first.snapshot, last.snapshot)


class _Relay:
    """A program with the stream address of the first camera; it meets no limit."""

    def __init__(self, hass: HomeAssistant, http: TestClient[Any, Any]) -> None:
        entity_id = camera_of(hass).entity_id
        camera = async_whep_camera(hass, entity_id)
        assert camera is not None
        query = f"{AUTH_PARAMETER}={camera.async_renew_secret(hass)}"
        self._path = f"{WHEP_PATH}/{entity_id}?{query}"
        self.http = http
        self._now, self._ahead = hass.loop.time, 0.0
        runtime_of(hass).live.relays.limits._clock = lambda: self._now() + self._ahead

    @property
    def is_connected(self) -> bool:
        """Whether Home Assistant has a connection of the program."""
        runner = self.http.server.runner
        assert runner is not None
        assert runner.server is not None
        return bool(runner.server.connections)

    @property
    def url(self) -> str:
        """The stream address."""
        return str(self.http.make_url(self._path))

    async def post(self, offer: str) -> ClientResponse:
        """Send an offer an hour after the one before, as if by the clock of the limits."""
        self._ahead += HOUR_SECONDS
        # Not by the test client, which keeps every response.
        url = self.http.make_url(self._path)
        return await self.http.session.post(url, data=offer, headers=HEADERS)


@asynccontextmanager
async def open_relay(hass: HomeAssistant) -> AsyncIterator[_Relay]:
    """Set up the account, and serve the stream address of its first camera."""
    await set_up(hass)
    # A connection for each request: one that is kept would hide that a client has vanished.
    connector = TCPConnector(force_close=True)
    async with TestClient(TestServer(hass.http.app), connector=connector) as http:
        yield _Relay(hass, http)


async def _view_twice(hass: HomeAssistant, cloud: Cloud) -> tuple[Requests, Requests]:
    async with open_relay(hass) as relay:
        return await _requests(hass, cloud, relay), await _requests(hass, cloud, relay)


async def _requests(hass: HomeAssistant, cloud: Cloud, relay: _Relay) -> Requests:
    cloud.reset()
    await _view(relay)
    await wait_terminated(hass)
    await wait_idle(hass)
    return cloud.requests()


async def _view(relay: _Relay) -> None:
    """Begin a view and end it properly."""
    response = await relay.post(offer_of(OFFER))
    assert response.status == CREATED, await response.text()
    await relay.http.delete(response.headers["Location"])


async def _vanish(
    hass: HomeAssistant, cloud: Cloud, stops: tuple[int, int]
) -> tuple[AfterClients, AfterClients]:
    before = cloud.calls()
    patience = patch.dict(whep.QUIET_SECONDS, dict.fromkeys(whep.QUIET_SECONDS, SLOW_SECONDS))
    async with open_relay(hass) as relay:
        channel = runtime_of(hass).live.channel
        # On a busy machine, a late acknowledgement must not cause a second terminate.
        channel.timeouts = replace(channel.timeouts, terminated=TIMEOUT_SECONDS)
        tracemalloc.start()
        try:
            with patience:
                first, last = [
                    await _vanish_until(hass, cloud, relay, before, start, end)
                    for start, end in ((0, stops[0]), stops)
                ]
        finally:
            tracemalloc.stop()
    return first, last


async def _vanish_until(  # noqa: PLR0913, PLR0917 - one stretch of a measurement
    hass: HomeAssistant,
    cloud: Cloud,
    relay: _Relay,
    before: Mapping[str, int],
    start: int,
    end: int,
) -> AfterClients:
    """Let clients vanish until there were `end`, of whom only the last ends its view; count."""
    live = runtime_of(hass).live
    for number in range(start, end - 1):
        await _vanish_in(live, relay, STAGES[number % len(STAGES)])
    await _view(relay)
    await wait_until(lambda: live.viewers == 0)
    await wait_terminated(hass)
    await wait_idle(hass)
    cloud.requests()  # fails if the real cloud would reject one
    after = cloud.calls()
    counted = {name: after[name] - before[name] for name in ("offers", "terminates")}
    return AfterClients(
        clients=end,
        snapshot=take_snapshot(hass, live, live.channel, live.relays, live.relays.limits),
        calls={**counted, "peak": after["peak"], "held_slots": after["held_slots"]},
        sessions=live.viewers,
    )


async def _vanish_in(live: LiveViewManager, relay: _Relay, stage: SessionState | None) -> None:
    """Request a view and close the connection in a stage, or after the response."""
    former = set(live._viewers)
    # Or in a later one, if the machine is slow.
    stages = [] if stage is None else [*SessionState][[*SessionState].index(stage) :]

    def is_reached() -> bool:
        new = live._viewers.keys() - former
        return any(live._viewers[key].call.state in stages for key in new)

    posting = asyncio.create_task(relay.post(offer_of(OFFER)))
    await wait_until(lambda: posting.done() or is_reached())
    if not posting.cancel():
        return  # the response is there: the view goes on
    await asyncio.wait({posting})
    # A response that was sent meanwhile is lost, and the view goes on: the next one replaces it.
    await wait_until(lambda: not relay.is_connected)


async def _watch(hass: HomeAssistant) -> Steps:
    """View until there is a picture; the client's work on its offer is not timed."""
    # Imported late, so that no other measurement has aiortc in memory.
    from tests.go2rtc import Go2rtcPeer  # noqa: PLC0415

    with patch("aioice.ice.get_host_addresses", lambda **_: [LOCALHOST]), _record() as steps:
        async with open_relay(hass) as relay, asyncio.timeout(TIMEOUT_SECONDS):
            peer = Go2rtcPeer()
            offer = await peer.offer()
            steps["post"] = perf_counter()
            response = await relay.post(offer)
            answer = await response.text()
            steps["created"] = perf_counter()
            await peer.set_answer(answer)
            await peer.frame()
            steps["picture"] = perf_counter()
            await peer.close()
            await relay.http.delete(response.headers["Location"])
            await wait_terminated(hass)
    return steps


@contextmanager
def _record() -> Iterator[dict[str, float]]:
    """Record when the offer is sent, the answer is there, and the candidates are."""
    steps: dict[str, float] = {}
    send, wait = ReconnectingSocket.send, whep.WhepClient.wait_for_candidates

    async def sent(self: ReconnectingSocket, frame: Mapping[str, Any]) -> None:
        await send(self, frame)
        steps.setdefault("offer", perf_counter())

    async def waited(self: whep.WhepClient) -> None:
        steps["answer"] = perf_counter()
        await wait(self)
        steps["gathered"] = perf_counter()

    with (
        patch.object(ReconnectingSocket, "send", sent),
        patch.object(whep.WhepClient, "wait_for_candidates", waited),
    ):
        yield steps
