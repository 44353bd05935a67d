"""The stream address that scripts/develop prints, played outside Home Assistant."""

import asyncio
from asyncio.subprocess import PIPE
from datetime import datetime
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clock import shows_clock
from tests.e2e.development import PYTHON, ROOT, START_TIMEOUT, Development, expect_clean_end
from tests.e2e.operating import Operator
from tests.e2e.visitor import ARTIFACTS

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

PANEL, NUMBER = "Posto esterno cortile", 2


async def test_stream_address(development: Development, session: aiohttp.ClientSession) -> None:
    """It is printed once there is an account, and shows the panel's clock; a restart keeps it."""
    await development.start()
    assert "stream" not in development.ready
    await expect_clean_end(development, signal.SIGTERM)
    await development.start("--configured")
    address = development.ready["stream"]
    picture = ARTIFACTS / "stream.png"
    ARTIFACTS.mkdir(exist_ok=True)
    started = datetime.now().astimezone()
    assert await play(address, picture) == (0, "")
    assert shows_clock(picture, PANEL, NUMBER, started, datetime.now().astimezone())
    operator = Operator(session, development.ready["operator"])
    calls = await operator.wait_for_calls(lambda found: not found["held_slots"])
    assert (calls["offers"], calls["terminates"]) == (1, 1)
    code, output = await play(f"{address}0", picture)
    assert (code, output.startswith("The stream address returned 401: ")) == (1, True), output
    assert development.logged_problems() == []
    assert address.rpartition("=")[2] not in development.log()
    await expect_clean_end(development, signal.SIGTERM)
    await development.start()
    assert development.ready["stream"] == address


async def play(address: str, picture: Path) -> tuple[int | None, str]:
    """Run the player; return its exit code and what it printed."""
    command = (PYTHON, "-m", "dev.player", address, str(picture))
    player = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(START_TIMEOUT):
        output, errors = await player.communicate()
    return player.returncode, (output + errors).decode()
