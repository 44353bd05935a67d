"""A minimal HTTP client for the simulator's own tests: it sends exactly what a test says."""

from dataclasses import dataclass, field
import json
from typing import TYPE_CHECKING, Any

from tests.simulator.account import CLIENT_ID, CLIENT_SECRET, SCOPE
from tests.simulator.paths import HOMESTATUS, SETSTATE, TOKEN

if TYPE_CHECKING:
    import aiohttp

    from tests.simulator.house import Module
    from tests.simulator.server import Simulator

USER_AGENT = "NetatmoApp(Security/v4.1.1.3/4401103) Android(13/Google/sdk_gphone64_arm64)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.text)

    @property
    def code(self) -> Any:
        """The API's error code."""
        return self.json["error"]["code"]


@dataclass(slots=True)
class HttpClient:
    """A client with the app's headers and, once signed in, a token pair."""

    sim: Simulator
    session: aiohttp.ClientSession
    access: str = ""
    refresh: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"User-Agent": USER_AGENT})

    async def post(self, path: str, **options: Any) -> Answer:
        """Send one request; `json` and `data` are passed to aiohttp."""
        headers = self.headers | options.pop("headers", {})
        async with self.session.post(self.sim.url + path, headers=headers, **options) as response:
            return Answer(
                status=response.status, headers=response.headers, text=await response.text()
            )

    async def token(self, grant: str, **fields: str | None) -> Answer:
        """Send a token request; fields that are None are left out."""
        defaults = {"grant_type": grant, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        form = {key: value for key, value in (defaults | fields).items() if value is not None}
        answer = await self.post(TOKEN, data=form)
        if answer.status == 200 and answer.headers["Content-Type"].startswith("application/json"):
            self.access = answer.json["access_token"]
            self.refresh = answer.json["refresh_token"]
        return answer

    async def sign_in(self, **fields: str | None) -> Answer:
        """Use the password grant."""
        defaults: dict[str, str | None] = {
            "username": self.sim.email,
            "password": self.sim.password,
            "scope": SCOPE,
            "app_version": "4.1.1.3",
        }
        return await self.token("password", **(defaults | fields))

    async def renew(self, refresh: str | None = None) -> Answer:
        """Use the refresh token grant."""
        return await self.token("refresh_token", refresh_token=refresh or self.refresh)

    async def api(self, path: str, **fields: Any) -> Answer:
        """Send an API request with the app's fields; fields that are None are left out."""
        defaults = {"app_type": "app_camera", "app_version": "4.1.1.3"}
        body = {key: value for key, value in (defaults | fields).items() if value is not None}
        return await self.post(path, json=body, headers=self.bearer)

    @property
    def bearer(self) -> dict[str, str]:
        """The authorization header."""
        return {"Authorization": f"Bearer {self.access}"}

    async def status(self) -> Any:
        """Return the body of the first home's homestatus."""
        answer = await self.api(HOMESTATUS, home_id=self.sim.house.homes[0].id)
        return answer.json["body"]

    async def command(self, module: Module, **fields: Any) -> Answer:
        """Send a command to a module; its fields can be overridden."""
        home = self.sim.house.home_of(module.id)
        assert home is not None
        one = {"id": module.id, "bridge": module.bridge} | fields
        wire = {key: value for key, value in one.items() if value is not None}
        sent = {"id": home.id, "timezone": home.timezone, "modules": [wire]}
        return await self.api(SETSTATE, home=sent)

    async def operate(self, action: str, **arguments: Any) -> Answer:
        """Run an operator action."""
        return await self.post(f"/operator/{action}", json=arguments)
