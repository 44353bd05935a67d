"""Downloads from signed links: the picture, or an error that does not reveal the link."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
import gzip
import logging
import time
from typing import TYPE_CHECKING, NoReturn, override

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestServer
from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client import PRODUCTION, Endpoints, Picture, own_network
from custom_components.bticino_classe.client.const import HTTP_CLIENT
from custom_components.bticino_classe.client.errors import PictureError, PictureFault
from custom_components.bticino_classe.client.pictures import (
    MAX_PICTURE_BYTES,
    StillImage,
    _address,
    download_picture,
)
from tests.client.test_images import png as claimed_png
from tests.client.test_secrets import texts_of
from tests.conftest import HANG_TIMEOUT
from tests.simulator import Failure
from tests.simulator.paths import BLOB
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohappyeyeballs import AddrInfoType

    from tests.simulator import Simulator

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JPEG = jpeg("1-snapshot")
SIGNED = "?sv=2020-04-08&se=2026-11-24T20%3A00%3A00Z&sr=b&sig=a%2Bb%2Fc%3D"
REFUSED = "link must not be followed"


class RecordingResolver(AbstractResolver):
    """Resolves no host and records the requested ones."""

    def __init__(self) -> None:
        self.hosts: list[str] = []

    @override
    async def resolve(self, host: str, *_: object, **__: object) -> NoReturn:
        self.hosts.append(host)
        raise OSError

    @override
    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def session(caplog: pytest.LogCaptureFixture) -> AsyncIterator[aiohttp.ClientSession]:
    """A session, with every logger at debug."""
    caplog.set_level(logging.DEBUG)
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def link(simulator: Simulator) -> str:
    """A valid link."""
    return simulator.pictures.link(simulator.url, "1-snapshot", int(time.time()) + 300)


@asynccontextmanager
async def picture_store(
    handler: Handler, *, within: float = HANG_TIMEOUT
) -> AsyncIterator[tuple[str, Endpoints]]:
    """Run a store that answers as a test wants; yields endpoints with its host."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        base = str(server.make_url("")).rstrip("/")
        yield base, replace(PRODUCTION, api=base, timeout=within)


async def error_of(
    session: aiohttp.ClientSession,
    link: str,
    endpoints: Endpoints,
    addresses: tuple[str, ...] = ("93.184.215.14", "2606:2800:21f::1"),
) -> tuple[str | None, PictureFault]:
    """Return the error of a download, which must not contain the link."""

    async def resolve(_: str) -> tuple[str, ...]:
        return addresses

    with pytest.raises(PictureError) as caught:
        await download_picture(
            session,
            Picture(url=link),
            endpoints=endpoints,
            own_networks=[own_network("2a02:1234:5678:9a01::20", 64)],
            resolve=resolve,
        )
    text = "\n".join(texts_of(caught.value))
    assert "sig=" not in text
    assert "se=" not in text
    return caught.value.reason, caught.value.fault


async def test_picture_is_returned_unchanged(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, link: str
) -> None:
    """With one request that does not contain the token."""
    image = await download_picture(session, Picture(url=link), endpoints=endpoints)
    assert image == StillImage(content=jpeg("1-snapshot"), content_type="image/jpeg")
    assert simulator.journal.count(BLOB) == 1
    assert "xff" not in repr(image)


@pytest.mark.parametrize(
    ("failure", "reason", "fault"),
    [
        (Failure(status=404), "status 404", PictureFault.NOT_READY),
        (Failure(status=503, html=True), "status 503", PictureFault.NOT_READY),
        (Failure(status=403), "status 403", PictureFault.EXPIRED),
        (Failure(status=302), "status 302", PictureFault.UNUSABLE),
        (Failure(status=204), "status 204", PictureFault.UNUSABLE),
        (Failure(html=True), "no picture", PictureFault.NOT_READY),
        (Failure(body=""), "no picture", PictureFault.NOT_READY),
        (Failure(cut=True, executed=True), "ClientPayloadError", PictureFault.UNREACHABLE),
        (Failure(never=True), "TimeoutError", PictureFault.UNREACHABLE),
    ],
    ids=str,
)
async def test_no_picture(
    session: aiohttp.ClientSession,
    simulator: Simulator,
    endpoints: Endpoints,
    link: str,
    caplog: pytest.LogCaptureFixture,
    *,
    failure: Failure,
    reason: str,
    fault: PictureFault,
) -> None:
    """Each failure has its reason and sends one request; error and log do not contain the link."""
    simulator.fail(BLOB, failure)
    told_reason, told_fault = await error_of(session, link, endpoints)
    assert told_reason is not None
    assert told_reason.endswith(reason)
    assert told_fault is fault
    assert simulator.journal.count(BLOB) == 1
    assert "sig=" not in caplog.text


