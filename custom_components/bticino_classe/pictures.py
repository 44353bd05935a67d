"""The picture of the last ring at each panel, in memory, and what is shown while there is none."""

import asyncio
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from .client import BticinoError, PictureError
from .client.calls import Happening
from .client.pictures import StillImage, download
from .const import DOMAIN, LOGGER

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .client import Picture
    from .client.calls import Call, CallChange
    from .coordinator import BticinoConfigEntry, BticinoCoordinator

__all__ = ["LastPictures", "StillImage", "async_placeholder"]

SECOND_TRY_AFTER: Final = 2.0  # seconds: the cloud may ring before it has written the picture
AT_ONCE: Final = 16  # downloads: in a storm of rings those above it are left out
REMEMBERED_RINGS: Final = 64
REMEMBERED_LINKS: Final = 128
PLACEHOLDER_FILE: Final = Path(__file__).with_name("placeholder.jpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A picture, and what it has to be newer than to be replaced: a later ring, the whole view."""

    image: StillImage
    bridge_id: str
    rank: tuple[int, bool]


class LastPictures:
    """Downloads the picture of every ring beside the ring, and keeps the newest of each panel."""

    def __init__(
        self, hass: HomeAssistant, entry: BticinoConfigEntry, coordinator: BticinoCoordinator
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._kept: dict[str, _Kept] = {}
        self._rings: dict[str, int] = {}
        self._links: deque[str] = deque(maxlen=REMEMBERED_LINKS)
        self._under_way = 0

    @callback
    def async_start(self) -> None:
        """Follow the bell; listening and downloads end with the entry."""
        self._entry.async_on_unload(self._coordinator.bell.async_listen(self._on_change))

    @callback
    def of(self, module_id: str) -> StillImage | None:
        """Return the last picture of a panel; of an intercom, the newest of all its panels."""
        found = [k for at, k in self._kept.items() if module_id in {at, k.bridge_id}]
        newest = max(found, key=lambda kept: kept.rank, default=None)
        return None if newest is None else newest.image

    @callback
    def _on_change(self, change: CallChange) -> None:
        call = change.call
        if change.happening is Happening.RING:
            self._count(call.session_id)
        ring = self._rings.get(call.session_id)
        picture = call.snapshot or call.vignette
        if ring is None or picture is None or picture.url in self._links:
            return
        if self._under_way >= AT_ONCE:
            LOGGER.debug("A call stays without its picture: too many are on their way")
            return
        self._links.append(picture.url)
        rank = (ring, picture is call.snapshot)
        self._entry.async_create_background_task(
            self._hass, self._fetch(call, picture, rank), "bticino_classe picture of a call"
        )

    def _count(self, session_id: str) -> None:
        """Number the rings as they are heard: their times are by two clocks."""
        newest = max(self._rings.values(), default=0)
        self._rings.pop(session_id, None)
        self._rings[session_id] = newest + 1
        if len(self._rings) > REMEMBERED_RINGS:
            del self._rings[next(iter(self._rings))]

    async def _fetch(self, call: Call, picture: Picture, rank: tuple[int, bool]) -> None:
        self._under_way += 1
        try:
            image = await self._download(picture)
        except BticinoError as err:
            LOGGER.debug("A call stays without its picture: %s", err)
        else:
            self._keep(call, _Kept(image=image, bridge_id=call.bridge_id, rank=rank))
        finally:
            self._under_way -= 1

    async def _download(self, picture: Picture) -> StillImage:
        """Download, and once more soon if the picture may not have been written yet."""
        auth = self._coordinator.account.auth
        try:
            return await download(auth.session, picture, endpoints=auth.endpoints)
        except PictureError as err:
            if not err.is_early:
                raise
        await asyncio.sleep(SECOND_TRY_AFTER)
        return await download(auth.session, picture, endpoints=auth.endpoints)

    @callback
    def _keep(self, call: Call, new: _Kept) -> None:
        place = self._coordinator.bell.place(call)
        old = self._kept.get(place)
        if old is None or old.rank <= new.rank:
            self._kept[place] = new


@singleton(HassKey[StillImage](f"{DOMAIN}_placeholder"), async_=True)
async def async_placeholder(hass: HomeAssistant) -> StillImage:
    """Return what is shown of a panel at which nobody has rung yet."""
    content = await hass.async_add_executor_job(PLACEHOLDER_FILE.read_bytes)
    return StillImage(content=content, content_type="image/jpeg")
