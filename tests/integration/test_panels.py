"""What an intercom shows of calls depends on how many of its panels are known."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.bticino_classe import async_remove_config_entry_device
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import (
    EventRecorder,
    poll,
    reload_entry,
    restart_entry,
    sign_in,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.simulator.houses import HOUSES, child_id

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator
    from tests.simulator.house import House
    from tests.simulator.houses import Factory

UNKNOWN: Final = ", panel unknown"
CALLS: Final = ("Bell", "Call", "Doorbell", "Line")
#: House of each model, and whether its pushes name the panel.
MODELS: Final = {
    "classe_100x": True,
    "classe_300x": True,
    "classe_300eos": False,
    "easykit": False,
}


def with_panels(model: str, count: int) -> Factory:
    """Return a factory of a model's house with a number of panels."""

    def build(now: float) -> House:
        house = HOUSES[model](now)
        (home,), (bridge,) = house.homes, house.bridges()
        for panel in house.panels():
            del home.modules[panel.id]
        for number in range(count):
            house_of_panels = HOUSES["three_panels"](now)
            panel = house_of_panels.panels()[number]
            panel.id, panel.bridge = child_id(bridge.id, 50 + number), bridge.id
            panel.name = f"Ingresso {number}"
            home.modules[panel.id] = panel
        return house

    return build


def of_intercom(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, bool]:
    """Return what the intercom has for calls, by name, and whether it is enabled."""
    (bridge,) = entry.runtime_data.coordinator.data.bridges
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, bridge.id), entry.entry_id)
    assert device is not None
    entities = er.async_entries_for_device(
        er.async_get(hass), device.id, include_disabled_entities=True
    )
    names = (*CALLS, *(f"{name}{UNKNOWN}" for name in CALLS), "Next panel")
    return {
        str(each.original_name): each.disabled_by is None
        for each in entities
        if each.original_name in names
    }


def expected(count: int, *, names_panels: bool) -> dict[str, bool]:
    """Return what an intercom with a number of panels has for calls."""
    if count == 1:
        return {}
    suffix = UNKNOWN if count else ""
    enabled = {f"{name}{suffix}": not (count and names_panels) for name in CALLS}
    return enabled | {f"Line{suffix}": False, "Next panel": True}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("model", MODELS)
async def test_entities_of_the_intercom(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    model: str,
    count: int,
) -> None:
    """After the first set-up, a restart, and a restart without the cloud."""
    simulator.use_house(with_panels(model, count))
    entry = await sign_in(hass, credentials)
    wanted = expected(count, names_panels=MODELS[model])
    assert of_intercom(hass, entry) == wanted
    await restart_entry(hass, entry)
    assert of_intercom(hass, entry) == wanted
    simulator.take_down()
    await restart_entry(hass, entry)
    assert of_intercom(hass, entry) == wanted


@pytest.mark.parametrize(("model", "least"), [*((model, 1) for model in MODELS), ("easykit", 0)])
async def test_panels_come_and_go(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    model: str,
    least: int,
) -> None:
    """At run time: listed one after the other; gone once a person deletes their devices."""
    simulator.use_house(with_panels(model, least))
    entry = await sign_in(hass, credentials)
    panels = []
    for count in range(least + 1, 4):
        panels.append(simulator.add_module(kind="BNEU", name=f"Ingresso {count}"))
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        await poll(hass, freezer)
        assert of_intercom(hass, entry) == expected(count, names_panels=MODELS[model])
    for count in range(2, least - 1, -1):
        panel = panels.pop()
        simulator.remove_module(panel.id)
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
        unchanged = expected(count + 1, names_panels=MODELS[model])
        assert of_intercom(hass, entry) == unchanged, "the cloud's answer may be incomplete"
        device = dr.async_get(hass).async_get_device_by_identifier(
            (DOMAIN, panel.id), entry.entry_id
        )
        assert device is not None
        # As Home Assistant does when a person deletes it; its WebSocket does not outlive the hours.
        assert await async_remove_config_entry_device(hass, entry, device)
        dr.async_get(hass).async_remove_device(device.id)
        await wait_idle(hass)
        assert of_intercom(hass, entry) == expected(count, names_panels=MODELS[model])


