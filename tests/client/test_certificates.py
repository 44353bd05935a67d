"""A certificate that fails: nothing is sent, and everything works again with the right one."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.bticino_classe.client import NoAnswerError
from custom_components.bticino_classe.client.websocket.push_channel import PushChannel
from tests.client.running import until
from tests.client.test_http import account_of, unlock
from tests.simulator.certificates import make_certificate
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from custom_components.bticino_classe.client import Account, Endpoints
    from tests.simulator import Simulator

BAD = {
    "expired": make_certificate("127.0.0.1", is_expired=True),
    "of another host": make_certificate("cloud.example.org"),
    "not trusted": make_certificate("127.0.0.1"),
}


@asynccontextmanager
async def trusting_session(*trusted: bytes) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that trusts these certificates and connects for each request."""
    tls = ssl.create_default_context(cadata=b"".join(trusted).decode())
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # a self-signed one has no authority to name
    connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@asynccontextmanager
async def online(account: Account) -> AsyncIterator[PushChannel]:
    """Run the push connection of an account."""
    channel = PushChannel(account.auth)
    task = asyncio.create_task(channel.socket.run())
    await channel.wait_online()
    yield channel
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("bad", BAD)
async def test_certificate_fails(
    simulator: Simulator, endpoints: Endpoints, tmp_path: Path, bad: str
) -> None:
    """A door command was not sent; the push connection is unreachable and comes back by itself."""
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    right.write_bytes(make_certificate("127.0.0.1"))
    wrong.write_bytes(BAD[bad])
    await simulator.stop()
    simulator.use_certificate(right)
    await simulator.start()
    at = replace(endpoints, api=simulator.url, push=simulator.push_url)
    trusted = (right.read_bytes(), BAD["expired"], BAD["of another host"])
    async with trusting_session(*trusted) as session:
        account = account_of(session, simulator, at)
        async with online(account) as channel:
            await unlock(account, simulator)
            simulator.use_certificate(wrong)
            simulator.drop_connections()
            await until(lambda: channel.offline and channel.offline.reason == "unreachable")
            with pytest.raises(NoAnswerError) as caught:
                await unlock(account, simulator)
            assert not caught.value.sent
            simulator.use_certificate(right)
            await channel.wait_online()
            await unlock(account, simulator)
    assert len(simulator.journal.of(SETSTATE)) == 2
