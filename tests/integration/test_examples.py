"""The examples in docs/automations.md, loaded and run on a Classe 300X and on an EasyKit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
import re
from typing import TYPE_CHECKING, Any, Final

from freezegun import freeze_time
from freezegun.api import TickingDateTimeFactory
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockUser,
    async_fire_time_changed,
)

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import is_watched, state_of, wait_idle, wait_until
from tests.integration.live.browser_client import BrowserClient, offer
from tests.integration.test_documents import DOCS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, ServiceCall
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from tests.simulator import Simulator

TV: Final = "media_player.television"
type Page = tuple[str, str]  # a house and a language

# The English page is run in both houses, the Italian in an Italian one: its examples differ in
# texts and ids only. What the English page calls an entity, and what it is called on each page:
NAMES: Final[dict[Page, dict[str, str]]] = {
    ("classe_300x", "en"): {},
    ("easykit", "en"): {
        "posto_esterno_strada": "entrance_panel_1",
        "posto_esterno_cortile": "entrance_panel_1",
        "cancello": "door_1",
        "portone": "door_1",
        "classe_300x": "easykit",
    },
    ("classe_300x", "it"): {
        "strada_call": "strada_chiamata",
        "cortile_call": "cortile_chiamata",
        "strada_bell": "strada_suoneria",
        "intercom_online": "videocitofono_in_linea",
    },
}
PANELS: Final = {"classe_300x": "Posto esterno strada", "easykit": "Entrance panel 1"}
ACTIONS: Final = (
    *(("notify", "mobile_app_phone"), ("light", "turn_on"), ("tts", "speak")),
    *(("media_player", "media_pause"), ("media_player", "media_play")),
    ("browser_mod", "navigate"),
)


@dataclass(slots=True, kw_only=True)
class World:
    """A house with one of the examples; `called` are the actions of other integrations."""

    hass: HomeAssistant
    simulator: Simulator
    clock: TickingDateTimeFactory
    house: str
    language: str
    called: list[ServiceCall]
    connect: WebSocketGenerator

    def named(self, text: str) -> str:
        """Return a text of the English page with the names of this house."""
        for documented, real in NAMES[self.house, self.language].items():
            text = text.replace(documented, real)
        return text

    @property
    def panel(self) -> str:
        """The name of the panel of the examples."""
        return PANELS[self.house]

    def ring(self) -> Any:
        """Ring at the panel of the examples."""
        panels = self.simulator.house.panels()
        return self.simulator.ring(panels[0].id)

    async def wait_for(self, action: str, count: int = 1) -> ServiceCall:
        """Wait for calls of an action; return the last of them."""
        await wait_until(lambda: len(self.calls_of(action)) >= count)
        return self.calls_of(action)[count - 1]

    def calls_of(self, action: str) -> list[ServiceCall]:
        """Return the calls of an action."""
        return [each for each in self.called if f"{each.domain}.{each.service}" == action]

    def set(self, entity_id: str, state: str) -> None:
        """Set the state of another integration's entity."""
        self.hass.states.async_set(entity_id, state)

    @property
    def opened(self) -> int:
        """The number of commands to doors."""
        return len(self.simulator.journal.commands)


type Scenario = Callable[[World], Awaitable[None]]
SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(alias: str) -> Callable[[Scenario], Scenario]:
    """Register what has to happen with an example."""

    def register(function: Scenario) -> Scenario:
        SCENARIOS[alias] = function
        return function

    return register


