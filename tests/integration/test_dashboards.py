"""The dashboards of docs/dashboards.md: equal in both languages, and to the development ones."""

from pathlib import Path
import re
from typing import TYPE_CHECKING, Any

from homeassistant.util.yaml import parse_yaml
import pytest

from tests.integration.conftest import sign_in

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

ROOT = Path(__file__).parents[2]
TEXTS = {"title", "heading", "name"}
ENTITY = re.compile(r"^[a-z_]+\.[a-z0-9_]+$")
LANGUAGES = ("en", "it")  # in the order of the document


def published() -> dict[str, Any]:
    """Return the dashboards of the document by language."""
    text = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return dict(zip(LANGUAGES, map(parse_yaml, blocks), strict=True))


def without_texts(tree: object) -> object:
    """Return a dashboard without what depends on the language."""
    if isinstance(tree, list):
        return [without_texts(each) for each in tree]
    if isinstance(tree, dict):
        return {key: without_texts(each) for key, each in tree.items() if key not in TEXTS}
    if isinstance(tree, str) and ENTITY.match(tree):
        return tree.partition(".")[0]
    return tree


def leaves(tree: object) -> list[str]:
    """Return the texts in a tree, without its keys."""
    if isinstance(tree, list | dict):
        values = tree.values() if isinstance(tree, dict) else tree
        return [leaf for value in values for leaf in leaves(value)]
    return [str(tree)]


def test_languages_differ_in_texts_only() -> None:
    """The ids of entities contain their names in the language of the house."""
    english, italian = published().values()
    assert without_texts(english) == without_texts(italian)
    assert [each["views"][0]["title"] for each in (english, italian)] == ["Doors", "Porte"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_development_server_shows_the_same(language: str) -> None:
    """It has one more view, for houses with other entities."""
    path = ROOT / "dev" / "dashboards" / f"{language}.yaml"
    shown: Any = parse_yaml(path.read_text(encoding="utf-8"))
    *views, everything = shown["views"]
    assert {"views": views} == published()[language]
    assert everything["path"] == "everything"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_entities_and_pages_exist(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], language: str
) -> None:
    """In the simulator's default house."""
    hass.config.language = language
    simulator.use_house("classe_300x")
    await sign_in(hass, credentials)
    dashboard = published()[language]
    found = set(leaves(dashboard))
    actions = {"bticino_classe.reset_missed_calls"}
    entities = {each for each in found - actions if ENTITY.match(each)}
    assert len(entities) > 8
    assert [each for each in sorted(entities) if hass.states.get(each) is None] == []
    assert hass.services.has_service("bticino_classe", "reset_missed_calls")
    pages = {view["path"] for view in dashboard["views"]}
    assert {"strada", "cortile"} <= pages
