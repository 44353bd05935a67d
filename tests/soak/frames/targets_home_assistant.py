"""Targets of the Home Assistant half: stored homes, names, frames of go2rtc."""

from contextlib import contextmanager
import re
import tempfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, translation
from webrtc_models import RTCIceServer

from custom_components.bticino_classe import stored_house
from custom_components.bticino_classe.client import (
    decode,
    sectionless_candidate,
    values,
    without_sent_audio,
)
from custom_components.bticino_classe.house import House, modules_of
from custom_components.bticino_classe.live import signaling, whep
from custom_components.bticino_classe.live.ice_servers import _expiry_of
from custom_components.bticino_classe.markdown import escape_markdown
from custom_components.bticino_classe.naming import DeviceNames

from . import seeds
from .checks import aside, check, check_error
from .fakes import encoded
from .seeds import CANDIDATE, NOW, OFFERS
from .target import Target, pure
from .virtual_loop import virtual_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.config_entries import ConfigEntry

    from .target import Run

_ESCAPED = re.compile(r"(?:\\[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~])*")


def _stored(case: Any) -> None:
    try:
        found = stored_house._decode(case)
    except stored_house._UNUSABLE as err:
        check_error(err)
        return
    with aside():
        again = stored_house._decode(stored_house._encode(found))
        check(again == found, "stored homes change when they are stored again")


@contextmanager
def _names() -> Iterator[Run]:
    """Provide names for the devices of an answer's homes, in a Home Assistant without devices."""
    with virtual_loop() as loop, tempfile.TemporaryDirectory() as folder:

        async def start() -> HomeAssistant:
            hass = HomeAssistant(folder)
            translation.async_setup(hass)
            dr.async_setup(hass)
            await dr.async_load(hass, load_empty=True)
            return hass

        hass = loop.run_until_complete(start())
        entry = cast("ConfigEntry", SimpleNamespace(entry_id="entry"))

        def run(case: Any) -> None:
            with aside():
                topology = decode.topology(values.as_mapping(case))
                homes = topology.homes if topology else {}
                house = House.of(homes.values(), {})
            chosen = DeviceNames(hass, entry, house).choose(modules_of(homes).values())
            with aside():
                check(len(set(chosen.values())) == len(chosen), "two devices with one name")
                for name in chosen.values():
                    check(_ESCAPED.fullmatch(escape_markdown(name)), "Markdown in a name")

        yield run


def _go2rtc(case: Any) -> None:
    """Do what is done with a frame of go2rtc's signaling."""
    raw = encoded(case).decode()
    message = aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, raw, None)
    try:
        kind, value = signaling._parsed(message)
        if kind == signaling._OFFER:
            whep.check_offer(value)
            without_sent_audio(value)
        else:
            sectionless_candidate(value, OFFERS["go2rtc_two_way"])
    except whep.WhepError as err:
        check_error(err)


def _links_of_servers(case: Any) -> None:
    """Do what is done with ICE servers for Home Assistant's page and for WHEP clients."""
    servers = decode.ice_servers(decode.body_of(values.as_mapping(case))) or ()
    expiry = _expiry_of(servers, NOW)
    check(NOW < expiry <= NOW + 86_400, f"servers that expire at {expiry}")
    shown = [
        RTCIceServer(urls=[*s.urls], username=s.username, credential=s.credential) for s in servers
    ]
    for name, link in whep._ice_links(shown):
        check(name == "Link" and link.isprintable(), "a header of several lines")


def _stored_seeds() -> list[dict[str, Any]]:
    found = [decode.topology(body) for body in seeds.homes()]
    homes = [stored_house.StoredHomes(homes=each.homes) for each in found if each is not None]
    return [stored_house._encode(each) for each in homes]


TARGETS: tuple[Target, ...] = (
    # A file of our own, which is read once for each start.
    pure("stored_homes", _stored, _stored_seeds(), max_size=16 * 1024),
    Target(name="names", seeds=seeds.homes(), open=_names),
    pure(
        "go2rtc_frames",
        _go2rtc,
        [
            {"type": "webrtc/offer", "value": OFFERS["go2rtc_two_way"]},
            {"type": "webrtc/candidate", "value": CANDIDATE},
        ],
    ),
    pure("links_of_servers", _links_of_servers, [seeds.TURN]),
)
