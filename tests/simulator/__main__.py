"""Run the simulated cloud in a process of its own."""

import argparse
import asyncio
from contextlib import suppress
import errno
from pathlib import Path
import signal
import sys

from tests.simulator.account import EMAIL, PASSWORD
from tests.simulator.houses import HOUSES
from tests.simulator.rtc_settings import CHOICES
from tests.simulator.server import Simulator

PORT = 8124
HIGHEST_PORT = 65_535
REASONS = {
    errno.EADDRINUSE: "the address is in use",
    errno.EACCES: "permission denied",
}


def main() -> int:
    """Run until Ctrl-C; return 1 if the address is not available."""
    arguments = _arguments()
    try:
        asyncio.run(_run(arguments))
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        why = REASONS.get(error.errno or 0, str(error))
        sys.stderr.write(f"The simulator cannot listen on {where}: {why}. Choose another port.\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the operator page has no login")
    parser.add_argument("--port", type=_port, default=PORT, help="0 picks a free port")
    parser.add_argument("--house", choices=HOUSES, default="classe_300x")
    parser.add_argument("--email", default=EMAIL)
    parser.add_argument("--password", default=PASSWORD)
    parser.add_argument(
        "--certificate",
        type=Path,
        help="PEM file with a key and a certificate: speak https and wss",
    )
    parser.add_argument(
        "--peer",
        choices=CHOICES["peer"],
        default="scripted",
        help="what answers calls: a fixed SDP, or a WebRTC peer with video and audio",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= HIGHEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"the port must be a number from 0 to {HIGHEST_PORT}")


async def _run(arguments: argparse.Namespace) -> None:
    simulator = Simulator(arguments.house, email=arguments.email, password=arguments.password)
    simulator.rtc.use_peer(arguments.peer)
    if arguments.certificate is not None:
        simulator.use_certificate(arguments.certificate)
    await simulator.start(arguments.host, arguments.port)
    sys.stdout.write(
        f"Cloud: {simulator.url} - account: {simulator.email} / {simulator.password}"
        f" - operator: {simulator.url}/operator/\n"
    )
    sys.stdout.flush()
    await _wait_for_signal()
    await simulator.stop()


async def _wait_for_signal() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with suppress(asyncio.CancelledError):
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
