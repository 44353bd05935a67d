"""Images of the last call of a panel, and its close-up where the cloud sends one."""

from typing import TYPE_CHECKING, override

from homeassistant.components.image import ImageEntity
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .client import ModuleKind
from .const import DOMAIN
from .entity import OF_UNKNOWN_PANEL, BticinoLocalEntity, EntityAdder, unique_id
from .history.downloads import async_placeholder
from .history.records import SNAPSHOT, VIGNETTE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module
    from .history.records import CallRecord
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0

KEYS = {SNAPSHOT: "last_call", VIGNETTE: "last_call_close_up"}


async def async_setup_entry(
    hass: HomeAssistant,
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add an image for each location with a camera, and others once a picture exists."""
    runtime, adder = entry.runtime_data, EntityAdder(entry, async_add_entities)
    known: set[tuple[str, str]] = set()

    @callback
    def add_new(changed: Collection[str] | None = None) -> None:
        sources = _image_sources(hass, entry, known, changed)
        now = {(module.id, kind): module for module, kind in sources}
        if changed is None:
            known.intersection_update(now)
        new = [(now[key], key[1]) for key in now if key not in known]
        known.update(now)
        adder.async_add(BticinoLastCall(runtime, module, kind) for module, kind in new)

    add_new()
    entry.async_on_unload(runtime.coordinator.async_add_listener(add_new))
    entry.async_on_unload(runtime.history.async_listen(add_new))


def _image_sources(
    hass: HomeAssistant,
    entry: BticinoConfigEntry,
    known: Collection[tuple[str, str]],
    changed: Collection[str] | None,
) -> Iterator[tuple[Module, str]]:
    """Yield the modules that have or had a picture or have a camera, with the kind of picture.

    `changed` are the ids of the modules to look at; None: all.
    """
    registry, runtime = er.async_get(hass), entry.runtime_data
    for module in runtime.coordinator.data.modules.values():
        is_changed = changed is None or module.id in changed
        if not is_changed or module.kind not in {ModuleKind.BRIDGE, ModuleKind.PANEL}:
            continue
        for kind, key in KEYS.items():
            if (
                (module.id, kind) in known
                or (kind == SNAPSHOT and _has_camera(runtime, module))
                or _has_picture(runtime, module, kind)
                or registry.async_get_entity_id(
                    Platform.IMAGE, DOMAIN, unique_id(entry, module.id, key)
                )
            ):
                yield module, kind


def _has_camera(runtime: RuntimeData, module: Module) -> bool:
    """Whether pictures of a module are expected: a panel, or an intercom without panels."""
    return module.kind is ModuleKind.PANEL or not runtime.coordinator.data.panels_of(module.id)


def _has_picture(runtime: RuntimeData, module: Module, kind: str) -> bool:
    """Whether the newest picture of a module is shown only there, not at one of its panels."""
    call = runtime.history.last(module.id, kind)
    return call is not None and module.id == runtime.history.layout.location_of(call)


class BticinoLastCall(BticinoLocalEntity, ImageEntity):
    """The picture of the last call that has one; the state is the time of that call."""

    def __init__(self, runtime: RuntimeData, module: Module, kind: str) -> None:
        ImageEntity.__init__(self, runtime.coordinator.hass)
        super().__init__(runtime, module, KEYS[kind])
        has_panels = bool(self.coordinator.panels_of(module.id))
        self._attr_translation_key = OF_UNKNOWN_PANEL[KEYS[kind]] if has_panels else KEYS[kind]
        self._kind = kind
        self._sources = (runtime.history.async_listen,)
        self._shown = self._call_id

    @property
    @override
    def image_last_updated(self) -> datetime | None:
        call = self._call
        return None if call is None else dt_util.utc_from_timestamp(call.time)

    @override
    async def async_image(self) -> bytes | None:
        """Return the stored picture, or a placeholder."""
        history, call = self._runtime.history, self._call
        image = None if call is None else await history.async_picture(call.id, self._kind)
        image = image or await async_placeholder(self.hass)
        self._attr_content_type = image.content_type
        return image.content

    @callback
    @override
    def _on_source(self, changed: Collection[str] | None) -> None:
        """Change the address with the picture: browsers keep what they have fetched."""
        if self._shown != (shown := self._call_id):
            self._shown = shown
            self.async_update_token()
        super()._on_source(changed)

    @property
    def _call_id(self) -> str | None:
        return None if self._call is None else self._call.id

    @property
    def _call(self) -> CallRecord | None:
        return self._runtime.history.last(self.module.id, self._kind)
