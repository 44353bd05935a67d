"""Home Assistant as a child process: started, restarted when it asks for that, ended with us."""

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from .errors import DevelopError
from .state import link_components

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping
    from pathlib import Path

ASKS_FOR_RESTART: Final = 100  # exit code
STOP_TIMEOUT: Final = 30.0  # seconds


class Server:
    """One Home Assistant on a configuration folder."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._config = config
        self._log = log
        # Without a PYTHONPATH the linked integration is the only one that can be found.
        kept = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        self._environment = {**kept, **environment}

    async def keep_running(self) -> None:
        """Run until cancelled; raise DevelopError when Home Assistant ends by itself.

        Killed from outside, it is started again: so a developer tries what a power cut does.
        """
        with self._log.open("w") as log:
            code = ASKS_FOR_RESTART
            while code in {ASKS_FOR_RESTART, -signal.SIGKILL}:
                link_components(self._config)
                process = await self._start(log.fileno())
                try:
                    code = await process.wait()
                finally:
                    await _stop(process)
        raise DevelopError(
            f"Home Assistant ended by itself with code {code}; its last words are in {self._log}."
        )

    async def _start(self, log: int) -> Process:
        arguments = ("-m", "homeassistant", "--skip-pip", "--log-no-color", "--config")
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            str(self._config),
            cwd=self._config,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone; we end it in order
        )


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
