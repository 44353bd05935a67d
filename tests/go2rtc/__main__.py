"""Run the stand-in for go2rtc in a process of its own."""

import argparse
import asyncio
import signal
import sys

from tests.go2rtc.server import Go2rtc

PORT = 1984


async def _run(port: int) -> None:
    server = Go2rtc()
    await server.start(port=port)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    sys.stdout.write(f"go2rtc: {server.url}\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="0 picks a free port")
    asyncio.run(_run(parser.parse_args().port))