def blocks(page: str) -> list[str]:
    """Return the examples of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def title_of(block: str) -> str:
    """Return the alias of an automation, or the first line of another example."""
    return block.partition("\n")[0].removeprefix("alias: ")


ENGLISH: Final = blocks("automations.md")
TITLES: Final = [title_of(block) for block in ENGLISH]
EXAMPLES: Final = {
    "en": dict(zip(TITLES, ENGLISH, strict=True)),
    "it": dict(zip(TITLES, blocks("it/automations.md"), strict=True)),
}


@pytest.fixture(name="page", params=NAMES, ids="-".join)
def _page(request: pytest.FixtureRequest, hass: HomeAssistant) -> Page:
    """In a house of that language."""
    page: Page = request.param
    hass.config.language = page[1]
    return page


@pytest.fixture(name="house_name")
def _house_name(page: Page) -> str:
    return page[0]


@pytest.fixture(name="night")
async def _night(hass: HomeAssistant) -> AsyncIterator[TickingDateTimeFactory]:
    """Half past eleven on a Sunday night; time goes on."""
    await hass.config.async_set_time_zone("Europe/Rome")
    with freeze_time("2026-11-29 22:30:00+00:00", tick=True) as clock:
        assert isinstance(clock, TickingDateTimeFactory)
        yield clock


@pytest.fixture(name="world")
async def _world(  # noqa: PLR0917 - the parts of a world
    hass: HomeAssistant,
    night: TickingDateTimeFactory,
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - whose entities the examples use
    simulator: Simulator,
    page: Page,
    hass_ws_client: WebSocketGenerator,
) -> World:
    called: list[ServiceCall] = []
    for domain, action in ACTIONS:
        hass.services.async_register(domain, action, called.append)
    hass.states.async_set("sun.sun", "below_horizon")
    hass.states.async_set(TV, "playing")
    return World(
        hass=hass,
        simulator=simulator,
        clock=night,
        house=page[0],
        language=page[1],
        called=called,
        connect=hass_ws_client,
    )


@pytest.mark.parametrize("title", TITLES)
async def test_example(world: World, title: str) -> None:
    """It is loaded as it stands, but for the names, and does what it says."""
    example: Any = parse_yaml(world.named(EXAMPLES[world.language][title]))
    if "triggers" not in example:
        await load_script(world, example)
        await SCENARIOS[title](world)
        return
    assert await async_setup_component(world.hass, "doorbell", {})
    assert await async_setup_component(world.hass, "automation", {"automation": [example]})
    await wait_idle(world.hass)
    (automation,) = world.hass.states.async_entity_ids("automation")
    assert state_of(world.hass, automation) == "on"
    await SCENARIOS[title](world)
    await world.hass.services.async_call(
        "automation", "turn_off", {"entity_id": automation}, blocking=True
    )


async def load_script(world: World, example: dict[str, Any]) -> None:
    """Set up a script that consists of an example."""
    script = {"example": {"sequence": example.get("sequence", [example])}}
    assert await async_setup_component(world.hass, "script", {"script": script})


def test_every_block_is_run() -> None:
    """Each example has a scenario."""
    assert sorted(SCENARIOS) == sorted(TITLES)


@scenario("Light in the hall when somebody rings in the dark")
async def _hall(world: World) -> None:
    world.set("sun.sun", "above_horizon")
    world.simulator.miss(world.ring())
    await wait_until(lambda: state_of(world.hass, world.named(CALL)) != "unknown")
    world.set("sun.sun", "below_horizon")
    world.ring()
    call = await world.wait_for("light.turn_on")
    assert call.data["entity_id"] == ["light.hall"]
    assert len(world.called) == 1


@scenario("Who is it")
async def _who(world: World) -> None:
    world.ring()
    call = await world.wait_for("notify.mobile_app_phone")
    assert call.data["data"]["image"].endswith("/snapshot.jpg")


@scenario("Say it on the speaker")
async def _speaker(world: World) -> None:
    world.ring()
    call = await world.wait_for("tts.speak")
    said = {"en": f"Somebody is at {world.panel}.", "it": f"Qualcuno suona: {world.panel}."}
    assert call.data["message"] == said[world.language]


@scenario("Pause the television until the call is over")
async def _television(world: World) -> None:
    """It starts again after the end, not on the answer, and only if it was playing."""
    world.set(TV, "off")
    world.simulator.miss(world.ring())
    await wait_until(lambda: event_type(world) == "missed")
    assert world.called == []
    world.set(TV, "playing")
    call = world.ring()
    await world.wait_for("media_player.media_pause")
    world.set(TV, "paused")
    world.simulator.answer_elsewhere(call)
    await wait_until(lambda: event_type(world) == "answered")
    assert world.calls_of("media_player.media_play") == []
    await end(world, call)
    await world.wait_for("media_player.media_play")
    assert len(world.called) == 2


@scenario("Decline rings at night")
async def _decline(world: World) -> None:
    """On a model that sends no offer, nothing is sent and it rings on."""
    call = world.ring()
    ringing = world.named("binary_sensor.posto_esterno_strada_bell")
    if world.house == "easykit":
        await wait_until(lambda: state_of(world.hass, ringing) == "on")
        await wait_idle(world.hass)
        assert state_of(world.hass, ringing) == "on"
    else:
        await wait_until(lambda: event_type(world) == "ended")
    assert (call.session_id in world.simulator.calls) == (world.house == "easykit")


@scenario("Show the door on the tablet")
async def _tablet(world: World) -> None:
    world.ring()
    call = await world.wait_for("browser_mod.navigate")
    assert call.data == {"browser_id": "tablet", "path": "/lovelace/door"}


@scenario("Hang up after the gate was opened")
async def _hang_up(world: World) -> None:
    """The view ends five seconds after the door was opened."""
    camera = world.named("camera.posto_esterno_strada")
    browser = await BrowserClient.connect(world.connect, camera)
    view = await browser.watch(offer())
    await wait_until(lambda: is_watched(world.hass, camera))
    await open_door(world, "lock.cancello")
    assert (world.opened, view.received("error")) == (1, [])
    await later(world, timedelta(seconds=6))
    await view.wait_for("error")
    assert view.error_code == "call_hung_up"
    await browser.disconnect()


@scenario("Light the stairs")
async def _stairs(world: World) -> None:
    await open_door(world, "lock.portone")
    call = await world.wait_for("light.turn_on")
    assert call.data["entity_id"] == ["light.luce_scale"]


@scenario("Courier at the gate")
async def _courier(world: World) -> None:
    """Two such automations do not answer each other: the name of a button is never the same."""
    user = MockUser(name="Anna").add_to_hass(world.hass)
    user.mock_policy({"entities": {"all": True}})
    names = []
    for number in (1, 2):
        world.set("binary_sensor.letter_box", "off")
        await world.hass.async_block_till_done()
        world.set("binary_sensor.letter_box", "on")
        call = await world.wait_for("notify.mobile_app_phone", number)
        (button,) = call.data["data"]["actions"]
        names.append(button["action"])
        await wait_until(lambda: ACTION in world.hass.bus.async_listeners())
        for name in names:
            context = Context(user_id=user.id)
            world.hass.bus.async_fire(ACTION, {"action": name}, context=context)
        await wait_until(partial(opens, world, number))
        await world.hass.async_block_till_done()
    assert len({*names}) == world.opened == 2


@scenario("Intercom offline")
async def _offline(world: World) -> None:
    bridge = next(iter(world.simulator.house.bridges()))
    world.simulator.set_reachable(bridge, reachable=False)
    await wait_until(lambda: connection(world) == "off")
    await later(world, timedelta(minutes=11))
    call = await world.wait_for("notify.mobile_app_phone")
    titles = {"en": "The intercom is offline", "it": "Il videocitofono non è in linea"}
    assert call.data["title"] == titles[world.language]


@scenario("Open the front door from the bedside button")
async def _bedside(world: World) -> None:
    """A failed command is reported; one that was sent is not."""
    world.set("input_button.bedside", "unknown")
    world.set("input_button.bedside", "1")
    await wait_until(lambda: state_of(world.hass, world.named("lock.portone")) == "unlocked")
    await wait_idle(world.hass)
    assert (world.opened, world.called) == (1, [])


@scenario("Last week at the door")
async def _week(world: World) -> None:
    world.simulator.miss(world.ring())
    await wait_until(lambda: event_type(world) == "missed")
    await later(world, timedelta(hours=9))
    call = await world.wait_for("notify.mobile_app_phone")
    time = {"en": "29.11. 23:30", "it": "29/11 23:30"}[world.language]
    assert call.data["message"].endswith(f"{time} {world.panel}")


@scenario("sequence:")
async def _newest_picture(world: World) -> None:
    """Calls without a picture are passed over; without any, nothing is sent."""
    await miss(world)
    await run_script(world)
    call = await world.wait_for("notify.mobile_app_phone")
    assert call.data["message"].startswith(f"{world.panel}, ")
    assert call.data["data"]["image"].endswith("/snapshot.jpg")
    await world.hass.services.async_call(DOMAIN, "delete_calls", {"all": True}, blocking=True)
    await run_script(world)
    assert len(world.called) == 1


@scenario("action: bticino_classe.delete_calls")
async def _delete_all(world: World) -> None:
    await miss(world)
    assert await stored_calls(world) != []
    await run_script(world)
    assert await stored_calls(world) == []


@scenario("Forget calls at the yard")
async def _forget(world: World) -> None:
    panel = world.simulator.house.panels()[-1]
    world.simulator.miss(world.simulator.ring(panel.id))
    entity_id = world.named("event.posto_esterno_cortile_call")
    await wait_until(lambda: state_of(world.hass, entity_id) != "unknown")
    await wait_idle(world.hass)
    registry = er.async_get(world.hass)
    entity = registry.async_get(entity_id)
    assert entity is not None
    assert await stored_calls(world, device_id=entity.device_id) == []


ACTION: Final = "mobile_app_notification_action"
CALL: Final = "event.posto_esterno_strada_call"


def event_type(world: World) -> str | None:
    """Return the last event of the call at the panel of the examples."""
    state = world.hass.states.get(world.named(CALL))
    return None if state is None else state.attributes.get("event_type")


def connection(world: World) -> str:
    """Return the state of the intercom's connection."""
    found = re.search(r"binary_sensor\.classe_300x_\w+", EXAMPLES["en"]["Intercom offline"])
    assert found is not None
    return state_of(world.hass, world.named(found[0]))


