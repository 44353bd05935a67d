"""Virtual time, in a process of its own, since it replaces the time of everything."""

import subprocess
import sys
from typing import Final

from .house import ROOT

#: Of `time.monotonic()`, in seconds: the real clock's resolution does not change such a number.
LATE: Final = 3e7
SCRIPT: Final = f"""
import asyncio
from tests.soak.year.virtual_time import lead

leader = lead(1_800_000_000.0)
leader.clock.set({LATE})

async def main():
    loop = asyncio.get_running_loop()
    due, later = loop.create_future(), loop.create_future()
    loop.call_at(loop.time(), due.set_result, None)
    loop.call_later(3600, later.set_result, None)
    await due
    await later
    print(round(loop.time() - {LATE}))

asyncio.run(main())
"""


def test_timers_late_in_the_year() -> None:
    """One that is due now runs at once; another one makes time jump to it."""
    command = (sys.executable, "-c", SCRIPT)
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    assert found.stdout.strip() == "3600"
