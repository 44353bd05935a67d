"""Downloads from a store on the internet: the address that was checked is the one that is asked."""

from contextlib import asynccontextmanager
import socket
import ssl
from typing import TYPE_CHECKING, Any, override

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from custom_components.bticino_classe.client import (
    PRODUCTION,
    Picture,
    PictureError,
    PictureFault,
    StillImage,
    download_picture,
)
from tests.simulator.certificates import make_certificate
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohappyeyeballs import AddrInfoType

HOST = "store.blob.example"
LINK = f"https://{HOST}/a%2Fb?sig=a%2Bb%2Fc%3D"
FIRST, SECOND, THIRD = "93.184.215.14", "2606:2800:21f::1", "20.60.1.2"

pytestmark = pytest.mark.usefixtures("socket_enabled")


class Internet:
    """Connects every address to one server on this machine, and records the addresses."""

    def __init__(self) -> None:
        self.port = 0
        self.opened: list[tuple[str, int]] = []
        self.unreachable: set[str] = set()

    def open(self, address_info: AddrInfoType) -> socket.socket:
        """Return a socket for an address; OSError if it is unreachable."""
        address, port = address_info[4][:2]
        self.opened.append((str(address), int(port)))
        if address in self.unreachable:
            raise OSError
        return _Redirected(self.port)


class _Redirected(socket.socket):
    def __init__(self, port: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.setblocking(False)
        self._port = port

    @override
    def connect(self, address: Any, /) -> None:
        super().connect(("127.0.0.1", self._port))


class Store:
    """A store with a certificate for its name."""

    def __init__(self, folder: Path, name: str = HOST) -> None:
        self.internet = Internet()
        self.requests: list[web.Request] = []
        self.response = web.Response(body=jpeg("1-snapshot"))
        self.certificate = folder / "store.pem"
        self.certificate.write_bytes(make_certificate(name))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Run the store, and yield a session that trusts its certificate."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_tls.load_cert_chain(self.certificate)
        trusting = ssl.create_default_context(cafile=str(self.certificate))
        connector = aiohttp.TCPConnector(socket_factory=self.internet.open, ssl=trusting)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server(ssl=server_tls)
        self.internet.port = server.port or 0
        try:
            async with aiohttp.ClientSession(connector=connector) as session:
                yield session
        finally:
            await server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return self.response


async def download(
    session: aiohttp.ClientSession, link: str = LINK, found: tuple[str, ...] = (FIRST,)
) -> StillImage:
    """Download a picture from a host that resolves once, and to a local address afterwards."""
    answers = iter([found, ("192.168.1.1",)])

    async def resolve(host: str) -> tuple[str, ...]:
        assert host.lower() == HOST
        return next(answers)

    return await download_picture(session, Picture(url=link), endpoints=PRODUCTION, resolve=resolve)


@pytest.mark.parametrize(
    "link", [LINK, LINK.replace(HOST, f"{HOST.upper()}."), LINK.replace(HOST, f"{HOST}:443")]
)
async def test_checked_address_is_asked(tmp_path: Path, link: str) -> None:
    """The host is resolved once; it is named in the request, and has to prove its name."""
    store = Store(tmp_path)
    async with store.session() as session:
        image = await download(session, link)
    assert image == StillImage(content=jpeg("1-snapshot"), content_type="image/jpeg")
    assert store.internet.opened == [(FIRST, 443)]
    (request,) = store.requests
    assert request.raw_path == "/a%2Fb?sig=a%2Bb%2Fc%3D"
    assert request.headers["Host"].lower() == HOST


async def test_host_that_cannot_prove_its_name(tmp_path: Path) -> None:
    """A certificate for another name, or for the address, is not enough: nothing is sent."""
    store = Store(tmp_path, "other.example")
    async with store.session() as session:
        with pytest.raises(PictureError) as caught:
            await download(session)
    assert caught.value.fault is PictureFault.UNREACHABLE
    assert store.requests == []


async def test_next_address(tmp_path: Path) -> None:
    """A host of which one address is unreachable."""
    store = Store(tmp_path)
    store.internet.unreachable = {FIRST, SECOND}
    async with store.session() as session:
        await download(session, found=(FIRST, SECOND, THIRD))
    assert store.internet.opened == [(FIRST, 443), (SECOND, 443), (THIRD, 443)]


@pytest.mark.parametrize(
    ("found", "attempts"), [((), 0), ((FIRST, SECOND), 2), ((FIRST, SECOND, THIRD) * 9, 4)]
)
async def test_no_address_that_answers(
    tmp_path: Path, found: tuple[str, ...], attempts: int
) -> None:
    """A host without an address, and one whose addresses are unreachable."""
    store = Store(tmp_path)
    store.internet.unreachable = {FIRST, SECOND, THIRD}
    async with store.session() as session:
        with pytest.raises(PictureError) as caught:
            await download(session, found=found)
    assert caught.value.fault is PictureFault.UNREACHABLE
    assert len(store.internet.opened) == attempts


@pytest.mark.parametrize("location", ["/2", "https://192.168.1.1/", "https://other.example/"])
async def test_redirect(tmp_path: Path, location: str) -> None:
    """It is not followed."""
    store = Store(tmp_path)
    store.response = web.Response(status=302, headers={"Location": location})
    async with store.session() as session:
        with pytest.raises(PictureError, match="status 302"):
            await download(session)
    assert len(store.requests) == len(store.internet.opened) == 1
