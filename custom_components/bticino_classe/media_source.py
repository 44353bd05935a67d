"""The pictures of calls in the media browser: the latest, and by home, panel, month and day."""

from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING, Final, override
from urllib.parse import quote

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components.media_player import BrowseError, MediaClass
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.util import dt as dt_util

from .chime import CHIME_FILE, CHIME_TYPE, CHIME_URL
from .client import ModuleKind
from .const import DOMAIN
from .errors import translated_error
from .history.formatting import async_call_formatter
from .history.media_tree import (
    Period,
    async_calls,
    async_latest,
    async_locations,
    async_periods,
    local_time,
)
from .history.records import picture_path
from .permissions import Caller
from .runtime import async_loaded_entries, async_loaded_entry
from .service_helpers import async_entity_at

if TYPE_CHECKING:
    from collections.abc import Collection

    from homeassistant.core import HomeAssistant

    from .client import Home, Module
    from .history.formatting import CallFormatter
    from .history.media_tree import Folder
    from .history.records import CallRecord
    from .runtime import BticinoConfigEntry

NAME: Final = "BTicino Classe"
LATEST: Final = "latest"  # identifier
LATEST_CALLS: Final = 20
IMAGE: Final = "image/jpeg"  # a hint for frontends; the exact type is reported when it is resolved


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return the media source with the calls of all accounts."""
    return CallsMediaSource(hass)


class CallsMediaSource(MediaSource):
    """Shows the accounts that keep a history, and in them what the user may see.

    Identifiers are keys, never paths: `latest`, `entry/home`, `entry/location`,
    `entry/location/2026-11` and `entry/location/2026-11-28` can be browsed, `entry/call/kind` is a
    picture, `chime` the sound for speakers. A folder with one folder in it shows what is in that.
    """

    name = NAME

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        match (item.identifier or "").split("/"):
            case ["chime"]:
                return PlayMedia(CHIME_URL, CHIME_TYPE, path=CHIME_FILE)
            case [entry_id, call_id, kind] if entry := self._entry(entry_id):
                history = entry.runtime_data.history
                call = await history.async_call(call_id)
                if call and not _may_see(entry, history.layout.location_of(call)):
                    call = None
                image = await history.async_picture(call_id, kind) if call else None
                if image is not None:
                    url = picture_path(entry_id, call_id, kind)
                    path = await history.picture_files.async_copy(call_id, kind, image)
                    return PlayMedia(url, image.content_type, path=path)
        # Frontends show the text as it is, and core would send it in English.
        raise Unresolvable(translated_error(self.hass, "picture_not_found"))

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        if not item.identifier:
            return await self._root()
        if item.identifier == LATEST:
            return await self._latest()
        return await self._skip_levels(await self._open(item.identifier))

    def _entry(self, entry_id: str) -> BticinoConfigEntry | None:
        entry = async_loaded_entry(self.hass, entry_id)
        return entry if entry is not None and entry.runtime_data.history.is_kept else None

    def _entries(self) -> list[BticinoConfigEntry]:
        return [each for each in async_loaded_entries(self.hass) if self._entry(each.entry_id)]

    async def _root(self) -> BrowseMediaSource:
        """Return the latest calls, then the homes, as folders."""
        homes = [home for entry in self._entries() for home in await _homes(entry)]
        root = _folder(NAME, None, [_folder(home.title, home.identifier) for home in homes])
        root = await self._skip_levels(root, only_folders=True)
        latest = await self._latest()
        if latest.children:
            covers = (child.thumbnail for child in latest.children)
            latest.thumbnail, latest.children = next(filter(None, covers), None), None
            root.children = [latest, *(root.children or ())]
        return root

    async def _latest(self) -> BrowseMediaSource:
        """Return the newest calls of all locations that the user may see."""
        entries = self._entries()
        found = [each for entry in entries for each in await _latest_items(entry)]
        found.sort(key=itemgetter(0), reverse=True)
        title = _formatter(entries[0]).latest if entries else NAME
        return _folder(title, LATEST, [item for _, item in found[:LATEST_CALLS]])

    async def _open(self, identifier: str | None, *, dated: bool = False) -> BrowseMediaSource:
        """Return a folder with what is in it; `dated`: calls with their days."""
        match (identifier or "").split("/"):
            case [entry_id, _] if entry := self._entry(entry_id):
                return await _home_or_location(entry, f"{identifier}")
            case [entry_id, location_id, key] if entry := self._entry(entry_id):
                period = Period.parse(key, dt_util.get_default_time_zone())
                if period and _may_see(entry, location_id):
                    return await _period(entry, location_id, period, dated=dated)
        raise _not_found()

    async def _skip_levels(
        self, folder: BrowseMediaSource, *, only_folders: bool = False
    ) -> BrowseMediaSource:
        """Return a folder that shows what is in its only folder, as long as there is just one."""
        while (only := _only_folder(folder)) is not None:
            inner = (await self._open(only.identifier, dated=True)).children
            if not inner or (only_folders and not inner[0].can_expand):
                break
            folder.children = inner
        return folder


def _only_folder(folder: BrowseMediaSource) -> BrowseMediaSource | None:
    match folder.children:
        case [BrowseMediaSource(can_expand=True) as only]:
            return only
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """A home with the folders of its locations."""

    identifier: str
    title: str
    locations: list[BrowseMediaSource]


async def _homes(entry: BticinoConfigEntry) -> list[_Home]:
    """Return the current homes, then former homes that have calls, as far as the user may see."""
    house, history = entry.runtime_data.coordinator.data, entry.runtime_data.history
    names = _formatter(entry).names
    called = await async_locations(history)
    titles = {home.id: home.name for home in house.homes.values() if home.bridges}
    locations = {
        home_id: [
            _location(entry, module.id, names.get(module.id) or module.name, called.get(module.id))
            for module in _shown_modules(house.homes[home_id], called)
            if _may_see(entry, module.id)
        ]
        for home_id in titles
    }
    for key in (key for key in called if key not in house.modules and _may_see(entry, key)):
        stored = called[key].newest.location
        home_id = stored.home_id or next(iter(titles), "")
        titles.setdefault(home_id, stored.home_name)
        former = _location(entry, key, names.get(key) or stored.name, called[key])
        locations.setdefault(home_id, []).append(former)
    return [
        _Home(
            identifier=f"{entry.entry_id}/{quote(home_id, safe='')}",
            title=title or entry.title,
            locations=locations[home_id],
        )
        for home_id, title in titles.items()
        if locations[home_id] or Caller.current().may(POLICY_READ, None)
    ]


def _may_see(entry: BticinoConfigEntry, location_id: str) -> bool:
    """Whether the current user may see the camera of a location."""
    entity_id = async_entity_at(entry.runtime_data.coordinator.hass, entry, location_id)
    return Caller.current().may(POLICY_READ, entity_id)


def _shown_modules(home: Home, called: Collection[str]) -> list[Module]:
    """Return the panels of a home, then the intercoms that have calls of unknown panels."""
    modules = home.modules.values()
    panels = [module for module in modules if module.kind is ModuleKind.PANEL]
    return [*panels, *(bridge for bridge in home.bridges if bridge.id in called)]


async def _home_or_location(entry: BticinoConfigEntry, identifier: str) -> BrowseMediaSource:
    """Return a home with its locations, or a location with its months; BrowseError: neither."""
    homes = await _homes(entry)
    for home in homes:
        if home.identifier == identifier:
            return _folder(home.title, identifier, home.locations)
    for location in (each for home in homes for each in home.locations):
        if location.identifier == identifier:
            location_id = identifier.removeprefix(f"{entry.entry_id}/")
            periods = await async_periods(entry.runtime_data.history, location_id)
            return _folder(location.title, identifier, _period_folders(entry, identifier, periods))
    raise _not_found()


async def _period(
    entry: BticinoConfigEntry, location_id: str, period: Period, *, dated: bool
) -> BrowseMediaSource:
    """Return the calls of a day or the days of a month; BrowseError: there are none."""
    history, formatter = entry.runtime_data.history, _formatter(entry)
    location = f"{entry.entry_id}/{location_id}"
    if period.is_day:
        calls = await async_calls(history, location_id, period)
        children = [each for call in calls for each in _items(entry, call, formatter, dated=dated)]
    else:
        days = await async_periods(history, location_id, period)
        children = _period_folders(entry, location, days)
    if not children:
        raise _not_found()
    return _folder(_period_title(formatter, period.key), f"{location}/{period.key}", children)


async def _latest_items(entry: BticinoConfigEntry) -> list[tuple[float, BrowseMediaSource]]:
    """Return an item for each of the newest calls that the user may see, with the call's time."""
    history, formatter, now = entry.runtime_data.history, _formatter(entry), dt_util.now()
    visible = [key for key in await async_locations(history) if _may_see(entry, key)]
    found = []
    for call in await async_latest(history, visible, LATEST_CALLS):
        outcome, kind = formatter.outcome(call), next(iter(call.pictures), None)
        parts = (formatter.dated(outcome, local_time(call), now), formatter.location(call))
        found.append((call.time, _item(entry, call, kind, " · ".join(filter(None, parts)))))
    return found


