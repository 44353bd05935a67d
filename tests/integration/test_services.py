"""Actions besides those of the entities, and the system page."""

from typing import TYPE_CHECKING, Any

from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info
import voluptuous as vol

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import Happenings, heard, online, state_of, the_entry, until

if TYPE_CHECKING:
    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

STREET = "Posto esterno strada"
MISSED = "sensor.classe_300x_missed_calls"


def device(hass: HomeAssistant, name: str) -> str:
    """Return the id of the device of that name."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), the_entry(hass).entry_id)
    (found,) = [each.id for each in devices if each.name == name]
    return found


async def call(hass: HomeAssistant, action: str, user: User | None = None, **data: Any) -> None:
    """Call one of our actions."""
    context = Context(user_id=user.id if user else None)
    await hass.services.async_call(DOMAIN, action, data, blocking=True, context=context)


async def allow_simulated_rings(hass: HomeAssistant) -> None:
    """Choose the option as a person does."""
    entry = the_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    chosen = {"pulse_time": 5, "simulated_rings": True}
    await hass.config_entries.options.async_configure(form["flow_id"], {"history": {}} | chosen)
    await hass.async_block_till_done()
    await online(entry)


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("name", [None, "Classe 300X", STREET])
async def test_missed_calls_are_reset(
    hass: HomeAssistant, simulator: Simulator, name: str | None
) -> None:
    """Of the intercom, of the intercom behind a panel, of all."""
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 4)
    assert state_of(hass, MISSED) == "1"
    data: dict[str, Any] = {"device_id": device(hass, name)} if name else {}
    await call(hass, "reset_missed_calls", **data)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.parametrize(
    ("outcome", "told"), [("missed", "missed"), ("answered", "answered"), ("ended", "ended")]
)
async def test_simulated_ring_is_like_a_ring(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator, outcome: str, told: str
) -> None:
    """At the panel, with its outcome, without a word to the cloud."""
    await allow_simulated_rings(hass)
    simulator.journal.clear()
    where = device(hass, STREET)
    await call(hass, "simulate_ring", device_id=where, outcome=outcome, seconds=1)
    await until(lambda: len(bell.told()) == 2)
    assert state_of(hass, "binary_sensor.posto_esterno_strada_ringing") == "on"
    await until(lambda: len(bell.told()) == 3)
    assert bell.told() == [
        ("event.posto_esterno_strada_doorbell", "ring"),
        ("event.posto_esterno_strada_call", "incoming"),
        ("event.posto_esterno_strada_call", told),
    ]
    assert state_of(hass, "binary_sensor.posto_esterno_strada_ringing") == "off"
    assert len(simulator.journal) == 0


async def test_simulated_ring_at_the_intercom(hass: HomeAssistant, bell: Happenings) -> None:
    """As one whose panel the cloud does not name."""
    await allow_simulated_rings(hass)
    await call(hass, "simulate_ring", device_id=device(hass, "Classe 300X"), seconds=1)
    await until(bell.rings)
    assert bell.rings() == ["event.classe_300x_doorbell"]


async def test_simulated_ring_ends_with_the_entry(hass: HomeAssistant, bell: Happenings) -> None:
    """A reload in the middle of it leaves nothing behind."""
    await allow_simulated_rings(hass)
    await call(hass, "simulate_ring", device_id=device(hass, STREET), seconds=40)
    await until(bell.rings)
    assert await hass.config_entries.async_unload(the_entry(hass).entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_simulated_ring_has_to_be_allowed(hass: HomeAssistant, bell: Happenings) -> None:
    """By an option, which is off at first: an automation may open a door on a ring."""
    with pytest.raises(ServiceValidationError) as caught:
        await call(hass, "simulate_ring", device_id=device(hass, STREET))
    assert caught.value.translation_key == "simulated_rings_not_allowed"
    assert bell.told() == []


async def test_simulated_ring_is_for_administrators(
    hass: HomeAssistant, bell: Happenings, hass_read_only_user: User
) -> None:
    """Others may not set off what opens a door."""
    await allow_simulated_rings(hass)
    with pytest.raises(Unauthorized):
        await call(hass, "simulate_ring", hass_read_only_user, device_id=device(hass, STREET))
    assert bell.told() == []


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("action", ["reset_missed_calls", "simulate_ring"])
async def test_device_that_is_none_of_ours(hass: HomeAssistant, action: str) -> None:
    """It is said, and nothing is done."""
    with pytest.raises(HomeAssistantError) as caught:
        await call(hass, action, device_id="unknown")
    assert caught.value.translation_key is not None


@pytest.mark.usefixtures("bell")
async def test_device_whose_module_is_gone(hass: HomeAssistant, simulator: Simulator) -> None:
    """A device may outlive its module; it has no bell."""
    registry, entry = dr.async_get(hass), the_entry(hass)
    gone = registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "gone")}
    )
    simulator.miss(simulator.ring(STREET))
    await heard(hass, 4)
    with pytest.raises(ServiceValidationError) as caught:
        await call(hass, "reset_missed_calls", device_id=gone.id)
    assert caught.value.translation_key == "device_gone"
    assert state_of(hass, MISSED) == "1"


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("wrong", [{"outcome": "opened"}, {"seconds": 0}, {"seconds": 3600}])
async def test_nonsense_is_refused(hass: HomeAssistant, wrong: dict[str, Any]) -> None:
    """Before anything rings."""
    with pytest.raises(vol.Invalid):
        await call(hass, "simulate_ring", device_id=device(hass, STREET), **wrong)


async def test_system_page(hass: HomeAssistant, bell: Happenings, simulator: Simulator) -> None:
    """Cloud and socket at a glance."""
    assert await async_setup_component(hass, "system_health", {})
    found = await get_system_health_info(hass, DOMAIN)
    assert await found.pop("can_reach_cloud") == "ok"
    assert found == {
        "accounts": 1,
        "polls_failing": 0,
        "push_connection": "online",
        "last_interruption": None,
    }
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await until(lambda: state_of(hass, "binary_sensor.classe_300x_push_connection") == "off")
    socket = the_entry(hass).runtime_data.push.socket
    await until(lambda: socket.last_disconnect and socket.last_disconnect.code == 502)
    found = await get_system_health_info(hass, DOMAIN)
    assert found["push_connection"] != "online"
    assert found["last_interruption"] == "handshake refused (502)"
    await found["can_reach_cloud"]
    assert bell.told() == []


async def test_system_page_without_an_account(hass: HomeAssistant, simulator: Simulator) -> None:
    """It can be looked at before anybody has signed in, and while the cloud is away."""
    assert await async_setup_component(hass, DOMAIN, {})
    assert await async_setup_component(hass, "system_health", {})
    simulator.take_down()
    found = await get_system_health_info(hass, DOMAIN)
    assert found["accounts"] == 0
    assert found["push_connection"] is None
    await found["can_reach_cloud"]
