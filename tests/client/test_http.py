"""Requests through special sessions, and answers that are hardly HTTP."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
import gzip
import time
import tracemalloc
from typing import TYPE_CHECKING, NoReturn, override
import zlib

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
import pytest

from custom_components.bticino_classe.client import (
    Account,
    AuthHandler,
    InvalidCredentialsError,
    ModuleKind,
    NoAnswerError,
    OutcomeUnknownError,
    http,
)
from tests.client.signed_in import home_of, module_of
from tests.conftest import HANG_TIMEOUT
from tests.simulator.paths import SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

OBJECT = b'{"status": "ok"}'
BOMB = gzip.compress(b" " * (25 * http.MAX_ANSWER_BYTES), compresslevel=1)


class SilentResolver(AbstractResolver):
    """A resolver that never answers."""

    @override
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        await asyncio.Event().wait()
        return []

    @override
    async def close(self) -> None:
        """Nothing to close."""


def account_of(session: aiohttp.ClientSession, simulator: Simulator, at: Endpoints) -> Account:
    """Return an account with a valid token that uses this session."""
    auth = AuthHandler(simulator.email, simulator.password, session=session, endpoints=at)
    pair = simulator.account.log_in()
    auth.set_tokens(str(pair["access_token"]), str(pair["refresh_token"]), time.time() + 600)
    return Account(auth)


async def unlock(account: Account, simulator: Simulator) -> None:
    """Open the first door."""
    home = home_of(simulator)
    await account.unlock(home, module_of(home, ModuleKind.DOOR))


async def test_session_that_raises_for_a_status(simulator: Simulator, endpoints: Endpoints) -> None:
    """The body is read all the same: the refused token is renewed."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        account = account_of(session, simulator, endpoints)
        simulator.expire_access_tokens()
        await unlock(account, simulator)
        assert [entry.path for entry in simulator.journal] == [SETSTATE, TOKEN, SETSTATE]
        assert len(simulator.openings) == 1
        simulator.change_password("another")
        with pytest.raises(InvalidCredentialsError):
            await account.auth.authenticate()
    assert simulator.violations == []


async def test_host_that_is_not_resolved_in_time(
    simulator: Simulator, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command was not sent, so its outcome is known."""
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.05)
    connector = aiohttp.TCPConnector(resolver=SilentResolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        account = account_of(session, simulator, replace(endpoints, api="http://cloud.invalid"))
        with pytest.raises(NoAnswerError) as caught:
            await unlock(account, simulator)
    assert (caught.value.sent, caught.value.reason) == (False, "ConnectionTimeoutError")


async def test_session_whose_hooks_fail(simulator: Simulator, endpoints: Endpoints) -> None:
    """The door has opened by then, so the error must not say that nothing was sent."""

    async def fail(*_: object) -> NoReturn:
        raise RuntimeError("a hook of somebody else's")

    hooks = aiohttp.TraceConfig()
    hooks.on_request_end.append(fail)
    async with aiohttp.ClientSession(trace_configs=[hooks]) as session:
        with pytest.raises(OutcomeUnknownError):
            await unlock(account_of(session, simulator, endpoints), simulator)
    assert len(simulator.openings) == 1


@asynccontextmanager
async def raw_server(raw: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run a server that sends these bytes and closes; yields its address and the requests."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        requests.append(await reader.readexactly(size))
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


def raw_answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


UNREADABLE = {
    "nothing": b"",
    "no http": b"\x00\xff\xfe\r\n\r\n",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "no header": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "huge header": raw_answer(OBJECT, f"X: {'a' * 100_000}"),
    "many headers": raw_answer(OBJECT, *["A: b"] * 5000),
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "two lengths": raw_answer(OBJECT, "Transfer-Encoding: chunked"),
    "odd chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "no gzip": raw_answer(OBJECT, "Content-Encoding: gzip"),
    "no deflate": raw_answer(OBJECT, "Content-Encoding: deflate"),
    "half a gzip": raw_answer(gzip.compress(OBJECT)[:20], "Content-Encoding: gzip"),
    "brotli": raw_answer(OBJECT, "Content-Encoding: br"),
    "no zstd": raw_answer(OBJECT, "Content-Encoding: zstd"),
    "upgrade": b"HTTP/1.1 101 No\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "status 0": raw_answer(OBJECT, status="000 No"),
    "status 999": raw_answer(b"", status="999 No"),
    "odd redirect": raw_answer(OBJECT, "Location: http://[bad", status="302 Found"),
    "bomb": raw_answer(BOMB, "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
async def test_answer_that_cannot_be_read(
    simulator: Simulator, endpoints: Endpoints, raw: bytes
) -> None:
    """A command is sent once, and its outcome is unknown."""
    async with raw_server(raw) as (url, requests), aiohttp.ClientSession() as session:
        account = account_of(session, simulator, replace(endpoints, api=url))
        with pytest.raises(OutcomeUnknownError):
            await unlock(account, simulator)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", gzip.compress(OBJECT)), ("deflate", zlib.compress(OBJECT))]
)
async def test_compressed_answer(
    simulator: Simulator, endpoints: Endpoints, encoding: str, body: bytes
) -> None:
    """It is read like any other."""
    raw = raw_answer(body, f"Content-Encoding: {encoding}")
    async with raw_server(raw) as (url, requests), aiohttp.ClientSession() as session:
        await unlock(account_of(session, simulator, replace(endpoints, api=url)), simulator)
    assert len(requests) == 1


async def test_compressed_bomb_takes_no_memory(simulator: Simulator) -> None:  # noqa: ARG001 - opens sockets
    """Content that unpacks to 200 MB is refused at the limit."""
    async with (
        raw_server(raw_answer(BOMB, "Content-Encoding: gzip")) as (url, _),
        aiohttp.ClientSession() as session,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(NoAnswerError) as caught:
                await http.post(session, url, timeout=HANG_TIMEOUT, payload={})
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert caught.value.reason == "ClientPayloadError"
    assert peak < 4 * http.MAX_ANSWER_BYTES


@pytest.mark.parametrize("zone", ["GMT", "-0000", ""])
def test_date_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Independent of the local time zone."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        moment = http._parse_date(f"Wed, 21 Oct 2015 07:28:00 {zone}".rstrip())
        soon = time.gmtime(time.time() + 3600)
        date = time.strftime(f"%a, %d %b %Y %H:%M:%S {zone}", soon)
        wait = http.parse_retry_after(date.rstrip())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moment == 1_445_412_480
    assert wait == pytest.approx(3600, abs=HANG_TIMEOUT)