async def test_all_panels_come_at_once(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """The intercom's own entities become those of unknown panels."""
    simulator.use_house(with_panels("easykit", 0))
    entry = await sign_in(hass, credentials)
    for number in (1, 2):
        simulator.add_module(kind="BNEU", name=f"Ingresso {number}")
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert of_intercom(hass, entry) == expected(2, names_panels=False)
    state = hass.states.get("event.easykit_doorbell")
    assert state is not None
    assert state.name == "EasyKit Doorbell, panel unknown"


async def test_entities_of_an_earlier_version_are_removed(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Only once the cloud has answered; those that are still provided keep their ids."""
    simulator.use_house("classe_100x")
    entry = await sign_in(hass, credentials)
    await hass.config_entries.async_unload(entry.entry_id)
    registry, bridge = er.async_get(hass), simulator.house.bridges()[0].id
    obsolete = {
        registry.async_get_or_create(
            domain, DOMAIN, f"{entry.unique_id}-{bridge}-{key}", config_entry=entry
        ).entity_id
        for domain, key in (
            *(("event", "doorbell"), ("event", "call"), ("sensor", "last_call")),
            *(("binary_sensor", "ringing"), ("binary_sensor", "in_call")),
            ("button", "next_panel"),
        )
    }
    kept = "binary_sensor.classe_100x_intercom_online"
    registry.async_update_entity(kept, new_entity_id="binary_sensor.classe_100x_cloud_connection")
    simulator.take_down()
    await restart_entry(hass, entry)
    assert all(registry.async_get(entity_id) for entity_id in obsolete)
    simulator.bring_up()
    await reload_entry(hass, entry)
    assert not any(registry.async_get(entity_id) for entity_id in obsolete)
    assert registry.async_get("binary_sensor.classe_100x_cloud_connection")


@pytest.mark.parametrize("house_name", MODELS)
@pytest.mark.parametrize("is_named", [False, True])
async def test_ring_at_the_only_panel(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    house_name: str,
    is_named: bool,
) -> None:
    """Without a panel, or of one that is not listed yet: no ring is lost."""
    simulator.sockets.handshake_status = None
    simulator.use_house(with_panels(house_name, 1))
    entry = await sign_in(hass, credentials)
    await wait_online(entry)
    events = EventRecorder(hass)
    if is_named:
        panel = simulator.add_module(kind="BNEU", name="Nuovo")
        panel.listed, panel.silent = False, True
        call = simulator.ring(panel.id)
    else:
        call = simulator.ring(offer=False)
    await wait_until(events.rings)
    assert events.rings() == ["event.ingresso_0_doorbell"]
    simulator.miss(call)
    await wait_until(lambda: ("event.ingresso_0_call", "missed") in events.recorded())
    await wait_frames(hass, 1)


@pytest.mark.parametrize(
    "model",
    [
        name
        for name in HOUSES
        if name not in {"no_intercom", "empty"} and not name.startswith(("modules_", "panels_"))
    ],
)
async def test_nothing_is_unavailable_in_a_healthy_house(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], model: str
) -> None:
    """No entity that is enabled by default, in any house."""
    simulator.sockets.handshake_status = None
    simulator.use_house(model)
    await wait_online(await sign_in(hass, credentials))
    assert [each.entity_id for each in hass.states.async_all() if each.state == "unavailable"] == []


@pytest.mark.parametrize(
    ("language", "models"),
    [
        ("en", {"EasyKit", "Entrance panel", "Door lock"}),
        ("it", {"EasyKit", "Posto esterno", "Serratura"}),
    ],
)
async def test_models_in_the_language_of_the_house(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    language: str,
    models: set[str],
) -> None:
    """Of the devices; the products keep their names."""
    hass.config.language = language
    simulator.use_house("easykit")
    entry = await sign_in(hass, credentials)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert {device.model for device in devices} == models
