"""hacs.json, CHANGELOG.md, README.md and LICENSE: what a release is made of."""

import re
from typing import TYPE_CHECKING, Final

from .project import DOMAIN, Json, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_HOME_ASSISTANT: Final = "2026.10.0"
ARCHIVE: Final = f"{DOMAIN}.zip"
KEYS: Final[dict[str, type | tuple[type, ...]]] = {
    "content_in_root": bool,
    "country": (str, list),
    "filename": str,
    "hacs": str,
    "hide_default_branch": bool,
    "homeassistant": str,
    "name": str,
    "persistent_directory": str,
    "render_readme": bool,
    "zip_release": bool,
}
HEADING: Final = re.compile(r"^## \[?v?(?P<version>\d[^\]\s]*)", re.MULTILINE)


def check(project: Project) -> None:
    """Check that HACS finds what it needs and that the change log knows this version."""
    path = project.root / "hacs.json"
    if (hacs := project.json(path)) is not None:
        project.complain_all(path, _hacs(hacs))
    for name in ("README.md", "LICENSE"):
        project.text(project.root / name)
    _changelog(project)


def _hacs(hacs: Json) -> Iterator[str]:
    for key, value in hacs.items():
        if key not in KEYS:
            yield f"{key} is not a known key"
        elif not isinstance(value, KEYS[key]):
            yield f"{key} has a value of the wrong type"
    if not hacs.get("name"):
        yield "needs the key name"
    if hacs.get("homeassistant") != OLDEST_HOME_ASSISTANT:
        yield f"homeassistant has to be {OLDEST_HOME_ASSISTANT}, the oldest that is tested"
    if hacs.get("zip_release") and hacs.get("filename") != ARCHIVE:
        yield f"filename has to be {ARCHIVE}, which the release workflow attaches"
    if hacs.get("content_in_root"):
        yield "content_in_root must not be set: the code is in custom_components"


def _changelog(project: Project) -> None:
    path = project.root / "CHANGELOG.md"
    manifest = project.json(project.package / "manifest.json", required=False)
    if (text := project.text(path)) is None or manifest is None:
        return
    heading = HEADING.search(text)
    newest = heading["version"] if heading else None
    if newest != manifest.get("version"):
        version = manifest.get("version")
        project.complain(path, f"the newest heading is {newest}, the manifest's version {version}")
