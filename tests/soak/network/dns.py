"""A name server that answers late, wrong or never."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address
import struct
from typing import TYPE_CHECKING, Final, override

if TYPE_CHECKING:
    import socket

NAME: Final = "cloud.test"  # a top-level domain that is never on the internet (RFC 6761)
A, AAAA = 1, 28
NAME_ERROR: Final = 3
TTL: Final = 5  # seconds
HEADER: Final = 12  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is answered when the cloud's name is asked for; `delay` is in seconds.

    `addresses` None: the name does not exist. `is_silent`: there is no answer.
    """

    addresses: tuple[str, ...] | None = ("10.77.0.1",)
    delay: float = 0.0
    is_silent: bool = False


class NameServer:
    """Answers on the sockets that it was given."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self._transports: list[asyncio.DatagramTransport] = []

    async def listen(self, bound: socket.socket) -> None:
        """Answer on a bound socket, too."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: _Endpoint(self), sock=bound)

    def close(self) -> None:
        """Stop."""
        for transport in self._transports:
            transport.close()

    def add(self, transport: asyncio.DatagramTransport) -> None:
        """Close a transport with the server."""
        self._transports.append(transport)

    def answer(self, query: bytes) -> bytes:
        """Return the answer to a query with one question."""
        name, kind, question = _question(query)
        addresses = self.answers.addresses if name == NAME else None
        fitting = [ip_address(each).packed for each in addresses or ()]
        fitting = [each for each in fitting if len(each) == {A: 4, AAAA: 16}.get(kind)]
        code = NAME_ERROR if addresses is None else 0
        flags = 0x8180 | code
        header = query[:2] + struct.pack("!HHHHH", flags, 1, len(fitting), 0, 0)
        records = [
            struct.pack("!HHHIH", 0xC000 | HEADER, kind, 1, TTL, len(each)) + each
            for each in fitting
        ]
        return header + question + b"".join(records)


class _Endpoint(asyncio.DatagramProtocol):
    """One socket of the server."""

    _transport: asyncio.DatagramTransport

    def __init__(self, server: NameServer) -> None:
        self._server = server

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport
        self._server.add(transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        answers = self._server.answers
        if not answers.is_silent:
            loop = asyncio.get_running_loop()
            loop.call_later(answers.delay, self._send, self._server.answer(data), addr)

    def _send(self, answer: bytes, address: tuple[object, ...]) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(answer, address)


def _question(query: bytes) -> tuple[str, int, bytes]:
    """Return the name and type that a query asks for, and the raw question."""
    at, labels = HEADER, []
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels).lower(), kind, query[HEADER : at + 5]
