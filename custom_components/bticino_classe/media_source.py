"""The pictures of calls in the media browser: home, panel, month, day."""

from typing import TYPE_CHECKING, Final, override

from homeassistant.components.media_player.const import MediaClass
from homeassistant.components.media_player.errors import BrowseError
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.util import dt as dt_util

from .client import ModuleKind
from .const import DOMAIN
from .errors import translated_error
from .history.formatting import async_call_formatter
from .history.http import picture_path
from .history.media_tree import (
    DAY,
    MONTH,
    by_place,
    by_time,
    first_kind,
    of_day,
    place_of,
)
from .history.picture_files import content_type
from .history.records import KINDS
from .runtime import async_loaded_entries, async_loaded_entry

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .client import Home, Module
    from .history.formatting import CallFormatter
    from .history.records import CallRecord, KeptPicture
    from .runtime import BticinoConfigEntry

NAME: Final = "BTicino Classe"
IMAGE: Final = "image/jpeg"


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return what shows the calls of all accounts."""
    return CallsMediaSource(hass)


class CallsMediaSource(MediaSource):
    """Shows the accounts that are set up and keep a history.

    Identifiers are keys into it, and nothing else: `entry/home`, `entry/place`,
    `entry/place/2026-11`, `entry/place/2026-11-28` to browse, `entry/call/kind` to look at.
    """

    name = NAME

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        match (item.identifier or "").split("/"):
            case [entry_id, call_id, kind] if kind in KINDS:
                if picture := self._kept(entry_id, call_id, kind):
                    path = picture_path(entry_id, call_id, kind)
                    return PlayMedia(path, content_type(picture.file))
        # Frontends show the text as it is, and core would give it in English.
        raise Unresolvable(translated_error(self.hass, "picture_not_found"))

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        if not item.identifier:
            return await self._root()
        match item.identifier.split("/"):
            case [entry_id, key] if entry := self._entry(entry_id):
                title, children = await self._below(entry, key)
            case [entry_id, key, date] if (entry := self._entry(entry_id)) and date:
                title, children = date, await self._in(entry, _place(entry, key), date)
            case _:
                raise _nothing()
        return _folder(title, item.identifier, children)

    def _entry(self, entry_id: str) -> BticinoConfigEntry | None:
        entry = async_loaded_entry(self.hass, entry_id)
        return entry if entry is not None and entry.runtime_data.history.is_kept else None

    def _kept(self, entry_id: str, call_id: str, kind: str) -> KeptPicture | None:
        """Return a picture of a call at a place that is shown."""
        entry = self._entry(entry_id)
        call = None if entry is None else entry.runtime_data.history.call(call_id)
        if (
            entry is None
            or call is None
            or place_of(entry.runtime_data.coordinator.data, call) is None
        ):
            return None
        return call.kept(kind)

    async def _root(self) -> BrowseMediaSource:
        """Return the homes; of a single one the panels at once."""
        loaded = async_loaded_entries(self.hass)
        entries = [entry for each in loaded if (entry := self._entry(each.entry_id)) is not None]
        homes = [(entry, home) for entry in entries for home in _homes(entry)]
        if len(homes) == 1:
            return _folder(NAME, None, await self._places(*homes[0]))
        children = [
            _folder(home.name or entry.title, f"{entry.entry_id}/{home.id}")
            for entry, home in homes
        ]
        return _folder(NAME, None, children)

    async def _below(
        self, entry: BticinoConfigEntry, key: str
    ) -> tuple[str, list[BrowseMediaSource]]:
        """Return title and content of a home, or of a place."""
        if home := entry.runtime_data.coordinator.data.homes.get(key):
            return home.name or entry.title, await self._places(entry, home)
        place = _place(entry, key)
        months = await self._folders(entry, place)
        return _name(async_call_formatter(entry.runtime_data.coordinator), place), months

    async def _places(self, entry: BticinoConfigEntry, home: Home) -> list[BrowseMediaSource]:
        """Return the panels of a home, and the intercoms that somebody rang without one."""
        house, history = entry.runtime_data.coordinator.data, entry.runtime_data.history
        folders = await self.hass.async_add_executor_job(by_place, house, history.calls)
        words = async_call_formatter(entry.runtime_data.coordinator)
        covers = {folder.key: folder.cover for folder in folders}
        return [
            _folder(
                _name(words, module),
                f"{entry.entry_id}/{module.id}",
                thumbnail=_thumbnail(entry, covers.get(module.id)),
            )
            for module in sorted(home.modules.values(), key=_is_bridge)
            if module.kind is ModuleKind.PANEL or module.id in covers
        ]

    async def _in(
        self, entry: BticinoConfigEntry, place: Module, date: str
    ) -> list[BrowseMediaSource]:
        """Return a month's days or a day's calls; BrowseError: there are none (any more)."""
        children: list[BrowseMediaSource] = []
        if len(date) == DAY:
            children = await self._calls(entry, place, date)
        elif len(date) == MONTH:
            children = await self._folders(entry, place, date)
        if not children:
            raise _nothing()
        return children

    async def _folders(
        self, entry: BticinoConfigEntry, place: Module, within: str = ""
    ) -> list[BrowseMediaSource]:
        """Return the months of a place's calls, or the days within a month."""
        house, calls = entry.runtime_data.coordinator.data, entry.runtime_data.history.calls
        zone = dt_util.get_default_time_zone()
        folders = await self.hass.async_add_executor_job(
            by_time, house, calls, zone, place.id, within
        )
        return [
            _folder(
                folder.key,
                f"{entry.entry_id}/{place.id}/{folder.key}",
                thumbnail=_thumbnail(entry, folder.cover),
            )
            for folder in folders
        ]

    async def _calls(
        self, entry: BticinoConfigEntry, place: Module, day: str
    ) -> list[BrowseMediaSource]:
        house, calls = entry.runtime_data.coordinator.data, entry.runtime_data.history.calls
        zone = dt_util.get_default_time_zone()
        found = await self.hass.async_add_executor_job(of_day, house, calls, zone, place.id, day)
        words = async_call_formatter(entry.runtime_data.coordinator)
        return [item for time, call in found for item in _items(entry, call, time, words)]


