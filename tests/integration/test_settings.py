"""The intercom's own settings: read before written, changed once, never guessed."""

from datetime import UTC, datetime, timedelta
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.bticino_classe.settings import INTERVAL, RETRY_INTERVAL
from tests.integration.conftest import (
    act,
    poll,
    refused,
    requested,
    restart,
    settle,
    sign_in,
    state_of,
    the_entry,
)
from tests.simulator import Failure, too_many
from tests.simulator.paths import GETCONFIGS, SETCONFIGS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator
    from tests.simulator.house import Json

BRIDGE = "00:03:50:30:00:0a"
HOME = "64a1b2c3d4e5f60718293a4b"
QUIET = "select.classe_300x_do_not_disturb"
MINUTES = "number.classe_300x_do_not_disturb_for"
STUDIO = "switch.classe_300x_professional_studio"
#: How a change can fail, what the person reads, and how many writes reached the cloud.
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


async def choose(hass: HomeAssistant, option: str) -> None:
    """Choose when the intercom is not to ring."""
    await hass.services.async_call(
        "select", "select_option", {"entity_id": QUIET, "option": option}, blocking=True
    )
    await settle(hass)


async def last(hass: HomeAssistant, minutes: float) -> None:
    """Set how long it is not to ring."""
    await hass.services.async_call(
        "number", "set_value", {"entity_id": MINUTES, "value": minutes}, blocking=True
    )
    await settle(hass)


async def not_chosen(hass: HomeAssistant, option: str) -> str | None:
    """Choose what has to be refused, and return the key of the text that the person gets."""
    with pytest.raises(HomeAssistantError) as caught:
        await choose(hass, option)
    await settle(hass)
    assert "{" not in str(caught.value), "a placeholder was not filled in"
    return caught.value.translation_key


def in_the_app(simulator: Simulator, name: str, **fields: Any) -> None:
    """Change a setting as its owner does in the app, without a word to Home Assistant."""
    simulator.bridges()[0].configs[name] |= fields


def quiet(simulator: Simulator) -> Json:
    """Return how the intercom itself is set."""
    return simulator.bridges()[0].configs["do_not_disturb"]


def options(hass: HomeAssistant) -> list[str]:
    """Return what can be chosen."""
    state = hass.states.get(QUIET)
    assert state is not None
    found: list[str] = state.attributes["options"]
    return found


def until(hass: HomeAssistant, entity_id: str) -> Any:
    """Return the end that is shown."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state.attributes["until"]


@pytest.mark.usefixtures("entry")
async def test_a_300x_has_what_it_tells_of(hass: HomeAssistant, simulator: Simulator) -> None:
    """A choice, a number and a switch, all of them configuration, on the intercom's device."""
    assert state_of(hass, QUIET) == "off"
    assert options(hass) == ["off", "timed", "always"]
    assert state_of(hass, MINUTES) == "60"
    assert state_of(hass, STUDIO) == "off"
    registry = er.async_get(hass)
    found = [registry.async_get(each) for each in (QUIET, MINUTES, STUDIO)]
    assert {each.entity_category for each in found if each} == {"config"}
    assert len({each.device_id for each in found if each}) == 1
    assert {each.unique_id for each in found if each} == {
        f"{simulator.user_id}-{BRIDGE}-{key}"
        for key in ("do_not_disturb", "do_not_disturb_duration", "professional_studio")
    }
    assert simulator.violations == []


