"""The metadata of the blueprints, and their texts in each language."""

import re
from typing import Any
from urllib.parse import quote

from homeassistant.util.yaml import parse_yaml
import pytest

from tests.integration.blueprints.conftest import FOLDER

REPOSITORY_PATH = "blueprints/automation/bticino_classe"
REPOSITORY = "https://github.com/bticino-classe/bticino-classe"
BLUEPRINTS = [
    *("announce", "arrival_log", "light_at_ring", "missed_call", "open_by_itself"),
    *("ring_notification", "show_camera"),
]
WITHOUT_TEXTS = {"light_at_ring", "show_camera"}


def load(name: str) -> dict[str, Any]:
    """Return a blueprint; inputs are replaced by their keys."""
    blueprint = parse_yaml((FOLDER / f"{name}.yaml").read_text().replace("!input", ""))
    assert isinstance(blueprint, dict)
    return blueprint


def find(tree: object, key: str) -> list[Any]:
    """Return everything that has a key, anywhere in a tree."""
    if isinstance(tree, list):
        return [found for value in tree for found in find(value, key)]
    if not isinstance(tree, dict):
        return []
    here = [tree[key]] if key in tree else []
    return [*here, *(found for value in tree.values() for found in find(value, key))]


def test_every_blueprint_is_tested() -> None:
    """Those in the folder."""
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == BLUEPRINTS


@pytest.mark.parametrize("name", sorted({*BLUEPRINTS} - WITHOUT_TEXTS))
def test_languages(name: str) -> None:
    """Each language that can be chosen has all texts, with the placeholders of the English."""
    blueprint = load(name)
    chosen, texts = find(blueprint, "language"), find(blueprint, "texts")
    languages = next(each for each in chosen if isinstance(each, dict))["selector"]["select"]
    by_language = next(each for each in texts if "en" in each)
    assert [each["value"] for each in languages["options"]] == [*by_language]
    assert len(by_language) > 1
    own: dict[str, str] = next(iter(find(blueprint, "own")), {})
    for language, translated in by_language.items():
        assert {**own}.keys() <= translated.keys() == by_language["en"].keys(), language
        for key, text in translated.items():
            english = re.findall(r"{\w+}", by_language["en"][key])
            assert sorted(re.findall(r"{\w+}", text)) == sorted(english), (language, key)


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_source_url(name: str) -> None:
    """Updates are imported from there, and the documentation links to it."""
    about = load(name)["blueprint"]
    assert about["source_url"] == f"{REPOSITORY}/blob/main/{REPOSITORY_PATH}/{name}.yaml"
    assert about["homeassistant"]["min_version"] == "2026.10.0"
    badge = "https://my.home-assistant.io/badges/blueprint_import.svg"
    link = "https://my.home-assistant.io/redirect/blueprint_import/"
    button = f"]({badge})]({link}?blueprint_url={quote(about['source_url'], safe='')})"
    for page in ("automations.md", "it/automations.md"):
        assert (FOLDER.parents[2] / "docs" / page).read_text().count(button) == 1, page
