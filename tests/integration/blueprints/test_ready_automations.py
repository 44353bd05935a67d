"""The short blueprints: chime, screen, light and log, tried by ringing."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.core import Context
import pytest
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_mock_service,
)

from scripts.lib.project_checks import LANGUAGES
from tests.integration.blueprints.conftest import (
    AUTOMATION,
    LOOP_TURNS,
    STREET,
    STREET_DOORBELL,
    YARD,
    YARD_DOORBELL,
    Automate,
    Phone,
    in_each_language,
    running_count,
    texts_of,
    wait_finished,
)
from tests.integration.conftest import call_action, state_of, wait_until

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant, ServiceCall
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

DOORBELLS = [STREET_DOORBELL, YARD_DOORBELL]
ANNOUNCEMENTS = {each: texts_of("announce", each, panel=YARD) for each in sorted(LANGUAGES)}
CHIME = "media-source://bticino_classe/chime"
KITCHEN, TELEVISION, GONE = "media_player.kitchen", "media_player.tv", "media_player.gone"


@pytest.fixture(name="players")
def _players(hass: HomeAssistant) -> list[ServiceCall]:
    """Return what media players were told, in order."""
    told: list[ServiceCall] = []
    for action in ("play_media", "media_stop", "turn_on", "turn_off"):
        hass.services.async_register("media_player", action, told.append)
    hass.states.async_set(KITCHEN, "idle")
    hass.states.async_set(TELEVISION, "off")
    hass.states.async_set(GONE, "unavailable")
    return told


def summary(told: list[ServiceCall]) -> list[tuple[str, list[str]]]:
    """Return the actions and their targets."""
    return [(call.service, call.data["entity_id"]) for call in told]


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [({}, [KITCHEN, TELEVISION]), ({"off_too": False}, [KITCHEN])],
    ids=str,
)
async def test_chime(
    hass: HomeAssistant,
    automate: Automate,
    players: list[ServiceCall],
    simulator: Simulator,
    *,
    inputs: dict[str, Any],
    targets: list[str],
) -> None:
    """On the speakers that can be reached, once per ring."""
    await automate("announce", doorbells=DOORBELLS, speakers=[KITCHEN, TELEVISION, GONE], **inputs)
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: players)
    await wait_finished(hass)
    (call,) = players
    assert summary(players) == [("play_media", targets)]
    assert call.data["announce"] is True
    assert call.data["media"]["media_content_id"] == CHIME


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, f"Somebody is ringing at {YARD}."),
        ({"language": "it"}, f"Suonano: {YARD}."),
        ({"language": "it", "message": "{panel}!"}, f"{YARD}!"),
        ({"language": "unknown"}, f"Somebody is ringing at {YARD}."),
        *(({"language": each}, text["message"]) for each, text in ANNOUNCEMENTS.items()),
    ],
    ids=str,
)
async def test_announcement(
    hass: HomeAssistant,
    automate: Automate,
    players: list[ServiceCall],
    simulator: Simulator,
    *,
    inputs: dict[str, Any],
    said: str,
) -> None:
    """Without a chime the text follows at once."""
    speak = async_mock_service(hass, "tts", "speak")
    voice = ["tts.cloud"]
    await automate(
        "announce", doorbells=DOORBELLS, speakers=[KITCHEN], chime="", voice=voice, **inputs
    )
    simulator.ring(YARD)
    await wait_until(lambda: speak)
    await wait_finished(hass)
    (call,) = speak
    assert (call.data["entity_id"], call.data["media_player_entity_id"]) == (voice, [KITCHEN])
    assert call.data["message"] == said
    assert players == []


@pytest.mark.parametrize(
    ("states", "inputs", "turned_on", "shown"),
    [
        (("idle", "off"), {}, [], [KITCHEN]),
        (("playing", "standby"), {}, [], [KITCHEN]),
        (("playing", "on"), {"interrupt": False}, [], [TELEVISION]),
        (("idle", "off"), {"off_too": True}, [TELEVISION], [KITCHEN, TELEVISION]),
        (("off", "off"), {}, [], []),
        (("playing", "unavailable"), {"interrupt": False, "off_too": True}, [], []),
    ],
    ids=str,
)
@pytest.mark.parametrize("end", ["answer_elsewhere", "miss", "hang_up"])
async def test_screen(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    automate: Automate,
    players: list[ServiceCall],
    simulator: Simulator,
    hass_client: ClientSessionGenerator,
    states: tuple[str, str],
    inputs: dict[str, Any],
    turned_on: list[str],
    shown: list[str],
    end: str,
) -> None:
    """Shows the picture of the ring until its end; what was off stays off unless asked."""
    for entity_id, state in zip((KITCHEN, TELEVISION), states, strict=True):
        hass.states.async_set(entity_id, state)
    screens = [KITCHEN, TELEVISION, GONE]
    await automate("show_camera", doorbells=DOORBELLS, screens=screens, **inputs)
    call = simulator.ring(STREET)
    ringing = "binary_sensor.posto_esterno_strada_bell"
    await wait_until(lambda: state_of(hass, ringing) == "on")
    before = [("turn_on", turned_on)] if turned_on else []
    showing = [*before, ("play_media", shown)] if shown else []
    await wait_until(lambda: summary(players) == showing)
    if shown:
        await wait_until(lambda: running_count(hass) == 1)
        media = players[-1].data["media"]
        assert media["media_content_type"] == "image/jpeg"
        picture = await (await hass_client()).get(media["media_content_id"])
        assert picture.content_type == "image/jpeg"
        assert simulator.rtc.answers == 0
    getattr(simulator, end)(call)
    await wait_until(lambda: state_of(hass, ringing) == "off")
    await wait_finished(hass)
    after = [("turn_off", turned_on)] if turned_on else []
    assert summary(players) == [*showing, *([("media_stop", shown), *after] if shown else [])]


async def test_screen_without_an_end(
    hass: HomeAssistant,
    automate: Automate,
    players: list[ServiceCall],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """After the longest time the picture is removed."""
    await automate("show_camera", doorbells=DOORBELLS, screens=[KITCHEN], seconds=20)
    hass.states.async_remove("event.posto_esterno_strada_call")
    simulator.ring(STREET)
    await wait_until(lambda: players)
    await pass_until_finished(hass, freezer, timedelta(seconds=21))
    assert summary(players) == [("play_media", [KITCHEN]), ("media_stop", [KITCHEN])]


async def pass_until_finished(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, step: timedelta
) -> None:
    """Let time pass until no run is in progress, whenever it begins to wait."""
    while running_count(hass):
        freezer.tick(step)
        async_fire_time_changed(hass)
        await let_automations_wait()
    await hass.async_block_till_done()


async def let_automations_wait() -> None:
    """Let automations go on until they wait."""
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)


@pytest.fixture(name="lights")
def _lights(hass: HomeAssistant) -> dict[str, list[ServiceCall]]:
    """Two lights, of which one is on, and what was switched."""
    hass.states.async_set("light.hall", "off")
    hass.states.async_set("light.path", "on")
    return {
        action: async_mock_service(hass, "homeassistant", action)
        for action in ("turn_on", "turn_off")
    }


@pytest.mark.parametrize("sun", ["below_horizon", "above_horizon"])
async def test_light(
    hass: HomeAssistant,
    automate: Automate,
    lights: dict[str, list[ServiceCall]],
    simulator: Simulator,
    *,
    freezer: FrozenDateTimeFactory,
    sun: str,
) -> None:
    """In the dark, until some minutes after the last ring; one that was on stays on."""
    hass.states.async_set("sun.sun", sun)
    selected = ["light.hall", "light.path"]
    await automate("light_at_ring", doorbells=DOORBELLS, lights=selected, minutes=3)
    simulator.hang_up(simulator.ring(STREET))
    await wait_until(lambda: state_of(hass, STREET_DOORBELL) != "unknown")
    if sun == "above_horizon":
        await wait_finished(hass)
        assert lights == {"turn_on": [], "turn_off": []}
        return
    await wait_until(lambda: lights["turn_on"])
    assert lights["turn_on"][0].data["entity_id"] == ["light.hall"]
    hass.states.async_set("light.hall", "on")
    await let_automations_wait()
    before = state_of(hass, YARD_DOORBELL)
    freezer.tick(timedelta(minutes=2))
    async_fire_time_changed(hass)
    simulator.hang_up(simulator.ring(YARD))
    await wait_until(lambda: state_of(hass, YARD_DOORBELL) != before)
    await let_automations_wait()
    freezer.tick(timedelta(minutes=2))
    async_fire_time_changed(hass)
    await let_automations_wait()
    assert (running_count(hass), lights["turn_off"]) == (1, [])
    await pass_until_finished(hass, freezer, timedelta(minutes=2))
    assert [call.data["entity_id"] for call in lights["turn_off"]] == [["light.hall"]]
    assert len(lights["turn_on"]) == 1


@in_each_language
async def test_arrival(
    hass: HomeAssistant,
    automate: Automate,
    anna: Phone,
    bruno: Phone,
    freezer: FrozenDateTimeFactory,
    *,
    language: str,
) -> None:
    """Who opened the door, and who has just come home."""
    logged = async_mock_service(hass, "logbook", "log")
    for phone, name in ((anna, "Anna's phone"), (bruno, "Bruno")):
        attributes = {"user_id": phone.user.id, "friendly_name": name}
        hass.states.async_set(f"person.{name}".lower().replace("'s ", "_s_"), "home", attributes)
    freezer.tick(timedelta(minutes=20))
    attributes = {"user_id": anna.user.id, "friendly_name": "Anna's phone"}
    for state in ("not_home", "home"):
        hass.states.async_set("person.anna_s_phone", state, attributes)
    await automate("arrival_log", doors=["lock.portone"], language=language)
    await hass.services.async_call(
        "lock",
        "open",
        {"entity_id": "lock.portone"},
        blocking=True,
        context=Context(user_id=bruno.user.id),
    )
    await wait_until(lambda: logged)
    data = logged[0].data
    assert (data["name"], data["entity_id"]) == ("Portone", "lock.portone")
    text = texts_of("arrival_log", language, person="Bruno", persons="Anna's phone")
    assert data["message"] == f"{text['opened_by']}, {text['arrived']}"


async def test_opening_by_an_automation_is_logged(hass: HomeAssistant, automate: Automate) -> None:
    """There are no persons; a manual run logs nothing."""
    logged = async_mock_service(hass, "logbook", "log")
    await automate("arrival_log", doors=["lock.portone"])
    await call_action(hass, "automation", "trigger", AUTOMATION)
    await call_action(hass, "lock", "open", "lock.portone")
    await wait_until(lambda: logged)
    assert [each.data["message"] for each in logged] == ["opened"]