async def test_connection_that_drops(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, link: str
) -> None:
    """Aiohttp itself tries once more if the connection closes without an answer."""
    simulator.fail(BLOB, Failure(drop=True), times=2)
    assert await error_of(session, link, endpoints) == (
        "ServerDisconnectedError",
        PictureFault.UNREACHABLE,
    )


async def test_expired_link(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints
) -> None:
    """A second request would not help."""
    expired = simulator.pictures.link(simulator.url, "1-snapshot", int(time.time()) - 1)
    assert await error_of(session, expired, endpoints) == ("status 403", PictureFault.EXPIRED)


async def test_store_that_cannot_be_reached(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, link: str
) -> None:
    """Nothing listens there."""
    await simulator.stop()
    assert await error_of(session, link, endpoints) == (
        "ClientConnectorError",
        PictureFault.UNREACHABLE,
    )


async def test_session_that_was_closed(endpoints: Endpoints, link: str) -> None:
    """Home Assistant stops meanwhile."""
    session = aiohttp.ClientSession()
    await session.close()
    assert await error_of(session, link, endpoints) == ("RuntimeError", PictureFault.UNREACHABLE)


@pytest.mark.parametrize(
    ("start", "content_type"),
    [(JPEG, "image/jpeg"), (claimed_png(640, 480), "image/png")],
    ids=["JPEG", "PNG"],
)
@pytest.mark.usefixtures("socket_enabled")
async def test_type_is_read_from_the_content(
    session: aiohttp.ClientSession, start: bytes, content_type: str
) -> None:
    """The header is ignored; the largest allowed picture is accepted."""
    content = start.ljust(MAX_PICTURE_BYTES, b"\0")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="text/html")

    async with picture_store(answer) as (base, endpoints):
        image = await download_picture(session, Picture(url=base + "/1"), endpoints=endpoints)
    assert image == StillImage(content=content, content_type=content_type)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0<html>" + bytes(10_000),
        claimed_png(60_000, 60_000),
        gzip.compress(JPEG),
    ],
)
@pytest.mark.usefixtures("socket_enabled")
async def test_content_that_is_no_picture(session: aiohttp.ClientSession, content: bytes) -> None:
    """The header is ignored; nothing is unpacked."""

    async def answer(_: web.Request) -> web.Response:
        packed = {"Content-Encoding": "gzip"} if content.startswith(b"\x1f") else None
        return web.Response(body=content, content_type="image/jpeg", headers=packed)

    async with picture_store(answer) as (base, endpoints):
        assert await error_of(session, base + "/1" + SIGNED, endpoints) == (
            "no picture",
            PictureFault.NOT_READY,
        )


@pytest.mark.usefixtures("socket_enabled")
async def test_too_large_picture_is_not_read_completely(session: aiohttp.ClientSession) -> None:
    """A store that never stops sending gets little more than the limit read."""
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(JPEG)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(bytes(65536))
            sent += 65536
        return response

    async with picture_store(answer) as (base, endpoints):
        assert await error_of(session, base + "/1" + SIGNED, endpoints) == (
            "too large",
            PictureFault.UNUSABLE,
        )
    assert sent < 4 * MAX_PICTURE_BYTES


