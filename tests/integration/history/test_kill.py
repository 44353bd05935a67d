"""Home Assistant may be killed at any moment: no call is lost, duplicated or incomplete."""

import json
from pathlib import Path
import subprocess
import sys


def test_kill_at_every_step(tmp_path: Path) -> None:
    """After the next start, everything that was reported as stored exists once and is complete."""
    root = Path(__file__).parents[3]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "ignore", "-m", "tests.integration.history.killing", str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["steps"] > 50
    assert found["frames"] > 50
    assert found["wrong"] == {}
