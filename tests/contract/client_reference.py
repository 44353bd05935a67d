"""Generates the parts of docs/client.md that follow the client's code.

`python -m tests.contract.client_reference` rewrites them after a change of a public name.
"""

import ast
from dataclasses import fields, is_dataclass
from enum import Enum
import inspect
from pathlib import Path
import re
from typing import TYPE_CHECKING, TypeIs

from custom_components.bticino_classe import client

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCUMENT = Path(__file__).parents[2] / "docs" / "client.md"

_STUB = re.compile(r"^```python\nclass (\w+).*?^```$", re.DOTALL | re.MULTILINE)
_NAMES = re.compile(
    r"(?<=^<!-- generated names -->\n).*?(?=^<!-- end -->$)", re.DOTALL | re.MULTILINE
)
_COMMENT = re.compile(r"  # .*$", re.MULTILINE)


def generated(text: str) -> str:
    """Return the document with its class stubs and its list of names as the code has them."""
    text = _STUB.sub(lambda found: f"```python\n{stub(found[1])}```", text)
    return _NAMES.sub(lambda _: f"\n{names()}\n", text)


def stub(name: str) -> str:
    """Return the headers of a class's public methods and properties, as its source writes them."""
    source = inspect.getsource(getattr(client, name))
    lines, node = source.splitlines(), ast.parse(source).body[0]
    assert isinstance(node, ast.ClassDef)
    headers = [_header(each, lines) for each in node.body if _is_public(each)]
    return "\n".join((f"class {name}:", *headers, ""))


def names() -> str:
    """Return the enums with their members, the data classes, and the other names."""
    values = {name: getattr(client, name) for name in client.__all__ if not _is_error(name)}
    enums = [name for name, value in values.items() if _is_enum(value)]
    data = [
        name for name, value in values.items() if isinstance(value, type) and is_dataclass(value)
    ]
    members = [f"- `{name}`: {_quoted(values[name].__members__)}" for name in enums]
    others = _quoted(name for name in values if name not in {*enums, *data})
    return "\n".join((*members, "", f"Data classes: {_quoted(data)}.", "", f"Other: {others}.", ""))


def parts_of(value: object) -> list[str]:
    """Return the fields of a data class or the members of an enum; nothing for other values."""
    if not isinstance(value, type):
        return []
    if _is_enum(value):
        return list(value.__members__)
    return [each.name for each in fields(value)] if is_dataclass(value) else []


def _is_enum(value: object) -> TypeIs[type[Enum]]:
    return isinstance(value, type) and issubclass(value, Enum)


def _is_error(name: str) -> bool:
    value = getattr(client, name)
    return isinstance(value, type) and issubclass(value, client.BticinoError)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_public(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return node.name == "__init__" or not node.name.startswith("_")


def _header(node: ast.stmt, lines: list[str]) -> str:
    """Return the lines from the first decorator to the colon, without comments."""
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    first = min(each.lineno for each in (node, *node.decorator_list))
    header = "\n".join(lines[first - 1 : node.body[0].lineno - 1])
    return f"{_COMMENT.sub('', header)} ..."


if __name__ == "__main__":
    DOCUMENT.write_text(generated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
