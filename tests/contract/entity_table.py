"""Generates the tables of entities in docs/entities.md.

`python -m tests.contract.entity_table` rewrites them after a change of the entities: it sets up
each model in Home Assistant, as tests/integration/test_entity_table.py does.
"""

from collections import Counter
from dataclasses import dataclass
import os
from pathlib import Path
import re
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "entities.md"
WRITE: Final = "WRITE_ENTITY_TABLE"  # environment variable: rewrite instead of compare
#: The simulated houses, by their columns.
MODELS: Final = {
    "100X": "classe_100x",
    "300X": "classe_300x",
    "300EOS": "classe_300eos",
    "EasyKit": "easykit",
}
_TABLE: Final = re.compile(
    r"(?<=^<!-- generated entities -->\n).*?(?=^<!-- end -->$)", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity of a new installation: what it belongs to, and its name."""

    device: str
    name: str
    domain: str
    is_enabled: bool


def generated(text: str, found: Mapping[str, Iterable[Entity]]) -> str:
    """Return the document with the entities of each model."""
    counts = {model: Counter(entities) for model, entities in found.items()}
    rows = [
        f"| | {' | '.join(counts)} |",
        f"|---|{'---|' * len(counts)}",
        *_rows("Enabled", counts, is_enabled=True),
        *_rows("Disabled at first", counts, is_enabled=False),
    ]
    table = "\n".join(rows)
    return _TABLE.sub(lambda _: f"\n{table}\n\n", text)


def _rows(title: str, counts: Mapping[str, Counter[Entity]], *, is_enabled: bool) -> list[str]:
    every = {each: None for count in counts.values() for each in count}
    shown = [each for each in every if each.is_enabled is is_enabled]
    shown.sort(key=lambda each: (each.device != "Intercom", each.device, each.name, each.domain))
    total = [sum(count[each] for each in shown) for count in counts.values()]
    return [
        f"| **{title}** | {' | '.join(f'**{number}**' for number in total)} |",
        *(
            f"| {each.device}: {each.name} (`{each.domain}`) | "
            f"{' | '.join(str(count[each] or '') for count in counts.values())} |"
            for each in shown
        ),
    ]


if __name__ == "__main__":
    os.environ[WRITE] = "1"
    test = ROOT / "tests" / "integration" / "test_entity_table.py"
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", str(test)]))
