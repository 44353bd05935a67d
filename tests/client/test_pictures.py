"""What comes of a signed link: the picture, or an error that says nothing of the link."""

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

from custom_components.bticino_classe.client import PRODUCTION, Endpoints, Picture
from custom_components.bticino_classe.client.const import USER_AGENT
from custom_components.bticino_classe.client.errors import PictureError, PictureFault
from custom_components.bticino_classe.client.pictures import (
    MAX_PICTURE_BYTES,
    StillImage,
    _address,
    download_picture,
    resolve_host,
)
from tests.client.test_secrets import told
from tests.simulator import Failure
from tests.simulator.paths import BLOB
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.simulator import Simulator

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JPEG, PNG, WEBP = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x04\x00\x00\x00WEBPVP8 "
SIGNED = "?sv=2020-04-08&se=2026-11-24T20%3A00%3A00Z&sr=b&sig=a%2Bb%2Fc%3D"
REFUSED = "link must not be followed"


class Nowhere(AbstractResolver):
    """Knows no host, and writes down which were looked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @override
    async def resolve(self, host: str, *_: object, **__: object) -> NoReturn:
        self.asked.append(host)
        raise OSError

    @override
    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def session(caplog: pytest.LogCaptureFixture) -> AsyncIterator[aiohttp.ClientSession]:
    """A session of somebody else, with every logger at debug."""
    caplog.set_level(logging.DEBUG)
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def link(simulator: Simulator) -> str:
    """A link that lives."""
    return simulator.pictures.link(simulator.url, "1-snapshot", int(time.time()) + 300)


@asynccontextmanager
async def a_store(handler: Handler) -> AsyncIterator[tuple[str, Endpoints]]:
    """A store that answers as a test wants, and endpoints whose own host it is."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        base = str(server.make_url("")).rstrip("/")
        yield base, replace(PRODUCTION, api=base, timeout=0.3)


async def trouble(
    session: aiohttp.ClientSession,
    link: str,
    endpoints: Endpoints,
    addresses: tuple[str, ...] = ("93.184.215.14", "2606:2800:21f::1"),
) -> tuple[str | None, PictureFault]:
    """Return what goes wrong, after a look at what the error tells of the link."""

    async def resolve(_: str) -> tuple[str, ...]:
        return addresses

    with pytest.raises(PictureError) as caught:
        await download_picture(session, Picture(url=link), endpoints=endpoints, resolve=resolve)
    said = "\n".join(told(caught.value))
    assert "sig=" not in said
    assert "se=" not in said
    return caught.value.reason, caught.value.fault


async def test_picture_comes_as_it_is(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, link: str
) -> None:
    """With one request, which tells nobody the token."""
    image = await download_picture(session, Picture(url=link), endpoints=endpoints)
    assert image == StillImage(content=jpeg("1-snapshot"), content_type="image/jpeg")
    assert simulator.journal.count(BLOB) == 1
    assert "xff" not in repr(image)


