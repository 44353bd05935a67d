"""Doorbell and call events."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.components.event import (
    DoorbellEventType,
    EventDeviceClass,
    EventEntity,
    EventEntityDescription,
)
from homeassistant.core import callback

from .client import CallEventType, Module
from .entity import BticinoCallEntity, async_add_for_modules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Call, CallChange
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BticinoEventDescription(EventEntityDescription):
    """An event entity; `names` maps the changes of a call to its event types."""

    names: Mapping[CallEventType, str]


DOORBELL: Final = BticinoEventDescription(
    key="doorbell",
    translation_key="doorbell",
    device_class=EventDeviceClass.DOORBELL,
    event_types=[DoorbellEventType.RING],
    names={CallEventType.RING: DoorbellEventType.RING},
)
CALL: Final = BticinoEventDescription(
    key="call",
    translation_key="call",
    event_types=["answered", "missed", "ended"],
    names={
        CallEventType.ANSWERED: "answered",
        CallEventType.MISSED: "missed",
        CallEventType.ENDED: "ended",
    },
)


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the events of every panel; those of unknown panels are at the intercom."""

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        if not runtime.coordinator.data.shows_calls(module):
            return []
        return [BticinoEvent(runtime, module, each) for each in (DOORBELL, CALL)]

    async_add_for_modules(entry, async_add_entities, build)


class BticinoEvent(BticinoCallEntity, EventEntity):
    """Fires for the calls of its panel."""

    entity_description: BticinoEventDescription

    @callback
    @override
    def _on_change(self, change: CallChange) -> None:
        name = self.entity_description.names.get(change.type)
        if name is not None and self._runtime.calls.location_of(change.call) == self.module.id:
            self._trigger_event(name, self._attributes(change.call))
            self.async_write_ha_state()

    def _attributes(self, call: Call) -> dict[str, Any]:
        panel = self.coordinator.data.modules.get(call.panel_id or "")
        attributes = {
            "panel": panel.name if panel else None,
            "answered_by": call.answered_by,
            "duration": None if call.duration is None else round(call.duration),
            "picture": self._runtime.downloads.path_of(call),
            "simulated": call.simulated or None,
        }
        return {name: value for name, value in attributes.items() if value is not None}
