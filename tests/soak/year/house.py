"""Home Assistant as the story has it: started, stopped, killed, asked."""

import asyncio
from contextlib import asynccontextmanager, suppress
import json
import os
from pathlib import Path
import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from dev.errors import DevelopError
from dev.owner import FLOW, Owner
from dev.state import prepare_storage

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping

    from tests.simulator import Simulator

    from .virtual_time import Leader

ROOT: Final = Path(__file__).parents[3]
HERE: Final = Path(__file__).parent
DOMAIN: Final = "bticino_classe"
SHIPPED: Final = ROOT / "custom_components" / DOMAIN
OLDEST: Final = ROOT / ".venv" / "bin" / "python"  # with the oldest supported Home Assistant
NEWEST: Final = Path(sys.executable)
OLDEST_HTTP: Final = 2  # version of the file with the settings of the web server
NEWEST_HTTP: Final = 3
OBSERVER: Final = HERE / "custom_components" / "year_observer"
SEEN: Final = "seen.jsonl"
OPTIONS_FLOW: Final = "api/config/config_entries/options/flow"
BACKUPS: Final = "backup.local"
RESTART: Final = 100  # the exit code with which Home Assistant asks for a start
STOP_TIMEOUT: Final = 120.0
#: What a request to a process that ends, or that refuses it, can raise.
NO_ANSWER: Final = (DevelopError, aiohttp.ClientError, aiohttp.WSMessageTypeError)
PASSWORD: Final = "an-invented-one"


class RefusedError(Exception):
    """Home Assistant answered with an error, or not at all."""


