"""The pictures of calls in the media browser: home, panel, month, day."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, override

from homeassistant.components.media_player import BrowseError, MediaClass
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)

from .client import ModuleKind
from .const import DOMAIN
from .errors import translated_error
from .history.formatting import async_call_formatter
from .history.media_tree import async_calls_of_day, async_locations, async_periods
from .history.records import KINDS, picture_path
from .runtime import async_loaded_entries, async_loaded_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from .client import Module
    from .history.formatting import CallFormatter
    from .history.media_tree import Folder
    from .history.records import CallRecord
    from .runtime import BticinoConfigEntry

NAME: Final = "BTicino Classe"
IMAGE: Final = "image/jpeg"  # a hint for frontends; the exact type comes when it is resolved


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return what shows the calls of all accounts."""
    return CallsMediaSource(hass)


class CallsMediaSource(MediaSource):
    """Shows the accounts that are set up and keep a history.

    Identifiers are keys into it, and nothing else: `entry/home`, `entry/location`,
    `entry/location/2026-11`, `entry/location/2026-11-28` to browse, `entry/call/kind` to look at.
    """

    name = NAME

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        match (item.identifier or "").split("/"):
            case [entry_id, call_id, kind] if kind in KINDS:
                if content_type := await self._content_type(entry_id, call_id, kind):
                    return PlayMedia(picture_path(entry_id, call_id, kind), content_type)
        # Frontends show the text as it is, and core would give it in English.
        raise Unresolvable(translated_error(self.hass, "picture_not_found"))

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        if not item.identifier:
            return await self._root()
        match item.identifier.split("/"):
            case [entry_id, key] if entry := self._entry(entry_id):
                title, children = await self._below(entry, key)
            case [entry_id, key, date] if date and (entry := self._entry(entry_id)):
                title, children = date, await _in_period(entry, key, date)
            case _:
                raise _nothing()
        return _folder(title, item.identifier, children)

    def _entry(self, entry_id: str) -> BticinoConfigEntry | None:
        entry = async_loaded_entry(self.hass, entry_id)
        return entry if entry is not None and entry.runtime_data.history.is_kept else None

    async def _content_type(self, entry_id: str, call_id: str, kind: str) -> str | None:
        """Return the type of a picture of a call that is shown."""
        if (entry := self._entry(entry_id)) is None:
            return None
        history = entry.runtime_data.history
        call = await history.async_call(call_id)
        if call is None or not history.layout.shows(call) or kind not in call.pictures:
            return None
        return await history.async_content_type(call_id, kind)

    async def _root(self) -> BrowseMediaSource:
        """Return the homes; of a single one the panels at once."""
        loaded = async_loaded_entries(self.hass)
        entries = [entry for each in loaded if (entry := self._entry(each.entry_id)) is not None]
        homes = [(entry, home) for entry in entries for home in await _homes(entry)]
        if len(homes) == 1:
            return _folder(NAME, None, homes[0][1].children())
        return _folder(NAME, None, [home.folder() for _, home in homes])

    async def _below(
        self, entry: BticinoConfigEntry, key: str
    ) -> tuple[str, list[BrowseMediaSource]]:
        """Return title and content of a home or a location; BrowseError: it is neither."""
        homes = await _homes(entry)
        for home in homes:
            if home.key == key:
                return home.title, home.children()
        for location in (location for home in homes for location in home.locations):
            if location.key == key:
                periods = await async_periods(entry.runtime_data.history, key)
                return location.title, _period_folders(entry, key, periods)
        raise _nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Location:
    """Where calls are shown: a panel or an intercom, which may be gone from the house."""

    key: str
    title: str
    cover: CallRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """A home with its locations."""

    entry_id: str
    key: str
    title: str
    locations: list[_Location]

    def folder(self) -> BrowseMediaSource:
        return _folder(self.title, f"{self.entry_id}/{self.key}")

    def children(self) -> list[BrowseMediaSource]:
        return [
            _folder(
                location.title,
                f"{self.entry_id}/{location.key}",
                thumbnail=_thumbnail(self.entry_id, location.cover),
            )
            for location in self.locations
        ]


