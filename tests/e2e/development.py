"""scripts/develop as a developer meets it: a child process, its one line, its end."""

import asyncio
from asyncio.subprocess import PIPE, Process
import fcntl
import json
import os
from pathlib import Path
import random
import re
import signal
import socket
from typing import TYPE_CHECKING, Final

from dev.owner import Owner

if TYPE_CHECKING:
    from playwright.async_api import StorageState

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-live" / "bin" / "python"
START_TIMEOUT: Final = 300.0  # seconds, for a start on a slow machine
# Below the ports that systems give to outgoing connections.
PORTS: Final = range(20_000, 30_000)
# What Home Assistant logs of anything that reaches its event loop's exception handler, and of
# coroutines that nobody awaited.
LOOP_ERRORS: Final = ("Error doing job", "never awaited", "never retrieved", "Task was destroyed")
# aiohttp's web server shields the handler of a request while it shuts down. On a busy machine its
# time-out is over before the handler finds that the browser has gone.
WEB_SERVER_SHUTDOWN: Final = "ClientConnectionResetError exception in shielded future"
LINE: Final = re.compile(
    r"Home Assistant: (?P<url>http://\S+/) \(user (?P<user>\S+), password (?P<password>\S+)\) \| "
    r"BTicino account: (?P<email>\S+), password (?P<account_password>\S+) \| "
    r"operator page: (?P<operator>http://\S+/operator/) \| "
    r"(stream address: (?P<stream>http://\S+) \| )?Ctrl-C ends both\n"
)


class Development:
    """One development server on free ports, with a state folder of its own."""

    process: Process
    ready: dict[str, str]
    #: The language of the house and of those who use it.
    language = "en"
    #: What a browser stores of a signed-in user, once one has signed in.
    signed_in: StorageState | None = None

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port, self.simulator_port = free_ports()

    async def start(self, *options: str) -> None:
        """Start it and wait for its line, whose parts are then in `ready`."""
        await self.launch(*options)
        assert self.process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT):
            line = (await self.process.stdout.readline()).decode()
        match = LINE.fullmatch(line)
        if match is None:
            _, words = await self.end(signal.SIGTERM)
            raise AssertionError(f"scripts/develop printed {line!r}, {words}\n{self.log_tail()}")
        self.ready = {name: text for name, text in match.groupdict().items() if text is not None}

    async def launch(self, *options: str) -> None:
        """Start the server without waiting until it is ready."""
        ports = ("--port", str(self.port), "--simulator-port", str(self.simulator_port))
        state = ("--state", str(self.state), "--language", self.language)
        self.process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "dev", *ports, *state, *options, cwd=ROOT, stdout=PIPE, stderr=PIPE
        )

    def owner(self) -> Owner:
        """The owner with the printed password."""
        return Owner(self.ready["url"], self.ready["password"])

    async def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; return the exit code and the output of both streams."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.gone()

    async def gone(self) -> tuple[int, str]:
        """Wait for the end of the launcher; return its exit code and its output."""
        async with asyncio.timeout(START_TIMEOUT):
            output, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, (output + errors).decode()

    async def close(self) -> None:
        """End it if a test did not."""
        if hasattr(self, "process") and self.process.returncode is None:
            await self.end(signal.SIGTERM)

    def kill_home_assistant(self) -> None:
        """End Home Assistant alone as a power cut does; the launcher starts it again."""
        running = json.loads((self.state / "config" / ".ha_run.lock").read_text())
        os.kill(running["pid"], signal.SIGKILL)

    def home_assistant_runs(self) -> bool:
        """Whether a Home Assistant holds the lock on the configuration folder."""
        with (self.state / "config" / ".ha_run.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def log(self) -> str:
        """All that Home Assistant wrote."""
        path = self.state / "home-assistant.log"
        return path.read_text() if path.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        """The end of what Home Assistant wrote."""
        return "\n".join(self.log().splitlines()[-lines:])

    def loop_errors(self) -> list[str]:
        """What reached the exception handler of Home Assistant's event loop."""
        lines = [line for line in self.log().splitlines() if WEB_SERVER_SHUTDOWN not in line]
        return [line for line in lines if any(error in line for error in LOOP_ERRORS)]

    def logged_problems(self) -> list[str]:
        """What Home Assistant wrote as an error that names us."""
        lines = self.log().splitlines()
        return [line for line in lines if " ERROR " in line and "bticino" in line]


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    free = (port for port in random.sample(PORTS, len(PORTS)) if not answers(port))
    return next(free), next(free)


async def expect_clean_end(server: Development, number: signal.Signals) -> None:
    """End the server with a signal: it exits without an error, and no process is left."""
    code, output = await server.end(number)
    assert code == 0
    assert [line.partition(":")[0] for line in output.splitlines()] == ["develop"], output
    assert not server.home_assistant_runs()
    assert not answers(server.port)
    assert not answers(server.simulator_port)


def answers(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
