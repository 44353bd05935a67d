"""translations/*.json: each file for itself."""

import re
from string import Formatter
from typing import TYPE_CHECKING, Final

from .project import Json, Project, branch
from .shape import PLAIN, TRANSLATIONS, differences, leaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HTML: Final = re.compile(r"</?[a-z][^>]*>", re.IGNORECASE)
_URL: Final = re.compile(r"\b[a-z][a-z0-9+]*://|\bwww\.[a-z0-9-]+\.", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'\{\w+\}'")
_REFERENCE: Final = re.compile(r"\[%|%\]")
FLOWS: Final = ("config", "options")


def check(project: Project) -> None:
    """Check shape and texts of every language, and that each field of a flow is described."""
    for path in files(project):
        if (tree := project.json(path)) is not None:
            project.complain_all(path, differences(TRANSLATIONS, tree))
            project.complain_all(path, _bad_texts(tree))
            project.complain_all(path, _undescribed(tree))


def files(project: Project) -> list[Path]:
    """Return all languages, English first even if it is missing."""
    english = project.package / "translations" / "en.json"
    others = sorted({*english.parent.glob("*.json")} - {english})
    return [english, *others]


def flatten(tree: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its dotted path."""
    for key, value in tree.items():
        below = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from flatten(value, below)
        elif isinstance(value, str):
            yield below, value


def placeholders(text: str) -> set[str]:
    """Return the names in braces; ValueError where the braces do not match."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _bad_texts(tree: Json) -> Iterator[str]:
    for path, text in flatten(tree):
        for problem in _problems(text):
            yield f"{path} {problem}"
        if "{" in text and leaf(TRANSLATIONS, path) == PLAIN:
            yield f"{path} has a placeholder where none is filled in"


def _problems(text: str) -> Iterator[str]:
    if not text.strip():
        yield "is empty"
    elif text != text.strip():
        yield "begins or ends with a space"
    if _HTML.search(text):
        yield "holds HTML"
    if _URL.search(text):
        yield "holds an address: use a placeholder"
    if _QUOTED.search(text):
        yield "has a placeholder in single quotes"
    if _REFERENCE.search(text):
        yield "holds a reference, which only core resolves"
    yield from _bad_braces(text)


def _bad_braces(text: str) -> Iterator[str]:
    try:
        names = placeholders(text)
    except ValueError as err:
        yield f"has broken braces: {err}"
        return
    yield from (f"has a placeholder of no valid name: {n!r}" for n in names if not n.isidentifier())


def _undescribed(tree: Json) -> Iterator[str]:
    for flow in FLOWS:
        for step, content in branch(tree, flow, "step").items():
            yield from _unpaired(f"{flow}.step.{step}", content)
            for name, section in branch(content, "sections").items():
                yield from _unpaired(f"{flow}.step.{step}.sections.{name}", section)


def _unpaired(path: str, content: Json) -> Iterator[str]:
    fields, described = branch(content, "data"), branch(content, "data_description")
    for key in sorted(fields.keys() - described.keys()):
        yield f"{path}.data.{key} has no data_description"
    for key in sorted(described.keys() - fields.keys()):
        yield f"{path}.data_description.{key} describes no field of data"