@pytest.mark.parametrize(
    ("failure", "reason", "fault"),
    [
        (Failure(status=404), "status 404", PictureFault.EARLY),
        (Failure(status=503, html=True), "status 503", PictureFault.EARLY),
        (Failure(status=403), "status 403", PictureFault.DEAD),
        (Failure(status=302), "status 302", PictureFault.UNFIT),
        (Failure(status=204), "status 204", PictureFault.UNFIT),
        (Failure(html=True), "no picture", PictureFault.EARLY),
        (Failure(body=""), "no picture", PictureFault.EARLY),
        (Failure(cut=True, executed=True), "ClientPayloadError", PictureFault.UNREACHED),
        (Failure(never=True), "TimeoutError", PictureFault.UNREACHED),
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
    """Each failure has its reason, asks once, and neither error nor log tells the link."""
    simulator.fail(BLOB, failure)
    patient = replace(endpoints, timeout=0.3)
    told_reason, told_fault = await trouble(session, link, patient)
    assert told_reason is not None
    assert told_reason.endswith(reason)
    assert told_fault is fault
    assert simulator.journal.count(BLOB) == 1
    assert "sig=" not in caplog.text


async def test_line_that_drops(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, link: str
) -> None:
    """The library itself asks once more where the line went without a word."""
    simulator.fail(BLOB, Failure(drop=True), times=2)
    assert await trouble(session, link, endpoints) == (
        "ServerDisconnectedError",
        PictureFault.UNREACHED,
    )


async def test_dead_link(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints
) -> None:
    """A second try would bring nothing."""
    dead = simulator.pictures.link(simulator.url, "1-snapshot", int(time.time()) - 1)
    assert await trouble(session, dead, endpoints) == ("status 403", PictureFault.DEAD)


async def test_store_that_is_not_there(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, link: str
) -> None:
    """Nobody listens."""
    await simulator.stop()
    assert await trouble(session, link, endpoints) == (
        "ClientConnectorError",
        PictureFault.UNREACHED,
    )


async def test_session_that_was_closed(endpoints: Endpoints, link: str) -> None:
    """Home Assistant stops meanwhile."""
    session = aiohttp.ClientSession()
    await session.close()
    assert await trouble(session, link, endpoints) == ("RuntimeError", PictureFault.UNREACHED)


@pytest.mark.parametrize(
    ("start", "content_type"),
    [(JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp")],
)
@pytest.mark.usefixtures("socket_enabled")
async def test_type_is_told_by_the_content(
    session: aiohttp.ClientSession, start: bytes, content_type: str
) -> None:
    """Whatever the header says; and no byte less than the limit is too much."""
    content = start.ljust(MAX_PICTURE_BYTES, b"\0")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="text/html")

    async with a_store(answer) as (base, endpoints):
        patient = replace(endpoints, timeout=10)
        image = await download_picture(session, Picture(url=base + "/1"), endpoints=patient)
    assert image == StillImage(content=content, content_type=content_type)


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF\x04\x00\x00\x00WAVEfmt ",
        b"RIFF",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8",
        gzip.compress(JPEG),
    ],
)
@pytest.mark.usefixtures("socket_enabled")
async def test_what_is_no_picture(session: aiohttp.ClientSession, content: bytes) -> None:
    """Whatever the header says; nothing is unpacked."""

    async def answer(_: web.Request) -> web.Response:
        packed = {"Content-Encoding": "gzip"} if content.startswith(b"\x1f") else None
        return web.Response(body=content, content_type="image/jpeg", headers=packed)

    async with a_store(answer) as (base, endpoints):
        assert await trouble(session, base + "/1" + SIGNED, endpoints) == (
            "no picture",
            PictureFault.EARLY,
        )


@pytest.mark.usefixtures("socket_enabled")
async def test_too_large_is_not_read_to_its_end(session: aiohttp.ClientSession) -> None:
    """A store that never stops sending, in pieces, gets rid of the limit and little more."""
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

    async with a_store(answer) as (base, endpoints):
        patient = replace(endpoints, timeout=10)
        assert await trouble(session, base + "/1" + SIGNED, patient) == (
            "too large",
            PictureFault.UNFIT,
        )
    assert sent < 4 * MAX_PICTURE_BYTES


@pytest.mark.usefixtures("socket_enabled")
async def test_store_that_begins_and_does_not_end(session: aiohttp.ClientSession) -> None:
    """The time-out counts the whole picture."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(JPEG)
        await request.content.wait_eof()
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"\0")
            await asyncio.sleep(0.05)
        return response

    async with a_store(answer) as (base, endpoints):
        reason = await trouble(session, base + "/1" + SIGNED, endpoints)
    assert reason == ("TimeoutError", PictureFault.UNREACHED)


@pytest.mark.usefixtures("socket_enabled")
async def test_redirect_leads_nowhere(session: aiohttp.ClientSession) -> None:
    """Not even to a picture at the same place."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/2":
            return web.Response(body=JPEG)
        return web.Response(status=302, headers={"Location": "/2"})

    async with a_store(answer) as (base, endpoints):
        assert await trouble(session, base + "/1" + SIGNED, endpoints) == (
            "status 302",
            PictureFault.UNFIT,
        )
    assert asked == ["/1"]


@pytest.mark.usefixtures("socket_enabled")
async def test_link_goes_out_as_it_was_signed(session: aiohttp.ClientSession) -> None:
    """Nothing of it is quoted anew, and nobody says who asks."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(body=JPEG)

    async with a_store(answer) as (base, endpoints):
        await download_picture(session, Picture(url=f"{base}/a%2Fb{SIGNED}"), endpoints=endpoints)
    (request,) = seen
    assert request.raw_path == f"/a%2Fb{SIGNED}"
    assert request.headers["User-Agent"] == USER_AGENT
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
        "https:///1.jpg",
        "//blob.example/1.jpg",
        "/1.jpg",
        "file:///etc/passwd",
        "ftp://blob.example/1.jpg",
        "data:image/jpeg;base64,AAAA",
        "",
    ],
)
async def test_link_that_nobody_follows(link: str) -> None:
    """No plain connection, no address of the house, nothing that is no link."""
    nowhere = Nowhere()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=nowhere, force_close=True)
    ) as session:
        assert await trouble(session, link, PRODUCTION) == (REFUSED, PictureFault.UNFIT)
    assert nowhere.asked == []


@pytest.mark.parametrize(
    ("link", "host"),
    [
        ("https://store.blob.example/1.jpg", "store.blob.example"),
        ("https://Store.Blob.Example.:8443/1.jpg", "store.blob.example"),
        ("https://blob.xn--p1ai/1.jpg", "blob.xn--p1ai"),
    ],
)
async def test_link_that_is_followed(link: str, host: str) -> None:
    """Any store on the internet: nobody knows how the vendor's is called."""
    nowhere = Nowhere()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=nowhere, force_close=True)
    ) as session:
        assert await trouble(session, link + SIGNED, PRODUCTION) == (
            "ClientConnectorDNSError",
            PictureFault.UNREACHED,
        )
    assert [asked.rstrip(".").lower() for asked in nowhere.asked] == [host]


