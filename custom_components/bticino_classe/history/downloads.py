"""Downloads the pictures of calls into the history, in the background."""

import asyncio
from dataclasses import dataclass
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.network.util import async_load_adapters
from homeassistant.core import callback
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from ..client import (
    BticinoError,
    CallEventType,
    PictureError,
    PictureFault,
    StillImage,
    download_picture,
    own_network,
)
from ..const import DOMAIN, LOGGER
from .records import DAY, KINDS, SNAPSHOT, picture_path, pictures_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Mapping
    from ipaddress import IPv4Network, IPv6Network

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..client import Call, CallChange, Event, Picture
    from ..coordinator import BticinoCoordinator
    from .history import CallHistory
    from .records import CallRecord

RETRY_SECONDS: Final = 2.0  # the cloud may ring before it has written the picture
MAX_PARALLEL: Final = 4  # downloads
MAX_WAITING: Final = 32  # downloads of rings; more are left for the next start
EVENTS_VALID_SECONDS: Final = 30.0  # how long the links in a list of events are used
NETWORKS_VALID_SECONDS: Final = 60.0
LINK_EXPECTED_SECONDS: Final = 3.0  # after the ring
PLACEHOLDER_FILE: Final = Path(__file__).parents[1] / "placeholder.jpg"
# Changes that can contain a new link; the others only repeat it.
_WITH_LINKS: Final = (
    CallEventType.RING,
    CallEventType.UPDATED,
    CallEventType.LATE,
    CallEventType.MISSED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Download:
    """A picture to download: its call, kind and link."""

    call: CallRecord
    kind: str
    link: Picture

    @property
    def key(self) -> tuple[str, str]:
        return self.call.id, self.kind


class PictureDownloads:
    """Downloads the pictures of calls; a ring never waits for them."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        coordinator: BticinoCoordinator,
        history: CallHistory,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._account = coordinator.account
        self._coordinator = coordinator
        self._history = history
        self._in_progress: set[tuple[str, str]] = set()
        self._waiting = 0
        self._slots = asyncio.Semaphore(MAX_PARALLEL)
        self._events_lock = asyncio.Lock()
        self._events: dict[str, tuple[float, tuple[Event, ...]]] = {}
        self._own_networks: tuple[float, list[IPv4Network | IPv6Network]] = (-math.inf, [])

    async def async_of(self, module_id: str) -> StillImage | None:
        """Return the newest picture of a panel, or of all panels of an intercom."""
        for call, kind in self.pictures_at(module_id):
            if image := await self._history.async_picture(call.id, kind):
                return image
        return None

    def pictures_at(self, module_id: str) -> list[tuple[CallRecord, str]]:
        """Return the newest picture of each kind at a panel or an intercom, newest first."""
        calls = [(call, kind) for kind in KINDS if (call := self._history.last(module_id, kind))]
        # Stable sort: the whole view of a call comes before its close-up.
        return sorted(calls, key=lambda each: -each[0].time)

    def is_expected(self, call_id: str, kind: str) -> bool:
        """Whether a picture of a call may be stored in a moment."""
        call = self._history.recent(call_id)
        if call is None or getattr(call, kind) is not None:
            return False
        age = self._account.clock.now() - call.time
        return (call_id, kind) in self._in_progress or age < LINK_EXPECTED_SECONDS

    @callback
    def path_of(self, call: Call) -> str | None:
        """Return the path to the picture of a call in progress; None if none is expected."""
        record = self._history.find(call.session_id, call.began_at)
        if record is None:
            return None
        linked = [kind for kind in KINDS if getattr(call, kind) is not None]
        possible = linked or ([] if self._is_without_camera(record) else [SNAPSHOT])
        expected = [kind for kind in possible if self.is_expected(record.id, kind)]
        kind = next(iter((*record.pictures, *expected)), None)
        return None if kind is None else picture_path(self._entry.entry_id, record.id, kind)

    async def async_catch_up(self, events: Iterable[Event]) -> None:
        """Start to download the missing pictures of calls in the cloud's list, newest first."""
        newest_first = sorted(events, key=lambda event: -event.time)
        missing: list[_Download] = []
        for event, record in await self._history.async_recorded(newest_first):
            missing += self._missing(record, pictures_of(event))
        if missing:
            self._start(self._fetch_all(missing))

    @callback
    def async_on_change(self, change: CallChange) -> None:
        """Start to download the pictures for which a change of a call has links."""
        call = change.call
        record = self._history.find(call.session_id, call.began_at)
        if change.type not in _WITH_LINKS or record is None:
            return
        links = {kind: link for kind in KINDS if (link := getattr(call, kind)) is not None}
        for download in self._missing(record, links):
            if self._waiting >= MAX_WAITING:
                LOGGER.debug("A picture is not downloaded: too many downloads are waiting")
                self._in_progress.discard(download.key)
            else:
                self._start(self._fetch_of_ring(download))

    def _is_without_camera(self, record: CallRecord) -> bool:
        """Whether there were calls at the same location, but never a picture."""
        module_id = record.module_id
        if any(self._history.last(module_id, kind) is not None for kind in KINDS):
            return False
        return any(
            module_id == each.module_id and not self.is_expected(each.id, SNAPSHOT)
            for each in self._history.last_two(module_id)
        )

    def _missing(self, record: CallRecord, links: Mapping[str, Picture]) -> Iterator[_Download]:
        """Yield the missing pictures, and mark them as in progress."""
        for kind, link in links.items():
            download = _Download(call=record, kind=kind, link=link)
            if download.key not in self._in_progress and getattr(record, kind) is None:
                self._in_progress.add(download.key)
                yield download

    def _start(self, fetching: Coroutine[Any, Any, None]) -> None:
        self._entry.async_create_background_task(
            self._hass, fetching, "bticino_classe picture of a call"
        )

    async def _fetch_all(self, downloads: Iterable[_Download]) -> None:
        for download in downloads:
            await self._fetch(download)

    async def _fetch_of_ring(self, download: _Download) -> None:
        self._waiting += 1
        try:
            await self._fetch(download)
        finally:
            self._waiting -= 1

    async def _fetch(self, download: _Download) -> None:
        """Download a picture and store it."""
        try:
            async with self._slots:
                image = await self._request(download)
            await self._history.async_keep(*download.key, image)
        except BticinoError as err:
            LOGGER.debug("A picture could not be downloaded: %s", err)
            if self._is_final(download, err):
                await self._history.async_give_up(*download.key)
        finally:
            self._in_progress.discard(download.key)

    def _is_final(self, download: _Download, err: BticinoError) -> bool:
        """Whether a picture is not requested again, at the next start or after a gap."""
        if not isinstance(err, PictureError):
            return False
        if err.fault in {PictureFault.NOT_READY, PictureFault.EXPIRED}:
            return self._account.clock.now() - download.call.time > DAY
        return err.fault is PictureFault.UNUSABLE

    async def _request(self, download: _Download) -> StillImage:
        """Request a picture; once more if it may not be written yet, or with a new link."""
        try:
            return await self._get(download.link)
        except PictureError as err:
            fault = err.fault
            if fault not in {PictureFault.NOT_READY, PictureFault.EXPIRED}:
                raise
        if fault is PictureFault.NOT_READY:
            await asyncio.sleep(RETRY_SECONDS)
            return await self._get(download.link)
        return await self._get(await self._new_link(download))

    async def _get(self, link: Picture) -> StillImage:
        auth = self._account.auth
        return await download_picture(
            auth.session,
            link,
            endpoints=auth.endpoints,
            own_networks=await self._async_own_networks(),
        )

    async def _async_own_networks(self) -> list[IPv4Network | IPv6Network]:
        """Return the networks of this machine; they are read again, as a provider may change them.

        Not for each picture: it takes the event loop a millisecond.
        """
        read_at, networks = self._own_networks
        if self._now - read_at >= NETWORKS_VALID_SECONDS:
            networks = [
                own_network(configured["address"], configured["network_prefix"])
                for adapter in await async_load_adapters()
                for configured in (*adapter["ipv4"], *adapter["ipv6"])
            ]
            self._own_networks = (self._now, networks)
        return networks

    async def _new_link(self, download: _Download) -> Picture:
        """Return a valid link from the cloud's list of events; PictureError: there is none."""
        bridge = self._coordinator.data.modules.get(download.call.bridge_id)
        expired_at = self._now
        if bridge is None:
            raise PictureError(reason="its home is unknown", fault=PictureFault.EXPIRED)
        async with self._events_lock:
            # A list serves all downloads that waited for it, and later ones for a short time.
            requested_at, events = self._events.get(bridge.home_id, (-math.inf, ()))
            is_valid = self._now - requested_at < EVENTS_VALID_SECONDS
            link = await self._find_link(events, download) if is_valid else None
            if link is None and expired_at >= requested_at:
                events = await self._account.events(bridge.home_id)
                self._events[bridge.home_id] = (self._now, events)
                link = await self._find_link(events, download)
        if link is None:
            raise PictureError(reason="no valid link", fault=PictureFault.EXPIRED)
        return link

    async def _find_link(self, events: Iterable[Event], download: _Download) -> Picture | None:
        """Return another link to a picture among events."""
        for event, record in await self._history.async_recorded(events):
            if record.id == download.call.id:
                link = pictures_of(event).get(download.kind)
                return None if link == download.link else link
        return None

    @property
    def _now(self) -> float:
        return self._hass.loop.time()


@singleton(HassKey[StillImage](f"{DOMAIN}_placeholder"), async_=True)
async def async_placeholder(hass: HomeAssistant) -> StillImage:
    """Return the image that is shown until a panel has a picture."""
    content = await hass.async_add_executor_job(PLACEHOLDER_FILE.read_bytes)
    return StillImage(content=content, content_type="image/jpeg")
