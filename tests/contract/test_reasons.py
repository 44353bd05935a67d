"""Every repair issue, and every reason for a lost push connection, has a text everywhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from custom_components import bticino_classe
from custom_components.bticino_classe.account_watch import RINGS_TEXTS
from custom_components.bticino_classe.client import OfflineReason
from custom_components.bticino_classe.issues import ISSUES, NOTHING_RINGS

PACKAGE = Path(bticino_classe.__file__).parent
LANGUAGES = sorted((PACKAGE / "translations").glob("*.json"))
DOCUMENT = (PACKAGE.parents[1] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.fixture(name="texts", params=LANGUAGES, ids=lambda path: str(path.stem))
def _texts(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The texts of one language."""
    found: dict[str, Any] = json.loads(request.param.read_text(encoding="utf-8"))
    return found


def test_attribute(texts: dict[str, Any]) -> None:
    """The state attribute of the push connection has a different text for each reason."""
    attributes = texts["entity"]["binary_sensor"]["push_connection"]["state_attributes"]
    reasons = attributes["reason"]["state"]
    assert reasons.keys() == set(OfflineReason)
    assert len(set(reasons.values())) == len(reasons)


def test_issues(texts: dict[str, Any]) -> None:
    """Each has a title, and either a description or a dialog, if a click can fix it."""
    keys = {issue.key: issue.is_fixable for issue in ISSUES if issue is not NOTHING_RINGS}
    keys |= dict.fromkeys(RINGS_TEXTS.values(), False)
    assert texts["issues"].keys() == keys.keys()
    for key, is_fixable in keys.items():
        expected = {"title", "fix_flow" if is_fixable else "description"}
        assert texts["issues"][key].keys() == expected
    assert len({each["title"] for each in texts["issues"].values()}) == len(keys)


def test_reasons_of_the_issue() -> None:
    """Each reason has a text of its own; Home Assistant itself asks for a refused password."""
    assert set(OfflineReason) - RINGS_TEXTS.keys() == {OfflineReason.CREDENTIALS_REFUSED}
    assert len(set(RINGS_TEXTS.values())) == len(RINGS_TEXTS)


def test_ids() -> None:
    """No issue of an account has the id of another."""
    ids = [issue.id_of("entry") for issue in ISSUES]
    assert len(set(ids)) == len(ids)


def test_document() -> None:
    """The section that issues link to names each of them."""
    section = DOCUMENT.split("\n## Repairs\n", 1)[1].split("\n## ", 1)[0]
    english = json.loads((PACKAGE / "translations" / "en.json").read_text(encoding="utf-8"))
    titles = {each["title"].split(" since ")[0] for each in english["issues"].values()}
    assert sorted(title for title in titles if f"*{title}" not in section) == []
