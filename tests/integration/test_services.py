"""Actions for devices: reset missed calls, simulate a ring."""

from typing import TYPE_CHECKING, Any

from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockUser
import voluptuous as vol

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    EventRecorder,
    device_id_of,
    get_entry,
    reload_entry,
    state_of,
    wait_frames,
    wait_online,
    wait_until,
)

if TYPE_CHECKING:
    from homeassistant.auth.models import User
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

STREET = "Posto esterno strada"
MISSED = "sensor.classe_300x_missed_calls"


@pytest.fixture(autouse=True)
def _enabled(all_entities: None) -> None:
    """Enable also what is disabled by default."""


async def call_domain_action(
    hass: HomeAssistant, action: str, user: User | None = None, **data: Any
) -> None:
    """Call an action of the integration."""
    context = Context(user_id=user.id if user else None)
    await hass.services.async_call(DOMAIN, action, data, blocking=True, context=context)


async def allow_simulated_rings(hass: HomeAssistant) -> None:
    """Turn the option on as a user does."""
    entry = get_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    chosen = {"pulse_time": 5, "simulated_rings": True}
    await hass.config_entries.options.async_configure(form["flow_id"], {"history": {}} | chosen)
    await hass.async_block_till_done()
    await wait_online(entry)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("name", [None, "Classe 300X", STREET])
async def test_missed_calls_are_reset(
    hass: HomeAssistant, simulator: Simulator, name: str | None
) -> None:
    """Of an intercom, of the intercom behind a panel, or of all."""
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    assert state_of(hass, MISSED) == "1"
    data: dict[str, Any] = {"device_id": device_id_of(hass, name)} if name else {}
    await call_domain_action(hass, "reset_missed_calls", **data)
    assert state_of(hass, MISSED) == "0"


@pytest.mark.parametrize("outcome", ["missed", "answered", "ended"])
async def test_simulated_ring(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, outcome: str
) -> None:
    """It fires the panel's events with the chosen outcome, and sends nothing to the cloud."""
    await allow_simulated_rings(hass)
    simulator.journal.clear()
    await call_domain_action(
        hass, "simulate_ring", device_id=device_id_of(hass, STREET), outcome=outcome, seconds=1
    )
    await wait_until(events.rings)
    assert state_of(hass, "binary_sensor.posto_esterno_strada_bell") == "on"
    await wait_until(lambda: len(events.recorded()) == 2)
    assert events.recorded() == [
        ("event.posto_esterno_strada_doorbell", "ring"),
        ("event.posto_esterno_strada_call", outcome),
    ]
    assert state_of(hass, "binary_sensor.posto_esterno_strada_bell") == "off"
    assert events.simulated() == [True, True]
    assert len(simulator.journal) == 0


async def test_real_ring_is_not_marked(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """Also after a simulated one."""
    await allow_simulated_rings(hass)
    await call_domain_action(hass, "simulate_ring", device_id=device_id_of(hass, STREET), seconds=1)
    await wait_until(lambda: len(events.recorded()) == 2)
    simulator.miss(simulator.ring(STREET))
    await wait_until(lambda: len(events.recorded()) == 4)
    assert events.simulated() == [True] * 2 + [None] * 2


async def test_simulated_ring_stays_marked_over_a_reload(
    hass: HomeAssistant, events: EventRecorder, online_entry: ConfigEntry[Any]
) -> None:
    """Its end is reported after the reload."""
    await allow_simulated_rings(hass)
    await call_domain_action(
        hass, "simulate_ring", device_id=device_id_of(hass, STREET), seconds=40
    )
    await wait_until(events.rings)
    (call,) = online_entry.runtime_data.calls.ringing
    await reload_entry(hass, online_entry)
    (continued,) = online_entry.runtime_data.calls.ringing
    assert (call.simulated, continued.simulated) == (True, True)


async def test_simulated_ring_at_the_intercom(hass: HomeAssistant, events: EventRecorder) -> None:
    """Like a ring whose panel the cloud does not name."""
    await allow_simulated_rings(hass)
    await call_domain_action(
        hass, "simulate_ring", device_id=device_id_of(hass, "Classe 300X"), seconds=1
    )
    await wait_until(events.rings)
    assert events.rings() == ["event.classe_300x_doorbell_panel_unknown"]


async def test_simulated_ring_ends_with_the_entry(
    hass: HomeAssistant, events: EventRecorder
) -> None:
    """Unloading during a ring leaves nothing behind."""
    await allow_simulated_rings(hass)
    await call_domain_action(
        hass, "simulate_ring", device_id=device_id_of(hass, STREET), seconds=40
    )
    await wait_until(events.rings)
    assert await hass.config_entries.async_unload(get_entry(hass).entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_simulated_ring_needs_the_option(hass: HomeAssistant, events: EventRecorder) -> None:
    """It is off by default: an automation may open a door on a ring."""
    with pytest.raises(ServiceValidationError) as caught:
        await call_domain_action(hass, "simulate_ring", device_id=device_id_of(hass, STREET))
    assert caught.value.translation_key == "simulated_rings_not_allowed"
    assert events.recorded() == []


async def test_simulated_ring_needs_an_administrator(
    hass: HomeAssistant, events: EventRecorder, hass_read_only_user: User
) -> None:
    """Other users must not trigger what may open a door."""
    await allow_simulated_rings(hass)
    with pytest.raises(Unauthorized):
        await call_domain_action(
            hass, "simulate_ring", hass_read_only_user, device_id=device_id_of(hass, STREET)
        )
    assert events.recorded() == []


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("action", ["reset_missed_calls", "simulate_ring"])
async def test_device_of_another_integration(hass: HomeAssistant, action: str) -> None:
    """The action fails with a translated message."""
    with pytest.raises(HomeAssistantError) as caught:
        await call_domain_action(hass, action, device_id="unknown")
    assert caught.value.translation_key is not None


@pytest.mark.usefixtures("online_entry")
async def test_device_without_its_module(hass: HomeAssistant, simulator: Simulator) -> None:
    """A device may outlive its module; the action is refused."""
    registry, entry = dr.async_get(hass), get_entry(hass)
    gone = registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "gone")}
    )
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 4)
    with pytest.raises(ServiceValidationError) as caught:
        await call_domain_action(hass, "reset_missed_calls", device_id=gone.id)
    assert caught.value.translation_key == "device_gone"
    assert state_of(hass, MISSED) == "1"


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("wrong", [{"outcome": "opened"}, {"seconds": 0}, {"seconds": 3600}])
async def test_invalid_values_are_refused(hass: HomeAssistant, wrong: dict[str, Any]) -> None:
    """Nothing rings."""
    with pytest.raises(vol.Invalid):
        await call_domain_action(
            hass, "simulate_ring", device_id=device_id_of(hass, STREET), **wrong
        )


