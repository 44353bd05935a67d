"""Entities keep their listeners when a person renames them."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "custom_components" / "bticino_classe"
LIFECYCLE = {
    "async_added_to_hass",
    "async_prepare_to_add_to_hass",
    "async_will_remove_from_hass",
}
HOOK = "async_entity_id_changed"


def test_classes_with_a_lifecycle_method_have_the_hook() -> None:
    """Without it, Home Assistant 2026.11 removes a renamed entity and adds it again."""
    classes = [
        node
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    methods = {each.name: {getattr(node, "name", None) for node in each.body} for each in classes}
    concerned = {name for name, found in methods.items() if found & LIFECYCLE}
    assert "BticinoEntity" in concerned
    assert {name for name in concerned if HOOK not in methods[name]} == set()
