"""The cameras that Home Assistant's go2rtc relays: whether it can, and where it gets them."""

from collections import defaultdict
from functools import partial
from ipaddress import ip_address
import secrets
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.camera.webrtc import DATA_WEBRTC_PROVIDERS
from homeassistant.core import callback
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.network import is_ip_address, is_loopback
from yarl import URL

from ..const import CONF_GO2RTC_CAMERAS
from ..errors import translated_error
from ..issues import GO2RTC_UNAVAILABLE, AccountIssues
from .stream_address import SECRET_BYTES, signaling_url

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

GO2RTC: Final = "go2rtc"
SCHEME: Final = "webrtc:"  # a client of its own signaling in go2rtc

_CONFIG: Final[HassKey[Any]] = HassKey(GO2RTC)  # of Home Assistant's integration: has the `url`
# Addresses that a server may be bound to, and where it is reached from the same machine.
_FROM_HERE: Final = {
    "0.0.0.0": "127.0.0.1",  # noqa: S104 - nothing is bound here
    "127.0.0.1": "127.0.0.1",
    "localhost": "127.0.0.1",
    "::": "::1",
    "::1": "::1",
}


class StreamSource(str):
    """A source that equals what go2rtc shows of it once it is connected: without `webrtc:`.

    Home Assistant adds the stream again if no source of it is equal, and go2rtc then calls once
    more.
    """

    __slots__ = ()

    @override
    def __eq__(self, other: object) -> bool:
        return str(self) == other or str(self).removeprefix(SCHEME) == other

    __hash__ = str.__hash__


class Go2rtcCameras:
    """The cameras of an account that the options leave to Home Assistant's go2rtc.

    Their secrets live as long as the account is loaded, and are never stored.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._issues = AccountIssues(hass, entry)
        self._secrets: defaultdict[str, str] = defaultdict(partial(secrets.token_hex, SECRET_BYTES))
        self._is_reloading = False
        self.chosen: frozenset[str] = frozenset(entry.options.get(CONF_GO2RTC_CAMERAS, ()))

    @callback
    def async_serves(self, module_id: str) -> bool:
        """Whether go2rtc serves a camera.

        An issue says why it does not serve a chosen one, until the account is reloaded.
        """
        if module_id not in self.chosen:
            return False
        if (obstacle := async_obstacle(self._hass)) is not None:
            reason = translated_error(self._hass, obstacle)
            self._issues.async_raise(GO2RTC_UNAVAILABLE, placeholders={"reason": reason})
        return obstacle is None

    @callback
    def async_check(self, module_id: str, *, is_relayed: bool) -> None:
        """Reload the account once if a camera has to become another one."""
        if self.async_serves(module_id) is not is_relayed and not self._is_reloading:
            self._is_reloading = True
            self._hass.config_entries.async_schedule_reload(self._entry.entry_id)

    def secret_of(self, module_id: str) -> str | None:
        """Return the secret of a camera for go2rtc; None: go2rtc is not to serve it."""
        return self._secrets[module_id] if module_id in self.chosen else None

    @callback
    def async_source(self, entity_id: str, module_id: str) -> str | None:
        """Return where go2rtc gets a camera; None: it cannot."""
        base_url, secret = _base_url(self._hass), self.secret_of(module_id)
        if base_url is None or secret is None:
            return None
        return StreamSource(f"{SCHEME}{signaling_url(base_url, entity_id, secret)}")


@callback
def async_obstacle(hass: HomeAssistant) -> str | None:
    """Return why go2rtc cannot serve cameras, as a translation key; None: it can."""
    providers = [each for each in hass.data.get(DATA_WEBRTC_PROVIDERS, ()) if each.domain == GO2RTC]
    if not providers:
        return "go2rtc_missing"
    if not any(provider.async_is_supported(SCHEME) for provider in providers):
        return "go2rtc_without_webrtc"
    if hass.http.ssl_certificate is not None:
        return "go2rtc_needs_http"
    return "go2rtc_needs_address" if _base_url(hass) is None else None


def _base_url(hass: HomeAssistant) -> str | None:
    """Return where go2rtc reaches Home Assistant: on the loopback if it runs on this machine."""
    if not _is_local(URL(hass.data[_CONFIG].url).host or ""):
        try:
            return get_url(hass, allow_cloud=False)
        except NoURLAvailableError:
            return None
    bound = hass.http.server_host or ["0.0.0.0"]  # noqa: S104 - Home Assistant's default
    known = [_FROM_HERE[host] for host in bound if host in _FROM_HERE]
    host = min(known, default=bound[0])  # IPv4 first
    return str(URL.build(scheme="http", host=host, port=hass.http.server_port))


def _is_local(host: str) -> bool:
    """Whether a host is this machine, by its loopback address."""
    return host == "localhost" or (is_ip_address(host) and is_loopback(ip_address(host)))
