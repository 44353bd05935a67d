"""The cloud's addresses and the identity of the vendor's app; they are defined only here."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

# The cloud accepts the password grant only from the vendor's Android app (protocol.md 3.1). Its
# client id and secret are in every copy of the app: they are not ours, and not secret.
CLIENT_ID: Final = "na_client_android_welcome"
CLIENT_SECRET: Final = "8ab584d62ca2a77e37ccc6b2c7e4f29e"  # noqa: S105
DEFAULT_SCOPE: Final = "security_scopes"
APP_TYPE: Final = "app_camera"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A release of the vendor's Android app, and the phone on which it was observed."""

    version: str
    build: int
    device: str

    @property
    def user_agent(self) -> str:
        """The agent of API requests."""
        return f"NetatmoApp(Security/v{self.version}/{self.build}) Android({self.device})"


# The first one is used for everything; the cloud was seen to accept both (protocol.md 3.1, 3.2). If
# it ever refuses the first, exchange them here. This is not automatic: nobody knows how the cloud
# refuses a version, and a second sign-in would send the password and mail the owner again.
APPS: Final = (
    App(version="26.9.1.0", build=500_000_026, device="16/Google/Pixel 7"),
    App(version="4.1.1.3", build=4_401_103, device="13/Google/sdk_gphone64_arm64"),
)
DEFAULT_APP_VERSION: Final = APPS[0].version
USER_AGENT: Final = APPS[0].user_agent
HTTP_CLIENT: Final = "okhttp/5.3.2"  # the agent of its sockets and of its downloads of pictures

REFRESH_MARGIN: Final = timedelta(seconds=60)
ASSUMED_LIFETIME: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The addresses of the cloud, and the time-out of a request in seconds."""

    api: str
    turn: str
    push: str
    signaling: str
    timeout: float = 20.0


PRODUCTION: Final = Endpoints(
    api="https://app.netatmo.net",
    turn="https://app-turn.netatmo.net",
    push="wss://app-ws.netatmo.net/ws/",
    signaling="wss://app-ws.netatmo.net/appws/",
)
