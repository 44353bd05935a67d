"""The entities of every family of intercoms, and of everything behind them."""

from collections import Counter
import logging
from typing import TYPE_CHECKING, Any, Final

from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.diagnostics import async_get_config_entry_diagnostics
from tests.integration.conftest import advance, poll, sign_in, wait_frames, wait_idle
from tests.simulator import HOUSES
from tests.simulator.houses import MYHOME_TYPES
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator
    from tests.simulator.house import Json

#: The entities of a device, as domain and key, by what the device is.
RINGS: Final = {"binary_sensor.in_call", "binary_sensor.ringing", "event.call", "event.doorbell"}
KINDS: Final = {
    "intercom": {
        *("binary_sensor.connection", "binary_sensor.push_connection"),
        *("camera.call_home", "button.reset_missed_calls"),
        *("sensor.last_boot", "sensor.last_call_outcome"),
        *("sensor.local_address", "sensor.missed_calls", "sensor.stream_views"),
        "sensor.wifi_strength",
    },
    "calls": RINGS | {"button.next_panel"},  # of an intercom that has not exactly one panel
    "panel": RINGS | {"camera.camera", "image.last_call"},
    "picture": {"camera.camera", "image.last_call"},  # of an intercom without panels
    "settings": {
        *("select.do_not_disturb", "select.professional_studio"),
        *("number.do_not_disturb_duration", "sensor.do_not_disturb_until"),
    },
    "cctv": {"camera.camera"},
    "door": {"lock.lock", "button.open"},
    "light": {"light.light"},
}


def kind_of(entities: set[str]) -> str:
    """Return what a device is, by its entities; those that do not belong there by their names."""
    exact = [kind for kind, own in KINDS.items() if own == entities]
    if exact:
        return exact[0]
    found = []
    for kind, own in KINDS.items():
        if own <= entities:
            found.append(kind)
            entities = entities - own
    return " + ".join([*found, *sorted(entities)])


