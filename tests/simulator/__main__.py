"""Runs the simulated cloud by itself."""

import argparse
import asyncio
from contextlib import suppress
import errno
import signal
import sys

from tests.simulator.account import EMAIL, PASSWORD
from tests.simulator.houses import HOUSES
from tests.simulator.rtc_settings import WORDS
from tests.simulator.server import Simulator

PORT = 8124
HIGHEST_PORT = 65_535
REASONS = {
    errno.EADDRINUSE: "it is in use",
    errno.EACCES: "that is not allowed",
}


def main() -> int:
    """Run until Ctrl-C; 1 if the address cannot be had."""
    arguments = _arguments()
    try:
        asyncio.run(_run(arguments))
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        why = REASONS.get(error.errno or 0, str(error))
        sys.stderr.write(f"The simulator cannot listen on {where}: {why}. Choose another.\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="its operator page asks for no login")
    parser.add_argument("--port", type=_port, default=PORT, help="0 takes a free one")
    parser.add_argument("--house", choices=HOUSES, default="classe_300x")
    parser.add_argument("--email", default=EMAIL)
    parser.add_argument("--password", default=PASSWORD)
    parser.add_argument(
        "--peer",
        choices=WORDS["peer"],
        default="scripted",
        help="who answers calls: a text, or an intercom with picture and sound",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= HIGHEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"a port is a number from 0 to {HIGHEST_PORT}")


async def _run(arguments: argparse.Namespace) -> None:
    simulator = Simulator(arguments.house, email=arguments.email, password=arguments.password)
    simulator.rtc.use_peer(arguments.peer)
    await simulator.start(arguments.host, arguments.port)
    sys.stdout.write(
        f"Cloud: {simulator.url} - account: {simulator.email} / {simulator.password}"
        f" - operator: {simulator.url}/operator/\n"
    )
    sys.stdout.flush()
    await _told_to_end()
    await simulator.stop()


async def _told_to_end() -> None:
    """Wait for Ctrl-C or a polite kill."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    with suppress(asyncio.CancelledError):
        await told.wait()


if __name__ == "__main__":
    sys.exit(main())
