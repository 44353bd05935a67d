"""A line between two namespaces that loses, delays, reorders and refuses packets."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
import os
from typing import TYPE_CHECKING, Final

from tests.soak.network import packets

if TYPE_CHECKING:
    import random

    from tests.soak.network.packets import Flow

ETHERNET_MTU: Final = 1500
# Their 16-bit words have the same sum, so that no checksum changes from one to the other.
CLOUD: Final = IPv4Address("10.77.0.1")
PORTAL: Final = IPv4Address("10.76.0.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a line does to packets; times are in seconds.

    `loss` is a share of the packets. `delay` is for each direction, and up to `jitter` is added to
    it for each packet, which reorders them. `rate` is in bytes per second, for each direction.
    Flows without a packet for `nat_timeout` are forgotten: their packets are dropped, and only a
    new connection passes. Without `reports_mtu`, packets above the MTU are dropped without an ICMP
    message. `captive`: a portal answers all TCP.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    drops_to_cloud: bool = False
    drops_to_home: bool = False
    drops_ipv6: bool = False
    nat_timeout: float | None = None
    rate: float | None = None
    mtu: int = ETHERNET_MTU
    reports_mtu: bool = True
    captive: bool = False


GOOD: Final = Conditions()


class Line:
    """Passes packets between the TUN devices of a home and of the cloud."""

    def __init__(self, home: int, cloud: int, draw: random.Random) -> None:
        self.conditions = GOOD
        self.counters: Counter[str] = Counter()
        self._ends = {"cloud": cloud, "home": home}
        self._draw = draw
        self._flows: dict[Flow, float] = {}
        self._free_at = dict.fromkeys(self._ends, 0.0)
        self._is_forgetful = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(home, self._read, home, "cloud")
        self._loop.add_reader(cloud, self._read, cloud, "home")

    def close(self) -> None:
        """Cut the line."""
        for end in self._ends.values():
            self._loop.remove_reader(end)
            os.close(end)
        self._ends.clear()

    def forget_flows(self) -> None:
        """Drop what belongs to the connections so far, as a router does after a restart."""
        self._flows.clear()
        self._is_forgetful = True

    def _read(self, end: int, toward: str) -> None:
        with suppress(BlockingIOError):
            while packet := os.read(end, 65_536):
                self._pass(packet, toward)

    def _pass(self, packet: bytes, toward: str) -> None:
        """Decide on a packet as it comes in; a packet on its way is not held back."""
        now = self.conditions
        self.counters[f"to {toward}"] += 1
        if self._is_lost(packet, toward) or self._is_unknown(packet, toward):
            self.counters[f"lost to {toward}"] += 1
            return
        if len(packet) > now.mtu and packets.may_not_be_cut(packet):
            self.counters[f"too big to {toward}"] += 1
            if now.reports_mtu:
                sender = "home" if toward == "cloud" else "cloud"
                self._send(packets.too_big(packet, now.mtu), sender)
            return
        if now.captive and not packets.is_ipv6(packet):
            packet = self._diverted(packet, toward)
        delay = now.delay + self._draw.random() * now.jitter + self._queueing(len(packet), toward)
        if delay:
            self._loop.call_later(delay, self._send, packet, toward)
        else:
            self._send(packet, toward)

    def _is_lost(self, packet: bytes, toward: str) -> bool:
        now = self.conditions
        if now.drops_to_cloud if toward == "cloud" else now.drops_to_home:
            return True
        if now.drops_ipv6 and packets.is_ipv6(packet):
            return True
        return self._draw.random() < now.loss

    def _is_unknown(self, packet: bytes, toward: str) -> bool:
        """Whether the router has forgotten the flow of a packet; it learns flows from the home."""
        flow = packets.flow_of(packet)
        if flow.protocol not in {packets.TCP, packets.UDP}:
            return False
        flow = flow if toward == "cloud" else flow.reverse
        now, timeout = self._loop.time(), self.conditions.nat_timeout
        last = self._flows.get(flow)
        is_known = last is not None and (timeout is None or now - last <= timeout)
        is_strict = timeout is not None or self._is_forgetful
        may_learn = toward == "cloud" and (not is_strict or packets.begins_flow(packet))
        if is_known or may_learn:
            self._flows[flow] = now
            return False
        return is_strict

    def _queueing(self, size: int, toward: str) -> float:
        """Return the seconds that a packet takes behind those before it."""
        rate = self.conditions.rate
        if rate is None:
            return 0.0
        now = self._loop.time()
        self._free_at[toward] = max(now, self._free_at[toward]) + size / rate
        return self._free_at[toward] - now

    def _diverted(self, packet: bytes, toward: str) -> bytes:
        """Lead TCP to the portal instead of the cloud, and its answers back."""
        if packets.flow_of(packet).protocol != packets.TCP:
            return packet
        old, new = (CLOUD, PORTAL) if toward == "cloud" else (PORTAL, CLOUD)
        return packets.with_address(packet, old, new)

    def _send(self, packet: bytes, toward: str) -> None:
        # A full queue of the device loses the packet, as a real line does.
        with suppress(OSError, KeyError):
            os.write(self._ends[toward], packet)
