"""TURN servers, requested ahead of time: Home Assistant reads them synchronously."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from webrtc_models import RTCIceServer

from ..client import ApiError, AuthError, BticinoError, GrowingPause, RateLimitError, ServerError
from ..const import LOGGER

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry

    from ..client import Account, IceServer

ASSUMED_LIFETIME_SECONDS: Final = 3600.0
MAX_LIFETIME_SECONDS: Final = 24 * 3600.0
RENEWAL_MARGIN_SECONDS: Final = 600.0  # before the credentials expire
RETRY_SECONDS: Final = 60.0  # after a failure; also the shortest interval


class IceServers:
    """The TURN servers of an account, renewed before their credentials expire."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, account: Account) -> None:
        self._hass = hass
        self._entry = entry
        self._account = account
        self._servers: tuple[IceServer, ...] = ()
        self._expires_at = 0.0
        self._pause = GrowingPause(clock=hass.loop.time)
        self._cancel_timer: CALLBACK_TYPE | None = None

    @property
    def servers(self) -> list[RTCIceServer]:
        """The servers whose credentials are valid."""
        if self._account.clock.now() >= self._expires_at:
            return []
        return [
            RTCIceServer(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in self._servers
        ]

    @callback
    def async_start(self) -> None:
        """Request the servers in the background, repeatedly, until the entry is unloaded."""
        self._entry.async_on_unload(self._stop_timer)
        self._renew()

    @callback
    def _renew(self, _now: datetime | None = None) -> None:
        self._cancel_timer = None
        self._entry.async_create_background_task(
            self._hass, self._async_renew(), "bticino_classe TURN servers"
        )

    async def _async_renew(self) -> None:
        wait = RETRY_SECONDS
        try:
            servers = await self._account.ice_servers()
        except BticinoError as err:
            # Viewers in the intercom's own network need no TURN server.
            LOGGER.debug("The TURN servers could not be requested: %s", err)
            if _is_verdict(err):
                self._pause.start()
                wait = self._pause.left
        else:
            self._pause.reset()
            now = self._account.clock.now()
            self._servers, self._expires_at = servers, _expiry_of(servers, now)
            wait = max(RETRY_SECONDS, self._expires_at - RENEWAL_MARGIN_SECONDS - now)
        job = HassJob(self._renew, cancel_on_shutdown=True)
        self._cancel_timer = async_call_later(self._hass, wait, job)

    @callback
    def _stop_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None


def _is_verdict(err: BticinoError) -> bool:
    """Return whether the cloud refuses this account; the next requests would end alike."""
    is_outage = isinstance(err, AuthError | RateLimitError | ServerError)
    return isinstance(err, ApiError) and not is_outage


def _expiry_of(servers: tuple[IceServer, ...], now: float) -> float:
    """Return when the first credentials expire: by convention their user names begin with it."""
    expiries = [
        float(expiry)
        for server in servers
        if (expiry := (server.username or "").partition(":")[0]).isdecimal()
    ]
    plausible = [expiry for expiry in expiries if now < expiry <= now + MAX_LIFETIME_SECONDS]
    return min(plausible, default=now + ASSUMED_LIFETIME_SECONDS)
