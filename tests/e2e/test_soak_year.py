"""Some days of the simulated year; `scripts/soak` plays all of it."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING

import pytest

from tests.e2e.development import PYTHON, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    ("seed", "day"),
    [
        # A backup, a deletion, an outage, a damaged history, a power cut, a restart of the router
        (44, 311),
        # A full disk, a damaged history, a power cut, a dead line, double pushes, failing commands
        (34, 261),
    ],
)
async def test_a_bad_day(tmp_path: Path, seed: int, day: int) -> None:
    """Whatever happens, in the evening everything is as it must be."""
    options = ("--seed", str(seed), "--first-day", str(day), "--days", "1", "--no-shorten")
    folder = ("--folder", str(tmp_path / "year"))
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "tests.soak.year", *options, *folder), cwd=ROOT, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert " rings: 0\n" not in output.decode()