@pytest.mark.parametrize(
    "address",
    ["192.168.1.20", "127.0.0.1", "10.0.0.1", "169.254.1.1", "::1", "fe80::1%eth0", "fd00::5"],
)
async def test_public_name_that_leads_into_the_house(address: str) -> None:
    """One address of the house among others is enough: nobody is asked."""
    nowhere = Nowhere()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=nowhere, force_close=True)
    ) as session:
        found = await trouble(
            session, "https://a.example/" + SIGNED, PRODUCTION, ("93.184.215.14", address)
        )
    assert found == ("host in the local network", PictureFault.UNFIT)
    assert nowhere.asked == []


async def test_name_that_does_not_exist() -> None:
    """It may tomorrow; the system's own answer is asked for."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(PictureError) as caught:
            await download_picture(
                session, Picture(url="https://no.invalid/1"), endpoints=PRODUCTION
            )
    assert caught.value.fault is PictureFault.UNREACHED


@pytest.mark.usefixtures("socket_enabled")
async def test_addresses_of_a_host() -> None:
    """As the system finds them."""
    assert set(await resolve_host("localhost")) & {"127.0.0.1", "::1"}


PARTS = st.sampled_from(
    ("https://", "http://", "a.example", "@", ":", "[", "]", "%", "/", "?", "#", "xn--", ".", "\\")
)


@given(st.lists(PARTS | st.text(max_size=3)).map("".join))
def test_any_text_is_a_link_or_none(link: str) -> None:
    """It goes to a public name or nowhere, and fails in one way."""
    try:
        address = _address(link, PRODUCTION)
    except PictureError:
        return
    assert address.scheme == "https"
    assert "." in (address.raw_host or "")