async def test_they_are_asked_for_once_and_set_up_does_not_wait(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """One request for a home, without the fields that this part of the cloud does not want."""
    await sign_in(hass, credentials)
    (asked,) = simulator.journal.of(GETCONFIGS)
    assert asked.body == {
        "app_identifier": "app_camera",
        "home_id": HOME,
        "module_ids": [BRIDGE],
    }
    simulator.fail(GETCONFIGS, Failure(never=True))
    await hass.config_entries.async_reload(the_entry(hass).entry_id)
    assert the_entry(hass).state is ConfigEntryState.LOADED
    assert [task for task in hass._background_tasks if "bticino_classe settings" in repr(task)]
    await simulator.journal.wait_for(GETCONFIGS, count=2)
    assert state_of(hass, "lock.cancello") == "locked"
    assert state_of(hass, QUIET) == "unavailable"
    await settle(hass)
    assert simulator.violations == []


@pytest.mark.parametrize(
    ("option", "mode"), [("always", 3), ("timed", 1), ("off", 0)], ids=["always", "timed", "off"]
)
@pytest.mark.usefixtures("entry")
async def test_a_choice_changes_that_and_nothing_else(
    hass: HomeAssistant,
    simulator: Simulator,
    option: str,
    mode: int,
) -> None:
    """It is read, changed once with all that was read, and read again."""
    in_the_app(simulator, "do_not_disturb", dnd_mode=3 if option == "off" else 0, melody=4)
    now = int(datetime.now(UTC).timestamp())
    end = (now + 3600) * 1000 if option == "timed" else 1_530_000_000_000
    await choose(hass, option)
    assert state_of(hass, QUIET) == option
    assert [entry.path for entry in simulator.journal] == [GETCONFIGS, SETCONFIGS, GETCONFIGS]
    (sent,) = requested(simulator.journal.of(SETCONFIGS), "home", "modules")[0]
    assert sent["do_not_disturb"].pop("dnd_end_time_duration") == pytest.approx(end, abs=2000)
    assert sent.pop("last_configs_update") == pytest.approx(now * 1000, abs=2000)
    assert sent == {
        "id": BRIDGE,
        "type": "BNC3",
        "do_not_disturb": {
            "dnd_enabled": True,
            "dnd_mode": mode,
            "dnd_duration": 60,
            "melody": 4,
        },
    }
    assert quiet(simulator)["dnd_mode"] == mode
    assert simulator.bridges()[0].configs["professional_studio"]["ps_mode"] == 0


@pytest.mark.usefixtures("freezer", "entry")
async def test_for_a_time_ends_by_itself(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """The end is shown; when it has come it is looked at, though the cloud may not know yet."""
    await choose(hass, "timed")
    end = datetime.now(UTC) + timedelta(hours=1)
    assert abs(until(hass, QUIET) - end) < timedelta(seconds=2)
    simulator.journal.clear()
    await poll(hass, freezer, timedelta(minutes=59))
    assert state_of(hass, QUIET) == "timed"
    assert simulator.journal.count(GETCONFIGS) == 1  # the status told of the change
    await poll(hass, freezer, timedelta(minutes=1))
    assert simulator.journal.count(GETCONFIGS) == 2
    assert quiet(simulator)["dnd_mode"] == 1
    assert state_of(hass, QUIET) == "off"
    assert until(hass, QUIET) is None


@pytest.mark.usefixtures("entry")
async def test_the_duration_is_the_intercoms_own(hass: HomeAssistant, simulator: Simulator) -> None:
    """It is kept there, used by the next choice, and begins anew while the time runs."""
    await last(hass, 30)
    assert (quiet(simulator)["dnd_duration"], quiet(simulator)["dnd_mode"]) == (30, 0)
    assert quiet(simulator)["dnd_end_time_duration"] == 1_530_000_000_000
    assert state_of(hass, QUIET) == "off"
    await choose(hass, "timed")
    assert quiet(simulator)["dnd_duration"] == 30
    await last(hass, 90)
    assert state_of(hass, QUIET) == "timed"
    assert until(hass, QUIET) - datetime.now(UTC) > timedelta(minutes=89)
    assert simulator.violations == []


@pytest.mark.usefixtures("entry")
async def test_studio_is_switched_for_a_day(hass: HomeAssistant, simulator: Simulator) -> None:
    """On has an end, off is the mode alone: whether it can be used at all is left as it is."""
    await act(hass, "switch", "turn_on", STUDIO)
    await settle(hass)
    assert state_of(hass, STUDIO) == "on"
    studio = simulator.bridges()[0].configs["professional_studio"]
    assert (studio["ps_mode"], studio["ps_duration"], studio["ps_enabled"]) == (1, 1, True)
    assert timedelta(hours=23.9) < until(hass, STUDIO) - datetime.now(UTC) < timedelta(hours=24.1)
    await act(hass, "switch", "turn_off", STUDIO)
    await settle(hass)
    assert state_of(hass, STUDIO) == "off"
    assert studio | {"ps_mode": 0} == simulator.bridges()[0].configs["professional_studio"]
    assert quiet(simulator)["dnd_mode"] == 0
    assert simulator.violations == []


async def test_a_mode_that_nobody_knows_is_shown_and_left_alone(
    hass: HomeAssistant, simulator: Simulator, entry: ConfigEntry[Any]
) -> None:
    """Neither choice nor number nor switch overwrites it; the person reads why."""
    in_the_app(simulator, "do_not_disturb", dnd_mode=7)
    in_the_app(simulator, "professional_studio", ps_mode=7)
    await restart(hass, entry)
    assert state_of(hass, QUIET) == "unknown_mode"
    assert options(hass) == ["off", "timed", "always", "unknown_mode"]
    assert state_of(hass, STUDIO) == "unknown"
    for option in options(hass):
        assert await not_chosen(hass, option) == "command_unknown_mode"
    with pytest.raises(HomeAssistantError):
        await last(hass, 30)
    assert await refused(hass, "switch", "turn_off", STUDIO) == "command_unknown_mode"
    await settle(hass)
    assert simulator.journal.count(SETCONFIGS) == 0
    assert quiet(simulator)["dnd_mode"] == 7
    in_the_app(simulator, "do_not_disturb", dnd_mode=0)
    await choose(hass, "always")
    assert options(hass) == ["off", "timed", "always"]
    assert simulator.violations == []


async def test_diagnostics_show_the_number_of_a_mode(
    hass: HomeAssistant,
    simulator: Simulator,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
) -> None:
    """So that it can become known; of what is text, nothing."""
    in_the_app(simulator, "do_not_disturb", dnd_mode=7, dnd_start_time="22:00")
    await restart(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["settings"]["bridge-1"]["do_not_disturb"] == {
        "dnd_enabled": True,
        "dnd_mode": 7,
        "dnd_duration": 60,
        "dnd_end_time_duration": 1_530_000_000_000,
    }


@pytest.mark.usefixtures("entry")
async def test_what_came_into_a_mode_meanwhile_is_not_overwritten(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The intercom is read in the moment of the choice, not an hour before."""
    in_the_app(simulator, "do_not_disturb", dnd_mode=7)
    assert await not_chosen(hass, "always") == "command_unknown_mode"
    assert simulator.journal.count(SETCONFIGS) == 0
    assert state_of(hass, QUIET) == "unknown_mode"


@pytest.mark.usefixtures("entry")
async def test_nobody_chooses_what_is_not_known(hass: HomeAssistant, simulator: Simulator) -> None:
    """While the mode is known, the unknown one is no option at all; nor is a schedule."""
    for option in ("unknown_mode", "scheduled"):
        with pytest.raises(ServiceValidationError):
            await choose(hass, option)
    assert list(simulator.journal) == []


async def test_a_schedule_is_offered_where_there_is_one(
    hass: HomeAssistant, simulator: Simulator, entry: ConfigEntry[Any]
) -> None:
    """Its days and times are kept in the intercom, whatever is chosen."""
    plan = {"dnd_days": "1111111", "dnd_start_time": "22:00", "dnd_end_time": "06:00"}
    in_the_app(simulator, "do_not_disturb", dnd_mode=2, **plan)
    await restart(hass, entry)
    assert state_of(hass, QUIET) == "scheduled"
    assert options(hass) == ["off", "timed", "scheduled", "always"]
    await choose(hass, "off")
    assert quiet(simulator) | plan | {"dnd_mode": 0} == quiet(simulator)
    await choose(hass, "scheduled")
    assert quiet(simulator) | plan | {"dnd_mode": 2} == quiet(simulator)
    assert simulator.violations == []


@pytest.mark.parametrize(("path", "failure", "key", "writes"), FAILURES)
@pytest.mark.usefixtures("entry")
async def test_a_failed_change_is_told_and_not_sent_again(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant, simulator: Simulator, path: str, failure: Failure, key: str, writes: int
) -> None:
    """What is shown afterwards is what the intercom has, not what was wished for."""
    simulator.fail(path, failure)
    assert await not_chosen(hass, "always") == key
    assert simulator.journal.count(SETCONFIGS) == writes
    assert state_of(hass, QUIET) == ("always" if failure.executed else "off")
    assert simulator.violations == []


@pytest.mark.usefixtures("entry")
async def test_no_setting_of_an_unplugged_intercom(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The last values come back with it."""
    simulator.unplug_bridge()
    assert await not_chosen(hass, "always") == "command_unreachable"
    assert state_of(hass, QUIET) == "unavailable"
    assert simulator.journal.count(SETCONFIGS) == 0
    simulator.plug_bridge()
    await the_entry(hass).runtime_data.coordinator.async_refresh()
    await settle(hass)
    assert state_of(hass, QUIET) == "off"


@pytest.mark.parametrize("house", ["classe_100x", "classe_300eos", "easykit"])
async def test_models_that_tell_of_none_have_none(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    house: str,
) -> None:
    """Until one does: then its entities come by themselves, with the next hourly look."""
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
async def test_models_that_refuse_are_left_in_peace(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    freezer: FrozenDateTimeFactory,
    code: int,
) -> None:
    """They are asked at a start, and when an intercom is added; nothing else suffers."""
    simulator.configs_refused = code
    found = await sign_in(hass, credentials)
    for _ in range(3):
        await poll(hass, freezer, INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 1
    assert state_of(hass, "lock.cancello") == "locked"
    await restart(hass, found)
    assert simulator.journal.count(GETCONFIGS) == 2
    simulator.configs_refused = None
    simulator.add_module(kind="BNC1", module_id="00:03:50:30:00:99", name="Taverna")
    await poll(hass, freezer, INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 3


@pytest.mark.usefixtures("freezer", "entry")
async def test_values_outlast_failures_without_a_word(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last value stays, also after a refusal, and the next look comes sooner than usual."""
    in_the_app(simulator, "do_not_disturb", dnd_mode=3)
    simulator.fail(GETCONFIGS, Failure(status=503, html=True))
    simulator.fail(GETCONFIGS, Failure(code=13))
    await poll(hass, freezer, INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 1
    await poll(hass, freezer, RETRY_INTERVAL)
    assert simulator.journal.count(GETCONFIGS) == 2
    assert state_of(hass, QUIET) == "off"
    await poll(hass, freezer, INTERVAL)
    assert state_of(hass, QUIET) == "always"
    ours = [each for each in caplog.records if each.name.startswith("custom_components")]
    assert [
        each for each in ours if each.levelno > logging.DEBUG and "setting" in each.getMessage()
    ] == []


@pytest.mark.usefixtures("freezer", "entry")
async def test_a_change_in_the_app_is_seen_where_the_status_tells_of_it(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """A status that names another time than before is worth a look, others are not."""
    await poll(hass, freezer)
    assert simulator.journal.count(GETCONFIGS) == 0
    simulator.bridges()[0].configure("do_not_disturb", {"dnd_mode": 3}, 1_790_000_000)
    await poll(hass, freezer)
    assert simulator.journal.count(GETCONFIGS) == 1
    assert state_of(hass, QUIET) == "always"


@pytest.mark.usefixtures("freezer", "entry")
async def test_a_setting_that_is_no_longer_told_of(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Its entity stays, and is unavailable until it is told of again."""
    told = simulator.bridges()[0].configs.pop("professional_studio")
    await poll(hass, freezer, INTERVAL)
    assert state_of(hass, STUDIO) == "unavailable"
    assert state_of(hass, QUIET) == "off"
    simulator.bridges()[0].configs["professional_studio"] = told
    await poll(hass, freezer, INTERVAL)
    assert state_of(hass, STUDIO) == "off"


async def test_two_homes_are_asked_one_after_the_other(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """One request each; the intercom that has none does not disturb the one that has."""
    simulator.use_house("two_homes")
    await sign_in(hass, credentials)
    assert simulator.journal.count(GETCONFIGS) == 2
    assert hass.states.async_entity_ids(["select"]) == [QUIET]
    await choose(hass, "always")
    assert simulator.violations == []


async def test_change_that_outlives_the_entry(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """An account that was unloaded meanwhile asks no more, and has no timer."""
    simulator.use_house("classe_300x")
    entry = await sign_in(hass, credentials)
    settings = entry.runtime_data.settings
    simulator.fail(SETCONFIGS, Failure(delay=0.2))
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
    await change
    simulator.journal.clear()
    await settle(hass)
    assert simulator.journal.count(GETCONFIGS) == 0
    assert settings._cancel_timer is None
