"""Diagnostics help to find a fault, and may be posted in public."""

import json
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_TOKEN
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from tests.integration.conftest import (
    Happenings,
    heard,
    refused,
    restart,
    settle,
    sign_in,
    the_entry,
)
from tests.integration.history.stored import calls_of
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator


def personal(simulator: Simulator, entry: ConfigEntry[Any]) -> set[str]:
    """Return everything that tells who and where."""
    secrets = {simulator.email, simulator.password, simulator.user_id, entry.title}
    secrets |= {str(value) for key, value in entry.data[CONF_TOKEN].items() if "token" in key}
    for home in simulator.house.homes:
        secrets |= {home.id, home.name, home.timezone, *map(str, home.coordinates)}
        for module in home.modules.values():
            secrets |= {module.id, module.name or module.id}
    return secrets | {"192.0.2.20", "Europe", "00:03:50"}


async def test_nothing_tells_who_or_where(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """No name, address, id, token, place or network; the options' ids are replaced as well."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    light = next(iter(simulator.lights))
    hass.config_entries.async_update_entry(entry, options={"lights_as_doors": [light]})
    report = json.dumps(await get_diagnostics_for_config_entry(hass, hass_client, entry))
    assert [secret for secret in personal(simulator, entry) if secret in report] == []
    assert '"lights_as_doors": ["light-1"]' in report


async def test_what_helps_is_there(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """Kinds, links, states and counters, with the same name for an id wherever it stands."""
    simulator.fail(SETSTATE, Failure(code=21))
    await refused(hass, "lock", "open", "lock.cancello")
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    modules = report["house"]["home-1"]["modules"]
    assert modules["door-1"]["bridge"] == "bridge-1"
    assert modules["door-1"]["type"] == "BNDL"
    assert modules["bridge-1"]["state"]["firmware"] == "1.8.1"
    assert report["entry"]["token"]["stored"] is True
    assert 10_000 < report["entry"]["token"]["seconds_left"] <= 10_800
    counters = report["counters"]
    assert counters["modules"] == {"bridge": 1, "door": 3, "light": 1, "panel": 2, "unknown": 0}
    assert counters["requests"]["InvalidRequestError"] == 1
    assert counters["sign_in"] == {}


async def test_entry_that_is_not_loaded(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """There is a report when set-up failed: that is when one is wanted."""
    simulator.take_down()
    await restart(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["entry"]["state"] == "setup_retry"
    assert report["house"] is None


async def test_ids_that_only_the_options_name_are_replaced(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """Of a light and a home that are gone, and of an entry that is not loaded."""
    options = {"lights_as_doors": ["30000a-0606-gone"], "excluded_homes": ["64a1b2c3-gone"]}
    hass.config_entries.async_update_entry(entry, options=options)
    for _ in range(2):
        report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
        assert report["entry"]["options"] == {
            "lights_as_doors": [f"light-{1 + (report['house'] is not None)}"],
            "excluded_homes": [f"home-{1 + (report['house'] is not None)}"],
        }
        simulator.take_down()
        await restart(hass, entry)


async def test_bridge_that_is_no_module_is_replaced(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """Its address is named by its doors alone."""
    simulator.house.homes[0].modules["30000a-0303-aa11bb22cc03"].bridge = "00:03:50:99:99:99"
    await restart(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert "00:03:50" not in json.dumps(report)
    assert report["house"]["home-1"]["modules"]["door-1"]["bridge"] == "bridge-2"


async def test_bell_is_described(
    hass: HomeAssistant,
    bell: Happenings,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """How the socket fares, and the shape of what nobody understood; no value of it."""
    simulator.miss(simulator.ring("Posto esterno strada", receivers=2))
    simulator.push({"push_type": "BNC3-party", "extra_params": {"device_id": "00:03:50:30:00:0a"}})
    await heard(hass, 8)
    report = await get_diagnostics_for_config_entry(hass, hass_client, the_entry(hass))
    assert report["bell"] == {
        "state": "online",
        "last_ending": None,
        "socket": {"frames": 8},
        "pushes": {"pushes": 3, "repeats": 3, "unknown": 1},
        "unknown_pushes": [
            {"_id": "str", "push_type": "BNC3-party", "extra_params": {"device_id": "str"}}
        ],
        "ringing": 0,
    }
    assert [s for s in personal(simulator, the_entry(hass)) if s in json.dumps(report)] == []
    assert len(bell.rings()) == 1


@pytest.mark.usefixtures("bell")
async def test_history_is_not_described(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither there nor in the log is anything of who rang: what was missed is nobody else's."""
    before = await get_diagnostics_for_config_entry(hass, hass_client, the_entry(hass))
    caplog.clear()
    simulator.miss(simulator.ring("Posto esterno strada"))
    await heard(hass, 4)
    await settle(hass)
    after = await get_diagnostics_for_config_entry(hass, hass_client, the_entry(hass))
    for report in (before, after):
        for changing in ("socket", "pushes"):
            del report["bell"][changing]
        del report["entry"]["token"], report["counters"]
    assert before == after
    (*_, call) = await calls_of(hass)
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("custom_components")]
    assert not any(word in text for text in ours for word in (call.id, call.session, "/blob/"))
