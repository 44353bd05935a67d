"""manifest.json, as hassfest, HACS and the Marketplace read it."""

import re
from typing import TYPE_CHECKING, Final

from .project import DOMAIN, Json, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIRED: Final = (
    "domain",
    "name",
    "codeowners",
    "config_flow",
    "documentation",
    "integration_type",
    "iot_class",
    "issue_tracker",
    "version",
)
OPTIONAL: Final = (
    "after_dependencies",
    "bluetooth",
    "dependencies",
    "dhcp",
    "disabled",
    "homekit",
    "import_executor",
    "loggers",
    "mqtt",
    "requirements",
    "single_config_entry",
    "ssdp",
    "usb",
    "zeroconf",
)
LISTS: Final = ("codeowners", "requirements", "dependencies", "after_dependencies", "loggers")
URLS: Final = ("documentation", "issue_tracker")
INTEGRATION_TYPES: Final = ("device", "entity", "hardware", "helper", "hub", "service", "system")
IOT_CLASSES: Final = (
    "assumed_state",
    "calculated",
    "cloud_polling",
    "cloud_push",
    "local_polling",
    "local_push",
)
# Home Assistant brings these at versions of its own; a pin of ours could break the whole system.
SHIPPED: Final = ("aiohttp", "mashumaro", "orjson", "webrtc-models", "yarl")
SEMVER: Final = re.compile(
    r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def check(project: Project) -> None:
    """Check the manifest's keys, their order, types and values."""
    path = project.package / "manifest.json"
    if (manifest := project.json(path)) is None:
        return
    for rule in (_keys, _types, _values, _requirements):
        project.complain_all(path, rule(manifest))
    has_flow = (project.package / "config_flow.py").is_file()
    if bool(manifest.get("config_flow")) != has_flow:
        project.complain(path, "config_flow is true exactly when there is a config_flow.py")


def _keys(manifest: Json) -> Iterator[str]:
    yield from (f"needs the key {key}" for key in REQUIRED if key not in manifest)
    if "quality_scale" in manifest:
        yield "quality_scale has no effect for a custom integration: leave it out"
    known = {*REQUIRED, *OPTIONAL, "quality_scale"}
    yield from (f"{key} is not a known key" for key in manifest if key not in known)
    if list(manifest) != sorted(manifest, key=_order):
        yield "the order of keys is domain, name, then the alphabet"


def _order(key: str) -> tuple[int, str]:
    return {"domain": 0, "name": 1}.get(key, 2), key


def _types(manifest: Json) -> Iterator[str]:
    for key in LISTS:
        value = manifest.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield f"{key} has to be a list of texts"
    for key in (*URLS, "name"):
        if key in manifest and not isinstance(manifest[key], str):
            yield f"{key} has to be a text"


def _values(manifest: Json) -> Iterator[str]:
    if manifest.get("domain") != DOMAIN:
        yield f"domain has to be {DOMAIN}, the name of the folder"
    if manifest.get("integration_type") not in INTEGRATION_TYPES:
        yield f"integration_type is one of {', '.join(INTEGRATION_TYPES)}"
    if manifest.get("iot_class") not in IOT_CLASSES:
        yield f"iot_class is one of {', '.join(IOT_CLASSES)}"
    if not SEMVER.fullmatch(str(manifest.get("version"))):
        yield "version has to be a semantic version, such as 1.2.3"
    for key in URLS:
        if not str(manifest.get(key)).startswith("https://"):
            yield f"{key} has to be an https address"
    if manifest.get("issue_tracker") != f"{manifest.get('documentation')}/issues":
        yield "issue_tracker has to be the issues page of documentation"


def _requirements(manifest: Json) -> Iterator[str]:
    for requirement in manifest.get("requirements", ()):
        name = re.split(r"[\s<>=!~\[;@]", str(requirement), maxsplit=1)[0].lower().replace("_", "-")
        if name in SHIPPED:
            yield f"requirements must not name {name}: Home Assistant ships it"
