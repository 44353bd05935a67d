"""The metadata of the blueprints."""

from urllib.parse import quote

from homeassistant.util.yaml import parse_yaml
import pytest

from tests.integration.blueprints.conftest import FOLDER

REPOSITORY_PATH = "blueprints/automation/bticino_classe"
REPOSITORY = "https://github.com/bticino-classe/bticino-classe"
BLUEPRINTS = ["missed_call", "open_by_itself", "ring_notification"]


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_source_url(name: str) -> None:
    """Updates are imported from there, and the documentation links to it."""
    text = (FOLDER / f"{name}.yaml").read_text()
    blueprint = parse_yaml(text.replace("!input", ""))
    assert isinstance(blueprint, dict)
    about = blueprint["blueprint"]
    assert about["source_url"] == f"{REPOSITORY}/blob/main/{REPOSITORY_PATH}/{name}.yaml"
    assert about["homeassistant"]["min_version"] == "2026.10.0"
    guide = (FOLDER.parents[2] / "docs" / "automations.md").read_text()
    assert quote(about["source_url"], safe="") in guide