async def test_reset_needs_a_connected_account(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> None:
    """An action that cannot do what it says fails with a message."""
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await call_domain_action(hass, "reset_missed_calls")
    assert caught.value.translation_key == "no_account"


@pytest.mark.parametrize("names_device", [False, True])
@pytest.mark.usefixtures("entry")
async def test_read_only_user_may_not_reset_missed_calls(
    hass: HomeAssistant, hass_read_only_user: User, names_device: bool
) -> None:
    """Users who may control the reset button may call the action; a read-only user may not."""
    data = {"device_id": device_id_of(hass, "Classe 300X")} if names_device else {}
    group = await hass.auth.async_get_group("system-users")
    assert group is not None
    person = MockUser(groups=[group]).add_to_hass(hass)
    await call_domain_action(hass, "reset_missed_calls", person, **data)
    with pytest.raises(Unauthorized):
        await call_domain_action(hass, "reset_missed_calls", hass_read_only_user, **data)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("entities", "caller", "opens"),
    [
        ({"entity_ids": {"lock.portone": True}}, "automation", True),
        ({"entity_ids": {"lock.portone": True}}, "user", True),
        ({"entity_ids": {"lock.portone": True}}, "other", False),
        ({"all": {"read": True}}, "automation", False),
        ({"entity_ids": {"lock.cancello": True}}, "automation", False),
        ({}, "user", False),
    ],
    ids=str,
)
async def test_open_a_door_for_a_user(
    hass: HomeAssistant,
    simulator: Simulator,
    *,
    entities: dict[str, Any],
    caller: str,
    opens: bool,
) -> None:
    """With the rights of that user, and for nobody else."""
    user, other = MockUser(name="A").add_to_hass(hass), MockUser(name="B").add_to_hass(hass)
    user.mock_policy({"entities": entities})
    callers = {"automation": None, "user": user, "other": other}
    data = {"entity_id": "lock.portone", "user_id": user.id}
    if opens:
        await call_domain_action(hass, "open_door", callers[caller], **data)
    else:
        with pytest.raises(Unauthorized):
            await call_domain_action(hass, "open_door", callers[caller], **data)
    assert len(simulator.journal.commands) == (1 if opens else 0)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("user_id", ["", "gone", None, "inactive"])
async def test_no_door_opens_for_an_unknown_user(
    hass: HomeAssistant, simulator: Simulator, user_id: str | None
) -> None:
    """Nor for one who was deactivated; an event without a user is not an automation."""
    if user_id == "inactive":
        user = MockUser(name="A", is_active=False).add_to_hass(hass)
        user.mock_policy({"entities": {"all": True}})
        user_id = user.id
    with pytest.raises((Unauthorized, vol.Invalid)):
        await call_domain_action(hass, "open_door", entity_id="lock.portone", user_id=user_id)
    assert len(simulator.journal.commands) == 0