def _formatter(entry: BticinoConfigEntry) -> CallFormatter:
    return async_call_formatter(entry.runtime_data.coordinator.hass, entry.entry_id)


def _location(
    entry: BticinoConfigEntry, module_id: str, title: str | None, calls: Folder | None
) -> BrowseMediaSource:
    cover = None if calls is None else calls.cover
    return _folder(title or NAME, f"{entry.entry_id}/{module_id}", cover=_cover(entry, cover))


def _period_folders(
    entry: BticinoConfigEntry, location: str, periods: list[Folder]
) -> list[BrowseMediaSource]:
    formatter = _formatter(entry)
    return [
        _folder(
            _period_title(formatter, each.key),
            f"{location}/{each.key}",
            cover=_cover(entry, each.cover),
        )
        for each in periods
    ]


def _period_title(formatter: CallFormatter, key: str) -> str:
    """Return the title of the month or day with a key."""
    if len(key) == len("2026-11"):
        return formatter.month(date.fromisoformat(f"{key}-01"))
    return formatter.day(date.fromisoformat(key), dt_util.now().date())


def _cover(entry: BticinoConfigEntry, call: CallRecord | None) -> str | None:
    """Return the path to the first picture of a call."""
    return None if call is None else picture_path(entry.entry_id, call.id, call.pictures[0])


