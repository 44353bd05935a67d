"""Runs one case: a bad network, then a good one, with rings and door commands in both."""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass, field
import time
from typing import TYPE_CHECKING, Any, Final

from tests.soak.network.cases import Existing
from tests.soak.network.line import GOOD
from tests.soak.network.screen import BELL, CONNECTION, LOCK
from tests.soak.network.truth import Press, faults

if TYPE_CHECKING:
    from tests.soak.network.cases import Case
    from tests.soak.network.place import Place

PANEL: Final = "Posto esterno strada"
DOOR: Final = "Cancello"
RING_LIMIT: Final = 120.0  # seconds, as long as TCP waits before it repeats after such an outage
NOTICE_LIMIT: Final = 150.0  # seconds
RECOVERY_LIMIT: Final = 180.0  # seconds
# Seconds for which Home Assistant's web client keeps addresses (10) and idle connections (15).
CACHED: Final = 20.0
HOLD: Final = 30.0  # seconds for which a line stays dead after that was noticed
REPEATS: Final = 5
SETTLE: Final = 10.0  # seconds, for what comes late


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was seen in a case; times are in seconds, None: it did not happen.

    `noticed`: until *Bell connection* was off, with its `reason`. `recovered`: until it was on
    again, after the line was mended, or without that if the case needs none. `ring` and `door`: the
    longest that they took in the bad network. `shown` and `said`: what a person sees in it.
    """

    name: str
    title: str
    noticed: float | None = None
    reason: str | None = None
    recovered: float | None = None
    ring: float | None = None
    door: float | None = None
    said: str = ""
    shown: dict[str, str] = field(default_factory=dict)
    presses: list[Press] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what the report keeps."""
        return asdict(self)


class Drive:
    """One case at one place."""

    def __init__(self, case: Case, place: Place) -> None:
        self._case = case
        self._place = place
        self._screen = place.screen
        self._good_answers = place.names.answers
        self._loop = asyncio.get_running_loop()
        self._rings: list[tuple[float, bool]] = []
        self.outcome = Outcome(name=case.name, title=case.title)

    async def run(self) -> Outcome:
        """Run the case and return what was seen."""
        await self._prepare()
        await self._turn_bad()
        if self._case.is_usable:
            await asyncio.sleep(self._case.idle)
            await self._use()
            self._turn_good()
        elif self._case.is_cut_off:
            await self._lose()
            await self._mend()
        else:
            await self._recover(await self._lose())
            await self._use()
            self._turn_good()
        await self._use_good_line()
        await asyncio.sleep(SETTLE)
        self.outcome.faults += await faults(self._place, self.outcome.presses, self._rings)
        return self.outcome

    async def _prepare(self) -> None:
        await self._expect_connected()
        await self._place.operator.do("clear_journal")
        await self._use_good_line()
        await asyncio.sleep(1)

    async def _turn_bad(self) -> None:
        case, place = self._case, self._place
        place.portal.has_certificate = case.portal_has_certificate
        if case.answers is not None:
            place.names.answers = case.answers
        if case.existing is Existing.CUT:
            await asyncio.sleep(CACHED)
        if case.existing is Existing.FORGOTTEN:
            place.line.forget_flows()
        place.line.conditions = case.conditions

    def _turn_good(self) -> None:
        self._place.line.conditions = GOOD
        self._place.names.answers = self._good_answers

    async def _use(self) -> None:
        """Ring and open in a network that is bad but works."""
        for _ in range(REPEATS):
            ring = await self._ring(must_show=True)
            if ring is None:
                break
            self.outcome.ring = max(ring, self.outcome.ring or 0.0)
        self.outcome.door = max([await self._press() for _ in range(REPEATS)])
        self._note_shown()

    async def _lose(self) -> float:
        """Ring and open while nobody knows that the line is dead; return when it is noticed."""
        begun = self._loop.time()
        if self._case.existing is Existing.CUT:
            await self._place.operator.do("drop_connections")
        await asyncio.sleep(self._case.idle)
        async with asyncio.TaskGroup() as tasks:
            pressing = tasks.create_task(self._press())
            tasks.create_task(self._ring(must_show=False))
            limit = self._case.lasts or NOTICE_LIMIT
            off = await self._screen.until(CONNECTION, _is_off, limit)
        self.outcome.door = pressing.result()
        self._note_shown()
        if off is not None:
            self.outcome.noticed = max(0.0, off.at - begun - self._case.idle)
        elif self._case.lasts is None:
            self.outcome.faults.append("the lost connection was not noticed")
        return self._loop.time() if off is None else off.at

    async def _mend(self) -> None:
        """Mend the line; nobody presses anything, which would connect at once."""
        if self._case.lasts is None:
            await asyncio.sleep(HOLD)
        self._turn_good()
        await self._recover(self._loop.time())

    async def _recover(self, since: float) -> None:
        """Wait until the connection is back, which it may have been before this is called."""
        if await self._screen.until(CONNECTION, _is_on, RECOVERY_LIMIT) is None:
            self.outcome.faults.append("the connection did not come back")
            return
        if self.outcome.noticed is not None:
            back = self._screen.first_since(since, CONNECTION, "on")
            self.outcome.recovered = 0.0 if back is None else back.at - since

    async def _use_good_line(self) -> None:
        await self._expect_connected()
        await self._ring(must_show=True)
        await self._press()
        if self.outcome.presses[-1].said != "opened":
            said = self.outcome.presses[-1].said
            self.outcome.faults.append(f"the door did not open over a good line: {said}")

    async def _expect_connected(self) -> None:
        if await self._screen.until(CONNECTION, _is_on, RECOVERY_LIMIT) is None:
            self.outcome.faults.append("there is no connection over a good line")

    async def _ring(self, *, must_show: bool) -> float | None:
        """Ring, and end the call; return the seconds until it was shown."""
        begun = self._loop.time()
        self._rings.append((begun, must_show))
        await self._place.operator.do("ring", panel=PANEL, pictures=False)
        shown = None
        if must_show:
            shown = await self._screen.wait_for_ring(begun, RING_LIMIT)
        else:
            await asyncio.sleep(SETTLE)
        with suppress(AssertionError):  # it may have ended by itself
            await self._place.operator.do("miss")
        await self._screen.until(BELL, lambda seen: seen.state != "on", RING_LIMIT)
        return None if shown is None else shown.at - begun

    async def _press(self) -> float:
        """Press open; return the seconds until something was said."""
        begun, wall = self._loop.time(), time.time()
        said = await self._screen.open_door()
        took = self._loop.time() - begun
        self.outcome.presses.append(Press(at=wall, took=took, said=said))
        self.outcome.said = self.outcome.said or (said if said != "opened" else "")
        return took

    def _note_shown(self) -> None:
        now = self._screen.now
        self.outcome.reason = now[CONNECTION].attributes.get("reason")
        self.outcome.shown = {each: now[each].state for each in (CONNECTION, BELL, LOCK)}


def _is_on(seen: Any) -> bool:
    return bool(seen.state == "on")


def _is_off(seen: Any) -> bool:
    return bool(seen.state == "off")
