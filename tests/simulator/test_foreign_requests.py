"""Requests that a page from elsewhere makes a browser send are refused."""

import aiohttp
import pytest

from tests.simulator.paths import HOMESDATA, PUSH, SIGNALING, TOKEN
from tests.simulator.server import Simulator

RING = "/operator/ring"


async def status(sim: Simulator, method: str, path: str, headers: dict[str, str]) -> int:
    """Return the status of a request to the simulator; `{own}` in a header is its address."""
    sent = {name: text.format(own=f"127.0.0.1:{sim.port}") for name, text in headers.items()}
    url = f"http://127.0.0.1:{sim.port}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=sent, json={} if method == "POST" else None) as answer,
    ):
        return answer.status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/operator/"),
        ("GET", "/operator/state"),
        ("GET", "/operator/journal"),
        ("GET", "/operator/calls.js"),
        ("POST", RING),
        ("POST", TOKEN),
        ("POST", HOMESDATA),
        ("GET", PUSH),
        ("GET", SIGNALING),
        ("GET", "/unknown"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8124"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:8124"},
        {"Host": "127.0.0.1:8124@evil.example"},
        {"Host": "evil.example#127.0.0.1"},
        {"Host": "192.168.1.2:8124"},
        {"Host": "[::2]:8124"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "https://{own}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Origin": "http://{own}.evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
    ids=str,
)
async def test_foreign_request(
    sim: Simulator, method: str, path: str, headers: dict[str, str]
) -> None:
    """On every path; it does nothing and is not recorded."""
    assert await status(sim, method, path, headers) == 403
    assert sim.calls == {}
    assert len(sim.journal) == 0
    assert sim.violations == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://{own}"},
        {"Host": "LocalHost:8124"},
        {"Host": "[::1]:8124"},
        {"Host": "localhost", "Origin": "http://localhost"},
    ],
    ids=str,
)
async def test_own_request(sim: Simulator, headers: dict[str, str]) -> None:
    """The operator page itself, by each name of this machine, and programs."""
    assert await status(sim, "GET", "/operator/state", headers) == 200
    assert await status(sim, "POST", RING, headers) == 200
    assert len(sim.calls) == 1


@pytest.mark.parametrize(
    ("host", "expected"), [("192.168.1.2:8124", 200), ("[fd00::2]", 200), ("evil.example", 403)]
)
@pytest.mark.usefixtures("socket_enabled")
async def test_all_addresses(host: str, expected: int) -> None:
    """Listening on all addresses, it accepts each of them, but no name."""
    simulator = Simulator()
    await simulator.start("0.0.0.0")  # noqa: S104 - what the test is about
    try:
        assert await status(simulator, "GET", "/operator/state", {"Host": host}) == expected
    finally:
        await simulator.stop()
