"""The blueprints, imported as a person does, and somebody rings."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from homeassistant.components import persistent_notification
from homeassistant.components.notify.const import NOTIFY_SERVICE_SCHEMA
from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import dump as yaml_dump, parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_mock_service,
    mock_restore_cache,
)

from tests.integration.conftest import (
    act,
    online,
    requested,
    restart,
    settle,
    sign_in,
    state_of,
    until,
)
from tests.integration.history.stored import calls_of
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, ServiceCall
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

    from tests.simulator import Simulator

FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "bticino_classe"
PLACE = "blueprints/automation/bticino_classe"
REPOSITORY = "https://github.com/bticino-classe/bticino-classe"
NAMES = ["missed_call", "open_by_itself", "ring_notification"]
STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
STREET_BELL, YARD_BELL = (
    "event.posto_esterno_strada_doorbell",
    "event.posto_esterno_cortile_doorbell",
)
STREET_CALL, YARD_CALL = "event.posto_esterno_strada_call", "event.posto_esterno_cortile_call"
STREET_CAMERA, YARD_CAMERA = "camera.posto_esterno_strada", "camera.posto_esterno_cortile"
AUTOMATION = "automation.tried"
TURNS = 20  # of the loop, in which a waiting automation takes notice of an event
ROME = ZoneInfo("Europe/Rome")
MONDAY_MORNING = datetime(2026, 11, 23, 9, 0, tzinfo=ROME)

type Automate = Callable[..., Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Phone:
    """A phone with the app: what it was sent, and its buttons."""

    hass: HomeAssistant
    device_id: str
    sent: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False
    slow: asyncio.Event | None = None

    async def receive(self, call: ServiceCall) -> None:
        """Take a notification as the app's action does."""
        if self.broken:
            raise HomeAssistantError("not connected")
        if self.slow is not None:
            await self.slow.wait()
        self.sent.append(dict(call.data))

    @property
    def texts(self) -> list[str]:
        """What it was told, in order."""
        return [each["message"] for each in self.sent]

    @property
    def shown(self) -> dict[str, dict[str, Any]]:
        """The notifications that are on its screen, by tag."""
        screen: dict[str, dict[str, Any]] = {}
        for each in self.sent:
            tag = each["data"]["tag"]
            screen.pop(tag, None)
            if each["message"] != "clear_notification":
                screen[tag] = each
        return screen

    def button(self, title: str, message: int = 0) -> str:
        """Return the action of a button of one of the notifications."""
        actions = self.sent[message]["data"]["actions"]
        (found,) = [each["action"] for each in actions if each["title"] == title]
        assert isinstance(found, str)
        return found

    async def tap(self, action: str) -> None:
        """Tap a button, as the app tells it; the next tap finds this one noticed."""
        self.hass.bus.async_fire("mobile_app_notification_action", {"action": action})
        for _ in range(TURNS):
            await asyncio.sleep(0)


def add_phone(hass: HomeAssistant, name: str, service: str) -> Phone:
    """Register a phone as its app does."""
    entry = MockConfigEntry(domain="mobile_app", title=name)
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("mobile_app", name)}, name=name
    )
    phone = Phone(hass, device.id)
    hass.services.async_register("notify", service, phone.receive, schema=NOTIFY_SERVICE_SCHEMA)
    return phone


@pytest.fixture(name="anna")
def _anna(hass: HomeAssistant) -> Phone:
    return add_phone(hass, "Anna's phone", "mobile_app_anna_s_phone")


@pytest.fixture(name="bruno")
def _bruno(hass: HomeAssistant) -> Phone:
    return add_phone(hass, "Bruno", "mobile_app_bruno")


