"""Rings in a separate process, so that its work is not measured."""

import argparse
from http.client import HTTPConnection
import json
import sys
from time import monotonic, sleep
from urllib.parse import urlsplit

HEADERS = {"Content-Type": "application/json"}


def main() -> int:
    """Ring, and print the seconds it took."""
    parser = argparse.ArgumentParser(prog="bench.support.ring_generator", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rings", type=int, required=True)
    parser.add_argument("--panels", type=int, default=1, help="ring at this many panels in turn")
    parser.add_argument("--interval", type=float, default=0.0, help="seconds from ring to ring")
    parser.add_argument("--ending", choices=("hang_up", "miss"), default="hang_up")
    arguments = parser.parse_args()
    address = urlsplit(arguments.url)
    assert address.hostname is not None
    print(_ring(HTTPConnection(address.hostname, address.port), arguments))
    return 0


def _ring(connection: HTTPConnection, arguments: argparse.Namespace) -> float:
    """Ring at each interval, and end each call half an interval later."""
    start = monotonic()
    for number in range(arguments.rings):
        due = start + number * arguments.interval
        _sleep_until(due)
        _post(connection, "ring", {"panel": f"Ingresso {number % arguments.panels + 1}"})
        _sleep_until(due + arguments.interval / 2)
        _post(connection, arguments.ending, {})
    return monotonic() - start


def _sleep_until(moment: float) -> None:
    sleep(max(0.0, moment - monotonic()))


def _post(connection: HTTPConnection, action: str, arguments: dict[str, object]) -> None:
    connection.request("POST", f"/operator/{action}?brief", json.dumps(arguments), HEADERS)
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content  # noqa: PLR2004 - OK


if __name__ == "__main__":
    sys.exit(main())