def _folder(
    title: str,
    identifier: str | None,
    children: list[BrowseMediaSource] | None = None,
    *,
    cover: str | None = None,
) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier,
        media_class=MediaClass.DIRECTORY,
        media_content_type="",
        title=title,
        can_play=False,
        can_expand=True,
        thumbnail=cover,
        children=children,
    )


def _items(
    entry: BticinoConfigEntry, call: CallRecord, formatter: CallFormatter, *, dated: bool
) -> list[BrowseMediaSource]:
    """Return an item for each picture of a call, or one item without a picture."""
    at = local_time(call)
    now = dt_util.now() if dated else at
    first, *others = call.pictures or (None,)
    return [
        _item(entry, call, first, formatter.dated(formatter.outcome(call), at, now)),
        *(
            _item(entry, call, kind, formatter.dated(formatter.close_up, at, now))
            for kind in others
        ),
    ]


def _item(
    entry: BticinoConfigEntry, call: CallRecord, kind: str | None, title: str
) -> BrowseMediaSource:
    identifier = f"{entry.entry_id}/{call.id}"
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier if kind is None else f"{identifier}/{kind}",
        media_class=MediaClass.IMAGE,
        media_content_type=IMAGE,
        title=title,
        can_play=kind is not None,
        can_expand=False,
        thumbnail=None if kind is None else picture_path(entry.entry_id, call.id, kind),
    )


def _not_found() -> BrowseError:
    return BrowseError(translation_domain=DOMAIN, translation_key="media_not_found")
