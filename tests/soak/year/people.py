"""What people do on an ordinary day: ring, answer, open doors, watch."""

import asyncio
from contextlib import suppress
from pathlib import Path
import random
from typing import TYPE_CHECKING, Final

from .house import RefusedError
from .incidents import MINUTE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.calls import Call

    from .truth import Ring
    from .world import Account, World

OFFER: Final = Path(__file__).parents[2] / "client" / "webrtc" / "offers" / "chromium_watch.sdp"


class People:
    """The people of the houses; each incident has a random generator of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.house = world.house
        self.truth = world.truth

    async def missed(self, chance: random.Random) -> None:
        """Nobody answers a ring."""
        async for account, call, ring in self._ring(chance):
            await asyncio.sleep(30)
            ring.outcome = "missed"
            account.cloud.miss(call)

    async def answered(self, chance: random.Random) -> None:
        """Somebody answers in the app."""
        async for account, call, ring in self._ring(chance):
            await asyncio.sleep(chance.uniform(3, 25))
            ring.outcome = "answered"
            account.cloud.answer_elsewhere(call)
            await asyncio.sleep(chance.uniform(5, 60))
            account.cloud.hang_up(call)

    async def unanswered(self, chance: random.Random) -> None:
        """A ring ends without any report."""
        async for account, call, _ in self._ring(chance):
            await asyncio.sleep(40)
            account.cloud.end_silently(call)

    async def answered_here(self, chance: random.Random) -> None:
        """Somebody answers by opening the camera in Home Assistant."""
        async for account, call, ring in self._ring(chance):
            await asyncio.sleep(5)
            is_answered = False
            camera = (await self._entities_if_up()).get((account.name, ring.panel, "camera"))
            if camera is not None and not self.world.is_changing:
                is_answered = await self._watch(camera, chance.uniform(5, 20))
            ring.outcome = "answered" if is_answered else "missed"
            # Where a ring cannot be answered, opening the camera is a call of its own.
            ring.is_reported = ring.is_named or not is_answered
            account.cloud.hang_up(call) if is_answered else account.cloud.miss(call)

    async def answered_and_opened(self, chance: random.Random) -> None:
        """Somebody answers in the app and opens the door in Home Assistant."""
        async for account, call, ring in self._ring(chance):
            await asyncio.sleep(10)
            ring.outcome = "answered"
            account.cloud.answer_elsewhere(call)
            await self._open(account, chance)
            account.cloud.hang_up(call)

    async def opened(self, chance: random.Random) -> None:
        """Somebody opens a door."""
        await self._open(self._any_account(chance), chance)

    async def opened_twice_at_once(self, chance: random.Random) -> None:
        """Two people press at the same moment: the door moves once."""
        account = self._any_account(chance)
        seed = chance.random()
        presses = [self._open(account, random.Random(seed)) for _ in range(2)]  # noqa: S311 - a story, not a secret
        await asyncio.gather(*presses)

    async def light(self, chance: random.Random) -> None:
        """Somebody switches the staircase light on."""
        account = self.world.accounts["rossi"]
        await self._act_if_up("light.turn_on", chance.choice(account.cloud.house.lights()).id)

    async def watched(self, chance: random.Random) -> None:
        """Somebody opens a camera for a while, and closes it or loses the connection."""
        account = self._any_account(chance)
        if not self.house.is_up or self.world.is_changing:
            return
        panel = chance.choice(account.cloud.house.panels())
        entities = await self.world.entities()
        camera = entities.get((account.name, panel.id, "camera"))
        if camera is None:
            return
        async with account.line:  # to open a camera that rings answers it
            await self._watch(camera, chance.uniform(1, 20))

    async def do_not_disturb(self, chance: random.Random) -> None:
        """Somebody chooses do not disturb."""
        entities = await self._entities_if_up()
        found = [name for key, name in entities.items() if key[2] == "do_not_disturb"]
        for entity in found[:1]:
            with suppress(RefusedError):
                option = chance.choice(("off", "always"))
                await self.house.act("select.select_option", entity_id=entity, option=option)

    async def calls_reset(self, _: random.Random) -> None:
        """Somebody resets the missed calls."""
        if self.house.is_up:
            with suppress(RefusedError):
                await self.house.act("bticino_classe.reset_missed_calls")

    async def reloaded(self, chance: random.Random) -> None:
        """Somebody reloads an account."""
        account = self._any_account(chance)
        async with self.world.change():
            if self.house.is_up:
                path = f"api/config/config_entries/entry/{account.entry}/reload"
                await self.house.call("post", path)
                await asyncio.sleep(5)

    async def options_saved(self, chance: random.Random) -> None:
        """Somebody saves the options, which reloads the account."""
        account = self._any_account(chance)
        async with self.world.change():
            if self.house.is_up:
                await self.house.save_options(account.entry, pulse_time=chance.randrange(2, 9))
                await asyncio.sleep(5)

    async def _ring(
        self, chance: random.Random, *, receivers: int = 1, status_first: bool = False
    ) -> AsyncIterator[tuple[Account, Call, Ring]]:
        """Ring at a panel while nobody else does at this account."""
        account = self._any_account(chance)
        async with account.line:
            panel = chance.choice(account.cloud.house.panels())
            ring = self.world.add_ring(account, panel)
            call = account.cloud.ring(panel.id, receivers=receivers, status_first=status_first)
            yield account, call, ring
            await asyncio.sleep(MINUTE)

    async def _open(self, account: Account, chance: random.Random) -> None:
        door = chance.choice(account.cloud.house.doors())
        by_lock = chance.random() < 0.5
        entities = await self._entities_if_up()
        key, action = ("lock", "lock.open") if by_lock else ("open", "button.press")
        entity = entities.get((account.name, door.id, key))
        if entity is not None:
            await self.world.press(action, entity, door)

    async def _act_if_up(self, action: str, module: str) -> None:
        entities = await self._entities_if_up()
        found = [name for key, name in entities.items() if key[1] == module]
        for entity in found:
            if entity.startswith(action.partition(".")[0]):
                with suppress(RefusedError):
                    await self.house.act(action, entity_id=entity)

    async def _entities_if_up(self) -> dict[tuple[str, str, str], str]:
        if not self.house.is_up:
            return {}
        try:
            return await self.world.entities()
        except RefusedError:
            return {}  # killed meanwhile

    async def _watch(self, camera: str, seconds: float) -> bool:
        """Open a camera for some seconds; return whether the intercom has answered."""
        with suppress(RefusedError):
            return await self.house.watch(camera, OFFER.read_bytes().decode(), seconds)
        return False

    def _any_account(self, chance: random.Random) -> Account:
        return self.world.accounts[chance.choice(sorted(self.world.accounts))]
