"""The pictures of calls: had beside the calls, a few at a time, and kept in the history."""

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
from .records import DAY, KINDS, pictures_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..client import CallChange, Event, Picture
    from ..coordinator import BticinoCoordinator
    from .history import CallHistory

SECOND_TRY_AFTER: Final = 2.0  # seconds: the cloud may ring before it has written the picture
AT_ONCE: Final = 4  # downloads
WAITING: Final = 32  # downloads: in a storm of rings those above it are left for the next start
FRESH: Final = 30.0  # seconds that links in a list of events are taken for fresh
LINK_COMES_WITHIN: Final = 3.0  # seconds from the ring: phones wait for what may come
PLACEHOLDER_FILE: Final = Path(__file__).parents[1] / "placeholder.jpg"
# What can bring a link; the other changes of a call only repeat it.
_BRINGING: Final = (
    CallEventType.RING,
    CallEventType.UPDATED,
    CallEventType.LATE,
    CallEventType.MISSED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A picture that is to be had: of which call, of which kind, and where it was said to be."""

    call_id: str
    kind: str
    bridge_id: str
    link: Picture


class PictureDownloads:
    """Downloads what calls bring links to; a ring never waits for it."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        coordinator: BticinoCoordinator,
        history: CallHistory,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._history = history
        self._under_way: set[tuple[str, str]] = set()
        self._waiting = 0
        self._few = asyncio.Semaphore(AT_ONCE)
        self._asking = asyncio.Lock()
        self._events: dict[str, tuple[float, tuple[Event, ...]]] = {}

    async def async_of(self, module_id: str) -> StillImage | None:
        """Return the last picture of a panel; of an intercom, the newest of all its panels."""
        history = self._history
        calls = [(call, kind) for kind in KINDS if (call := history.last(module_id, kind))]
        # The whole view of a call comes before its close-up.
        for call, kind in sorted(calls, key=lambda each: -each[0].time):
            if image := await history.async_picture(call, kind):
                return image
        return None

    def is_expected(self, call_id: str, kind: str) -> bool:
        """Whether a picture of a call may be there in a moment."""
        history = self._history
        if (call := history.call(call_id)) is None or not history.wants(call_id, kind):
            return False
        age = self._coordinator.account.clock.now() - call.time
        return (call_id, kind) in self._under_way or age < LINK_COMES_WITHIN

    @callback
    def async_catch_up(self, events: Iterable[Event]) -> None:
        """Have the pictures that calls in the cloud's list have and the history has not.

        They are had one after the other, the newest first: nobody waits for them.
        """
        wanted: list[_Wanted] = []
        for event in sorted(events, key=lambda event: -event.time):
            if (call := self._history.told_by(event)) is not None:
                wanted += self._wanted(call.id, call.bridge_id, pictures_of(event))
        if wanted:
            self._start(self._fetch_all(wanted))

    @callback
    def async_on_change(self, change: CallChange) -> None:
        """Download the pictures that a change of a call links to."""
        if change.type in _BRINGING:
            call = change.call
            history = self._history
            known_as = history.known_as(call.session_id, call.began_at)
            links = {kind: link for kind in KINDS if (link := getattr(call, kind)) is not None}
            for wanted in self._wanted(known_as, call.bridge_id, links):
                if self._waiting >= WAITING:
                    LOGGER.debug("A call stays without its picture: too many are on their way")
                    self._under_way.discard((wanted.call_id, wanted.kind))
                else:
                    self._start(self._fetch_of_ring(wanted))

    def _wanted(
        self, call_id: str, bridge_id: str, links: Mapping[str, Picture]
    ) -> Iterator[_Wanted]:
        """Yield the pictures that are still to be had; from now on they are under way."""
        for kind, link in links.items():
            key = (call_id, kind)
            if key not in self._under_way and self._history.wants(*key):
                self._under_way.add(key)
                yield _Wanted(call_id=call_id, kind=kind, bridge_id=bridge_id, link=link)

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
        history = self._history
        try:
            async with self._few:
                image = await self._download(wanted)
            await history.async_keep(wanted.call_id, wanted.kind, image)
        except BticinoError as err:
            LOGGER.debug("A call stays without its picture: %s", err)
            if self._is_hopeless(wanted, err):
                history.async_give_up(wanted.call_id, wanted.kind)
        finally:
            self._under_way.discard((wanted.call_id, wanted.kind))

    def _is_hopeless(self, wanted: _Wanted, err: BticinoError) -> bool:
        """Whether a picture need not be asked for again, at the next start or after a gap."""
        call = self._history.call(wanted.call_id)
        if call is None or not isinstance(err, PictureError):
            return False
        if err.fault in {PictureFault.EARLY, PictureFault.DEAD}:
            return self._coordinator.account.clock.now() - call.time > DAY
        return err.fault is PictureFault.UNFIT

    async def _download(self, wanted: _Wanted) -> StillImage:
        """Download; once more soon if it may not have been written yet, or by a new link."""
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
        auth = self._coordinator.account.auth
        return await download_picture(auth.session, link, endpoints=auth.endpoints)

    async def _renewed(self, wanted: _Wanted) -> Picture:
        """Return a link that lives, from the cloud's list of events; DEAD: there is none."""
        bridge, died_at = self._coordinator.data.modules.get(wanted.bridge_id), self._now
        if bridge is None:
            raise PictureError(reason="nobody knows its home", fault=PictureFault.DEAD)
        async with self._asking:
            # One list serves all who come to ask while it is fetched, and a while longer.
            asked_at, events = self._events.get(bridge.home_id, (-FRESH, ()))
            link = self._link(events, wanted) if self._now - asked_at < FRESH else None
            if link is None and died_at >= asked_at:
                events = await self._coordinator.account.events(bridge.home_id)
                self._events[bridge.home_id] = (self._now, events)
                link = self._link(events, wanted)
        if link is None:
            raise PictureError(reason="no link to it lives", fault=PictureFault.DEAD)
        return link

    def _link(self, events: Iterable[Event], wanted: _Wanted) -> Picture | None:
        """Find another link to a picture among events."""
        for event in events:
            call = self._history.told_by(event)
            if call is not None and call.id == wanted.call_id:
                link = pictures_of(event).get(wanted.kind)
                return None if link == wanted.link else link
        return None

    @property
    def _now(self) -> float:
        return self._hass.loop.time()


@singleton(HassKey[StillImage](f"{DOMAIN}_placeholder"), async_=True)
async def async_placeholder(hass: HomeAssistant) -> StillImage:
    """Return what is shown of a panel at which nobody has rung yet."""
    content = await hass.async_add_executor_job(PLACEHOLDER_FILE.read_bytes)
    return StillImage(content=content, content_type="image/jpeg")
