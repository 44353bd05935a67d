"""Helpers that read the repair issues as a person sees them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import issue_registry as ir

from custom_components import bticino_classe
from custom_components.bticino_classe.const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

TRANSLATIONS = sorted((Path(bticino_classe.__file__).parent / "translations").glob("*.json"))


def all_issues(hass: HomeAssistant) -> list[ir.IssueEntry]:
    """Return the active issues of all accounts."""
    found = ir.async_get(hass).issues.values()
    return [issue for issue in found if issue.domain == DOMAIN and issue.active]


def issues_of(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, ir.IssueEntry]:
    """Return the active issues of an account, by their ids without that of the account."""
    end = f"_{entry.entry_id}"
    found = [issue for issue in all_issues(hass) if issue.issue_id.endswith(end)]
    return {issue.issue_id.removesuffix(end): issue for issue in found}


def texts_of(issue: ir.IssueEntry) -> list[str]:
    """Return the texts of an issue in every language, English first, with the placeholders."""
    found: list[str] = []
    for language in sorted(TRANSLATIONS, key=lambda path: path.stem != "en"):
        texts = json.loads(language.read_text(encoding="utf-8"))["issues"][issue.translation_key]
        step = texts.get("fix_flow", {}).get("step", {}).get("confirm", {})
        assert ("description" in texts) is not issue.is_fixable
        description = step["description"] if issue.is_fixable else texts["description"]
        placeholders = issue.translation_placeholders or {}
        found += [text.format(**placeholders) for text in (texts["title"], description)]
    return found
