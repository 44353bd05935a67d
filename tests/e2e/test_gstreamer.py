"""The stream address in GStreamer, whose WebRTC is another one than aiortc's and Chromium's."""

import asyncio
from asyncio.subprocess import PIPE
from datetime import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.clock import shows_clock
from tests.e2e.development import ROOT, START_TIMEOUT
from tests.e2e.operating import Operator
from tests.e2e.visitor import ARTIFACTS
from tests.simulator.audio import HERTZ

if TYPE_CHECKING:
    import aiohttp

    from tests.e2e.development import Development

PYTHON: Final = Path("/usr/bin/python3")  # the one that has the bindings
pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason=f"no {PYTHON} on this machine"),
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

PANEL, NUMBER = "Posto esterno cortile", 2


async def test_gstreamer_sees_and_hears(
    development: Development, session: aiohttp.ClientSession
) -> None:
    """Once without ending the view, which the next request does; then it ends its own."""
    await development.start("--configured")
    operator = Operator(session, development.ready["operator"])
    await operator.do("rtc", view_seconds=600, audio_requires="sendrecv")
    await _see_and_hear(development, "--vanish")
    assert (await operator.calls())["terminates"] == 0
    await _see_and_hear(development)
    calls = await operator.wait_for_calls(lambda found: not found["held_slots"])
    assert (calls["offers"], calls["terminates"], calls["peak"]) == (2, 2, 1)
    assert await operator.violations() == []
    assert development.logged_problems() == []


async def _see_and_hear(development: Development, *options: str) -> None:
    """Play the stream: the picture shows the panel and its clock, the sound is its tone."""
    ARTIFACTS.mkdir(exist_ok=True)
    picture, started = ARTIFACTS / "gstreamer.png", datetime.now().astimezone()
    found = await _play(development.ready["stream"], str(picture), *options)
    assert shows_clock(picture, PANEL, NUMBER, started, datetime.now().astimezone())
    assert found["level"] == pytest.approx(0.1, rel=0.1)
    assert found["hertz"] == pytest.approx(HERTZ, rel=0.02)


async def _play(*arguments: str) -> dict[str, Any]:
    """Run the player; return what it measured. The test is skipped without GStreamer."""
    command = (str(PYTHON), "dev/gstreamer_player.py", *arguments)
    player = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(START_TIMEOUT):
        output, errors = await player.communicate()
    if player.returncode == os.EX_UNAVAILABLE:
        pytest.skip(output.decode())
    assert player.returncode == 0, (output + errors).decode()
    found: dict[str, Any] = json.loads(output)
    return found
