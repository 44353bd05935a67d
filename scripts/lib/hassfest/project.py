"""The repository under check: how its files are read, and what was found in them."""

import ast
import json
from typing import TYPE_CHECKING, Any, Final

from annotatedyaml import YAMLException, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOMAIN: Final = "bticino_classe"

type Json = dict[str, Any]


class Project:
    """A root folder, the files of it that were read, and the findings so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "custom_components" / DOMAIN
        self.files: set[Path] = set()
        self.findings: list[str] = []

    def complain(self, path: Path, text: str) -> None:
        """Note one finding about a file."""
        self.findings.append(f"{path.relative_to(self.root)}: {text}")

    def complain_all(self, path: Path, texts: Iterator[str]) -> None:
        """Note every finding of a check about one file."""
        for text in texts:
            self.complain(path, text)

    def text(self, path: Path, *, required: bool = True) -> str | None:
        """Return a file's text; None where it is absent, which is a finding if it is required."""
        if not path.is_file():
            if required:
                self.complain(path, "is missing")
            return None
        self.files.add(path)
        return path.read_text(encoding="utf-8")

    def json(self, path: Path, *, required: bool = True) -> Json | None:
        """Return a JSON object; None where there is none, and why is a finding."""
        if (text := self.text(path, required=required)) is None:
            return None
        try:
            value = json.loads(text, object_pairs_hook=_unique)
        except ValueError as err:
            self.complain(path, f"is not valid JSON: {err}")
            return None
        return self._mapping(path, value)

    def yaml(self, path: Path, *, required: bool = True) -> Json | None:
        """Return a YAML mapping; None where there is none, and why is a finding."""
        if (text := self.text(path, required=required)) is None:
            return None
        try:
            value = parse_yaml(text)
        except YAMLException as err:
            self.complain(path, f"is not valid YAML: {err}")
            return None
        return self._mapping(path, value)

    def modules(self) -> Iterator[tuple[Path, ast.Module]]:
        """Parse every Python file of the package."""
        for path in sorted(self.package.rglob("*.py")):
            try:
                tree = ast.parse(self.text(path) or "")
            except SyntaxError as err:
                self.complain(path, f"is not valid Python: {err}")
                continue
            yield path, tree

    def _mapping(self, path: Path, value: object) -> Json | None:
        if isinstance(value, dict):
            return value
        self.complain(path, "does not hold a mapping")
        return None


def branch(tree: Json, *keys: str) -> Json:
    """Return the mapping under some keys, an empty one where there is none."""
    for key in keys:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found: Json = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} appears twice")
        found[key] = value
    return found
