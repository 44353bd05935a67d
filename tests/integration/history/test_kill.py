"""Home Assistant may be killed at any moment: no call is lost, doubled or half."""

import json
from pathlib import Path
import subprocess
import sys


def test_killed_at_every_step_on_disk(tmp_path: Path) -> None:
    """What was to be on disk is there after a new start, whole and once; what was not, is not."""
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
