"""The cloud's addresses and the identity of the vendor's app; they are defined only here."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

# The cloud accepts the password grant only from the vendor's Android app (protocol.md 3.1). Its
# client id and secret are in every copy of the app: they are not ours, and not secret.
CLIENT_ID: Final = "na_client_android_welcome"
CLIENT_SECRET: Final = "8ab584d62ca2a77e37ccc6b2c7e4f29e"  # noqa: S105
DEFAULT_SCOPE: Final = "security_scopes"
DEFAULT_APP_VERSION: Final = "4.1.1.3"
APP_TYPE: Final = "app_camera"
USER_AGENT: Final = "NetatmoApp(Security/v4.1.1.3/4401103) Android(13/Google/sdk_gphone64_arm64)"

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
