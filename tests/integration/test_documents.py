"""The entities and examples in docs/, with the simulated Classe 300X."""

import logging
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from homeassistant.components import media_source
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import MockUser, async_mock_service

from tests.integration.conftest import sign_in, state_of, wait_idle, wait_until

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

DOCS = Path(__file__).parents[2] / "docs"
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STREET = "Posto esterno strada"
CLOSE_UP = "image.posto_esterno_strada_last_close_up"
# What the documents call an entity that has no name of its own.
UNNAMED = {"camera": "Camera", "light": "Light", "lock": "Lock"}


@pytest.fixture
async def entities(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator
) -> list[er.RegistryEntry]:
    """All entities of the house, disabled ones too, after a ring with a close-up."""
    registry = er.async_get(hass)
    simulator.miss(simulator.ring(STREET))
    await wait_until(lambda: registry.async_get(CLOSE_UP))
    await wait_idle(hass)
    return er.async_entries_for_config_entry(registry, online_entry.entry_id)


def documented(document: str) -> set[str]:
    """Return the entities that a document names and that could be ours."""
    text = (DOCS / document).read_text(encoding="utf-8")
    ids = set(re.findall(r"\b[a-z_]+\.[a-z_0-9]+\b", text))
    devices = "classe_300x|posto_esterno|cancello|portone|box|luce_scale|casa_"
    return {each for each in ids if re.match(rf"[a-z_]+\.({devices})", each)}


@pytest.mark.parametrize("document", ["automations.md", "entities.md"])
async def test_documented_entities_exist(entities: list[er.RegistryEntry], document: str) -> None:
    """Owners copy the examples and replace the names."""
    found = documented(document)
    assert len(found) > 5
    assert found - {entity.entity_id for entity in entities} == set()


async def test_every_entity_is_documented(entities: list[er.RegistryEntry]) -> None:
    """By its name, in the first column of a table."""
    text = (DOCS / "entities.md").read_text(encoding="utf-8")
    names = {
        name
        for row in re.findall(r"^\| ([^|`]+) \|", text, re.MULTILINE)
        for name in (row, *row.split(", "))
    }
    missing = {_name(entity) for entity in entities} - names
    assert missing == set()


def _name(entity: er.RegistryEntry) -> str:
    if entity.domain == "calendar":  # its name has that of the home
        return "Calendar"
    return entity.original_name or UNNAMED[entity.domain]


def examples() -> list[Any]:
    """Return the automations in automations.md."""
    text = (DOCS / "automations.md").read_text(encoding="utf-8")
    return [example for block in YAML.findall(text) if "triggers" in (example := parse_yaml(block))]


@pytest.mark.parametrize(
    ("entities", "opens"),
    [({"all": True}, True), ({"all": {"read": True}}, False), ({}, False)],
    ids=str,
)
async def test_documented_button_opens_with_the_rights_of_the_user(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],  # noqa: ARG001 - whose door it opens
    simulator: Simulator,
    *,
    entities: dict[str, Any],
    opens: bool,
) -> None:
    """Courier at the gate: the button has a new name each time."""
    (example,) = [each for each in examples() if each["alias"] == "Courier at the gate"]
    sent = async_mock_service(hass, "notify", "mobile_app_phone")
    user = MockUser(name="Anna").add_to_hass(hass)
    user.mock_policy({"entities": entities})
    assert await async_setup_component(hass, "automation", {"automation": [example]})
    names: list[str] = []
    for number in range(2):
        hass.states.async_set("binary_sensor.letter_box", "off")
        await hass.async_block_till_done()
        hass.states.async_set("binary_sensor.letter_box", "on")
        await wait_until(lambda: len(sent) > len(names))
        (button,) = sent[number].data["data"]["actions"]
        assert button["authenticationRequired"] is True
        names.append(button["action"])
        await wait_until(lambda: "mobile_app_notification_action" in hass.bus.async_listeners())
        hass.bus.async_fire(
            "mobile_app_notification_action",
            {"action": names[-1]},
            context=Context(user_id=user.id),
        )
        await hass.async_block_till_done()
    assert len({*names}) == 2
    assert len(simulator.journal.commands) == (2 if opens else 0)


def test_every_page_with_examples_is_known() -> None:
    """Those of automations are run by test_examples, the dashboards by test_dashboards."""
    paths = [*DOCS.parent.glob("*.md"), *DOCS.rglob("*.md")]
    pages = {str(path.relative_to(DOCS)) for path in paths if YAML.search(path.read_text())}
    english = {"automations.md", "dashboards.md", "troubleshooting.md"}
    assert pages == english | {"it/automations.md", "it/troubleshooting.md"}


@pytest.mark.parametrize("page", ["troubleshooting.md", "it/troubleshooting.md"])
async def test_documented_logging(
    hass: HomeAssistant, credentials: dict[str, str], caplog: pytest.LogCaptureFixture, page: str
) -> None:
    """The integration logs at level debug, other loggers do not."""
    (block,) = YAML.findall(await hass.async_add_executor_job((DOCS / page).read_text))
    configuration: Any = parse_yaml(block)
    assert await async_setup_component(hass, "logger", configuration)
    await wait_idle(hass)
    assert not logging.getLogger("homeassistant.core").isEnabledFor(logging.DEBUG)
    await sign_in(hass, credentials)
    ours = "custom_components.bticino_classe"
    assert any(
        each.name.startswith(ours) and each.levelno == logging.DEBUG for each in caplog.records
    )


def cards(tree: object) -> list[dict[str, Any]]:
    """Return all mappings in a tree."""
    if isinstance(tree, list):
        return [card for each in tree for card in cards(each)]
    if isinstance(tree, dict):
        return [tree, *(card for each in tree.values() for card in cards(each))]
    return []


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["classe_300x", "easykit"])
async def test_documented_card_of_missed_calls(
    hass: HomeAssistant, simulator: Simulator, house_name: str
) -> None:
    """A tap leads to the calls, a long press sets the number to 0."""
    assert await async_setup_component(hass, "media_source", {})
    text = await hass.async_add_executor_job((DOCS / "dashboards.md").read_text)
    documented = "sensor.classe_300x_missed_calls"
    found = cards(parse_yaml(YAML.findall(text)[0]))
    (card,) = [each for each in found if each.get("entity") == documented]
    sensor = documented.replace("classe_300x", house_name)
    simulator.miss(simulator.ring(simulator.house.panels()[0].id))
    await wait_until(lambda: state_of(hass, sensor) == "1")
    folder = unquote(card["tap_action"]["navigation_path"]).rpartition(",")[2]
    assert (await media_source.async_browse_media(hass, folder)).children
    domain, action = card["hold_action"]["perform_action"].split(".")
    await hass.services.async_call(domain, action, blocking=True)
    assert state_of(hass, sensor) == "0"
