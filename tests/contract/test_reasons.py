"""Every reason for a lost push connection has a text, in every language."""

import json
from pathlib import Path

import pytest

from custom_components import bticino_classe
from custom_components.bticino_classe.client import OfflineReason

LANGUAGES = sorted((Path(bticino_classe.__file__).parent / "translations").glob("*.json"))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda path: str(path.stem))
def test_attribute(language: Path) -> None:
    """The state attribute of the push connection."""
    entities = json.loads(language.read_text(encoding="utf-8"))["entity"]
    texts = entities["binary_sensor"]["push_connection"]["state_attributes"]["reason"]["state"]
    assert texts.keys() == set(OfflineReason)
    assert len(set(texts.values())) == len(texts)