def opens(world: World, count: int) -> bool:
    """Whether so many commands were sent to doors."""
    return world.opened == count


async def miss(world: World) -> None:
    """Let a ring be missed; its call and picture are stored."""
    world.simulator.miss(world.ring())
    await wait_until(lambda: event_type(world) == "missed")
    await wait_idle(world.hass)


async def run_script(world: World) -> None:
    """Run the example that is a script."""
    await world.hass.services.async_call("script", "example", blocking=True)
    await wait_idle(world.hass)


async def stored_calls(world: World, **choice: Any) -> Any:
    """Return the stored calls, by default of all devices."""
    found = await world.hass.services.async_call(
        DOMAIN, "export_calls", choice, blocking=True, return_response=True
    )
    assert found is not None
    return found["calls"]


async def open_door(world: World, lock: str) -> None:
    """Open a door from Home Assistant."""
    data = {"entity_id": world.named(lock)}
    await world.hass.services.async_call("lock", "open", data, blocking=True)
    await wait_idle(world.hass)


async def end(world: World, call: Any) -> None:
    """End a conversation; if a model does not report it, the end is assumed."""
    world.simulator.hang_up(call)
    if world.house == "easykit":
        world.clock.tick(timedelta(minutes=11))
        async_fire_time_changed(world.hass, dt_util.utcnow())
    await wait_until(lambda: event_type(world) == "ended")


async def later(world: World, time: timedelta) -> None:
    """Let time pass."""
    world.clock.tick(time)
    async_fire_time_changed(world.hass, dt_util.utcnow())
    await wait_idle(world.hass)
