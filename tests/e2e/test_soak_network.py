"""One of the bad networks; `scripts/soak network` runs all of them."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.development import PYTHON, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="session")]


async def test_line_that_loses_packets(tmp_path: Path) -> None:
    """Rings arrive once and doors open once though a fifth of all packets is lost."""
    report = tmp_path / "report.json"
    options = ("--only", "loss", "--folder", str(tmp_path / "network"), "--json", str(report))
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "tests.soak.network", *options), cwd=ROOT, stdout=PIPE, stderr=STDOUT
    )
    output = (await process.communicate())[0].decode()
    if output.startswith("skipped:"):
        pytest.skip(output.strip())
    assert process.returncode == 0, output
    (case,) = json.loads(report.read_text())["cases"]
    assert case["ring"] is not None
    assert case["presses"][-1]["said"] == "opened"
