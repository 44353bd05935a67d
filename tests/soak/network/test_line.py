"""The line between two namespaces, with sockets in place of the TUN devices."""

import asyncio
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
import os
import random
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.conftest import HANG_TIMEOUT
from tests.soak.network import packets
from tests.soak.network.line import CLOUD, GOOD, PORTAL, Conditions, Line
from tests.soak.network.namespace import unavailable
from tests.soak.network.truth import late_commands, log_faults, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = IPv4Address("10.77.0.2")
SYN, DATA = packets.SYN, packets.ACK

pytestmark = pytest.mark.usefixtures("socket_enabled")


def tcp(source: IPv4Address, target: IPv4Address, flags: int, size: int = 0) -> bytes:
    """Return a TCP packet between port 4000 of the home and port 80 of the cloud."""
    ports = (4000, 80) if source == HOME else (80, 4000)
    header = struct.pack("!HHIIBBHHH", *ports, 0, 0, 5 << 4, flags, 0, 0, 0)
    fields = (0x45, 0, 40 + size, 0, packets.DO_NOT_FRAGMENT, 64, packets.TCP, 0)
    ends = source.packed + target.packed
    return struct.pack("!BBHHHBBH", *fields) + ends + header + bytes(size)


class Ends:
    """A line, and what comes out of it at either end."""

    def __init__(self, line: Line, home: socket.socket, cloud: socket.socket) -> None:
        self.line = line
        self._ends = {"home": home, "cloud": cloud}

    async def send(self, packet: bytes, toward: str) -> bytes | None:
        """Send a packet; return what comes out, there or as an answer; None: nothing does."""
        sender = "home" if toward == "cloud" else "cloud"
        loop, before = asyncio.get_running_loop(), sum(self.line.counters.values())
        await loop.sock_sendall(self._ends[sender], packet)
        async with asyncio.timeout(HANG_TIMEOUT):
            while sum(self.line.counters.values()) == before:  # noqa: ASYNC110 - it counts only
                await asyncio.sleep(0)
        for end in (toward, sender):
            try:
                return self._ends[end].recv(65_536)
            except BlockingIOError:
                continue
        return None


@contextmanager
def ends() -> Iterator[Ends]:
    """Run a good line."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for pair in pairs:
        for each in pair:
            each.setblocking(False)
    to_home, to_cloud = (os.dup(inner.fileno()) for inner, _ in pairs)
    line = Line(to_home, to_cloud, random.Random(1))  # noqa: S311 - no secret
    try:
        yield Ends(line, pairs[0][1], pairs[1][1])
    finally:
        line.close()
        for pair in pairs:
            for each in pair:
                each.close()


@pytest.mark.parametrize(
    ("conditions", "to_cloud", "to_home"),
    [
        (GOOD, True, True),
        (Conditions(loss=1.0), False, False),
        (Conditions(drops_to_cloud=True), False, True),
        (Conditions(drops_to_home=True), True, False),
        (Conditions(drops_ipv6=True), True, True),
    ],
)
async def test_what_passes(conditions: Conditions, to_cloud: bool, to_home: bool) -> None:
    """Each direction by itself."""
    out, back = tcp(HOME, CLOUD, SYN), tcp(CLOUD, HOME, DATA)
    with ends() as both:
        both.line.conditions = conditions
        assert await both.send(out, "cloud") == (out if to_cloud else None)
        assert await both.send(back, "home") == (back if to_home else None)


async def test_forgotten_flow() -> None:
    """Its packets are dropped in both directions, until a new connection begins."""
    begin, out, back = tcp(HOME, CLOUD, SYN), tcp(HOME, CLOUD, DATA), tcp(CLOUD, HOME, DATA)
    with ends() as both:
        assert await both.send(begin, "cloud") == begin
        both.line.conditions = Conditions(nat_timeout=HANG_TIMEOUT)
        assert await both.send(back, "home") == back
        both.line.forget_flows()
        assert await both.send(back, "home") is None
        assert await both.send(out, "cloud") is None
        assert await both.send(begin, "cloud") == begin
        assert await both.send(back, "home") == back
        both.line.conditions = Conditions(nat_timeout=-1.0)
        assert await both.send(back, "home") is None


@pytest.mark.parametrize("is_reported", [True, False])
async def test_packet_that_is_too_long(is_reported: bool) -> None:
    """The sender gets an ICMP message with the MTU, or nothing."""
    with ends() as both:
        both.line.conditions = Conditions(mtu=1280, reports_mtu=is_reported)
        fitting, long = tcp(CLOUD, HOME, SYN, 1240), tcp(CLOUD, HOME, SYN, 1241)
        assert await both.send(fitting, "home") == fitting
        answer = await both.send(long, "home")
    if not is_reported:
        assert answer is None
        return
    assert answer is not None
    assert packets.flow_of(answer).target == CLOUD.packed
    assert answer[20:22] == bytes([3, 4])
    assert struct.unpack_from("!H", answer, 26) == (1280,)
    assert answer[28:] == long[: packets.QUOTED]
    assert packets.checksum(answer[:20]) == packets.checksum(answer[20:]) == 0


def test_ipv6_packet_that_is_too_long() -> None:
    """The checksum includes the addresses."""
    source, target = IPv6Address("fd77::2").packed, IPv6Address("fd77::1").packed
    long = struct.pack("!IHBB", 6 << 28, 1300, packets.TCP, 64) + source + target + bytes(1300)
    answer = packets.too_big(long, 1280)
    assert packets.flow_of(answer).target == source
    assert struct.unpack_from("!BB2xI", answer, 40) == (2, 0, 1280)
    pseudo = answer[8:40] + struct.pack("!II", len(answer) - 40, packets.ICMP6)
    assert packets.checksum(pseudo + answer[40:]) == 0


async def test_captive_portal() -> None:
    """It gets what is for the cloud, and answers in the cloud's name with the same checksums."""
    with ends() as both:
        both.line.conditions = Conditions(captive=True)
        assert await both.send(tcp(HOME, CLOUD, SYN), "cloud") == tcp(HOME, PORTAL, SYN)
        assert await both.send(tcp(PORTAL, HOME, DATA), "home") == tcp(CLOUD, HOME, DATA)
    assert packets.checksum(CLOUD.packed) == packets.checksum(PORTAL.packed)


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is what `scripts/soak` prints."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unavailable() == "needs root and /dev/net/tun"


@pytest.mark.parametrize(
    ("presses", "arrived", "faults"),
    [
        ([0.0, 30.0], [1.0, 31.0], 0),
        ([0.0], [], 0),
        ([0.0], [14.0], 0),
        ([0.0], [26.0], 1),
        ([0.0], [1.0, 2.0], 1),
        ([0.0, 74.0], [74.1, 74.2], 1),
        ([5.0], [4.0], 1),
    ],
)
def test_late_commands(presses: list[float], arrived: list[float], faults: int) -> None:
    """Each command needs a press of its own, shortly before it."""
    assert len(late_commands(presses, arrived)) == faults


@pytest.mark.parametrize("secret", ["of-the-account", "of-requests", "of-renewals"])
def test_secret_in_the_log(secret: str) -> None:
    """The password and both tokens of an entry are looked for."""
    tokens = {"access_token": "of-requests", "refresh_token": "of-renewals", "expires_at": 5.0}
    data = {"username": "owner@example.org", "password": "of-the-account", "token": tokens}
    assert log_faults(f"a line with {secret} in it", secrets_in(data)) != []
    assert log_faults("a line with owner@example.org in it", secrets_in(data)) == []
