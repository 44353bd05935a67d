"""Phones with equal names, which have one notify action; it reaches one of them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from homeassistant.components.notify.const import NOTIFY_SERVICE_SCHEMA
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.service import async_extract_entity_ids
from homeassistant.util import slugify
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockEntity,
    MockEntityPlatform,
)

from tests.integration.blueprints.conftest import (
    STREET,
    STREET_CALL,
    STREET_DOORBELL,
    Automate,
    wait_finished,
)
from tests.integration.conftest import wait_until

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall

    from tests.simulator import Simulator

MESSAGE = f"Somebody is ringing at {STREET}."


@dataclass(slots=True)
class NamedPhone:
    """A phone with a notify entity; what it was sent by the action and by the entity."""

    device_id: str
    entity_id: str
    by_action: list[dict[str, Any]] = field(default_factory=list)
    by_entity: list[dict[str, Any]] = field(default_factory=list)


async def add_phones(hass: HomeAssistant, *names: str) -> list[NamedPhone]:
    """Register phones as their apps do; the action of a name belongs to its last phone."""
    phones: list[NamedPhone] = []

    async def send(call: ServiceCall) -> None:
        targets = await async_extract_entity_ids(call)
        for phone in (phone for phone in phones if phone.entity_id in targets):
            phone.by_entity.append(dict(call.data))

    for number, name in enumerate(names):
        entry = MockConfigEntry(domain="mobile_app", title=name)
        entry.add_to_hass(hass)
        entity = MockEntity(
            unique_id=f"phone{number}",
            has_entity_name=True,
            name=None,
            device_info=DeviceInfo(identifiers={("mobile_app", f"phone{number}")}, name=name),
        )
        platform = MockEntityPlatform(hass, domain="notify", platform_name="mobile_app")
        platform.config_entry = entry
        await platform.async_add_entities([entity])
        (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        phones.append(phone := NamedPhone(device.id, entity.entity_id))

        async def receive(call: ServiceCall, phone: NamedPhone = phone) -> None:
            phone.by_action.append(dict(call.data))

        service = slugify(f"mobile_app_{name}")
        hass.services.async_register("notify", service, receive, schema=NOTIFY_SERVICE_SCHEMA)
    hass.services.async_register("notify", "send_message", send)
    return phones


@pytest.mark.parametrize("names", [("iPhone", "iPhone"), ("Anna's phone", "Anna s phone")])
async def test_each_gets_the_text(
    hass: HomeAssistant, automate: Automate, simulator: Simulator, names: tuple[str, str]
) -> None:
    """One of them also gets the buttons, once; a phone with another name is not affected."""
    *equal, tablet = phones = await add_phones(hass, *names, "Tablet")
    await automate(
        "ring_notification",
        doorbells=[STREET_DOORBELL],
        phones=[phone.device_id for phone in phones],
        doors=["lock.portone"],
    )
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: len(tablet.by_action) == 2)
    await wait_finished(hass)
    assert [each["message"] for each in tablet.by_action] == [MESSAGE, "clear_notification"]
    assert tablet.by_entity == equal[0].by_action == []
    assert [each["message"] for each in equal[1].by_action] == [MESSAGE, "clear_notification"]
    for phone in equal:
        assert [each["message"] for each in phone.by_entity] == [MESSAGE]


@pytest.mark.parametrize("blueprint", ["ring_notification", "missed_call"])
async def test_the_other_phone_is_not_notified(
    hass: HomeAssistant, automate: Automate, simulator: Simulator, blueprint: str
) -> None:
    """Only one of them is selected: the action might reach the other, with its buttons."""
    chosen, other = await add_phones(hass, "iPhone", "iPhone")
    bells = {"doorbells": [STREET_DOORBELL]}
    inputs = bells if blueprint == "ring_notification" else {"calls": [STREET_CALL]}
    await automate(blueprint, phones=[chosen.device_id], **inputs)
    simulator.miss(simulator.ring(STREET))
    await wait_until(lambda: chosen.by_entity)
    await wait_finished(hass)
    (sent,) = chosen.by_entity
    assert STREET in sent["message"]
    assert chosen.by_action == other.by_action == other.by_entity == []
