import ast
from pathlib import Path

FOREIGN = ("custom_components", "homeassistant", "pytest_homeassistant_custom_component")
FILES = sorted(Path(__file__).parent.glob("**/*.py"))


def imported(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "." * node.level)
    return names


def test_imports_nothing_of_the_client() -> None:
    """The simulator is a reading of the protocol of its own."""
    assert len(FILES) > 15
    foreign = {(path.name, name) for path in FILES for name in imported(path) if is_foreign(name)}
    assert not foreign


def is_foreign(name: str) -> bool:
    """Tell whether it belongs to the client or to Home Assistant, or hides where it leads."""
    return name.startswith((".", *FOREIGN))


def test_imports_are_seen(tmp_path: Path) -> None:
    """The check sees imports inside functions too."""
    file = tmp_path / "file.py"
    file.write_text("import a.b\ndef f():\n    from homeassistant.core import x\n")
    assert imported(file) == {"a.b", "homeassistant.core"}
    assert [name for name in sorted(imported(file)) if is_foreign(name)] == ["homeassistant.core"]