@pytest.mark.usefixtures("socket_enabled")
async def test_store_that_stops_sending(session: aiohttp.ClientSession) -> None:
    """The time-out applies to the whole picture."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(JPEG) + 1000
        await response.prepare(request)
        await response.write(JPEG)
        await request.content.wait_eof()
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"\0")
            await asyncio.sleep(0.05)
        return response

    async with picture_store(answer, within=0.3) as (base, endpoints):
        reason = await error_of(session, base + "/1" + SIGNED, endpoints)
    assert reason == ("TimeoutError", PictureFault.UNREACHABLE)


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(session: aiohttp.ClientSession, status: int) -> None:
    """Not even to a picture on the same host."""
    requests = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request.path)
        if request.path == "/2":
            return web.Response(body=JPEG)
        return web.Response(status=status, headers={"Location": "/2"})

    async with picture_store(answer) as (base, endpoints):
        assert await error_of(session, base + "/1" + SIGNED, endpoints) == (
            f"status {status}",
            PictureFault.UNUSABLE,
        )
    assert requests == ["/1"]


@pytest.mark.usefixtures("socket_enabled")
async def test_link_is_requested_unchanged(session: aiohttp.ClientSession) -> None:
    """It is not quoted again, and the request identifies nobody."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(body=JPEG)

    async with picture_store(answer) as (base, endpoints):
        await download_picture(session, Picture(url=f"{base}/a%2Fb{SIGNED}"), endpoints=endpoints)
    (request,) = seen
    assert request.raw_path == f"/a%2Fb{SIGNED}"
    assert request.headers["User-Agent"] == HTTP_CLIENT
    assert not {"Authorization", "Cookie", "Referer"} & set(request.headers)


@pytest.mark.parametrize(
    "link",
    [
        "http://blob.example/1.jpg",
        "https://192.168.1.1/1.jpg",
        "https://8.8.8.8/1.jpg",
        "https://[fe80::1]/1.jpg",
        "https://[fe80::1%25eth.ab]/1.jpg",
        "https://2130706433/",
        "https://127.0.0.0x1/",
        "https://127.1./",
        "https://localhost/",
        "https://homeassistant/",
        "https://homeassistant.local:8123/",
        "https://nas.LAN./",
        "https://me:pass@blob.example/",
        "https://blob.example@192.168.1.1/",
        "https://blob.example\\@192.168.1.1/",
        "https://blob.example/ HTTP/1.1\r\nHost: other",
        "https://blob.example/\N{LATIN SMALL LETTER E WITH ACUTE}",
        "https://[",
        "https://a.example:99999/",
        "https://blob.example:8443/1.jpg",
        "https://blob.example:80/1.jpg",
        "https://blob.example:0/1.jpg",
        "https://app.netatmo.net:8443/1.jpg",
        "http://app.netatmo.net/1.jpg",
        "https://router.home.arpa/1.jpg",
        "https:///1.jpg",
        "//blob.example/1.jpg",
        "/1.jpg",
        "file:///etc/passwd",
        "ftp://blob.example/1.jpg",
        "data:image/jpeg;base64,AAAA",
        "",
    ],
)
async def test_link_that_is_not_followed(link: str) -> None:
    """No http, no address in the local network, no invalid link."""
    resolver = RecordingResolver()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, force_close=True)
    ) as session:
        assert await error_of(session, link, PRODUCTION) == (REFUSED, PictureFault.UNUSABLE)
    assert resolver.hosts == []


@pytest.mark.parametrize(
    "address",
    ["192.168.1.20", "::1", "fe80::1%eth0", "64:ff9b::c0a8:101", "ff0e::1", "2a02:1234:5678::1"],
)
@pytest.mark.parametrize("link", ["https://a.example/", PRODUCTION.api])
async def test_public_name_with_a_local_address(link: str, address: str) -> None:
    """One local address among others is enough: no connection is opened."""
    opened: list[object] = []

    def refuse(address_info: AddrInfoType) -> NoReturn:
        opened.append(address_info)
        raise OSError

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=refuse)
    ) as session:
        found = await error_of(session, link + SIGNED, PRODUCTION, ("93.184.215.14", address))
    assert found == ("host in the local network", PictureFault.UNUSABLE)
    assert opened == []


async def test_name_that_does_not_exist() -> None:
    """It can exist later; the system's resolver is used."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(PictureError) as caught:
            await download_picture(
                session, Picture(url="https://no.invalid/1"), endpoints=PRODUCTION
            )
    assert caught.value.fault is PictureFault.UNREACHABLE


PARTS = st.sampled_from(
    ("https://", "http://", "a.example", "@", ":", "[", "]", "%", "/", "?", "#", "xn--", ".", "\\")
)


@given(st.lists(PARTS | st.text(max_size=3)).map("".join))
def test_any_text_as_a_link(link: str) -> None:
    """It leads to a public host or fails with one kind of error."""
    try:
        address = _address(link, PRODUCTION)
    except PictureError:
        return
    assert address.scheme == "https"
    assert address.port == 443
    assert "." in (address.raw_host or "")
