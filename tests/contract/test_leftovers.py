"""A test that leaves something behind in its event loop fails."""

from pathlib import Path
import re
import subprocess
import sys

ROOT = Path(__file__).parents[2]
LEAVING = "tests/contract/leaving.py"
REPORTED = {
    "test_failed_future": "Future exception was never retrieved",
    "test_failed_task": "Task exception was never retrieved",
    "test_failed_callback": "Exception in callback",
    "test_cancelled_shield": "ValueError exception in shielded future",
    "test_pending_task": "Lingering task after test <Task pending name='left over'",
    "test_timer": "Lingering timer after test <TimerHandle",
}


def test_whatever_is_left_over_fails_the_test() -> None:
    """Each way of leaving something is an error of its own test, and of no other."""
    command = [sys.executable, "-m", "pytest", "-vv", LEAVING]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    parts = re.split(r"^_+ ERROR at teardown of (\w+) _+$", ran.stdout, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert found.keys() == REPORTED.keys(), ran.stdout
    assert {name for name, text in REPORTED.items() if text not in found[name]} == set()
    assert " 7 passed, 6 errors in " in ran.stdout
