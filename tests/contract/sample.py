"""A small repository in which the checks of scripts/lib/hassfest find nothing."""

import json
from pathlib import Path
import struct
from typing import TYPE_CHECKING, Any

from scripts.lib.hassfest.project import DOMAIN
from scripts.lib.hassfest.quality import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

type Tree = dict[str, Any]

PACKAGE = Path("custom_components") / DOMAIN
ENGLISH = PACKAGE / "translations" / "en.json"
ITALIAN = PACKAGE / "translations" / "it.json"

_MANIFEST: Tree = {
    "domain": DOMAIN,
    "name": "BTicino Classe",
    "codeowners": [],
    "config_flow": True,
    "documentation": "https://example.com/owner/project",
    "integration_type": "hub",
    "iot_class": "cloud_push",
    "issue_tracker": "https://example.com/owner/project/issues",
    "requirements": [],
    "version": "0.1.0",
}
_HACS: Tree = {
    "name": "BTicino Classe",
    "filename": f"{DOMAIN}.zip",
    "homeassistant": "2026.10.0",
    "zip_release": True,
}
_ENGLISH: Tree = {
    "config": {
        "step": {
            "user": {
                "data": {"username": "E-mail", "password": "Password"},
                "data_description": {"username": "As in the app.", "password": "As in the app."},
            }
        },
        "error": {"cannot_connect": "The cloud does not answer."},
        "abort": {"already_configured": "This account is set up already."},
    },
    "entity": {"lock": {"door": {"name": "Door {number}", "state": {"ajar": "Ajar"}}}},
    "exceptions": {"too_late": {"message": "Too late by {seconds} s."}},
    "services": {
        "ring": {
            "name": "Ring",
            "description": "Rings.",
            "fields": {"volume": {"name": "Volume", "description": "How loud."}},
        }
    },
}
_ITALIAN: Tree = {
    "config": {
        "step": {
            "user": {
                "data": {"username": "E-mail", "password": "Password"},
                "data_description": {"username": "Come nell'app.", "password": "Come nell'app."},
            }
        },
        "error": {"cannot_connect": "Il cloud non risponde."},
        "abort": {"already_configured": "Questo account è già configurato."},
    },
    "entity": {"lock": {"door": {"name": "Porta {number}", "state": {"ajar": "Socchiusa"}}}},
    "exceptions": {"too_late": {"message": "In ritardo di {seconds} s."}},
    "services": {
        "ring": {
            "name": "Suona",
            "description": "Suona il campanello.",
            "fields": {"volume": {"name": "Volume d'ascolto", "description": "Quanto forte."}},
        }
    },
}
_ICONS: Tree = {
    "entity": {"lock": {"door": {"default": "mdi:door", "state": {"open": "mdi:door-open"}}}},
    "services": {"ring": {"service": "mdi:bell"}},
}
_SERVICES = """\
ring:
  fields:
    volume:
      selector:
        number:
"""
_CONFIG_FLOW = """\
class Flow:
    async def async_step_user(self, user_input):
        self._abort_if_unique_id_configured()
        errors = {"base": "cannot_connect"}
        return self.async_show_form(step_id="user", errors=errors)
"""
_LOCK = """\
KEY = "too_late"

class Door:
    _attr_translation_key = "door"

    def open(self):
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key=KEY)
"""
_CONST = 'API = "https://app.netatmo.net"\n'


def write(root: Path) -> None:
    """Make the repository in an empty folder."""
    for path, tree in (
        (PACKAGE / "manifest.json", _MANIFEST),
        (PACKAGE / "icons.json", _ICONS),
        (ENGLISH, _ENGLISH),
        (ITALIAN, _ITALIAN),
        (Path("hacs.json"), _HACS),
    ):
        put(root, path, json.dumps(tree))
    put(root, PACKAGE / "quality_scale.yaml", quality_scale(dict.fromkeys(sorted(RULES), "done")))
    put(root, PACKAGE / "services.yaml", _SERVICES)
    put(root, PACKAGE / "config_flow.py", _CONFIG_FLOW)
    put(root, PACKAGE / "lock.py", _LOCK)
    put(root, PACKAGE / "client" / "const.py", _CONST)
    put(root, Path("CHANGELOG.md"), "# Changes\n\n## 0.1.0 (not released)\n")
    put(root, Path("README.md"), "# BTicino Classe\n")
    put(root, Path("LICENSE"), "MIT License\n")
    for name, width, height in (
        ("icon.png", 256, 256),
        ("icon@2x.png", 512, 512),
        ("logo.png", 700, 256),
        ("logo@2x.png", 1400, 512),
    ):
        picture(root, name, width, height)


def put(root: Path, path: Path, text: str) -> None:
    """Write one file of the repository."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def edit(root: Path, path: Path, change: Callable[[Tree], object]) -> None:
    """Change one JSON file in place."""
    tree = json.loads((root / path).read_text(encoding="utf-8"))
    change(tree)
    put(root, path, json.dumps(tree))


def quality_scale(rules: Tree) -> str:
    """Return quality_scale.yaml's text; JSON is YAML."""
    return json.dumps({"rules": rules})


def picture(root: Path, name: str, width: int, height: int, colours: int = 6) -> None:
    """Write the head of a PNG, by default with transparency."""
    target = root / PACKAGE / "brand" / name
    target.parent.mkdir(exist_ok=True)
    head = struct.pack(">I4sIIBB", 13, b"IHDR", width, height, 8, colours)
    target.write_bytes(b"\x89PNG\r\n\x1a\n" + head + bytes(8))
