"""Bell and line of the panels, and the connections between cloud, intercom and Home Assistant."""

from typing import TYPE_CHECKING, override

from homeassistant.components.binary_sensor import BinarySensorDeviceClass, BinarySensorEntity
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .client import Module, ModuleKind
from .entity import BticinoCallEntity, BticinoEntity, BticinoLocalEntity, async_add_for_modules

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .listeners import ModuleListener
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of every intercom and panel."""

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        found: list[Entity] = []
        if runtime.coordinator.data.shows_calls(module):
            found += [
                BticinoBell(runtime, module, "ringing"),
                BticinoLine(runtime, module, "in_call"),
            ]
        if module.kind is ModuleKind.BRIDGE:
            found += [
                BticinoConnection(runtime, module, "connection"),
                BticinoPushConnection(runtime, module, "push_connection"),
            ]
        return found

    async_add_for_modules(entry, async_add_entities, build)


class BticinoBell(BticinoCallEntity, BinarySensorEntity):
    """On while a call rings at the panel."""

    # Also how a blueprint finds it among the entities of the panel's device.
    _attr_device_class = BinarySensorDeviceClass.SOUND
    _attr_translation_key = "ringing"

    @property
    @override
    def available(self) -> bool:
        return self._runtime.push.is_online

    @property
    @override
    def is_on(self) -> bool:
        return self._runtime.calls.is_ringing_at(self.module.id)


class BticinoLine(BticinoCallEntity, BinarySensorEntity):
    """On while a viewer is connected here, or a call is answered here or elsewhere.

    The line of an only panel is that of the intercom. Disabled by default: Activity would list each
    call twice.
    """

    _attr_translation_key = "in_call"
    _attr_entity_registry_enabled_default = False

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._sources = (runtime.live.async_listen,)

    @property
    @override
    def available(self) -> bool:
        """Without pushes, only a viewer in Home Assistant is certain."""
        return self._runtime.push.is_online or self._runtime.live.has_viewer(self._line_id)

    @property
    @override
    def is_on(self) -> bool:
        live, panels = self._runtime.live, self.coordinator.panels_of(self.module.id)
        return live.in_call(self._line_id) and not any(live.in_call(panel) for panel in panels)

    @property
    def _line_id(self) -> str:
        module, house = self.module, self.coordinator.data
        return module.intercom_id if house.is_only_panel(module) else module.id

    @callback
    @override
    def _on_source(self, changed: Collection[str] | None) -> None:
        super()._on_source(None if changed and self.module.intercom_id in changed else changed)


class BticinoConnection(BticinoEntity, BinarySensorEntity):
    """The intercom's connection to the cloud; available while it is off, to show that."""

    _attr_device_class = BinarySensorDeviceClass.CONNECTIVITY
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "connection"

    @property
    @override
    def available(self) -> bool:
        coordinator = self.coordinator
        return coordinator.last_update_success and coordinator.has_answered(self.module.id)

    @property
    @override
    def is_on(self) -> bool:
        return (
            self.coordinator.known_homes.is_listed(self.module.id) and self.module_state.reachable
        )


class BticinoPushConnection(BticinoLocalEntity, BinarySensorEntity):
    """Home Assistant's push connection to the cloud, which delivers the rings."""

    _attr_device_class = BinarySensorDeviceClass.CONNECTIVITY
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "push_connection"

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        self._sources = (self._listen,)

    @property
    @override
    def is_on(self) -> bool:
        return self._runtime.push.is_online

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str | datetime] | None:
        """Why it is off, and since when."""
        offline = self._runtime.push.offline
        if offline is None:
            return None
        since = dt_util.utc_from_timestamp(int(offline.since))
        return {"reason": offline.reason.value, "since": since}

    def _listen(self, listener: ModuleListener) -> CALLBACK_TYPE:
        return self._runtime.push.listen_states(lambda _: listener(None))
