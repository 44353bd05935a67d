"""The vendor's app as which the client introduces itself."""

from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
import pytest

from custom_components.bticino_classe.client import Account, AuthHandler, ModuleKind, http
from custom_components.bticino_classe.client.const import (
    APPS,
    DEFAULT_APP_VERSION,
    HTTP_CLIENT,
    USER_AGENT,
    App,
)
from tests.client.signed_in import home_of, module_of
from tests.client.test_auth_requests import server

if TYPE_CHECKING:
    from custom_components.bticino_classe.client import Endpoints
    from tests.simulator import Simulator

PACKAGE = Path(__file__).parents[2] / "custom_components" / "bticino_classe"


def test_newest_release_is_used() -> None:
    """The one before is kept beside it."""
    assert [app.version for app in APPS] == ["26.9.1.0", "4.1.1.3"]
    assert (APPS[0].version, APPS[0].user_agent) == (DEFAULT_APP_VERSION, USER_AGENT)
    assert [app.user_agent for app in APPS] == [
        "NetatmoApp(Security/v26.9.1.0/500000026) Android(16/Google/Pixel 7)",
        "NetatmoApp(Security/v4.1.1.3/4401103) Android(13/Google/sdk_gphone64_arm64)",
    ]


def test_releases_and_agents_are_in_one_place() -> None:
    """So that a new one needs one change."""
    named = re.compile("|".join(re.escape(app.version) for app in APPS) + r"|NetatmoApp|okhttp")
    found = {path.name for path in PACKAGE.rglob("*.py") if named.search(path.read_text())}
    assert found == {"const.py"}


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.version)
async def test_each_release_is_accepted(
    simulator: Simulator, endpoints: Endpoints, app: App
) -> None:
    """From the sign-in to the command; every request that names a version names this one."""
    async with aiohttp.ClientSession() as session:
        auth = AuthHandler(
            simulator.email,
            simulator.password,
            app_version=app.version,
            session=session,
            endpoints=endpoints,
        )
        account, home = Account(auth), home_of(simulator)
        await account.topology()
        await account.states(home.id)
        await account.unlock(home, module_of(home, ModuleKind.DOOR))
    sent: list[Any] = [request.body for request in simulator.journal]
    assert [body["app_version"] for body in sent] == [app.version] * 4
    assert len(simulator.openings) == 1
    assert simulator.violations == []


@pytest.mark.usefixtures("socket_enabled")
async def test_agent_of_a_socket() -> None:
    """That of the app's own sockets, without a token in the handshake."""
    seen: list[Any] = []

    async def accept(request: web.Request) -> web.WebSocketResponse:
        seen.append(request.headers)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        return socket

    async with server(accept) as address, aiohttp.ClientSession() as session:
        await (await http.connect_websocket(session, address)).close()
    (headers,) = seen
    assert headers["User-Agent"] == HTTP_CLIENT == "okhttp/5.3.2"
    assert "Authorization" not in headers
