"""docs/glossary.md has the words of the translations."""

import pytest

from tests.contract.glossary import DOCUMENT, TRANSLATIONS, generated

# Language, a second word for a thing, and the word that it has.
REJECTED = [
    ("it", "unità interna", "posto interno"),
    ("it", "chiamata accettata", "qualcuno ha risposto"),
]


def test_glossary() -> None:
    """`python -m tests.contract.glossary` writes it."""
    assert DOCUMENT.read_text(encoding="utf-8") == generated()


@pytest.mark.parametrize(("language", "word", "instead"), REJECTED)
def test_one_word_for_one_thing(language: str, word: str, instead: str) -> None:
    """Neither in the user interface nor in the documents."""
    documents = DOCUMENT.parent.glob(f"{language}/*.md")
    texts = [
        path.read_text(encoding="utf-8") for path in (TRANSLATIONS / f"{language}.json", *documents)
    ]
    assert [text for text in texts if word in text.lower()] == [], instead
    assert instead in texts[0].lower()
