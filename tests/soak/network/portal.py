"""A captive portal, which answers in the place of the cloud."""

import asyncio
from contextlib import suppress
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path
    import socket

PAGE: Final = (
    b"HTTP/1.1 302 Found\r\nLocation: http://login.portal.test/\r\nContent-Length: 0\r\n\r\n"
)
LONGEST_REQUEST: Final = 65_536  # bytes


class Portal:
    """Answers TLS with a certificate of its own, or with a redirect as if it were plain HTTP."""

    has_certificate = False

    def __init__(self, certificate: Path) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)

    async def listen(self, bound: socket.socket) -> None:
        """Answer on a bound socket."""
        self._server = await asyncio.start_server(self._answer, sock=bound)

    async def close(self) -> None:
        """Stop."""
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):  # the client refuses the certificate
            if self.has_certificate:
                await writer.start_tls(self._tls)
            await reader.read(LONGEST_REQUEST)
            writer.write(PAGE)
            await writer.drain()
        writer.close()
