"""docs/entities.md lists the entities of a new installation of each model."""

import os
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr, entity_registry as er

from tests.contract.entity_table import DOCUMENT, MODELS, WRITE, Entity, generated
from tests.integration.conftest import sign_in

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


def entities_of(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[Entity]:
    """Return what the registry has of an account."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    devices = {
        device.id: device
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    }
    return [
        Entity(
            device=device_name(devices.get(each.device_id or "")),
            name=each.original_name or each.domain.capitalize(),
            domain=each.domain,
            is_enabled=each.disabled_by is None,
        )
        for each in entities
    ]


def device_name(device: dr.DeviceEntry | None) -> str:
    """Return what an entity belongs to."""
    if device is None:
        return "Home"
    return "Intercom" if device.via_device_id is None else str(device.model)


async def test_documented_entities(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """All of each model, enabled or not."""
    found = {}
    for model, house in MODELS.items():
        simulator.use_house(house)
        entry = await sign_in(hass, credentials)
        found[model] = entities_of(hass, entry)
        await hass.config_entries.async_remove(entry.entry_id)
    text = DOCUMENT.read_text(encoding="utf-8")
    if os.environ.get(WRITE):
        DOCUMENT.write_text(generated(text, found), encoding="utf-8")
    else:
        assert text == generated(text, found), "run python -m tests.contract.entity_table"
