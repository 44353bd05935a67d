"""Translation keys in the code against en.json, and back."""

import ast
from typing import TYPE_CHECKING

from .project import Json, Project, branch
from .uses import Use, constants, uses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check(project: Project) -> None:
    """Check that what the code names has a text, and that every error text is used."""
    english_file = project.package / "translations" / "en.json"
    english = project.json(english_file, required=False) or {}
    modules = [(path, tree) for path, tree in project.modules() if not _in_client(project, path)]
    names = constants(tree for _, tree in modules)
    for path, tree in modules:
        for use in uses(tree, path.stem, names):
            if not _exists(english, use):
                where = " or ".join(use.headings)
                project.complain(
                    path, f"line {use.line}: {use.key!r} is not in en.json under {where}"
                )
    words = {word for _, tree in modules for word in _words(tree)}
    for key in sorted(branch(english, "exceptions").keys() - words):
        project.complain(english_file, f"exceptions.{key} is used nowhere")


def _in_client(project: Project, path: Path) -> bool:
    return path.is_relative_to(project.package / "client")


def _exists(english: Json, use: Use) -> bool:
    headings = [heading.split(".") for heading in use.headings]
    if ["entity", "*"] in headings:
        headings += [["entity", platform] for platform in branch(english, "entity")]
    return any(use.key in branch(english, *heading) for heading in headings)


def _words(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
