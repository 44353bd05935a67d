"""scripts/lib/project_checks.py: silent on a good repository, and on no broken copy of it."""

from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts.lib.project_checks import find_problems, known_rules

from . import sample
from .sample import (
    BLUEPRINT,
    ENDPOINTS,
    ENGLISH,
    ICONS,
    ITALIAN,
    MANIFEST,
    PACKAGE,
    QUALITY_SCALE,
    SERVICES,
    Tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
FLOW = PACKAGE / "config_flow.py"
LOCK = PACKAGE / "lock.py"
GONE = object()

# A file, the path of a value in it, the new value, and the expected problem.
VALUE_CASES: tuple[tuple[Path, str, object, str], ...] = (
    (ENGLISH, "exceptions/no_call/message", "", "no_call.message is empty or"),
    (ENGLISH, "exceptions/no_call/message", "Nobody. ", "no_call.message is empty or"),
    (ENGLISH, "exceptions/no_call/message", "<b>Nobody</b>", "no_call.message is empty or"),
    (ENGLISH, "exceptions/no_call/message", "See www.example.com", "no_call.message is empty or"),
    (ENGLISH, "exceptions/no_call/message", "[%key:common::x%]", "no_call.message is empty or"),
    (ITALIAN, "exceptions/too_late/message", "Di '{seconds}' s", "too_late.message is empty or"),
    (ITALIAN, "exceptions/too_late/message", "In ritardo.", "message has other placeholders"),
    (ITALIAN, "exceptions/no_call/message", "Nessuno}.", "message has other placeholders"),
    (ITALIAN, "exceptions/no_call/message", GONE, "exceptions.no_call.message is missing"),
    (ITALIAN, "exceptions/no_call/message", "Nobody is on the line.", "message is not translated"),
    (ITALIAN, "exceptions/too_late/message", "Di {seconds} secondi.", "would need plural forms"),
    (ENGLISH, "exceptions/too_late/message", "Too late by {seconds} seconds", "plural forms"),
    (ITALIAN, "entity/lock/door/name", "Porta numero {number} dell'ingresso", "more than 32"),
    (ITALIAN, "config/error/broken", "Guasto.", "error.broken is not in English"),
    (ITALIAN, "entity/lock/door/state/open", "Aperto", "'Open' is both 'Ap"),
    (ITALIAN, "exceptions/other", {"message": "Altro."}, "other.message is not in English"),
    (ENGLISH, "exceptions/other", {"message": "Other."}, "exceptions.other is not used"),
    (ENGLISH, "entity/lock/gate", {"name": "Gate"}, "entity.lock.gate is not used"),
    (ENGLISH, "config/error/other", "Other.", "config.error.other is not used"),
    (ENGLISH, "exceptions/too_late", GONE, "lock.py: too_late is not in en.json"),
    (ENGLISH, "services/ring", GONE, "services.yaml: ring is not both here and in en.json"),
    (ENGLISH, "services/ring/fields/volume", GONE, "services.yaml: ring.volume is not both"),
    (ENGLISH, "services/knock", {"name": "Knock"}, "services.yaml: knock is not both"),
    (SERVICES, "ring/fields/tone", {}, "services.yaml: ring.tone is not both"),
    (ICONS, "services/ring", GONE, "services.ring is missing"),
    (ICONS, "services/knock", {"service": "mdi:hand"}, "services.knock is missing or is no action"),
    (ICONS, "entity/lock/gate", {"default": "mdi:gate"}, "entity.lock.gate is not in en.json"),
    (MANIFEST, "version", "0.2.0", "the first heading is not of version 0.2.0"),
    (Path("hacs.json"), "filename", "other.zip", "filename is not bticino_classe.zip"),
    (Path("hacs.json"), "homeassistant", "2026.9.0", "homeassistant is not 2026.10.0"),
    (QUALITY_SCALE, "rules/brands", GONE, "brands is missing"),
    (QUALITY_SCALE, "rules/fame", "done", "fame is not a rule"),
    (QUALITY_SCALE, "rules/brands", "soon", "brands is neither done"),
    (QUALITY_SCALE, "rules/brands", {"status": "exempt"}, "brands is neither done"),
    (MANIFEST, "codeowners", [], "integration-owner is not done"),
    (MANIFEST, "dhcp", GONE, "discovery is not done"),
    (
        ENGLISH,
        "config/step/user/data_description",
        GONE,
        "config-flow is not done: config.user.pin",
    ),
)
# A file, a text in it, the new text, and the expected problem.
TEXT_CASES = (
    (LOCK, 'translation_key="too_late"', 'translation_key="late"', "late is not in en.json"),
    (LOCK, 'refused("no_call")', 'self._error("no_line", err)', "no_line is not in en.json"),
    (LOCK, "PARALLEL", 'TABLE = ((OSError, "no_line"),)\nPARALLEL', "no_line is not in"),
    (LOCK, '_key = "door"', '_key = "gate"', "gate is not in en.json under entity"),
    (LOCK, "[Door()]", '[Door(Description(key="a", translation_key="b"))]', "b is not in en.json"),
    (FLOW, 'step_id="user"', 'step_id="login"', "login is not in en.json under"),
    (FLOW, 'reason="wrong_account"', 'reason="no_home"', "no_home is not in en.json under"),
    (FLOW, '"base": "cannot_connect"', '"base": "broken"', "broken is not in en.json under"),
    (FLOW, "return self", 'errors["pin"] = "broken"\n        return self', "broken is not in"),
    (LOCK, "PARALLEL", 'A = "wss://push.example.com/ws"\nPARALLEL', "push.example.com is a host"),
    (LOCK, "PARALLEL", "# as app.netatmo.net does\nPARALLEL", "app.netatmo.net is a host"),
    (ENGLISH, "Nobody", "example.org: nobody", "example.org is a host"),
    (ENDPOINTS, "app.netatmo.net", "evil.example", "evil.example is not a host of the vendor"),
    (ENDPOINTS, "netatmo.net", "netatmo.net.example", "netatmo.net.example is not a host of"),
    (Path("CHANGELOG.md"), "0.1.0", "0.2.0", "the first heading is not of version 0.1.0"),
    (BLUEPRINT, "2026.10.0", "2026.9.0", "min_version is not 2026.10.0"),
    (BLUEPRINT, "[ca, cs, ", "[cs, ", "ring.yaml: ca cannot be chosen"),
    (BLUEPRINT, "[ca, cs, ", "[ca, cs, da, ", "ring.yaml: da has no texts"),
    (BLUEPRINT, "          languages:", "          codes:", "ring.yaml: tr cannot be chosen"),
    (BLUEPRINT, "        pt-BR:\n", "        pt-AO:\n", "ring.yaml: pt-BR has no texts"),
    (BLUEPRINT, "          button: Apri {door}\n", "", "ring.yaml: de: button is missing"),
    (BLUEPRINT, "          channel: Doorbell\n", "", "ring.yaml: en: channel is missing"),
    (BLUEPRINT, "Doorbell\n", "Doorbell\n          text: Hello\n", "en: text is not used"),
    (BLUEPRINT, "      texts:", "      words:", "ring.yaml: en: button is missing"),
    (BLUEPRINT, "title: !input title", "more: !input title", "ring.yaml: en: more is missing"),
    (BLUEPRINT, "text.button", "text.more", "ring.yaml: en: more is missing"),
    (BLUEPRINT, "Apri {door}", "Apri {panel}", "cs: button has other placeholders than in English"),
    (BLUEPRINT, "Apri {door}", "Apri porta", "cs: button has other placeholders than in English"),
    (BLUEPRINT, "Apri {door}", "Open {door}", "ring.yaml: it: button is not translated"),
    (BLUEPRINT, "Apri {door}", "''", "ring.yaml: it: button is empty or"),
    (BLUEPRINT, "Apri {door}", "Fai aprire {door}", "button has more than 10 characters"),
    (BLUEPRINT, "channel: Campanello", "channel: Citofono", "ring.yaml: el: 'Doorbell' is both"),
    (BLUEPRINT, "Porta {number}", "Uscio {number}", "ring.yaml: nl: 'Door {number}' is both"),
    (PACKAGE / "__init__.py", "def async_setup(", "def setup(", "action-setup is not done"),
    (PACKAGE / "__init__.py", "async_unload_entry", "unload", "config-entry-unloading is not done"),
    (PACKAGE / "__init__.py", "async_get_clientsession", "session", "inject-websession is not"),
    (PACKAGE / "__init__.py", "async_create_issue", "issue", "repair-issues is not done"),
    (PACKAGE / "__init__.py", "entry.runtime_data", "data", "runtime-data is not done"),
    (PACKAGE / "__init__.py", "_first_refresh", "", "test-before-setup is not done"),
    (PACKAGE / "diagnostics.py", "async_get", "get", "diagnostics is not done"),
    (FLOW, "(ConfigFlow, ", "(", "config-flow is not done"),
    (FLOW, "step_dhcp", "step_x", "discovery is not done"),
    (FLOW, "step_reauth_confirm", "step_x", "reauthentication-flow is not done"),
    (FLOW, "step_reconfigure", "step_x", "reconfiguration-flow is not done"),
    (FLOW, "_abort_if_unique_id_configured", "x", "unique-config-entry is not done"),
    (LOCK, "_attr_has_entity_name", "x", "has-entity-name is not done"),
    (LOCK, "_attr_unique_id", "x", "entity-unique-id is not done"),
    (LOCK, "PARALLEL_UPDATES", "X", "parallel-updates is not done"),
    (LOCK, "_attr_has_entity_name", "_attr_icon", "icon-translations is not done"),
    (
        LOCK,
        "raise refused",
        'raise HomeAssistantError("x")\nraise refused',
        "exception-translations",
    ),
    (Path("pyproject.toml"), "true", "false", "strict-typing is not done"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository without problems."""
    sample.write(tmp_path)
    return tmp_path


def has_problem(root: Path, text: str) -> bool:
    """Return whether one of the problems contains a text."""
    return any(text in problem for problem in find_problems(root))


def setting(path: str, value: object) -> Callable[[Tree], None]:
    """Return a change of one value in a tree."""
    *parents, last = path.split("/")

    def change(tree: Tree) -> None:
        inner: Any = tree
        for key in parents:
            inner = inner[key]
        if value is GONE:
            del inner[last]
        else:
            inner[last] = value

    return change


def test_sample_has_no_problems(root: Path) -> None:
    """Each case below breaks this copy in one place."""
    assert find_problems(root) == []


def test_this_repository_has_no_problems() -> None:
    """The integration itself passes."""
    assert find_problems(ROOT) == []


@pytest.mark.parametrize(("file", "path", "value", "problem"), VALUE_CASES)
def test_wrong_value(root: Path, file: Path, path: str, value: object, problem: str) -> None:
    """One value is changed, removed or added."""
    sample.edit(root, file, setting(path, value))
    assert has_problem(root, problem)


@pytest.mark.parametrize(("file", "old", "new", "problem"), TEXT_CASES)
def test_wrong_text(root: Path, file: Path, old: str, new: str, problem: str) -> None:
    """One text of a file is replaced."""
    sample.replace(root, file, old, new)
    assert has_problem(root, problem)


def test_modules_in_packages_are_read(root: Path) -> None:
    """The integration's code is in packages, several levels deep."""
    sample.put(root, PACKAGE / "live" / "view" / "a.py", 'raise refused("no_line")\n')
    assert has_problem(root, "live/view/a.py: no_line is not in en.json")


@pytest.mark.parametrize(
    "line",
    [
        'raise KeyError("unknown")',
        'url = f"wss://{host}/ws"',
        "raise UpdateFailed(retry_after=1, translation_domain=DOMAIN, translation_key=KEY)",
    ],
)
def test_correct_code_is_accepted(root: Path, line: str) -> None:
    """No untranslated key, no host name, no untranslated error."""
    sample.put(root, PACKAGE / "a.py", f"{line}\n")
    assert find_problems(root) == []


def test_no_language_is_missing(root: Path) -> None:
    """The languages of the countries in which the intercoms are sold."""
    (root / ENGLISH.with_name("el.json")).unlink()
    assert has_problem(root, "translations/el.json is missing")


def test_every_language_is_complete(root: Path) -> None:
    """Half a translation is a mixture of two languages."""
    sample.put(root, ENGLISH.with_name("de.json"), '{"exceptions": {}}')
    assert has_problem(root, "de.json: exceptions.too_late.message is missing")


@pytest.mark.parametrize("text", ["{", '{"a": 1, "a": 2}'])
def test_malformed_json(root: Path, text: str) -> None:
    """json.loads alone would take the last of two equal keys."""
    sample.put(root, ICONS, text)
    with pytest.raises(SystemExit, match=r"icons\.json: "):
        find_problems(root)


def test_todo_and_exempt_rules_need_no_evidence(root: Path) -> None:
    """Only "done" is checked against the code."""
    sample.replace(root, PACKAGE / "diagnostics.py", "async_get", "get")
    for status in ("todo", "exempt"):
        answer = {"status": status, "comment": "Why."}
        sample.edit(root, QUALITY_SCALE, setting("rules/diagnostics", answer))
        assert find_problems(root) == []


def test_quality_scale_has_54_rules() -> None:
    """They are read from an integration of the installed Home Assistant."""
    assert len(known_rules()) == 54


def test_command_prints_problems_and_fails(root: Path) -> None:
    """A good repository: exit code 0 and no output."""
    command = [sys.executable, str(ROOT / "scripts/lib/project_checks.py")]
    good = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    sample.replace(root, BLUEPRINT, "2026.10.0", "2026.9.0")
    bad = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    problem = f"{BLUEPRINT}: min_version is not 2026.10.0, which the tests run on\n"
    assert (bad.returncode, bad.stderr) == (1, problem)