class House:
    """A Home Assistant with its configuration folder."""

    process: Process | None = None
    token = ""

    def __init__(
        self, folder: Path, port: int, leader: Leader, clouds: Mapping[str, Simulator], seed: int
    ) -> None:
        self.config = folder / "config"
        self.log = folder / "home-assistant.log"
        self.trusted = folder / "trusted.pem"
        self.leader = leader
        self.starts = 0
        #: The interpreter of an environment with Home Assistant.
        self.python = OLDEST if OLDEST.exists() else NEWEST
        self._seed = seed
        self._port = port
        self._clouds = clouds
        self.url = f"http://127.0.0.1:{port}/"

    def prepare(self) -> None:
        """Create the configuration folder."""
        components = self.config / "custom_components"
        components.mkdir(parents=True)
        version = OLDEST_HTTP if self.python == OLDEST else NEWEST_HTTP
        prepare_storage(self.config, self._port, http_version=version)
        shutil.copy(HERE / "configuration.yaml", self.config)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SHIPPED, components / DOMAIN, ignore=ignored)
        shutil.copytree(OBSERVER, components / OBSERVER.name, ignore=ignored)

    @property
    def histories(self) -> Path:
        """The folder with the histories of the accounts."""
        return self.config / ".storage" / DOMAIN

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start Home Assistant and wait until everything is set up.

        A start that restores a backup ends at once; then there is another one.
        """
        with self.leader.running():
            while not await self._start_once():
                pass

    async def stop(self) -> int:
        """Stop Home Assistant as a supervisor does; return its exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End Home Assistant as a power cut does."""
        await self._end(signal.SIGKILL)

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Owner]:
        """The owner; RefusedError: Home Assistant answers with an error, or not at all."""
        try:
            async with Owner.with_token(self.url, self.token) as owner:
                yield owner
        except NO_ANSWER as err:
            raise RefusedError(repr(err)) from err

    async def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Call the REST API; RefusedError: an error status, or no answer."""
        async with self.owner() as owner:
            return await owner.call(method, path, body)

    async def act(self, action: str, **data: object) -> None:
        """Perform an action; RefusedError: it failed."""
        await self.call("post", f"api/services/{action.replace('.', '/')}", data)

    async def ask(self, action: str, **data: object) -> Any:
        """Perform an action and return its response."""
        path = f"api/services/{action.replace('.', '/')}?return_response"
        return (await self.call("post", path, data))["service_response"]

    async def command(self, command: str, **fields: object) -> Any:
        """Send a command to the websocket API and return its result; RefusedError: it failed."""
        async with self.owner() as owner:
            return await owner.send_command(command, **fields)

    async def states(self) -> dict[str, dict[str, Any]]:
        """Return all states by entity."""
        return {state["entity_id"]: state for state in await self.call("get", "api/states")}

    async def add_account(self, email: str, password: str) -> str:
        """Set up an account by its form; return the id of its entry."""
        flow = await self.call("post", FLOW, {"handler": DOMAIN})
        credentials = {"username": email, "password": password}
        result = await self.call("post", f"{FLOW}/{flow['flow_id']}", credentials)
        while result["type"] == "form" and not result["errors"]:
            result = await self.call("post", f"{FLOW}/{flow['flow_id']}", {})
        assert result["type"] == "create_entry", result
        return str(result["result"]["entry_id"])

    async def sign_in_again(self, entry: str, password: str) -> int:
        """Fill in the forms that ask for the password of an entry; return how many were taken.

        A form stays if the cloud cannot be reached.
        """
        flows = await self.command("config_entries/flow/progress")
        contexts = [(flow["flow_id"], flow["context"]) for flow in flows]
        asked = [
            flow_id
            for flow_id, context in contexts
            if context["source"] == "reauth" and context.get("entry_id") == entry
        ]
        taken = 0
        for flow_id in asked:
            result = await self.call("post", f"{FLOW}/{flow_id}", {"password": password})
            is_taken = result.get("reason") == "reauth_successful"
            assert is_taken or result["errors"] != {"base": "invalid_auth"}, result
            taken += is_taken
        return taken

    async def save_options(self, entry: str, **changed: object) -> None:
        """Save the options of an entry as the form does."""
        flow = await self.call("post", OPTIONS_FLOW, {"handler": entry})
        result = await self.call(
            "post", f"{OPTIONS_FLOW}/{flow['flow_id']}", {"history": {}} | changed
        )
        assert result["type"] == "create_entry", result

    async def watch(self, camera: str, offer: str, seconds: float) -> bool:
        """Open a camera as a page does, for some seconds; then the page is gone.

        Return whether the intercom has answered.
        """
        is_answered = False
        async with self.owner() as owner, owner.connected() as connection:
            asked = {"type": "camera/webrtc/offer", "entity_id": camera, "offer": offer}
            await connection.send_json({"id": 1} | asked)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while True:
                        message = await connection.receive_json()
                        is_answered |= message.get("event", {}).get("type") == "answer"
        return is_answered

    async def make_backup(self) -> str | None:
        """Make a backup and return its id; None if Home Assistant could not make one."""
        known = {each["backup_id"] for each in (await self.command("backup/info"))["backups"]}
        await self.command("backup/generate", agent_ids=[BACKUPS], include_database=False)
        while True:
            await asyncio.sleep(1)
            info = await self.command("backup/info")
            if new := {each["backup_id"] for each in info["backups"]} - known:
                return str(new.pop())
            if info["state"] == "idle":
                return None

    async def restore(self, backup: str) -> None:
        """Restore a backup, for which Home Assistant restarts."""
        process = self.process
        assert process is not None
        with self.leader.running():
            asked = {"backup_id": backup, "agent_id": BACKUPS, "restore_database": False}
            with suppress(RefusedError):
                await self.command("backup/restore", **asked)
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
            self.leader.detach()
        self.process = None
        await self.start()

    async def _spawn(self, descriptor: int, log: int) -> None:
        clouds = {
            email: {
                "api": cloud.url,
                "turn": cloud.url,
                "push": cloud.push_url,
                "signaling": cloud.signaling_url,
            }
            for email, cloud in self._clouds.items()
        }
        seed = str(self._seed * 1_000 + self.starts)
        script = ("-P", str(HERE / "home_assistant.py"), str(self.config), str(descriptor))
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        real = self.leader.clock.catch_up()
        self.process = await asyncio.create_subprocess_exec(
            str(self.python),
            *script,
            *(str(time.time()), str(time.monotonic()), str(real), seed, json.dumps(clouds)),
            cwd=self.config,
            env=inherited
            | {"PYTHONHASHSEED": "0", "TZ": "Europe/Rome", "REQUESTS_CA_BUNDLE": str(self.trusted)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(descriptor,),
            start_new_session=True,
        )

    async def _start_once(self) -> bool:
        """Return whether Home Assistant runs; False: it wants to be started once more."""
        self.starts += 1
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its, self.log.open("a", encoding="utf-8") as log:
            await self._spawn(its.fileno(), log.fileno())
        self.leader.attach(ours)
        assert self.process is not None
        ended = asyncio.ensure_future(self.process.wait())
        running = asyncio.ensure_future(self._until_running())
        await asyncio.wait((ended, running), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            ended.cancel()
            running.result()
            return True
        running.cancel()
        self.leader.detach()
        if ended.result() != RESTART:
            raise RuntimeError(f"Home Assistant exited with code {ended.result()}; see {self.log}")
        return False

    async def _until_running(self) -> None:
        async with Owner(self.url, PASSWORD) as owner:
            await owner.sign_in()
            await owner.wait_until_running()
            if not self.token:
                fields = {"lifespan": 3650, "client_name": "story"}
                self.token = await owner.send_command("auth/long_lived_access_token", **fields)

    async def _end(self, number: signal.Signals) -> int:
        process = self.process
        assert process is not None
        with self.leader.running():
            process.send_signal(number)
            async with asyncio.timeout(STOP_TIMEOUT):
                code = await process.wait()
            self.leader.detach()
        self.process = None
        return code
