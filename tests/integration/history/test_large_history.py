"""A large history: what a call, the cloud's list and a start cost does not grow with it."""

from dataclasses import replace
import time
from typing import TYPE_CHECKING, Final

import pytest

from custom_components.bticino_classe.history.media_tree import async_locations
from custom_components.bticino_classe.history.records import DAY, CallRecord
from custom_components.bticino_classe.history.summary import Summary
from tests.integration.conftest import (
    get_entry,
    reload_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import calls_of, database, edit, fill, history_of
from tests.integration.history.test_calendar import set_options
from tests.integration.history.test_history import FRAMES, PUSH, STREET, called

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

type Act = Callable[[HomeAssistant, Simulator], Awaitable[object]]

STEP: Final = 10  # instructions of SQLite after which it calls the counter
SIZES: Final = (300, 3000)  # calls
FRAME_BYTES: Final = 4120  # of the write-ahead log: a page and its header
MAX_PAGES: Final = 3  # of one change: the call, the totals, one more in a large file
MAX_GROWTH: Final = 1.25  # a scan of all calls would give far more


async def missed(hass: HomeAssistant, simulator: Simulator) -> None:
    """Miss a call without pictures."""
    await called(hass, simulator, STREET, "miss", pictures=False)


async def pictured(hass: HomeAssistant, simulator: Simulator) -> None:
    """Miss a call with two pictures."""
    await called(hass, simulator, STREET, "miss")


async def caught_up(hass: HomeAssistant, simulator: Simulator) -> None:
    """Add the calls of an interruption."""
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: state_of(hass, PUSH) == "off")
    for _ in range(5):
        simulator.miss(simulator.ring(STREET))
    simulator.sockets.handshake_status = None
    await wait_until(lambda: state_of(hass, PUSH) == "on")
    await wait_online(get_entry(hass))
    await wait_idle(hass)


async def started(hass: HomeAssistant, _simulator: Simulator) -> None:
    """Read what a start needs."""
    await history_of(hass).async_read(lambda db: Summary.read(db, time.time()))


async def browsed(hass: HomeAssistant, _simulator: Simulator) -> None:
    """Open the media browser."""
    assert await async_locations(history_of(hass))


async def count_instructions(hass: HomeAssistant, simulator: Simulator, act: Act) -> int:
    """Return how many instructions SQLite runs for something, in tens."""
    count = 0

    def on_step() -> int:
        nonlocal count
        count += 1
        return 0

    await history_of(hass).async_read(lambda db: db.set_progress_handler(on_step, STEP))
    await act(hass, simulator)
    await history_of(hass).async_read(lambda db: db.set_progress_handler(None, STEP))
    return count


async def fill_history(hass: HomeAssistant, first: CallRecord, numbers: range) -> None:
    """Store missed calls like the first one, from a day ago backwards, each with a picture."""
    entry, now = get_entry(hass), time.time()
    await hass.config_entries.async_unload(entry.entry_id)
    calls = (_call(first, number, now - DAY - number * 60.0) for number in numbers)
    await fill(hass, *calls, tracking_since=now)
    edit(database(hass), "UPDATE calls SET snapshot = 10000 WHERE snapshot IS NULL")
    await reload_entry(hass, entry)
    await wait_online(entry)


def _call(like: CallRecord, number: int, at: float) -> CallRecord:
    text = f"{number:016x}"
    called_at = replace(like, time=at, ended_at=at + 30, panel_id=like.location.module_id)
    return replace(called_at, id=text, session=text, outcome="missed")


async def measure(hass: HomeAssistant, simulator: Simulator, act: Act) -> list[int]:
    """Return what something costs in histories of different sizes."""
    (first,) = await calls_of(hass)
    costs, stored = [], 0
    for size in SIZES:
        await fill_history(hass, first, range(stored, size))
        costs.append(await count_instructions(hass, simulator, act))
        stored = size
    return costs


@pytest.mark.parametrize("act", [missed, pictured, caught_up, started, browsed])
@pytest.mark.usefixtures("online_entry")
async def test_the_cost_does_not_grow(hass: HomeAssistant, simulator: Simulator, act: Act) -> None:
    """Ten times as many calls take as many instructions of SQLite."""
    await set_options(hass, history={"calls": 10_000})
    costs = await measure(hass, simulator, act)
    assert costs[1] < costs[0] * MAX_GROWTH, costs


@pytest.mark.usefixtures("online_entry")
async def test_a_picture_above_the_limit(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest picture is found as fast among many calls whose pictures were deleted."""
    await set_options(hass, history={"calls": 10_000, "megabytes": 1})
    costs = await measure(hass, simulator, pictured)
    stored = await calls_of(hass)
    assert sum(bool(call.pictures) for call in stored) < len(stored) / 2
    assert costs[1] < costs[0] * MAX_GROWTH, costs


@pytest.mark.parametrize("end", ["miss", "answer_elsewhere"])
@pytest.mark.usefixtures("online_entry")
async def test_a_change_writes_few_pages(
    hass: HomeAssistant, simulator: Simulator, end: str
) -> None:
    """Neither the answer nor the end of a call writes the indexes, which it does not change."""
    log = database(hass).with_name(f"{database(hass).name}-wal")
    call = await called(hass, simulator, STREET, pictures=False)
    before, frames = log.stat().st_size, get_entry(hass).runtime_data.push.socket.counters["frames"]
    getattr(simulator, end)(call)
    await wait_frames(hass, frames + FRAMES[end])
    await wait_idle(hass)
    written = (log.stat().st_size - before) / FRAME_BYTES
    assert 0 < written <= MAX_PAGES


@pytest.mark.usefixtures("online_entry")
async def test_a_start_writes_nothing(hass: HomeAssistant) -> None:
    """A slow disk does not delay it: only what the cloud's list adds is written."""
    path, entry = database(hass), get_entry(hass)
    for _ in range(2):  # the first adds the call of the list, which was not known before
        await reload_entry(hass, entry)
        await wait_online(entry)
    log = path.with_name(f"{path.name}-wal")
    assert log.stat().st_size == 0
