"""What a view costs, what a browser's offer weighs, what viewers leave behind who just go."""

from collections import Counter, deque
from dataclasses import dataclass, replace
from functools import partial
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from custom_components.bticino_classe.client.webrtc.session import SessionState

from .cloud import SIGNALING_PATH
from .figures import Figure, count
from .home import entry_of, live, set_up, sign_in
from .leftovers import Leftovers, leftovers, more
from .settling import settle
from .viewing import PATIENCE, View, browsers, offer_of, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud, Requests

HOUSE: Final = "panels_1"
BROWSER: Final = "chromium_watch"
LARGEST_OFFER: Final = 8000  # bytes
# What each viewer waits for before leaving; None leaves in the moment of coming.
STAGES: Final = (None, SessionState.OFFERED, SessionState.ACKED, SessionState.ANSWERED)
SLOWLY: Final = 0.02  # seconds; long enough for a stage to be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is there after so many views, and what became of their calls."""

    views: int
    leftovers: Leftovers
    offers: int
    terminates: int
    held_slots: int


def measure(cloud: Cloud, folder: Path, first: int, last: int) -> Iterator[Figure]:
    """Open and close views in a house with one panel; the intercom is a scripted one."""
    cloud.move(HOUSE)
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    yield from _costs(*live(folder, cloud.endpoints, partial(_watch_twice, cloud=cloud)))
    for name, size in live(folder, cloud.endpoints, partial(_weigh, cloud=cloud)).items():
        key, text = f"offer_{name}.bytes", f"offer of {name.replace('_', ' ')}, as sent"
        yield Figure(key=key, text=text, value=size, unit="B", aim=LARGEST_OFFER)
    cloud.set_calls(ack_delay=SLOWLY, answer_delay=SLOWLY)
    leave = partial(_leave, cloud=cloud, halts=(first, last))
    before, after = live(folder, cloud.endpoints, leave)
    cloud.set_calls(ack_delay=0.0, answer_delay=0.0)
    yield from _remains(before, after)


def _costs(first: Requests, next_one: Requests) -> Iterator[Figure]:
    for key, text, found, opened in (
        ("view_first", "first view", first, 1),
        ("view_next", "next view", next_one, 0),
    ):
        sockets = found.by_path[SIGNALING_PATH]
        others = found.by_path.total() - sockets
        subscriptions = found.subscribed[SIGNALING_PATH]
        yield count(f"{key}.requests", f"{text}: requests", others, aim=0)
        yield count(f"{key}.handshakes", f"{text}: sockets opened", sockets, aim=opened)
        yield count(f"{key}.subscriptions", f"{text}: subscriptions", subscriptions, aim=1)
        yield count(f"{key}.frames", f"{text}: frames of the call", found.frames.total(), aim=2)


async def _watch_twice(hass: HomeAssistant, cloud: Cloud) -> tuple[Requests, Requests]:
    await set_up(hass)
    return await _watched(hass, cloud), await _watched(hass, cloud)


async def _watched(hass: HomeAssistant, cloud: Cloud) -> Requests:
    """Count what one view causes; its browser has no address that is of use."""
    cloud.forget()
    async with View(hass, offer_of(BROWSER)) as view:
        await view.answered()
    await quiet(entry_of(hass).runtime_data.live.channel)
    await settle(hass)
    return cloud.requests()


async def _weigh(hass: HomeAssistant, cloud: Cloud) -> dict[str, int]:
    """Return the bytes of each browser's offer as the intercom got it."""
    await set_up(hass)
    found = {}
    for browser in browsers():
        async with View(hass, offer_of(browser)) as view:
            await view.answered()
            found[browser] = cloud.calls()["sessions"][-1]["sdp_size"]
    return found


async def _leave(hass: HomeAssistant, cloud: Cloud, halts: tuple[int, int]) -> tuple[Left, Left]:
    await set_up(hass)
    channel = entry_of(hass).runtime_data.live.channel
    channel.timeouts = replace(channel.timeouts, terminated=PATIENCE)
    before = cloud.calls()
    tracemalloc.start()
    try:
        runs = ((0, halts[0]), halts)
        first, last = [await _after(hass, cloud, before, *each) for each in runs]
    finally:
        tracemalloc.stop()
    return first, last


async def _after(
    hass: HomeAssistant, cloud: Cloud, before: Mapping[str, int], begin: int, end: int
) -> Left:
    """Let viewers come and go until there were so many; wait until all is quiet, and look."""
    for number in range(begin, end):
        async with View(hass, offer_of(BROWSER)) as view:
            if (stage := STAGES[number % len(STAGES)]) is not None:
                await view.reached(stage)
    intercom = entry_of(hass).runtime_data.live
    await quiet(intercom.channel)
    await settle(hass)
    cloud.requests()  # what the cloud found odd ends the bench
    known = cloud.calls()
    return Left(
        views=end,
        leftovers=leftovers(hass, remembered=_size(intercom) + _size(intercom.channel)),
        offers=known["offers"] - before["offers"],
        terminates=known["terminates"] - before["terminates"],
        held_slots=known["held_slots"],
    )


def _size(held: Any) -> int:
    """Count what all collections of an object hold, those within them too; counters hold none."""
    return sum(map(_length, vars(held).values()))


def _length(value: object) -> int:
    if isinstance(value, dict) and not isinstance(value, Counter):
        return len(value) + sum(map(_length, value.values()))
    return len(value) if isinstance(value, (list, set, deque)) else 0


def _remains(first: Left, last: Left) -> Iterator[Figure]:
    text = f"{last.views} viewers who just leave"
    yield Figure(key="leaving.offers", text=f"{text}: calls", value=last.offers, unit="")
    yield count(
        "leaving.held_slots", f"{text}: calls that still hold a slot", last.held_slots, aim=0
    )
    wrong = abs(last.offers - last.terminates)
    yield count("leaving.unended", f"{text}: calls not ended exactly once", wrong, aim=0)
    text = f"from {first.views} to {last.views} viewers"
    yield from more("leaving", text, first.leftovers, last.leftovers)
