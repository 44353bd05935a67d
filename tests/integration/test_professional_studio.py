"""Professional studio opens the door on every ring, so only a deliberate act switches it on."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceNotFound
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from custom_components import bticino_classe
from tests.integration.conftest import (
    advance,
    reload_entry,
    request_values,
    sign_in,
    state_of,
    wait_idle,
)
from tests.simulator.paths import SETCONFIGS

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator
    from tests.simulator.house import Json

TRANSLATIONS = Path(bticino_classe.__file__).parent / "translations"
STUDIO = "select.classe_300x_professional_studio"
HOURS = {"1_hour": 1, "4_hours": 4, "8_hours": 8, "1_day": 24}


@pytest.fixture(name="studio")
async def _studio(hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator) -> Json:
    """The setting that is stored in the intercom; its entity is enabled."""
    er.async_get(hass).async_update_entity(STUDIO, disabled_by=None)
    await reload_entry(hass, entry)
    simulator.journal.clear()
    return stored(simulator)


def stored(simulator: Simulator) -> Json:
    """Return the setting that is stored in the intercom."""
    return simulator.bridges()[0].configs["professional_studio"]


async def choose(hass: HomeAssistant, option: str, context: Context | None = None) -> None:
    """Choose an option."""
    data = {"entity_id": STUDIO, "option": option}
    await hass.services.async_call("select", "select_option", data, blocking=True, context=context)
    await wait_idle(hass)


def options(hass: HomeAssistant) -> list[str]:
    """Return the options that can be chosen."""
    state = hass.states.get(STUDIO)
    assert state is not None
    found: list[str] = state.attributes["options"]
    return found


def until(hass: HomeAssistant) -> Any:
    """Return the end that the `until` attribute shows."""
    state = hass.states.get(STUDIO)
    assert state is not None
    return state.attributes["until"]


@pytest.mark.usefixtures("entry")
async def test_it_is_disabled_at_first(hass: HomeAssistant) -> None:
    """The owner has to enable it; there is no switch."""
    registry = er.async_get(hass)
    found = registry.async_get(STUDIO)
    assert found is not None
    assert found.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert found.entity_category == "config"
    assert hass.states.get(STUDIO) is None
    assert [each for each in registry.entities if each.startswith("switch.")] == []


@pytest.mark.parametrize(("option", "hours"), HOURS.items())
@pytest.mark.usefixtures("freezer", "studio")
async def test_option_sets_the_end(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    option: str,
    hours: int,
) -> None:
    """Mode and end change, nothing else; after the end it is off."""
    assert options(hass) == ["off", *HOURS]
    before = dict(stored(simulator))
    await choose(hass, option)
    assert state_of(hass, STUDIO) == option
    end = datetime.now(UTC) + timedelta(hours=hours)
    assert abs(until(hass) - end) < timedelta(seconds=10)
    assert stored(simulator)["ps_end_time_duration"] == pytest.approx(
        end.timestamp() * 1000, abs=10_000
    )
    changed = {key for key, value in stored(simulator).items() if before[key] != value}
    assert changed == {"ps_mode", "ps_end_time_duration"}
    assert stored(simulator)["ps_mode"] == 1
    assert len(simulator.journal.of(SETCONFIGS)) == 1
    assert simulator.violations == []
    await advance(hass, freezer, hours * 3600 + 5)
    assert state_of(hass, STUDIO) == "off"
    assert until(hass) is None


@pytest.mark.usefixtures("studio")
async def test_off_ends_it(hass: HomeAssistant, simulator: Simulator) -> None:
    """Only the mode changes."""
    await choose(hass, "8_hours")
    running = dict(stored(simulator))
    await choose(hass, "off")
    assert state_of(hass, STUDIO) == "off"
    assert stored(simulator) == running | {"ps_mode": 0}


@pytest.mark.usefixtures("studio")
async def test_other_option_sets_a_new_end(hass: HomeAssistant) -> None:
    """It counts from now."""
    await choose(hass, "8_hours")
    await choose(hass, "1_hour")
    assert state_of(hass, STUDIO) == "1_hour"
    assert until(hass) - datetime.now(UTC) < timedelta(hours=1, seconds=5)


@pytest.mark.parametrize("mode", [1, 2, 3])
async def test_set_in_the_app(
    hass: HomeAssistant, entry: ConfigEntry[Any], studio: Json, simulator: Simulator, mode: int
) -> None:
    """It is on, for a time that no option stands for; every option can be chosen."""
    end = datetime.now(UTC) + timedelta(hours=3)
    studio |= {"ps_mode": mode, "ps_end_time_duration": int(end.timestamp() * 1000)}
    await reload_entry(hass, entry)
    assert state_of(hass, STUDIO) == "on"
    assert options(hass) == ["off", *HOURS, "on"]
    assert (until(hass) is not None) == (mode == 1)
    await choose(hass, "on")
    assert simulator.journal.of(SETCONFIGS) == []
    await choose(hass, "off")
    assert state_of(hass, STUDIO) == "off"
    assert options(hass) == ["off", *HOURS]


async def test_unknown_mode_is_not_overwritten(
    hass: HomeAssistant, entry: ConfigEntry[Any], studio: Json, simulator: Simulator
) -> None:
    """Every option is refused with a reason."""
    studio["ps_mode"] = 7
    await reload_entry(hass, entry)
    assert state_of(hass, STUDIO) == "unknown_mode"
    for option in options(hass):
        with pytest.raises(HomeAssistantError) as caught:
            await choose(hass, option)
        assert caught.value.translation_key == "command_unknown_mode"
    assert simulator.journal.of(SETCONFIGS) == []


@pytest.mark.parametrize("enabled", [False, None])
async def test_intercom_without_the_function(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], enabled: object
) -> None:
    """The cloud does not say that the intercom has it: no entity, and nothing enables it."""
    stored(simulator)["ps_enabled"] = enabled
    await sign_in(hass, credentials)
    await wait_idle(hass)
    assert er.async_get(hass).async_get(STUDIO) is None
    assert er.async_get(hass).async_get("select.classe_300x_do_not_disturb") is not None


@pytest.mark.parametrize("option", ["off", "1_hour", "1_day"])
async def test_intercom_that_lost_the_function(
    hass: HomeAssistant, studio: Json, simulator: Simulator, option: str
) -> None:
    """It is read before every change: nothing is written, and the entity becomes unavailable."""
    studio["ps_enabled"] = False
    with pytest.raises(HomeAssistantError):
        await choose(hass, option)
    await wait_idle(hass)
    assert simulator.journal.of(SETCONFIGS) == []
    assert stored(simulator)["ps_enabled"] is False
    assert state_of(hass, STUDIO) == "unavailable"


@pytest.mark.parametrize("duration", [1, 45, None])
async def test_duration_and_unknown_fields(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    studio: Json,
    simulator: Simulator,
    *,
    duration: int | None,
) -> None:
    """The duration is sent as it was read, else 1; what is not known is not sent at all."""
    studio |= {"ps_duration": duration, "ps_melody": 4, "future": {"a": 1}}
    if duration is None:
        del studio["ps_duration"]
    await reload_entry(hass, entry)
    for option in ("1_hour", "off"):
        await choose(hass, option)
    for sent in request_values(simulator.journal.of(SETCONFIGS), "home", "modules"):
        fields = sent[0]["professional_studio"]
        assert fields.keys() == {
            *("ps_enabled", "ps_mode", "ps_duration", "ps_end_time_duration"),
        }
        assert (fields["ps_enabled"], fields["ps_duration"]) == (True, duration or 1)
    assert simulator.violations == []


def test_every_option_says_what_it_does() -> None:
    """In every language: the intercom opens to anybody who rings."""
    for language in ("en", "it"):
        texts = json.loads((TRANSLATIONS / f"{language}.json").read_text("utf-8"))
        states = texts["entity"]["select"]["professional_studio"]["state"]
        verb = {"en": "pens to anybody", "it": "pre a chiunque"}[language]
        assert all(verb in states[option] for option in (*HOURS, "on"))
        assert not any(verb in states[option] for option in ("off", "unknown_mode"))


@pytest.mark.parametrize(
    ("domain", "service", "data"),
    [
        ("homeassistant", "turn_on", {"entity_id": STUDIO}),
        ("select", "turn_on", {"entity_id": "all"}),
        ("homeassistant", "toggle", {"entity_id": STUDIO}),
        ("homeassistant", "turn_on", {"entity_id": "group.house"}),
        ("switch", "turn_on", {"entity_id": "all"}),
        ("switch", "toggle", {"entity_id": "all"}),
        ("switch", "turn_on", {"entity_id": STUDIO}),
        ("light", "turn_on", {"entity_id": "all"}),
        ("button", "press", {"entity_id": STUDIO}),
        ("number", "set_value", {"entity_id": STUDIO, "value": 1}),
    ],
)
@pytest.mark.usefixtures("studio")
async def test_all_on_does_not_reach_it(
    hass: HomeAssistant, simulator: Simulator, domain: str, service: str, data: dict[str, Any]
) -> None:
    """Nothing that switches many things on opens the door for anybody who rings."""
    for component in ("homeassistant", "switch", "group"):
        assert await async_setup_component(hass, component, {})
    await hass.services.async_call(
        "group", "set", {"object_id": "house", "entities": [STUDIO]}, blocking=True
    )
    with suppress(ServiceNotFound):
        await hass.services.async_call(domain, service, data, blocking=True)
    await wait_idle(hass)
    assert simulator.journal.of(SETCONFIGS) == []
    assert state_of(hass, STUDIO) == "off"


def scene_of(option: str) -> dict[str, Any]:
    """Return the configuration of a scene that sets an option."""
    return {"scene": [{"name": "Evening", "entities": {STUDIO: option, "light.luce_scale": "on"}}]}


@pytest.mark.parametrize("option", HOURS)
@pytest.mark.parametrize("way", ["turn_on", "apply", "snapshot"])
async def test_scene_does_not_switch_it_on(
    hass: HomeAssistant, studio: Json, simulator: Simulator, option: str, way: str
) -> None:
    """A scene of the configuration, one that is applied, or one that was taken while it was on."""
    assert await async_setup_component(hass, "scene", scene_of(option))
    await hass.async_block_till_done()
    if way == "snapshot":
        await choose(hass, option)
        data = {"scene_id": "before", "snapshot_entities": [STUDIO]}
        await hass.services.async_call("scene", "create", data, blocking=True)
        await choose(hass, "off")
    simulator.journal.clear()
    actions: dict[str, tuple[str, dict[str, Any]]] = {
        "turn_on": ("turn_on", {"entity_id": "scene.evening"}),
        "apply": ("apply", {"entities": {STUDIO: option}}),
        "snapshot": ("turn_on", {"entity_id": "scene.before"}),
    }
    with pytest.raises(HomeAssistantError) as caught:
        await hass.services.async_call("scene", *actions[way], blocking=True)
    await wait_idle(hass)
    assert caught.value.translation_key == "not_by_scene"
    assert simulator.journal.of(SETCONFIGS) == []
    assert studio["ps_mode"] == 0
    assert state_of(hass, STUDIO) == "off"


@pytest.mark.usefixtures("studio")
async def test_scene_may_switch_it_off(hass: HomeAssistant) -> None:
    """That lets nobody in."""
    assert await async_setup_component(hass, "scene", scene_of("off"))
    await hass.async_block_till_done()
    await choose(hass, "4_hours")
    await hass.services.async_call(
        "scene", "turn_on", {"entity_id": "scene.evening"}, blocking=True
    )
    await wait_idle(hass)
    assert state_of(hass, STUDIO) == "off"


@pytest.mark.usefixtures("studio")
async def test_choice_after_a_scene(hass: HomeAssistant) -> None:
    """Scenes without this setting do not affect it; another act may choose any option."""
    assert await async_setup_component(hass, "scene", scene_of("off"))
    await hass.async_block_till_done()
    await hass.services.async_call(
        "scene", "apply", {"entities": {"light.luce_scale": "on"}}, blocking=True
    )
    await choose(hass, "1_hour", Context())
    assert state_of(hass, STUDIO) == "1_hour"
