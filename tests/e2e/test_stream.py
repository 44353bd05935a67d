"""The stream address that scripts/develop prints, played outside Home Assistant."""

import asyncio
from asyncio.subprocess import PIPE
from datetime import datetime, timedelta
import signal
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageStat
import pytest

from tests.e2e.development import PYTHON, ROOT, START_TIMEOUT, Development, expect_clean_end
from tests.e2e.operating import Operator
from tests.e2e.visitor import ARTIFACTS
from tests.simulator.video import CLOCK_TOP, GLYPH_HEIGHT, WIDTH, draw

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

PANEL, NUMBER = "Posto esterno cortile", 2
CLOCK: Final = (0, CLOCK_TOP, WIDTH, CLOCK_TOP + GLYPH_HEIGHT)
TENTH: Final = timedelta(seconds=0.1)
SAME: Final = 1.0  # mean difference of two pictures; another digit makes about 2 or more


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
    assert await _play(address, picture) == (0, "")
    assert _shows_clock(picture, started, datetime.now().astimezone())
    operator = Operator(session, development.ready["operator"])
    calls = await operator.wait_for_calls(lambda found: not found["held_slots"])
    assert (calls["offers"], calls["terminates"]) == (1, 1)
    code, output = await _play(f"{address}0", picture)
    assert (code, output.startswith("The stream address returned 401: ")) == (1, True), output
    assert development.logged_problems() == []
    assert address.rpartition("=")[2] not in development.log()
    await expect_clean_end(development, signal.SIGTERM)
    await development.start()
    assert development.ready["stream"] == address


async def _play(address: str, picture: Path) -> tuple[int | None, str]:
    """Run the player; return its exit code and what it printed."""
    command = (PYTHON, "-m", "dev.player", address, str(picture))
    player = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(START_TIMEOUT):
        output, errors = await player.communicate()
    return player.returncode, (output + errors).decode()


def _shows_clock(picture: Path, start: datetime, end: datetime) -> bool:
    """Whether a picture shows the panel, and its clock at a time between two others."""
    with Image.open(picture) as opened:
        found = opened.convert("L")
    at, is_shown = start - TENTH, False
    while at <= end and not is_shown:
        drawn = Image.fromarray(draw(PANEL, NUMBER, at).to_ndarray(format="rgb24")).convert("L")
        is_shown = all(
            ImageStat.Stat(ImageChops.difference(found.crop(box), drawn.crop(box))).mean[0] < SAME
            for box in (CLOCK, (0, 0, WIDTH, CLOCK_TOP))
        )
        at += TENTH
    return is_shown
