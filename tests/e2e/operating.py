"""The simulator's operator, over the same interface as its page."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

TOKEN: Final = "/oauth2/token"
HOMESTATUS: Final = "/syncapi/v1/homestatus"
SETSTATE: Final = "/syncapi/v1/setstate"
COUNTED: Final = ("offers", "answers", "terminates")
TIMEOUT: Final = 120.0  # seconds
PAUSE: Final = 0.05  # seconds

type Json = dict[str, Any]


class Operator:
    """Looks into the simulated house and changes it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._before: Json = dict.fromkeys(COUNTED, 0) | {"sessions": []}

    async def do(self, action: str, **arguments: object) -> None:
        """Do what a button of the page does."""
        async with self._session.post(f"{self._url}{action}", json=arguments) as answer:
            assert answer.status == 200, await answer.text()

    async def journal(self, path: str | None = None) -> list[Json]:
        """The requests that came, oldest first; of one path, or all."""
        async with self._session.get(f"{self._url}journal") as answer:
            entries: list[Json] = (await answer.json())["entries"]
        return [entry for entry in entries if path in {None, entry["path"]}]

    async def count_calls_from_now(self) -> None:
        """Leave out of `calls` what was before."""
        self._before = await self._all_calls()

    async def calls(self) -> Json:
        """The intercom's calls from viewers."""
        found = await self._all_calls()
        known = {call["id"] for call in self._before["sessions"]}
        found["sessions"] = [call for call in found["sessions"] if call["id"] not in known]
        return found | {name: found[name] - self._before[name] for name in COUNTED}

    async def wait_for_calls(self, condition: Callable[[Json], bool]) -> Json:
        """Wait until something is so of the intercom's calls, and return them."""
        async with asyncio.timeout(TIMEOUT):
            while not condition(found := await self.calls()):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(PAUSE)
        return found

    async def openings(self) -> dict[str, int]:
        """How often each door's relay moved, by the door's name."""
        async with self._session.get(f"{self._url}state") as answer:
            state = await answer.json()
        modules = [module for home in state["homes"] for module in home["modules"]]
        return {each["name"]: each["openings"] for each in modules if each["kind"] == "door"}

    async def logins(self) -> int:
        """How often the account was signed in with its password."""
        async with self._session.get(f"{self._url}state") as answer:
            return int((await answer.json())["account"]["logins"])

    async def violations(self) -> list[str]:
        """What the cloud found wrong with the client's requests."""
        async with self._session.get(f"{self._url}state") as answer:
            notes: list[str] = (await answer.json())["violations"]["last"]
        return notes

    async def wait_for_requests(self, path: str, count: int) -> None:
        """Wait until so many requests of a path have been answered."""
        async with asyncio.timeout(TIMEOUT):
            answered = await self._answered(path)
            while answered < count:
                await asyncio.sleep(PAUSE)
                answered = await self._answered(path)

    async def _all_calls(self) -> Json:
        async with self._session.get(f"{self._url}state") as answer:
            found: Json = (await answer.json())["rtc"]
        return found

    async def _answered(self, path: str) -> int:
        return sum(entry["status"] is not None for entry in await self.journal(path))
