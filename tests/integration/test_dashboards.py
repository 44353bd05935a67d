"""The dashboards of docs/dashboards.md: equal in both languages, and to the development one."""

from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from homeassistant.util.yaml import parse_yaml
import pytest

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

ROOT = Path(__file__).parents[2]
TEXTS = {"title", "heading", "name"}
ENTITY = re.compile(r"^[a-z_]+\.[a-z0-9_]+$")


def published() -> list[Any]:
    """Return the dashboards of the document."""
    text = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [parse_yaml(block) for block in blocks]


def without_texts(tree: object) -> object:
    """Return a dashboard without what is translated."""
    if isinstance(tree, list):
        return [without_texts(each) for each in tree]
    if isinstance(tree, dict):
        return {key: without_texts(each) for key, each in tree.items() if key not in TEXTS}
    return tree


def leaves(tree: object) -> list[str]:
    """Return the texts in a tree, without its keys."""
    if isinstance(tree, list | dict):
        values = tree.values() if isinstance(tree, dict) else tree
        return [leaf for value in values for leaf in leaves(value)]
    return [str(tree)]


def test_languages_differ_in_texts_only() -> None:
    """English comes first, then Italian."""
    english, italian = published()
    assert without_texts(english) == without_texts(italian)
    assert [each["views"][0]["title"] for each in (english, italian)] == ["Doors", "Porte"]


def test_development_server_shows_the_same() -> None:
    """It has one more view, for houses with other entities."""
    english, _ = published()
    path = ROOT / "dev" / "dashboards" / "intercom.yaml"
    shown: Any = parse_yaml(path.read_text(encoding="utf-8"))
    *views, everything = shown["views"]
    assert {"views": views} == english
    assert everything["path"] == "everything"


@pytest.mark.usefixtures("online_entry")
def test_entities_and_pages_exist(hass: HomeAssistant) -> None:
    """In the simulator's default house."""
    english, _ = published()
    found = set(leaves(english))
    actions = {"bticino_classe.reset_missed_calls"}
    entities = {each for each in found - actions if ENTITY.match(each)}
    assert len(entities) > 8
    assert [each for each in sorted(entities) if hass.states.get(each) is None] == []
    assert hass.services.has_service("bticino_classe", "reset_missed_calls")
    pages = {view["path"] for view in english["views"]}
    assert {"strada", "cortile"} <= pages
