"""Two accounts with three homes and seven panels, Home Assistant, and the time of all of them."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
import json
import subprocess
import time
from typing import TYPE_CHECKING, Final

from tests.e2e.development import free_ports
from tests.simulator import Simulator
from tests.simulator.certificates import make_certificate
from tests.simulator.house import House as Modules
from tests.simulator.houses import SEASIDE, classe_100x, easykit_three_panels, three_panels

from .house import SEEN, House, RefusedError
from .truth import Expected, Press, Ring, Told, Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.simulator.house import Door, Panel

    from .virtual_time import Leader

#: Models whose pushes name no panel.
NAMELESS: Final = ("BDIY", "BNCX")
#: Of all homes; the cloud reports it, and it must not be found in any file.
LATITUDE: Final = "45.48642"
#: Certificates of the cloud: all but the last are trusted, and only the first is right.
CERTIFICATES: Final = ("right", "expired", "of_another_host", "unknown")
DISK_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Account:
    """An account, its cloud and its entry in Home Assistant."""

    name: str
    cloud: Simulator
    passwords: list[str]
    entry: str = ""
    #: Doors that were replaced.
    gone: list[Door] = field(default_factory=list)
    #: Held while a call is in progress, or the house is changed in a way that would end it.
    line: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def email(self) -> str:
        """The address with which it signs in."""
        return self.cloud.email


def _city_and_seaside(now: float) -> Modules:
    city, seaside = classe_100x(now).homes[0], three_panels(now).homes[0]
    seaside.id, seaside.name = SEASIDE, "Casa al mare"
    return Modules(homes=[city, seaside])


class World:
    """Everything that the story can touch."""

    def __init__(self, folder: Path, leader: Leader, seed: int) -> None:
        self.leader = leader
        self.truth = Truth()
        self.began = time.time()
        self.disk = Disk(folder / "config")
        clouds = {
            "rossi": Simulator(_city_and_seaside, email="rossi@example.org", user_id="5" * 24),
            "bianchi": Simulator(
                easykit_three_panels, email="bianchi@example.org", user_id="6" * 24
            ),
        }
        self.accounts = {
            name: Account(name=name, cloud=cloud, passwords=[cloud.password])
            for name, cloud in clouds.items()
        }
        self.certificates = {name: folder / f"{name}.pem" for name in CERTIFICATES}
        #: Speaks https and wss; pictures come over http only, so the other account has them.
        self.tls_account = self.accounts["bianchi"]
        by_email = {cloud.email: cloud for cloud in clouds.values()}
        self.house = House(folder, free_ports()[0], leader, by_email, seed)
        #: Held while Home Assistant or an account starts, stops, or is about to.
        self.lifecycle = asyncio.Lock()
        self.is_changing = False
        self.skew = 0.0
        #: Parts of error lines that are to be expected in the log of this day.
        self.expected_errors: set[str] = set()
        self._places: dict[str, tuple[str, str]] = {}
        self._read = 0

    async def begin(self) -> None:
        """Start both clouds and Home Assistant, and set up the accounts."""
        self.disk.mount()
        self._make_certificates()
        self.tls_account.cloud.use_certificate(self.certificates["right"])
        for account in self.accounts.values():
            account.cloud.journal_pushes = False
            for home in account.cloud.house.homes:
                home.coordinates = (9.13571, float(LATITUDE))
            await account.cloud.start()
        self.house.prepare()
        await self.house.start()
        for account in self.accounts.values():
            self.truth.may_sign_in(account.name)
            account.entry = await self.house.add_account(account.email, account.passwords[-1])
        await asyncio.sleep(60)

    def _make_certificates(self) -> None:
        contents = (
            make_certificate("127.0.0.1"),
            make_certificate("127.0.0.1", is_expired=True),
            make_certificate("cloud.example.org"),
            make_certificate("127.0.0.1"),
        )
        for name, content in zip(CERTIFICATES, contents, strict=True):
            self.certificates[name].write_bytes(content)
        self.house.trusted.write_bytes(b"".join(contents[:-1]))

    async def end(self) -> None:
        """Stop everything."""
        if self.house.is_up:
            await self.house.kill()
        for account in self.accounts.values():
            await account.cloud.stop()
        self.disk.unmount()

    @asynccontextmanager
    async def change(self) -> AsyncIterator[None]:
        """Hold Home Assistant for a start, stop or reload."""
        async with self.lifecycle:
            with self.changing():
                yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let a block start, stop or reload; what rings meanwhile may be told."""
        self.is_changing = True
        try:
            yield
        finally:
            self.is_changing = False

    def expected(self, account: Account) -> Expected:
        """Return what Home Assistant can know of a ring now."""
        if self.is_changing:
            return Expected.EITHER
        connections = account.cloud.connections
        is_heard = any(account.cloud.receives_pushes(each) for each in connections)
        return Expected.TOLD if self.house.is_up and is_heard else Expected.SILENT

    def add_ring(self, account: Account, panel: Panel) -> Ring:
        """Note a ring that is about to begin."""
        bridge = account.cloud.house.find(panel.bridge or "")
        ring = Ring(
            account=account.name,
            panel=panel.id,
            bridge=bridge.id,
            at=time.time(),
            monotonic=self.leader.clock.monotonic(),
            expected=self.expected(account),
            is_named=bridge.type not in NAMELESS,
        )
        self.truth.rings.append(ring)
        return ring

    async def press(self, action: str, entity: str, door: Door) -> None:
        """Open a door as a person does, and note what Home Assistant answered."""
        press = Press(door=door.id, began=time.time())
        self.truth.presses.append(press)
        with suppress(RefusedError):
            states = await self.house.states()
            await self.house.act(action, entity_id=entity)
            # Home Assistant skips entities that it shows as unavailable, without an error.
            press.is_done = states.get(entity, {"state": "unavailable"})["state"] != "unavailable"
        press.ended = time.time()

    async def entities(self) -> dict[tuple[str, str, str], str]:
        """Return the entities by account, module and key."""
        registered = await self.house.command("config/entity_registry/list")
        accounts = {each.cloud.user_id: each.name for each in self.accounts.values()}
        found: dict[tuple[str, str, str], str] = {}
        for entity in registered:
            if entity["platform"] != "bticino_classe" or entity["disabled_by"]:
                continue
            user, _, rest = entity["unique_id"].partition("-")
            module, _, key = rest.rpartition("-")
            found[accounts[user], module, key] = entity["entity_id"]
        self._places |= {entity: key[:2] for key, entity in found.items()}
        return found

    def all_doors(self, account: Account) -> list[Door]:
        """Return the doors of an account, also those that have vanished since the last time."""
        return [*account.cloud.house.doors(), *account.gone]

    def told(self) -> list[Told]:
        """Return what Home Assistant has told since the last time."""
        with (self.house.config.parent / SEEN).open(encoding="utf-8") as seen:
            seen.seek(self._read)
            lines = seen.readlines()
            self._read = seen.tell()
        return [_told(json.loads(line), self._places) for line in lines]

    async def sign_in_again(self) -> None:
        """Enter the password of each account for which Home Assistant asks."""
        if not self.house.is_up:
            return
        for account in self.accounts.values():
            number = await self.house.sign_in_again(account.entry, account.passwords[-1])
            for _ in range(number):
                self.truth.may_sign_in(account.name)

    def secrets(self) -> Iterator[str]:
        """Yield the position of the homes, and every password and token that was ever valid."""
        yield LATITUDE
        for account in self.accounts.values():
            yield from account.passwords
            yield from account.cloud.account.issued()


class Disk:
    """A small disk of its own for the configuration folder, where the machine allows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_own = False

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def mount(self) -> None:
        """Create the folder, on a disk of its own if possible."""
        self.folder.mkdir(parents=True)
        self.is_own = _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", self.folder)

    def unmount(self) -> None:
        """Remove the disk."""
        if self.is_own:
            _run("umount", "--lazy", self.folder)

    def fill(self) -> None:
        """Leave no space."""
        with self._ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(4096)):
                pass

    def free(self) -> None:
        """Make space again."""
        self._ballast.unlink(missing_ok=True)

    def set_read_only(self, is_read_only: bool) -> None:
        """Refuse all writing, or allow it again."""
        if self.is_own:
            _run("mount", "-o", f"remount,{'ro' if is_read_only else 'rw'}", self.folder)


def _run(*command: str | Path) -> bool:
    with suppress(OSError):
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - commands of this file
    return False


def _told(line: dict[str, object], places: dict[str, tuple[str, str]]) -> Told:
    account, module = places.get(str(line["entity"]), ("unknown", str(line["entity"])))
    return Told(account, module, str(line["event_type"]), float(str(line["monotonic"])))
