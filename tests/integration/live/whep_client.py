"""A WHEP client without media: HTTP requests with offers, as go2rtc and others send them."""

from dataclasses import dataclass
from itertools import count
import re
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from custom_components.bticino_classe.const import DOMAIN
from tests.go2rtc import captured_offer
from tests.integration.live.browser_client import STREET, offer as browser_offer

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient
    from homeassistant.core import HomeAssistant

SDP: Final = {"Content-Type": "application/sdp"}
FRAGMENT: Final = {"Content-Type": "application/trickle-ice-sdpfrag"}
BASE_URL: Final = "http://home.example:8123"
_NUMBERS: Final = count(1)


def relay_offer(name: str = "whep") -> str:
    """Return a captured offer of go2rtc; each comes from another peer connection."""
    return re.sub(r"o=- [0-9]+", f"o=- {next(_NUMBERS)}", captured_offer(name))


def talk_offer() -> str:
    """Return an offer that sends sound."""
    return browser_offer("chromium_talk", version=next(_NUMBERS))


async def stream_settings(
    hass: HomeAssistant, camera: str = STREET, *, renew: bool = False
) -> dict[str, Any]:
    """Return the response of the action for the stream address of a camera."""
    await hass.config.async_update(internal_url=BASE_URL)
    action = "renew_stream_address" if renew else "stream_address"
    data = {"entity_id": camera}
    found: Any = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )
    return dict(found)


async def stream_path(hass: HomeAssistant, camera: str = STREET, *, renew: bool = False) -> str:
    """Return the path and secret of the stream address of a camera."""
    settings = await stream_settings(hass, camera, renew=renew)
    return URL(settings["address"]).path_qs


@dataclass(frozen=True, slots=True, kw_only=True)
class Whep:
    """A WHEP client of one camera; `path` has the secret, unless the client is signed in."""

    http: TestClient[Any, Any]
    path: str

    async def post(self, sdp: str | None = None, **headers: str) -> ClientResponse:
        """Send an offer."""
        data = relay_offer() if sdp is None else sdp
        return await self.http.post(self.path, data=data, headers=SDP | headers)

    async def watch(self, sdp: str | None = None) -> str:
        """Begin a view; returns the address of the session."""
        response = await self.post(sdp)
        assert response.status == 201, await response.text()
        return response.headers["Location"]

    async def patch(self, location: str, fragment: str, **headers: str) -> ClientResponse:
        """Send candidates of a session."""
        return await self.http.patch(location, data=fragment, headers=FRAGMENT | headers)


async def expect_problem(response: ClientResponse, status: int) -> dict[str, Any]:
    """Return the problem of a response that has to be an error."""
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    problem: dict[str, Any] = await response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith(".")
    return problem
