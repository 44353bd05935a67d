"""Requests and handshakes over a shared session: no cookies, no redirects."""

from typing import TYPE_CHECKING

import aiohttp
from aiohttp import CookieJar
import pytest
from yarl import URL

from custom_components.bticino_classe.client import Account, AuthHandler, PictureError
from custom_components.bticino_classe.client.http import connect_websocket
from custom_components.bticino_classe.client.models import Picture
from custom_components.bticino_classe.client.pictures import download_picture
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.lines import Cloud, Refusal, obey
from tests.client.running import running, until
from tests.simulator.paths import BLOB

if TYPE_CHECKING:
    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_redirected_handshake_is_refused(auth: AuthHandler, status: int, scheme: str) -> None:
    """The other host sees neither a handshake nor a token; the own one is tried again."""
    async with Cloud(obey) as elsewhere:
        location = f"{scheme}{elsewhere.url.removeprefix('ws')}"
        redirect = Refusal(status=status, headers={"Location": location})
        async with running(auth, redirect, obey) as (client, cloud):
            await until(lambda: client.socket.state is SocketState.ONLINE)
            assert str(client.socket.last_disconnect) == f"handshake refused ({status})"
            assert cloud.handshakes == 2
    assert elsewhere.handshakes == 0


@pytest.mark.parametrize("address", ["push", "signaling"])
async def test_cookies_do_not_travel(
    simulator: Simulator, endpoints: Endpoints, address: str
) -> None:
    """Neither those of the session with the requests, nor those of the answers into the session."""
    simulator.cookie = "of-this-account"
    jar = CookieJar(unsafe=True)  # an IP address may have cookies
    jar.update_cookies({"session": "of-another"}, URL(simulator.url))
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        auth = AuthHandler(
            simulator.email, simulator.password, session=session, endpoints=endpoints
        )
        await Account(auth).topology()
        with pytest.raises(PictureError):
            await download_picture(
                session, Picture(url=f"{simulator.url}{BLOB}1"), endpoints=endpoints
            )
        async with await connect_websocket(session, getattr(endpoints, address)):
            pass
        await auth.wait_idle()
    assert {(each.key, each.value) for each in jar} == {("session", "of-another")}
    assert len(simulator.journal) == 4
    assert simulator.violations == []