async def _homes(entry: BticinoConfigEntry) -> list[_Home]:
    """Return the homes: those of today, then those that are gone and have calls."""
    house, history = entry.runtime_data.coordinator.data, entry.runtime_data.history
    names = async_call_formatter(entry.runtime_data.coordinator.hass, entry.entry_id).names
    called = {folder.key: folder for folder in await async_locations(history)}
    homes = {
        home.id: _Home(
            entry_id=entry.entry_id,
            key=home.id,
            title=home.name or entry.title,
            locations=[
                _Location(
                    key=module.id,
                    title=names.get(module.id) or module.name or NAME,
                    cover=called[module.id].cover if module.id in called else None,
                )
                for module in sorted(home.modules.values(), key=_is_bridge)
                if module.kind is ModuleKind.PANEL or (_is_bridge(module) and module.id in called)
            ],
        )
        for home in house.homes.values()
        if home.bridges
    }
    for folder in (each for key, each in called.items() if key not in house.modules):
        _add_gone(homes, entry, folder, names)
    return [*homes.values()]


def _add_gone(
    homes: dict[str, _Home], entry: BticinoConfigEntry, folder: Folder, names: Mapping[str, str]
) -> None:
    """Add a location that is gone from the house, under the names of its day."""
    stored = folder.newest.location
    title = names.get(folder.key) or stored.name or NAME
    home_id = stored.home_id or next(iter(homes), "")
    home = homes.setdefault(
        home_id,
        _Home(
            entry_id=entry.entry_id,
            key=home_id,
            title=stored.home_name or entry.title,
            locations=[],
        ),
    )
    home.locations.append(_Location(key=folder.key, title=title, cover=folder.cover))


async def _in_period(entry: BticinoConfigEntry, key: str, date: str) -> list[BrowseMediaSource]:
    """Return a month's days or a day's calls; BrowseError: there are none (any more)."""
    history = entry.runtime_data.history
    if calls := await async_calls_of_day(history, key, date):
        formatter = async_call_formatter(entry.runtime_data.coordinator.hass, entry.entry_id)
        return [item for time, call in calls for item in _items(entry, call, time, formatter)]
    if periods := await async_periods(history, key, date):
        return _period_folders(entry, key, periods)
    raise _nothing()


def _period_folders(
    entry: BticinoConfigEntry, key: str, periods: list[Folder]
) -> list[BrowseMediaSource]:
    return [
        _folder(
            period.key,
            f"{entry.entry_id}/{key}/{period.key}",
            thumbnail=_thumbnail(entry.entry_id, period.cover),
        )
        for period in periods
    ]


def _is_bridge(module: Module) -> bool:
    return module.kind is ModuleKind.BRIDGE


def _folder(
    title: str,
    identifier: str | None,
    children: list[BrowseMediaSource] | None = None,
    *,
    thumbnail: str | None = None,
) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier,
        media_class=MediaClass.DIRECTORY,
        media_content_type="",
        title=title,
        can_play=False,
        can_expand=True,
        thumbnail=thumbnail,
        children=children,
    )


def _items(
    entry: BticinoConfigEntry, call: CallRecord, time: str, formatter: CallFormatter
) -> list[BrowseMediaSource]:
    """Return what there is to see of a call: an item for each picture, else one without."""
    first, *others = call.pictures or (None,)
    # Frontends cut long titles off: what comes first has to do.
    return [
        _item(entry, call, first, f"{time} · {formatter.outcome(call)}"),
        *(_item(entry, call, kind, f"{time} · {formatter.close_up}") for kind in others),
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


def _thumbnail(entry_id: str, cover: CallRecord | None) -> str | None:
    if cover is None:
        return None
    return picture_path(entry_id, cover.id, cover.pictures[0])


def _nothing() -> BrowseError:
    return BrowseError(translation_domain=DOMAIN, translation_key="media_not_found")
