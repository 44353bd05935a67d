"""A request that is given up: TCP must not go on delivering it, as a door would open late."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client import (
    Account,
    BticinoError,
    Deadline,
    ModuleKind,
)
from tests.client.signed_in import home_of, module_of
from tests.client.test_http import OBJECT, account_of, raw_answer
from tests.conftest import HANG_TIMEOUT
from tests.simulator.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

    type Request = Callable[[Account, Simulator], Awaitable[object]]

SOON = 0.2  # seconds


class Cloud:
    """Answers with some bytes, behind a relay that notes how the connection to it ended."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.port = 0
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
        writer.write(self._answer)
        await reader.read()
        writer.close()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection to the server; TLS would hide a reset from it."""
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(from_server, writer))
                tasks.create_task(self._copy_and_note(reader, to_server))
        finally:
            writer.close()
            to_server.close()

    async def _copy_and_note(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await _copy(reader, writer)
        except ConnectionResetError:
            self.end.set_result("reset")
            writer.close()
        else:
            self.end.set_result("closed")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


@asynccontextmanager
async def cloud_of(
    answer: bytes, certificate: Path | None
) -> AsyncIterator[tuple[Cloud, str, aiohttp.ClientSession]]:
    """Run a cloud, over TLS if it has a certificate; yields it, its address and a session."""
    cloud, server_tls, trusting = Cloud(answer), None, None
    if certificate is not None:
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_tls.load_cert_chain(certificate)
        trusting = ssl.create_default_context(cafile=str(certificate))
    server = await asyncio.start_server(cloud.serve, "127.0.0.1", 0, ssl=server_tls)
    relay = await asyncio.start_server(cloud.relay, "127.0.0.1", 0)
    cloud.port, port = (each.sockets[0].getsockname()[1] for each in (server, relay))
    connector = aiohttp.TCPConnector(ssl=trusting or True)
    async with server, relay, aiohttp.ClientSession(connector=connector) as session:
        yield cloud, f"{'https' if certificate else 'http'}://localhost:{port}", session


async def unlock(account: Account, simulator: Simulator, deadline: Deadline | None = None) -> None:
    """Open the first door."""
    home = home_of(simulator)
    await account.unlock(home, module_of(home, ModuleKind.DOOR), deadline=deadline)


async def unlock_soon(account: Account, simulator: Simulator) -> None:
    """Open the first door before a deadline."""
    await unlock(account, simulator, Deadline(asyncio.get_running_loop().time() + SOON))


async def unlock_and_leave(account: Account, simulator: Simulator) -> None:
    """Open the first door, and be cancelled."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SOON):
            await unlock(account, simulator)


async def renew(account: Account, simulator: Simulator) -> None:  # noqa: ARG001 - one signature
    """Exchange the refresh token: a late exchange would end what was signed in meanwhile."""
    account.auth.invalidate(await account.auth.get_access_token())
    await account.auth.get_access_token()


REQUESTS: dict[str, Request] = {
    "door past its deadline": unlock_soon,
    "door past the time-out": unlock,
    "cancelled": unlock_and_leave,
    "poll": lambda account, simulator: account.states(home_of(simulator).id),
    "token": renew,
}


@pytest.fixture(params=["plain", "tls"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return the certificate of a cloud on this machine; None: it has none."""
    if request.param == "plain":
        return None
    path = tmp_path / "cloud.pem"
    path.write_bytes(make_certificate("localhost"))
    return path


@pytest.mark.parametrize("half", [b"", raw_answer(OBJECT)[:-5]], ids=["silent", "half an answer"])
@pytest.mark.parametrize("request_kind", REQUESTS.values(), ids=REQUESTS)
async def test_given_up_request_is_reset(
    simulator: Simulator,
    endpoints: Endpoints,
    certificate: Path | None,
    request_kind: Request,
    half: bytes,
) -> None:
    """Closed normally, the system repeats what was sent for minutes, until the cloud gets it."""
    async with cloud_of(half, certificate) as (cloud, url, session):
        at = replace(endpoints, api=url, timeout=5 * SOON)
        with suppress(BticinoError):
            await request_kind(account_of(session, simulator, at), simulator)
        async with asyncio.timeout(HANG_TIMEOUT):
            assert await cloud.end == "reset"


async def test_answered_request_leaves_the_connection_alone(
    simulator: Simulator, endpoints: Endpoints, certificate: Path | None
) -> None:
    """It is used again, and closed normally at last."""
    async with cloud_of(raw_answer(OBJECT), certificate) as (cloud, url, session):
        await unlock_soon(account_of(session, simulator, replace(endpoints, api=url)), simulator)
        assert not cloud.end.done()
        await session.close()
        async with asyncio.timeout(HANG_TIMEOUT):
            assert await cloud.end == "closed"
