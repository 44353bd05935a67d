"""Functions have at most 30 lines, files at most 500; longer ones have too many purposes."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("custom_components", "tests/simulator", "dev", "bench", "scripts")
FUNCTION_LINES = 30
FILE_LINES = 500

# Exceptions, as "path" or "path::function", each with its reason.
ALLOWED: dict[str, str] = {
    "custom_components/bticino_classe/client/auth.py::__init__": (
        "the founding document fixes its parameters and attributes"
    ),
}


def too_long(root: Path) -> dict[str, int]:
    """Return the files and functions above the limit, with their number of lines."""
    found = {}
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        name, source = str(path.relative_to(root)), path.read_text(encoding="utf-8")
        if (lines := len(source.splitlines())) > FILE_LINES:
            found[name] = lines
        found |= _long_functions(name, ast.parse(source))
    return found


def _long_functions(name: str, tree: ast.Module) -> dict[str, int]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                found[f"{name}::{node.name}"] = lines
    return found


def test_nothing_is_too_long() -> None:
    """A function counts from its `def` line to its last line, without decorators."""
    assert {name: lines for name, lines in too_long(ROOT).items() if name not in ALLOWED} == {}


def test_every_exception_is_needed() -> None:
    """Every exception exists and is above the limit."""
    assert ALLOWED.keys() <= too_long(ROOT).keys()


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["def f() -> None:", *["    f()"] * 29], {}),
        (["def f() -> None:", *["    f()"] * 30], {"dev/a.py::f": 31}),
        (["class A:", "    async def g(self):", *["        f()"] * 30], {"dev/a.py::g": 31}),
        (["x = 1"] * 500, {}),
        (["x = 1"] * 501, {"dev/a.py": 501}),
    ],
)
def test_limits(tmp_path: Path, lines: list[str], found: dict[str, int]) -> None:
    """Only lengths above the limit are found."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "a.py").write_text("\n".join(lines))
    assert too_long(tmp_path) == found
