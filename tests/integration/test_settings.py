"""The intercom's settings: read before they are written, written once, read back."""

import asyncio
import copy
from datetime import UTC, datetime, timedelta
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.bticino_classe.settings import INTERVAL, LAG_SECONDS, RETRY_INTERVAL
from tests.integration.conftest import (
    advance,
    get_entry,
    poll,
    reload_entry,
    request_values,
    sign_in,
    state_of,
    update_entity,
    wait_idle,
)
from tests.simulator import Failure, too_many
from tests.simulator.house import Bridge
from tests.simulator.paths import GETCONFIGS, HOMESTATUS, PUSH, SETCONFIGS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator
    from tests.simulator.house import Json

BRIDGE = "00:03:50:30:00:0a"
HOME = "64a1b2c3d4e5f60718293a4b"
DND = "select.classe_300x_do_not_disturb"
DND_MINUTES = "number.classe_300x_do_not_disturb_for"
STUDIO = "select.classe_300x_professional_studio"  # disabled at first
#: The failure, the translation key of the error, and how many writes reach the cloud.
FAILURES: list[tuple[str, Failure, str, int]] = [
    (SETCONFIGS, Failure(never=True), "command_outcome_unknown", 1),
    (SETCONFIGS, Failure(drop=True, executed=True), "command_outcome_unknown", 1),
    (SETCONFIGS, Failure(status=503, html=True), "command_outcome_unknown", 1),
    (SETCONFIGS, Failure(body={"status": "failed"}), "command_outcome_unknown", 1),
    (SETCONFIGS, Failure(body={"status": "ok", "errors": [{"code": 5}]}), "command_refused", 1),
    (SETCONFIGS, Failure(code=21), "command_not_taken", 1),
    (SETCONFIGS, too_many(retry_after=90), "command_too_many_requests_wait", 1),
    (GETCONFIGS, Failure(never=True), "command_not_sent", 0),
    (GETCONFIGS, Failure(status=503, html=True), "command_not_sent", 0),
    (GETCONFIGS, Failure(code=13), "command_forbidden", 0),
    (GETCONFIGS, Failure(body={"status": "ok", "body": {}}), "command_not_taken", 0),
]


async def choose_mode(hass: HomeAssistant, option: str) -> None:
    """Choose a do-not-disturb mode."""
    await hass.services.async_call(
        "select", "select_option", {"entity_id": DND, "option": option}, blocking=True
    )
    await wait_idle(hass)


async def set_duration(hass: HomeAssistant, minutes: float) -> None:
    """Set the duration of the timed mode in minutes."""
    await hass.services.async_call(
        "number", "set_value", {"entity_id": DND_MINUTES, "value": minutes}, blocking=True
    )
    await wait_idle(hass)


async def expect_mode_refused(hass: HomeAssistant, option: str) -> str | None:
    """Choose a mode that has to be refused; returns the translation key of the error."""
    with pytest.raises(HomeAssistantError) as caught:
        await choose_mode(hass, option)
    await wait_idle(hass)
    assert "{" not in str(caught.value), "a placeholder was not filled in"
    return caught.value.translation_key


def change_in_app(simulator: Simulator, name: str, **fields: Any) -> None:
    """Change a setting as its owner does in the app."""
    simulator.bridges()[0].configs[name] |= fields


def stored_dnd(simulator: Simulator) -> Json:
    """Return the do-not-disturb settings that are stored in the intercom."""
    return simulator.bridges()[0].configs["do_not_disturb"]


def mode_options(hass: HomeAssistant) -> list[str]:
    """Return the modes that can be chosen."""
    state = hass.states.get(DND)
    assert state is not None
    found: list[str] = state.attributes["options"]
    return found


