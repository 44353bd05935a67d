"""IP packets: which flow they belong to, and how a router refuses them."""

from dataclasses import dataclass
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address

TCP, UDP, ICMP, ICMP6 = socket.IPPROTO_TCP, socket.IPPROTO_UDP, 1, 58
IPV6: Final = 6
SYN, ACK = 0x02, 0x10
DO_NOT_FRAGMENT: Final = 0x4000
QUOTED: Final = 512  # bytes of the refused packet, far below any MTU
IPV6_HEADER: Final = 40


@dataclass(frozen=True, slots=True)
class Flow:
    """Both ends of a conversation, seen from the sender."""

    protocol: int
    source: bytes
    source_port: int
    target: bytes
    target_port: int

    @property
    def reverse(self) -> Flow:
        """The same conversation, seen from the other end."""
        return Flow(self.protocol, self.target, self.target_port, self.source, self.source_port)


def is_ipv6(packet: bytes) -> bool:
    """Whether a packet is of version 6."""
    return packet[0] >> 4 == IPV6


def flow_of(packet: bytes) -> Flow:
    """Return the flow of a packet; what is neither TCP nor UDP has no ports."""
    protocol, start = _transport(packet)
    ports: tuple[int, ...] = (0, 0)
    if protocol in {TCP, UDP}:
        ports = struct.unpack_from("!HH", packet, start)
    first, length = (8, 16) if is_ipv6(packet) else (12, 4)
    source, target = packet[first : first + length], packet[first + length : first + 2 * length]
    return Flow(protocol, source, ports[0], target, ports[1])


def begins_flow(packet: bytes) -> bool:
    """Whether a router may learn a flow from this packet: not from the middle of a connection."""
    protocol, start = _transport(packet)
    return protocol != TCP or packet[start + 13] & (SYN | ACK) == SYN


def with_address(packet: bytes, old: IPv4Address, new: IPv4Address) -> bytes:
    """Replace an IPv4 address; both must have the same checksum, which then stays valid."""
    header = packet[:12] + packet[12:20].replace(old.packed, new.packed)
    return header + packet[20:]


def may_not_be_cut(packet: bytes) -> bool:
    """Whether a router must refuse the packet if it is too long."""
    return is_ipv6(packet) or bool(struct.unpack_from("!H", packet, 6)[0] & DO_NOT_FRAGMENT)


def too_big(packet: bytes, mtu: int) -> bytes:
    """Return a router's ICMP message to the sender of a packet that is too long."""
    quoted = packet[:QUOTED]
    if is_ipv6(packet):
        source, target = packet[8:24], packet[24:40]
        body = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
        pseudo = target + source + struct.pack("!II", len(body), ICMP6)
        body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
        return struct.pack("!IHBB", IPV6 << 28, len(body), ICMP6, 64) + target + source + body
    body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    fields = (0x45, 0, 20 + len(body), 0, 0, 64, ICMP, 0, packet[16:20], packet[12:16])
    header = struct.pack("!BBHHHBBH4s4s", *fields)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071); over data that includes one it is 0."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport(packet: bytes) -> tuple[int, int]:
    """Return the protocol and where its header starts; extension headers are not looked into."""
    return (packet[6], IPV6_HEADER) if is_ipv6(packet) else (packet[9], (packet[0] & 15) * 4)