def _homes(entry: BticinoConfigEntry) -> list[Home]:
    return [home for home in entry.runtime_data.coordinator.data.homes.values() if home.bridges]


def _is_bridge(module: Module) -> bool:
    return module.kind is ModuleKind.BRIDGE


def _place(entry: BticinoConfigEntry, module_id: str) -> Module:
    """Return a module at which somebody can ring; BrowseError: it is none."""
    module = entry.runtime_data.coordinator.data.modules.get(module_id)
    if module is None or module.kind not in {ModuleKind.PANEL, ModuleKind.BRIDGE}:
        raise _nothing()
    return module


def _name(words: CallFormatter, place: Module) -> str:
    return words.names.get(place.id) or place.name or NAME


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
    entry: BticinoConfigEntry, call: CallRecord, time: str, words: CallFormatter
) -> list[BrowseMediaSource]:
    """Return what there is to see of a call: an item for each picture, else one without."""
    kinds = [kind for kind in KINDS if call.kept(kind) is not None]
    first, others = next(iter(kinds), None), kinds[1:]
    # Frontends cut long titles off: what comes first has to do.
    return [
        _item(entry, call, first, f"{time} · {words.outcome(call)}"),
        *(_item(entry, call, kind, f"{time} · {words.close_up}") for kind in others),
    ]


def _item(
    entry: BticinoConfigEntry, call: CallRecord, kind: str | None, title: str
) -> BrowseMediaSource:
    picture = None if kind is None else call.kept(kind)
    identifier = f"{entry.entry_id}/{call.id}"
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier if kind is None else f"{identifier}/{kind}",
        media_class=MediaClass.IMAGE,
        media_content_type=content_type(picture.file) if picture else IMAGE,
        title=title,
        can_play=kind is not None,
        can_expand=False,
        thumbnail=None if kind is None else picture_path(entry.entry_id, call.id, kind),
    )


def _thumbnail(entry: BticinoConfigEntry, cover: CallRecord | None) -> str | None:
    kind = None if cover is None else first_kind(cover)
    if cover is None or kind is None:
        return None
    return picture_path(entry.entry_id, cover.id, kind)


def _nothing() -> BrowseError:
    return BrowseError(translation_domain=DOMAIN, translation_key="media_not_found")
