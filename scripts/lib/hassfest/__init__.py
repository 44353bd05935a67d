"""What hassfest and the HACS action would say of the integration, and a few promises of our own."""

from typing import TYPE_CHECKING

from . import (
    brand,
    hosts,
    icons,
    keys,
    languages,
    manifest,
    quality,
    release,
    services,
    translations,
)
from .project import Project

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = (
    manifest.check,
    release.check,
    translations.check,
    languages.check,
    icons.check,
    services.check,
    quality.check,
    brand.check,
    hosts.check,
    keys.check,
)


def check_all(root: Path) -> Project:
    """Run every check over the repository at `root`; the answer holds the findings."""
    project = Project(root)
    for check in CHECKS:
        check(project)
    return project
