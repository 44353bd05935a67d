"""The words of the protocol: the short texts in the source of the product."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .coverage import PRODUCT
from .seeds import PLANTED

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES: Final = ("client", "live", "history/records.py", "stored_house.py", "naming.py")
_MAX_LENGTH: Final = 60


def words() -> list[str]:
    """Return the words, sorted, with the planted secret among them."""
    return sorted({PLANTED, *(word for path in _paths() for word in _words_in(path))})


def _paths() -> Iterator[Path]:
    for name in _MODULES:
        path = Path(PRODUCT) / "bticino_classe" / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _words_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        word = node.value if isinstance(node, ast.Constant) else None
        # Sentences are documentation and log lines.
        if isinstance(word, str) and 0 < len(word) <= _MAX_LENGTH and word.count(" ") < 3:
            yield word
