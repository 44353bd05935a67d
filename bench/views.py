"""Requests of a view, sizes of offers, and leaks of viewers who leave."""

from dataclasses import dataclass, replace
from functools import partial
import tracemalloc
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import SessionState

from .support.cloud import SIGNALING_PATH
from .support.home_assistant import Installation, runtime_of, set_up
from .support.leaks import Snapshot, growth_figures, take_snapshot
from .support.report import Figure, counts
from .support.viewer import Viewer, browsers, offer_of, wait_terminated
from .support.waiting import TIMEOUT_SECONDS, wait_idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud, Requests

HOUSE: Final = "panels_1"
BROWSER: Final = "chromium_watch"
MAX_OFFER_BYTES: Final = 8000
# What each viewer in turn waits for before leaving; None leaves at once.
STAGES: Final = (None, SessionState.OFFERED, SessionState.ACKED, SessionState.ANSWERED)
SLOW_SECONDS: Final = 0.02  # long enough for a viewer to leave in each stage


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterViews:
    """What exists after a number of viewers, and how their calls ended."""

    viewers: int
    snapshot: Snapshot
    offers: int
    terminates: int
    held_slots: int


def measure(cloud: Cloud, folder: Path, first: int, last: int) -> Iterator[Figure]:
    """Open and close views at one panel; the intercom only plays a script, without media."""
    installation = Installation.create(cloud, folder, HOUSE)
    first_view, next_view = installation.run(partial(_view_twice, cloud=cloud))
    yield from request_figures("view_first", "first view", first_view, handshakes=1)
    yield from request_figures("view_next", "next view", next_view, handshakes=0)
    for browser, size in installation.run(partial(_offer_sizes, cloud=cloud)).items():
        key, text = f"offer_{browser}.bytes", f"offer of {browser.replace('_', ' ')}, as sent"
        yield Figure(key=key, text=text, value=size, unit="B", aim=MAX_OFFER_BYTES)
    cloud.configure_calls(ack_delay=SLOW_SECONDS, answer_delay=SLOW_SECONDS)
    results = installation.run(partial(_leave, cloud=cloud, stops=(first, last)))
    cloud.configure_calls(ack_delay=0.0, answer_delay=0.0)
    yield from _leaving_figures(*results)


def request_figures(key: str, text: str, sent: Requests, *, handshakes: int) -> Iterator[Figure]:
    """Yield what the cloud received for one view."""
    opened, subscribed = sent.by_path[SIGNALING_PATH], sent.subscribed[SIGNALING_PATH]
    return counts(
        key,
        text,
        ("requests", "requests", sent.by_path.total() - opened, 0),
        ("handshakes", "signaling connections opened", opened, handshakes),
        ("subscriptions", "subscriptions to signaling", subscribed, 1),
        ("frames", "signaling frames of the call", sent.frames.total(), 2),
    )


async def _view_twice(hass: HomeAssistant, cloud: Cloud) -> tuple[Requests, Requests]:
    await set_up(hass)
    return await _requests(hass, cloud), await _requests(hass, cloud)


async def _requests(hass: HomeAssistant, cloud: Cloud) -> Requests:
    """Return the requests of a view; its browser sends no ICE candidate."""
    cloud.reset()
    async with Viewer(hass, offer_of(BROWSER)) as viewer:
        await viewer.answer()
    await wait_terminated(hass)
    await wait_idle(hass)
    return cloud.requests()


async def _offer_sizes(hass: HomeAssistant, cloud: Cloud) -> dict[str, int]:
    """Return the bytes of the offer that the intercom receives, by browser."""
    await set_up(hass)
    sizes = {}
    for browser in browsers():
        async with Viewer(hass, offer_of(browser)) as viewer:
            await viewer.answer()
            sizes[browser] = cloud.calls()["sessions"][-1]["sdp_size"]
    return sizes


async def _leave(
    hass: HomeAssistant, cloud: Cloud, stops: tuple[int, int]
) -> tuple[AfterViews, AfterViews]:
    await set_up(hass)
    channel = runtime_of(hass).live.channel
    # On a busy machine, a late acknowledgement must not cause a second terminate.
    channel.timeouts = replace(channel.timeouts, terminated=TIMEOUT_SECONDS)
    before = cloud.calls()
    tracemalloc.start()
    try:
        first, last = [
            await _leave_until(hass, cloud, before, start, end)
            for start, end in ((0, stops[0]), stops)
        ]
    finally:
        tracemalloc.stop()
    return first, last


async def _leave_until(
    hass: HomeAssistant, cloud: Cloud, before: Mapping[str, int], start: int, end: int
) -> AfterViews:
    """Let viewers come and go until there were `end`, wait until no work is pending, and count."""
    for number in range(start, end):
        async with Viewer(hass, offer_of(BROWSER)) as viewer:
            if (stage := STAGES[number % len(STAGES)]) is not None:
                await viewer.reach(stage)
    await wait_terminated(hass)
    await wait_idle(hass)
    cloud.requests()  # fails if the real cloud would reject one
    calls, live = cloud.calls(), runtime_of(hass).live
    return AfterViews(
        viewers=end,
        snapshot=take_snapshot(hass, live, live.channel),
        offers=calls["offers"] - before["offers"],
        terminates=calls["terminates"] - before["terminates"],
        held_slots=calls["held_slots"],
    )


def _leaving_figures(first: AfterViews, last: AfterViews) -> Iterator[Figure]:
    text = f"{last.viewers} viewers who leave"
    yield from counts(
        "leaving",
        text,
        ("offers", "calls that reached the intercom", last.offers, None),
        ("held_slots", "calls still open at the intercom", last.held_slots, 0),
        ("unended", "calls not ended exactly once", abs(last.offers - last.terminates), 0),
    )
    text = f"from {first.viewers} to {last.viewers} viewers who leave"
    yield from growth_figures("leaving", text, first.snapshot, last.snapshot)
