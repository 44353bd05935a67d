"""Generates docs/glossary.md: what each thing is called in each language.

`python -m tests.contract.glossary` rewrites it after a change of the translations.
"""

import json
from pathlib import Path
import re
from typing import Any, Final

from scripts.lib.project_checks import LANGUAGES

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "glossary.md"
TRANSLATIONS: Final = ROOT / "custom_components" / "bticino_classe" / "translations"
# Where the words stand by themselves; other texts use them as they are here.
WORDS: Final = (
    "device.panel.name",
    "device.door.name",
    "device.relay.name",
    "device.light.name",
    "device.camera.name",
    "entity.event.doorbell.name",
    "entity.binary_sensor.ringing.name",
    "entity.binary_sensor.ringing.state.on",
    "entity.binary_sensor.ringing.state.off",
    "entity.event.call.name",
    "entity.sensor.last_call.state.answered",
    "entity.sensor.last_call.state.missed",
    "entity.sensor.last_call.state.ended",
    "entity.sensor.missed_calls.name",
    "entity.image.last_call.name",
    "entity.image.last_call_close_up.name",
    "entity.binary_sensor.in_call.name",
    "entity.binary_sensor.in_call.state.on",
    "entity.binary_sensor.in_call.state.off",
    "entity.button.open.name",
    "entity.camera.call_home.name",
    "entity.binary_sensor.connection.name",
    "entity.binary_sensor.push_connection.name",
    "entity.select.do_not_disturb.name",
    "entity.select.professional_studio.name",
    "options.step.init.sections.history.name",
    "options.step.door_code.data.code",
    "services.hang_up.name",
    "services.decline_ring.name",
    "services.stream_address.name",
)
COLUMNS: Final = 5  # languages in a table
_PLACEHOLDER: Final = re.compile(r" ?\{\w+\}")
_HEAD: Final = """\
# Glossary

One thing has one word in each language, in every text. The words are those of Home Assistant and of
the app where these have one. This page is generated from the translations:
`python -m tests.contract.glossary`.
"""


def generated() -> str:
    """Return the document as the translations have it."""
    texts = {language: _texts(language) for language in sorted(LANGUAGES - {"en"})}
    tables = [
        _table(list(texts)[start : start + COLUMNS], texts)
        for start in range(0, len(texts), COLUMNS)
    ]
    return "\n".join([_HEAD, *tables])


def _table(languages: list[str], texts: dict[str, dict[str, Any]]) -> str:
    english = _texts("en")
    columns = ["en", *languages]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for key in WORDS:
        words = [_word(each, key) for each in (english, *(texts[each] for each in languages))]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join([*lines, ""])


def _texts(language: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((TRANSLATIONS / f"{language}.json").read_text("utf-8"))
    return tree


def _word(tree: dict[str, Any], key: str) -> str:
    found: Any = tree
    for part in key.split("."):
        found = found[part]
    return _PLACEHOLDER.sub("", found)


if __name__ == "__main__":
    DOCUMENT.write_text(generated(), encoding="utf-8")
