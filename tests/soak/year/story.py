"""The faults of a bad year, in the middle of what people do.

Each incident is a method of `Story` with a random generator of its own, so that a day is the same
with and without the others.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
import random
import time
from typing import TYPE_CHECKING, Any, Final

from tests.simulator.faults import Failure
from tests.simulator.house import Door
from tests.simulator.paths import SETSTATE

from .house import NEWEST, RefusedError
from .incidents import HOUR, MINUTE, Incident
from .people import People
from .truth import Expected, Stored
from .virtual_time import Order
from .world import CERTIFICATES

if TYPE_CHECKING:
    from tests.simulator.house import Home

    from .world import Account

ANY_PATH: Final = "*"

DAY_SECONDS: Final = 24 * HOUR


class Story(People):
    """Plays the incidents in a world."""

    async def play(self, incident: Incident, day_began: float) -> None:
        """Wait for the time of an incident and play it to its end."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, day_began + incident.at - loop.time()))
        await getattr(self, incident.name)(random.Random(incident.seed))  # noqa: S311 - a story, not a secret

    # Faults of the line and of the cloud

    async def router_restarted(self, chance: random.Random) -> None:
        """All connections die without a word, and nothing gets through for a while."""
        for account in self.world.accounts.values():
            account.cloud.stall_connections()
            account.cloud.sockets.handshake_status = 503
            account.cloud.fail(ANY_PATH, Failure(drop=True), 1000)
        await asyncio.sleep(chance.uniform(30, 5 * MINUTE))
        for account in self.world.accounts.values():
            account.cloud.sockets.reset()
            account.cloud.clear_failures()

    async def line_half_open(self, chance: random.Random) -> None:
        """Connections of one account die without a word; new ones work."""
        self._any_account(chance).cloud.stall_connections()

    async def cloud_away(self, chance: random.Random) -> None:
        """The cloud is away for a minute, an hour, or most of a day."""
        duration = chance.choice((MINUTE, MINUTE, 10 * MINUTE, HOUR, 15 * HOUR))
        status, html = chance.choice((500, 502, 503)), chance.random() < 0.5
        accounts = self._some_accounts(chance)
        for account in accounts:
            account.cloud.take_down(status, html=html)
        await asyncio.sleep(duration)
        for account in accounts:
            account.cloud.bring_up()

    async def cloud_refuses_connections(self, chance: random.Random) -> None:
        """Nothing listens at the address of the cloud."""
        account = self._any_account(chance)
        port = account.cloud.port
        await account.cloud.stop()
        await asyncio.sleep(chance.uniform(20, 2 * HOUR))
        await account.cloud.start(port=port)

    async def certificate_fails(self, chance: random.Random) -> None:
        """The certificate has expired, is that of another host, or is not trusted."""
        cloud = self.world.tls_account.cloud
        cloud.use_certificate(self.world.certificates[chance.choice(CERTIFICATES[1:])])
        cloud.drop_connections()
        await asyncio.sleep(chance.uniform(MINUTE, 5 * HOUR))
        cloud.use_certificate(self.world.certificates["right"])

    async def requests_fail(self, chance: random.Random) -> None:
        """A few requests fail in one of many ways."""
        failure = chance.choice(
            (
                Failure(status=503),
                Failure(status=500, html=True),
                Failure(status=429),
                Failure(status=429, retry_after=chance.choice((5, 120, 900))),
                Failure(status=429, error="too_many_connections"),
                Failure(status=403, code=26),
                Failure(status=200, html=True),
                Failure(wrong_json=True),
                Failure(cut=True, executed=True),
                Failure(drop=True),
                # Held back by the cloud, a command would move a door late, whatever we do.
                Failure(delay=chance.choice((5.0, 19.0, 60.0, 180.0)), executed=True),
                Failure(never=True),
                # A command that the cloud reports as done is done.
                Failure(status=200, body={"status": "ok"}, executed=True),
                Failure(status=200, body=[]),
                Failure(status=200, body={"status": "ok", "body": {"homes": []}}, executed=True),
            )
        )
        account = self._any_account(chance)
        account.cloud.fail(ANY_PATH, failure, chance.randrange(1, 12))
        await asyncio.sleep(2 * HOUR)
        account.cloud.clear_failures()

    async def command_fails(self, chance: random.Random) -> None:
        """A door is opened while the answer to the command fails, or comes late."""
        failure = chance.choice(
            (
                Failure(status=503),
                Failure(status=503, executed=True),
                Failure(cut=True, executed=True),
                Failure(drop=True),
                Failure(drop=True, executed=True),
                Failure(never=True),
                Failure(delay=chance.choice((3.0, 12.0, 17.0, 40.0)), executed=True),
                Failure(status=429, retry_after=30),
                Failure(code=11),
                Failure(wrong_json=True, executed=True),
                Failure(status=200, body={"status": "ok"}, executed=True),
            )
        )
        account = self._any_account(chance)
        account.cloud.fail(SETSTATE, failure)
        await self._open(account, chance)
        account.cloud.clear_failures()

    async def tokens_expired(self, chance: random.Random) -> None:
        """The cloud lets the access tokens expire early."""
        self._any_account(chance).cloud.expire_access_tokens()

    async def tokens_refused(self, chance: random.Random) -> None:
        """The cloud no longer knows the access tokens."""
        self._any_account(chance).cloud.refuse_access_tokens()

    async def tokens_revoked(self, chance: random.Random) -> None:
        """The cloud no longer knows any token: one sign-in with the password."""
        account = self._any_account(chance)
        self.truth.may_sign_in(account.name)
        account.cloud.revoke()

    async def password_changed(self, chance: random.Random) -> None:
        """The owner changes the password in the app, and hours later in Home Assistant."""
        account = self._any_account(chance)
        account.passwords.append(f"changed-{chance.randrange(10**9)}")
        account.cloud.change_password(account.passwords[-1])
        self.world.expected_errors.add("Authentication failed")
        await asyncio.sleep(chance.uniform(HOUR, 3 * HOUR))
        async with self.world.change():
            await self.world.sign_in_again()

    async def client_retired(self, chance: random.Random) -> None:
        """The cloud refuses the app's own identity for some hours."""
        account = self._any_account(chance)
        account.cloud.retire_client()
        await asyncio.sleep(chance.uniform(HOUR, 5 * HOUR))
        self.truth.may_sign_in(account.name)
        account.cloud.restore_client()

    async def socket_misbehaves(self, chance: random.Random) -> None:
        """The push connection is closed, refused, ignored, or slow to open."""
        account = self._any_account(chance)
        settings: dict[str, Any] = chance.choice(
            (
                {"handshake_status": 429, "handshake_retry_after": 60},
                {"handshake_status": 403},
                {"refuse_subscriptions": 2},
                {"ignore_subscriptions": True},
                {"accept_then_close": "subscribed"},
                {"handshake_delay": 30.0},
                {"close_code": 1011},
            )
        )
        with suppress(AttributeError):
            for name, value in settings.items():
                setattr(account.cloud.sockets, name, value)
        account.cloud.close_connections(chance.choice((1000, 1001, 1011, 4001)))
        await asyncio.sleep(chance.uniform(10, HOUR))
        account.cloud.sockets.reset()

    async def pushes_doubled(self, chance: random.Random) -> None:
        """Each push of a ring comes three times, the status before the offer."""
        async for account, call, ring in self._ring(chance, receivers=3, status_first=True):
            await asyncio.sleep(20)
            ring.outcome = "missed"
            account.cloud.miss(call)

    # Changes of the house

    async def door_vanished(self, chance: random.Random) -> None:
        """A door is missing from the cloud's answers for some hours."""
        await self._vanish(chance, "BNDL")

    async def panel_vanished(self, chance: random.Random) -> None:
        """A panel is missing from the cloud's answers for some hours."""
        await self._vanish(chance, "BNEU")

    async def module_renamed(self, chance: random.Random) -> None:
        """The owner renames a door or panel in the app."""
        house = self._any_account(chance).cloud.house
        module = chance.choice([*house.doors(), *house.panels()])
        module.name = f"Nuovo nome {chance.randrange(1000)}"

    async def intercom_replaced(self, chance: random.Random) -> None:
        """An installer replaces the intercom: all ids are new."""
        account = self._any_account(chance)
        async with account.line:
            home = chance.choice(account.cloud.house.homes)
            account.gone += [each for each in home.modules.values() if isinstance(each, Door)]
            _replace_all(home, f"{chance.randrange(256):02x}")
            await asyncio.sleep(2 * HOUR)

    async def unplugged(self, chance: random.Random) -> None:
        """The intercom has no power for a while."""
        account = self._any_account(chance)
        async with account.line:
            bridge = chance.choice(account.cloud.house.bridges())
            account.cloud.unplug_bridge(bridge.id)
            await asyncio.sleep(chance.uniform(5 * MINUTE, 3 * HOUR))
            account.cloud.plug_bridge(bridge.id)

    # Changes of Home Assistant

    async def clock_set(self, chance: random.Random) -> None:
        """The clock of Home Assistant is wrong for some hours."""
        wrong = chance.choice((-DAY_SECONDS, -HOUR, -90.0, 45.0, HOUR, DAY_SECONDS))
        self._set_clock(wrong)
        await asyncio.sleep(chance.uniform(10 * MINUTE, 5 * HOUR))
        self._set_clock(-wrong)

    async def restarted(self, _: random.Random) -> None:
        """Somebody restarts Home Assistant."""
        async with self.world.change():
            await self._stop()
            await self._start()

    async def upgraded(self, _: random.Random) -> None:
        """Home Assistant is upgraded to the newest release, with its storage."""
        async with self.world.change():
            await self._stop()
            self.house.python = NEWEST
            await self._start()

    async def killed(self, chance: random.Random) -> None:
        """A power cut, and power again soon."""
        async with self.world.change():
            await self._kill()
            await asyncio.sleep(chance.choice((1.0, 30.0, 10 * MINUTE)))
            await self._start()

    async def off_for_hours(self, chance: random.Random) -> None:
        """Home Assistant is off for a long time."""
        async with self.world.lifecycle:
            with self.world.changing():
                await self._stop()
            await asyncio.sleep(chance.uniform(HOUR, 5 * HOUR))
            with self.world.changing():
                await self._start()

    async def killed_during_a_command(self, chance: random.Random) -> None:
        """A power cut while the cloud executes a command: nothing is sent after the start."""
        account = self._any_account(chance)
        async with self.world.change():
            account.cloud.fail(SETSTATE, Failure(delay=5.0, executed=chance.random() < 0.5))
            opening = asyncio.ensure_future(self._open(account, chance))
            await asyncio.sleep(chance.uniform(0, 4))
            await self._kill()
            await opening
            account.cloud.clear_failures()
            await asyncio.sleep(30)
            await self._start()

    async def killed_after_a_ring(self, chance: random.Random) -> None:
        """A power cut while it rings: the call is in the history afterwards."""
        async for account, call, ring in self._ring(chance):
            async with self.world.change():
                await asyncio.sleep(chance.choice((0.0, 0.01, 0.5, 5.0)))
                ring.expected = Expected.EITHER
                await self._kill()
                await asyncio.sleep(20)
                ring.outcome = "missed"
                account.cloud.miss(call)
                await self._start()

    async def disk_full(self, chance: random.Random) -> None:
        """No space is left; then somebody makes space."""
        if self.world.disk.is_own:
            self.world.expected_errors.add("")
            self.world.disk.fill()
            await asyncio.sleep(chance.uniform(10 * MINUTE, 3 * HOUR))
            self.world.disk.free()
            self._tokens_may_be_lost()

    async def disk_read_only(self, chance: random.Random) -> None:
        """The disk of a card that fails: it can only be read, until the next start."""
        if not self.world.disk.is_own:
            return
        self.world.expected_errors.add("")
        self.world.disk.set_read_only(True)
        await asyncio.sleep(chance.uniform(10 * MINUTE, 2 * HOUR))
        self.world.disk.set_read_only(False)
        self._tokens_may_be_lost()

    async def history_damaged(self, chance: random.Random) -> None:
        """The file of a history is damaged while Home Assistant is off."""
        account = self._any_account(chance)
        async with self.world.change():
            await self._stop()
            path = self.house.histories / f"{account.entry}.db"
            if path.exists():
                size = path.stat().st_size
                with path.open("r+b") as file:
                    file.seek(chance.choice((0, size // 2)))
                    file.write(bytes(4096))
                self.truth.damage(account.name)
            await self._start()

    async def calls_deleted(self, chance: random.Random) -> None:
        """Somebody deletes all calls of an account: the cloud's list does not restore them."""
        account = self._any_account(chance)
        async with account.line, self.world.lifecycle:
            if not self.house.is_up:
                return
            with suppress(RefusedError):
                action, entry = "bticino_classe.delete_calls", {"config_entry_id": account.entry}
                await self.house.act(action, all=True, **entry)
                self.truth.set_stored(account.name, Stored.GONE)

    async def backup_restored(self, chance: random.Random) -> None:
        """A backup is made, hours pass, and it is restored."""
        async with self.world.change():
            if not self.house.is_up:
                return
            backup = await self.house.make_backup()
        deleted_before = self.truth.deleted()
        await asyncio.sleep(chance.uniform(10 * MINUTE, 3 * HOUR))
        async with self.world.change():
            # After a full disk, Home Assistant's recorder may not let a backup be made.
            if self.house.process is None or backup is None:
                return
            for account in self.world.accounts.values():
                self.truth.may_sign_in(account.name)
            await self.house.restore(backup)
            self.truth.restore_deleted(but=deleted_before)

    async def heal(self) -> None:
        """End every fault that is left."""
        for account in self.world.accounts.values():
            account.cloud.bring_up()
            account.cloud.clear_failures()
            account.cloud.sockets.reset()
            account.cloud.restore_client()
            account.cloud.plug_bridge()
        self.world.tls_account.cloud.use_certificate(self.world.certificates["right"])
        if self.world.skew:
            self._set_clock(-self.world.skew)
        if not self.house.is_up:
            async with self.world.change():
                await self._start()
        await self.world.sign_in_again()

    async def _vanish(self, chance: random.Random, kind: str) -> None:
        account = self._any_account(chance)
        async with account.line:
            home = chance.choice(account.cloud.house.homes)
            found = [module for module in home.modules.values() if module.type == kind]
            if len(found) < 2:
                return
            module = home.modules.pop(chance.choice(found).id)
            await asyncio.sleep(chance.uniform(MINUTE, 5 * HOUR))
            home.modules[module.id] = module

    async def _start(self) -> None:
        self.world.disk.set_read_only(False)
        self.world.disk.free()
        await self.house.start()
        if self.world.skew:
            # A new process has the right time: the clock is set again.
            self.world.leader.order(Order.SHIFT, self.world.skew)

    async def _stop(self) -> None:
        if self.house.is_up:
            await self.house.stop()

    async def _kill(self) -> None:
        if self.house.is_up:
            self._tokens_may_be_lost(seconds=2)
            await self.house.kill()

    def _tokens_may_be_lost(self, seconds: float = 24 * HOUR) -> None:
        """Allow a sign-in for each account that got new tokens which may not be stored."""
        for account in self.world.accounts.values():
            if time.time() - account.cloud.account.issued_at <= seconds:
                self.truth.may_sign_in(account.name)

    def _set_clock(self, seconds: float) -> None:
        self.world.skew += seconds
        self.world.leader.order(Order.SHIFT, seconds)

    def _some_accounts(self, chance: random.Random) -> list[Account]:
        return (
            [*self.world.accounts.values()]
            if chance.random() < 0.5
            else [self._any_account(chance)]
        )


def _replace_all(home: Home, part: str) -> None:
    """Give every module of a home a new id."""
    bridges = {bridge.id: f"{bridge.id[:-2]}{part}" for bridge in home.bridges()}
    modules = {}
    for module in home.modules.values():
        bridge = bridges.get(module.bridge or "")
        new_id = bridges.get(module.id) or f"{module.id[:-2]}{part}"
        modules[new_id] = replace(module, id=new_id, bridge=bridge)
    home.modules = modules
