"""Discovery by DHCP: one form for all units, and nothing is sent before a person signs in."""

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_DHCP, SOURCE_IGNORE, SOURCE_USER
from homeassistant.const import CONF_PASSWORD
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.loader import async_get_dhcp
import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import (
    form_fields,
    poll,
    reload_entry,
    sign_in,
    state_of,
    wait_idle,
)
from tests.simulator.paths import HOMESTATUS, TOKEN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

BRIDGE, OTHER = "00:03:50:30:00:0a", "00:03:50:77:77:77"
ADDRESS = "sensor.classe_300x_ip_address"


async def discover(
    hass: HomeAssistant, mac: str = BRIDGE, address: str = "192.0.2.30"
) -> ConfigFlowResult:
    """Act as Home Assistant does when a unit asks for an address."""
    info = DhcpServiceInfo(ip=address, hostname="unit", macaddress=mac.replace(":", ""))
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_DHCP}, data=info
    )
    await wait_idle(hass)
    return result


def flows(hass: HomeAssistant) -> list[str]:
    """Return the steps of the forms that are open."""
    return [each["step_id"] for each in hass.config_entries.flow.async_progress()]


@pytest.mark.parametrize(
    ("mac", "is_meant"),
    [
        (BRIDGE, True),
        (OTHER, True),
        ("00:03:51:00:00:01", False),
        ("70:ee:50:00:00:01", False),
    ],
)
async def test_units_that_are_discovered(hass: HomeAssistant, mac: str, *, is_meant: bool) -> None:
    """BTicino's, and those that are registered already, whatever their address."""
    matchers = [each for each in await async_get_dhcp(hass) if each["domain"] == DOMAIN]
    patterns = [each["macaddress"] for each in matchers if "macaddress" in each]
    plain = mac.replace(":", "").upper()
    assert any(fnmatch(plain, pattern) for pattern in patterns) is is_meant
    assert {"domain": DOMAIN, "registered_devices": True} in matchers


async def test_nothing_is_sent_before_the_sign_in(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The form says which units are meant; it is like the one of a person's own start."""
    result = await discover(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "discovered")
    assert result["description_placeholders"] == {"address": "192.0.2.30"}
    own = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert form_fields(result).keys() == form_fields(own).keys()
    assert list(simulator.journal) == []


async def test_sign_in_from_the_discovery(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A wrong password first; then lights or gates, then the account, as otherwise."""
    flow_id = (await discover(hass))["flow_id"]
    configure = hass.config_entries.flow.async_configure
    result = await configure(flow_id, {**credentials, CONF_PASSWORD: "wrong"})
    assert (result["step_id"], result["errors"]) == ("discovered", {"base": "invalid_auth"})
    assert result["description_placeholders"] == {"address": "192.0.2.30"}
    result = await configure(flow_id, credentials)
    assert result["step_id"] == "lights"
    result = await configure(flow_id, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == simulator.user_id
    await wait_idle(hass)
    assert simulator.journal.count(TOKEN) == 2
    assert flows(hass) == []


@pytest.mark.parametrize("second", [OTHER, BRIDGE])
async def test_two_units_are_one_discovery(hass: HomeAssistant, second: str) -> None:
    """Both belong to the account that signs in."""
    await discover(hass)
    result = await discover(hass, second, "192.0.2.31")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_in_progress")
    assert flows(hass) == ["discovered"]


async def test_discovery_ends_with_another_sign_in(
    hass: HomeAssistant, credentials: dict[str, str]
) -> None:
    """The account was added by hand meanwhile."""
    await discover(hass)
    await sign_in(hass, credentials)
    assert flows(hass) == []


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("mac", [BRIDGE, OTHER])
async def test_account_is_configured(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    mac: str,
    *,
    is_loaded: bool,
) -> None:
    """Every unit of BTicino that is not in the account is of another system: nothing is offered."""
    if not is_loaded:
        await hass.config_entries.async_unload(entry.entry_id)
    result = await discover(hass, mac)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert list(simulator.journal) == []
    assert flows(hass) == []


async def test_ignored_discovery(hass: HomeAssistant, credentials: dict[str, str]) -> None:
    """It is not offered again, for no unit; the account can still be added."""
    await discover(hass)
    (progress,) = hass.config_entries.flow.async_progress()
    data = {"unique_id": progress["context"]["unique_id"], "title": "BTicino Classe"}
    await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_IGNORE}, data=data)
    assert flows(hass) == []
    for mac in (BRIDGE, OTHER):
        assert (await discover(hass, mac))["reason"] == "already_configured"
    entry = await sign_in(hass, credentials)
    assert state_of(hass, "lock.cancello") == "locked"
    await reload_entry(hass, entry)


@pytest.mark.parametrize(
    ("house", "mac"),
    [
        ("classe_300x", BRIDGE),
        ("classe_100x", "00:03:50:ab:cd:ef"),
        ("easykit", "00:03:50:ea:51:01"),
    ],
)
async def test_intercom_is_registered_by_its_address(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], house: str, mac: str
) -> None:
    """So Home Assistant recognizes it in the network; doors and panels have no such address."""
    simulator.use_house(house)
    entry = await sign_in(hass, credentials)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    found = {
        next(iter(device.identifiers))[1]: device.connections
        for device in devices
        if device.connections
    }
    assert found == {mac: {(dr.CONNECTION_NETWORK_MAC, mac)}}


async def test_intercom_with_another_id(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """An id that is no MAC address is none."""
    home, (bridge,) = simulator.house.homes[0], simulator.house.bridges()
    for module in home.modules.values():
        module.bridge = module.bridge and "unit-1"
    del home.modules[bridge.id]
    bridge.id = "unit-1"
    home.modules[bridge.id] = bridge
    entry = await sign_in(hass, credentials)
    registry = dr.async_get(hass)
    device = registry.async_get_device_by_identifier((DOMAIN, "unit-1"), entry.entry_id)
    assert device is not None
    assert device.connections == set()


async def test_new_address_of_a_registered_intercom(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It is shown at once, without a request; the next poll knows best."""
    er.async_get(hass).async_update_entity(ADDRESS, disabled_by=None)
    await reload_entry(hass, entry)
    assert state_of(hass, ADDRESS) == "192.0.2.20"
    simulator.journal.clear()
    await discover(hass, address="192.0.2.40")
    assert state_of(hass, ADDRESS) == "192.0.2.40"
    await discover(hass, OTHER, "192.0.2.50")
    assert state_of(hass, ADDRESS) == "192.0.2.40"
    assert simulator.journal.count(HOMESTATUS) == 0
    await poll(hass, freezer)
    assert state_of(hass, ADDRESS) == "192.0.2.20"