def end_shown(hass: HomeAssistant, entity_id: str) -> Any:
    """Return the end that the `until` attribute shows."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state.attributes["until"]


@pytest.mark.usefixtures("entry")
async def test_entities_of_a_300x(hass: HomeAssistant, simulator: Simulator) -> None:
    """Two selects and a number on the intercom's device, all for configuration."""
    assert state_of(hass, DND) == "off"
    assert mode_options(hass) == ["off", "timed", "always"]
    assert state_of(hass, DND_MINUTES) == "60"
    registry = er.async_get(hass)
    found = [registry.async_get(each) for each in (DND, DND_MINUTES, STUDIO)]
    assert {each.entity_category for each in found if each} == {"config"}
    assert len({each.device_id for each in found if each}) == 1
    assert {each.unique_id for each in found if each} == {
        f"{simulator.user_id}-{BRIDGE}-{key}"
        for key in ("do_not_disturb", "do_not_disturb_duration", "professional_studio")
    }
    assert simulator.violations == []


async def test_settings_are_read_in_the_background(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """One request for each home, without the app's fields; set-up does not wait for it."""
    await sign_in(hass, credentials)
    (request,) = simulator.journal.of(GETCONFIGS)
    assert request.body == {
        "app_identifier": "app_camera",
        "home_id": HOME,
        "module_ids": [BRIDGE],
    }
    response = asyncio.Event()
    simulator.fail(GETCONFIGS, Failure(until=response))
    await hass.config_entries.async_reload(get_entry(hass).entry_id)
    assert get_entry(hass).state is ConfigEntryState.LOADED
    await simulator.journal.wait_for(GETCONFIGS, count=2)
    assert [task for task in hass._background_tasks if "bticino_classe settings" in repr(task)]
    assert state_of(hass, "lock.cancello") == "locked"
    assert state_of(hass, DND) == "unavailable"
    response.set()
    await wait_idle(hass)
    assert simulator.violations == []


@pytest.mark.parametrize(
    ("option", "mode"), [("always", 3), ("timed", 1), ("off", 0)], ids=["always", "timed", "off"]
)
@pytest.mark.usefixtures("entry")
async def test_change_leaves_other_settings_alone(
    hass: HomeAssistant,
    simulator: Simulator,
    option: str,
    mode: int,
) -> None:
    """The settings are read, written once with the change, and read again."""
    change_in_app(simulator, "do_not_disturb", dnd_mode=3 if option == "off" else 0, melody=4)
    now = int(datetime.now(UTC).timestamp())
    end = (now + 3600) * 1000 if option == "timed" else 1_530_000_000_000
    await choose_mode(hass, option)
    assert state_of(hass, DND) == option
    paths = [entry.path for entry in simulator.journal if entry.path != PUSH]
    assert paths == [GETCONFIGS, SETCONFIGS, GETCONFIGS]
    (sent,) = request_values(simulator.journal.of(SETCONFIGS), "home", "modules")[0]
    assert sent["do_not_disturb"].pop("dnd_end_time_duration") == pytest.approx(end, abs=2000)
    assert sent.pop("last_configs_update") == pytest.approx(now * 1000, abs=2000)
    assert sent == {
        "id": BRIDGE,
        "type": "BNC3",
        "do_not_disturb": {
            "dnd_enabled": True,
            "dnd_mode": mode,
            "dnd_duration": 60,
        },
    }
    assert stored_dnd(simulator)["dnd_mode"] == mode
    assert stored_dnd(simulator)["melody"] == 4, "it is not known, so it is not written"
    assert simulator.bridges()[0].configs["professional_studio"]["ps_mode"] == 0


@pytest.mark.usefixtures("freezer", "entry")
async def test_timed_mode_expires(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """At its end the settings are read; it is over even if the cloud still reports it."""
    await choose_mode(hass, "timed")
    end = datetime.now(UTC) + timedelta(hours=1)
    assert abs(end_shown(hass, DND) - end) < timedelta(seconds=2)
    simulator.journal.clear()
    await poll(hass, freezer, timedelta(minutes=59))
    assert state_of(hass, DND) == "timed"
    assert simulator.journal.count(GETCONFIGS) == 1  # the status reports the change
    await poll(hass, freezer, timedelta(minutes=1))
    assert simulator.journal.count(GETCONFIGS) == 2
    assert stored_dnd(simulator)["dnd_mode"] == 1
    assert state_of(hass, DND) == "off"
    assert end_shown(hass, DND) is None


@pytest.mark.usefixtures("entry")
async def test_duration_is_stored_in_the_intercom(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The next timed mode uses it; a running one starts again."""
    await set_duration(hass, 30)
    assert (stored_dnd(simulator)["dnd_duration"], stored_dnd(simulator)["dnd_mode"]) == (30, 0)
    assert stored_dnd(simulator)["dnd_end_time_duration"] == 1_530_000_000_000
    assert state_of(hass, DND) == "off"
    await choose_mode(hass, "timed")
    assert stored_dnd(simulator)["dnd_duration"] == 30
    await set_duration(hass, 90)
    assert state_of(hass, DND) == "timed"
    assert end_shown(hass, DND) - datetime.now(UTC) > timedelta(minutes=89)
    assert simulator.violations == []


@pytest.mark.parametrize("number", [1e300, -1e300, 10**30, 253_402_300_799, 0, -5, "60", None])
async def test_absurd_numbers_of_a_setting(
    hass: HomeAssistant,
    simulator: Simulator,
    entry: ConfigEntry[Any],
    caplog: pytest.LogCaptureFixture,
    number: float | str | None,
) -> None:
    """No log line contains them, they are no states, and a change does not send them back."""
    change_in_app(
        simulator, "do_not_disturb", dnd_duration=number, dnd_end_time_duration=number, dnd_mode=3
    )
    await reload_entry(hass, entry)
    await choose_mode(hass, "timed")
    assert hass.states.get(DND_MINUTES) is None or state_of(hass, DND_MINUTES) == "60"
    assert end_shown(hass, DND) - datetime.now(UTC) < timedelta(minutes=61)
    assert stored_dnd(simulator)["dnd_duration"] == 60
    logged = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    # The push connection is refused here; how often depends on the machine's speed.
    assert [line for line in logged if "push connection" not in line] == []
    assert simulator.violations == []


async def test_unknown_mode_is_shown_and_not_overwritten(
    hass: HomeAssistant, simulator: Simulator, entry: ConfigEntry[Any]
) -> None:
    """Select and number refuse the change with a reason."""
    change_in_app(simulator, "do_not_disturb", dnd_mode=7)
    await reload_entry(hass, entry)
    assert state_of(hass, DND) == "unknown_mode"
    assert mode_options(hass) == ["off", "timed", "always", "unknown_mode"]
    for option in mode_options(hass):
        assert await expect_mode_refused(hass, option) == "command_unknown_mode"
    with pytest.raises(HomeAssistantError):
        await set_duration(hass, 30)
    assert simulator.journal.count(SETCONFIGS) == 0
    assert stored_dnd(simulator)["dnd_mode"] == 7
    change_in_app(simulator, "do_not_disturb", dnd_mode=0)
    await choose_mode(hass, "always")
    assert mode_options(hass) == ["off", "timed", "always"]
    assert simulator.violations == []


async def test_diagnostics_show_the_number_of_a_mode(
    hass: HomeAssistant,
    simulator: Simulator,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
) -> None:
    """It identifies an unknown mode; texts of the settings are not included."""
    change_in_app(simulator, "do_not_disturb", dnd_mode=7, dnd_start_time="22:00")
    await reload_entry(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["settings"]["bridge-1"]["do_not_disturb"] == {
        "dnd_enabled": True,
        "dnd_mode": 7,
        "dnd_duration": 60,
        "dnd_end_time_duration": 1_530_000_000_000,
    }


@pytest.mark.usefixtures("entry")
async def test_mode_that_became_unknown_is_not_overwritten(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The settings are read at the time of the change."""
    change_in_app(simulator, "do_not_disturb", dnd_mode=7)
    assert await expect_mode_refused(hass, "always") == "command_unknown_mode"
    assert simulator.journal.count(SETCONFIGS) == 0
    assert state_of(hass, DND) == "unknown_mode"


@pytest.mark.usefixtures("entry")
async def test_unreported_modes_cannot_be_chosen(hass: HomeAssistant, simulator: Simulator) -> None:
    """The unknown mode and the schedule are options only while the intercom reports them."""
    for option in ("unknown_mode", "scheduled"):
        with pytest.raises(ServiceValidationError):
            await choose_mode(hass, option)
    assert list(simulator.journal) == []


async def test_schedule_is_an_option_where_it_is_reported(
    hass: HomeAssistant, simulator: Simulator, entry: ConfigEntry[Any]
) -> None:
    """Its days and times are kept in every mode."""
    plan = {"dnd_days": "1111111", "dnd_start_time": "22:00", "dnd_end_time": "06:00"}
    change_in_app(simulator, "do_not_disturb", dnd_mode=2, **plan)
    await reload_entry(hass, entry)
    assert state_of(hass, DND) == "scheduled"
    assert mode_options(hass) == ["off", "timed", "scheduled", "always"]
    await choose_mode(hass, "off")
    assert stored_dnd(simulator) | plan | {"dnd_mode": 0} == stored_dnd(simulator)
    await choose_mode(hass, "scheduled")
    assert stored_dnd(simulator) | plan | {"dnd_mode": 2} == stored_dnd(simulator)
    assert simulator.violations == []


@pytest.mark.parametrize(("path", "failure", "key", "writes"), FAILURES)
@pytest.mark.usefixtures("entry")
async def test_failed_change_is_reported_and_not_repeated(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant, simulator: Simulator, path: str, failure: Failure, key: str, writes: int
) -> None:
    """Afterwards the mode that is stored in the intercom is shown."""
    simulator.fail(path, failure)
    assert await expect_mode_refused(hass, "always") == key
    assert simulator.journal.count(SETCONFIGS) == writes
    assert state_of(hass, DND) == ("always" if failure.executed else "off")
    assert simulator.violations == []


@pytest.mark.usefixtures("entry")
async def test_settings_of_an_unplugged_intercom(hass: HomeAssistant, simulator: Simulator) -> None:
    """They are unavailable; the last values return with the intercom."""
    simulator.unplug_bridge()
    assert await expect_mode_refused(hass, "always") == "command_unreachable"
    assert state_of(hass, DND) == "unavailable"
    assert simulator.journal.count(SETCONFIGS) == 0
    simulator.plug_bridge()
    await get_entry(hass).runtime_data.coordinator.async_refresh()
    await wait_idle(hass)
    assert state_of(hass, DND) == "off"


@pytest.mark.parametrize("house", ["classe_100x", "classe_300eos", "easykit"])
async def test_models_without_settings(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    house: str,
) -> None:
    """They have no entities until the intercom reports settings to the hourly read."""
    simulator.use_house(house)
    await sign_in(hass, credentials)
    assert simulator.journal.count(GETCONFIGS) == 1
    assert hass.states.async_entity_ids(["select", "number", "switch"]) == []
    simulator.bridges()[0].configs["do_not_disturb"] = {"dnd_mode": 3}
    await poll(hass, freezer, INTERVAL)
    (found,) = hass.states.async_entity_ids(["select", "number", "switch"])
    assert state_of(hass, found) == "always"
    assert simulator.violations == []


@pytest.mark.parametrize("code", [9, 13, 21])
async def test_refused_settings_are_not_requested_again(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    code: int,
) -> None:
    """Only at a start; an intercom that is added is asked about alone."""
    simulator.configs_refused = code
    found = await sign_in(hass, credentials)
    for _ in range(3):
        await poll(hass, freezer, INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 1
    assert state_of(hass, "lock.cancello") == "locked"
    await reload_entry(hass, found)
    assert simulator.journal.count(GETCONFIGS) == 2
    simulator.configs_refused = None
    simulator.add_module(kind="BNC1", module_id="00:03:50:30:00:99", name="Taverna")
    await poll(hass, freezer, INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 3


@pytest.mark.usefixtures("freezer", "entry")
async def test_failed_reads_keep_the_values(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also after a refusal; the next read comes sooner than usual, and nothing is logged."""
    change_in_app(simulator, "do_not_disturb", dnd_mode=3)
    simulator.fail(GETCONFIGS, Failure(status=503, html=True))
    simulator.fail(GETCONFIGS, Failure(code=13))
    await poll(hass, freezer, INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 1
    await poll(hass, freezer, RETRY_INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 2
    assert state_of(hass, DND) == "off"
    await poll(hass, freezer, INTERVAL)
    assert state_of(hass, DND) == "always"
    ours = [each for each in caplog.records if each.name.startswith("custom_components")]
    assert [
        each for each in ours if each.levelno > logging.DEBUG and "setting" in each.getMessage()
    ] == []


@pytest.mark.usefixtures("freezer", "entry")
async def test_change_in_the_app_is_read_when_the_status_reports_it(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Only a new time of the last change causes a read."""
    await poll(hass, freezer)
    assert simulator.journal.count(GETCONFIGS) == 0
    simulator.bridges()[0].configure("do_not_disturb", {"dnd_mode": 3}, 1_790_000_000)
    await poll(hass, freezer)
    assert simulator.journal.count(GETCONFIGS) == 1
    assert state_of(hass, DND) == "always"


@pytest.mark.usefixtures("freezer", "entry")
async def test_setting_that_is_no_longer_reported(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Its entities are unavailable until the setting is reported again."""
    removed = simulator.bridges()[0].configs.pop("do_not_disturb")
    await poll(hass, freezer, INTERVAL)
    assert state_of(hass, DND) == state_of(hass, DND_MINUTES) == "unavailable"
    simulator.bridges()[0].configs["do_not_disturb"] = removed
    await poll(hass, freezer, INTERVAL)
    assert state_of(hass, DND) == "off"


async def test_two_homes(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """One request for each; the intercom without settings does not affect the other."""
    simulator.use_house("two_homes")
    await sign_in(hass, credentials)
    assert simulator.journal.count(GETCONFIGS) == 2
    assert hass.states.async_entity_ids(["select"]) == [DND]
    await choose_mode(hass, "always")
    assert simulator.violations == []


async def test_unload_during_a_change(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """An unloaded account reads no more, neither at once nor later."""
    simulator.use_house("classe_300x")
    entry = await sign_in(hass, credentials)
    response = asyncio.Event()
    simulator.fail(SETCONFIGS, Failure(until=response))
    change = hass.async_create_task(
        hass.services.async_call(
            "select",
            "select_option",
            {"entity_id": "select.classe_300x_do_not_disturb", "option": "always"},
            blocking=True,
        )
    )
    await simulator.journal.wait_for(SETCONFIGS)
    await hass.config_entries.async_unload(entry.entry_id)
    response.set()
    await change
    simulator.journal.clear()
    await wait_idle(hass)
    async_fire_time_changed(hass, dt_util.utcnow() + 2 * INTERVAL)
    await wait_idle(hass)
    assert simulator.journal.count(GETCONFIGS) == 0


def lagging_answer(simulator: Simulator) -> Failure:
    """Return the answer with the settings as they are now, to be sent later."""
    bridge = simulator.bridges()[0]
    module = {"id": bridge.id, "type": bridge.type, **copy.deepcopy(bridge.configs)}
    return Failure(body={"status": "ok", "body": {"home": {"id": HOME, "modules": [module]}}})


@pytest.mark.usefixtures("freezer", "entry")
async def test_old_values_after_a_change_are_not_shown(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """The cloud may lag for two minutes, however many reads see it."""
    old = lagging_answer(simulator)
    await choose_mode(hass, "always")
    for _ in range(3):
        simulator.fail(GETCONFIGS, old)
        await update_entity(hass, DND)
        assert state_of(hass, DND) == "always"
    simulator.fail(GETCONFIGS, old)
    await advance(hass, freezer, LAG_SECONDS + 1)
    assert state_of(hass, DND) == "off", "the change had no effect"
    await update_entity(hass, DND)
    assert state_of(hass, DND) == "always"
    assert simulator.violations == []


@pytest.mark.usefixtures("freezer", "entry")
async def test_change_while_the_cloud_lags(hass: HomeAssistant, simulator: Simulator) -> None:
    """A second change is based on the first, not on what the cloud still returns."""
    old = lagging_answer(simulator)
    simulator.fail(GETCONFIGS, old, times=1)
    await choose_mode(hass, "always")
    simulator.fail(GETCONFIGS, old, times=2)
    await set_duration(hass, 30)
    assert stored_dnd(simulator) | {"dnd_mode": 3, "dnd_duration": 30} == stored_dnd(simulator)
    simulator.fail(GETCONFIGS, old, times=1)
    await update_entity(hass, DND)
    assert (state_of(hass, DND), state_of(hass, DND_MINUTES)) == ("always", "30")


@pytest.mark.usefixtures("freezer", "entry")
async def test_change_in_the_app_after_ours(hass: HomeAssistant, simulator: Simulator) -> None:
    """It is newer, so it is shown at once."""
    await choose_mode(hass, "always")
    change_in_app(simulator, "do_not_disturb", dnd_mode=0, dnd_duration=90)
    await update_entity(hass, DND)
    assert (state_of(hass, DND), state_of(hass, DND_MINUTES)) == ("off", "90")


@pytest.mark.parametrize(
    "entity_id", [DND, DND_MINUTES, "binary_sensor.classe_300x_intercom_online"]
)
@pytest.mark.usefixtures("entry")
async def test_update_entity_reads_the_settings(
    hass: HomeAssistant, simulator: Simulator, entity_id: str
) -> None:
    """States as well; several entities at once cost no more than two reads."""
    change_in_app(simulator, "do_not_disturb", dnd_mode=3, dnd_duration=45)
    await update_entity(hass, entity_id)
    assert (state_of(hass, DND), state_of(hass, DND_MINUTES)) == ("always", "45")
    assert simulator.journal.count(HOMESTATUS) == 1
    simulator.journal.clear()
    targets = {"entity_id": [DND, DND_MINUTES, "sensor.classe_300x_do_not_disturb_until"]}
    await hass.services.async_call("homeassistant", "update_entity", targets, blocking=True)
    await wait_idle(hass)
    assert simulator.journal.count(GETCONFIGS) <= 2


REFUSED_ALONE: list[Failure] = [
    *(Failure(code=code) for code in (9, 13, 21)),
    *(
        Failure(body={"status": "ok", "body": {"errors": [{"code": code, "id": "any"}]}})
        for code in (5, 6, 9)
    ),
]


@pytest.mark.parametrize("refusal", REFUSED_ALONE, ids=str)
@pytest.mark.parametrize("is_later", [False, True])
async def test_refusal_for_one_intercom(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    refusal: Failure,
    is_later: bool,
) -> None:
    """The other intercom of the home has its settings, at the start and later."""
    first = simulator.bridges()[0]
    other = Bridge(id="00:03:50:00:00:01", type="BNC1", name="Taverna")
    if is_later:
        await sign_in(hass, credentials)
    modules = simulator.house.homes[0].modules
    simulator.house.homes[0].modules = {other.id: other, **modules}
    # Both together, then each alone, in the order of the list of modules.
    alone = [Failure(delay=0.0), refusal] if is_later else [refusal, Failure(delay=0.0)]
    for failure in (refusal, *alone):
        simulator.fail(GETCONFIGS, failure)
    if is_later:
        await poll(hass, freezer, INTERVAL)
    else:
        await sign_in(hass, credentials)
    assert state_of(hass, DND) == "off"
    first.configs["do_not_disturb"]["dnd_mode"] = 3
    await update_entity(hass, DND)
    assert state_of(hass, DND) == "always"
