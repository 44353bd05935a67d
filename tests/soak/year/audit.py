"""The end of a day: everything has recovered, and everything that must be true is compared."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
import re
import time
from typing import TYPE_CHECKING, Any, Final

from tests.simulator.paths import TOKEN as TOKEN_PATH
from tests.soak.secrets import Secrets

from .house import DOMAIN
from .truth import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .world import Account, World

#: The longest pause of the client is an hour, then follow a poll and a token.
RECOVERED_WITHIN: Final = 130 * 60.0
LOOK_EVERY: Final = 60.0
#: What may be more at the end of a day than after the first one of the same process.
TOLERATED: Final = {"tasks": 4, "timers": 8, "threads": 8, "files": 12, "sockets": 4}
MEGABYTE: Final = 1024 * 1024
#: Evenings after which the memory of a process grows no more.
WARM_UP: Final = 16
GROWTH: Final = 24 * MEGABYTE
#: Where tokens and passwords belong.
ENTRIES: Final = "core.config_entries"
PROBLEM: Final = re.compile(r" (ERROR|CRITICAL) .*bticino_classe")
FRAME: Final = re.compile(r'File ".*custom_components/bticino_classe/(.*)", line (\d+)')
WARNING: Final = re.compile(r" (WARNING|ERROR|CRITICAL) .*\[custom_components\.bticino_classe")


@dataclass(slots=True)
class Report:
    """What a year was like, in numbers."""

    days: int = 0
    #: What was not as it must be on the last day.
    faults: list[str] = field(default_factory=list)
    incidents: Counter[str] = field(default_factory=Counter)
    rings: int = 0
    told: int = 0
    openings: int = 0
    logins: int = 0
    requests: int = 0
    starts: int = 0
    longest_recovery: float = 0.0
    log_lines: int = 0
    quiet_warnings: int = 0
    memory: list[int] = field(default_factory=list)
    jumps: int = 0

    def figures(self) -> dict[str, Any]:
        """Return the numbers of a table by their names."""
        memory = self.memory or [0]
        return {
            "days": self.days,
            "incidents": self.incidents.total(),
            "rings": self.rings,
            "rings told at once": self.told,
            "doors opened": self.openings,
            "starts of Home Assistant": self.starts,
            "requests a day": round(self.requests / max(1, self.days)),
            "sign-ins": self.logins,
            "longest recovery in minutes": round(self.longest_recovery / 60),
            "lines of log a day": round(self.log_lines / max(1, self.days), 1),
            "warnings in the quiet month": self.quiet_warnings,
            "MiB on the first evening": memory[0] // MEGABYTE,
            "MiB on the last evening": memory[-1] // MEGABYTE,
            "jumps of the clock": self.jumps,
        }


class Audit:
    """Compares the world with the truth."""

    def __init__(self, world: World, report: Report) -> None:
        self.world = world
        self.report = report
        self._since = 0.0
        self._log_read = 0
        self._first: tuple[int, dict[str, int]] | None = None
        self._evenings = 0
        self._replaced: set[str] = set()

    async def end_of_day(self, *, is_quiet: bool) -> list[str]:
        """Return everything that is not as it must be."""
        faults = await self._recovery()
        await self.world.entities()
        told = self.world.told()
        rings = [ring for ring in self.world.truth.rings if ring.monotonic >= self._since]
        faults += self.world.truth.faults_of_rings(told, self._since)
        self._since = self.world.leader.clock.monotonic()
        self.report.rings += len(rings)
        self.report.told += sum(each.kind == "ring" for each in told)
        faults += self._doors()
        for account in self.world.accounts.values():
            faults += self._new_histories(account)
            stored = await self._history(account)
            faults += self.world.truth.faults_of_history(account.name, stored, time.time())
            faults += self._calls(account, is_quiet=is_quiet)
        self._allow_lost_tokens()
        logins = {name: each.cloud.account.logins for name, each in self.world.accounts.items()}
        faults += self.world.truth.faults_of_sign_ins(logins)
        faults += self._log(is_quiet=is_quiet)
        faults += await asyncio.to_thread(lambda: list(self._secrets()))
        faults += await self._growth()
        self._forget()
        return faults

    async def _recovery(self) -> list[str]:
        """Wait until both accounts work again."""
        began = time.monotonic()
        while missing := await self._unavailable():
            if time.monotonic() - began > RECOVERED_WITHIN:
                return [f"not recovered: {', '.join(missing)}"]
            await asyncio.sleep(LOOK_EVERY)
            # Home Assistant asks for a changed password when the cloud is there again.
            await self.world.sign_in_again()
        recovery = time.monotonic() - began
        self.report.longest_recovery = max(self.report.longest_recovery, recovery)
        return []

    async def _unavailable(self) -> list[str]:
        """Return the entities of listed modules that do not work."""
        entities, states = await self.world.entities(), await self.world.house.states()
        missing = []
        for account in self.world.accounts.values():
            house = account.cloud.house
            wanted = [(bridge.id, "push_connection") for bridge in house.bridges()]
            wanted += [(door.id, "lock") for door in house.doors()]
            wanted += [(panel.id, "doorbell") for panel in house.panels()]
            for module, key in wanted:
                entity = entities.get((account.name, module, key), "")
                if states.get(entity, {"state": "off"})["state"] in {"off", "unavailable"}:
                    missing.append(entity or f"{account.name} {module} {key}")
        return missing

    def _doors(self) -> Iterable[str]:
        openings = []
        for account in self.world.accounts.values():
            for door in self.world.all_doors(account):
                openings += [(each.module_id, each.at) for each in door.openings]
                door.openings.clear()
        self.report.openings += len(openings)
        return list(self.world.truth.faults_of_doors(openings))

    async def _history(self, account: Account) -> list[tuple[float, str, str | None]]:
        start = datetime.fromtimestamp(self.world.began, UTC).isoformat()
        answer = await self.world.house.ask(
            f"{DOMAIN}.export_calls", config_entry_id=account.entry, start=start
        )
        return [
            (datetime.fromisoformat(call["start"]).timestamp(), call["outcome"], call["panel"])
            for call in answer["calls"]
        ]

    def _new_histories(self, account: Account) -> Iterator[str]:
        """Compare what was damaged with the files that Home Assistant has replaced."""
        renamed = self.world.house.histories.glob(f"{account.entry}.db.damaged-*")
        new = {path.name for path in renamed} - self._replaced
        self._replaced |= new
        if new:
            yield from self.world.truth.fault_of_new_history(account.name)

    def _calls(self, account: Account, *, is_quiet: bool) -> Iterator[str]:
        rtc = account.cloud.rtc
        for session in rtc.sessions.values():
            # In a fault, the end may not reach the intercom, which then ends the call itself.
            if is_quiet and (session.ended_by == "limit" or session.terminates > 1):
                yield f"{account.name} has not ended a call once: {session.as_json()}"
        for session in rtc.open:
            yield f"{account.name} has an open call: {session.as_json()}"
        if rtc.held_slots:
            yield f"{account.name} holds {rtc.held_slots} lines"
        yield from (f"{account.name}: {each}" for each in account.cloud.violations)

    def _allow_lost_tokens(self) -> None:
        """Allow a sign-in for each answer with new tokens that did not arrive as it should."""
        for account in self.world.accounts.values():
            for entry in account.cloud.journal.of(TOKEN_PATH):
                if entry.fault is not None:
                    self.world.truth.may_sign_in(account.name)

    def _log(self, *, is_quiet: bool) -> list[str]:
        with self.world.house.log.open(encoding="utf-8") as log:
            log.seek(self._log_read)
            lines = log.readlines()
            self._log_read = log.tell()
        self.report.log_lines += len(lines)
        faults = [line.strip() for line in lines if FRAME.search(line)]
        expected = self.world.expected_errors
        problems = [line.strip() for line in lines if PROBLEM.search(line)]
        faults += [line for line in problems if not any(part in line for part in expected)]
        if is_quiet:
            warnings = [line.strip() for line in lines if WARNING.search(line)]
            self.report.quiet_warnings += len(warnings)
            faults += [f"in a quiet month: {line}" for line in warnings]
        return faults

    def _secrets(self) -> Iterator[str]:
        """Search the whole configuration folder and the log."""
        secrets = Secrets(self.world.secrets())
        for path in self._files():
            for found in secrets.find(path.read_bytes()):
                yield f"a secret of {len(found)} characters in {path}"

    def _files(self) -> Iterator[Path]:
        yield self.world.house.log
        for path in self.world.house.config.rglob("*"):
            if path.is_file() and not path.name.startswith(ENTRIES) and path.suffix != ".tar":
                yield path

    async def _growth(self) -> list[str]:
        """Compare what the process holds with the first evening of the same process."""
        now: dict[str, int] = await self.world.house.ask("year_observer.measure")
        self.report.memory.append(now["memory"])
        starts = self.world.house.starts
        if self._first is None or self._first[0] != starts:
            self._first, self._evenings = (starts, now), 0
        first = self._first[1]
        self._evenings += 1
        if self._evenings <= WARM_UP:
            first["memory"] = max(first["memory"], now["memory"])
        faults = [
            f"{name}: {first[name]} on the first evening, {now[name]} now"
            for name, more in TOLERATED.items()
            if now[name] > first[name] + more
        ]
        if now["memory"] > first["memory"] + GROWTH:
            faults.append(f"memory: {first['memory']} bytes after the first weeks, {now['memory']}")
        return faults

    def _forget(self) -> None:
        """Forget what has been compared."""
        self.world.expected_errors.clear()
        for account in self.world.accounts.values():
            self.report.requests += len(account.cloud.journal)
            account.cloud.clear_journal()
            account.cloud.rtc.sessions.clear()
        truth, oldest = self.world.truth, time.time() - 100 * 86_400
        truth.rings = [r for r in truth.rings if r.at > oldest or r.stored is not Stored.MUST]
