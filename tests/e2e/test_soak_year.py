"""Some days of the simulated year; `scripts/soak` plays all of it."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING

import pytest

from tests.e2e.development import PYTHON, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="session")]


async def test_days_of_a_bad_year(tmp_path: Path) -> None:
    """Two accounts live through outages, a power cut and a damaged history without a fault."""
    options = ("--days", "2", "--seed", "7", "--folder", str(tmp_path / "year"), "--no-shorten")
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "tests.soak.year", *options), cwd=ROOT, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert " rings: 0\n" not in output.decode()
