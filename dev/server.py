"""Home Assistant as a child process, restarted when it requests it."""

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from .errors import DevelopError
from .options import HERE
from .state import link_components

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping
    from pathlib import Path

RESTART_EXIT_CODE: Final = 100
STOP_TIMEOUT: Final = 30.0  # seconds


class Server:
    """Home Assistant with a configuration folder."""

    def __init__(
        self,
        config: Path,
        log: Path,
        environment: Mapping[str, str],
        prefix: tuple[str, ...] = (),
    ) -> None:
        """`prefix`: a command that runs Home Assistant's in its place."""
        self._config = config
        self._log = log
        self._prefix = prefix
        # Without PYTHONPATH, only the linked integration can be found.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._environment = {**inherited, **environment}

    async def keep_running(self) -> None:
        """Run until cancelled; raise DevelopError when Home Assistant exits.

        It is restarted after SIGKILL, so that a developer can simulate a power cut.
        """
        with self._log.open("w") as log:
            code = RESTART_EXIT_CODE
            while code in {RESTART_EXIT_CODE, -signal.SIGKILL}:
                link_components(self._config)
                process = await self._start(log.fileno())
                try:
                    code = await process.wait()
                finally:
                    await _stop(process)
        raise DevelopError(f"Home Assistant exited with code {code}; see {self._log}.")

    async def _start(self, log: int) -> Process:
        # -P: the folder of the script is not put on the path.
        script = ("-P", str(HERE / "home_assistant.py"))
        arguments = (*script, "--skip-pip", "--log-no-color", "--config")
        return await asyncio.create_subprocess_exec(
            *self._prefix,
            sys.executable,
            *arguments,
            str(self._config),
            cwd=self._config,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only the launcher, which then stops it
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
