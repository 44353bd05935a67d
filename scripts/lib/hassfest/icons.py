"""icons.json against the translations, the actions and the icons that exist."""

import json
import re
from typing import TYPE_CHECKING, Final

from .project import Json, Project, branch
from .translations import flatten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ICON: Final = re.compile(r"mdi:[a-z0-9-]+")
_ENTITY_KEYS: Final = frozenset({"default", "state", "range", "state_attributes"})
_TOP: Final = frozenset(
    {"config", "options", "issues", "entity", "services", "triggers", "conditions"}
)
_FRONTEND: Final = ".venv-live/lib/python3.*/site-packages/hass_frontend/static/mdi/iconList.json"


def check(project: Project) -> None:
    """Check that every icon is one, and belongs to something that has a name."""
    path = project.package / "icons.json"
    if (icons := project.json(path)) is None:
        return
    project.complain_all(path, (f"{key} is not a known key" for key in icons if key not in _TOP))
    english = project.json(project.package / "translations" / "en.json", required=False) or {}
    project.complain_all(path, _names(icons, _known_icons(project.root)))
    project.complain_all(path, _entities(icons, english))
    for heading in ("services", "triggers", "conditions"):
        project.complain_all(
            path, _orphans(heading, branch(icons, heading), branch(english, heading))
        )


def _known_icons(root: Path) -> frozenset[str]:
    # Only the development server's environment brings the frontend and its list.
    for path in root.glob(_FRONTEND):
        return frozenset(f"mdi:{icon['name']}" for icon in json.loads(path.read_text("utf-8")))
    return frozenset()


def _names(icons: Json, known: frozenset[str]) -> Iterator[str]:
    for path, icon in flatten(icons):
        if not _ICON.fullmatch(icon):
            yield f"{path} is {icon!r}, not mdi: and a name"
        elif known and icon not in known:
            yield f"{path} is {icon!r}, which the frontend does not have"


def _entities(icons: Json, english: Json) -> Iterator[str]:
    for platform, entities in branch(icons, "entity").items():
        named = branch(english, "entity", platform)
        yield from _orphans(f"entity.{platform}", entities, named)
        for key, icon in entities.items():
            yield from _entity(f"entity.{platform}.{key}", icon)


def _entity(path: str, icon: Json) -> Iterator[str]:
    yield from (f"{path}.{key} is not a known key" for key in icon if key not in _ENTITY_KEYS)
    for state, name in branch(icon, "state").items():
        if name == icon.get("default"):
            yield f"{path}.state.{state} is the same as the default and can go"


def _orphans(path: str, icons: Json, named: Json) -> Iterator[str]:
    yield from (f"{path}.{key} has no translation in en.json" for key in icons if key not in named)
