"""translations/*.json: every other language against English."""

import re
from typing import TYPE_CHECKING, Final

from .translations import files, flatten, placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .project import Project

COMPLETE: Final = ("en", "it")
# Words that Italian shares with English.
SAME_IN_ITALIAN: Final = frozenset(
    {
        "BTicino Classe",
        "E-mail",
        "Email",
        "Password",
        "Wi-Fi",
    }
)

type Texts = dict[str, str]


def check(project: Project) -> None:
    """Check keys and placeholders, and that a complete language is complete and translated."""
    english_file, *others = files(project)
    english = _texts(project, english_file)
    for language in COMPLETE[1:]:
        path = english_file.with_name(f"{language}.json")
        if path not in others:
            project.complain(path, "is missing, and this language is declared complete")
    for path in others:
        texts = _texts(project, path)
        project.complain_all(path, _differences(english, texts))
        if path.stem in COMPLETE:
            project.complain_all(path, (f"{key} is missing" for key in english if key not in texts))
        if path.stem == "it":
            project.complain_all(path, _untranslated(english, texts))


def _texts(project: Project, path: Path) -> Texts:
    if not path.is_file():
        return {}
    before = len(project.findings)
    tree = project.json(path)
    del project.findings[before:]  # the check of the file for itself has said it already
    return dict(flatten(tree or {}))


def _differences(english: Texts, texts: Texts) -> Iterator[str]:
    for key, text in texts.items():
        if key not in english:
            yield f"{key} is unknown to en.json"
        elif _names(text) != _names(english[key]):
            yield f"{key} has other placeholders than en.json"


def _names(text: str) -> set[str]:
    try:
        return placeholders(text)
    except ValueError:
        return set()


def _untranslated(english: Texts, texts: Texts) -> Iterator[str]:
    for key, text in texts.items():
        words = re.sub(r"\{\w*\}", "", text)
        if text == english.get(key) and text not in SAME_IN_ITALIAN and re.search(r"\w", words):
            yield f"{key} is the same as in English: {text!r}"
