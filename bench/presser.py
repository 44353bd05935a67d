"""Presses the bell, in a process of its own, so that its work is not counted as ours."""

import argparse
from http.client import HTTPConnection
import json
import sys
from time import monotonic, sleep
from urllib.parse import urlsplit

HEADERS = {"Content-Type": "application/json"}


def main() -> int:
    """Press so often, and print the seconds that it took."""
    parser = argparse.ArgumentParser(prog="bench.presser", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rings", type=int, required=True)
    parser.add_argument("--panels", type=int, default=1, help="pressed one after the other")
    parser.add_argument("--every", type=float, default=0.0, help="seconds from ring to ring")
    parser.add_argument("--ending", choices=("hang_up", "miss"), default="hang_up")
    arguments = parser.parse_args()
    place = urlsplit(arguments.url)
    assert place.hostname is not None
    print(_press(HTTPConnection(place.hostname, place.port), arguments))
    return 0


def _press(line: HTTPConnection, arguments: argparse.Namespace) -> float:
    """Let each call end half-way to the next ring."""
    began = monotonic()
    for number in range(arguments.rings):
        due = began + number * arguments.every
        _sleep_until(due)
        _act(line, "ring", {"panel": f"Ingresso {number % arguments.panels + 1}"})
        _sleep_until(due + arguments.every / 2)
        _act(line, arguments.ending, {})
    return monotonic() - began


def _sleep_until(moment: float) -> None:
    sleep(max(0.0, moment - monotonic()))


def _act(line: HTTPConnection, action: str, arguments: dict[str, object]) -> None:
    line.request("POST", f"/operator/{action}?brief", json.dumps(arguments), HEADERS)
    answer = line.getresponse()
    said = answer.read()
    assert answer.status == 200, said  # noqa: PLR2004 - OK


if __name__ == "__main__":
    sys.exit(main())
