"""docs/glossary.md has the words of the translations."""

from tests.contract.glossary import DOCUMENT, generated


def test_glossary() -> None:
    """`python -m tests.contract.glossary` writes it."""
    assert DOCUMENT.read_text(encoding="utf-8") == generated()
