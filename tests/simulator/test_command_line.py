import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.server import Simulator

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def run(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the simulator in a child process, which is killed with the test."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.simulator", *arguments)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(120):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.usefixtures("socket_enabled")
async def test_starts_and_stops_on_ctrl_c() -> None:
    """The simulator prints one line with URL and account, and exits cleanly on Ctrl-C."""
    async with run(
        "--port", "0", "--house", "easykit", "--password", "pw", "--peer", "real"
    ) as process:
        assert process.stdout
        line = (await process.stdout.readline()).decode()
        address = line.split()[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{address}/operator/state") as response,
        ):
            state = await response.json()
        process.send_signal(signal.SIGINT)
        rest, errors = await process.communicate()
    assert line.strip().endswith(f"operator: {address}/operator/")
    assert "owner@example.org / pw" in line
    assert state["house"] == "easykit"
    assert state["rtc"]["settings"]["peer"] == "real"
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_port_in_use(sim: Simulator) -> None:
    """A port in use is reported in one sentence, without a traceback."""
    async with run("--port", str(sim.port)) as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode() == (
        f"The simulator cannot listen on 127.0.0.1:{sim.port}: "
        "the address is in use. Choose another port.\n"
    )