def described(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[str]:
    """Return the devices with their kinds, and the entities without a device, by name."""
    entries = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    by_device: dict[str | None, set[str]] = {device.id: set() for device in devices}
    for each in entries:
        if each.device_id is not None:
            key = each.unique_id.rpartition("-")[2]
            by_device[each.device_id].add(f"{each.domain}.{key}")
    alone = [f"{each.original_name}: {each.domain}" for each in entries if each.device_id is None]
    return [*(f"{each.name}: {kind_of(by_device[each.id])}" for each in devices), *alone]


DEVICES: Final = {
    "classe_100x": [
        "Classe 100X: intercom",
        "Cancello: panel",
        "Porta: door",
        "Scale: light",
        "Casa calls: calendar",
    ],
    "classe_300x": [
        "Classe 300X: intercom + calls + settings",
        "Posto esterno strada: panel",
        "Posto esterno cortile: panel",
        "Cancello: door",
        "Portone: door",
        "Box: door",
        "Luce scale: light",
        "Casa calls: calendar",
    ],
    "classe_300eos": [
        "Classe 300EOS: intercom",
        "Entrance panel 1: panel",
        "Door 1: door",
        "Door 2: door",
        "Staircase light 1: light",
        "Casa calls: calendar",
    ],
    "classe_300eos_gate": [
        "Classe 300EOS: intercom",
        "Entrance panel 1: panel",
        "Door 1: door",
        "Casa calls: calendar",
    ],
    "easykit": [
        "EasyKit: intercom",
        "Entrance panel 1: panel",
        "Door 1: door",
        "Casa calls: calendar",
    ],
    "myhome_gateway": [
        "Classe 300EOS: intercom",
        "Entrance panel 1: panel",
        "Door 1: door",
        "Staircase light 1: light",
        "Casa calls: calendar",
    ],
    "home_control": [
        "Classe 300EOS: intercom",
        "Entrance panel 1: panel",
        "Door 1: door",
        "Casa calls: calendar",
    ],
    "hybrid": ["Hybrid: intercom", "Cancello: panel", "Porta: door", "Casa calls: calendar"],
    "ip_units": [
        "Posto interno: intercom + calls",
        "Ingresso: panel",
        "Entrance panel 1: panel",
        "Porta: door",
        "Scale: light",
        "Casa calls: calendar",
    ],
    "connected_panel": [
        "Classe 100X: intercom",
        "Ingresso: panel",
        "Porta: door",
        "Casa calls: calendar",
    ],
    "bpac": ["BPAC: intercom", "Cancello: panel", "Porta: door", "Casa calls: calendar"],
    "bcepa": ["Ingresso: intercom + calls + picture", "Casa calls: calendar"],
    "bpvc": [
        "Classe 300X: intercom + settings",
        "Cancello: panel",
        "Porta: door",
        "Casa calls: calendar",
    ],
    "cctv": [
        "Classe 300X: intercom + settings",
        "Cancello: panel",
        "Porta: door",
        "Giardino: cctv",
        "CCTV camera 1: cctv",
        "Casa calls: calendar",
    ],
    "three_panels": [
        "Classe 300X: intercom + calls + settings",
        "Posto esterno cancello: panel",
        "Posto esterno portone: panel",
        "Posto esterno box: panel",
        "Cancello: door",
        "Portone: door",
        "Box: door",
        "Casa calls: calendar",
    ],
    "easykit_three_panels": [
        "EasyKit: intercom + calls",
        "Entrance panel 1: panel",
        "Entrance panel 2: panel",
        "Entrance panel 3: panel",
        "Door 1: door",
        "Casa calls: calendar",
    ],
    "voice_only": [
        "Classe 100X: intercom",
        "Citofono: panel",
        "Porta: door",
        "Casa calls: calendar",
    ],
    "two_homes": [
        "Classe 100X: intercom",
        "Classe 300X: intercom + calls + settings",
        "Cancello (Casa): panel",
        "Porta: door",
        "Scale: light",
        "Posto esterno strada: panel",
        "Posto esterno cortile: panel",
        "Cancello: door",
        "Portone: door",
        "Box: door",
        "Luce scale: light",
        "Casa calls: calendar",
        "Casa al mare calls: calendar",
    ],
    "unlisted_modules": [
        "Classe 100X: intercom",
        "Entrance panel 1: panel",
        "Door 1: door",
        "Staircase light 1: light",
        "Casa calls: calendar",
    ],
    "strange": [
        "Classe 100X: intercom",
        "Cancello: panel",
        "Porta: door",
        "Scale: light",
        "Door 1: door",
        "Casa calls: calendar",
    ],
}
DEBOUNCE_SECONDS: Final = 11  # of a coordinator's requests, and a little more
WITHOUT_INTERCOM: Final = {"no_intercom", "empty"}
GENERATED: Final = ("modules_", "panels_")  # houses of a number of equal modules


def test_every_house_is_listed() -> None:
    """A new house of the simulator has to say what Home Assistant shows of it."""
    houses = {name for name in HOUSES if not name.startswith(GENERATED)}
    assert houses == DEVICES.keys() | WITHOUT_INTERCOM


@pytest.mark.parametrize("house", DEVICES)
async def test_entities(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    house: str,
) -> None:
    """They are those of the family; nothing is logged, and no repair issue is raised."""
    simulator.use_house(house)
    entry = await sign_in(hass, credentials)
    assert described(hass, entry) == DEVICES[house]
    assert is_quiet(hass, caplog)
    assert simulator.violations == []


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the integration has logged for people to read.

    Not about the push connection: without one, it depends on the machine's speed.
    """
    own = (r for r in caplog.records if r.name.startswith(f"custom_components.{DOMAIN}"))
    logged = [record.getMessage() for record in own if record.levelno >= logging.INFO]
    return [line for line in logged if "push connection" not in line]


def is_quiet(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> bool:
    """Whether nothing was logged for people to read, and no repair issue was raised.

    Without the push connection, which not all tests have, an issue is correct.
    """
    issues = [
        key
        for (domain, _), each in ir.async_get(hass).issues.items()
        if domain == DOMAIN and not (key := each.translation_key or "").startswith("nothing_rings")
    ]
    return warnings(caplog) == issues == []


async def test_polls_of_a_gateway_are_quiet(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Modules of another system cause nothing but one more list of modules; they are counted."""
    simulator.use_house("myhome_gateway")
    entry = await sign_in(hass, credentials)
    await poll(hass, freezer)  # some are only in the status, so their names are requested
    caplog.clear()
    simulator.journal.clear()
    for _ in range(10):
        await poll(hass, freezer)
    requests = Counter(request.path for request in simulator.journal)
    assert (requests[HOMESTATUS], requests[HOMESDATA]) == (10, 0)
    assert described(hass, entry) == DEVICES["myhome_gateway"]
    assert is_quiet(hass, caplog)
    report = await async_get_config_entry_diagnostics(hass, entry)
    bridge = report["house"]["home-1"]["modules"]["bridge-1"]
    assert (bridge["state"]["firmware"], bridge["state"]["use_pincode"]) == ("30212", False)
    types = report["counters"]["unknown_types"]
    assert {kind: types[kind] for kind in MYHOME_TYPES} == dict.fromkeys(MYHOME_TYPES, 10)


@pytest.mark.parametrize("house_name", ["myhome_gateway"])
@pytest.mark.parametrize("fields", [{}, {"reachable": True}, {"reachable": False}])
async def test_pushes_of_a_gateway_are_quiet(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, object],
) -> None:
    """Modules that come and go cause no request; for those that no answer contains, few."""
    bridge = simulator.house.bridges()[0]
    foreign = [m.id for m in simulator.house.modules() if m.type in MYHOME_TYPES]
    unlisted = [f"e05a02-ee{number:02}-1" for number in range(30)]
    await online_entry.runtime_data.coordinator.async_refresh()  # requests the missing names
    await advance(hass, freezer, DEBOUNCE_SECONDS)
    simulator.journal.clear()
    frames = online_entry.runtime_data.push.socket.counters["frames"]
    for module_ids, most in ((foreign, 0), (unlisted, 2)):
        for module_id in module_ids * 2:
            extra: Json = {"device_id": bridge.id, "module_id": module_id, **fields}
            simulator.push({"push_type": "BNCX-reachable_module_event", "extra_params": extra})
        frames += 2 * len(module_ids)
        await wait_frames(hass, frames)
        await wait_idle(hass)
        for _ in range(2):
            await advance(hass, freezer, DEBOUNCE_SECONDS)
        assert simulator.journal.count(HOMESDATA) <= most
        assert simulator.journal.count(HOMESTATUS) <= most
    assert is_quiet(hass, caplog)
