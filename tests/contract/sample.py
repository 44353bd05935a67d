"""A small repository without problems, for the tests of scripts/lib/."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.lib import project_checks
from scripts.lib.project_checks import known_rules

if TYPE_CHECKING:
    from collections.abc import Callable

type Tree = dict[str, Any]

PACKAGE = Path(project_checks.PACKAGE)
MANIFEST = Path(project_checks.MANIFEST)
ENGLISH = Path(project_checks.ENGLISH)
ITALIAN = ENGLISH.with_name("it.json")
ICONS = Path(project_checks.ICONS)
SERVICES = Path(project_checks.SERVICES)
ENDPOINTS = Path(project_checks.ENDPOINTS)
QUALITY_SCALE = Path(project_checks.QUALITY_SCALE)
BLUEPRINT = Path("blueprints/automation/ring.yaml")

_STATES = {"open": "Open", "opening": "Open"}
_STATI = {"open": "Aperta", "opening": "Aperta"}

_TREES: dict[Path, Tree] = {
    MANIFEST: {
        "domain": project_checks.DOMAIN,
        "codeowners": ["@somebody"],
        "dhcp": [{"macaddress": "000350*"}],
        "documentation": "https://example.com/owner/project",
        "version": "0.1.0",
    },
    Path("hacs.json"): {"filename": "bticino_classe.zip", "homeassistant": "2026.10.0"},
    ENGLISH: {
        "config": {
            "step": {"user": {"data": {"pin": "Code"}, "data_description": {"pin": "The code."}}},
            "error": {"cannot_connect": "The cloud does not answer."},
            "abort": {"wrong_account": "This is another account."},
        },
        "entity": {"lock": {"door": {"name": "Door {number}", "state": _STATES}}},
        "exceptions": {
            "too_late": {"message": "Too late by {seconds} s."},
            "no_call": {"message": "Nobody is on the line."},
        },
        "services": {
            "ring": {
                "name": "Ring",
                "description": "Rings.",
                "fields": {"volume": {"name": "Volume", "description": "The volume."}},
            }
        },
    },
    ITALIAN: {
        "config": {
            "step": {"user": {"data": {"pin": "Codice"}, "data_description": {"pin": "Il PIN."}}},
            "error": {"cannot_connect": "Il cloud non risponde."},
            "abort": {"wrong_account": "È un altro account."},
        },
        "entity": {"lock": {"door": {"name": "Porta {number}", "state": _STATI}}},
        "exceptions": {
            "too_late": {"message": "In ritardo di {seconds} s."},
            "no_call": {"message": "Nessuno è in linea."},
        },
        "services": {
            "ring": {
                "name": "Suona",
                "description": "Fa suonare.",
                "fields": {"volume": {"name": "Intensità", "description": "L'intensità."}},
            }
        },
    },
    ICONS: {
        "entity": {"lock": {"door": {"default": "mdi:door"}}},
        "services": {"ring": {"service": "mdi:bell"}},
    },
    SERVICES: {"ring": {"fields": {"volume": {"selector": {"number": None}}}}},
    QUALITY_SCALE: {"rules": dict.fromkeys(sorted(known_rules()), "done")},
}
_INIT = """\
async def async_setup(hass, config):
    return True

async def async_setup_entry(hass, entry):
    coordinator = Coordinator(async_get_clientsession(hass))
    await coordinator.async_config_entry_first_refresh()
    ir.async_create_issue(hass, DOMAIN, "broken")
    entry.runtime_data = coordinator

async def async_unload_entry(hass, entry):
    return True
"""
_CONFIG_FLOW = """\
class Flow(ConfigFlow, domain=DOMAIN):
    async def async_step_user(self, user_input):
        self._abort_if_unique_id_configured()
        errors = {"base": "cannot_connect"}
        return self.async_show_form(step_id="user", errors=errors)

    async def async_step_dhcp(self, discovery_info):
        return self.async_abort(reason="wrong_account")

    async def async_step_reauth_confirm(self, user_input):
        return self.async_abort(reason="wrong_account")

    async def async_step_reconfigure(self, user_input):
        return self.async_abort(reason="wrong_account")
"""
_LOCK = """\
PARALLEL_UPDATES = 1

async def async_setup_entry(hass, entry, async_add_entities):
    async_add_entities([Door()])

class Door(LockEntity):
    _attr_has_entity_name = True
    _attr_translation_key = "door"

    def __init__(self):
        self._attr_unique_id = "1"

    async def async_open(self):
        if self.is_late:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="too_late")
        raise refused("no_call")
"""
_DIAGNOSTICS = """\
async def async_get_config_entry_diagnostics(hass, entry):
    return {}
"""
_ITALIAN_TEXTS = """\
          title: Campanello
          channel: Campanello
          button: Apri {door}
          door: Porta {number}
"""
_BLUEPRINT = f"""\
blueprint:
  homeassistant:
    min_version: 2026.10.0
  input:
    language:
      selector:
        language:
          languages: [{", ".join(sorted(project_checks.LANGUAGES))}]
actions:
  - variables:
      own:
        title: !input title
      texts:
        en:
          title: Doorbell
          channel: Doorbell
          button: Open {{door}}
          door: Door {{number}}
"""
_ACTION = """\
  - action: notify.notify
    data: "{{ [text.title, text.channel, text.button, text.door] }}"
"""
_TEXTS = {
    PACKAGE / "__init__.py": _INIT,
    PACKAGE / "config_flow.py": _CONFIG_FLOW,
    PACKAGE / "lock.py": _LOCK,
    PACKAGE / "diagnostics.py": _DIAGNOSTICS,
    PACKAGE / "brand" / "icon.png": "",
    ENDPOINTS: 'API = "https://app.netatmo.net"\n',
    BLUEPRINT: "".join(
        [
            _BLUEPRINT,
            *(
                f"        {each}:\n{_ITALIAN_TEXTS}"
                for each in sorted(project_checks.LANGUAGES - {"en"})
            ),
            _ACTION,
        ]
    ),
    BLUEPRINT.with_stem("light"): "blueprint:\n  homeassistant:\n    min_version: 2026.10.0\n",
    Path("CHANGELOG.md"): "# Changes\n\n## 0.1.0 (not released)\n",
    Path("pyproject.toml"): "[tool.mypy]\nstrict = true\n",
}


def write(root: Path) -> None:
    """Write the repository into an empty folder."""
    for path, tree in _TREES.items():
        put(root, path, json.dumps(tree))  # JSON is YAML
    for path, text in _TEXTS.items():
        put(root, path, text)
    for language in project_checks.LANGUAGES - {"en", "it"}:
        put(root, ITALIAN.with_stem(language), json.dumps(_TREES[ITALIAN]))


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


def replace(root: Path, path: Path, old: str, new: str) -> None:
    """Replace a text in one file, which has to be there."""
    text = (root / path).read_text(encoding="utf-8")
    assert old in text
    put(root, path, text.replace(old, new))
