"""The pictures of calls: downloaded in the background, a few at a time, into the history."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
)
from ..const import DOMAIN, LOGGER
from .records import DAY, KINDS, SNAPSHOT, picture_path, pictures_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..client import Call, CallChange, Event, Picture
    from ..coordinator import BticinoCoordinator
    from .history import CallHistory
    from .records import CallRecord

SECOND_TRY_AFTER: Final = 2.0  # seconds: the cloud may ring before it has written the picture
AT_ONCE: Final = 4  # downloads
WAITING: Final = 32  # downloads: in a storm of rings, the others are left for the next start
FRESH: Final = 30.0  # seconds that the links in a list of events are used
LINK_COMES_WITHIN: Final = 3.0  # seconds from the ring
PLACEHOLDER_FILE: Final = Path(__file__).parents[1] / "placeholder.jpg"
# Changes that can bring a link; the others only repeat it.
_WITH_LINKS: Final = (
    CallEventType.RING,
    CallEventType.UPDATED,
    CallEventType.LATE,
    CallEventType.MISSED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A picture to download: of which call and kind, and its link."""

    call_id: str
    called_at: float
    kind: str
    bridge_id: str
    link: Picture

    @property
    def key(self) -> tuple[str, str]:
        return self.call_id, self.kind


class PictureDownloads:
    """Downloads the pictures that calls have links to; a ring never waits for them."""

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
        self._under_way: set[tuple[str, str]] = set()
        self._waiting = 0
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._events_lock = asyncio.Lock()
        self._events: dict[str, tuple[float, tuple[Event, ...]]] = {}

    async def async_of(self, module_id: str) -> StillImage | None:
        """Return the last picture of a panel; of an intercom, the newest of all its panels."""
        calls = [(call, kind) for kind in KINDS if (call := self._history.last(module_id, kind))]
        # The whole view of a call comes before its close-up.
        for call, kind in sorted(calls, key=lambda each: -each[0].time):
            if image := await self._history.async_picture(call.id, kind):
                return image
        return None

    def is_expected(self, call_id: str, kind: str) -> bool:
        """Whether a picture of a call may be there in a moment."""
        call = self._history.recent(call_id)
        if call is None or getattr(call, kind) is not None:
            return False
        age = self._account.clock.now() - call.time
        return (call_id, kind) in self._under_way or age < LINK_COMES_WITHIN

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
        """Download the pictures in the cloud's list that the history does not have, newest first.

        Returns when it knows which; one download follows the other in the background.
        """
        newest_first = sorted(events, key=lambda event: -event.time)
        wanted: list[_Wanted] = []
        for event, record in await self._history.async_recorded(newest_first):
            wanted += self._wanted(record, pictures_of(event))
        if wanted:
            self._start(self._fetch_all(wanted))

    @callback
    def async_on_change(self, change: CallChange) -> None:
        """Download what a change of a call brings links to."""
        call = change.call
        record = self._history.find(call.session_id, call.began_at)
        if change.type not in _WITH_LINKS or record is None:
            return
        links = {kind: link for kind in KINDS if (link := getattr(call, kind)) is not None}
        for wanted in self._wanted(record, links):
            if self._waiting >= WAITING:
                LOGGER.debug("A call stays without its picture: too many downloads are waiting")
                self._under_way.discard(wanted.key)
            else:
                self._start(self._fetch_of_ring(wanted))

    def _is_without_camera(self, record: CallRecord) -> bool:
        """Whether earlier calls at the same module never had a picture."""
        module_id = record.module_id
        if any(self._history.last(module_id, kind) is not None for kind in KINDS):
            return False
        return any(
            module_id == each.module_id and not self.is_expected(each.id, SNAPSHOT)
            for each in self._history.last_two(module_id)
        )

    def _wanted(self, record: CallRecord, links: Mapping[str, Picture]) -> Iterator[_Wanted]:
        """Yield the pictures that are still missing; from now on they are under way."""
        for kind, link in links.items():
            wanted = _Wanted(
                call_id=record.id,
                called_at=record.time,
                kind=kind,
                bridge_id=record.bridge_id,
                link=link,
            )
            if wanted.key not in self._under_way and getattr(record, kind) is None:
                self._under_way.add(wanted.key)
                yield wanted

    def _start(self, fetching: Coroutine[Any, Any, None]) -> None:
        self._entry.async_create_background_task(
            self._hass, fetching, "bticino_classe picture of a call"
        )

    async def _fetch_all(self, wanted: Iterable[_Wanted]) -> None:
        for each in wanted:
            await self._fetch(each)

    async def _fetch_of_ring(self, wanted: _Wanted) -> None:
        self._waiting += 1
        try:
            await self._fetch(wanted)
        finally:
            self._waiting -= 1

    async def _fetch(self, wanted: _Wanted) -> None:
        try:
            async with self._slots:
                image = await self._download(wanted)
            await self._history.async_keep(wanted.call_id, wanted.kind, image)
        except BticinoError as err:
            LOGGER.debug("A call stays without its picture: %s", err)
            if self._is_final(wanted, err):
                await self._history.async_give_up(wanted.call_id, wanted.kind)
        finally:
            self._under_way.discard(wanted.key)

    def _is_final(self, wanted: _Wanted, err: BticinoError) -> bool:
        """Whether a picture will never be available, so that it is not requested again."""
        if not isinstance(err, PictureError):
            return False
        if err.fault in {PictureFault.EARLY, PictureFault.DEAD}:
            return self._account.clock.now() - wanted.called_at > DAY
        return err.fault is PictureFault.UNFIT

    async def _download(self, wanted: _Wanted) -> StillImage:
        """Download; again soon if it may not have been written yet, or by a new link."""
        try:
            return await self._by(wanted.link)
        except PictureError as err:
            fault = err.fault
            if fault not in {PictureFault.EARLY, PictureFault.DEAD}:
                raise
        if fault is PictureFault.EARLY:
            await asyncio.sleep(SECOND_TRY_AFTER)
            return await self._by(wanted.link)
        return await self._by(await self._renewed(wanted))

    async def _by(self, link: Picture) -> StillImage:
        auth = self._account.auth
        return await download_picture(auth.session, link, endpoints=auth.endpoints)

    async def _renewed(self, wanted: _Wanted) -> Picture:
        """Return a valid link from the cloud's list of events; raises PictureError without one."""
        bridge, needed_at = self._coordinator.data.modules.get(wanted.bridge_id), self._now
        if bridge is None:
            raise PictureError(reason="its home is unknown", fault=PictureFault.DEAD)
        async with self._events_lock:
            # One list serves all that need it while it is fetched, and a while longer.
            listed_at, events = self._events.get(bridge.home_id, (-FRESH, ()))
            link = await self._link(events, wanted) if self._now - listed_at < FRESH else None
            if link is None and needed_at >= listed_at:
                events = await self._account.events(bridge.home_id)
                self._events[bridge.home_id] = (self._now, events)
                link = await self._link(events, wanted)
        if link is None:
            raise PictureError(reason="no valid link", fault=PictureFault.DEAD)
        return link

    async def _link(self, events: Iterable[Event], wanted: _Wanted) -> Picture | None:
        """Find another link to a picture among events."""
        for event, record in await self._history.async_recorded(events):
            if record.id == wanted.call_id:
                link = pictures_of(event).get(wanted.kind)
                return None if link == wanted.link else link
        return None

    @property
    def _now(self) -> float:
        return self._hass.loop.time()


@singleton(HassKey[StillImage](f"{DOMAIN}_placeholder"), async_=True)
async def async_placeholder(hass: HomeAssistant) -> StillImage:
    """Return the image of a panel without a call."""
    content = await hass.async_add_executor_job(PLACEHOLDER_FILE.read_bytes)
    return StillImage(content=content, content_type="image/jpeg")
