"""The metadata of the blueprints."""

from urllib.parse import quote

import pytest

from tests.integration.blueprints.conftest import FOLDER, load_blueprint

REPOSITORY_PATH = "blueprints/automation/bticino_classe"
REPOSITORY = "https://github.com/bticino-classe/bticino-classe"
BLUEPRINTS = [
    *("announce", "arrival_log", "light_at_ring", "missed_call", "open_by_itself"),
    *("ring_notification", "show_camera"),
]


def test_every_blueprint_is_tested() -> None:
    """Those in the folder."""
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == BLUEPRINTS


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_source_url(name: str) -> None:
    """Updates are imported from there, and the documentation links to it."""
    about = load_blueprint(name)["blueprint"]
    assert about["source_url"] == f"{REPOSITORY}/blob/main/{REPOSITORY_PATH}/{name}.yaml"
    assert about["homeassistant"]["min_version"] == "2026.10.0"
    badge = "https://my.home-assistant.io/badges/blueprint_import.svg"
    link = "https://my.home-assistant.io/redirect/blueprint_import/"
    button = f"]({badge})]({link}?blueprint_url={quote(about['source_url'], safe='')})"
    for page in ("automations.md", "it/automations.md"):
        assert (FOLDER.parents[2] / "docs" / page).read_text().count(button) == 1, page