@pytest.fixture(name="house")
async def _house(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> AsyncIterator[ConfigEntry[Any]]:
    """A house that hears pushes."""
    await hass.config.async_set_time_zone("Europe/Rome")
    simulator.sockets.handshake_status = None
    entry = await sign_in(hass, credentials)
    await online(entry)
    simulator.journal.clear()
    yield entry
    assert simulator.violations == []


@pytest.fixture(name="automate")
def _automate(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Automate:
    """Import a blueprint and make an automation of it."""

    async def automate(name: str, **inputs: Any) -> None:
        assert await async_setup_component(hass, "automation", {})
        path = f"bticino_classe/{name}.yaml"
        client = await hass_ws_client(hass)
        text = await hass.async_add_executor_job((FOLDER / f"{name}.yaml").read_text)
        await client.send_json_auto_id(
            {"type": "blueprint/save", "domain": "automation", "path": path, "yaml": text}
        )
        answer = await client.receive_json()
        assert answer["success"], answer
        await client.close()
        await use(hass, {"path": path, "input": inputs})

    return automate


async def use(hass: HomeAssistant, blueprint: dict[str, Any]) -> None:
    """Load an automation that uses a blueprint."""
    automation = {"id": "tried", "alias": "Tried", "use_blueprint": blueprint}
    path = Path(hass.config.path("configuration.yaml"))
    await hass.async_add_executor_job(path.write_text, yaml_dump({"automation": [automation]}))
    await hass.services.async_call("automation", "reload", blocking=True)
    await hass.async_block_till_done()
    assert state_of(hass, AUTOMATION) == "on"


def opened(simulator: Simulator) -> list[str]:
    """Return the names of the doors that were commanded, in order."""
    sent = requested(simulator.journal.commands, "home", "modules")
    return [simulator.house.find(modules[0]["id"]).name or "?" for modules in sent]


async def finished(hass: HomeAssistant) -> None:
    """Wait until no run of the automation is under way."""

    def over() -> bool:
        state = hass.states.get(AUTOMATION)
        return state is not None and state.attributes["current"] == 0

    await until(over)
    await hass.async_block_till_done()


@pytest.fixture(name="ring_automation")
async def _ring_automation(
    house: ConfigEntry[Any], automate: Automate, anna: Phone, bruno: Phone
) -> None:
    """Two panels, two doors of three, two phones."""
    del house
    await automate(
        "ring_notification",
        doorbells=[STREET_BELL, YARD_BELL],
        doors=["lock.cancello", "lock.portone"],
        phones=[anna.device_id, bruno.device_id],
    )


@pytest.mark.usefixtures("ring_automation")
async def test_ring_reaches_every_phone_with_the_doors_by_name(
    simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """At once, with what the app needs to let it through."""
    simulator.ring(STREET)
    await until(lambda: anna.sent and bruno.sent)
    assert anna.sent == bruno.sent
    (sent,) = anna.sent
    assert (sent["title"], sent["message"]) == ("Doorbell", f"Somebody is ringing at {STREET}.")
    data = sent["data"]
    assert [each["title"] for each in data["actions"]] == ["Open Cancello", "Open Portone"]
    assert [each["authenticationRequired"] for each in data["actions"]] == [True, True]
    assert (data["priority"], data["ttl"], data["channel"]) == ("high", 0, "Doorbell")
    assert data["push"] == {"interruption-level": "time-sensitive"}


@pytest.mark.usefixtures("ring_automation")
async def test_button_opens_its_door_once_whoever_taps(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Both phones, twice each: one command, and all are told."""
    simulator.ring(STREET)
    await until(lambda: anna.sent and bruno.sent)
    for phone in (bruno, anna, bruno, anna):
        await phone.tap(phone.button("Open Portone"))
    await finished(hass)
    await anna.tap(anna.button("Open Cancello"))
    await finished(hass)
    assert opened(simulator) == ["Portone"]
    for phone in (anna, bruno):
        (shown,) = phone.shown.values()
        assert shown["message"] == "Open command sent to Portone."
        assert "actions" not in shown["data"]


@pytest.mark.usefixtures("ring_automation")
async def test_slow_phone_does_not_keep_the_other_from_opening(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """The door opens while the second phone is still being reached; the last word is right."""
    bruno.slow = asyncio.Event()
    simulator.ring(STREET)
    await until(lambda: anna.sent)
    await anna.tap(anna.button("Open Cancello"))
    await until(lambda: opened(simulator))
    assert bruno.sent == []
    bruno.slow.set()
    await finished(hass)
    (shown,) = bruno.shown.values()
    assert shown["message"] == "Open command sent to Cancello."
    assert opened(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_phone_that_cannot_be_reached_costs_the_others_nothing(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """The first of the two fails."""
    anna.broken = True
    simulator.ring(STREET)
    await until(lambda: bruno.sent)
    await bruno.tap(bruno.button("Open Cancello"))
    await finished(hass)
    assert opened(simulator) == ["Cancello"]
    assert bruno.texts[-1] == "Open command sent to Cancello."


@pytest.mark.usefixtures("ring_automation")
async def test_phone_that_was_removed_is_left_out(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Its action is gone with it."""
    dr.async_get(hass).async_remove_device(anna.device_id)
    hass.services.async_remove("notify", "mobile_app_anna_s_phone")
    simulator.hang_up(simulator.ring(STREET))
    await until(lambda: len(bruno.sent) == 2)
    assert bruno.shown == {}
    await finished(hass)


@pytest.mark.usefixtures("ring_automation")
async def test_button_of_an_older_ring_opens_nothing(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """Somebody rings again: the new notification takes the place of the old one."""
    simulator.hang_up(simulator.ring(STREET))
    await until(lambda: len(anna.sent) == 2)
    simulator.ring(STREET)
    await until(lambda: len(anna.sent) == 3)
    await anna.tap(anna.button("Open Portone"))
    await anna.tap(anna.button("Open Cancello", message=2))
    await finished(hass)
    assert opened(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_second_ring_replaces_the_first_and_is_not_cleared_by_it(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """The visitor presses twice, each a call of its own; one notification, one live button."""
    simulator.ring(STREET)
    await until(lambda: anna.sent)
    simulator.ring(STREET)
    await until(lambda: len(anna.sent) == 2)
    await until(lambda: runs(hass) == 1)
    assert list(anna.shown.values()) == [anna.sent[1]]
    await anna.tap(anna.button("Open Portone", message=0))
    await anna.tap(anna.button("Open Cancello", message=1))
    await finished(hass)
    assert opened(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
async def test_two_panels_at_once_have_a_notification_each(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """The end of one call leaves the other's buttons alone."""
    first = simulator.ring(STREET)
    simulator.ring(YARD)
    await until(lambda: len(anna.shown) == 2)
    simulator.hang_up(first)
    await until(lambda: runs(hass) == 1)
    (left,) = anna.shown.values()
    assert left["message"] == f"Somebody is ringing at {YARD}."
    await anna.tap(anna.button("Open Cancello", message=anna.sent.index(left)))
    await finished(hass)
    assert opened(simulator) == ["Cancello"]


@pytest.mark.usefixtures("ring_automation")
@pytest.mark.parametrize("end", ["answer_elsewhere", "hang_up", "miss"])
async def test_notification_goes_when_the_call_is_over(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone, end: str
) -> None:
    """And its buttons with it."""
    call = simulator.ring(STREET)
    await until(lambda: anna.sent and bruno.sent)
    getattr(simulator, end)(call)
    await until(lambda: anna.shown == bruno.shown == {})
    await anna.tap(anna.button("Open Cancello"))
    await finished(hass)
    assert opened(simulator) == []
    assert len(anna.sent) == 2


@pytest.mark.usefixtures("ring_automation")
@pytest.mark.parametrize(
    "failure",
    [
        Failure(body={"status": "ok", "errors": [{"code": 6}]}),
        Failure(drop=True, executed=True),
        Failure(status=503, html=True),
    ],
)
async def test_failed_opening_is_told_and_not_repeated(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone, failure: Failure
) -> None:
    """Refused, or not known: no phone says that it is open."""
    simulator.fail(SETSTATE, failure)
    simulator.ring(STREET)
    await until(lambda: anna.sent and bruno.sent)
    await anna.tap(anna.button("Open Cancello"))
    await finished(hass)
    assert opened(simulator) == ["Cancello"]
    for phone in (anna, bruno):
        (shown,) = phone.shown.values()
        assert shown["message"].startswith("Cancello may not have opened.")
        assert shown["data"]["priority"] == "high"


@pytest.mark.usefixtures("ring_automation")
async def test_unavailable_door_is_told_as_not_opened(
    hass: HomeAssistant, simulator: Simulator, anna: Phone
) -> None:
    """Home Assistant leaves such a door out without a word; the blueprint must not."""
    simulator.set_reachable("Cancello", False)
    await until(lambda: state_of(hass, "lock.cancello") == "unavailable")
    simulator.ring(STREET)
    await until(lambda: anna.sent)
    await anna.tap(anna.button("Open Cancello"))
    await finished(hass)
    assert opened(simulator) == []
    assert anna.texts[-1].startswith("Cancello may not have opened")


@pytest.mark.usefixtures("ring_automation")
async def test_buttons_die_with_the_time_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, simulator: Simulator, anna: Phone
) -> None:
    """Also if the end of the call never comes, and nothing else tells."""
    hass.states.async_remove(STREET_CALL)
    simulator.ring(STREET)
    await until(lambda: anna.sent)
    await until(lambda: runs(hass) == 1)
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    await finished(hass)
    await anna.tap(anna.button("Open Cancello"))
    await finished(hass)
    assert anna.shown == {}
    assert opened(simulator) == []


@pytest.mark.usefixtures("ring_automation")
async def test_restart_makes_no_ring(
    hass: HomeAssistant, house: ConfigEntry[Any], simulator: Simulator, anna: Phone
) -> None:
    """The entity comes back with its last event."""
    simulator.hang_up(simulator.ring(STREET))
    await until(lambda: len(anna.sent) == 2)
    await finished(hass)
    await restart(hass, house)
    await online(house)
    simulator.hang_up(simulator.ring(YARD))
    await until(lambda: len(anna.sent) >= 4)
    await finished(hass)
    assert anna.texts[2:] == [f"Somebody is ringing at {YARD}.", "clear_notification"]


async def test_picture_critical_alert_and_texts(
    hass: HomeAssistant,
    house: ConfigEntry[Any],
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """All that can be set, in another language."""
    del house
    await automate(
        "ring_notification",
        doorbells=[STREET_BELL],
        phones=[anna.device_id],
        doors=["lock.box"],
        unlock_first=False,
        pictures=["camera.garden", "image.visitor"],
        critical=True,
        dashboard="/lovelace/porta",
        title="Citofono",
        message="Suonano: {panel}",
        button_text="Apri {door}",
        opened_text="Comando inviato: {door}",
    )
    simulator.ring(STREET)
    await until(lambda: anna.sent)
    (sent,) = anna.sent
    assert (sent["title"], sent["message"]) == ("Citofono", f"Suonano: {STREET}")
    data = sent["data"]
    assert data["image"] == "/api/camera_proxy/camera.garden"
    assert data["url"] == data["clickAction"] == "/lovelace/porta"
    assert data["channel"] == "alarm_stream"
    assert data["push"]["interruption-level"] == "critical"
    assert data["push"]["sound"] == {"name": "default", "critical": 1, "volume": 1.0}
    assert data["actions"][0]["authenticationRequired"] is False
    await anna.tap(anna.button("Apri Box"))
    await finished(hass)
    assert anna.texts[-1] == "Comando inviato: Box"


@pytest.mark.parametrize("pictures", [[], [STREET_CAMERA], [YARD_CAMERA]], ids=str)
async def test_ring_shows_who_it_is(
    house: ConfigEntry[Any],
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
    *,
    hass_client: ClientSessionGenerator,
    pictures: list[str],
) -> None:
    """The visitor, and not the one before, whatever of the intercom's own is chosen."""
    del house
    await automate(
        "ring_notification", doorbells=[STREET_BELL], phones=[anna.device_id], pictures=pictures
    )
    app = await hass_client()
    simulator.hang_up(simulator.ring(STREET))
    await until(lambda: len(anna.sent) == 2)
    call = simulator.ring(STREET)
    await until(lambda: len(anna.sent) == 3)
    answer = await app.get(anna.sent[2]["data"]["image"])
    assert await answer.read() == jpeg(call.picture_id("snapshot"))


@pytest.mark.parametrize(
    ("pictures", "shown"),
    [
        ([], None),
        ([STREET_CAMERA], f"/api/camera_proxy/{STREET_CAMERA}"),
        ([STREET_CAMERA, "camera.garden"], f"/api/camera_proxy/{STREET_CAMERA}"),
        (["camera.garden", "image.visitor"], "/api/camera_proxy/camera.garden"),
    ],
    ids=str,
)
async def test_ring_without_a_picture_shows_what_is_chosen(
    hass: HomeAssistant,
    house: ConfigEntry[Any],
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
    *,
    pictures: list[str],
    shown: str | None,
) -> None:
    """As at a panel that has no camera; the panel's own is preferred."""
    history = house.runtime_data.history
    await history.async_delete_all()
    simulator.ring(STREET, pictures=False, status=False)
    await until(lambda: state_of(hass, STREET_BELL) != "unknown")
    (call,) = await calls_of(hass)
    await history.async_give_up(call.id, "snapshot")
    await automate(
        "ring_notification", doorbells=[STREET_BELL], phones=[anna.device_id], pictures=pictures
    )
    simulator.ring(STREET, pictures=False, status=False)
    await until(lambda: anna.sent)
    assert anna.sent[0]["data"].get("image") == shown


async def test_run_by_hand_shows_the_notification(
    hass: HomeAssistant,
    house: ConfigEntry[Any],
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
) -> None:
    """To try it without walking to the gate, and its button is real."""
    del house
    await automate(
        "ring_notification",
        doorbells=[STREET_BELL],
        phones=[anna.device_id],
        doors=["lock.box"],
    )
    run = hass.async_create_task(act(hass, "automation", "trigger", AUTOMATION))
    await until(lambda: anna.sent)
    await anna.tap(anna.button("Open Box"))
    await run
    assert opened(simulator) == ["Box"]


@pytest.fixture(name="missed_automation")
async def _missed_automation(
    hass: HomeAssistant, house: ConfigEntry[Any], automate: Automate, anna: Phone, bruno: Phone
) -> None:
    """Both panels, two phones, and Home Assistant's own list."""
    del house
    assert await async_setup_component(hass, "persistent_notification", {})
    await automate(
        "missed_call",
        calls=[STREET_CALL, YARD_CALL],
        phones=[anna.device_id, bruno.device_id],
        persistent=True,
        pictures=["image.visitor"],
        missed_calls=["sensor.classe_300x_missed_calls"],
    )


@pytest.mark.usefixtures("missed_automation")
async def test_missed_call_is_told_with_panel_time_and_count(
    hass: HomeAssistant, simulator: Simulator, anna: Phone, bruno: Phone
) -> None:
    """Those that were answered or given up are not; the second tells how many there are."""
    notes = persistent_notifications(hass)
    first = simulator.ring(STREET)
    simulator.answer_elsewhere(first)
    simulator.hang_up(first)
    simulator.miss(simulator.ring(STREET))
    await until(lambda: anna.sent and bruno.sent)
    simulator.miss(simulator.ring(YARD))
    await until(lambda: len(anna.sent) == len(bruno.sent) == 2)
    await finished(hass)
    times = [told_at(hass, each) for each in (STREET_CALL, YARD_CALL)]
    assert anna.texts == [
        f"Somebody rang at {STREET} at {times[0]}.",
        f"Somebody rang at {YARD} at {times[1]}. Missed calls: 2.",
    ]
    assert anna.sent[0]["title"] == "Missed call"
    assert anna.sent[0]["data"]["image"] == "/api/image_proxy/image.visitor"
    assert [each["message"] for each in notes.values()] == anna.texts == bruno.texts


@pytest.mark.parametrize("pictures", [[], [STREET_CAMERA]], ids=str)
async def test_missed_call_shows_who_it_was(
    hass: HomeAssistant,
    house: ConfigEntry[Any],
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
    *,
    hass_client: ClientSessionGenerator,
    pictures: list[str],
) -> None:
    """Not who rang after that."""
    del house
    await automate("missed_call", calls=[STREET_CALL], phones=[anna.device_id], pictures=pictures)
    app = await hass_client()
    call = simulator.ring(STREET)
    await settle(hass)
    simulator.ring(STREET)
    simulator.miss(call)
    await until(lambda: anna.sent)
    answer = await app.get(anna.sent[0]["data"]["image"])
    assert await answer.read() == jpeg(call.picture_id("snapshot"))


def told_at(hass: HomeAssistant, entity_id: str) -> str:
    """Return the time of day of an entity's last event, as people in Rome say it."""
    return datetime.fromisoformat(state_of(hass, entity_id)).astimezone(ROME).strftime("%H:%M")


def persistent_notifications(hass: HomeAssistant) -> dict[str, Any]:
    """Return what is in the side bar, kept up to date."""
    found: dict[str, Any] = {}

    def take(_kind: object, notifications: dict[str, Any]) -> None:
        found.update(notifications)

    persistent_notification.async_register_callback(hass, take)
    return found


@pytest.fixture(name="monday")
def _monday(freezer: FrozenDateTimeFactory) -> FrozenDateTimeFactory:
    """A clock that stands at nine on a Monday morning in Rome."""
    freezer.move_to(MONDAY_MORNING)
    return freezer


@pytest.fixture(name="by_itself")
async def _by_itself(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    house: ConfigEntry[Any],
    automate: Automate,
    anna: Phone,
) -> Automate:
    """What makes the automation: weekdays from eight to noon, twice, not within two minutes."""
    del monday, house
    hass.states.async_set("input_boolean.parcels", "on")
    assert await async_setup_component(hass, "counter", {"counter": {"openings": {}}})

    async def make(**changed: Any) -> None:
        usual = {
            "doorbells": [STREET_BELL],
            "door": "lock.portone",
            "begin": "08:00:00",
            "end": "12:00:00",
            "counter": "counter.openings",
            "limit": 2,
            "pause": 2,
            "phones": [anna.device_id],
            "conditions": [
                {"condition": "state", "entity_id": "input_boolean.parcels", "state": "on"}
            ],
        }
        await automate("open_by_itself", **(usual | changed))

    return make


async def at(
    hass: HomeAssistant, clock: FrozenDateTimeFactory, house: ConfigEntry[Any], moment: datetime
) -> None:
    """Set the clock, and connect anew: a line on which time jumps is taken for dead."""
    clock.move_to(moment)
    await restart(hass, house)
    await online(house)


async def ring_and_go(hass: HomeAssistant, simulator: Simulator, panel: str = STREET) -> None:
    """Ring, give up, and wait until all that follows is over."""
    bell = STREET_BELL if panel == STREET else YARD_BELL
    before = state_of(hass, bell)
    simulator.hang_up(simulator.ring(panel))
    await until(lambda: state_of(hass, bell) != before)
    await hass.async_block_till_done()


async def test_opens_by_itself_and_tells(
    hass: HomeAssistant, by_itself: Automate, simulator: Simulator, anna: Phone
) -> None:
    """One ring, one command, at the panel that was chosen only."""
    await by_itself()
    await ring_and_go(hass, simulator, YARD)
    assert opened(simulator) == []
    await ring_and_go(hass, simulator)
    assert opened(simulator) == ["Portone"]
    (sent,) = anna.sent
    assert sent["title"] == "Opened by itself"
    assert sent["message"] == f"Somebody rang at {STREET}. Open command sent to Portone."
    assert state_of(hass, "counter.openings") == "1"


async def test_limit_and_pause_are_kept(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    house: ConfigEntry[Any],
    by_itself: Automate,
    simulator: Simulator,
) -> None:
    """Twice in a window, the second not at once; on the next day anew."""
    await by_itself()
    seen = []
    for minutes in (0, 1, 2, 30, 60, 24 * 60):
        await at(hass, monday, house, MONDAY_MORNING + timedelta(minutes=minutes))
        await ring_and_go(hass, simulator)
        seen.append(len(opened(simulator)))
    assert seen == [1, 1, 2, 2, 2, 3]
    assert state_of(hass, "counter.openings") == "1"


@pytest.mark.parametrize(
    ("moment", "changed", "opens"),
    [
        ("2026-11-23 07:59:59", {}, 0),
        ("2026-11-23 08:00:00", {}, 1),
        ("2026-11-23 11:59:59", {}, 1),
        ("2026-11-23 12:00:00", {}, 0),
        ("2026-11-22 09:00:00", {}, 0),
        ("2026-11-22 09:00:00", {"weekdays": ["sun"]}, 1),
        ("2026-11-23 23:00:00", {"begin": "22:00:00", "end": "06:00:00"}, 1),
        ("2026-11-24 05:59:59", {"begin": "22:00:00", "end": "06:00:00", "weekdays": ["mon"]}, 1),
        ("2026-11-23 05:59:59", {"begin": "22:00:00", "end": "06:00:00", "weekdays": ["mon"]}, 0),
        ("2026-11-23 12:00:00", {"begin": "22:00:00", "end": "06:00:00"}, 0),
        ("2026-11-23 09:00:00", {"begin": "09:00:00", "end": "09:00:00"}, 0),
    ],
)
async def test_window(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    house: ConfigEntry[Any],
    by_itself: Automate,
    simulator: Simulator,
    *,
    moment: str,
    changed: dict[str, Any],
    opens: int,
) -> None:
    """From its first second to before its last, on the day on which it begins."""
    await by_itself(**changed)
    await at(hass, monday, house, datetime.fromisoformat(moment).replace(tzinfo=ROME))
    await ring_and_go(hass, simulator)
    assert len(opened(simulator)) == opens


async def test_window_over_midnight_is_one_window(
    hass: HomeAssistant,
    monday: FrozenDateTimeFactory,
    house: ConfigEntry[Any],
    by_itself: Automate,
    simulator: Simulator,
) -> None:
    """The limit does not begin anew at midnight."""
    await by_itself(begin="22:00:00", end="06:00:00")
    for hour in (23, 24, 25):
        await at(hass, monday, house, MONDAY_MORNING + timedelta(hours=hour - 9))
        await ring_and_go(hass, simulator)
    assert len(opened(simulator)) == 2


async def test_own_conditions_have_to_hold(
    hass: HomeAssistant, by_itself: Automate, simulator: Simulator
) -> None:
    """A ring that is not let in takes nothing off the limit."""
    await by_itself()
    hass.states.async_set("input_boolean.parcels", "off")
    await ring_and_go(hass, simulator)
    assert opened(simulator) == []
    hass.states.async_set("input_boolean.parcels", "on")
    await ring_and_go(hass, simulator)
    assert opened(simulator) == ["Portone"]


async def test_unavailable_door_is_not_tried(
    hass: HomeAssistant, by_itself: Automate, simulator: Simulator, anna: Phone
) -> None:
    """And nobody is told that it opened."""
    await by_itself()
    simulator.set_reachable("Portone", False)
    await until(lambda: state_of(hass, "lock.portone") == "unavailable")
    await ring_and_go(hass, simulator)
    assert opened(simulator) == []
    assert anna.sent == []
    assert state_of(hass, "counter.openings") == "0"


async def test_failed_opening_by_itself_is_told_and_counts(
    hass: HomeAssistant, by_itself: Automate, simulator: Simulator, anna: Phone
) -> None:
    """It may have opened."""
    await by_itself()
    simulator.fail(SETSTATE, Failure(drop=True, executed=True))
    await ring_and_go(hass, simulator)
    assert opened(simulator) == ["Portone"]
    (sent,) = anna.sent
    assert sent["title"] == "Not opened by itself"
    assert "may not have opened" in sent["message"]
    assert state_of(hass, "counter.openings") == "1"


async def test_counter_that_does_not_count_opens_nothing(
    hass: HomeAssistant, by_itself: Automate, simulator: Simulator
) -> None:
    """A limit that nobody keeps is none, as with a maximum of nought."""
    await by_itself()
    hass.services.async_remove("counter", "increment")
    async_mock_service(hass, "counter", "increment")
    await ring_and_go(hass, simulator)
    assert opened(simulator) == []


async def test_running_it_by_hand_opens_nothing(
    hass: HomeAssistant, by_itself: Automate, simulator: Simulator
) -> None:
    """It leaves out the conditions, so it must not open."""
    await by_itself()
    await act(hass, "automation", "trigger", AUTOMATION)
    assert opened(simulator) == []


@pytest.fixture(name="count")
def _count(hass: HomeAssistant, request: pytest.FixtureRequest) -> str:
    """What Home Assistant remembers: so many openings, the last one half an hour ago."""
    last = (MONDAY_MORNING - timedelta(minutes=30)).isoformat()
    automation = State(AUTOMATION, "on", {"last_triggered": last})
    count: str = request.param
    mock_restore_cache(hass, [State("counter.openings", count), automation])
    return count


@pytest.mark.parametrize("count", ["1", "2"], indirect=True)
async def test_limit_survives_a_restart(
    hass: HomeAssistant, count: str, by_itself: Automate, simulator: Simulator
) -> None:
    """The counter and the automation's own memory are enough."""
    await by_itself()
    assert state_of(hass, "counter.openings") == count
    await ring_and_go(hass, simulator)
    assert len(opened(simulator)) == 2 - int(count)
    assert state_of(hass, "counter.openings") == "2"


@pytest.mark.parametrize("name", NAMES)
def test_blueprint_says_where_it_comes_from(name: str) -> None:
    """Whoever imports it gets the next version from there; the documentation links to it."""
    text = (FOLDER / f"{name}.yaml").read_text()
    blueprint = parse_yaml(text.replace("!input", ""))
    assert isinstance(blueprint, dict)
    about = blueprint["blueprint"]
    assert about["source_url"] == f"{REPOSITORY}/blob/main/{PLACE}/{name}.yaml"
    assert about["homeassistant"]["min_version"] == "2026.10.0"
    guide = (FOLDER.parents[2] / "docs" / "automations.md").read_text()
    assert quote(about["source_url"], safe="") in guide


def runs(hass: HomeAssistant) -> int:
    """Return how many runs of the automation are under way."""
    state = hass.states.get(AUTOMATION)
    assert state is not None
    number = state.attributes["current"]
    assert isinstance(number, int)
    return number
