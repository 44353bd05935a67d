"""Phones with the companion app, and automations made from the blueprints."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from homeassistant.components.notify.const import NOTIFY_SERVICE_SCHEMA
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import slugify
from homeassistant.util.yaml import dump as yaml_dump, parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
)

from scripts.lib.project_checks import LANGUAGES
from tests.integration.conftest import (
    request_values,
    state_of,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, ServiceCall
    from pytest_homeassistant_custom_component.typing import (
        WebSocketGenerator,
    )

    from tests.simulator import Simulator

FOLDER = Path(__file__).parents[3] / "blueprints" / "automation" / "bticino_classe"
STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
STREET_DOORBELL, YARD_DOORBELL = (
    "event.posto_esterno_strada_doorbell",
    "event.posto_esterno_cortile_doorbell",
)
STREET_CALL, YARD_CALL = "event.posto_esterno_strada_call", "event.posto_esterno_cortile_call"
STREET_CAMERA, YARD_CAMERA = "camera.posto_esterno_strada", "camera.posto_esterno_cortile"
AUTOMATION = "automation.under_test"
LOOP_TURNS = 20  # of the event loop, in which a waiting automation handles an event
ROME = ZoneInfo("Europe/Rome")
in_each_language = pytest.mark.parametrize("language", sorted(LANGUAGES))
type Automate = Callable[..., Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Phone:
    """A phone with the companion app: the notifications sent to it, and its buttons."""

    hass: HomeAssistant
    device_id: str
    user: MockUser
    sent: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False
    slow: asyncio.Event | None = None

    async def receive(self, call: ServiceCall) -> None:
        """Take a notification like the app's notify action."""
        if self.broken:
            raise HomeAssistantError("not connected")
        if self.slow is not None:
            await self.slow.wait()
        self.sent.append(dict(call.data))

    @property
    def texts(self) -> list[str]:
        """The messages, in order."""
        return [each["message"] for each in self.sent]

    @property
    def shown(self) -> dict[str, dict[str, Any]]:
        """The notifications on its screen, by tag."""
        screen: dict[str, dict[str, Any]] = {}
        for each in self.sent:
            tag = each["data"]["tag"]
            screen.pop(tag, None)
            if each["message"] != "clear_notification":
                screen[tag] = each
        return screen

    def button(self, title: str, message: int = 0) -> str:
        """Return the action of a button of a notification."""
        actions = self.sent[message]["data"]["actions"]
        (found,) = [each["action"] for each in actions if each["title"] == title]
        assert isinstance(found, str)
        return found

    async def tap(self, action: str, **typed: str) -> None:
        """Tap a button, and let the automations handle it."""
        self.hass.bus.async_fire(
            "mobile_app_notification_action",
            {"action": action, **typed},
            context=Context(user_id=self.user.id),
        )
        for _ in range(LOOP_TURNS):
            await asyncio.sleep(0)


def add_phone(hass: HomeAssistant, name: str, service: str) -> Phone:
    """Register a phone as its app does."""
    entry = MockConfigEntry(domain="mobile_app", title=name)
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("mobile_app", name)}, name=name
    )
    user = MockUser(name=name).add_to_hass(hass)
    user.mock_policy({"entities": {"all": True}})
    hass.states.async_set(f"person.{slugify(name)}", "home", {"user_id": user.id})
    phone = Phone(hass, device.id, user)
    hass.services.async_register("notify", service, phone.receive, schema=NOTIFY_SERVICE_SCHEMA)
    return phone


@pytest.fixture(name="anna")
def _anna(hass: HomeAssistant) -> Phone:
    return add_phone(hass, "Anna's phone", "mobile_app_anna_s_phone")


@pytest.fixture(name="bruno")
def _bruno(hass: HomeAssistant) -> Phone:
    return add_phone(hass, "Bruno", "mobile_app_bruno")


@pytest.fixture(autouse=True)
async def _time_zone(hass: HomeAssistant) -> None:
    """Set the time zone before the account is set up."""
    await hass.config.async_set_time_zone("Europe/Rome")


@pytest.fixture(name="automate")
def _automate(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - whose entities it uses
) -> Automate:
    """Import a blueprint and create an automation from it."""

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
        await load_automation(hass, {"path": path, "input": inputs})

    return automate


async def load_automation(hass: HomeAssistant, blueprint: dict[str, Any]) -> None:
    """Load an automation that uses a blueprint."""
    automation = {"id": "under_test", "alias": "Under test", "use_blueprint": blueprint}
    path = Path(hass.config.path("configuration.yaml"))
    await hass.async_add_executor_job(path.write_text, yaml_dump({"automation": [automation]}))
    await hass.services.async_call("automation", "reload", blocking=True)
    await hass.async_block_till_done()
    assert state_of(hass, AUTOMATION) == "on"


def load_blueprint(name: str) -> dict[str, Any]:
    """Return a blueprint; inputs are replaced by their keys."""
    blueprint = parse_yaml((FOLDER / f"{name}.yaml").read_text().replace("!input", ""))
    assert isinstance(blueprint, dict)
    return blueprint


def texts_of(name: str, language: str, **values: str) -> dict[str, str]:
    """Return the texts of a blueprint in one language, with the values of the placeholders."""
    variables = [each.get("variables", {}) for each in load_blueprint(name)["actions"]]
    (tables,) = [each["texts"] for each in variables if "texts" in each]
    return {key: text.format_map(values) for key, text in tables[language].items()}


def opened_doors(simulator: Simulator) -> list[str]:
    """Return the names of the doors that were commanded, in order."""
    sent = request_values(simulator.journal.commands, "home", "modules")
    return [simulator.house.find(modules[0]["id"]).name or "?" for modules in sent]


async def wait_finished(hass: HomeAssistant) -> None:
    """Wait until no run of the automation is in progress."""

    def is_finished() -> bool:
        state = hass.states.get(AUTOMATION)
        return state is not None and state.attributes["current"] == 0

    await wait_until(is_finished)
    await hass.async_block_till_done()


def running_count(hass: HomeAssistant) -> int:
    """Return how many runs of the automation are in progress."""
    state = hass.states.get(AUTOMATION)
    assert state is not None
    number = state.attributes["current"]
    assert isinstance(number, int)
    return number
