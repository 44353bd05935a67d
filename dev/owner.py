"""The owner account of the development server, using the API that a browser uses."""

import asyncio
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp

from .errors import DevelopError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

USER: Final = "dev"
DOMAIN: Final = "bticino_classe"
FLOW: Final = "api/config/config_entries/flow"
STREAM_ADDRESS: Final = f"api/services/{DOMAIN}/stream_address?return_response"
CAMERA_SUFFIX: Final = "-camera"  # of unique ids; the camera to call the indoor unit has another
START_TIMEOUT: Final = 300.0  # seconds, for a start on a slow machine
POLL_INTERVAL: Final = 0.1  # seconds


class Owner:
    """Creates the owner on the first start and signs in on later ones."""

    def __init__(
        self,
        url: str,
        password: str,
        language: str = "en",
        connector: aiohttp.BaseConnector | None = None,
    ) -> None:
        self.url = url
        self.password = password
        self._language = language
        self._session = aiohttp.ClientSession(connector=connector)
        self._tokens: dict[str, Any] = {}

    @classmethod
    def with_token(cls, url: str, token: str) -> Self:
        """An owner who is signed in with a long-lived access token, which is kept."""
        owner = cls(url, "")
        owner._tokens = {"access_token": token}
        return owner

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if "refresh_token" in self._tokens:
            form = {"token": self._tokens["refresh_token"]}
            with suppress(aiohttp.ClientError):
                await self._session.post(f"{self.url}auth/revoke", data=form)
        await self._session.close()

    async def sign_in(self) -> None:
        """Wait until Home Assistant responds, then get an access token."""
        async with asyncio.timeout(START_TIMEOUT):
            code = await (self._onboard() if await self._is_new() else self._log_in())
        form = {"grant_type": "authorization_code", "code": code, "client_id": self.url}
        async with self._session.post(f"{self.url}auth/token", data=form) as response:
            response.raise_for_status()
            self._tokens = await response.json()

    async def wait_until_running(self) -> None:
        """Wait until all components are set up."""
        async with asyncio.timeout(START_TIMEOUT):
            config = await self.call("get", "api/config")
            while config["state"] != "RUNNING":
                await asyncio.sleep(POLL_INTERVAL)
                config = await self.call("get", "api/config")
        if config["recovery_mode"]:
            raise DevelopError("Home Assistant started in recovery mode; see its log.")

    async def add_account(self, email: str, password: str) -> None:
        """Set up the account through the config flow, unless there is one already."""
        if await self.entries():
            return
        flow = await self.call("post", FLOW, {"handler": DOMAIN})
        credentials = {"username": email, "password": password}
        result = await self.call("post", f"{FLOW}/{flow['flow_id']}", credentials)
        if result.get("step_id") == "lights":
            result = await self.call("post", f"{FLOW}/{flow['flow_id']}", {})
        if result["type"] != "create_entry":
            reason = result.get("reason") or result.get("errors")
            raise DevelopError(f"the simulated account could not be set up: {reason}.")

    async def entries(self) -> list[dict[str, Any]]:
        """The config entries of the integration."""
        found: list[dict[str, Any]] = await self.call(
            "get", f"api/config/config_entries/entry?domain={DOMAIN}"
        )
        return found

    async def stream_address(self) -> str | None:
        """The stream address of the first camera; None while there is none."""
        # Those of another house are still registered, and their states are restored.
        states = await self.call("get", "api/states")
        present = {e["entity_id"] for e in states if not e["attributes"].get("restored")}
        registered = await self.send_command("config/entity_registry/list")
        cameras = [
            entity["entity_id"]
            for entity in registered
            if entity["platform"] == DOMAIN
            and entity["unique_id"].endswith(CAMERA_SUFFIX)
            and entity["entity_id"] in present
        ]
        if not cameras:
            return None
        result = await self.call("post", STREAM_ADDRESS, {"entity_id": min(cameras)})
        return str(result["service_response"]["address"])

    async def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Call the REST API; raise DevelopError with the response on an error status."""
        headers = {"Authorization": f"Bearer {self._tokens['access_token']}"}
        async with self._session.request(
            method, self.url + path, json=body, headers=headers
        ) as response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise DevelopError(f"{path} returned {response.status}: {await response.text()}")
            return await response.json()

    async def send_command(self, command: str, **fields: object) -> Any:
        """Send a command to the websocket API and return its result; DevelopError: it failed."""
        async with self.connected() as socket:
            await socket.send_json({"id": 1, "type": command, **fields})
            answer = await socket.receive_json()
        if not answer["success"]:
            raise DevelopError(f"{command} failed: {answer['error']}")
        return answer["result"]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Connect to the websocket API and sign in."""
        async with self._session.ws_connect(f"{self.url}api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._tokens["access_token"]})
            await socket.receive_json()
            yield socket

    async def _is_new(self) -> bool:
        while True:
            try:
                async with self._session.get(f"{self.url}api/onboarding") as response:
                    # Not available once onboarding is done and Home Assistant was restarted.
                    steps = await response.json() if response.status == HTTPStatus.OK else []
                return any(not step["done"] for step in steps)
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(POLL_INTERVAL)

    async def _onboard(self) -> str:
        owner = {
            "name": "Developer",
            "username": USER,
            "password": self.password,
            "language": self._language,
        }
        return str((await self._post("api/onboarding/users", owner))["auth_code"])

    async def _log_in(self) -> str:
        handler = {"handler": ["homeassistant", None], "redirect_uri": self.url}
        flow = await self._post("auth/login_flow", handler)
        user = {"username": USER, "password": self.password}
        result = await self._post(f"auth/login_flow/{flow['flow_id']}", user)
        if result["type"] != "create_entry":
            raise DevelopError(f"user '{USER}' could not sign in; try --fresh.")
        return str(result["result"])

    async def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        body = {**body, "client_id": self.url}
        async with self._session.post(self.url + path, json=body) as response:
            response.raise_for_status()
            content: dict[str, Any] = await response.json()
            return content
