"""Diagnostics: useful for support, and safe to publish."""

import json
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_TOKEN
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from tests.integration.conftest import (
    EventRecorder,
    expect_refused,
    forget_house,
    get_entry,
    reload_entry,
    sign_in,
    wait_frames,
    wait_idle,
)
from tests.integration.history.stored import calls_of
from tests.simulator import Failure, usage_limit
from tests.simulator.paths import HOMESDATA, HOMESTATUS, SETSTATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator


def personal_data(simulator: Simulator, entry: ConfigEntry[Any]) -> set[str]:
    """Return everything that identifies the owner or the place."""
    secrets = {simulator.email, simulator.password, simulator.user_id, entry.title}
    secrets |= {str(value) for key, value in entry.data[CONF_TOKEN].items() if "token" in key}
    for home in simulator.house.homes:
        secrets |= {home.id, home.name, home.timezone, *map(str, home.coordinates)}
        for module in home.modules.values():
            secrets |= {module.id, module.name or module.id}
    return secrets | {"192.0.2.20", "Europe", "00:03:50"}


async def test_no_personal_data(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    credentials: dict[str, str],
) -> None:
    """No name, address, id, token, location or network; ids in the options are replaced, too."""
    simulator.use_house("two_homes")
    entry = await sign_in(hass, credentials)
    light = next(iter(simulator.lights))
    options = {"lights_as_doors": [light], "gates": ["30000a-0707-gone"]}
    hass.config_entries.async_update_entry(entry, options=options)
    report = json.dumps(await get_diagnostics_for_config_entry(hass, hass_client, entry))
    assert [secret for secret in personal_data(simulator, entry) if secret in report] == []
    assert '"lights_as_doors": ["light-1"]' in report
    assert '"gates": ["relay-1"]' in report


@pytest.mark.parametrize("house_name", ["classe_300x", "classe_300eos", "easykit"])
@pytest.mark.parametrize("spell", [str.upper, lambda key: key.replace(":", "/")])
async def test_no_id_in_another_spelling(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    credentials: dict[str, str],
    house_name: str,
    spell: Callable[[str], str],
) -> None:
    """The cloud's own spelling of an id is in no state; the ids contain a MAC address."""
    simulator.use_house(house_name)
    for home in simulator.house.homes:
        for module in home.modules.values():
            module.id, module.bridge = spell(module.id), module.bridge and spell(module.bridge)
        home.modules = {module.id: module for module in home.modules.values()}
    entry = await sign_in(hass, credentials)
    report = json.dumps(await get_diagnostics_for_config_entry(hass, hass_client, entry)).lower()
    assert [module.id for module in simulator.house.modules() if module.id.lower() in report] == []


async def test_contents(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """Kinds, links, states and counters, with the same placeholder for an id everywhere."""
    simulator.fail(SETSTATE, Failure(code=21))
    await expect_refused(hass, "lock", "open", "lock.cancello")
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    modules = report["house"]["home-1"]["modules"]
    assert modules["door-1"]["bridge"] == "bridge-1"
    assert modules["door-1"]["type"] == "BNDL"
    assert modules["bridge-1"]["state"]["firmware"] == "1.8.1"
    assert report["entry"]["token"]["stored"] is True
    assert 10_000 < report["entry"]["token"]["seconds_left"] <= 10_800
    counters = report["counters"]
    kinds = {"bridge": 1, "door": 3, "light": 1, "panel": 2, "camera": 0, "relay": 0, "unknown": 0}
    assert counters["modules"] == kinds
    assert counters["requests"]["InvalidRequestError"] == 1
    assert counters["sign_in"] == {}


async def test_entry_that_is_not_loaded(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """There is a report when set-up has failed: that is when one is needed."""
    await forget_house(hass, entry)
    simulator.take_down()
    await reload_entry(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["entry"]["state"] == "setup_retry"
    assert report["house"] is None


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Failure(status=503, html=True), "cannot_connect"),
        (usage_limit(), "too_many_requests"),
        (Failure(code=13), "forbidden"),
        (Failure(wrong_json=True), "unexpected_answer"),
    ],
    ids=str,
)
async def test_start_without_the_cloud(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    failure: Failure,
    reason: str,
) -> None:
    """The report says why entities are unavailable."""
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["house"]["home-1"]["answered"] is True
    assert report["counters"]["list_of_modules"] == "received"
    assert report["counters"]["failure"] is None
    for path in (HOMESDATA, HOMESTATUS):
        simulator.fail(path, failure, times=10)
    await reload_entry(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["entry"]["state"] == "loaded"
    assert report["house"]["home-1"]["answered"] is False
    assert report["counters"]["list_of_modules"] == "stored"
    assert report["counters"]["failure"] == reason


async def test_ids_found_only_in_the_options_are_replaced(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """A removed light and a removed home, also while the entry is not loaded."""
    options = {"lights_as_doors": ["30000a-0606-gone"], "excluded_homes": ["64a1b2c3-gone"]}
    hass.config_entries.async_update_entry(entry, options=options)
    for _ in range(2):
        report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
        assert report["entry"]["options"] == {
            "lights_as_doors": [f"light-{1 + (report['house'] is not None)}"],
            "excluded_homes": [f"home-{1 + (report['house'] is not None)}"],
        }
        simulator.take_down()
        await reload_entry(hass, entry)


async def test_unlisted_intercom_id_is_replaced(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """Only its doors refer to it."""
    simulator.house.homes[0].modules["30000a-0303-aa11bb22cc03"].bridge = "00:03:50:99:99:99"
    await reload_entry(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert "00:03:50" not in json.dumps(report)
    assert report["house"]["home-1"]["modules"]["door-1"]["bridge"] == "bridge-2"


async def test_push_connection(
    hass: HomeAssistant,
    events: EventRecorder,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """State, counters, and the structure of unknown messages without their values."""
    simulator.miss(simulator.ring("Posto esterno strada", receivers=2))
    simulator.push({"push_type": "BNC3-party", "extra_params": {"device_id": "00:03:50:30:00:0a"}})
    await wait_frames(hass, 8)
    report = await get_diagnostics_for_config_entry(hass, hass_client, get_entry(hass))
    assert report["bell"] == {
        "state": "online",
        "offline": None,
        "last_disconnect": None,
        "socket": {"frames": 8},
        "pushes": {"pushes": 3, "repeats": 3, "unknown": 1},
        "unknown_pushes": [
            {"_id": "str", "push_type": "BNC3-party", "extra_params": {"device_id": "str"}}
        ],
        "ringing": 0,
    }
    assert [s for s in personal_data(simulator, get_entry(hass)) if s in json.dumps(report)] == []
    assert len(events.rings()) == 1


@pytest.mark.usefixtures("online_entry")
async def test_calls_are_not_included(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the report nor the log contains anything about a call."""
    before = await get_diagnostics_for_config_entry(hass, hass_client, get_entry(hass))
    caplog.clear()
    simulator.miss(simulator.ring("Posto esterno strada"))
    await wait_frames(hass, 4)
    await wait_idle(hass)
    after = await get_diagnostics_for_config_entry(hass, hass_client, get_entry(hass))
    for report in (before, after):
        for changing in ("socket", "pushes"):
            del report["bell"][changing]
        del report["entry"]["token"], report["counters"]
    assert before == after
    (*_, call) = await calls_of(hass)
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("custom_components")]
    assert not any(word in text for text in ours for word in (call.id, call.session, "/blob/"))
