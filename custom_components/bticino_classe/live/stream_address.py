"""The stream address of a camera: where programs such as go2rtc get its picture by WHEP.

The address has its own secret. Anybody who has it may watch this panel, and nothing else.
"""

from hmac import compare_digest
import logging
import re
import secrets
from typing import TYPE_CHECKING, Final, override

from homeassistant.core import callback
from yarl import URL

from ..const import CONF_STREAM_SECRETS, DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.util.json import JsonObjectType

WHEP_PATH: Final = f"/api/{DOMAIN}/whep"
SIGNALING_PATH: Final = f"/api/{DOMAIN}/go2rtc"
AUTH_PARAMETER: Final = "auth"  # Home Assistant hides its value in the log of go2rtc
SECRET_BYTES: Final = 32

_SECRET: Final = re.compile(rf"([?&]{AUTH_PARAMETER}=)[^&\s\"]+")


@callback
def stream_secret(entry: ConfigEntry, module_id: str) -> str | None:
    """Return the secret of a camera; None: it has no stream address."""
    return _stored(entry).get(module_id)


@callback
def async_renew_stream_secret(hass: HomeAssistant, entry: ConfigEntry, module_id: str) -> str:
    """Store a new secret of a camera and return it; the one before is no longer valid."""
    secret = secrets.token_hex(SECRET_BYTES)
    _store(hass, entry, {**_stored(entry), module_id: secret})
    return secret


@callback
def async_remove_stream_secret(hass: HomeAssistant, entry: ConfigEntry, module_id: str) -> None:
    """Delete the secret of a camera, if it has one: its stream address is invalid."""
    stored = dict(_stored(entry))
    if stored.pop(module_id, None) is not None:
        _store(hass, entry, stored)


def _stored(entry: ConfigEntry) -> Mapping[str, str]:
    """Return the secrets by module."""
    found: Mapping[str, str] = entry.data.get(CONF_STREAM_SECRETS, {})
    return found


@callback
def _store(hass: HomeAssistant, entry: ConfigEntry, stored: Mapping[str, str]) -> None:
    data = {**entry.data, CONF_STREAM_SECRETS: dict(stored)}
    hass.config_entries.async_update_entry(entry, data=data)


def is_secret(given: str, secret: str | None) -> bool:
    """Whether a text is the secret of a camera."""
    expected = secret or ""
    is_equal = compare_digest(given.encode(errors="replace"), expected.encode())
    return is_equal and secret is not None


def signaling_url(base_url: str, entity_id: str, secret: str) -> str:
    """Return the address of a camera for go2rtc's signaling, by which it can also send sound."""
    return re.sub("^http", "ws", _url(base_url, SIGNALING_PATH, entity_id, secret))


def _url(base_url: str, path: str, entity_id: str, secret: str) -> str:
    url = URL(base_url).joinpath(path[1:], entity_id)
    return str(url.with_query({AUTH_PARAMETER: secret}))


def stream_settings(base_url: str, entity_id: str, secret: str) -> JsonObjectType:
    """Return the address of a camera, and settings of programs with it."""
    name = entity_id.partition(".")[2]
    address = _url(base_url, WHEP_PATH, entity_id, secret)
    source = f"webrtc:{address}"
    whep = re.sub("^http", "whep", address)
    return {
        "address": address,
        "go2rtc": f"streams:\n  {name}: {source}\n",
        "frigate": f"go2rtc:\n  streams:\n    {name}: {source}\n",
        "mediamtx": f"paths:\n  {name}:\n    source: {whep}\n    sourceOnDemand: yes\n",
    }


class StreamSecretFilter(logging.Filter):
    """Hides the secrets of stream addresses in the messages of a logger."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if WHEP_PATH in message or SIGNALING_PATH in message:
            record.msg, record.args = _SECRET.sub(r"\1**REDACTED**", message), ()
        return True


_FILTER: Final = StreamSecretFilter()


@callback
def async_hide_secrets() -> None:
    """Hide the secrets in the log of requests, which is off unless somebody turns it on."""
    logging.getLogger("aiohttp.access").addFilter(_FILTER)
