import ast
from pathlib import Path

FOREIGN = ("custom_components", "homeassistant", "pytest_homeassistant_custom_component")
FILES = sorted(Path(__file__).parent.glob("**/*.py"))


def imported_modules(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, at any level."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "." * node.level)
    return names


def test_simulator_does_not_import_client() -> None:
    """The simulator is an independent implementation of the protocol."""
    assert len(FILES) > 15
    foreign = {
        (path.name, name) for path in FILES for name in imported_modules(path) if is_foreign(name)
    }
    assert not foreign


def is_foreign(name: str) -> bool:
    """Return whether a module belongs to the client or Home Assistant, or is relative."""
    return name.startswith((".", *FOREIGN))


def test_nested_imports_are_found(tmp_path: Path) -> None:
    """The check also finds imports inside functions."""
    file = tmp_path / "file.py"
    file.write_text("import a.b\ndef f():\n    from homeassistant.core import x\n")
    assert imported_modules(file) == {"a.b", "homeassistant.core"}
    assert [name for name in sorted(imported_modules(file)) if is_foreign(name)] == [
        "homeassistant.core"
    ]
