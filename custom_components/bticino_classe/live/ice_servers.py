"""The media relays, kept at hand: Home Assistant asks for them and cannot wait."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from webrtc_models import RTCIceServer

from ..client import BticinoError
from ..const import LOGGER

if TYPE_CHECKING:
    from datetime import datetime

    from ..client import Account, IceServer
    from ..coordinator import BticinoConfigEntry

ASSUMED_LIFETIME: Final = 3600.0  # seconds
RENEWED_BEFORE: Final = 600.0  # seconds before the credentials die
LOOK_AGAIN_AFTER: Final = 60.0  # seconds after a failure, and at the soonest


class IceServers:
    """Asks the cloud for relays before the credentials of the last ones die."""

    def __init__(self, hass: HomeAssistant, entry: BticinoConfigEntry, account: Account) -> None:
        self._hass = hass
        self._entry = entry
        self._account = account
        self._servers: tuple[IceServer, ...] = ()
        self._expires_at = 0.0
        self._cancel_timer: CALLBACK_TYPE | None = None

    @property
    def servers(self) -> list[RTCIceServer]:
        """The relays whose credentials are still good, in Home Assistant's form."""
        if self._account.transport.cloud_time() >= self._expires_at:
            return []
        return [
            RTCIceServer(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in self._servers
        ]

    @callback
    def async_start(self) -> None:
        """Ask for them in the background, again and again until the entry ends."""
        self._entry.async_on_unload(self._stop_timer)
        self._renew()

    @callback
    def _renew(self, _now: datetime | None = None) -> None:
        self._cancel_timer = None
        self._entry.async_create_background_task(
            self._hass, self._async_renew(), "bticino_classe relays"
        )

    async def _async_renew(self) -> None:
        wait = LOOK_AGAIN_AFTER
        try:
            servers = await self._account.ice_servers()
        except BticinoError as err:
            # Pictures come without relays too where both sides are in one network.
            LOGGER.debug("The media relays could not be asked for: %s", err)
        else:
            now = self._account.transport.cloud_time()
            self._servers, self._expires_at = servers, _end_of(servers, now)
            wait = max(LOOK_AGAIN_AFTER, self._expires_at - RENEWED_BEFORE - now)
        job = HassJob(self._renew, cancel_on_shutdown=True)
        self._cancel_timer = async_call_later(self._hass, wait, job)

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None


def _end_of(servers: tuple[IceServer, ...], now: float) -> float:
    """Return when the first credentials die, which their user names begin with, by convention."""
    ends = [
        float(end) for s in servers if (end := (s.username or "").partition(":")[0]).isdecimal()
    ]
    # A time that makes no sense says nothing.
    return min(
        [end for end in ends if now < end <= now + 24 * 3600], default=now + ASSUMED_LIFETIME
    )
